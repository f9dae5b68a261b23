"""What columns hold: valid JSON, and numbers and text that every database takes."""

from __future__ import annotations

import math
from typing import Any

from modelwright.storage.jsontext import decode, encode
from modelwright.storage.plain import clean_text

__all__ = ["decode", "encode", "finite", "text_or_none"]


def finite(value: Any) -> float | None:
    """Return a number for a column of numbers; None for what such a column cannot hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def text_or_none(value: Any) -> str | None:
    """Return text for a nullable column; None for anything else."""
    return clean_text(value) if isinstance(value, str) else None
