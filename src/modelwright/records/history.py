"""What an optimizer or a scheduler may know: a columnar view of a study's trials, extended in place."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from modelwright.records.outcomes import OutcomeConstraint, violations_of
from modelwright.records.states import TrialState
from modelwright.records.study import Objective
from modelwright.records.table import TrialTable
from modelwright.records.trial import Report, Trial

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["History"]

T = TypeVar("T")
Pending = Sequence[tuple[int, Mapping[str, Any]]]

_ENCODED_AT_ONCE = 1000
_COMPLETE, _TEACHES = 1, 2  # bits of what a row is worth


class History:
    """Finished trials in a fixed order, pending ones, and reports.

    The order of the finished rows is part of what a study is: two processes that know of the same results
    hold them in the same order. Rows are only ever appended, so a cache that was built for the first n rows
    stays good.

    Parameters
    ----------
    space : Space
        The space that configurations are read and encoded with.
    objectives : sequence of Objective
        Their directions turn values into losses.
    outcome_constraints : sequence of OutcomeConstraint, optional
        What trials have to measure.
    table : TrialTable, optional
        Where its trials are kept: several histories of one study share a table. A new one by default.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        outcome_constraints: Sequence[OutcomeConstraint] | None = None,
        table: TrialTable | None = None,
    ) -> None:
        self.space = space
        self.objectives = tuple(objectives)
        self.outcome_constraints = tuple(outcome_constraints or ())
        self._table = TrialTable() if table is None else table
        self._numbers = array("q")
        self._worth = bytearray()
        self._pending: list[dict[str, Any]] = []
        self._pending_numbers: list[int] = []
        self._find_pending: Callable[[], Pending] | None = None
        self._row_of: dict[int, int] = {}
        self._reports: dict[int, dict[tuple[int | None, float], Mapping[str, float]]] = {}
        self._signs = np.array([objective.sign for objective in self.objectives])
        self._x = _Columns(len(space))
        self._losses = _Columns(len(self.objectives))
        self._violations = _Columns(len(self.outcome_constraints))

    # filling -----------------------------------------------------------------------------------------

    def add(self, trials: Iterable[Trial]) -> None:
        """Append finished trials, in the given order; those that are there already are passed over."""
        for trial in trials:
            if trial.number in self._row_of or trial.params is None:
                continue
            if trial.number not in self._table:
                self._table[trial.number] = trial
            self._row_of[trial.number] = len(self._numbers)
            self._numbers.append(trial.number)
            self._worth.append(
                _COMPLETE * (trial.state is TrialState.COMPLETE)
                | _TEACHES * (trial.failure is None or trial.failure.kind.teaches)
            )

    def _config(self, number: int) -> dict[str, Any]:
        params = self._table.params(number)
        assert params is not None  # such trials are not added
        return params if self.space.plain else self.space.load(params)

    def set_pending(self, pending: Pending | Callable[[], Pending]) -> None:
        """Replace the pending configurations; `pending` holds (number, configuration in JSON form).

        A function that returns them is called once somebody looks.
        """
        self._find_pending = pending if callable(pending) else lambda: pending

    def _look_at_pending(self) -> None:
        if self._find_pending is not None:
            ordered = sorted(self._find_pending(), key=lambda item: item[0])
            self._find_pending = None
            self._pending_numbers = [number for number, _ in ordered]
            self._pending = [self.space.load(params) for _, params in ordered]

    def add_reports(self, reports: Iterable[tuple[int, Report]]) -> None:
        """Take in reports; a later one for the same trial, fold and step replaces the earlier."""
        for number, report in reports:
            self._reports.setdefault(number, {})[(report.fold, report.step)] = report.values

    def respace(self, space: Space) -> History:
        """Return the same rows under another version of the space."""
        other = History(space, self.objectives, self.outcome_constraints, self._table)
        other._reports = self._reports
        other.add(self.trials)
        other._pending_numbers = list(self.pending_numbers)
        other._pending = list(self.pending)
        return other

    # reading -----------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def trials(self) -> Sequence[Trial]:
        """The finished trials themselves, each made when it is looked at."""
        return _Made(self._numbers, self._table.__getitem__)

    @property
    def configs(self) -> Sequence[dict[str, Any]]:
        """Configuration of each finished trial, real values, made when it is looked at."""
        return _Made(self._numbers, self._config)

    @property
    def pending(self) -> list[dict[str, Any]]:
        """Configurations that are proposed but not finished, by trial number."""
        self._look_at_pending()
        return self._pending

    @property
    def pending_numbers(self) -> list[int]:
        """Their trial numbers."""
        self._look_at_pending()
        return self._pending_numbers

    def row(self, number: int) -> int | None:
        """Return the row of a finished trial, None while it is not finished."""
        return self._row_of.get(number)

    @property
    def X(self) -> NDArray[np.float64]:
        """Finished configurations in the unit cube, shape (n, d); NaN where a parameter is inactive."""
        for begin in range(len(self._x), len(self), _ENCODED_AT_ONCE):
            self._x.extend(self.space.encode(self.configs[begin : begin + _ENCODED_AT_ONCE]))
        return self._x.view

    @property
    def pending_X(self) -> NDArray[np.float64]:
        """Pending configurations in the unit cube, shape (p, d)."""
        return self.space.encode(self.pending)

    @property
    def losses(self) -> NDArray[np.float64]:
        """Values with the sign that makes smaller better, shape (n, m); NaN where there is none."""
        have = len(self._losses)
        if have < len(self):
            m = len(self.objectives)
            found = map(self._table.results, self._numbers[have:])
            rows = [values if len(values) == m else (np.nan,) * m for values in found]
            self._losses.extend(np.asarray(rows, dtype=float).reshape(-1, m) * self._signs)
        return self._losses.view

    @property
    def violations(self) -> NDArray[np.float64]:
        """How far each outcome constraint is broken, shape (n, c); at most 0 where met, NaN where unknown."""
        if not self.outcome_constraints:
            return np.empty((len(self), 0))
        have = len(self._violations)
        if have < len(self.trials):
            new = [
                violations_of(trial, self.objectives, self.outcome_constraints)
                for trial in self.trials[have:]
            ]
            self._violations.extend(
                np.asarray(new, dtype=float).reshape(len(new), len(self.outcome_constraints))
            )
        return self._violations.view

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Which rows ended with values of full worth, shape (n,)."""
        return self._are(_COMPLETE)

    @property
    def teaches(self) -> NDArray[np.bool_]:
        """Which rows say something about their configuration: all but lost and killed ones, shape (n,)."""
        return self._are(_TEACHES)

    def _are(self, bit: int) -> NDArray[np.bool_]:
        bits = np.frombuffer(bytes(self._worth), np.uint8)
        return (bits & bit).astype(bool)

    def reports(self, number: int, name: str | None = None) -> list[tuple[float, float]]:
        """Return (step, loss) of one trial by step, folds averaged.

        Parameters
        ----------
        number : int
            The trial.
        name : str, optional
            Which reported value; the first objective's by default. A value that is no objective's keeps its
            sign.
        """
        wanted = name if name is not None else self.objectives[0].name
        signs = {objective.name: objective.sign for objective in self.objectives}
        by_step: dict[float, list[float]] = {}
        for (_, step), values in self._reports.get(number, {}).items():
            if wanted in values:
                by_step.setdefault(step, []).append(values[wanted] * signs.get(wanted, 1.0))
        return [(step, sum(values) / len(values)) for step, values in sorted(by_step.items())]

    def reported(self) -> list[int]:
        """Return the numbers of all trials with reports, ascending."""
        return sorted(self._reports)


class _Made(Sequence[T]):
    """The trials of some numbers, or what is in them, each made when it is looked at."""

    def __init__(self, numbers: Sequence[int], make: Callable[[int], T]) -> None:
        self._numbers = numbers
        self._make = make

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, row: int) -> T: ...

    @overload
    def __getitem__(self, row: slice) -> list[T]: ...

    def __getitem__(self, row: int | slice) -> T | list[T]:
        if isinstance(row, slice):
            return [self._make(number) for number in self._numbers[row]]
        return self._make(self._numbers[row])


class _Columns:
    """Rows of floats in a buffer that doubles, so that appending costs the same at any length."""

    def __init__(self, width: int) -> None:
        self._buffer = np.empty((16, width))
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def extend(self, rows: NDArray[np.float64]) -> None:
        need = self._length + len(rows)
        if need > len(self._buffer):
            grown = np.empty((max(need, 2 * len(self._buffer)), self._buffer.shape[1]))
            grown[: self._length] = self._buffer[: self._length]
            self._buffer = grown
        self._buffer[self._length : need] = rows
        self._length = need

    @property
    def view(self) -> NDArray[np.float64]:
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view
