"""The numbers of a run's report, gathered from its ledger and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright._base.jsonform import loads
from modelwright.analysis.confusion import confusion
from modelwright.analysis.history import score_history
from modelwright.analysis.report_data import ModelRow, Note, ReportData
from modelwright.analysis.residuals import residuals
from modelwright.automl.bundle.write import library_versions
from modelwright.automl.folder import RunFolder
from modelwright.automl.leaderboard import Leaderboard, build_leaderboard, open_run
from modelwright.automl.prepare import Prepared, open_prepared
from modelwright.records import Trial
from modelwright.storage.base import Storage, StudyRecord

__all__ = ["collect_report"]

_STRATEGIES = {"holdout": "a part of the rows is set aside", "given": "rows to validate on were given"}


def collect_report(run: Path) -> ReportData:
    """Return all that the report of the run in a folder shows.

    Raises
    ------
    InputError
        The folder holds no run.
    """
    folder, content, storage = open_run(run)
    try:
        record = storage.study(content["study"])
        trials = storage.trials(record.id)
        board = build_leaderboard(folder, content, storage)
        prepared = open_prepared(folder.data)
        return _gather(folder, content, storage, record, trials, board, prepared)
    finally:
        storage.close()


def _gather(
    folder: RunFolder,
    content: Mapping[str, Any],
    storage: Storage,
    record: StudyRecord,
    trials: Sequence[Trial],
    board: Leaderboard,
    prepared: Prepared,
) -> ReportData:
    ensembles = storage.ensembles(record.id)
    members = dict(ensembles[-1].members) if ensembles else {}
    chosen = [(trial, members[trial.number]) for trial in trials if trial.number in members]
    judged_on, true, predicted = _judged(folder, prepared, chosen)
    classifies = prepared.schema.task != "regression"
    return ReportData(
        title=str(content["table"]),
        created=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        task=prepared.schema.task,
        target=prepared.schema.target,
        metric=board.metric,
        direction=board.direction,
        models=[_model_row(row) for row in board.rows],
        ensemble_score=ensembles[-1].score if ensembles else None,
        test_score=board.test_score,
        dummy_score=board.dummy_test_score,
        trials=board.counts,
        history=score_history(
            trials,
            record.spec.objectives[0],
            ensembles=[(ensemble.created_us, ensemble.score) for ensemble in ensembles],
        ),
        confusion=(
            confusion(true, predicted.argmax(axis=1), prepared.schema.classes)
            if classifies and true is not None
            else None
        ),
        residuals=None if classifies or true is None else residuals(true, predicted),
        judged_on=judged_on,
        importances=_importances(folder, prepared, chosen),
        rows=prepared.dataset.n_examples,
        columns=Counter(column.kind for column in prepared.schema.columns),
        notes=[Note(item.level, item.column or "", item.message) for item in prepared.findings],
        failures=[
            Note(trial.failure.kind.value, f"trial {trial.number}", trial.failure.message)
            for trial in trials
            if trial.failure is not None
        ],
        settings=_settings(content, record, prepared),
        versions=library_versions([".skops", ".txt"]),
    )


def _settings(content: Mapping[str, Any], record: StudyRecord, prepared: Prepared) -> dict[str, str]:
    """Return what the run was asked to do, or has chosen by itself, and with which means."""
    meta, attrs = prepared.store.meta, record.user_attrs
    budget = [
        "" if attrs.get("budget_s") is None else f"{attrs['budget_s']:g} s",
        "" if record.budget.trials is None else f"{record.budget.trials:,} trials",
    ]
    memory_mb = attrs.get("memory_mb")
    settings = {
        **content["settings"],
        "metric": content["metric"],
        "task": content["task"],
        "methods": ", ".join(record.spec.optimizer.options.get("methods") or ()),
        "folds": meta["folds"] if meta["strategy"] == "cv" else f"none: {_STRATEGIES[meta['strategy']]}",
        "budget": ", ".join(filter(None, budget)),
        "jobs": attrs.get("jobs"),
        "memory of a trial": None if memory_mb is None else f"{memory_mb:,.0f} MB",
    }
    return {name: str(value) for name, value in settings.items() if value not in (None, "")}


def _model_row(row: Any) -> ModelRow:
    names = (
        "rank",
        "model",
        "score",
        "score_std",
        "test_score",
        "fit_s",
        "predict_s",
        "size_bytes",
        "partition",
    )
    return ModelRow(**{name: getattr(row, name) for name in names})


def _judged(
    folder: RunFolder, prepared: Prepared, chosen: Sequence[tuple[Trial, float]]
) -> tuple[str, NDArray[Any] | None, NDArray[Any]]:
    """Return which rows the ensemble is judged on, the truth there, and what it predicts."""
    store = prepared.store
    nothing = "", None, np.empty(0)
    if not chosen:
        return nothing
    name, what = ("oof.npy", "validation rows") if store.y_test is None else ("test.npy", "test rows")
    truth = np.asarray(store.y if store.y_test is None else store.y_test)
    total = sum(weight for _, weight in chosen)
    try:
        mixed = sum(
            weight / total * np.load(folder.trial(trial.number, trial.fence) / name, allow_pickle=False)
            for trial, weight in chosen
        )
    except FileNotFoundError:
        return nothing  # the trials' files have been cleared away; the rest of the report stands
    predicted = np.asarray(mixed, dtype=float)
    covered = np.isfinite(predicted.reshape(len(predicted), -1)).all(axis=1)
    return what, truth[covered], predicted[covered]


def _importances(
    folder: RunFolder, prepared: Prepared, chosen: Sequence[tuple[Trial, float]]
) -> list[tuple[str, float]]:
    """Return the ensemble's importances by column of the table: its members' own, averaged by weight."""
    total = np.zeros(len(prepared.encoder.features))
    for trial, weight in chosen:
        try:
            stored = loads((folder.trial(trial.number, trial.fence) / "metrics.json").read_bytes())
        except FileNotFoundError:
            continue
        own = np.asarray(stored.get("importance") or [], dtype=float)
        if own.shape == total.shape and own.sum() > 0:
            total += weight * own / own.sum()
    by_column: dict[str, float] = {}
    for source, value in zip(prepared.encoder.sources, total, strict=True):
        by_column[source] = by_column.get(source, 0.0) + float(value)
    whole = sum(by_column.values())
    if whole <= 0:
        return []
    return sorted(((name, value / whole) for name, value in by_column.items()), key=lambda item: -item[1])
