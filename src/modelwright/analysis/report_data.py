"""What a report about a run of `fit` shows: plain values, so that drawing needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelwright.analysis.confusion import Confusion
from modelwright.analysis.history import ScoreHistory
from modelwright.analysis.residuals import Residuals

__all__ = ["ModelRow", "Note", "ReportData"]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A line of the leaderboard; None where something was not measured.

    Attributes
    ----------
    rank : int
        1 is best.
    model : str
        Such as ``"ensemble"`` or ``"lgbm-12"``.
    score, score_std : float
        Mean and deviation over the folds.
    test_score : float
        On rows that the search never saw.
    fit_s, predict_s : float
        Seconds.
    size_bytes : int
        Of the model's files.
    partition : str
        The method with its categorical choices, or what else describes the model.
    """

    rank: int
    model: str
    score: float
    score_std: float | None = None
    test_score: float | None = None
    fit_s: float | None = None
    predict_s: float | None = None
    size_bytes: int | None = None
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Something worth knowing: about the data, or a trial that failed.

    Attributes
    ----------
    level : str
        ``"info"``, ``"warning"`` or ``"error"``.
    where : str
        A column or a trial; "" for the whole.
    message : str
        In words.
    """

    level: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that a report shows.

    Attributes
    ----------
    title : str
        Such as the table's name.
    created : str
        When, as text.
    task, target, metric : str
        What is predicted, and what the search made best.
    direction : str
        ``"maximize"`` or ``"minimize"``.
    models : sequence of ModelRow
        The leaderboard, best first, the ensemble included.
    ensemble_score, test_score, dummy_score : float, optional
        Of the saved model on validation and on test rows, and of a constant guess on test rows.
    trials : mapping of str to int
        Number of trials by state.
    history : ScoreHistory, optional
        For the plot of scores over time.
    confusion : Confusion, optional
        For classes.
    residuals : Residuals, optional
        For values.
    judged_on : str
        The rows behind `confusion` or `residuals`, such as ``"test rows"``.
    importances : sequence of (str, float)
        By column of the table, the largest first.
    rows : int
        Number of rows of the table.
    columns : mapping of str to int
        Number of columns by kind.
    notes : sequence of Note
        What the checks of the table found.
    failures : sequence of Note
        Trials that failed, with their reasons.
    settings, versions : mapping of str to str
        For the record.
    """

    title: str
    created: str
    task: str
    target: str
    metric: str
    direction: str
    models: Sequence[ModelRow]
    ensemble_score: float | None = None
    test_score: float | None = None
    dummy_score: float | None = None
    trials: Mapping[str, int] = field(default_factory=dict)
    history: ScoreHistory | None = None
    confusion: Confusion | None = None
    residuals: Residuals | None = None
    judged_on: str = ""
    importances: Sequence[tuple[str, float]] = ()
    rows: int = 0
    columns: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[Note] = ()
    failures: Sequence[Note] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
