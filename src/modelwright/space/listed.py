"""Parameters with listed values, each of which owns an equal part of the unit interval."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import ConfigurationError, SpaceError
from modelwright.space.labels import is_plain, native, same, unique_labels
from modelwright.space.parameters import Kind, Parameter

__all__ = ["UNSET", "Listed"]

UNSET: Any = object()  # None may be a choice, so it cannot stand for "no default"
_MOST_CHOICES = 10_000


class Listed(Parameter):
    """A parameter whose k values own equal parts of the unit interval, each encoded by its part's centre."""

    choices: tuple[Any, ...]
    labels: tuple[str, ...] | None
    size: int
    _slots: dict[Any, int]
    _operands: NDArray[Any]

    def _set_choices(self, choices: Sequence[Any], labels: Sequence[str] | None) -> None:
        if not choices:
            raise SpaceError("expected at least one choice, got none.", code="E_CHOICES")
        if len(choices) > _MOST_CHOICES:
            raise SpaceError(
                f"expected at most {_MOST_CHOICES:,} choices, got {len(choices):,}.", code="E_SPACE_LIMIT"
            )
        values = tuple(native(choice) for choice in choices)
        slots: dict[Any, int] = {}
        for i, value in enumerate(values):
            key = _lookup_key(value)
            twice = (key in slots) if key is not None else any(same(value, other) for other in values[:i])
            if twice:
                raise SpaceError(f"the choice {value!r} is given twice.", code="E_CHOICES")
            if key is not None:
                slots[key] = i
        plain = labels is None and all(is_plain(value) for value in values)
        names = None if plain else unique_labels(values, labels)
        stored = values if names is None else names
        kind = _kind(stored)
        table = np.array(stored, dtype={"number": float, "boolean": bool}.get(kind, object))
        self._fill(choices=values, labels=names, plain=plain, size=len(values), kind=kind)
        self._fill(_slots=slots, _operands=table)

    def _set_default(self, default: Any) -> None:
        stated = default is not UNSET and not (default is None and not self.contains(None))
        if stated:
            try:
                default = self.normal(default)
            except ValueError as error:
                raise SpaceError(f"the default does not fit: {error}.", code="E_CHOICES") from None
        weights = self.prior or (1.0,)
        likely = weights.index(max(weights)) if isinstance(weights, tuple) else 0
        self._fill(default=default if stated else self.choices[likely], _default_stated=stated)

    _default_stated: bool

    # single values -----------------------------------------------------------------------------------

    def slot(self, u: float) -> int:
        return min(int(max(u, 0.0) * self.size), self.size - 1)

    def at(self, slot: int) -> Any:
        return self.choices[slot]

    def slot_of(self, value: Any) -> int:
        found = self._find(value)
        if found is None:
            raise ConfigurationError(f"expected one of {self._shown()}, got {value!r}.")
        return found

    def _find(self, value: Any) -> int | None:
        key = _lookup_key(value)
        if key is not None:
            found = self._slots.get(key)
            if found is not None:
                return found
        for i, choice in enumerate(self.choices):
            if same(choice, value):
                return i
        return None

    def encode(self, value: Any) -> float:
        return (self.slot_of(value) + 0.5) / self.size

    def decode(self, u: float) -> Any:
        return self.choices[min(int(max(u, 0.0) * self.size), self.size - 1)]

    def normal(self, value: Any) -> Any:
        value = native(value)
        found = self._find(value)
        if found is None and self.labels is not None and isinstance(value, str) and value in self.labels:
            found = self.labels.index(value)
        if found is None and isinstance(value, int | float) and not isinstance(value, bool):
            close = [i for i, choice in enumerate(self.choices) if _same_number(choice, value)]
            found = close[0] if len(close) == 1 else None
        if found is None:
            raise ValueError(f"expected one of {self._shown()}, got {value!r}")
        return self.choices[found]

    def dump(self, value: Any) -> Any:
        return value if self.labels is None else self.labels[self.slot_of(value)]

    def load(self, stored: Any) -> Any:
        if self.labels is None:
            return stored
        if stored not in self.labels:
            raise ConfigurationError(f"expected one of the labels {self._shown()}, got {stored!r}.")
        return self.choices[self.labels.index(stored)]

    def _shown(self) -> str:
        stored: Sequence[Any] = self.labels or self.choices
        return ", ".join(map(repr, stored[:10])) + (f" ... ({self.size:,} in all)" if self.size > 10 else "")

    # columns of positions among the choices -----------------------------------------------------------

    def decode_column(self, u: NDArray[Any]) -> NDArray[Any]:
        return np.minimum((u * self.size).astype(np.int64), self.size - 1)

    def encode_column(self, column: NDArray[Any]) -> NDArray[Any]:
        return (column + 0.5) / self.size

    def column(self, values: list[Any]) -> NDArray[np.int64]:
        slots = self._slots
        try:
            found = [slots[type(value), value] for value in values]
        except (KeyError, TypeError):  # a choice that cannot be hashed, or one of another type
            found = [self.slot_of(value) for value in values]
        return np.array(found, dtype=np.int64)

    def values(self, column: NDArray[Any]) -> list[Any]:
        choices = self.choices
        return [choices[i] for i in column.tolist()]

    def slots(self, column: NDArray[Any]) -> NDArray[Any]:
        return column

    def operand(self, column: NDArray[Any]) -> NDArray[Any]:
        operands: NDArray[Any] = self._operands[column]
        return operands

    # JSON --------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        form: dict[str, Any] = {"type": self.type}
        if all(is_plain(choice) for choice in self.choices) and self.choices != self.labels:
            form["choices"] = list(self.choices)
        if self.labels is not None:
            form["labels"] = list(self.labels)
        return self._finish_json(form)

    def _finish_json(self, form: dict[str, Any]) -> dict[str, Any]:
        if self._default_stated:
            form["default"] = self.dump(self.default)
        if isinstance(self.prior, tuple):
            form["prior"] = list(self.prior)
        if self.when:
            form["when"] = self.when.to_json()
        return form


def _lookup_key(value: Any) -> Any:
    """Return a key under which equal choices of one type meet, None for what cannot be hashed."""
    if isinstance(value, float) and value != value:
        return None
    try:
        hash(value)
    except TypeError:
        return None
    return (type(value), value)


def _kind(stored: Sequence[Any]) -> Kind:
    if all(type(value) is bool for value in stored):
        return "boolean"
    if all(type(value) is float or (type(value) is int and abs(value) < 2**1000) for value in stored):
        return "number"
    return "text" if all(type(value) is str for value in stored) else "mixed"


def _same_number(choice: Any, value: float) -> bool:
    return isinstance(choice, int | float) and not isinstance(choice, bool) and choice == value
