"""What columns hold: valid JSON, and numbers and text that every database takes.

Infinities and NaN, which JSON lacks, are written as ``{"$float": "inf"}``.
"""

from __future__ import annotations

import json
import math
from typing import Any

from modelwright.storage.plain import clean_text

__all__ = ["decode", "encode", "finite", "text_or_none", "whole"]

# ASCII only, so that neither NUL nor half a surrogate pair ever reaches a database.
_strict = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_MARK = "$float"


def encode(value: Any) -> str:
    """Write a plain JSON value (see `modelwright.storage.plain`), infinities and NaN included."""
    try:
        return _strict.encode(value)
    except ValueError:
        return _strict.encode(_marked(value))


def _marked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_MARK: repr(value)}
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return value


def decode(text: str) -> Any:
    """Read what `encode` wrote; text that is not JSON raises ``ValueError``."""
    return json.loads(text, object_hook=_unmarked if _MARK in text else None)


def _unmarked(value: dict[str, Any]) -> Any:
    if len(value) == 1 and value.get(_MARK) in ("inf", "-inf", "nan"):
        return float(value[_MARK])
    return value


def finite(value: Any) -> float | None:
    """Return a number for a column of numbers; None for what such a column cannot hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """Return an integer for a column of integers; None for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63 else None


def text_or_none(value: Any) -> str | None:
    """Return text for a nullable column; None for anything else."""
    return clean_text(value) if isinstance(value, str) else None
