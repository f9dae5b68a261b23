import numpy as np
import pytest

from modelwright.numerics.pareto import best_first, crowding, nondominated


def plain_nondominated(losses: np.ndarray) -> list[bool]:
    return [not any((other <= row).all() and (other < row).any() for other in losses) for row in losses]


@pytest.mark.parametrize("m", [1, 2, 3])
def test_nondominated_agrees_with_its_definition(m: int) -> None:
    rng = np.random.default_rng(m)
    for _ in range(30):
        losses = rng.integers(0, 6, size=(25, m)).astype(float)  # with ties and equal rows
        assert nondominated(losses).tolist() == plain_nondominated(losses)


def test_crowding_prefers_the_lonely() -> None:
    losses = np.array([[0.0, 4.0], [1.0, 3.0], [1.1, 2.9], [4.0, 0.0]])
    distance = crowding(losses)
    assert distance[0] == distance[3] == np.inf
    assert distance[2] > distance[1]


def test_crowding_stands_infinities_and_equal_values() -> None:
    losses = np.array([[0.0, np.inf], [0.0, np.inf], [0.0, 1.0], [0.0, 2.0]])
    assert not np.isnan(crowding(losses)).any()


def test_fronts_come_one_after_the_other() -> None:
    losses = np.array([[2.0, 2.0], [0.0, 1.0], [1.0, 0.0], [3.0, 3.0], [0.5, 0.5]])
    assert best_first(losses, 5).tolist()[3:] == [0, 3]
    assert sorted(best_first(losses, 3).tolist()) == [1, 2, 4]
    assert best_first(np.empty((0, 2)), 3).tolist() == []
