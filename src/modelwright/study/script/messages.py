"""The messages of a trial as lines of JSON: what `RunningTrial` sends, written and read.

`to_request` is used by the trial's side, `obey` by the run's; both speak of the messages that a Python
objective's handle sends over its channel.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modelwright.errors import InputError, ModelwrightError
from modelwright.study.trial import RunningTrial

__all__ = ["describe", "obey", "read_request", "to_request"]

_TOLD = ("study", "number", "attempt", "seed", "fidelity", "objectives")  # of how it began

_FIELDS = {  # what may stand beside the verb
    "report": {"step", "fold"},
    "ask": set[str](),
    "attr": set[str](),
    "artifact": {"name", "format"},
    "parameter": set[str](),
}
_PARAMETER = {"name", "kind", "options"}


def describe(trial: RunningTrial) -> dict[str, Any]:
    """Return what a trial is, for those to whom its handle means nothing."""
    folder, resumed = trial.folder, trial.resume_from
    return {
        **{name: trial._argument[name] for name in _TOLD},
        "params": dict(trial.params),
        "user_attrs": dict(trial.user_attrs),
        "folder": None if folder is None else str(folder),
        "checkpoint_dir": str(trial.checkpoint_dir),
        "resume_from": None if resumed is None else str(resumed),
    }


def to_request(kind: str, payload: Any) -> dict[str, Any]:
    """Return a message of a channel as a request.

    Examples
    --------
    >>> to_request("report", {"step": 3.0, "values": {"value": 0.5}, "fold": None})
    {'report': {'value': 0.5}, 'step': 3.0}
    >>> to_request("should_stop", None)
    {'ask': 'should_stop'}
    """
    if kind == "report":
        fold = {} if payload["fold"] is None else {"fold": payload["fold"]}
        return {"report": payload["values"], "step": payload["step"], **fold}
    if kind == "should_stop":
        return {"ask": kind}
    if kind == "artifact":
        return {"artifact": payload["file"], "name": payload["name"], "format": payload["format"]}
    return {kind: payload}


def read_request(line: bytes) -> dict[str, Any]:
    """Return the request in a line.

    Raises
    ------
    InputError
        It is none; the message says why.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"expected one JSON object in a line, got {_shown(line)} ({error}).") from None
    if not isinstance(request, dict):
        raise InputError(f"expected a JSON object, got {_shown(line)}.")
    verbs = [name for name in _FIELDS if name in request]
    if len(verbs) != 1:
        raise InputError(f"expected one of {', '.join(_FIELDS)} in a request, got {_shown(line)}.")
    if unknown := sorted(set(request) - _FIELDS[verbs[0]] - {verbs[0], "id"}):
        raise InputError(f"{verbs[0]!r} takes no {unknown[0]!r}: {_shown(line)}.")
    return request


def obey(trial: RunningTrial, request: Mapping[str, Any], here: Path) -> dict[str, Any]:
    """Do what a request says, and return the answer; paths are relative to `here`.

    Raises
    ------
    ModelwrightError, OSError
        It cannot be done.
    """
    if "artifact" in request:
        return _artifact(trial, request, here)
    verb = next(name for name in _DEEDS if name in request)
    return _DEEDS[verb](trial, request)


def _report(trial: RunningTrial, request: Mapping[str, Any]) -> dict[str, Any]:
    if "step" not in request:
        raise InputError('expected a "step" with the report.')
    values, step, fold = request["report"], request["step"], request.get("fold")
    numbers = [*(values.values() if isinstance(values, dict) else [values]), step]
    if any(isinstance(item, bool) or not isinstance(item, int | float) for item in numbers):
        raise InputError(f"expected numbers to report, got {json.dumps(request)[:100]}.")
    if fold is not None and (isinstance(fold, bool) or not isinstance(fold, int)):
        raise InputError(f"expected a whole number as the fold, got {fold!r:.40}.")
    trial.report(values, step, fold=fold)
    return {"stop": trial.should_stop()}


def _ask(trial: RunningTrial, request: Mapping[str, Any]) -> dict[str, Any]:
    if request["ask"] != "should_stop":
        raise InputError(f"expected to be asked 'should_stop', got {request['ask']!r:.40}.")
    return {"stop": trial.should_stop()}


def _attr(trial: RunningTrial, request: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(request["attr"], dict):
        raise InputError(f"expected an object of attributes, got {request['attr']!r:.40}.")
    trial.user_attrs.update(request["attr"])
    return {}


def _artifact(trial: RunningTrial, request: Mapping[str, Any], here: Path) -> dict[str, Any]:
    path, name, kind = request["artifact"], request.get("name"), request.get("format", "")
    if not isinstance(path, str) or not isinstance(kind, str):
        raise InputError(f"expected the path of a file, got {path!r:.40}.")
    return {"name": trial.log_artifact(here / path, name, format=kind).name}


def _parameter(trial: RunningTrial, request: Mapping[str, Any]) -> dict[str, Any]:
    form = request["parameter"]
    if not isinstance(form, dict) or not {"name", "kind"} <= set(form) <= _PARAMETER:
        raise InputError(f"expected a parameter's name, kind and options, got {form!r:.80}.")
    name, options = form["name"], form.get("options", {})
    if not isinstance(name, str) or not isinstance(options, dict):
        raise InputError(f"expected a parameter's name and its options as an object, got {form!r:.80}.")
    kinds: dict[str, Callable[..., Any]] = {
        "float": trial.float,
        "int": trial.int,
        "categorical": lambda name, choices: trial.categorical(name, choices),
        "bool": trial.bool,
    }
    if form["kind"] not in kinds:
        raise InputError(f"expected the kind {', '.join(kinds)} of a parameter, got {form['kind']!r:.40}.")
    try:
        return {"value": kinds[form["kind"]](name, **options)}
    except (TypeError, ValueError) as error:
        if isinstance(error, ModelwrightError):
            raise
        raise InputError(f"the parameter {name!r:.40} cannot be made of {options!r:.80}: {error}.") from None


_DEEDS = {
    "report": _report,
    "ask": _ask,
    "attr": _attr,
    "parameter": _parameter,
}


def _shown(line: bytes) -> str:
    return repr(line[:80].decode("utf-8", "replace"))
