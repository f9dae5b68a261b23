"""Ranges that end too early: the best trials sit at the end of one, so better ones may lie beyond it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, comb, floor, log10
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelwright.analysis.searched import Searched, found_by
from modelwright.errors import SpaceError
from modelwright.space import Float, Int

__all__ = ["EdgeWarning", "edge_warnings"]

Number = Float | Int
End = Literal["lower", "upper"]

_FEWEST_TIMES = 2  # so many times as many trials as are called the best, or the best are not so good
_ZONE = 0.05  # of the range: who is in there sits at its end
_SHARE = 0.6
_BY_CHANCE = 0.01
_FEWEST_VALUES = 3  # with two, each is an end


@dataclass(frozen=True, slots=True)
class EdgeWarning:
    """A parameter whose best values sit at the end of its range.

    Attributes
    ----------
    name : str
        The parameter.
    end : {"lower", "upper"}
        Of its range.
    bound : float
        Where the range ends.
    count : int
        How many of the best trials sit there,
    best : int
        of so many that have the parameter.
    proposal : (float, float), optional
        A wider range; None where nothing lies beyond, as below the 1 of a logarithmic whole number.
    """

    name: str
    end: End
    bound: float
    count: int
    best: int
    proposal: tuple[float, float] | None

    def __str__(self) -> str:
        text = f"{self.count} of the {self.best} best have {self.name} at the {self.end} end, {self.bound:g}"
        if self.proposal is None:
            return text
        return f"{text}; widen to {self.proposal[self.end == 'upper']:g}"


def edge_warnings(searched: Searched, *, best: int = 10) -> list[EdgeWarning]:
    """Return the numbers whose best values sit at an end of their range, in the order of the space.

    Parameters
    ----------
    searched : Study or History
        Its complete trials count; there must be twice as many as `best`.
    best : int, default=10
        How many trials are called the best.

    Notes
    -----
    At the end is who lies in the last twentieth of the range (by ratios, if it is logarithmic), or has the
    last value. A warning needs 60 % of the best there, and a chance below 1 % that so many random ones are.

    Examples
    --------
    >>> from modelwright.records import History, Objective, Trial, TrialState
    >>> from modelwright.space import Space
    >>> history = History(Space(lr=Float(1e-5, 0.1, log=True)), [Objective()])
    >>> rates = np.geomspace(1e-5, 0.1, 200)
    >>> history.add(Trial(k, TrialState.COMPLETE, {"lr": r}, (-r,)) for k, r in enumerate(rates.tolist()))
    >>> print(*edge_warnings(history))
    10 of the 10 best have lr at the upper end, 0.1; widen to 0.3
    """
    found = found_by(searched)
    if best < 1 or len(found) < _FEWEST_TIMES * best:
        return []
    rows = found.X[found.best(best)]
    warnings = []
    for j, (name, parameter) in enumerate(found.space.parameters.items()):
        if not isinstance(parameter, Number) or (parameter.size or _FEWEST_VALUES) < _FEWEST_VALUES:
            continue
        column = rows[~np.isnan(rows[:, j]), j]
        for end in _ends_full(parameter, column):
            count = int(_at_end(parameter, column, end).sum())
            bound = parameter.low if end == "lower" else parameter.high
            warnings.append(EdgeWarning(name, end, bound, count, len(column), widened(parameter, end)))
    return warnings


def _ends_full(parameter: Number, column: NDArray[np.float64]) -> list[End]:
    ends: list[End] = []
    for end in ("lower", "upper"):
        count, n = int(_at_end(parameter, column, end).sum()), len(column)
        zone = _zone(parameter, end)
        by_chance = sum(comb(n, k) * zone**k * (1 - zone) ** (n - k) for k in range(count, n + 1))
        if count >= _SHARE * n and by_chance < _BY_CHANCE:
            ends.append(end)
    return ends


def _zone(parameter: Number, end: End) -> float:
    """Return the width of an end in the unit interval: a share of the range, or that of the last value."""
    if parameter.size is None:
        return _ZONE
    if not parameter.log:
        return max(_ZONE, 1.0 / parameter.size)
    last, next_to_it = (0, 1) if end == "lower" else (parameter.size - 1, parameter.size - 2)
    # Values on a logarithmic grid stand at their own logarithm; what is nearer to the last is it.
    a, b = parameter.encode(parameter.at(last)), parameter.encode(parameter.at(next_to_it))
    return max(_ZONE, (a + b) / 2 if end == "lower" else 1.0 - (a + b) / 2)


def _at_end(parameter: Number, column: NDArray[np.float64], end: End) -> NDArray[np.bool_]:
    zone = _zone(parameter, end)
    return column <= zone if end == "lower" else column >= 1.0 - zone


def widened(parameter: Number, end: End) -> tuple[float, float] | None:
    """Return a wider range: a logarithmic one by an eighth of its decades or half of one, others by half.

    Whole numbers stay whole, steps are kept, and what was not negative stays so. None where nothing is won.
    """
    low, high = parameter.low, parameter.high
    if parameter.log:
        factor = 10 ** max(0.5, log10(high / low) / 8)
        bound = low / factor if end == "lower" else high * factor
    else:
        bound = low - (high - low) / 2 if end == "lower" else high + (high - low) / 2
        if low >= 0 and end == "lower":
            bound = max(bound, 0.0)
    bound = _on_grid(parameter, float(f"{bound:.{0 if parameter.log else 1}e}"), end)
    proposal = (bound, high) if end == "lower" else (low, bound)
    return proposal if _holds(proposal, parameter) else None


def _holds(proposal: tuple[float, float], parameter: Number) -> bool:
    """Return whether there is such a range, and more in it than in the parameter's."""
    low, high = proposal
    if not low < high or proposal == (parameter.low, parameter.high):
        return False
    try:
        if isinstance(parameter, Int):
            wider: Number = Int(int(low), int(high), log=parameter.log, step=parameter.step)
        else:
            wider = Float(low, high, log=parameter.log, step=parameter.step)
    except (SpaceError, OverflowError):  # too wide for a float, or too many values
        return False
    return bool(wider.low <= parameter.low and parameter.high <= wider.high)


def _on_grid(parameter: Number, bound: float, end: End) -> float:
    """Return `bound` as so many steps beyond the range, at least one; a logarithm needs more than 0."""
    step = parameter.step
    if step is None:
        return bound
    at = parameter.low if end == "lower" else parameter.at((parameter.size or 1) - 1)
    steps = floor((at - bound) / step + 1e-9) if end == "lower" else ceil((bound - at) / step - 1e-9)
    moved = at - steps * step if end == "lower" else at + steps * step
    while parameter.log and moved <= 0:
        moved += step
    return float(f"{moved:.12g}")
