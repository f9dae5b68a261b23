"""What holds for every space, over drawn ones."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from modelwright._base.jsonform import dumps, loads
from modelwright.space import Space
from modelwright.testing.strategies import parameters, spaces

SEEDS = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)


def close(one: Any, other: Any, space: Space) -> bool:
    """Whether two configurations agree: exactly, but for the last digits of continuous numbers."""
    if one.keys() != other.keys():
        return False
    for name, value in one.items():
        parameter = space[name]
        if parameter.size is None:
            width = parameter.high - parameter.low
            if not math.isclose(value, other[name], rel_tol=1e-12, abs_tol=1e-12 * width):
                return False
        elif value != other[name] or type(value) is not type(other[name]):
            return False
    return True


@quick
@given(spaces(), SEEDS)
def test_decoding_undoes_encoding(space: Space, seed: int) -> None:
    configs = space.sample_many(np.random.default_rng(seed), 20)
    X = space.encode(configs)
    assert X.shape == (20, len(space))
    assert ((X >= 0) & (X <= 1) | np.isnan(X)).all()
    assert all(map(close, configs, space.decode(X), [space] * 20))


@quick
@given(parameters(), st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_a_column_is_decoded_as_its_values_one_by_one(parameter: Any, positions: list[float]) -> None:
    column = parameter.decode_column(np.array(positions))
    assert parameter.values(column) == [parameter.decode(u) for u in positions]
    assert np.allclose(
        parameter.encode_column(column), [parameter.encode(v) for v in parameter.values(column)]
    )
    assert all(parameter.contains(value) for value in parameter.values(column))


@quick
@given(parameters(finite=True))
def test_every_value_of_a_finite_parameter_comes_back(parameter: Any) -> None:
    values = [parameter.at(slot) for slot in range(parameter.size)]
    assert [parameter.decode(parameter.encode(value)) for value in values] == values
    assert [parameter.slot_of(value) for value in values] == list(range(parameter.size))
    assert parameter.slots(parameter.column(values)).tolist() == list(range(parameter.size))


@quick
@given(spaces(), SEEDS)
def test_samples_are_valid(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for config in [space.sample(rng), space.default(), *space.sample_many(rng, 10)]:
        assert list(space.check(config).items()) == list(config.items())
        assert list(config) == space.active(config)
        assert space.satisfies(config)


@quick
@given(spaces(), SEEDS)
def test_unit_samples_are_encoded_valid_configurations(space: Space, seed: int) -> None:
    X = space.sample_unit(np.random.default_rng(seed), 10)
    configs = space.decode(X)
    assert [list(config) for config in configs] == [space.active(config) for config in configs]
    assert np.allclose(X, space.encode(configs), equal_nan=True)
    assert [space.from_unit(row) for row in np.nan_to_num(X, nan=0.5)] == configs


@quick
@given(spaces())
def test_json_round_trip(space: Space) -> None:
    again = Space.from_json(loads(dumps(space.to_json())))
    assert again == space
    assert hash(again) == hash(space)
    assert json.dumps(again.to_json()) == json.dumps(space.to_json())
    assert pickle.loads(pickle.dumps(space)) == space


@quick
@given(spaces(), SEEDS)
def test_configurations_go_through_json(space: Space, seed: int) -> None:
    for config in space.sample_many(np.random.default_rng(seed), 5):
        stored = loads(dumps(space.dump(config)))
        back = space.load(stored)
        assert list(map(type, back.values())) == list(map(type, config.values()))
        assert back == config
        assert space.key(back) == space.key(config)
        # Without the objects the labels take their place, and everything else is the same.
        unknowing = Space.from_json(space.to_json())
        assert unknowing.dump(unknowing.load(stored)) == stored
        assert np.array_equal(
            unknowing.encode([unknowing.load(stored)]), space.encode([config]), equal_nan=True
        )


@quick
@given(spaces(finite=True))
def test_the_size_is_the_number_of_configurations(space: Space) -> None:
    listed = list(space.enumerate())
    assert space.size == len(listed) == len({space.key(config) for config in listed})
    assert all(space.check(config) == config for config in listed[:50])
    assert listed == list(space.enumerate())


@quick
@given(spaces(), SEEDS)
def test_neighbours_are_valid_and_differ_in_one_parameter(space: Space, seed: int) -> None:
    rng = np.random.default_rng(seed)
    config = space.sample(rng)
    for other in space.neighbours(config, rng, n=8):
        assert space.check(other) == other
        changed = {
            name
            for name in config.keys() & other.keys()
            if space.key({name: config[name]}) != space.key({name: other[name]})
        }
        assert len(changed) == 1
        # What appears or goes depends, at one remove or more, on what was changed.
        depends = set(changed)
        for _ in space.names:
            depends |= {name for name in space.names if depends & set(space[name].when)}
        assert config.keys() ^ other.keys() <= depends


@quick
@given(spaces(), SEEDS)
def test_equal_seeds_give_equal_samples(space: Space, seed: int) -> None:
    one, other = (space.sample_many(np.random.default_rng(seed), 10) for _ in range(2))
    assert one == other
    assert space.sample(np.random.default_rng(seed)) == space.sample(np.random.default_rng(seed))
