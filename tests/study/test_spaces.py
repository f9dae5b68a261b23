"""The space of a study changes while it runs: what fits keeps teaching, what does not stays on record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwright import Bool, Categorical, Constant, Float, Int, Space, Study
from modelwright.errors import AbilityError, ConfigurationError, EmptySpaceError, SpaceError, StudyStateError
from modelwright.records import TrialState
from modelwright.storage import Storage, open_storage
from modelwright.study import RunningTrial
from modelwright.study.spaces import SpaceVersions, check_change

SPACE = Space(x=Float(0, 1), n=Int(1, 9), k=Categorical("a", "b"))


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    opened = open_storage(None if request.param == "memory" else tmp_path / "hub.db")
    yield opened
    opened.close()


def make(storage: Storage | None = None, space: Space = SPACE, **options: Any) -> Study:
    return Study(space, storage=storage, **{"name": "s", "seed": 1, "optimizer": "random", **options})


def square(trial: RunningTrial) -> float:
    return float(trial.params["x"]) ** 2


def seen(study: Study) -> list[int]:
    """Return which finished trials the optimizer sees."""
    study._view.refresh()
    return [trial.number for trial in study._view.history_for(10**6).trials]


def test_what_lies_within_the_new_space_keeps_teaching(storage: Storage) -> None:
    study = make(storage)
    study.run(square, trials=20, executor="inline")
    record = study.set_space(study.space.with_parameter("x", Float(0, 0.5)))
    assert (record.space_version, study.space["x"]) == (1, Float(0, 0.5))
    inside = [t.number for t in study.trials if t.params["x"] <= 0.5]
    assert 0 < len(inside) < 20
    assert sorted(seen(study)) == inside
    assert len(study._view.history.X) == len(inside)
    study.run(square, more=10, executor="inline")
    assert all(t.params["x"] <= 0.5 for t in study.trials[20:])
    assert {t.record.space_version for t in study.trials[20:]} == {1}
    assert len(study.trials) == 30  # nothing is forgotten
    study.set_space(study.space.with_parameter("x", Float(0, 2)))
    assert len(seen(study)) == 30
    study.run(square, more=20, executor="inline")
    assert any(t.params["x"] > 1 for t in study.trials[30:])


def test_another_process_takes_the_new_space_with_its_next_proposal(storage: Storage) -> None:
    study, other = make(storage), Study.load("s", storage=make(storage, load_if_exists=True).storage)
    while other.ask().params["k"] != "a":
        pass
    count = len(other.trials)
    assert len(other._view.history_for(99).pending_numbers) == count
    study.set_space(study.space.with_parameter("k", Categorical("c")))
    assert other.ask().params["k"] == "c"
    other._view.refresh()
    assert other._view.history_for(99).pending_numbers == [count]  # the others lie outside now
    other._asked.close()


def test_a_model_based_optimizer_goes_on(storage: Storage) -> None:
    study = make(storage, optimizer="tpe")
    study.run(square, trials=25, executor="inline")
    study.set_space(
        Space(
            x=Float(0.001, 2, log=True),
            n=Int(1, 20),
            k=Categorical("b", "c"),
            constraints=["x * n <= 20"],
        )
    )
    study.run(square, more=25, executor="inline")
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert all(t.params["k"] in ("b", "c") for t in study.trials[25:])


def test_conditions_and_constraints_may_change() -> None:
    study = make(space=Space(opt=Categorical("adam", "sgd"), m=Float(0, 1, when={"opt": "sgd"})))
    study.enqueue({"opt": "adam"})
    study.enqueue({"opt": "sgd", "m": 0.5})
    study.run(lambda trial: 1.0, trials=2, executor="inline")
    study.set_space(Space(opt=Categorical("adam", "sgd"), m=Float(0, 1)))
    assert seen(study) == [1]
    study.set_space(
        Space(opt=Categorical("adam", "sgd"), m=Float(0, 1, when={"opt": "sgd"}), constraints=["m > 0.6"])
    )
    assert seen(study) == [0]


def test_repeating_a_change_changes_nothing(storage: Storage) -> None:
    study = make(storage)
    wider = study.space.with_parameter("n", Int(1, 99))
    revisions = [study.set_space(wider).revision for _ in range(3)]
    assert len(set(revisions)) == 1
    kinds = [e.payload.get("who") for e in storage.events(study.record.id) if e.kind == "space"]
    assert len(kinds) == 1
    assert "@" in kinds[0]


def test_objects_among_choices_stay_objects_where_they_are_known(storage: Storage) -> None:
    study = make(storage, Space(f=Categorical(math.sin, math.cos), x=Float(0, 1)))
    study.enqueue({"f": math.sin, "x": 0.5})
    study.set_space(Space(f=Categorical(math.cos, math.tan), x=Float(0, 2)))
    study.enqueue({"f": math.tan, "x": 1.5})
    assert [t.params["f"] for t in study.trials] == [math.sin, math.tan]
    assert study.ask().params["f"] is math.sin  # it waits, and runs as it is
    other = Study.load("s", storage=study.storage)
    known = math.sin if storage.url == "memory://" else "sin"  # memory keeps the first space as it was given
    assert [t.params["f"] for t in other.trials] == [known, "tan"]
    again = make(storage, Space(f=Categorical(math.cos, math.tan), x=Float(0, 2)), load_if_exists=True)
    assert again.trials[1].params["f"] is math.tan
    first = make(storage, Space(f=Categorical(math.sin, math.cos), x=Float(0, 1)), load_if_exists=True)
    assert [t.params["f"] for t in first.trials] == [math.sin, "tan"]
    assert first.space["f"].choices == (math.cos, "tan")  # type: ignore[attr-defined]
    study._asked.close()


def test_parameters_that_objectives_add_go_with_the_change() -> None:
    study = make()

    def objective(trial: RunningTrial) -> float:
        return trial.float("rate", 0, 1) + float(trial.params["x"])

    study.run(square, trials=3, executor="inline")
    study.run(objective, trials=6, executor="inline")
    study.set_space(study.space.with_parameter("x", Float(0, 2)))
    assert len(seen(study)) == 6  # also those that never heard of it
    study.run(objective, trials=9, executor="inline")
    assert all("rate" in t.params for t in study.trials[3:])
    study.set_space(study.space.with_parameter("rate", Float(2, 3)))
    assert len(seen(study)) == 3
    study.run(objective, trials=10, executor="inline")
    assert study.trials[9].params["rate"] >= 2


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (Space(x=Float(0, 1), n=Int(1, 9)), "different: k"),
        (Space(x=Float(0, 1), n=Int(1, 9), k=Categorical("a"), m=Bool()), "different: m"),
        (Space(x=Int(0, 1), n=Int(1, 9), k=Categorical("a")), "'x' is of the type 'float'"),
    ],
)
def test_parameters_neither_come_nor_go_nor_change_their_type(space: Space, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        make().set_space(space)
    with pytest.raises(SpaceError, match=words):
        check_change(SPACE, space)


def test_what_cannot_be_searched_is_refused_before_anything_changes() -> None:
    study = make(optimizer="grid", space=Space(n=Int(1, 3), x=Float(0, 1, step=0.5)))
    with pytest.raises((AbilityError, SpaceError)):
        study.set_space(Space(n=Int(1, 3), x=Float(0, 1)))
    with pytest.raises(EmptySpaceError):
        study.set_space(Space(n=Int(1, 3), x=Float(0, 1, step=0.5), constraints=["n < 0"]))
    assert study.record.space_version == 0


def test_lock_step_has_one_space() -> None:
    with pytest.raises(StudyStateError, match="lock-step"):
        make(reproducible=True).set_space(SPACE.with_parameter("n", Int(1, 20)))


def test_a_trial_outside_is_not_tried_again_as_it_is() -> None:
    study = make()
    study.enqueue({"x": 0.9, "n": 1, "k": "a"})
    study.run(square, trials=1, executor="inline")
    study.set_space(study.space.with_parameter("x", Float(0, 0.5)))
    with pytest.raises(ConfigurationError, match="enqueue_like"):
        study.retry(0)
    assert study.enqueue_like(0, x=0.2).params == {"x": 0.2, "n": 1, "k": "a"}


def test_a_closed_study_goes_on_in_a_wider_space(storage: Storage) -> None:
    study = make(storage, Space(k=Categorical("a", "b")), deterministic=True)
    study.run(lambda trial: 1.0, trials=9, executor="inline")
    assert (study.record.closed, len(study.trials)) == ("all 2 tried", 2)
    study.set_space(Space(k=Categorical("a", "b", "c")))
    study.resume()
    study.run(lambda trial: 1.0, trials=9, executor="inline")
    assert [t.params["k"] for t in study.trials][2:] == ["c"]
    assert study.record.closed == "all 3 tried"


RUN = """
import time
from modelwright import Float, Space, Study

def objective(trial):
    open(f"{trial.number}.started", "w").close()
    time.sleep(0.05)
    return trial.params["x"]

study = Study(Space(x=Float(0, 1)), storage="hub.db", name="s", load_if_exists=True)
study.run(objective, parallel=2, trials=60)
"""


def test_a_running_study_takes_a_new_space(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    run = start_script(RUN)
    until(lambda: len(list(tmp_path.glob("*.started"))) >= 4)
    study = Study.load("s", storage=tmp_path / "hub.db")
    study.set_space(Space(x=Float(5, 6)))
    _, errors = run.communicate(timeout=100)
    assert (run.returncode, errors) == (0, "")
    versions = [t.record.space_version for t in study.trials]
    assert set(versions) == {0, 1}
    for trial in study.trials:
        assert (trial.params["x"] >= 5) == (trial.record.space_version == 1)
    study.close()


def test_versions_read_defaults_constants_and_labels() -> None:
    base = Space(f=Categorical(math.sin, math.cos, default=math.cos), c=Constant(math.pi), x=Float(0, 1))
    newest = Space(f=Categorical(math.cos, math.sin, default=math.sin), c=Constant(math.pi), x=Float(0, 2))
    study = make(space=base)
    record = study.set_space(newest)
    versions = SpaceVersions(base)
    assert versions.update(record)
    assert not versions.update(record)
    assert versions.newest == newest
    assert versions.newest["f"].choices == (math.cos, math.sin)  # type: ignore[attr-defined]
    assert versions.newest["f"].default is math.sin
