"""One hyperparameter as a method file declares it: its type, and its range or values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelwright._base.registry import nearest
from modelwright.errors import InputError
from modelwright.space import Categorical, Constant, Float, Int, Parameter

__all__ = ["Definition", "read_definition"]

_NUMBERS = ("float", "float_exp", "int", "int_exp")
_CATEGORIES = ("float_cat", "int_cat", "string", "bool")
_FIELDS = frozenset({"type", "range", "values", "default"})


@dataclass(frozen=True, slots=True)
class Definition:
    """A hyperparameter without its name.

    Attributes
    ----------
    type : str
        ``float``, ``float_exp``, ``int``, ``int_exp`` (with a range, both ends included; ``_exp``: spread
        evenly over the exponents) or ``float_cat``, ``int_cat``, ``string``, ``bool`` (with values).
    values : tuple
        (low, high) of a range, otherwise the values; a single one makes a constant.
    default : object, optional
        Where a search in the range starts.

    Examples
    --------
    >>> definition = read_definition("C", {"type": "float_exp", "range": [1e-5, 1e5]})
    >>> definition.is_number, definition.parameter().log
    (True, True)
    >>> read_definition("nu", {"type": "float_cat", "values": [1, None]}).values
    (1.0, None)
    """

    type: str
    values: tuple[Any, ...]
    default: Any = None

    @property
    def is_constant(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.values) == 1

    @property
    def is_number(self) -> bool:
        """Whether a tuner chooses it, from a range."""
        return self.type in _NUMBERS and not self.is_constant

    @property
    def is_category(self) -> bool:
        """Whether each of its values makes partitions of its own."""
        return not self.is_number and not self.is_constant

    def parameter(self, when: Mapping[str, Any] | None = None) -> Parameter:
        """Return it as a parameter of a space."""
        if self.is_constant:
            return Constant(self.values[0], when=when)
        if self.is_category:
            return Categorical(list(self.values), when=when)
        low, high = self.values
        log = self.type.endswith("_exp")
        if self.type.startswith("int"):
            return Int(low, high, log=log, default=self.default, when=when)
        return Float(low, high, log=log, default=self.default, when=when)


def read_definition(name: str, form: Any) -> Definition:
    """Check the JSON form of one hyperparameter.

    Raises
    ------
    InputError
        A field is missing, unknown or makes no sense; the message names the hyperparameter.
    """
    if not isinstance(form, Mapping) or "type" not in form:
        raise _wrong(name, f"expected an object with 'type' and 'range' or 'values', got {form!r:.60}")
    kind = form["type"]
    if kind not in _NUMBERS + _CATEGORIES:
        raise _wrong(name, f"no type is called {kind!r:.40}", nearest(str(kind), [*_NUMBERS, *_CATEGORIES]))
    if unknown := sorted(set(form) - _FIELDS):
        raise _wrong(name, f"the field {unknown[0]!r} is not known", nearest(unknown[0], sorted(_FIELDS)))
    if kind in _CATEGORIES:
        return Definition(kind, _categories(name, kind, form))
    values = _range(name, kind, form)
    default = None if form.get("default") is None else _number(name, kind, form["default"])
    if default is not None and not values[0] <= default <= values[-1]:
        raise _wrong(name, f"the default {default!r} lies outside the range {list(values)}")
    return Definition(kind, values, default)


def _range(name: str, kind: str, form: Mapping[str, Any]) -> tuple[Any, ...]:
    given = form.get("range", form.get("values"))
    if not isinstance(given, list) or len(given) not in (1, 2):
        raise _wrong(name, f"expected 'range': [low, high], got {given!r:.60}")
    if given == [None]:
        return (None,)
    ends = tuple(_number(name, kind, value) for value in given)
    if ends[0] > ends[-1]:
        raise _wrong(name, f"expected a range from low to high, got {given!r}")
    if kind.endswith("_exp") and ends[0] <= 0:
        raise _wrong(name, f"an exponential range must lie above 0, got {given!r}")
    return ends[:1] if ends[0] == ends[-1] else ends


def _categories(name: str, kind: str, form: Mapping[str, Any]) -> tuple[Any, ...]:
    given = form.get("values", form.get("range"))
    if not isinstance(given, list) or not given:
        raise _wrong(name, f"expected 'values': [...] with one value or more, got {given!r:.60}")
    values = tuple(None if value is None else _category(name, kind, value) for value in given)
    if len(set(map(str, values))) < len(values):
        raise _wrong(name, f"a value is given twice in {given!r:.80}")
    return values


def _category(name: str, kind: str, value: Any) -> Any:
    if kind == "string":
        return str(value)
    if kind == "bool":
        return _truth(name, value)
    return _number(name, kind.removesuffix("_cat"), value)


def _number(name: str, kind: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _wrong(name, f"expected a finite number, got {value!r:.40}")
    if not kind.startswith("int"):
        return float(value)
    if value != int(value):
        raise _wrong(name, f"expected a whole number, got {value!r}")
    return int(value)


def _truth(name: str, value: Any) -> bool:
    if value not in (True, False):
        raise _wrong(name, f"expected true or false, got {value!r:.40}")
    return bool(value)


def _wrong(name: str, what: str, hint: str = "") -> InputError:
    return InputError(f"the hyperparameter {name!r}: {what}.", hint=hint, code="E_METHOD")
