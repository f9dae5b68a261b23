"""What is believed of parameters."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.errors import SpaceError
from modelwright.space import Bool, Categorical, Float, Int, Near, Ordinal, Space
from modelwright.transfer.joining import join_spaces

SPACE = Space(
    lr=Float(1e-5, 1e-1, log=True, prior=Near(3e-4, 0.1)),
    layers=Int(1, 8, prior=3),
    share=Float(0, 1, step=0.1, prior=0.33),
    units=Int(16, 1024, log=True, default=64, prior=100),
    kind=Categorical("a", "b", "c", prior=[1, 5, 2], when={"layers": [3, 4]}),
    shape=Categorical((1,), (2, 3), labels=["one", "two"], prior=[1, 2]),
    size=Ordinal("s", "m", default="s", prior=[1, 2]),
    bias=Bool(prior=[1, 3]),
)


def test_a_search_starts_with_what_is_likeliest_unless_a_default_is_given() -> None:
    assert SPACE.default() == {
        "lr": 3e-4,
        "layers": 3,
        "share": 0.3,
        "units": 64,
        "kind": "b",
        "shape": (2, 3),
        "size": "s",
        "bias": True,
    }


def test_json_and_back() -> None:
    form = SPACE.to_json()
    assert form["parameters"][0]["prior"] == {"near": 3e-4, "spread": 0.1}
    assert form["parameters"][4]["prior"] == [1.0, 5.0, 2.0]
    assert Space.from_json(form).to_json() == form
    assert "default" not in form["parameters"][0]


def test_the_value_alone_is_enough_in_a_file_too() -> None:
    stored = {"type": "float", "low": 0, "high": 1, "prior": 0.2}
    assert Space.from_json({"parameters": {"x": stored}})["x"] == Float(0, 1, prior=Near(0.2))


def test_a_prior_makes_another_parameter() -> None:
    assert Float(0, 1, prior=0.2) != Float(0, 1)
    assert Float(0, 1, prior=0.2) != Float(0, 1, prior=Near(0.2, 0.3))
    assert Categorical("a", "b", prior=[1, 2]) != Categorical("a", "b")


@pytest.mark.parametrize(
    "build",
    [
        lambda: Float(0, 1, prior=2.0),
        lambda: Float(0, 1, prior="0.5"),
        lambda: Float(0, 1, prior=[0.5, 0.1]),
        lambda: Float(0, 1, prior={"at": 0.5}),
        lambda: Int(1, 3, prior=True),
        lambda: Near(0.5, 0.0),
        lambda: Near(0.5, 2.0),
        lambda: Near(float("nan")),
        lambda: Categorical("a", "b", prior=[1]),
        lambda: Categorical("a", "b", prior=[1, 0]),
        lambda: Categorical("a", "b", prior=[1, "2"]),
        lambda: Categorical("a", "b", prior={"a": 1, "b": 2}),
        lambda: Bool(prior=0.8),
    ],
)
def test_priors_that_make_no_sense_are_refused(build: Any) -> None:
    with pytest.raises(SpaceError, match="prior"):
        build()


def test_joined_studies_keep_what_both_believed() -> None:
    def joined(one: Any, other: Any) -> Any:
        return join_spaces([("a", Space(x=one)), ("b", Space(x=other))])["x"].prior

    assert joined(Float(0, 1, prior=0.5), Float(0, 2, prior=0.5)) == Near(0.5)
    assert joined(Float(0, 1, prior=0.5), Float(0, 1)) is None
    assert joined(Categorical("a", prior=[1]), Categorical("b", prior=[1])) is None
