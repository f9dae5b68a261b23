"""The unit cube of a space."""

from __future__ import annotations

import numpy as np
import pytest

from modelwright.errors import ConfigurationError
from modelwright.space import Categorical, Float, Int, Space

SPACE = Space(
    kind=Categorical("a", "b"), n=Int(1, 4), lr=Float(1e-4, 1, log=True), x=Float(0, 1, when={"kind": "b"})
)


def test_snapped_rows_are_what_encoding_the_decoded_ones_gives() -> None:
    X = np.random.default_rng(0).random((200, 4))
    snapped = SPACE.snap(X)
    np.testing.assert_array_equal(snapped, SPACE.encode(SPACE.decode(X)))
    assert np.isnan(snapped[:, 3]).any()
    assert set(snapped[:, 1]) == {0.125, 0.375, 0.625, 0.875}


def test_a_missing_value_where_one_is_needed_is_told() -> None:
    with pytest.raises(ConfigurationError, match="'x'"):
        SPACE.snap(np.array([[0.9, 0.5, 0.5, np.nan]]))


def test_many_at_once_are_encoded_as_each_by_itself() -> None:
    space = Space(
        {
            **SPACE.parameters,
            "steps": Float(1, 50, log=True, step=0.5),
            "sizes": Int(8, 4096, log=True),
            "net": Categorical([8], [8, 8], (8,), True, 1, 1.0, when={"n": [1, 4]}),
        }
    )
    configs = space.sample_many(np.random.default_rng(1), 300)
    assert space.encode(configs).tobytes() == b"".join(space.encode([config]).tobytes() for config in configs)


@pytest.mark.parametrize("wrong", [{"x": "0.5"}, {"n": None}, {"kind": "c"}, {"lr": "nan"}])
def test_among_many_a_value_of_another_type_is_told(wrong: dict[str, object]) -> None:
    configs = [{"kind": "b", "n": 1, "lr": 0.5, "x": 0.5} for _ in range(50)]
    configs[30] |= wrong
    with pytest.raises(ConfigurationError, match=f"the parameter '{next(iter(wrong))}'"):
        SPACE.encode(configs)
