"""JSON text that loses nothing: what ledgers keep in columns and send over HTTP.

JSON lacks infinities and NaN: they are written as ``{"$float": "inf"}``. A mapping of the user's that looks
like such a mark gets one ``$`` more on the way out and loses it on the way in.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

__all__ = ["decode", "decode_foreign", "encode", "encode_large", "unmarked"]

# ASCII only, so that neither NUL nor half a surrogate pair ever reaches a database or a socket.
_strict = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_decoder = json.JSONDecoder()
_MARK = "$float"
_PIECE = 200
_LOOKS_LIKE_ONE = re.compile(r"\$+float")
_NUMBERS = ("inf", "-inf", "nan")
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def encode(value: Any) -> str:
    """Write a plain JSON value (see `modelwright.storage.plain`), infinities and NaN included."""
    try:
        text = _strict.encode(value)
    except ValueError:
        return _strict.encode(_marked(value))
    return _strict.encode(_marked(value)) if _MARK in text else text


def _marked(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return {_MARK: repr(value)}
    if isinstance(value, dict):
        if len(value) == 1:
            [(key, item)] = value.items()
            if _LOOKS_LIKE_ONE.fullmatch(key):
                return {"$" + key: _marked(item)}
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_marked(item) for item in value]
    return value


def encode_large(value: Any) -> str:
    """Write the same text as `encode`, piece by piece: a long list would keep other threads waiting."""
    if isinstance(value, list) and len(value) > _PIECE:
        pieces = [encode(value[i : i + _PIECE])[1:-1] for i in range(0, len(value), _PIECE)]
        return f"[{','.join(pieces)}]"
    if isinstance(value, dict) and len(value) > 1:
        return "{" + ",".join(f"{encode(key)}:{encode_large(item)}" for key, item in value.items()) + "}"
    return encode(value)


def decode(text: str) -> Any:
    """Read what `encode` wrote; text that is not JSON, or too deep to be read, raises ``ValueError``."""
    try:
        if _MARK in text:
            return json.loads(text, object_hook=unmarked)
        try:
            # Half the time of `loads`, which looks for spaces around the value; `encode` writes none.
            value, end = _decoder.raw_decode(text)
        except ValueError:
            return json.loads(text)
        return value if end == len(text) else json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def unmarked(value: dict[str, Any]) -> Any:
    """Return what an object that was just read stands for: a number, or a mapping."""
    if len(value) == 1:
        [(key, item)] = value.items()
        if key == _MARK and item in _NUMBERS:
            return float(item)
        if key != _MARK and _LOOKS_LIKE_ONE.fullmatch(key):
            return {key[1:]: item}
    return value


def decode_foreign(text: str, *, depth: int = 100) -> Any:
    """Read what somebody sent, who may have anything in mind.

    Raises
    ------
    ValueError
        It is not JSON, or is JSON with keys given twice, with bare NaN or Infinity, or nested too deeply.
    """
    if text.count("[") + text.count("{") > depth:
        _check_depth(text, depth)
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)


def _check_depth(text: str, most: int) -> None:
    """Count brackets outside of strings, before a parser that recurses sees them."""
    depth = 0
    for found in _BRACKETS.finditer(text):
        sign = found.group()
        if sign in "[{":
            depth += 1
            if depth > most:
                raise ValueError(f"it is nested more than {most} levels deep")
        elif sign in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> Any:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key is given twice in one object")
    return unmarked(result)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
