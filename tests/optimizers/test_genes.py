import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelwright.optimizers.genes import Genes, first_valid, repaired
from modelwright.space import Bool, Categorical, Constant, Float, Int, Ordinal, Space
from modelwright.testing.strategies import spaces

NARROW = Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints=["x + y <= 0.2"])


def always(config):
    return True


def test_parameters_are_numbers_choices_or_nothing_to_search() -> None:
    space = Space(
        x=Float(0, 1),
        kind=Categorical("a", "b", "c"),
        k=Constant(1),
        size=Ordinal("s", "m", "l"),
        flag=Bool(),
        wide=Int(0, 10_000),
    )
    genes = Genes(space)
    assert [space.names[j] for j in genes.numbers] == ["x", "size", "wide"]
    assert [space.names[j] for j in genes.choices] == ["kind", "flag"]
    assert genes.sizes.tolist() == [3, 2]
    assert list(genes.stepped) == [3]
    X = space.encode(space.sample_many(np.random.default_rng(0), 30))
    assert genes.at_slots(genes.slots(X)) == pytest.approx(X[:, genes.choices])


def test_a_repair_ends_on_the_near_side_of_the_border() -> None:
    row = repaired(NARROW, np.array([0.3, 0.1]), np.random.default_rng(0))
    assert NARROW.feasible(row[None])[0]
    assert row.sum() > 0.15
    assert np.linalg.norm(row - [0.3, 0.1]) < 0.25


def test_draws_that_never_meet_the_constraints_are_repaired() -> None:
    draws = []

    def draw(count):
        draws.append(count)
        return np.full((count, 2), 0.9)

    config = first_valid(NARROW, draw, np.random.default_rng(0), always)
    assert NARROW.satisfies(config)
    assert draws == [1, 15, 100]


def test_draws_that_are_used_are_passed_over_and_then_a_neighbour_is_taken() -> None:
    space = Space(n=Int(0, 9), kind=Categorical("a", "b"))
    here = {"n": 3, "kind": "a"}

    def draw(count):
        return np.repeat(space.encode([here]), count, axis=0)

    rng = np.random.default_rng(0)
    config = first_valid(space, draw, rng, lambda c: c != here)
    assert config in ({"n": 2, "kind": "a"}, {"n": 4, "kind": "a"}, {"n": 3, "kind": "b"})
    assert first_valid(space, draw, rng, lambda c: False) == here


@given(space=spaces(), seed=st.integers(0, 2**16))
def test_whatever_is_drawn_what_comes_out_is_valid(space, seed) -> None:
    rng = np.random.default_rng(seed)

    def draw(count):
        X = rng.random((count, len(space)))
        X[rng.random(X.shape) < 0.2] = np.nan
        return X

    config = first_valid(space, draw, rng, always)
    assert space.check(config) == config
    assert space.satisfies(config)
