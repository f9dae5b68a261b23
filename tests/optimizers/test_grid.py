import pytest

from modelwright._base.seeds import generator
from modelwright.errors import AbilityError, InputError
from modelwright.optimizers import make_optimizer
from modelwright.records import Component, Exhausted, History, Objective, Ticket
from modelwright.space import Bool, Categorical, Float, Int, Space
from modelwright.testing.optimizers import OptimizerContract, Simulation

ONE = [Objective()]
SPACE = Space(a=Categorical("x", "y", "z"), n=Int(1, 4))


class TestGridWithLevels(OptimizerContract):
    component = Component("sequence", {"resolution": 3})


class TestShuffledGrid(OptimizerContract):
    component = Component("grid", {"resolution": 3, "shuffle": True})


def whole(space: Space, deterministic: bool = False, **options) -> list[dict]:
    def build(space, objectives, *, deterministic):
        return make_optimizer("grid", space, objectives, deterministic=deterministic, **options)

    simulation = Simulation(space, build, deterministic=deterministic).run(10_000)
    assert isinstance(simulation.ask(), Exhausted)
    return simulation.configs


@pytest.mark.parametrize("deterministic", [False, True])
def test_each_configuration_comes_once_whatever_the_objective(deterministic: bool) -> None:
    configs = whole(SPACE, deterministic)
    assert configs == list(SPACE.enumerate())
    assert len(configs) == 12


def test_levels_run_from_end_to_end_evenly_in_the_logarithm() -> None:
    configs = whole(Space(lr=Float(1e-4, 1, log=True)), points={"lr": 5})
    assert [config["lr"] for config in configs] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert configs[0]["lr"] == 1e-4
    assert configs[-1]["lr"] == 1.0


def test_one_level_is_the_middle() -> None:
    assert whole(Space(x=Float(2, 4)), resolution=1) == [{"x": 3.0}]


def test_points_thin_out_parameters_that_have_steps() -> None:
    assert [config["n"] for config in whole(Space(n=Int(1, 101)), points={"n": 3})] == [1, 51, 101]
    assert len(whole(Space(n=Int(1, 3)), points={"n": 50})) == 3


def test_resolution_leaves_parameters_with_steps_alone() -> None:
    assert len(whole(Space(n=Int(1, 7), x=Float(0, 1)), resolution=2)) == 14


def test_inactive_parameters_make_no_copies_and_constraints_hold() -> None:
    space = Space(
        {"on": Bool(), "x": Float(0, 1, when={"on": True}), "n": Int(1, 3)}, constraints=["x * n <= 2"]
    )
    configs = whole(space, resolution=3)
    assert sum(not config["on"] for config in configs) == 3
    assert sorted((c["x"], c["n"]) for c in configs if c["on"]) == [
        (0.0, 1), (0.0, 2), (0.0, 3), (0.5, 1), (0.5, 2), (0.5, 3), (1.0, 1), (1.0, 2),
    ]  # fmt: skip


def test_objects_keep_their_labels() -> None:
    def first() -> None: ...
    def second() -> None: ...
    def third() -> None: ...

    space = Space(f=Categorical(first, second, third, labels=["one", "two", "three"]))
    assert [config["f"] for config in whole(space, points={"f": 2})] == [first, third]


def test_shuffling_keeps_the_set_and_follows_the_seed() -> None:
    plain, once, again, other = (
        whole(SPACE), whole(SPACE, shuffle=True, seed=1), whole(SPACE, shuffle=True, seed=1),
        whole(SPACE, shuffle=True, seed=2),
    )  # fmt: skip
    assert once == again
    assert plain != once != other
    assert {SPACE.key(config) for config in plain} == {SPACE.key(config) for config in once}


def test_a_parameter_without_steps_needs_points() -> None:
    with pytest.raises(AbilityError, match=r"points={'x': 5}"):
        make_optimizer("grid", Space(x=Float(0, 1)), ONE)


def test_a_huge_grid_starts_at_once_but_is_not_shuffled() -> None:
    space = Space({f"n{i}": Int(1, 100) for i in range(6)})
    simulation = Simulation(space, lambda s, o, deterministic: make_optimizer("grid", s, o)).run(5)
    assert len(simulation.configs) == 5


@pytest.mark.parametrize("points", [{"m": 3}, {"n": 0}])
def test_points_that_make_no_sense_are_refused(points: dict[str, int]) -> None:
    with pytest.raises(InputError, match="point"):
        make_optimizer("grid", SPACE, ONE, points=points)


def test_a_grid_that_is_too_large_is_not_shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelwright.optimizers.grid._MAX_SHUFFLED", 11)
    with pytest.raises(InputError, match="at most 11 points to shuffle"):
        make_optimizer("grid", SPACE, ONE, shuffle=True)


def test_a_grid_too_tangled_to_be_counted_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Space, "size", None)
    assert len(whole(SPACE)) == 12


def test_numbers_past_the_end_start_again() -> None:
    optimizer, history = make_optimizer("grid", SPACE, ONE), History(SPACE, ONE)
    [proposal] = optimizer.ask(history, [Ticket(14, generator(0, 14))])
    assert proposal.params == list(SPACE.enumerate())[2]
