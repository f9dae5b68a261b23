"""Pairs of functions that write and read the values of one type as JSON: the parts that `wire` builds from.

Reading refuses with `MismatchError`, which gathers the place of the value on its way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from modelwright.space import Space
from modelwright.storage.jsontext import decode, encode
from modelwright.storage.plain import plain

__all__ = [
    "ATOMS",
    "COLLECTIONS",
    "Form",
    "MismatchError",
    "choice",
    "choice_of",
    "collection",
    "mapping",
    "optional",
    "shown",
    "tagged",
    "tuple_of",
]

_LARGEST = 2**63


class MismatchError(Exception):
    """A value that is not of its form; gathers the place on its way out."""

    def __init__(self, expected: str, came: Any = None, *, words: str = "") -> None:
        super().__init__(expected)
        self.words = words or f"expected {expected}, got {shown(came)}"
        self.path: list[str] = []


def shown(value: Any) -> str:
    """Return a value as messages show it: short."""
    if isinstance(value, (dict, list)):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one type look as JSON.

    Attributes
    ----------
    write, read : callable
        From a value to plain JSON, and back; what does not fit raises `MismatchError`.
    schema : Mapping
        The JSON schema, for descriptions of interfaces.
    """

    write: Callable[[Any], Any]
    read: Callable[[Any], Any]
    schema: Mapping[str, Any]


# single values -------------------------------------------------------------------------------------------


def _read_text(value: Any) -> str:
    if type(value) is not str:
        raise MismatchError("text", value)
    return value


def _read_flag(value: Any) -> bool:
    if type(value) is not bool:
        raise MismatchError("true or false", value)
    return value


def _read_whole(value: Any) -> int:
    if type(value) is not int:
        raise MismatchError("a whole number", value)
    if not -_LARGEST <= value < _LARGEST:
        raise MismatchError("a whole number of at most 64 bits", value)
    return value


def _read_number(value: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise MismatchError("a number", value)
    if abs(value) >= 2**1023:
        raise MismatchError("a number of ordinary size", value)
    return value


def _write_number(value: Any) -> Any:
    return value if type(value) in (float, int) else plain(value, "a number")


def _write_plain(value: Any) -> Any:
    return plain(value)


def _read_nothing(value: Any) -> None:
    if value is not None:
        raise MismatchError("null", value)


def _same(value: Any) -> Any:
    return value


@lru_cache(maxsize=64)
def _space(text: str) -> Space:
    return Space.from_json(decode(text))


def _read_space(value: Any) -> Space:
    # The same few spaces come with every record of their studies, and reading one takes a while.
    return _space(encode(value))


ATOMS: dict[Any, Form] = {
    str: Form(_write_plain, _read_text, {"type": "string"}),
    bool: Form(_write_plain, _read_flag, {"type": "boolean"}),
    int: Form(_write_plain, _read_whole, {"type": "integer"}),
    float: Form(_write_number, _read_number, {"type": "number"}),
    type(None): Form(_same, _read_nothing, {"type": "null"}),
    None: Form(_same, _read_nothing, {"type": "null"}),
    Any: Form(_write_plain, _same, {}),
    Space: Form(Space.to_json, _read_space, {"type": "object", "description": "JSON form of a space."}),
}


def choice(values: tuple[str, ...], make: Callable[[str], Any]) -> Form:
    """Return the form of one of some texts, which `make` turns into the value."""
    known = {value: make(value) for value in values}

    def read(value: Any) -> Any:
        if type(value) is not str or value not in known:
            raise MismatchError(" or ".join(map(repr, values)), value)
        return known[value]

    return Form(str, read, {"type": "string", "enum": list(values)})


# what holds other values ---------------------------------------------------------------------------------

COLLECTIONS: dict[Any, Callable[[list[Any]], Any]] = {
    Sequence: list,
    list: list,
    tuple: tuple,
    frozenset: frozenset,
}


def collection(item: Form, make: Callable[[list[Any]], Any]) -> Form:
    """Return the form of a list of values of one type, which `make` turns into what holds them."""

    def write(values: Any) -> list[Any]:
        return [item.write(value) for value in values]

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise MismatchError("a list", value)
        result = []
        try:
            for part in value:
                result.append(item.read(part))
        except MismatchError as error:
            error.path.append(f"[{len(result)}]")
            raise
        return make(result)

    def write_set(values: Any) -> list[Any]:
        return sorted(write(values))

    return Form(write_set if make is frozenset else write, read, {"type": "array", "items": item.schema})


def tuple_of(items: Sequence[Form]) -> Form:
    """Return the form of a tuple with a type for each place."""

    def write(values: Any) -> list[Any]:
        return [item.write(value) for item, value in zip(items, values, strict=True)]

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(items):
            raise MismatchError(f"a list of {len(items)}", value)
        return tuple(item.read(part) for item, part in zip(items, value, strict=True))

    return Form(
        write,
        read,
        {"type": "array", "minItems": len(items), "maxItems": len(items), "items": items[-1].schema},
    )


def mapping(key_kind: Any, item: Form) -> Form:
    """Return the form of a mapping; whole numbers as keys are written as text."""
    anything = item is ATOMS[Any]
    numbered = key_kind is int
    read_key = _whole_key if numbered else _read_text if key_kind is str else choice_of(key_kind).read

    def write(values: Any) -> dict[str, Any]:
        if anything:
            copy: dict[str, Any] = plain(values)
            return copy
        return {plain(str(key) if numbered else key): item.write(part) for key, part in values.items()}

    def read(value: Any) -> dict[Any, Any]:
        if type(value) is not dict:
            raise MismatchError("an object", value)
        if anything:
            return value
        result = {}
        for key, part in value.items():
            try:
                result[read_key(key)] = item.read(part)
            except MismatchError as error:
                error.path.append(f"[{key!r}]")
                raise
        return result

    return Form(write, read, {"type": "object", "additionalProperties": item.schema or True})


def choice_of(kind: Any) -> Form:
    """Return the form of a class of named values."""
    return choice(tuple(item.value for item in kind), kind)


def _whole_key(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) < 19):
        raise MismatchError("a whole number as key", key)
    return int(key)


def optional(item: Form) -> Form:
    """Return the form of a value or None."""

    def write(value: Any) -> Any:
        return None if value is None else item.write(value)

    def read(value: Any) -> Any:
        return None if value is None else item.read(value)

    return Form(write, read, {"anyOf": [item.schema, {"type": "null"}]} if item.schema else {})


def tagged(by_kind: Mapping[type, Form]) -> Form:
    """Return the form of one of several records: an object with the record's name as its only key."""
    names = {kind: kind.__name__.lower() for kind in by_kind}
    forms = {names[kind]: form for kind, form in by_kind.items()}

    def write(value: Any) -> Any:
        name = names[type(value)]
        return {name: forms[name].write(value)}

    def read(value: Any) -> Any:
        if type(value) is not dict or len(value) != 1 or next(iter(value)) not in forms:
            raise MismatchError(" or ".join(f"{{{name!r}: ...}}" for name in forms), value)
        [(name, part)] = value.items()
        return forms[name].read(part)

    schemas = [
        {"type": "object", "properties": {name: form.schema}, "required": [name]}
        for name, form in forms.items()
    ]
    return Form(write, read, {"oneOf": schemas})
