from __future__ import annotations

import numpy as np

from modelwright.analysis import confusion


def test_each_pair_is_counted_in_its_cell() -> None:
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 3, 500), rng.integers(0, 3, 500)
    found = confusion(true, predicted, ["a", "b", "c"])
    for row in range(3):
        for column in range(3):
            assert found.counts[row][column] == ((true == row) & (predicted == column)).sum()
    assert found.total == 500
    assert found.correct == (true == predicted).sum()
    np.testing.assert_allclose(np.sum(found.shares, axis=1), 1)


def test_a_class_without_rows_has_empty_shares() -> None:
    found = confusion(np.array([0]), np.array([0]), [False, True])
    assert found.classes == ("False", "True")
    assert found.shares == ((1.0, 0.0), (0.0, 0.0))


def test_no_rows_at_all() -> None:
    found = confusion(np.array([], dtype=int), np.array([], dtype=int), ["a", "b"])
    assert found.counts == ((0, 0), (0, 0))
