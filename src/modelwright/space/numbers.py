"""Real and whole numbers in a range."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import SpaceError
from modelwright.space.intervals import Number, steps_between
from modelwright.space.labels import native
from modelwright.space.parameters import When
from modelwright.space.priors import Near

__all__ = ["Float", "Int"]

# Beyond these, positions in the unit interval no longer tell neighbouring grid values apart.
_MOST_VALUES = 2**44
_LARGEST_INT = 2**53
# Powers of ten up to here are exact as floats, so a quotient by one is the nearest float to the decimal.
_MOST_DIGITS = 15


class Float(Number):
    """A real number.

    Parameters
    ----------
    low, high : float
        Both belong to the range.
    log : bool, default=False
        Whether the logarithm is spread evenly; needs ``low > 0``.
    step : float, optional
        Only ``low, low + step, ...`` up to `high`; decimal steps give decimal values (0.3, never
        0.30000000000000004).
    default : float, optional
        The value of the prior, or the centre (with `log` that of the logarithm), unless given.
    prior : Near or float, optional
        Near which value good ones are believed to be.
    when : mapping, optional
        Parents and the values under which the parameter is active.

    Examples
    --------
    >>> from modelwright.space import Float
    >>> round(Float(1e-4, 1.0, log=True).decode(0.5), 6)
    0.01
    >>> [Float(0, 1, step=0.1).at(i) for i in (0, 3, 10)]
    [0.0, 0.3, 1.0]
    """

    type: ClassVar[str] = "float"

    def __init__(
        self,
        low: float,
        high: float,
        *,
        log: bool = False,
        step: float | None = None,
        default: float | None = None,
        prior: Near | float | None = None,
        when: Mapping[str, Any] | None = None,
    ) -> None:
        low, high = _real(low, "low"), _real(high, "high")
        step = None if step is None else _real(step, "step")
        self._check_range(low, high, log, step)
        if not math.isfinite(high - low):
            raise SpaceError(
                f"the range from {low!r} to {high!r} is wider than a float can hold.",
                hint="Narrow it, or search an exponent.",
                code="E_RANGE",
            )
        self._fill(low=low, high=high, log=log, step=step, when=When(when), _stated_step=step, size=None)
        if step is not None:
            self._fill(**_decimal_grid(low, high, step))
        if not log:
            self._fill(_origin=low, _span=high - low)
        elif step is None:
            self._fill(_origin=math.log(low), _span=math.log(high) - math.log(low))
        else:
            assert self.size is not None
            start, span = self._log_edges(step, self.at(self.size - 1))
            self._fill(_origin=start, _span=span)
        self._start(default, prior)

    def decode(self, u: float) -> float:
        if self.size is not None:
            return self.at(self.slot(u))  # type: ignore[no-any-return]
        if u <= 0.0:
            return self.low  # type: ignore[no-any-return]
        if u >= 1.0:
            return self.high  # type: ignore[no-any-return]
        x = math.exp(self._origin + u * self._span) if self.log else self.low + u * self._span
        return min(max(x, self.low), self.high)  # type: ignore[no-any-return]

    def normal(self, value: Any) -> float:
        value = native(value)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise ValueError(f"expected a number, got {value!r}")
        if not self.low <= value <= self.high:
            raise self._outside(value)
        real = float(value) + 0.0  # -0.0 and 0.0 are one value
        if self.size is None:
            return real
        nearest: float = self.at(min(self.slot_of(real), self.size - 1))
        if abs(nearest - real) > 1e-6 * self.step + 4 * math.ulp(real):
            raise ValueError(f"expected {self.low!r} plus a multiple of {self.step!r}, got {value!r}")
        return nearest

    def column(self, values: list[Any]) -> NDArray[np.float64]:
        return _numbers(values).astype(float, copy=False)


class Int(Number):
    """A whole number.

    Parameters
    ----------
    low, high : int
        Both belong to the range.
    log : bool, default=False
        Whether the logarithm is spread evenly; needs ``low > 0``.
    step : int, optional
        Only ``low, low + step, ...`` up to `high`.
    default : int, optional
        The value of the prior, or the centre, unless given.
    prior : Near or float, optional
        Near which value good ones are believed to be.
    when : mapping, optional
        Parents and the values under which the parameter is active.

    Examples
    --------
    >>> from modelwright.space import Int
    >>> Int(16, 128, step=16).size
    8
    >>> Int(1, 1000, log=True).decode(0.5)
    22
    """

    type: ClassVar[str] = "int"
    size: int

    def __init__(
        self,
        low: int,
        high: int,
        *,
        log: bool = False,
        step: int | None = None,
        default: int | None = None,
        prior: Near | float | None = None,
        when: Mapping[str, Any] | None = None,
    ) -> None:
        low, high = _whole(low, "low"), _whole(high, "high")
        step = None if step is None else _whole(step, "step")
        self._check_range(low, high, log, step)
        stride = step or 1
        size = (high - low) // stride + 1
        if max(-low, high) > _LARGEST_INT or size > _MOST_VALUES:
            raise SpaceError(
                f"expected at most {_MOST_VALUES:,} integers within ±2**53, got the range {low} to {high}.",
                hint="Use Float and round in the objective.",
                code="E_RANGE",
            )
        self._fill(low=low, high=high, log=log, step=stride, _stated_step=step, when=When(when), size=size)
        self._fill(_first=low, _stride=stride, _scale=1)
        if log:
            start, span = self._log_edges(stride, low + (size - 1) * stride)
            self._fill(_origin=start, _span=span)
        self._start(default, prior)

    def decode(self, u: float) -> int:
        return self.low + self.slot(u) * self.step  # type: ignore[no-any-return]

    def at(self, slot: int) -> int:
        return self.low + slot * self.step  # type: ignore[no-any-return]

    def slot_of(self, value: Any) -> int:
        return (value - self.low) // self.step  # type: ignore[no-any-return]

    def normal(self, value: Any) -> int:
        value = native(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"expected a whole number, got {value!r}")
        if not self.low <= value <= self.high:
            raise self._outside(value)
        if (value - self.low) % self.step:
            raise ValueError(f"expected {self.low} plus a multiple of {self.step}, got {value}")
        return value

    def column(self, values: list[Any]) -> NDArray[np.int64]:
        return _numbers(values).astype(np.int64, copy=False)

    def _column_at(self, slots: NDArray[Any]) -> NDArray[Any]:
        column: NDArray[Any] = self.low + slots.astype(np.int64) * self.step
        return column

    def slots(self, column: NDArray[Any]) -> NDArray[Any]:
        slots: NDArray[Any] = (column - self.low) // self.step
        return slots


def _real(value: Any, name: str) -> float:
    value = native(value)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise SpaceError(f"expected {name} to be a number, got {value!r}.", code="E_RANGE")
    try:
        real = float(value)
    except OverflowError:
        real = math.inf
    if not math.isfinite(real):
        raise SpaceError(f"expected {name} to be a finite number, got {value!r}.", code="E_RANGE")
    return real + 0.0


def _whole(value: Any, name: str) -> int:
    value = native(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpaceError(
            f"expected {name} to be a whole number, got {value!r}.",
            hint="Use Float for fractions.",
            code="E_RANGE",
        )
    return value


def _numbers(values: list[Any]) -> NDArray[Any]:
    """Return numbers as an array; numpy itself would read texts as numbers, too."""
    column = np.array(values)
    if len(values) and column.dtype.kind not in "biuf":
        raise TypeError("expected numbers alone")
    return column


def _decimal_grid(low: float, high: float, step: float) -> dict[str, Any]:
    """Return size, first, stride and scale of the grid, in units of its last decimal if exact."""
    from decimal import Decimal  # few spaces have steps

    exact_low, exact_step = Decimal(repr(low)), Decimal(repr(step))
    size = steps_between(low, high, step) + 1
    if size > _MOST_VALUES:
        raise SpaceError(
            f"expected a step that gives at most {_MOST_VALUES:,} values, got {step!r}.",
            hint="Leave the step out.",
            code="E_RANGE",
        )
    digits = max(0, *(-int(number.normalize().as_tuple().exponent) for number in (exact_low, exact_step)))
    if digits <= _MOST_DIGITS and max(abs(low), abs(high)) * 10.0**digits < _LARGEST_INT:
        scale = 10**digits
        return {
            "size": size,
            "_first": int(exact_low * scale),
            "_stride": int(exact_step * scale),
            "_scale": scale,
        }
    return {"size": size, "_first": low, "_stride": step, "_scale": 1.0}
