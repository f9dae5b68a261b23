"""Spaces as JSON and TOML, read strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from modelwright._base.registry import nearest
from modelwright.errors import SpaceError
from modelwright.space.choices import Bool, Categorical, Constant, Ordinal
from modelwright.space.labels import is_plain
from modelwright.space.numbers import Float, Int
from modelwright.space.parameters import MOST_PARAMETERS, Parameter

if TYPE_CHECKING:
    from modelwright.space.space import Space

__all__ = ["parameter_from_json", "parse_space", "space_to_json"]

_RANGE = {"low", "high", "log", "step", "default", "prior"}
_CHOICES = {"choices", "labels", "default", "prior"}
_KEYS = {
    "float": _RANGE,
    "int": _RANGE,
    "categorical": _CHOICES,
    "ordinal": _CHOICES,
    "bool": {"default", "prior"},
    "constant": {"value", "label"},
}


def space_to_json(space: Space) -> dict[str, Any]:
    """Return `space` as JSON: parameters as a list, because some databases sort the keys of objects."""
    for rule in space.rules:
        if rule.function is not None:
            raise SpaceError(
                f"the constraint {rule.text} is a function, and a function cannot be stored.",
                hint="Write it as text, such as 'a <= b', or keep the study in memory.",
                code="E_CONSTRAINT",
            )
    parameters = []
    for name, parameter in space.parameters.items():
        parameters.append({"name": name, **parameter.to_json()})
    return {"parameters": parameters, "constraints": list(space.constraints)}


def parse_space(form: Any) -> tuple[dict[str, Parameter], list[str]]:
    """Return the parameters and constraints that `form` describes.

    Raises
    ------
    SpaceError
        `form` is not the JSON form of a space; the message names the place.
    """
    _check_keys(form, {"parameters", "constraints"}, "the space")
    given = form.get("parameters", [])
    if isinstance(given, Mapping):
        given = [{**_table(entry, f"parameters.{name}"), "name": name} for name, entry in given.items()]
    if not isinstance(given, list):
        raise _wrong("parameters", "a table by name or a list of tables", given)
    if len(given) > MOST_PARAMETERS:
        raise SpaceError(
            f"expected at most {MOST_PARAMETERS:,} parameters, got {len(given):,}.", code="E_SPACE_LIMIT"
        )
    parameters: dict[str, Parameter] = {}
    for i, entry in enumerate(given):
        table = dict(_table(entry, f"parameters[{i}]"))
        name = table.pop("name", None)
        if not isinstance(name, str):
            raise _wrong(f"parameters[{i}].name", "a text", name)
        if name in parameters:
            raise SpaceError(f"the parameter {name!r} is given twice.", code="E_NAME")
        parameters[name] = parameter_from_json(table, f"parameters.{name[:40]}")
    constraints = form.get("constraints", [])
    if not isinstance(constraints, list) or not all(isinstance(text, str) for text in constraints):
        raise _wrong("constraints", "a list of texts", constraints)
    return parameters, constraints


def parameter_from_json(form: Any, where: str = "the parameter") -> Parameter:
    """Return the parameter that `form` describes; `where` stands in messages.

    Raises
    ------
    SpaceError
        `form` is not the JSON form of a parameter.
    """
    table = {key: _plain(value) for key, value in _table(form, where).items()}
    kind = table.pop("type", None)
    if not isinstance(kind, str) or kind not in _KEYS:
        raise SpaceError(
            f"{where}: there is no parameter type {kind!r}.", hint=nearest(str(kind), list(_KEYS))
        )
    when = table.pop("when", None)
    _check_keys(table, _KEYS[kind], where)
    if when is not None:
        when = {parent: _plain(value) for parent, value in _table(when, f"{where}.when").items()}
    try:
        return _BUILD[kind](table, when)
    except KeyError as error:
        raise SpaceError(f"{where}: the key {error.args[0]!r} is missing.") from None
    except SpaceError as error:
        raise SpaceError(f"{where}: {error.message}", hint=error.hint, code=error.code) from None


def _number(cls: Any) -> Callable[[dict[str, Any], Any], Parameter]:
    def build(table: dict[str, Any], when: Any) -> Parameter:
        low, high = table.pop("low"), table.pop("high")
        parameter: Parameter = cls(low, high, **table, when=when)
        return parameter

    return build


def _choice(cls: Any) -> Callable[[dict[str, Any], Any], Parameter]:
    def build(table: dict[str, Any], when: Any) -> Parameter:
        labels = table.pop("labels", None)
        # Where only labels are stored they stand for the objects until the space is given again.
        choices = table.pop("choices", labels)
        if choices is None:
            raise KeyError("choices")
        for name, values in (("choices", choices), ("labels", labels)):
            if values is not None and not isinstance(values, list):
                raise SpaceError(f"expected {name} to be a list, got {values!r}.", code="E_CHOICES")
        _check_plain(choices)
        parameter: Parameter = cls(choices, labels=labels, when=when, **table)
        return parameter

    return build


def _bool(table: dict[str, Any], when: Any) -> Parameter:
    return Bool(**table, when=when)


def _constant(table: dict[str, Any], when: Any) -> Parameter:
    label = table.pop("label", None)
    value = table["value"] if label is None else table.get("value", label)
    _check_plain([value])
    return Constant(value, label=label, when=when)


_BUILD: dict[str, Callable[[dict[str, Any], Any], Parameter]] = {
    "float": _number(Float),
    "int": _number(Int),
    "categorical": _choice(Categorical),
    "ordinal": _choice(Ordinal),
    "bool": _bool,
    "constant": _constant,
}


def _plain(value: Any) -> Any:
    """Return `value` with ``{"null": true}``, which is how TOML writes it, as None."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, Mapping) and dict(value) == {"null": True} else value


def _check_plain(values: list[Any]) -> None:
    for value in values:
        if not is_plain(value):
            raise SpaceError(
                f"expected texts, numbers, true, false or null, got {value!r}.", code="E_CHOICES"
            )


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(where, "a table", value)
    return value


def _check_keys(form: Any, allowed: set[str], where: str) -> None:
    for key in _table(form, where):
        if key not in allowed:
            raise SpaceError(f"{where}: unknown key {key!r}.", hint=nearest(str(key), sorted(allowed)))


def _wrong(where: str, expected: str, came: Any) -> SpaceError:
    return SpaceError(f"{where}: expected {expected}, got {came!r:.80}.")
