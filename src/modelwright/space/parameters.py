"""What every parameter is: a value without behaviour, encoded in the unit interval."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from modelwright._base.jsonform import canonical
from modelwright.errors import SpaceError
from modelwright.space.labels import is_plain, label_of, native
from modelwright.space.priors import Near

__all__ = ["MOST_PARAMETERS", "Kind", "Parameter", "When", "check_name"]

MOST_PARAMETERS = 1_000

Kind = Literal["number", "boolean", "text", "mixed"]

# Letters, digits and the separators that people put between the parts of a name; no quotes, no brackets of
# markup, no control or direction characters.
_NAME = re.compile(r"\w(?:[\w .:/@+\-\[\]()#]*[\w\])#+])?")
_LONGEST_NAME = 128


def check_name(name: Any) -> str:
    """Return `name` if it may name a parameter.

    Raises
    ------
    SpaceError
        It is no text, empty, longer than 128 characters, or holds characters that are not allowed.
    """
    if not isinstance(name, str) or not 1 <= len(name) <= _LONGEST_NAME:
        shown = (
            repr(name) if len(str(name)) <= 40 else f"{str(name)[:40]!r}... ({len(str(name)):,} characters)"
        )
        raise SpaceError(
            f"expected a parameter name of 1 to {_LONGEST_NAME} characters, got {shown}.", code="E_NAME"
        )
    dunder = len(name) > 4 and name.startswith("__") and name.endswith("__")
    if not _NAME.fullmatch(name) or dunder or ".." in name:
        raise SpaceError(
            f"the parameter name {name!r} is not allowed.",
            hint="Use letters, digits, '_' and, inside the name, spaces and . : / @ + - # [ ] ( ); "
            "'..' and names of the form __x__ are not allowed.",
            code="E_NAME",
        )
    return name


class When(Mapping[str, tuple[Any, ...]]):
    """The condition of a parameter: for each parent, the values under which the parameter is active.

    Parameters
    ----------
    given : mapping of str to object, optional
        A list, tuple or set holds several values, anything else is one. A choice that is itself a tuple is
        written within a list.

    Examples
    --------
    >>> When({"optimizer": "sgd", "layers": [2, 3]})
    {'optimizer': ('sgd',), 'layers': (2, 3)}
    """

    __slots__ = ("_items",)

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        if given is not None and not isinstance(given, Mapping):
            raise SpaceError(
                f"expected when={{parent: value or list of values}}, got {given!r}.", code="E_CONDITION"
            )
        items: dict[str, tuple[Any, ...]] = {}
        for parent, values in (given or {}).items():
            if isinstance(values, set | frozenset):
                values = sorted(values, key=repr)  # a set's own order differs between processes
            several = tuple(values) if isinstance(values, list | tuple) else (values,)
            if not several:
                raise SpaceError(
                    f"the condition on {parent!r} names no value, so it could never be met.",
                    code="E_CONDITION",
                )
            items[parent] = tuple(native(value) for value in several)
        self._items = items

    def __getitem__(self, parent: str) -> tuple[Any, ...]:
        return self._items[parent]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return repr(self._items)

    def to_json(self) -> dict[str, list[Any]]:
        """Return the JSON form, objects by their labels."""
        return {
            parent: [value if is_plain(value) else label_of(value) for value in values]
            for parent, values in self._items.items()
        }


class Parameter(ABC):
    """One named quantity of a space.

    A parameter is immutable, and equal to another when their JSON forms are equal. Besides single values it
    handles *columns*: numpy arrays that hold the numbers themselves for `Float` and `Int`, and the positions
    among the choices for all others.

    Attributes
    ----------
    type : str
        Its name in JSON.
    kind : {"number", "boolean", "text", "mixed"}
        What it is within a constraint.
    when : When
        The condition under which it is active; empty for always.
    default : object
        Where a search may start; unless given what the prior holds for the most likely value, and without a
        prior the first choice or the centre.
    size : int or None
        How many values it has, None for infinitely many.
    prior : Near or tuple of float or None
        Where good values are believed to be: near one, or by a weight for each choice; None for anywhere.
    """

    type: ClassVar[str]
    kind: Kind
    when: When
    default: Any
    size: int | None
    plain: bool = True
    prior: Near | tuple[float, ...] | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed; build another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} cannot be changed; build another one")

    def _fill(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return canonical(self.to_json()) == canonical(other.to_json())

    def __hash__(self) -> int:
        return hash(canonical(self.to_json()))

    def with_when(self, when: Mapping[str, Any]) -> Parameter:
        """Return the same parameter under another condition, none for an empty mapping."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.__dict__["when"] = When(when)
        return copy

    # single values -----------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, value: Any) -> float:
        """Return the position of a valid `value` in [0, 1]."""

    @abstractmethod
    def decode(self, u: float) -> Any:
        """Return the value at position `u`, which is clipped to [0, 1]."""

    @abstractmethod
    def normal(self, value: Any) -> Any:
        """Return `value` in its normal form.

        Raises
        ------
        ValueError
            It is not one of the parameter's; the message says what was expected and what came.
        """

    def contains(self, value: Any) -> bool:
        """Return whether `value` is one of the parameter's."""
        try:
            self.normal(value)
        except ValueError:
            return False
        return True

    def dump(self, value: Any) -> Any:
        """Return a valid `value` as JSON."""
        return value

    def load(self, stored: Any) -> Any:
        """Return the value that `dump` gave `stored` for."""
        return stored

    # finite parameters: positions 0 .. size-1 ---------------------------------------------------------

    @abstractmethod
    def at(self, slot: int) -> Any:
        """Return the value number `slot`, counted from 0; for finite parameters."""

    @abstractmethod
    def slot(self, u: float) -> int:
        """Return the number of the value at position `u`; for finite parameters."""

    @abstractmethod
    def slot_of(self, value: Any) -> int:
        """Return the number of a valid `value`; for finite parameters."""

    # columns -----------------------------------------------------------------------------------------

    @abstractmethod
    def decode_column(self, u: NDArray[Any]) -> NDArray[Any]:
        """Return the column at positions `u`, shape (n,), all within [0, 1]."""

    @abstractmethod
    def encode_column(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return the positions of a column, shape (n,)."""

    @abstractmethod
    def column(self, values: list[Any]) -> NDArray[Any]:
        """Return valid `values` as a column."""

    @abstractmethod
    def values(self, column: NDArray[Any]) -> list[Any]:
        """Return a column as Python values."""

    @abstractmethod
    def slots(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return the numbers of the values in a column; for finite parameters."""

    @abstractmethod
    def operand(self, column: NDArray[Any]) -> NDArray[Any]:
        """Return a column as constraints see it: numbers, truth values, or the stored forms of choices."""

    # JSON --------------------------------------------------------------------------------------------

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; `modelwright.space.Space.from_json` describes it."""

    def __repr__(self) -> str:
        fields = {key: value for key, value in self.to_json().items() if key != "type"}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in fields.items())})"
