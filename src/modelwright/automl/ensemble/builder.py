"""One build of the ensemble: out-of-fold predictions in, a bundle out.

Runs as a helper task, in a process of its own, so that it costs the search nothing but a core for a moment
and a crash of it costs nothing at all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.seeds import generator
from modelwright.automl.bundle import MemberSource, new_version, publish, version_folder, write_bundle
from modelwright.automl.ensemble.selection import EnsembleSelection
from modelwright.automl.evaluation import fold_plan
from modelwright.automl.metrics import Metric, metric
from modelwright.automl.prepare import Prepared, open_prepared
from modelwright.execution import Channel

__all__ = ["build_ensemble"]

_MOST_CANDIDATES = 50  # the best by their own score; more bring nothing but time
_SIZE = 25  # greedy steps beyond that bring nothing but members


def build_ensemble(channel: Channel, argument: Mapping[str, Any]) -> dict[str, Any]:
    """Select an ensemble and publish it if it is better than the last.

    Parameters
    ----------
    channel : Channel
        Not used; every task has one.
    argument : mapping
        ``run`` and ``data``: folders. ``candidates``: for each complete trial its ``number``, ``folder``,
        ``loss``, ``info``, and ``has_models``: whether more than its predictions is in the folder.
        ``best_loss`` and ``best_rows``: of the ensemble that is published, and on how many rows it was
        judged; or None and 0. ``seed``.

    Returns
    -------
    dict
        ``members`` as [number, weight], ``score``, ``loss``, ``test_score``, ``location``, ``metrics``; or
        ``unchanged``; or ``missing``, the numbers of members whose models are not there.
    """
    started = time.monotonic()
    run = Path(argument["run"])
    prepared = open_prepared(Path(argument["data"]))
    measure = metric(prepared.metric, prepared.schema.task)
    candidates = sorted(argument["candidates"], key=lambda item: (item["loss"], item["number"]))
    candidates = candidates[:_MOST_CANDIDATES]
    candidates, rows, predictions = _load_out_of_fold(candidates)
    y = np.asarray(prepared.store.y)[rows]
    weight = None if prepared.store.weight is None else np.asarray(prepared.store.weight)[rows]
    selection = EnsembleSelection(size=_SIZE, metric=measure)
    selection.fit(predictions, y, generator(argument["seed"], "ensemble", len(candidates)), weight=weight)
    score = _score_by_fold(prepared, measure, rows, selection.predict(predictions))
    loss, best = score * measure.sign, argument["best_loss"]
    # What was judged on fewer rows, as the first models of a short run may be, is no yardstick.
    if best is not None and len(rows) <= argument["best_rows"] and not loss < best:
        return {"unchanged": True}

    chosen = [(item, float(w)) for item, w in zip(candidates, selection.weights, strict=True) if w > 0]
    if missing := [item["number"] for item, _ in chosen if not item["has_models"]]:
        return {"missing": missing}
    test_score = _test_score(prepared, measure, chosen)
    figures = _figures(chosen, started)
    version = new_version(run)
    folder = write_bundle(
        version_folder(run, version),
        schema=prepared.schema,
        encoder=prepared.encoder,
        metric=prepared.metric,
        members=[_member(item, w) for item, w in chosen],
        details={"score": score, "test_score": test_score},
    )
    publish(run, version)
    return {
        "members": [[item["number"], w] for item, w in chosen],
        "loss": loss,
        "score": score,
        "location": str(folder),
        "metrics": {"test_score": test_score, "rows": len(rows), **figures},
    }


def _load_out_of_fold(
    candidates: Sequence[Mapping[str, Any]],
) -> tuple[list[Mapping[str, Any]], NDArray[np.int64], NDArray[np.float64]]:
    """Return the candidates that predict the most rows, these rows, and predictions there, shape (m, n, ...).

    A model whose time was over before all folds were done predicts fewer rows than the others; it takes part
    only where no model predicts more.
    """
    arrays = [np.load(Path(item["folder"]) / "oof.npy", allow_pickle=False) for item in candidates]
    covered = [np.isfinite(array).reshape(len(array), -1).all(axis=1) for array in arrays]
    most = max(covered, key=np.count_nonzero)
    rows = np.flatnonzero(most)
    kept = [i for i, own in enumerate(covered) if own[rows].all()]
    predictions = np.stack([arrays[i][rows].astype(np.float64) for i in kept])
    return [candidates[i] for i in kept], rows, predictions


def _score_by_fold(
    prepared: Prepared, measure: Metric, rows: NDArray[np.int64], mixed: NDArray[np.float64]
) -> float:
    """Return the mean score over folds, as the trials are scored, so that the two can be compared."""
    store = prepared.store
    place = np.full(len(store.y), -1)
    place[rows] = np.arange(len(rows))
    scores = []
    for _, valid in fold_plan(store):
        known = valid[place[valid] >= 0]
        if len(known):
            weight = None if store.weight is None else np.asarray(store.weight)[known]
            scores.append(measure.score(np.asarray(store.y)[known], mixed[place[known]], weight))
    return float(np.nanmean(scores))


def _test_score(
    prepared: Prepared, measure: Metric, chosen: Sequence[tuple[Mapping[str, Any], float]]
) -> float | None:
    if prepared.store.y_test is None:
        return None
    mixed = sum(
        weight * np.load(Path(item["folder"]) / "test.npy", allow_pickle=False).astype(np.float64)
        for item, weight in chosen
    )
    score = float(measure.score(np.asarray(prepared.store.y_test), np.asarray(mixed)))
    return score if np.isfinite(score) else None


def _member(item: Mapping[str, Any], weight: float) -> MemberSource:
    folds = sorted((Path(item["folder"]) / "models").glob("fold-*"), key=lambda p: int(p.name.split("-")[1]))
    return MemberSource(f"trial-{item['number']}", weight, folds, item["info"])


def _figures(chosen: Sequence[tuple[Mapping[str, Any], float]], started: float) -> dict[str, float]:
    """Return what the ensemble costs, from what its members cost."""
    return {
        "fit_s": sum(item["info"].get("fit_s") or 0.0 for item, _ in chosen),
        "predict_s": sum(item["info"].get("predict_s") or 0.0 for item, _ in chosen),
        "size_bytes": sum(item["info"].get("size_bytes") or 0 for item, _ in chosen),
        "build_s": time.monotonic() - started,
    }
