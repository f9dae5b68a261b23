"""What the trials of a history say, for models of the values: which came to one, and which failed."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from modelwright.records import FailureKind, History, Trial, TrialState

__all__ = ["Evidence", "WayToFail"]

_DEAR = (FailureKind.TIMEOUT, FailureKind.MEMORY)
_LEARNED = 3  # failures of a group, from which on it has a model of its own
_LARGEST = 1e150  # its square is still a number


@dataclass
class _Known:
    """What has been read of one history."""

    history: History
    rows: int = 0
    valued: list[int] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)
    complete: list[bool] = field(default_factory=list)
    sorted: list[list[float]] = field(default_factory=list)  # of the complete ones, for each objective
    failed: list[int] = field(default_factory=list)
    dear: list[bool] = field(default_factory=list)  # whether these took too much, of time or memory


class WayToFail:
    """Trials that failed in one way, beside those that worked.

    Parameters
    ----------
    name : str
        "cost" for trials that took too much time or memory, "validity" for all others, "any" for all.
    worked, failed : array of int
        Rows of a history, ascending. Who failed in another way did not come to the point of failing in this
        one, and is in neither.

    Attributes
    ----------
    rows : array of int, shape (r,)
        All of them, ascending.
    works : array of bool, shape (r,)
        Which of them worked.
    """

    def __init__(self, name: str, worked: NDArray[np.intp], failed: NDArray[np.intp]) -> None:
        self.name = name
        self.rows = np.sort(np.concatenate([worked, failed]))
        self.works = np.isin(self.rows, worked, assume_unique=True)


class Evidence:
    """Reads the losses of a history, and goes on where it stopped.

    A complete trial has its losses. A pruned one has those of its last report, but none below the median of
    the complete trials before it: it was stopped because it did not look better. One that has not reported
    all of several objectives says nothing. Failures that teach, and losses of which one is no finite number,
    are failures: too much time or memory is about the size of what was tried, all else about whether it makes
    sense, so these are learned apart as soon as there is enough of each. Lost and killed trials say nothing.
    What a row says depends on the rows before it alone.

    Examples
    --------
    >>> from modelwright.records import Objective
    >>> from modelwright.space import Float, Space
    >>> space, objectives = Space(x=Float(0, 1)), [Objective()]
    >>> history = History(space, objectives)
    >>> history.add([Trial(0, TrialState.COMPLETE, {"x": 0.5}, (3.0,))])
    >>> evidence = Evidence()
    >>> evidence.read(history)
    >>> evidence.valued.tolist(), evidence.losses.tolist(), evidence.failed.tolist()
    ([0], [3.0], [])
    """

    def __init__(self) -> None:
        self._known: _Known | None = None

    def read(self, history: History) -> None:
        """Take in what is new."""
        known = self._known
        if known is None or known.history is not history or len(history) < known.rows:
            known = self._known = _Known(history)
        losses = history.losses
        for row in range(known.rows, len(history)):
            self._add(known, row, history.trials[row], losses[row].tolist())
        known.rows = len(history)

    def _add(self, known: _Known, row: int, trial: Trial, losses: list[float]) -> None:
        if trial.failure is not None:
            if trial.failure.kind.teaches:
                known.failed.append(row)
                known.dear.append(trial.failure.kind in _DEAR)
            return
        if trial.state is TrialState.PRUNED:
            losses = [_bound(known, trial, j, loss) for j, loss in enumerate(losses)]
        if not all(map(isfinite, losses)):
            if len(losses) == 1 or trial.state is TrialState.COMPLETE:
                known.failed.append(row)
                known.dear.append(False)
            return
        losses = [min(max(loss, -_LARGEST), _LARGEST) for loss in losses]
        known.valued.append(row)
        known.losses.append(losses)
        known.complete.append(trial.state is TrialState.COMPLETE)
        if known.complete[-1]:
            known.sorted = known.sorted or [[] for _ in losses]
            for ordered, loss in zip(known.sorted, losses, strict=True):
                insort(ordered, loss)

    @property
    def valued(self) -> NDArray[np.intp]:
        """Rows with a loss, ascending, shape (v,)."""
        return np.array(self._known.valued if self._known else [], dtype=np.intp)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Their losses in the first objective, shape (v,)."""
        return np.array([losses[0] for losses in self._known.losses] if self._known else [], dtype=float)

    @property
    def all_losses(self) -> NDArray[np.float64]:
        """Their losses in all objectives, shape (v, m)."""
        return np.array(self._known.losses if self._known else [], dtype=float)

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which of them are of complete trials, shape (v,)."""
        return np.array(self._known.complete if self._known else [], dtype=bool)

    @property
    def failed(self) -> NDArray[np.intp]:
        """Rows that failed, ascending."""
        return np.array(self._known.failed if self._known else [], dtype=np.intp)

    def suffices(self, wanted: int) -> bool:
        """Whether there is enough for a model: so many trials that say something, one of them a value."""
        return len(self.valued) + len(self.failed) >= wanted and len(self.valued) > 0

    @property
    def ranked(self) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """All rows that say something, ascending, and their losses; infinite for those that failed."""
        rows = np.concatenate([self.valued, self.failed])
        losses = np.concatenate([self.losses, np.full(len(self.failed), np.inf)])
        order = np.argsort(rows)
        return rows[order], losses[order]

    @property
    def ways_to_fail(self) -> list[WayToFail]:
        """What the failures say: one entry for all, or one per group where both groups are learned."""
        failed = self.failed
        dear = np.array(self._known.dear if self._known else [], dtype=bool)
        groups = {"cost": failed[dear], "validity": failed[~dear]}
        if min(map(len, groups.values())) < _LEARNED:
            groups = {"any": failed}
        return [WayToFail(name, self.valued, rows) for name, rows in groups.items() if len(rows)]


def _bound(known: _Known, trial: Trial, j: int, loss: float) -> float:
    """Return what a pruned trial says of objective `j`; `loss` is what it ended with."""
    reports = known.history.reports(trial.number, known.history.objectives[j].name)
    loss = reports[-1][1] if reports else loss
    return max(loss, known.sorted[j][len(known.sorted[j]) // 2]) if known.sorted else loss
