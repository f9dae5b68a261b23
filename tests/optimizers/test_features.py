"""Configurations as the features of a kernel."""

from __future__ import annotations

import numpy as np

from modelwright.optimizers.features import Features
from modelwright.space import Bool, Categorical, Float, Int, Space

SPACE = Space(
    x=Float(0, 1),
    kind=Categorical("a", "b", "c"),
    flag=Bool(),
    n=Int(1, 4),
    y=Float(0, 1, when={"kind": "a"}),
    sub=Categorical(1, 2, 3, when={"kind": "b"}),
)


def distance(features: Features, *configs: dict[str, object]) -> float:
    Z = features(SPACE.encode(configs))
    return float(np.sqrt(((Z[0] - Z[1]) ** 2).sum()))


def test_two_choices_are_as_far_apart_as_the_ends_of_a_number() -> None:
    features = Features(SPACE)
    base = {"x": 0.0, "kind": "c", "flag": False, "n": 1}
    assert np.isclose(distance(features, base, {**base, "x": 1.0}), 1)
    # y and sub appear with kind: at their neutral values they would add nothing, at others little.
    appears = distance(features, base, {**base, "kind": "a", "y": 0.5})
    assert np.isclose(appears, 1)
    assert np.isclose(distance(features, base, {**base, "kind": "b", "sub": 2}), np.sqrt(1.5))


def test_real_numbers_and_their_places_are_known() -> None:
    features = Features(SPACE)
    assert features.real.tolist() == [0, 4]
    assert features.groups[features.places].tolist() == [0, 4]
    assert len(features.groups) == features(SPACE.sample_unit(np.random.default_rng(0), 3)).shape[1] == 10


def test_thousands_of_choices_have_codes_about_equally_far_apart() -> None:
    space = Space(many=Categorical(*(f"c{i}" for i in range(5000))))
    features = Features(space)
    Z = features(space.sample_unit(np.random.default_rng(0), 200))
    assert Z.shape[1] == 32
    gaps = np.sqrt(((Z[:, None] - Z[None]) ** 2).sum(-1))[np.triu_indices(200, 1)]
    assert 0.9 < np.median(gaps) < 1.1
    assert np.quantile(gaps, 0.01) > 0.6


def test_a_space_without_numbers_has_none() -> None:
    features = Features(Space(kind=Categorical("a", "b")))
    assert features.real.size == features.places.size == 0
