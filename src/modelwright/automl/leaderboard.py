"""Every model of a run in one table, the ensemble included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelwright.automl.folder import RunFolder
from modelwright.errors import InputError, StudyStateError
from modelwright.records import StudyState, Trial, TrialState
from modelwright.storage import open_existing
from modelwright.storage.base import EnsembleRecord, Partition, Storage

__all__ = ["Leaderboard", "Row", "build_leaderboard", "open_run", "read_leaderboard", "state_name"]


ENSEMBLE = "ensemble"
"""What the ensemble is called among the models."""

NOT_RUN = "not run"
"""What trials are called that a complete study leaves waiting."""


@dataclass(frozen=True, slots=True)
class Row:
    """One model.

    Attributes
    ----------
    rank : int
        1 is best by `score`.
    model : str
        ``"ensemble"``, or method and trial number such as ``"lgbm-12"``.
    score, score_std : float
        On validation rows: mean and population deviation over folds, in the metric's own direction.
    test_score : float, optional
        On rows that the search never saw.
    fit_s, predict_s : float, optional
        Seconds to fit all folds, and to predict the validation rows.
    size_bytes : int, optional
        Of the model's files.
    partition : str
        The method with its categorical choices.
    """

    rank: int
    model: str
    score: float
    score_std: float | None
    test_score: float | None
    fit_s: float | None
    predict_s: float | None
    size_bytes: int | None
    partition: str
    trial: int | None = None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """A run's models, best first, with what a person wants to know about the run.

    Attributes
    ----------
    rows : sequence of Row
        Best first.
    counts : mapping of str to int
        Trials by state, named as `state_name` does.
    failures : mapping of str to int
        Failed trials by kind.
    test_score, dummy_test_score : float, optional
        Of the saved model, and of the same guess for each row.
    bundle, report : str
        Where they lie, or will lie.
    study, storage : str
        Name and address of the ledger's study, for `modelwright studies`.
    complete : bool
        Whether nothing is left to do within the budget.
    """

    metric: str
    direction: str
    rows: Sequence[Row]
    counts: Mapping[str, int]
    failures: Mapping[str, int]
    test_score: float | None
    dummy_test_score: float | None
    bundle: str
    report: str
    study: str
    storage: str
    complete: bool

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return asdict(self)

    def check_found(self) -> None:
        """Raise if there is no model, and say what came of the trials.

        Raises
        ------
        StudyStateError
            Code ``E_NO_MODEL``.
        """
        if self.rows:
            return
        failed = ", ".join(f"{count} {kind}" for kind, count in sorted(self.failures.items()))
        if failed:
            why, hint = (
                f"all trials failed ({failed})",
                f"`modelwright studies show {self.study} --storage {self.storage}` says why.",
            )
        else:
            why, hint = "no trial was over in time", "Allow more with --time."
        raise StudyStateError(f"no model was found: {why}.", hint=hint, code="E_NO_MODEL")

    def headline(self) -> list[str]:
        """Return the lines that a fit with a model ends with."""
        saved = next((row for row in self.rows if row.model == ENSEMBLE), self.rows[0])
        single = next((row for row in self.rows if row.model != ENSEMBLE), self.rows[0])
        lines = [
            f"best single model: {single.model}, {self.metric} {single.score:.5g} on validation rows",
            f"saved: {saved.model} of {saved.partition}, {self.metric} {saved.score:.5g} on validation rows",
        ]
        if self.test_score is not None:
            beside = (
                "" if self.dummy_test_score is None else f" (a constant guess: {self.dummy_test_score:.5g})"
            )
            lines.append(f"test {self.metric} of the saved model: {self.test_score:.5g}{beside}")
        if Path(self.bundle).exists():
            lines.append(f"bundle: {self.bundle}")
        if Path(self.report).exists():
            lines.append(f"report: {self.report}")
        return lines


def open_run(run: Path) -> tuple[RunFolder, Mapping[str, Any], Storage]:
    """Open the run in a folder: its folder, what ``run.json`` says, and its ledger.

    Raises
    ------
    InputError
        The folder holds no run.
    """
    folder = RunFolder(run)
    content = folder.read() if folder.manifest.exists() else None
    if content is None:
        inside = [repr(str(found.parent)) for found in sorted(run.glob("*/run.json"))]
        some = " or ".join(inside[:3])
        hint = f"Did you mean {some}?" if some else "Give the folder that `modelwright fit` named."
        raise InputError(f"{str(run)!r} holds no run.", hint=hint, code="E_PATH")
    return folder, content, open_existing(content["storage"] or folder.ledger_url)


def read_leaderboard(run: Path) -> Leaderboard:
    """Return the leaderboard of the run in a folder; see `open_run` for what it refuses."""
    folder, content, storage = open_run(run)
    try:
        return build_leaderboard(folder, content, storage)
    finally:
        storage.close()


def build_leaderboard(folder: RunFolder, content: Mapping[str, Any], storage: Storage) -> Leaderboard:
    """Return the leaderboard of a run whose ledger is open."""
    record = storage.study(content["study"])
    trials = storage.trials(record.id)
    partitions = {partition.index: partition for partition in storage.partitions(record.id)}
    ensembles = storage.ensembles(record.id)
    direction = record.spec.objectives[0].direction
    rows = [_trial_row(trial, partitions) for trial in trials if trial.state is TrialState.COMPLETE]
    if ensembles:
        rows.append(_ensemble_row(ensembles[-1]))
    rows.sort(key=lambda row: row.score * record.spec.objectives[0].sign)
    return Leaderboard(
        metric=content["metric"],
        direction=direction,
        rows=[_ranked(row, rank) for rank, row in enumerate(rows, start=1)],
        counts=dict(Counter(state_name(trial.state, record.state) for trial in trials)),
        failures=dict(Counter(trial.failure.kind.value for trial in trials if trial.failure is not None)),
        test_score=ensembles[-1].metrics.get("test_score") if ensembles else None,
        dummy_test_score=content.get("dummy_test_score"),
        bundle=str(folder.bundle),
        report=str(folder.report),
        study=record.spec.name,
        storage=storage.url,
        complete=record.state.value == "complete",
    )


def state_name(trial: TrialState, study: StudyState) -> str:
    """Return the state of a trial for people, given that of its study.

    A study that is complete may leave trials waiting: the search ended before they could run. They are no
    work that is left, so they are called ``"not run"``.

    Examples
    --------
    >>> [state_name(TrialState.WAITING, study) for study in (StudyState.RUNNING, StudyState.COMPLETE)]
    ['waiting', 'not run']
    """
    return NOT_RUN if trial is TrialState.WAITING and study is StudyState.COMPLETE else trial.value


def _ranked(row: Row, rank: int) -> Row:
    return Row(**{**asdict(row), "rank": rank})


def _trial_row(trial: Trial, partitions: Mapping[int, Partition]) -> Row:
    metrics = trial.metrics
    partition = partitions.get(-1 if trial.partition is None else trial.partition)
    method = partition.method if partition else "?"
    return Row(
        rank=0,
        model=f"{method}-{trial.number}",
        score=trial.values[0],
        score_std=metrics.get("cv_std"),
        test_score=metrics.get("test_score"),
        fit_s=metrics.get("fit_s"),
        predict_s=metrics.get("predict_s"),
        size_bytes=metrics.get("size_bytes"),
        partition=describe_partition(partition),
        trial=trial.number,
    )


def _ensemble_row(ensemble: EnsembleRecord) -> Row:
    metrics = ensemble.metrics
    return Row(
        rank=0,
        model=ENSEMBLE,
        score=ensemble.score,
        score_std=None,
        test_score=metrics.get("test_score"),
        fit_s=metrics.get("fit_s"),
        predict_s=metrics.get("predict_s"),
        size_bytes=metrics.get("size_bytes"),
        partition="1 model" if len(ensemble.members) == 1 else f"{len(ensemble.members)} models",
    )


def describe_partition(partition: Partition | None) -> str:
    """Return a partition for people, such as ``"knn algorithm=brute weights=distance"``."""
    if partition is None:
        return ""
    choices = [f"{name}={value}" for name, value in sorted(partition.categoricals.items())]
    return " ".join([partition.method, *choices])
