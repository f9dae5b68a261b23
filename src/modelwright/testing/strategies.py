"""Hypothesis strategies for spaces and for what trials end with, for our tests and those of plug-ins."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from modelwright.records import FailureKind
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Parameter, Space

__all__ = ["outcomes", "parameters", "spaces"]

_PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.sampled_from("abc"), st.floats(-2, 2))
_BOUNDS = st.integers(-1000, 1000)
_MOST_VALUES = 6  # per finite parameter, so that whole spaces can be listed


def _identity(value: Any) -> tuple[str, Any]:
    return type(value).__name__, value


@st.composite
def _numbers(draw: st.DrawFn, finite: bool) -> Parameter:
    log = draw(st.booleans())
    low = draw(st.integers(1, 1000) if log else _BOUNDS)
    count, step = draw(st.integers(2, _MOST_VALUES)), draw(st.integers(1, 7))
    extra = draw(st.integers(0, step - 1))  # a range need not end on its grid
    high = low + (count - 1) * step + extra
    if draw(st.booleans()):
        return Int(low, high, log=log, step=step if finite or draw(st.booleans()) else None)
    scale = 10.0 ** -draw(st.integers(0, 3))
    grid = step * scale if finite or draw(st.booleans()) else None
    return Float(low * scale, high * scale, log=log, step=grid)


@st.composite
def _choices(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from([Categorical, Ordinal, Bool, Constant]))
    if kind is Bool:
        return Bool(default=draw(st.booleans()))
    if kind is Constant:
        return Constant(draw(_PLAIN))
    values: list[Any] = draw(st.lists(_PLAIN, min_size=1, max_size=4, unique_by=_identity))
    if draw(st.booleans()):
        values.append((1, "an object"))
    return Categorical(values) if kind is Categorical else Ordinal(values)


def parameters(*, finite: bool = False) -> st.SearchStrategy[Parameter]:
    """Return a strategy for single parameters without a condition.

    Parameters
    ----------
    finite : bool, default=False
        Only such as have a few values.
    """
    return st.one_of(_numbers(finite), _choices())


@st.composite
def spaces(draw: st.DrawFn, *, finite: bool = False, constraints: bool = True, most: int = 5) -> Space:
    """Draw a space with conditions, nested ones too, and with constraints that some configuration meets.

    Parameters
    ----------
    finite : bool, default=False
        Only spaces that can be listed.
    constraints : bool, default=True
        Whether the space may have constraints.
    most : int, default=5
        The largest number of parameters.
    """
    drawn: dict[str, Parameter] = {}
    for i in range(draw(st.integers(1, most))):
        parameter = draw(parameters(finite=finite))
        parents = [name for name, other in drawn.items() if other.size is not None and other.type != "float"]
        when = {}
        for parent in draw(st.lists(st.sampled_from(parents), max_size=2, unique=True)) if parents else []:
            slots = range(drawn[parent].size or 0)
            picked = draw(st.lists(st.sampled_from(slots), min_size=1, max_size=3, unique=True))
            when[parent] = [drawn[parent].at(slot) for slot in picked]
        drawn[f"p{i}"] = parameter.with_when(when)
    space = Space(drawn)
    numbers = [name for name, parameter in drawn.items() if parameter.kind == "number"]
    if not constraints or not numbers or draw(st.booleans()):
        return space
    return Space(drawn, constraints=[_met_by_default(space, draw(st.sampled_from(numbers)))])


def _met_by_default(space: Space, name: str) -> str:
    """Return a constraint on `name` that the default configuration meets."""
    return f"{name} <= {space[name].default!r} or {name} / 2 >= {space[name].default!r}"


_VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, 1e300, -1e300, 5e-324, float("inf"), float("-inf"), float("nan")]),
    st.floats(-100, 100),
)


def outcomes(count: int) -> st.SearchStrategy[list[float | FailureKind]]:
    """Return a strategy for what so many trials end with: a value, odd ones too, or a kind of failure.

    All alike, all failed and all of one value are drawn often, since these are where models break.
    """
    one = st.one_of(_VALUES, st.sampled_from(FailureKind))
    return st.one_of(
        st.lists(one, min_size=count, max_size=count),
        one.map(lambda outcome: [outcome] * count),
        st.lists(_VALUES, min_size=count, max_size=count),
    )
