"""One way to write JSON: compact, sorted where it is compared, and strict about numbers."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["canonical", "digest", "dumps", "loads"]


def dumps(value: Any) -> str:
    """Write `value` compactly; NaN and infinities raise ``ValueError``, since JSON has none."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical(value: Any) -> str:
    """Write `value` so that equal values give equal text, whatever the order of their keys."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, allow_nan=False)


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical form, in hexadecimal."""
    import hashlib  # it loads a library of its own, which few studies need

    return hashlib.sha256(canonical(value).encode()).hexdigest()


def loads(text: str | bytes) -> Any:
    """Read JSON; NaN, Infinity and keys given twice raise ``ValueError``."""
    return json.loads(text, parse_constant=_no_constant, object_pairs_hook=_unique_keys)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice!r} is given twice")
    return result
