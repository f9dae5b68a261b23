"""Categorical, Ordinal, Bool and Constant, and the labels of their choices."""

from __future__ import annotations

import enum
import functools
import math

import numpy as np
import pytest

from modelwright.errors import ConfigurationError, SpaceError
from modelwright.space import Bool, Categorical, Constant, Float, Ordinal, Space
from modelwright.space.labels import is_plain, label_of, same


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Net:
    """Something without a repr of its own."""


def activation() -> None: ...


def test_types_keep_choices_apart() -> None:
    parameter = Categorical(1, 1.0, True, "1", None)
    assert [parameter.slot_of(value) for value in parameter.choices] == [0, 1, 2, 3, 4]
    assert [type(parameter.decode((i + 0.5) / 5)) for i in range(5)] == [int, float, bool, str, type(None)]
    again = Space.from_json(Space(x=parameter).to_json())["x"]
    assert list(map(type, again.choices)) == [int, float, bool, str, type(None)]  # type: ignore[attr-defined]


def test_a_single_list_holds_the_choices() -> None:
    assert Categorical(["a", "b"]) == Categorical("a", "b")
    assert Categorical(range(3)) == Categorical(0, 1, 2)
    assert Ordinal(("s", "m")) == Ordinal("s", "m")
    assert Categorical("a", "b") != Ordinal("a", "b")


def test_labels_of_objects() -> None:
    parameter = Categorical(Net, activation, Colour.RED, (64, 32), [1], {"a": 1}, math.inf)
    assert parameter.labels == ("Net", "activation", "Colour.RED", "(64, 32)", "[1]", "{'a': 1}", "inf")
    assert not parameter.plain
    assert all(parameter.load(parameter.dump(value)) is value for value in parameter.choices)
    assert parameter.normal("Net") is Net
    assert parameter.normal([1]) == [1]


def test_given_labels_stand_for_any_object() -> None:
    nets = [Net(), Net()]
    parameter = Categorical(*nets, labels=["small", "large"])
    assert parameter.dump(nets[1]) == "large"
    assert parameter.load("small") is nets[0]
    named = Categorical(1, 2, labels=["one", "two"])
    again = Space.from_json(Space(x=named).to_json())["x"]
    assert again == named
    assert again.load("two") == 2
    arrays = Categorical(np.zeros(2), np.ones(2), labels=["zeros", "ones"])
    assert arrays.dump(arrays.choices[1]) == "ones"


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Categorical(), "at least one choice"),
        (lambda: Categorical("a", "b", "a"), "'a' is given twice"),
        (lambda: Categorical([1], [1]), r"\[1\] is given twice"),
        (lambda: Categorical(math.nan, float("nan")), "given twice"),
        (lambda: Categorical(range(10_001)), "at most 10,000"),
        (lambda: Categorical(Net(), Net()), "memory address.*labels="),
        (lambda: Categorical(functools.partial(activation)), "memory address"),
        (lambda: Categorical(list(range(500)), 1), "longer than 500"),
        (lambda: Categorical("3", 3, Net), "label '3'.*labels="),
        (lambda: Categorical(1, 2, labels=["a"]), "one label for each"),
        (lambda: Categorical(1, 2, labels="ab"), "one label for each"),
        (lambda: Categorical(1, 2, labels=["a", ""]), "non-empty"),
        (lambda: Categorical("a", Net, labels=["x", "a"]), "both a choice and the label"),
        (lambda: Categorical("a", "b", default="c"), "default"),
        (lambda: Bool(default="yes"), "default"),  # type: ignore[arg-type]
        (lambda: Constant(Net()), "memory address"),
    ],
)
def test_senseless_choices_are_refused(build: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        build()  # type: ignore[operator]
    assert caught.value.code in ("E_CHOICES", "E_SPACE_LIMIT")


def test_normal_forms() -> None:
    assert Categorical(1, 2).normal(2.0) == 2
    assert type(Categorical(1, 2).normal(np.int64(2))) is int
    assert Categorical("a", "b").normal(np.str_("b")) == "b"
    assert Bool().normal(np.bool_(True)) is True
    for parameter, value in [
        (Categorical(0, 1), True),
        (Bool(), 1),
        (Bool(), "true"),
        (Categorical("a"), "A"),
    ]:
        assert not parameter.contains(value)
    with pytest.raises(ValueError, match=r"expected one of 0, 1, 2.*\(20 in all\), got 99"):
        Categorical(range(20)).normal(99)


def test_defaults() -> None:
    assert Categorical("a", "b").default == "a"
    assert Categorical("a", "b", default="b").default == "b"
    assert Categorical("a", None, default=None).default is None
    assert Categorical("a", "b", default=None).default == "a"
    assert Bool().default is False
    assert Bool(default=True).default is True
    assert Constant("x").default == "x"


def test_constant() -> None:
    constant = Constant(Net)
    assert constant.value is Net
    assert constant.size == 1
    assert constant.to_json() == {"type": "constant", "label": "Net"}
    assert constant.encode(Net) == 0.5


def test_unknown_labels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"labels 'Net'.*got 'Nut'"):
        Categorical(Net).load("Nut")


def test_plainness_and_sameness() -> None:
    assert [is_plain(value) for value in (1, "a", None, True, 0.5)] == [True] * 5
    assert [is_plain(value) for value in (math.nan, math.inf, (1,), Colour.RED, np.float64(1))] == [False] * 5
    assert not same(np.zeros(2), np.zeros(2))
    assert label_of("text") == "text"
    assert Space(a=Categorical("x", "y")).plain
    assert not Space(a=Categorical("x", Net)).plain


def test_representations_can_be_read() -> None:
    assert repr(Categorical("a", "b")) == "Categorical(choices=['a', 'b'])"
    assert repr(Float(0, 1, when={"a": "x"})) == "Float(low=0.0, high=1.0, when={'a': ['x']})"
