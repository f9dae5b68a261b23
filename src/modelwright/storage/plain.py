"""What goes into a ledger: JSON values and text that every database can hold, copied on the way in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from modelwright.errors import InputError
from modelwright.records import Failure, Outcome, Report, TrialState

__all__ = [
    "PARTITION_STATES",
    "clean_text",
    "config_form",
    "config_key",
    "end_form",
    "failure_form",
    "merged",
    "plain",
    "plain_key",
    "plain_reports",
    "result_form",
]

PARTITION_STATES = ("incomplete", "gridding_done", "errored")

_TEXT = frozenset({str})
_ATOMS = frozenset({str, int, float, bool, type(None)})
_BASES = (bool, int, float, str)
_sorted_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # ASCII only


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
    if type(value) is dict or isinstance(value, Mapping):
        if not _TEXT.issuperset(map(type, value)):
            wrong = next(key for key in value if type(key) is not str)
            raise InputError(f"expected {what} to have text keys, got the key {wrong!r}.")
        if _ATOMS.issuperset(map(type, value.values())):
            return dict(value)  # the common case, and the quickest
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


def config_key(params: Mapping[str, Any], fidelity: float | None) -> str:
    """Return a short name of a configuration at a fidelity: equal ones, and no others, have the same.

    The order of names does not count, nor whether a number is written as ``1`` or ``1.0``, because both are
    the same point to an objective. ``True`` differs from 1.

    Examples
    --------
    >>> config_key({"x": 1, "k": "a"}, None) == config_key({"k": "a", "x": 1.0}, None)
    True
    >>> config_key({"x": 1}, 3.0) == config_key({"x": 1}, 9.0)
    False
    """
    return plain_key(plain(params, "params"), fidelity)


def plain_key(params: Mapping[str, Any], fidelity: float | None) -> str:
    """Return the `config_key` of a configuration that `plain` has made."""
    form = [_canonical(params), None if fidelity is None else float(fidelity)]
    return hashlib.sha256(_sorted_json.encode(form).encode("ascii")).hexdigest()


def _canonical(value: Any) -> Any:
    """Return a plain value with each whole float as an int, so that equal numbers are written alike."""
    if type(value) is float:
        return int(value) if value.is_integer() else value
    if type(value) is dict:
        return {key: _canonical(item) for key, item in value.items()}
    if type(value) is list:
        return [_canonical(item) for item in value]
    return value


def config_form(key: str, turn: int = 0) -> dict[str, Any]:
    """Return what an event says of a configuration, so that a change of its row can be told later.

    Parameters
    ----------
    key : str
        Of `config_key`; the beginning of it is kept.
    turn : int, default=0
        Of its provenance.
    """
    return {"key": key[:16], "turn": turn} if turn else {"key": key[:16]}


def end_form(state: TrialState, values: Sequence[float], failure: Failure | None) -> dict[str, Any]:
    """Return what an event says of how a trial ended, so that a change of its row can be told later."""
    form = {"state": state.value, "values": tuple(map(float, values))}
    return form if failure is None else {**form, "failure": failure.kind.value}


def failure_form(failure: Failure) -> dict[str, str]:
    """Return a failure as JSON, for an event."""
    return {
        "kind": failure.kind.value,
        "message": clean_text(failure.message),
        "code": clean_text(failure.code),
        "traceback": clean_text(failure.traceback),
    }


def result_form(outcome: Outcome, result_id: str) -> dict[str, Any]:
    """Return a whole result as JSON: what the event about a refused one keeps."""
    return {
        "result_id": result_id,
        "state": outcome.state.value,
        "values": [float(value) for value in outcome.values],
        "failure": None if outcome.failure is None else failure_form(outcome.failure),
        "user_attrs": plain(outcome.user_attrs, "user_attrs"),
        "metrics": plain(outcome.metrics, "metrics"),
        "artifacts": [asdict(artifact) for artifact in outcome.artifacts],
        "duration_s": outcome.duration_s,
        "peak_memory_mb": outcome.peak_memory_mb,
        "exit_code": outcome.exit_code,
        "log_location": clean_text(outcome.log_location),
        "cost": outcome.cost,
    }
