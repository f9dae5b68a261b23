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
