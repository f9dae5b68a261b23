"""What is believed of a parameter before any trial: where good values are, or how likely each choice is."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.errors import SpaceError
from modelwright.space.labels import native

__all__ = ["Near", "read_near", "read_weights"]


@dataclass(frozen=True, slots=True)
class Near:
    """Good values are believed to be near this one.

    Parameters
    ----------
    value : float
        The most likely value.
    spread : float, default=0.15
        The standard deviation of the belief as a share of the range, on the parameter's scale: with a
        logarithmic range of four decades 0.15 is a factor of 4 either way.

    Examples
    --------
    >>> from modelwright.space import Float, Near
    >>> Float(1e-5, 1e-1, log=True, prior=Near(3e-4, spread=0.1)).default
    0.0003
    """

    value: float
    spread: float = 0.15

    def __post_init__(self) -> None:
        for name in ("value", "spread"):
            number = native(getattr(self, name))
            if isinstance(number, bool) or not isinstance(number, numbers.Real) or not math.isfinite(number):
                raise _wrong(f"the {name} of a prior as a finite number", number)
            object.__setattr__(self, name, number)
        if not 0 < self.spread <= 1:
            raise _wrong("the spread of a prior above 0 and at most 1, as a share of the range", self.spread)

    def to_json(self) -> dict[str, float]:
        """Return the JSON form."""
        return {"near": self.value, "spread": self.spread}


def read_near(given: Any) -> Near | None:
    """Return the prior of a number: a `Near`, its JSON form, or the value alone.

    Raises
    ------
    SpaceError
        It is something else.
    """
    if given is None or isinstance(given, Near):
        return given
    if isinstance(given, Mapping):
        if not {"near"} <= given.keys() <= {"near", "spread"}:
            raise _wrong("a prior as {near: value, spread: share of the range}", dict(given))
        options = {"spread": given["spread"]} if "spread" in given else {}
        return Near(given["near"], **options)
    if isinstance(given, Sequence):
        raise _wrong("the prior of a number as a value or Near(value, spread)", given)
    return Near(given)


def read_weights(given: Any, size: int) -> tuple[float, ...] | None:
    """Return the prior of `size` choices: how likely each is, in any unit.

    Raises
    ------
    SpaceError
        It is no sequence of that many numbers above 0.
    """
    if given is None:
        return None
    wanted = f"a prior of {size} weights above 0, one for each choice in their order"
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence) or len(given) != size:
        raise _wrong(wanted, given)
    weights = [native(weight) for weight in given]
    for weight in weights:
        real = isinstance(weight, numbers.Real) and not isinstance(weight, bool)
        if not real or not math.isfinite(weight) or not weight > 0:
            raise _wrong(wanted, given, hint="Leave a choice out that cannot be good at all.")
    return tuple(float(weight) for weight in weights)


def _wrong(expected: str, came: Any, hint: str = "") -> SpaceError:
    return SpaceError(f"expected {expected}, got {came!r:.80}.", hint=hint, code="E_PRIOR")
