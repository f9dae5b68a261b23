"""Spaces as Optuna's distributions, and the other way."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from modelwright.errors import InputError
from modelwright.integrations.optuna.distributions import form_of, number_of
from modelwright.space import Bool, Categorical, Constant, Float, Int, Parameter, Space
from modelwright.space.labels import same

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["from_distributions", "suggest", "to_distributions"]


def to_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return the distributions of a space without conditions and constraints, by name.

    They hold the same values. Choices that are no plain values go by their labels. Defaults and the order of
    an `Ordinal` have no place in distributions; to begin with the default, enqueue ``space.default()``.

    Parameters
    ----------
    space : Space
        Conditions and constraints cannot be said by distributions: `suggest` follows conditions.

    Raises
    ------
    InputError
        Something in the space cannot be said by distributions; the message names it.

    Examples
    --------
    >>> from modelwright.space import Float, Int, Space
    >>> to_distributions(Space(lr=Float(1e-5, 0.1, log=True), layers=Int(1, 3)))["lr"]
    FloatDistribution(high=0.1, log=True, low=1e-05, step=None)
    """
    _refuse_constraints(space)
    for name, parameter in space.parameters.items():
        if parameter.when:
            raise InputError(
                f"Optuna's distributions have no conditions, but {name!r} has one: {parameter.when}.",
                hint="Call modelwright.integrations.optuna.suggest(trial, space) in the objective.",
                code="E_OPTUNA",
            )
    return {name: _distribution(name, parameter) for name, parameter in space.parameters.items()}


def from_distributions(distributions: Mapping[str, BaseDistribution]) -> Space:
    """Return the space of Optuna's distributions.

    False and True as choices are a `Bool`, and what can take only one value is a `Constant`.

    Parameters
    ----------
    distributions : mapping of str to BaseDistribution
        By name, such as the ``distributions`` of a trial.

    Raises
    ------
    InputError
        A name is not allowed here, or a distribution has no counterpart; the message names it.

    Examples
    --------
    >>> from optuna.distributions import CategoricalDistribution, IntDistribution
    >>> choices = CategoricalDistribution(["relu", None])
    >>> from_distributions({"n": IntDistribution(1, 9, step=2), "act": choices})
    Space(n=Int(low=1, high=9, step=2), act=Categorical(choices=['relu', None]))
    """
    return Space({name: _parameter(name, item) for name, item in distributions.items()})


def suggest(trial: Trial, space: Space) -> dict[str, Any]:
    """Return a configuration of `space` from what an Optuna trial suggests; for use in an objective.

    Conditions hold: only parameters that are active are asked for, parents first.

    Parameters
    ----------
    trial : optuna.Trial
        Of any study and sampler.
    space : Space
        Without constraints, since a trial cannot be made to keep them.

    Raises
    ------
    InputError
        Something in the space cannot be said by distributions; the message names it.

    Examples
    --------
    >>> import optuna
    >>> from modelwright.space import Categorical, Float, Space
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> space = Space(kernel=Categorical("linear", "rbf"), gamma=Float(0.1, 1, when={"kernel": "rbf"}))
    >>> study = optuna.create_study()
    >>> study.enqueue_trial({"kernel": "linear"})
    >>> suggest(study.ask(), space)
    {'kernel': 'linear'}
    """
    _refuse_constraints(space)
    found: dict[str, Any] = {}
    for at in space.structure.order:
        name = space.names[at]
        parameter = space[name]
        if all(_meets(space[parent], found, parent, wanted) for parent, wanted in parameter.when.items()):
            value = _suggested(trial, name, _distribution(name, parameter))
            if isinstance(parameter, Float):
                value = min(max(value, parameter.low), parameter.high)  # to the last decimal
            found[name] = parameter.normal(value)
    return {name: found[name] for name in space.names if name in found}


def _meets(parent: Parameter, found: Mapping[str, Any], name: str, wanted: Sequence[Any]) -> bool:
    return name in found and any(same(parent.dump(found[name]), value) for value in wanted)


def _suggested(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        low, high = distribution.low, distribution.high
        return trial.suggest_int(name, low, high, step=distribution.step, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    # Asked for the distribution itself, because its upper end need not lie on a literal grid.
    return trial._suggest(name, distribution)


def _refuse_constraints(space: Space) -> None:
    if space.rules:
        raise InputError(
            f"Optuna's distributions have no constraints, but the space has {space.rules[0].text!r}.",
            hint="Drop it from the space, and tell Optuna in the objective with trial.set_constraint.",
            code="E_OPTUNA",
        )


# one parameter -----------------------------------------------------------------------------------------


def _distribution(name: str, parameter: Parameter) -> BaseDistribution:
    if isinstance(parameter, Float | Int):
        step = None if parameter.step == 1 and isinstance(parameter, Int) else parameter.step
        if parameter.log and step is not None:
            raise InputError(
                f"Optuna has no steps on a logarithmic scale, but {name!r} has log=True and step={step!r}.",
                hint="Leave one of them out.",
                code="E_OPTUNA",
            )
        if isinstance(parameter, Int):
            high = parameter.at(parameter.size - 1)  # Optuna wants the upper end on the grid
            return IntDistribution(parameter.low, high, log=parameter.log, step=parameter.step)
        return _real(parameter)
    assert parameter.size is not None
    choices = [parameter.dump(parameter.at(slot)) for slot in range(parameter.size)]
    for i, choice in enumerate(choices):
        if choice in choices[:i]:
            raise InputError(
                f"Optuna cannot tell the choices {choices[choices.index(choice)]!r} and {choice!r} "
                f"of {name!r} apart.",
                hint="Write one of them as a text.",
                code="E_OPTUNA",
            )
    return CategoricalDistribution(choices)


def _real(parameter: Float) -> FloatDistribution:
    if parameter.size is None:
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    # Optuna takes the decimals of a grid literally, and warns where its end is not on it. From half a step
    # above the last value it comes down to that one, whatever the last decimals are.
    high = parameter.at(parameter.size - 1) + parameter.step / 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return FloatDistribution(parameter.low, high, step=parameter.step)


def _parameter(name: str, distribution: BaseDistribution) -> Parameter:
    form = form_of(distribution)
    if "choices" not in form:
        return number_of(name, form)
    choices = tuple(form["choices"])
    if len(choices) == 1:
        return Constant(choices[0])
    return Bool() if choices == (False, True) and all(map(_is_bool, choices)) else Categorical(list(choices))


def _is_bool(choice: object) -> bool:
    return isinstance(choice, bool)
