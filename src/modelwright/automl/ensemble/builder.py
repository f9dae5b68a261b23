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
        ``loss`` and ``info``. ``best_loss``: of the ensemble that is published, or None. ``seed``.

    Returns
    -------
    dict
        ``members`` as [number, weight], ``score``, ``loss``, ``test_score``, ``location``, ``metrics``; or
        ``unchanged``.
    """
    started = time.monotonic()
    run = Path(argument["run"])
    prepared = open_prepared(Path(argument["data"]))
    measure = metric(prepared.metric, prepared.schema.task)
    candidates = sorted(argument["candidates"], key=lambda item: (item["loss"], item["number"]))
    candidates = candidates[:_MOST_CANDIDATES]
    rows, predictions = _load_out_of_fold(candidates)
    y = np.asarray(prepared.store.y)[rows]
    weight = None if prepared.store.weight is None else np.asarray(prepared.store.weight)[rows]
    selection = EnsembleSelection(size=_SIZE, metric=measure)
    selection.fit(predictions, y, generator(argument["seed"], "ensemble", len(candidates)), weight=weight)
    mixed = selection.predict(predictions)
    loss, score = float(measure.loss(y, mixed, weight)), float(measure.score(y, mixed, weight))
    best = argument["best_loss"]
    if best is not None and not loss < best:
        return {"unchanged": True}

    chosen = [(item, float(w)) for item, w in zip(candidates, selection.weights, strict=True) if w > 0]
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
        "metrics": {"test_score": test_score, **figures},
    }


def _load_out_of_fold(
    candidates: Sequence[Mapping[str, Any]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the rows that all candidates predict, and their predictions there, shape (m, n, ...)."""
    arrays = [np.load(Path(item["folder"]) / "oof.npy", allow_pickle=False) for item in candidates]
    covered = np.ones(len(arrays[0]), dtype=bool)
    for array in arrays:
        covered &= np.isfinite(array).reshape(len(array), -1).all(axis=1)
    rows = np.flatnonzero(covered)
    return rows, np.stack([array[rows].astype(np.float64) for array in arrays])


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
