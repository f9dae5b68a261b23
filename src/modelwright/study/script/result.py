"""What a trial has left as its result."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelwright.errors import InputError
from modelwright.study.values import Result

__all__ = ["read_result", "result_form"]

_MOST_BYTES = 2**24
_FIELDS = {"value", "values", "metrics", "cost", "state"}
_STATES = ("complete", "pruned")


def read_result(path: Path) -> Result | None:
    """Return what a file of a result says; None if there is none, or nothing in it.

    Raises
    ------
    InputError
        It cannot be understood; the message says why.

    Examples
    --------
    >>> path = Path("result.json")
    >>> _ = path.write_text("0.34")
    >>> read_result(path).values
    0.34
    >>> _ = path.write_text('{"values": [1, 2], "cost": 3, "state": "pruned"}')
    >>> read_result(path)
    Result(values=[1, 2], metrics={}, cost=3, pruned=True)
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(data) > _MOST_BYTES:
        raise InputError(f"the result has more than {_MOST_BYTES} bytes.")
    text = data.decode("utf-8", "replace").strip()
    if not text:
        return None
    form = _parsed(text)
    return _from_object(form) if isinstance(form, dict) else Result(form)


def result_form(result: Result) -> dict[str, Any]:
    """Return what the file says for a result."""
    form: dict[str, Any] = {} if result.values is None else {"values": result.values}
    if result.metrics:
        form["metrics"] = dict(result.metrics)
    if result.cost is not None:
        form["cost"] = result.cost
    return form | ({"state": "pruned"} if result.pruned else {})


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        try:
            return float(text)  # as other languages print what is no number: nan, Inf
        except ValueError:
            raise InputError(
                f"expected a number or JSON as the result, got {text[:80]!r} ({error})."
            ) from None


def _from_object(form: Mapping[str, Any]) -> Result:
    if unknown := sorted(set(form) - _FIELDS):
        raise InputError(
            f"the result has no field {unknown[0]!r:.40}.",
            hint='Values by name go below "values", everything else below "metrics".',
        )
    if ("value" in form) == ("values" in form) and (form.get("state") != "pruned" or "value" in form):
        raise InputError(f'expected "value" or "values" in the result, got {json.dumps(form)[:80]}.')
    state, metrics = form.get("state", "complete"), form.get("metrics", {})
    if state not in _STATES:
        raise InputError(f"expected the state of a result to be one of {_STATES}, got {state!r:.40}.")
    if not isinstance(metrics, dict):
        raise InputError(f"expected an object as the metrics, got {metrics!r:.40}.")
    values = form.get("value", form.get("values"))
    return Result(values, metrics, form.get("cost"), pruned=state == "pruned")
