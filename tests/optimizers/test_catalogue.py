import pytest

from modelwright.errors import InputError, UnknownNameError
from modelwright.optimizers import OPTIMIZERS, make_optimizer
from modelwright.optimizers.forest import Forest
from modelwright.optimizers.grid import GridSearch
from modelwright.optimizers.tpe import TPE
from modelwright.records import Component, Objective
from modelwright.space import Float, Int, Space

SPACE, ONE = Space(x=Float(0, 1)), [Objective()]


@pytest.mark.parametrize(
    "name",
    [
        "random",
        "quasirandom",
        "tpe",
        "hyperopt",
        "gp",
        "spearmint",
        "gcp",
        "forest",
        "smac",
        "cmaes",
        "de",
        "evolution",
        "nsga2",
        "manual",
        "passive",
    ],
)
def test_each_name_builds(name: str) -> None:
    assert make_optimizer(name, SPACE, ONE).abilities.infinite


def test_old_names_are_the_same_classes() -> None:
    assert isinstance(make_optimizer("hyperopt", SPACE, ONE), TPE)
    assert isinstance(make_optimizer("smac", SPACE, ONE), Forest)
    assert isinstance(make_optimizer("sequence", Space(n=Int(1, 3)), ONE), GridSearch)
    assert type(make_optimizer("passive", SPACE, ONE)) is type(make_optimizer("manual", SPACE, ONE))
    assert "partitions" in OPTIMIZERS.names()


def test_options_of_the_call_come_before_those_of_the_component() -> None:
    optimizer = make_optimizer(Component("tpe", {"n_startup": 3, "gamma": 0.2}), SPACE, ONE, n_startup=5)
    assert (optimizer._n_startup, optimizer._gamma) == (5, 0.2)


def test_unknown_names_and_options_are_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'random'"):
        make_optimizer("randon", SPACE, ONE)
    with pytest.raises(InputError, match=r"'tpe' has no option 'n_start'.*'n_startup'"):
        make_optimizer("tpe", SPACE, ONE, n_start=3)


def test_a_seed_reaches_only_those_that_take_one(tmp_path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n"
        "    def __init__(self, space, objectives, *, deterministic=False, seed=0, **others):\n"
        "        self.given = deterministic, seed, others\n"
    )
    component = Component(f"{tmp_path / 'mine.py'}:Mine", {"anything": 1})
    assert make_optimizer(component, SPACE, ONE, deterministic=True, seed=4).given == (
        True,
        4,
        {"anything": 1},
    )
    assert make_optimizer(component, SPACE, ONE, seed=4, anything=2).given == (False, 4, {"anything": 2})
    make_optimizer("random", SPACE, ONE, seed=4)
