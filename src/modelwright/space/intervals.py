"""Numbers in a range: continuous or on a grid, spread evenly or by their logarithm.

A number on a grid ``low + i * step`` is drawn by ``i``. Without a logarithm each of the k values owns the
k-th part of the unit interval. With one, the interval is the logarithm over [low - step/2, last + step/2] and
a value owns what rounds to it, so the first and the last get their fair share.
"""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import SpaceError
from modelwright.space.parameters import Kind, Parameter
from modelwright.space.priors import Near, read_near

__all__ = ["Number", "steps_between"]


def steps_between(low: float, high: float, step: float) -> int:
    """Return how many whole steps lead from `low` to `high`, to a billionth of a step.

    In decimals, because in floats 0.03 - 0.01 falls short of 0.02.

    >>> steps_between(0.01, 0.03, 0.02)
    1
    """
    from decimal import Decimal  # few spaces have steps

    exact_low, exact_high, exact_step = (Decimal(repr(number)) for number in (low, high, step))
    return int((exact_high - exact_low) / exact_step + Decimal("1e-9"))


class Number(Parameter):
    """What `Float` and `Int` share."""

    kind: Kind = "number"
    low: Any
    high: Any
    log: bool
    step: Any
    # Continuous: value = _origin + u * _span, in the logarithm if `log`.
    # On a grid: `size` values (_first + i * _stride) / _scale.
    _origin: float
    _span: float
    _first: float
    _stride: float
    _scale: float

    # single values -----------------------------------------------------------------------------------

    def slot(self, u: float) -> int:
        assert self.size is not None
        if not self.log:
            return min(int(max(u, 0.0) * self.size), self.size - 1)
        x = math.exp(self._origin + min(max(u, 0.0), 1.0) * self._span)
        return min(max(int((x - self.low) / self.step + 0.5), 0), self.size - 1)

    def slot_of(self, value: Any) -> int:
        slot: int = round((value - self.low) / self.step)
        return slot

    def at(self, slot: int) -> Any:
        return min((self._first + slot * self._stride) / self._scale, self.high)

    def encode(self, value: Any) -> float:
        if self.log:
            u = (math.log(value) - self._origin) / self._span
        elif self.size is None:
            u = (value - self.low) / self._span
        else:
            u = (self.slot_of(value) + 0.5) / self.size
        return min(max(u, 0.0), 1.0)

    # columns -----------------------------------------------------------------------------------------

    def decode_column(self, u: NDArray[Any]) -> NDArray[Any]:
        if self.size is None:
            x = _exp(self._origin + u * self._span) if self.log else self.low + u * self._span
            # As in `decode`: the ends of the interval are the bounds to the last bit.
            x = np.where(u <= 0.0, self.low, np.where(u >= 1.0, self.high, x))
            clipped: NDArray[Any] = np.clip(x, self.low, self.high)
            return clipped
        if self.log:
            slots = np.floor((_exp(self._origin + u * self._span) - self.low) / self.step + 0.5)
        else:
            slots = np.floor(u * self.size)
        return self._column_at(np.clip(slots, 0, self.size - 1))

    def encode_column(self, column: NDArray[Any]) -> NDArray[Any]:
        if self.log:
            u = (_log(column) - self._origin) / self._span
        elif self.size is None:
            u = (column - self.low) / self._span
        else:
            u = (self.slots(column) + 0.5) / self.size
        clipped: NDArray[Any] = np.clip(u, 0.0, 1.0)
        return clipped

    def _column_at(self, slots: NDArray[Any]) -> NDArray[Any]:
        column: NDArray[Any] = np.minimum((self._first + slots * self._stride) / self._scale, self.high)
        return column

    def slots(self, column: NDArray[Any]) -> NDArray[Any]:
        slots: NDArray[Any] = np.rint((column - self.low) / self.step)
        return slots

    def values(self, column: NDArray[Any]) -> list[Any]:
        listed: list[Any] = column.tolist()
        return listed

    def operand(self, column: NDArray[Any]) -> NDArray[Any]:
        return column.astype(float, copy=False)

    # JSON --------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        form: dict[str, Any] = {"type": self.type, "low": self.low, "high": self.high}
        if self.log:
            form["log"] = True
        if self._stated_step is not None:
            form["step"] = self._stated_step
        if self._stated_default is not None:
            form["default"] = self._stated_default
        if isinstance(self.prior, Near):
            form["prior"] = self.prior.to_json()
        if self.when:
            form["when"] = self.when.to_json()
        return form

    _stated_step: Any
    _stated_default: Any

    def _outside(self, value: Any) -> ValueError:
        return ValueError(f"expected a number from {self.low!r} to {self.high!r}, got {value!r}")

    def _check_range(self, low: Any, high: Any, log: Any, step: Any) -> None:
        if not low < high:
            hint = "Use Constant for a single value." if low == high else "Exchange the bounds."
            raise SpaceError(f"expected low < high, got {low!r} and {high!r}.", hint=hint, code="E_RANGE")
        if type(log) is not bool:
            raise SpaceError(f"expected log to be true or false, got {log!r}.", code="E_RANGE")
        if log and low <= 0:
            raise SpaceError(
                f"expected low > 0 with log=True, got {low!r}.",
                hint="Raise low, or leave log out.",
                code="E_RANGE",
            )
        if step is not None and (step <= 0 or steps_between(low, high, step) < 1):
            raise SpaceError(
                f"expected a step above 0 and not larger than the range, {high - low!r}, got {step!r}.",
                code="E_RANGE",
            )

    def _start(self, default: Any, prior: Any) -> None:
        """Fill in default and prior; bounds, steps and scale are there."""
        near = read_near(prior)
        if near is not None and not self.low <= near.value <= self.high:
            raise SpaceError(f"the prior does not fit: {self._outside(near.value)}.", code="E_PRIOR")
        if default is not None:
            try:
                default = self.normal(default)
            except ValueError as error:
                raise SpaceError(f"the default does not fit: {error}.", code="E_RANGE") from None
        start = self.decode(0.5) if near is None else self._nearest(near.value)
        self._fill(prior=near, _stated_default=default, default=start if default is None else default)

    def _nearest(self, value: Any) -> Any:
        """Return the value of the parameter that is nearest to a number within its bounds."""
        if self.size is None:
            return float(value)
        return self.at(min(max(self.slot_of(value), 0), self.size - 1))

    def _log_edges(self, step: Any, last: Any) -> tuple[float, float]:
        # Half a step below low, but never down to 0 where low is smaller than a step.
        start = math.log(self.low - min(step, self.low) / 2)
        return start, math.log(last + step / 2) - start


def _exp(column: NDArray[Any]) -> NDArray[np.float64]:
    # numpy's own exp differs in the last bit from one processor, and from one length, to the next; a
    # configuration must not depend on whether it was decoded alone or with others.
    return np.fromiter(map(math.exp, column.tolist()), float, len(column))


def _log(column: NDArray[Any]) -> NDArray[np.float64]:
    return np.fromiter(map(math.log, column.tolist()), float, len(column))
