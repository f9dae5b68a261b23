"""Partitions: methods with their categorical choices fixed, and the one space that holds them all.

A method's tree is walked as ATM does it: take the first category that is not fixed yet, fix each of its
values in turn, and let the children that this value brings join the rest. What is left at the end, numbers
only, is a partition. The order is fixed by the files, so a partition's index names it for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelwright.automl.methods import Method
from modelwright.errors import ConfigurationError
from modelwright.space import Categorical, Ordinal, Parameter, Space

__all__ = ["METHOD", "MethodPartition", "find_partition", "joint_space", "partitions"]

METHOD = "method"
"""The parameter of the joint space that says which method."""


@dataclass(frozen=True, slots=True)
class MethodPartition:
    """A method with its categorical choices fixed.

    Attributes
    ----------
    index : int
        From 0, within the list that `partitions` returns.
    method : Method
        What is fixed and what is not belongs to it.
    categoricals : mapping of str to object
        The choices that make this partition.
    tunables : Space
        The numbers, which a tuner chooses; may be empty.
    constants : mapping of str to object
        What is passed along without a choice.
    """

    index: int
    method: Method
    categoricals: Mapping[str, Any]
    tunables: Space
    constants: Mapping[str, Any]

    @property
    def label(self) -> str:
        """A name to read, such as ``knn/distance/kd_tree/manhattan``."""
        parts = [
            value if isinstance(value, str) else f"{name}={value}"
            for name, value in self.categoricals.items()
        ]
        return "/".join([self.method.name, *parts])

    def configuration(self, numbers: Mapping[str, Any]) -> dict[str, Any]:
        """Return the configuration of the joint space that `numbers`, values of `tunables`, stand for."""
        own = {**self.categoricals, **numbers, **self.constants}
        key = self.method.key
        ordered = {key(name): own[name] for name in self.method.hyperparameters if name in own}
        return {METHOD: self.method.name, **ordered}

    def numbers(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of `tunables` in a configuration of the joint space."""
        return {name: config[self.method.key(name)] for name in self.tunables}

    def holds(self, config: Mapping[str, Any]) -> bool:
        """Return whether a configuration of the joint space belongs to this partition."""
        key = self.method.key
        return config.get(METHOD) == self.method.name and all(
            key(name) in config and config[key(name)] == value for name, value in self.categoricals.items()
        )

    def gridded(self, points: int) -> MethodPartition:
        """Return the same partition with at most `points` evenly spaced values for each number."""
        axes = {name: _axis(parameter, points) for name, parameter in self.tunables.parameters.items()}
        return MethodPartition(self.index, self.method, self.categoricals, Space(axes), self.constants)


def partitions(methods: Iterable[Method]) -> list[MethodPartition]:
    """Return the partitions of all methods, in a fixed order.

    Examples
    --------
    >>> from modelwright.automl.methods import load_methods
    >>> parts = partitions(load_methods(["logreg", "dt", "knn"], "binary"))
    >>> len(parts), parts[0].label
    (32, 'logreg/l1/fit_intercept=True')
    >>> parts[0].configuration({"C": 1.0, "tol": 0.01})["logreg:penalty"]
    'l1'
    """
    result: list[MethodPartition] = []
    for method in methods:
        for fixed, others in _walk(method, list(method.roots), {}):
            definitions = method.hyperparameters
            numbers = {name: definitions[name].parameter() for name in others if definitions[name].is_number}
            constants = {name: definitions[name].values[0] for name in others if name not in numbers}
            result.append(MethodPartition(len(result), method, fixed, Space(numbers), constants))
    return result


def _walk(
    method: Method, names: list[str], fixed: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Yield the fixed categories and the names of all others, for each partition."""
    names = _with_children_of_constants(method, names)
    open_names = [name for name in names if method.hyperparameters[name].is_category]
    if not open_names:
        yield fixed, names
        return
    chosen = open_names[0]
    rest = [name for name in names if name != chosen]
    for value in method.hyperparameters[chosen].values:
        children = method.conditions.get(chosen, {}).get(str(value), ())
        yield from _walk(method, rest + list(children), {**fixed, chosen: value})


def _with_children_of_constants(method: Method, names: list[str]) -> list[str]:
    """A constant is a category with one value: its children belong to every partition."""
    result = list(names)
    for name in result:  # grows while it is walked over
        definition = method.hyperparameters[name]
        if definition.is_constant:
            children = method.conditions.get(name, {}).get(str(definition.values[0]), ())
            result += [child for child in children if child not in result]
    return result


def joint_space(methods: Sequence[Method]) -> Space:
    """Return the conditional space of all methods: ``method``, and ``<code>:<parameter>`` below it.

    Examples
    --------
    >>> from modelwright.automl.methods import load_methods
    >>> methods = load_methods(["knn"], "binary")
    >>> space = joint_space(methods)
    >>> space["knn:leaf_size"].when
    {'knn:algorithm': ('ball_tree', 'kd_tree')}
    >>> all(space.check(part.configuration(part.tunables.default())) for part in partitions(methods))
    True
    """
    parameters: dict[str, Parameter] = {METHOD: Categorical([method.name for method in methods])}
    for method in methods:
        parents = _parents(method)
        for name, definition in method.hyperparameters.items():
            when: dict[str, Any] = {METHOD: method.name}
            if name in parents:
                parent, values = parents[name]
                when = {method.key(parent): values}
            parameters[method.key(name)] = definition.parameter(when)
    return Space(parameters)


def _parents(method: Method) -> dict[str, tuple[str, list[Any]]]:
    """Return child -> (parent, values of the parent that bring it in)."""
    result: dict[str, tuple[str, list[Any]]] = {}
    for parent, cases in method.conditions.items():
        if parent not in method.hyperparameters:
            continue
        for value in method.hyperparameters[parent].values:
            for child in cases.get(str(value), ()):
                result.setdefault(child, (parent, []))[1].append(value)
    return result


def find_partition(parts: Iterable[MethodPartition], config: Mapping[str, Any]) -> MethodPartition:
    """Return the partition that a configuration belongs to.

    Raises
    ------
    ConfigurationError
        It belongs to none.
    """
    for part in parts:
        if part.holds(config):
            return part
    raise ConfigurationError(f"the configuration {dict(config)!r:.200} belongs to no partition.")


def _axis(parameter: Any, points: int) -> Parameter:
    steps = [0.5] if points == 1 else [at / (points - 1) for at in range(points)]
    return Ordinal(list(dict.fromkeys(parameter.decode(step) for step in steps)))
