"""Optuna's distributions as parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.errors import InputError, SpaceError
from modelwright.space import Categorical, Constant, Float, Int, Parameter
from modelwright.storage.jsontext import encode

__all__ = [
    "are_compatible",
    "differing",
    "external",
    "form_of",
    "in_text",
    "joined_parameter",
    "number_of",
    "plain_choice",
]

# Those of before version 3 are still in files that were brought up to date.
_KINDS = {
    "FloatDistribution": "float",
    "UniformDistribution": "float",
    "LogUniformDistribution": "float",
    "DiscreteUniformDistribution": "float",
    "IntDistribution": "int",
    "IntUniformDistribution": "int",
    "IntLogUniformDistribution": "int",
    "CategoricalDistribution": "categorical",
}


def _form(distribution: Mapping[str, Any]) -> dict[str, Any]:
    """Return kind, low, high, log and step, or kind and choices."""
    name = distribution.get("name")
    if name is None:
        return dict(distribution) | {"kind": distribution["type"]}
    if name not in _KINDS:
        raise InputError(f"there is no counterpart of Optuna's {name!r:.60}.", code="E_OPTUNA")
    attributes = dict(distribution["attributes"])
    if "q" in attributes:
        attributes["step"] = attributes.pop("q")
    if name.endswith("LogUniformDistribution"):
        attributes["log"] = True
    return attributes | {"kind": _KINDS[name]}


def form_of(distribution: object) -> dict[str, Any]:
    """Return one of Optuna's distributions as the mapping that the functions here read.

    Raises
    ------
    InputError
        It is of a kind that we do not know.
    """
    kind = _KINDS.get(type(distribution).__name__)
    if kind is None:
        raise InputError(
            f"expected one of Optuna's distributions, got {distribution!r:.80}.", code="E_OPTUNA"
        )
    return {"type": kind, **vars(distribution)}


def number_of(name: str, form: Mapping[str, Any]) -> Parameter:
    """Return the parameter that a distribution of numbers stands for, in the form of `form_of`."""
    return joined_parameter(name, [(form, form["low"])])


def external(distribution: Mapping[str, Any], value: float) -> Any:
    """Return the value that Optuna's internal number stands for."""
    form = _form(distribution)
    if form["kind"] == "categorical":
        return plain_choice(form["choices"][int(value)])
    return int(value) if form["kind"] == "int" else float(value)


def plain_choice(choice: Any) -> Any:
    """Return a choice that is a single value; others, NaN and infinities among them, as JSON text."""
    plain = choice is None or isinstance(choice, bool | int | str)
    return choice if plain or (isinstance(choice, float) and math.isfinite(choice)) else json.dumps(choice)


def are_compatible(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether Optuna lets trials of one study have a parameter from both."""
    a, b = _form(one), _form(other)
    same = a["kind"] == b["kind"] and bool(a.get("log")) == bool(b.get("log"))
    return same and encode(a.get("choices")) == encode(b.get("choices"))


def in_text(given: Sequence[tuple[Mapping[str, Any], float]]) -> bool:
    """Return whether choices of a parameter had to become text."""
    choices = [choice for distribution, _ in given for choice in _form(distribution).get("choices", ())]
    return any(plain_choice(choice) is not choice for choice in choices)


def differing(given: Sequence[tuple[Mapping[str, Any], float]]) -> bool:
    """Return whether trials had a parameter from different distributions."""
    return len({encode(_form(distribution)) for distribution, _ in given}) > 1


def joined_parameter(name: str, given: Sequence[tuple[Mapping[str, Any], float]]) -> Parameter:
    """Return the parameter that holds all that trials had under one name.

    Parameters
    ----------
    name : str
        Its name, for messages.
    given : sequence of (Mapping, float)
        The distribution and the internal value of each trial; an objective may change a range between trials.

    Raises
    ------
    InputError
        There is no such parameter here.
    """
    forms = [_form(distribution) for distribution, _ in given]
    kinds = {form["kind"] for form in forms}
    try:
        if kinds == {"categorical"}:
            choices = {encode(c): c for form in forms for c in map(plain_choice, form["choices"])}
            return Categorical(list(choices.values()))
        if "categorical" in kinds:
            raise InputError("it is a category in some trials and a number in others.")
        values = [external(distribution, value) for distribution, value in given]
        return _number(forms, Float if "float" in kinds else Int, values)
    except (InputError, SpaceError) as error:
        message = f"the parameter {name[:60]!r} has no counterpart: {error.message}"
        raise InputError(message, hint=error.hint, code="E_OPTUNA") from None


def _number(
    forms: Sequence[Mapping[str, Any]], kind: type[Float] | type[Int], values: Sequence[Any]
) -> Parameter:
    low, high = min(form["low"] for form in forms), max(form["high"] for form in forms)
    if low == high:
        return Constant(low)
    log = all(form.get("log", False) for form in forms)
    steps = {form.get("step") for form in forms}
    step = steps.pop() if len(steps) == 1 else None
    if step is not None and not (kind is Int and step == 1):
        stepped = kind(low, high, log=log, step=step)
        if all(stepped.contains(value) for value in values):
            return stepped
    return kind(low, high, log=log)
