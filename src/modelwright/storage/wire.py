"""The JSON forms of everything that crosses the contract of storages.

`form_of(Trial)` is a pair of functions, `write` and `read`, made once from the types that the record
declares: what one writes the other reads back equal. Reading is strict: an unknown key, a missing one or a
value of another type is refused with its place, such as ``claim.number``. Values are plain Python ones
(dicts, lists, text, numbers); `modelwright.storage.jsontext` turns them into text, infinities and NaN
included.

A field that is None, where None is its default, is left out.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Literal, Union

from modelwright._base.registry import nearest
from modelwright.errors import InputError, ModelwrightError
from modelwright.space import Space
from modelwright.storage.base import Keep
from modelwright.storage.forms import (
    ATOMS,
    COLLECTIONS,
    Form,
    MismatchError,
    choice,
    choice_of,
    collection,
    mapping,
    optional,
    shown,
    tagged,
    tuple_of,
)

__all__ = ["WIRE_VERSION", "Form", "MismatchError", "form_of", "read", "write"]

WIRE_VERSION = 1
"""Raised when a form changes in a way that the other side has to know."""


def write(kind: Any, value: Any) -> Any:
    """Return the plain JSON form of `value`, which is of the type `kind`.

    Raises
    ------
    InputError
        Something in it has no JSON form.
    """
    try:
        return form_of(kind).write(value)
    except MismatchError as error:
        raise _as_input_error(error, "the value") from None


def read(kind: Any, form: Any, what: str = "the value") -> Any:
    """Return the value of the type `kind` that `form` describes.

    Raises
    ------
    InputError
        It describes none; the message names the place, which begins with `what`.

    Examples
    --------
    >>> from modelwright.records import Report
    >>> read(Report, {"step": 1, "values": {"loss": 0.5}})
    Report(step=1, values={'loss': 0.5}, fold=None)
    """
    try:
        return form_of(kind).read(form)
    except MismatchError as error:
        raise _as_input_error(error, what) from None


def _as_input_error(error: MismatchError, what: str) -> InputError:
    place = what + "".join(reversed(error.path))
    return InputError(f"{place}: {error.words}.", code="E_FORM")


@cache
def form_of(kind: Any) -> Form:
    """Return the form of a type: a record, or anything that its fields are declared as."""
    if kind in ATOMS:
        return ATOMS[kind]
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _record(kind)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return choice_of(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return choice(arguments, str)
    if origin in (Union, types.UnionType):
        members = [item for item in arguments if item not in (type(None), Keep)]
        forms = {item: form_of(item) for item in members}
        return optional(forms[members[0]]) if len(members) == 1 else tagged(forms)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return tuple_of([form_of(item) for item in arguments])
    if origin in COLLECTIONS:
        return collection(form_of(arguments[0]), COLLECTIONS[origin])
    if origin is Mapping:
        return mapping(arguments[0], form_of(arguments[1]))
    raise TypeError(f"there is no JSON form of {kind}")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    form: Form
    required: bool
    left_out_if_none: bool


def _fields(record: type) -> list[_Field]:
    hints = typing.get_type_hints(record, localns={"Space": Space})
    result = []
    for field in dataclasses.fields(record):
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        result.append(_Field(field.name, form_of(hints[field.name]), required, field.default is None))
    return result


def _record(record: type) -> Form:
    fields = _fields(record)
    by_name = {field.name: field for field in fields}
    required = [field.name for field in fields if field.required]
    writers = [(field.name, field.form.write, field.left_out_if_none) for field in fields]
    readers = {field.name: field.form.read for field in fields}

    def write(value: Any) -> dict[str, Any]:
        form = {}
        for name, write_field, left_out in writers:
            part = getattr(value, name)
            if part is not None or not left_out:
                form[name] = write_field(part)
        return form

    def read(form: Any) -> Any:
        if type(form) is not dict:
            raise MismatchError("an object", form)
        parts = {}
        for name, value in form.items():
            if name not in readers:
                hint = nearest(name, list(by_name))
                raise MismatchError("", words=f"unknown key {shown(name)}. {hint}".rstrip("."))
            try:
                parts[name] = readers[name](value)
            except MismatchError as error:
                error.path.append(f".{name}")
                raise
        for name in required:
            if name not in parts:
                raise MismatchError("", words=f"the key {name!r} is missing")
        return _built(record, parts)

    schema = {
        "type": "object",
        "title": record.__name__,
        "properties": {field.name: field.form.schema for field in fields},
        "required": required,
        "additionalProperties": False,
    }
    return Form(write, read, schema)


def _built(record: type, parts: dict[str, Any]) -> Any:
    """Build a record, which checks itself; what it says of the values is what the reader says."""
    try:
        return record(**parts)
    except ModelwrightError:
        raise
    except ValueError as error:
        raise MismatchError("", words=str(error)) from None
