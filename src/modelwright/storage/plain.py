"""What goes into a ledger: JSON values and text that every database can hold, copied on the way in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.errors import InputError
from modelwright.records import Report

__all__ = ["PARTITION_STATES", "clean_text", "merged", "plain", "plain_reports"]

PARTITION_STATES = ("incomplete", "gridding_done", "errored")

_ATOMS = frozenset({str, int, float, bool, type(None)})
_BASES = (bool, int, float, str)


def plain(value: Any, what: str = "the value") -> Any:
    """Return a deep copy of the JSON value `value`, made of plain lists and dicts.

    Tuples become lists, and subclasses of numbers and text (such as numpy's float) plain ones. Infinities and
    NaN are kept: storages write them in a form of their own.

    Parameters
    ----------
    value : object
        What to copy.
    what : str
        How messages call it.

    Raises
    ------
    InputError
        Something in it has no JSON form.

    Examples
    --------
    >>> plain({"sizes": (1, 2)})
    {'sizes': [1, 2]}
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Mapping):
        # The common case, a flat mapping, costs one pass.
        if any(type(key) is not str for key in value):
            wrong = next(key for key in value if type(key) is not str)
            raise InputError(f"expected {what} to have text keys, got the key {wrong!r}.")
        return {
            key: item if type(item) in _ATOMS else plain(item, f"{what}[{key!r}]")
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [item if type(item) in _ATOMS else plain(item, f"{what}[{i}]") for i, item in enumerate(value)]
    for base in _BASES:
        if isinstance(value, base):
            return base(value)
    raise InputError(
        f"expected {what} to be JSON (text, numbers, booleans, None, lists, mappings), "
        f"got {type(value).__name__}.",
        hint="Convert it first, for instance with float() or .tolist().",
    )


def merged(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return `old` with the entries of `new`, which are copied and checked."""
    return {**old, **plain(new, what)}


def clean_text(text: str) -> str:
    """Return `text` with what some databases refuse (NUL, lone surrogates) replaced by a visible mark."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def plain_reports(reports: Sequence[Report]) -> list[Report]:
    """Return copies of `reports`; a step that is no finite number raises `InputError`."""
    copies = []
    for report in reports:
        step = float(report.step)
        if step - step != 0.0:
            raise InputError(f"expected the step of a report to be a finite number, got {report.step!r}.")
        copies.append(Report(step, plain(report.values, "the reported values"), report.fold))
    return copies
