"""Amounts as people type them: seconds, counts, megabytes."""

from __future__ import annotations

import math
import re
from datetime import datetime

from modelwright.errors import InputError

__all__ = ["parse_count", "parse_megabytes", "parse_moment", "parse_number", "parse_seconds"]

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_MEGABYTES = {"": 1.0, "mb": 1.0, "m": 1.0, "gb": 1000.0, "g": 1000.0, "kb": 0.001, "k": 0.001}
_LARGEST = 1e12


def parse_seconds(option: str, text: str | None) -> float | None:
    """Return seconds from ``90``, ``90s``, ``10m``, ``1.5h``; None stays None.

    Examples
    --------
    >>> parse_seconds("--time", "1.5h")
    5400.0
    """
    return _parse(option, text, _SECONDS, "a time such as 60, 90s, 10m or 2h")


def parse_megabytes(option: str, text: str | None) -> float | None:
    """Return megabytes from ``500``, ``500MB``, ``4GB``; None stays None."""
    return _parse(option, text, _MEGABYTES, "an amount of memory such as 500MB or 4GB")


def parse_count(option: str, text: str | None) -> int | None:
    """Return a whole number of at least 1; None stays None."""
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", text) or int(text) < 1:
        raise InputError(
            f"expected {option} to be a whole number of at least 1, got {text!r}.", code="E_RANGE"
        )
    return int(text)


def parse_number(option: str, text: str | None) -> float | None:
    """Return a number above 0; None stays None.

    Examples
    --------
    >>> parse_number("--cost", "12.5")
    12.5
    """
    return _parse(option, text, {"": 1.0}, "a number such as 12.5")


def parse_moment(option: str, text: str | None) -> datetime | None:
    """Return the moment that ``2030-01-31T18:00`` names, in local time unless it names a zone.

    Examples
    --------
    >>> parse_moment("--deadline", "2030-01-31T18:00+00:00").isoformat()
    '2030-01-31T18:00:00+00:00'
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError):
        raise InputError(
            f"expected {option} to be a moment such as 2030-01-31T18:00, got {text!r:.60}.", code="E_RANGE"
        ) from None


def _parse(option: str, text: str | None, units: dict[str, float], expected: str) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", text.strip().lower(), re.ASCII)
    amount = float(match[1]) * units[match[2]] if match and match[2] in units else math.nan
    if not 0 < amount < _LARGEST:
        raise InputError(f"expected {option} to be {expected}, more than 0; got {text!r}.", code="E_RANGE")
    return amount
