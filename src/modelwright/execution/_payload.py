"""What may pass between a task and its coordinator: JSON values of bounded size.

Every executor passes results and messages through `encode` and `decode`, those in this process too, so that
a task behaves the same wherever it runs: a tuple arrives as a list, and what is no JSON value is refused.
"""

from __future__ import annotations

import json
import math
import traceback
from typing import Any

from modelwright.errors import ExecutionError, InputError
from modelwright.execution.base import ErrorInfo

__all__ = ["MAX_BYTES", "decode", "describe", "encode"]

MAX_BYTES = 16 * 1024 * 1024  # of one result or message: more belongs in a file of the task's folder
_MAX_MESSAGE = 10_000  # characters of an exception's text
_MAX_TRACEBACK = 64_000
_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def encode(value: Any, what: str) -> bytes:
    """Return `value` as JSON text; `what` names it in errors, such as ``"the result"``.

    Raises
    ------
    InputError
        It is not a JSON value; the message says which part.
    ExecutionError
        It is too large to pass.
    """
    try:
        data = _json.encode(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(
            f"{what} must be a JSON value (numbers, text, booleans, None, lists, mappings with text keys); "
            f"{_culprit(value) or error}.",
            hint="Return plain numbers and write everything else to a file.",
            code="E_NOT_JSON",
        ) from None
    if len(data) > MAX_BYTES:
        raise ExecutionError(
            f"{what} is {len(data) / 1e6:.1f} MB of JSON, and at most {MAX_BYTES / 1e6:.1f} MB can pass.",
            hint="Write it to a file and return its path.",
            code="E_TOO_LARGE",
        )
    return data


def decode(data: bytes) -> Any:
    """Return the value that `encode` wrote."""
    return json.loads(data.decode())  # given bytes, it would look for their encoding


def describe(error: BaseException, skip: int = 0) -> ErrorInfo:
    """Return `error` in a form that can cross a process border; the outermost `skip` frames are ours."""
    trace = error.__traceback__
    for _ in range(skip):
        trace = trace.tb_next if trace is not None else None
    names = tuple(f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__ if cls is not object)
    try:
        text = "".join(traceback.format_exception(type(error), error, trace))
    except Exception as failure:  # an exception class of the user's whose __str__ raises
        text = f"{names[0]} (its traceback cannot be shown: {type(failure).__name__})\n"
    return ErrorInfo(names, _text_of(error)[:_MAX_MESSAGE], text[-_MAX_TRACEBACK:])


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:
        return f"(its text cannot be shown: {type(failure).__name__})"


def _culprit(value: Any, path: str = "", depth: int = 0) -> str:
    """Say where in `value` the first part lies that JSON cannot hold; empty where none is found."""
    place = f" at {path}" if path else ""
    if depth > 50:
        return f"it is nested too deeply{place}"
    if value is None or isinstance(value, str | bool | int):
        return ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"it holds {value}{place}"
    if isinstance(value, dict):
        odd = next((key for key in value if not isinstance(key, str | int | float | bool | None)), None)
        if odd is not None:
            return f"it holds a key of type {type(odd).__name__}{place}"
        parts = ((f"{path}[{key!r}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        parts = ((f"{path}[{index}]", item) for index, item in enumerate(value))
    else:
        kind = type(value)
        return f"it holds a {kind.__module__}.{kind.__qualname__}{place}".replace("builtins.", "")
    return next(filter(None, (_culprit(item, name, depth + 1) for name, item in parts)), "")
