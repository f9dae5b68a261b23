"""A space made of what trials had: ranges, choices, and conditions where one parameter explains another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelwright.space import Bool, Categorical, Constant, Float, Int, Parameter, Space
from modelwright.storage.jsontext import encode

__all__ = ["categories_of", "conditions_of", "infer_parameter", "infer_spaces", "version_of"]

_MISSING = object()


def infer_parameter(values: Sequence[Any], *, log: bool = False) -> Parameter:
    """Return the parameter that holds these values, and numbers in the range that they span.

    Raises
    ------
    SpaceError
        A logarithmic scale was asked for, and the values have none.

    Examples
    --------
    >>> infer_parameter([1, 8, 4])
    Int(low=1, high=8)
    >>> infer_parameter([1, 0.5])
    Categorical(choices=[1, 0.5])
    """
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return Bool()
    if kinds in ({int}, {float}):
        low, high = min(values), max(values)
        if low == high:
            return Constant(low)
        return Int(low, high, log=log) if kinds == {int} else Float(low, high, log=log)
    return categories_of(values)


def categories_of(values: Sequence[Any]) -> Categorical:
    """Return the parameter whose choices are these values, each once."""
    return Categorical(list({encode(value): value for value in values}.values()))


def infer_spaces(parameters: Mapping[str, Parameter], configs: Sequence[Mapping[str, Any]]) -> list[Space]:
    """Return a space for configurations of which some lack parameters, in one version or two.

    A parameter that some lack becomes conditional if the choice of a category explains it. Otherwise it is in
    the second version only, as one that objectives add while they run.
    """
    choosers = [name for name, item in parameters.items() if isinstance(item, Categorical | Bool)]
    when, unexplained = conditions_of(configs, list(parameters), choosers)
    whole = {name: item.with_when(when.get(name, {})) for name, item in parameters.items()}
    base = Space({name: item for name, item in whole.items() if name not in unexplained})
    return [base, Space(whole)] if unexplained else [base]


def version_of(params: Mapping[str, Any] | None, spaces: Sequence[Space]) -> int:
    """Return which of the versions that `infer_spaces` made a configuration needs."""
    return int(any(name not in spaces[0] for name in params or ()))


def conditions_of(
    configs: Sequence[Mapping[str, Any]], names: Sequence[str], choosers: Sequence[str]
) -> tuple[dict[str, dict[str, list[Any]]], set[str]]:
    """Return the conditions of parameters that some configurations lack, and those that nothing explains.

    A parameter is explained by one of `choosers`, the categories, whose value is never the same in
    configurations that have it and in those that lack it.

    Examples
    --------
    >>> configs = [{"model": "svm", "C": 1.0}, {"model": "tree"}, {"model": "svm", "C": 2.0}]
    >>> conditions_of(configs, ["model", "C"], ["model"])
    ({'C': {'model': ['svm']}}, set())
    """
    when: dict[str, dict[str, list[Any]]] = {}
    unexplained: set[str] = set()
    for name in names:
        having = [config for config in configs if name in config]
        lacking = [config for config in configs if name not in config]
        if not lacking:
            continue
        for parent in choosers:
            values = _explains(parent, having, lacking) if parent != name and having else None
            if values is not None:
                when[name] = {parent: values}
                break
        else:
            unexplained.add(name)
    return _without_lost_parents(when, unexplained)


def _explains(
    parent: str, having: Sequence[Mapping[str, Any]], lacking: Sequence[Mapping[str, Any]]
) -> list[Any] | None:
    """Return the values of `parent` in the configurations that have the other parameter, if they tell."""
    inside = [config.get(parent, _MISSING) for config in having]
    outside = [config[parent] for config in lacking if parent in config]
    if not outside or any(value is _MISSING for value in inside):
        return None
    known = {encode(value): value for value in inside}
    return None if known.keys() & {encode(value) for value in outside} else list(known.values())


def _without_lost_parents(
    when: dict[str, dict[str, list[Any]]], unexplained: set[str]
) -> tuple[dict[str, dict[str, list[Any]]], set[str]]:
    """Move what depends on an unexplained parameter to the unexplained ones."""
    while lost := [name for name, parents in when.items() if parents.keys() & unexplained]:
        for name in lost:
            del when[name]
            unexplained.add(name)
    return when, unexplained
