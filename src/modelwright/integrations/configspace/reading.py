"""ConfigSpace's spaces as ours."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ConfigSpace
import numpy as np

from modelwright.errors import InputError, SpaceError
from modelwright.integrations.configspace.clauses import constraints_of
from modelwright.integrations.configspace.conditions import conditions_of
from modelwright.integrations.configspace.writing import META
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Parameter, Space

__all__ = ["from_configspace"]


def from_configspace(source: ConfigSpace.ConfigurationSpace | str | Path) -> Space:
    """Return a space of ConfigSpace as one of ours.

    Parameters
    ----------
    source : ConfigurationSpace, str or Path
        The space, or the path of a JSON file that `ConfigurationSpace.to_json` wrote. ConfigSpace puts
        hyperparameters in an order of its own, which is kept.

    Raises
    ------
    InputError
        Something has no counterpart, such as the prior of a normal or weighted hyperparameter, or a condition
        on a real number; the message names it.

    Examples
    --------
    >>> from ConfigSpace import ConfigurationSpace, EqualsCondition, ForbiddenGreaterThanRelation
    >>> ranges = {"gamma": (0.1, 1.0), "a": (1, 9), "b": (1, 9)}
    >>> given = ConfigurationSpace({"kernel": ["linear", "rbf"], **ranges})
    >>> given.add(EqualsCondition(given["gamma"], given["kernel"], "rbf"))
    >>> given.add(ForbiddenGreaterThanRelation(given["a"], given["b"]))
    >>> space = from_configspace(given)
    >>> space["gamma"], space.constraints
    (Float(low=0.1, high=1.0, when={'kernel': ['rbf']}), ('a <= b',))
    """
    if isinstance(source, str | Path):
        source = _from_file(Path(source))
    if not isinstance(source, ConfigSpace.ConfigurationSpace):
        raise InputError(
            f"expected a ConfigurationSpace or the path of its JSON file, got {type(source).__name__}.",
            code="E_CONFIGSPACE",
        )
    plain = {name: _parameter(name, item) for name, item in source.items()}
    when = conditions_of(source, plain)
    parameters = {name: item.with_when(when.get(name, {})) for name, item in plain.items()}
    return Space(parameters, constraints=constraints_of(source, plain))


def _from_file(path: Path) -> ConfigSpace.ConfigurationSpace:
    if not path.is_file():
        raise InputError(f"there is no file {str(path)!r}.", code="E_PATH")
    try:
        return ConfigSpace.ConfigurationSpace.from_json(path)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{str(path)!r} is no space that ConfigSpace wrote: {error!r:.120}.", code="E_CONFIGSPACE"
        ) from None


def _parameter(name: str, item: Any) -> Parameter:
    try:
        return _plain_parameter(name, item)
    except SpaceError as error:
        message = f"the hyperparameter {name[:60]!r} has no counterpart: {error.message}"
        raise InputError(message, hint=error.hint, code="E_CONFIGSPACE") from None


def _plain_parameter(name: str, item: Any) -> Parameter:
    if isinstance(item, ConfigSpace.UniformFloatHyperparameter):
        return _number(Float, item)
    if isinstance(item, ConfigSpace.UniformIntegerHyperparameter):
        return _number(Int, item)
    if isinstance(item, ConfigSpace.Constant):
        return Constant(item.value)
    if isinstance(item, ConfigSpace.OrdinalHyperparameter):
        return _stepped(item) or Ordinal(list(item.sequence), **_default(item, item.sequence[0]))
    if isinstance(item, ConfigSpace.CategoricalHyperparameter):
        choices, prior = list(item.choices), None if item.weights is None else list(item.weights)
        options = {"prior": prior, **_default(item, choices[int(np.argmax(prior or [1.0]))])}
        if [repr(choice) for choice in choices] == ["False", "True"]:
            return Bool(**options)
        return Categorical(choices, **options)
    kind = type(item).__name__.removesuffix("Hyperparameter")
    raise SpaceError(
        f"our parameters have no counterpart of the prior {kind}.",
        hint="Call remove_hyperparameter_priors() first.",
    )


def _number(kind: type[Float] | type[Int], item: Any) -> Parameter:
    plain = kind(item.lower, item.upper, log=item.log)
    # Defaults are rounded to 13 decimals there.
    if math.isclose(plain.default, item.default_value, rel_tol=1e-9, abs_tol=1e-13):
        return plain
    return kind(item.lower, item.upper, log=item.log, default=item.default_value)


def _default(item: Any, usual: Any) -> dict[str, Any]:
    return (
        {} if item.default_value is usual or item.default_value == usual else {"default": item.default_value}
    )


def _stepped(item: Any) -> Parameter | None:
    """Return the number that an ordinal of ours remembers; None if it remembers none, or other values."""
    form = (item.meta or {}).get(META)
    if not isinstance(form, Mapping):
        return None
    given = {key: value for key, value in form.items() if key != "default"}
    plain = Space.from_json({"parameters": {"x": given}})["x"]
    if plain.size != len(item.sequence) or [plain.at(i) for i in range(plain.size)] != list(item.sequence):
        return None
    if plain.default == item.default_value:
        return plain
    return Space.from_json({"parameters": {"x": {**given, "default": item.default_value}}})["x"]
