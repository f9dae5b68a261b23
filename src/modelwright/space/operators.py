"""What the operators of constraints do to columns, with 1 and 0 for true and false in arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["ARITHMETIC", "ORDER", "as_number", "compare", "undefined_rows"]

ARITHMETIC = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "//": np.floor_divide,
    "%": np.remainder,
    "**": np.power,
}
ORDER = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}


def as_number(value: Any) -> Any:
    """Return truth values as 0 and 1, and scalars as numpy's, which overflow to infinity and do not raise."""
    return np.asarray(value, dtype=float)


def undefined_rows(operator: str, left: Any, right: Any) -> Any:
    """Return where an arithmetic operator divides by zero."""
    if operator in ("/", "//", "%"):
        return np.equal(right, 0.0)
    if operator == "**":
        return np.logical_and(np.equal(left, 0.0), np.less(right, 0.0))
    return False


def compare(operator: str, left: Any, right: Any) -> Any:
    """Return where a comparison holds."""
    if operator in ORDER:
        return ORDER[operator](as_number(left), as_number(right))
    texts = isinstance(left, str) or isinstance(right, str) or left is None or right is None
    objects = any(getattr(side, "dtype", None) == np.dtype(object) for side in (left, right))
    if texts or objects:
        # Objects compare one by one, with Python's own equality.
        equal = np.equal(np.asarray(left, dtype=object), np.asarray(right, dtype=object)).astype(bool)
    else:
        equal = np.equal(as_number(left), as_number(right))
    return equal if operator == "==" else np.logical_not(equal)
