"""A study is gone on with only as what it was made to be, as far as the caller says what that is."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright import Float, Int, Space, Study
from modelwright.errors import StudyExistsError
from modelwright.records import Component
from modelwright.storage import MemoryStorage

SPACE = Space(x=Float(0, 1), n=Int(1, 9))
MADE: dict[str, Any] = {
    "space": SPACE,
    "direction": "maximize",
    "optimizer": Component("random"),
    "scheduler": "median",
    "seed": 7,
    "deterministic": True,
    "reproducible": True,
}


@pytest.fixture
def storage() -> MemoryStorage:
    opened = MemoryStorage()
    Study(storage=opened, name="s", **MADE)
    return opened


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"space": Space(x=Float(0, 2), n=Int(1, 9))}, r"different: x.*set_space"),
        ({"space": Space(x=Float(0, 1))}, "different: n"),
        ({"space": Space(x=Float(0, 1), n=Int(1, 9), constraints=["n < 5"])}, "different: constraints"),
        ({"direction": "minimize"}, "objectives: it has maximize value, and minimize value was given"),
        ({"directions": ["maximize", "maximize"]}, "objectives"),
        ({"optimizer": "tpe"}, "optimizer: it has random, and tpe was given"),
        ({"scheduler": "none"}, "scheduler: it has median, and none was given"),
        ({"seed": 8}, "seed: it has 7, and 8 was given"),
        ({"deterministic": False}, "deterministic"),
        ({"reproducible": False}, "reproducible"),
    ],
)
def test_what_is_given_has_to_be_the_same(storage: MemoryStorage, given: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyExistsError, match=words) as raised:
        Study(storage=storage, name="s", load_if_exists=True, **given)
    assert raised.value.code == "E_SPEC_CHANGED"


@pytest.mark.parametrize("name", [*MADE, "nothing", "all"])
def test_what_is_the_same_or_not_given_is_fine(storage: MemoryStorage, name: str) -> None:
    given = MADE if name == "all" else {key: value for key, value in MADE.items() if key == name}
    study = Study(storage=storage, name="s", load_if_exists=True, **given)
    assert (study.spec.seed, study.directions, study.spec.deterministic) == (7, ["maximize"], True)
    assert study.spec.space == SPACE


def test_the_space_may_be_the_first_or_the_newest() -> None:
    storage = MemoryStorage()
    newest = Space(x=Float(0, 2), n=Int(1, 9))
    Study(SPACE, storage=storage, name="s").set_space(newest)
    for space in (SPACE, newest):
        assert Study(space, storage=storage, name="s", load_if_exists=True).space == newest
        assert Study.load("s", storage=storage, space=space).space == newest
    for load in (
        lambda: Study(Space(x=Float(0, 3), n=Int(1, 9)), storage=storage, name="s", load_if_exists=True),
        lambda: Study.load("s", storage=storage, space=Space(x=Float(0, 3), n=Int(1, 9))),
    ):
        with pytest.raises(StudyExistsError):
            load()
