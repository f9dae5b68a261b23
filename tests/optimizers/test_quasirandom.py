import numpy as np

from modelwright.optimizers import make_optimizer
from modelwright.records import Component
from modelwright.space import Float, Space
from modelwright.testing.optimizers import OptimizerContract, Simulation


class TestQuasiRandomSearch(OptimizerContract):
    component = Component("quasirandom")


def configs(space: Space, trials: int, width: int = 1, ticket_seed: int = 0, seed: int = 0) -> list[dict]:
    def build(space, objectives, *, deterministic):
        return make_optimizer("quasirandom", space, objectives, deterministic=deterministic, seed=seed)

    return Simulation(space, build, seed=ticket_seed).run(trials, width).configs


def test_every_cell_of_a_binary_grid_is_visited_once() -> None:
    points = configs(Space(x=Float(0, 1), y=Float(0, 1)), 64)
    cells = {(int(point["x"] * 8), int(point["y"] * 8)) for point in points}
    assert len(cells) == 64


def test_the_trials_number_and_the_seed_decide_alone() -> None:
    space = Space(x=Float(0, 1), y=Float(0, 1))
    assert configs(space, 20, ticket_seed=1) == configs(space, 20, width=7, ticket_seed=2)
    assert configs(space, 20, seed=1) != configs(space, 20, seed=2)


def test_the_feasible_part_is_filled_evenly() -> None:
    space = Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints=["x + y <= 1"])
    points = configs(space, 256)
    # The feasible triangle is cut in halves by its axis of symmetry, and by a parallel to its long side.
    assert abs(np.mean([point["x"] < point["y"] for point in points]) - 0.5) < 0.03
    assert abs(np.mean([point["x"] + point["y"] < 0.5**0.5 for point in points]) - 0.5) < 0.03


def test_a_tiny_feasible_part_is_still_found() -> None:
    space = Space({"x": Float(0, 1), "y": Float(0, 1)}, constraints=["x * y >= 0.97"])
    assert all(point["x"] * point["y"] >= 0.97 for point in configs(space, 5))
