"""Spaces to and from Optuna's distributions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings

from modelwright.errors import InputError
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Parameter, Space
from modelwright.testing.strategies import parameters, spaces

optuna = pytest.importorskip("optuna", reason="the library 'optuna' is not installed")

from optuna.distributions import (  # noqa: E402
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from modelwright.integrations.optuna import (  # noqa: E402
    ModelwrightSampler,
    from_distributions,
    suggest,
    to_distributions,
)

optuna.logging.set_verbosity(optuna.logging.ERROR)


def values(parameter: Parameter) -> Any:
    """What a parameter can take: its values in stored form, or its range."""
    if parameter.size is None:
        assert isinstance(parameter, Float)
        return parameter.low, parameter.high, parameter.log
    listed = [parameter.dump(parameter.at(slot)) for slot in range(parameter.size)]
    return [round(item, 12) for item in listed] if isinstance(parameter, Float) else repr(listed)


def inexpressible(parameter: Parameter) -> bool:
    """Whether Optuna lacks it: steps on a logarithmic scale, and equal choices of several types."""
    if isinstance(parameter, Float | Int):
        return bool(parameter.log) and parameter.step != (1 if isinstance(parameter, Int) else None)
    stored = [parameter.dump(parameter.at(slot)) for slot in range(parameter.size or 0)]
    return any(item in stored[:i] for i, item in enumerate(stored))


@settings(max_examples=100, deadline=None)
@given(parameter=parameters())
def test_a_drawn_parameter_comes_back_with_its_values(parameter: Parameter) -> None:
    space = Space(p=parameter)
    if inexpressible(parameter):
        with pytest.raises(InputError, match="'p'"):
            to_distributions(space)
        return
    back = from_distributions(to_distributions(space))
    assert values(back["p"]) == values(parameter)
    if isinstance(parameter, Float | Int):
        assert back["p"].type == parameter.type
        assert getattr(back["p"], "log", False) == parameter.log


@settings(max_examples=30, deadline=None)
@given(space=spaces(constraints=False))
def test_what_is_suggested_is_of_the_space(space: Space) -> None:
    assume(not any(map(inexpressible, space.parameters.values())))
    study = optuna.create_study(sampler=ModelwrightSampler("random", seed=1))
    for _ in range(5):
        trial = study.ask()
        config = suggest(trial, space)
        assert space.check(config) == config
        assert set(trial.params) == set(config)
        study.tell(trial, 1.0)


@pytest.mark.parametrize(
    ("parameter", "distribution"),
    [
        (Float(0, 1), FloatDistribution(0, 1)),
        (Float(0.1, 0.9, step=0.2), FloatDistribution(0.1, 0.9, step=0.2)),
        (Float(1e-5, 1, log=True), FloatDistribution(1e-5, 1, log=True)),
        (Int(1, 9, step=2), IntDistribution(1, 9, step=2)),
        (Int(1, 1000, log=True), IntDistribution(1, 1000, log=True)),
        (Categorical("relu", None, 3), CategoricalDistribution(["relu", None, 3])),
        (Bool(), CategoricalDistribution([False, True])),
        (Constant("a"), CategoricalDistribution(["a"])),
    ],
)
def test_each_kind(parameter: Parameter, distribution: Any) -> None:
    assert to_distributions(Space(p=parameter)) == {"p": distribution}
    assert from_distributions({"p": distribution}) == Space(p=parameter)


def test_a_single_number_is_a_constant() -> None:
    given = {"x": FloatDistribution(2, 2), "n": IntDistribution(3, 3)}
    assert from_distributions(given) == Space(x=Constant(2.0), n=Constant(3))


def test_a_range_that_does_not_end_on_its_grid_ends_there_in_optuna() -> None:
    assert to_distributions(Space(n=Int(1, 9, step=3)))["n"] == IntDistribution(1, 7, step=3)


def test_objects_go_by_their_labels() -> None:
    space = Space(layers=Categorical((64,), (64, 32)))
    assert to_distributions(space)["layers"] == CategoricalDistribution(["(64,)", "(64, 32)"])
    trial = optuna.create_study().ask()
    assert suggest(trial, space)["layers"] in [(64,), (64, 32)]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (Space(x=Float(1, 9, log=True, step=1)), "no steps on a logarithmic scale, but 'x'"),
        (Space(c=Categorical(1, True)), "cannot tell the choices 1 and True of 'c' apart"),
        (
            Space(a=Bool(), x=Float(0, 1, when={"a": True})),
            r"no conditions, but 'x' .*suggest\(trial, space\)",
        ),
        (
            Space(x=Float(0, 1), y=Float(0, 1), constraints=["x <= y"]),
            "no constraints, but the space has 'x <= y'",
        ),
    ],
)
def test_what_optuna_cannot_say_is_named(space: Space, message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_distributions(space)


def test_a_constraint_cannot_be_suggested() -> None:
    with pytest.raises(InputError, match="no constraints"):
        suggest(optuna.create_study().ask(), Space(x=Float(0, 1), constraints=["x < 1"]))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"drop%": FloatDistribution(0, 1)}, "'drop%' is not allowed"),
        ({"x": 3}, "expected one of Optuna's distributions, got 3"),
        ({"x": FloatDistribution(-1e308, 1e308)}, "'x' has no counterpart: the range .* is wider"),
    ],
)
def test_what_has_no_counterpart_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_distributions(given)


def test_an_ordinal_is_a_category_there() -> None:
    assert from_distributions(to_distributions(Space(s=Ordinal("s", "m", "l")))) == Space(
        s=Categorical("s", "m", "l")
    )
