"""What a choice is called in JSON: plain values by themselves, other objects by a stable label."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Sequence
from typing import Any

from modelwright.errors import SpaceError

__all__ = ["is_plain", "label_of", "native", "same", "unique_labels"]

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")
_LONGEST = 500


def is_plain(value: Any) -> bool:
    """Return whether `value` is a JSON scalar that comes back from JSON as it went in."""
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (str, int, bool)


def native(value: Any) -> Any:
    """Return a numpy scalar as the Python value that it stands for, anything else as it is."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def same(one: Any, other: Any) -> bool:
    """Return whether two choices are one and the same: equal and of one type, so that 1, 1.0 and True differ.

    >>> same(1, 1), same(1, True), same(float("nan"), float("nan"))
    (True, False, True)
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and one != one and other != other:
        return True
    try:
        return bool(one == other)
    except ValueError:  # arrays and tables compare by element and have no single truth
        return False


def label_of(value: Any) -> str:
    """Return a label for `value` that is the same in every process.

    Strings are their own labels, classes and functions go by their qualified names, members of an enumeration
    by class and name, and other objects by their ``repr``.

    Raises
    ------
    SpaceError
        The ``repr`` holds a memory address, or is too long to serve as a name.
    """
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return value
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    name = getattr(value, "__qualname__", None)
    if isinstance(name, str):
        return name
    text = repr(value)
    if _ADDRESS.search(text) or len(text) > _LONGEST:
        why = "holds a memory address" if len(text) <= _LONGEST else f"is longer than {_LONGEST} characters"
        raise SpaceError(
            f"a choice of type {type(value).__qualname__!r} has no stable name: its repr {why}.",
            hint="Give the choices names: Categorical(a, b, labels=['a', 'b']).",
            code="E_CHOICES",
        )
    return text


def unique_labels(choices: Sequence[Any], labels: Sequence[str] | None) -> tuple[str, ...]:
    """Return one label per choice, `labels` where they are given, and refuse two of one name."""
    if labels is None:
        labels = [label_of(choice) for choice in choices]
    elif isinstance(labels, str) or len(labels) != len(choices):
        raise SpaceError(
            f"expected one label for each of the {len(choices)} choices, got {labels!r}.", code="E_CHOICES"
        )
    for label in labels:
        if not isinstance(label, str) or not label:
            raise SpaceError(f"expected each label to be a non-empty text, got {label!r}.", code="E_CHOICES")
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if list(labels).count(label) > 1)
        raise SpaceError(
            f"two choices have the label {twice!r}.",
            hint="Give the choices different names with labels=[...].",
            code="E_CHOICES",
        )
    for i, choice in enumerate(choices):
        if isinstance(choice, str) and choice != labels[i] and choice in labels:
            raise SpaceError(f"{choice!r} is both a choice and the label of another one.", code="E_CHOICES")
    return tuple(labels)
