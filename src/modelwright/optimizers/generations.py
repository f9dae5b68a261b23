"""Which finished trials form which generation, and what is known after each.

An optimizer with a population is a function of the history: a generation is so many rows that teach, in the
history's order, whoever proposed them. So results may come in any order, some may fail, and a study may have
begun under another optimizer. Lost and killed trials say nothing and belong to no generation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from modelwright.records import History, TrialState

__all__ = ["Generations", "Worth", "worth"]

State = TypeVar("State")
Rows = NDArray[np.intp]

Worth = tuple[float, ...]
"""What rows are compared by; the smaller the better."""


class Generations(Generic[State]):
    """The state of a population, taken on generation by generation as the history grows.

    Parameters
    ----------
    first : object
        The state before any result. States are values: a step returns another one.
    size : callable
        From a state to the number of rows in the next generation, at least 1.
    step : callable
        From a state, the history and the rows of a generation to the next state.

    Notes
    -----
    Each row is read once. Another history, or one that has become shorter, is read from the start.

    Examples
    --------
    >>> from modelwright.records import History, Objective, Trial, TrialState
    >>> from modelwright.space import Float, Space
    >>> history = History(Space(x=Float(0, 1)), [Objective()])
    >>> history.add(Trial(k, TrialState.COMPLETE, {"x": 0.1 * k}, (0.0,)) for k in range(8))
    >>> generations = Generations((), lambda state: 3, lambda state, history, rows: (*state, rows.tolist()))
    >>> generations.after(history)
    ([0, 1, 2], [3, 4, 5])
    """

    def __init__(
        self,
        first: State,
        size: Callable[[State], int],
        step: Callable[[State, History, Rows], State],
    ) -> None:
        self._first = first
        self._size = size
        self._step = step
        self._begin(None)

    def _begin(self, history: History | None) -> None:
        self._history = history
        self._read = 0
        self._open: list[int] = []
        self._state = self._first

    def after(self, history: History) -> State:
        """Return the state after the last generation that is whole."""
        if history is not self._history or len(history) < self._read:
            self._begin(history)
        for row in range(self._read, len(history)):
            failure = history.trials[row].failure
            if failure is None or failure.kind.teaches:
                self._open.append(row)
            if len(self._open) >= self._size(self._state):
                rows = np.array(self._open, dtype=np.intp)
                self._open = []
                self._state = self._step(self._state, history, rows)
        self._read = len(history)
        return self._state


def worth(history: History, row: int) -> Worth:
    """Return what a row is compared by, by the first objective.

    Complete trials come first, by loss. Pruned ones follow: who came farther is better, then whose last
    report is lower. Failures, and values that are NaN, come last and are all alike.
    """
    trial = history.trials[row]
    loss = float(history.losses[row, 0])
    if trial.state is TrialState.COMPLETE and not isnan(loss):
        return (0.0, loss)
    if trial.state is TrialState.PRUNED:
        reports = history.reports(trial.number)
        step, last = reports[-1] if reports else (-inf, loss)
        return (1.0, -step, inf if isnan(last) else last)
    return (2.0,)
