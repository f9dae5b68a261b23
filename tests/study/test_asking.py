"""Ask and tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import InputError, StudyStateError
from modelwright.records import StudyState, TrialState
from modelwright.storage import Storage

SPACE = Space(x=Float(-5, 5), n=Int(1, 9))


def make(**options: Any) -> Study:
    return Study(options.pop("space", SPACE), **{"seed": 1, "optimizer": "random", **options})


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    from modelwright.storage import open_storage

    opened = open_storage() if request.param == "memory" else open_storage(tmp_path / "hub.db")
    yield opened
    opened.close()


def test_asking_and_running_propose_the_same(storage: Storage) -> None:
    asked = make(storage=storage, name="asked", optimizer="tpe")
    for _ in range(14):
        trial = asked.ask()
        asked.tell(trial, trial.params["x"] ** 2)
    ran = make(optimizer="tpe").run(lambda trial: trial.params["x"] ** 2, trials=14, executor="inline")
    assert [(t.params, t.value) for t in asked.trials] == [(t.params, t.value) for t in ran.trials]
    asked.close()


def test_values_attributes_reports_and_states(storage: Storage) -> None:
    study = make(storage=storage, name="s")
    first, second, third, fourth = (study.ask() for _ in range(4))
    first.user_attrs["rows"] = 3
    first.report(1.0, 0)
    first.report(2.0, 1)
    assert study.tell(first, 0.5).values == (0.5,)
    second.report(7.0, 0)
    assert study.tell(second, state="pruned").values == (7.0,)  # the last report, as in a run
    assert study.tell(third.number, state=TrialState.FAILED).failure.message == "told as failed"
    assert study.tell(fourth, float("nan")).failure.kind.value == "nan"
    states = [trial.state.value for trial in study.trials]
    assert states == ["complete", "pruned", "failed", "failed"]
    assert study.trials[0].user_attrs == {"rows": 3}
    assert [r.step for r in storage.reports(study.record.id, 0)] == [0, 1]
    study.close()


def test_several_objectives_are_told_in_order_or_by_name() -> None:
    study = make(directions={"loss": "minimize", "score": "maximize"})
    assert study.tell(study.ask(), (1.0, 2.0)).values == (1.0, 2.0)
    assert study.tell(study.ask(), {"score": 2.0, "loss": 1.0}).values == (1.0, 2.0)
    assert study.tell(study.ask(), 1.0).failure.kind.value == "invalid"


@pytest.mark.parametrize("state", ["running", "waiting", "paused", "great", ""])
def test_a_trial_cannot_end_in_any_state(state: str) -> None:
    study = make()
    trial = study.ask()
    with pytest.raises(InputError, match="complete, pruned or failed"):
        study.tell(trial, 1.0, state=state)
    assert study.tell(trial, 1.0).value == 1.0  # it is still ours


def test_what_is_told_twice_or_was_never_asked_for_is_refused() -> None:
    study = make()
    trial = study.ask()
    study.tell(trial, 1.0)
    with pytest.raises(StudyStateError, match="told already"):
        study.tell(trial, 2.0)
    with pytest.raises(StudyStateError, match="Open ones: none"):
        study.tell(9, 1.0)
    assert [t.value for t in study.trials] == [1.0]


def test_open_trials_are_pending_to_the_next() -> None:
    study = make(space=Space(k=Categorical("a", "b", "c")), deterministic=True)
    trials = [study.ask() for _ in range(3)]
    assert {trial.params["k"] for trial in trials} == {"a", "b", "c"}
    with pytest.raises(StudyStateError, match="all others tried"):
        study.ask()
    for trial in trials:
        study.tell(trial, 1.0)
    with pytest.raises(StudyStateError, match="all 3 tried"):
        study.ask()
    assert len(study.trials) == 3  # asking in vain leaves nothing behind


def test_enqueued_configurations_are_asked_first() -> None:
    study = make()
    study.enqueue({"x": 1.0, "n": 2}, {"note": "mine"})
    trial = study.ask()
    assert trial.params == {"x": 1.0, "n": 2}
    assert trial.user_attrs == {"note": "mine"}
    assert study.tell(trial, 1.0).user_attrs == {"note": "mine"}


def test_choices_that_are_objects_come_as_such() -> None:
    study = make(space=Space(f=Categorical(abs, len)))
    study.enqueue({"f": len})
    assert study.ask().params == {"f": len}
    assert study.ask().params["f"] in (abs, len)


def test_closing_gives_open_trials_back(storage: Storage) -> None:
    study = make(storage=storage, name="s")
    proposed = [study.ask().params for _ in range(3)]
    study._asked.close()
    assert {t.state for t in study.trials} == {TrialState.WAITING}
    assert [study.ask().params for _ in range(3)] == proposed
    assert {t.record.attempts for t in study.trials} == {1}
    study.close()


def test_a_budget_bounds_what_can_be_asked() -> None:
    study = make().run(lambda trial: 1.0, trials=2, executor="inline")
    with pytest.raises(StudyStateError, match=r"budget of 2 trials is used up\. enqueue\(params\) adds"):
        study.ask()
    study.enqueue({"x": 0.0, "n": 1})
    trial = study.ask()
    assert trial.number == 2
    with pytest.raises(StudyStateError, match=r"budget of 3.* not over yet\. .*run\(f, more=10\)"):
        study.ask()
    study.tell(trial, 1.0)
    with pytest.raises(StudyStateError, match=r"budget of 3 trials is used up\. .*more=10"):
        study.ask()


def test_a_space_that_is_used_up_is_no_matter_of_budget() -> None:
    study = make(space=Space(k=Categorical("a", "b")), deterministic=True)
    study.run(lambda trial: 1.0, executor="inline")
    with pytest.raises(StudyStateError, match="all 2 tried") as refused:
        study.ask()
    assert "more=" not in str(refused.value)


@pytest.mark.parametrize("direction", [["minimize", "maximize"], {"loss": "minimize"}, 1])
def test_several_directions_go_by_another_name(direction: Any) -> None:
    with pytest.raises(InputError, match=r"directions=\[\.\.\.\]"):
        make(direction=direction)


def test_a_paused_study_gives_nothing() -> None:
    study = make()
    study.tell(study.ask(), 1.0)
    study.storage.set_state(study.record.id, StudyState.PAUSED)
    with pytest.raises(StudyStateError, match="paused"):
        study.ask()


def test_lock_step_gives_one_at_a_time() -> None:
    study = make(reproducible=True)
    trial = study.ask()
    with pytest.raises(StudyStateError, match="lock-step"):
        study.ask()
    study.tell(trial, 1.0)
    assert study.ask().number == 1


def test_parameters_may_be_named_as_one_goes() -> None:
    study = Study(seed=1)
    trial = study.ask()
    rate = trial.float("rate", 1e-5, 1, log=True)
    assert trial.float("rate", 1e-5, 1, log=True) == rate
    assert study.tell(trial, rate).params == {"rate": rate}
    assert set(study.ask().params) == {"rate"}
    with pytest.raises(InputError, match="x"):
        trial.float("x", 2, 1)


def test_an_optimizer_that_fails_leaves_no_trial_behind() -> None:
    study = make()

    class Broken:
        def ask(self, history: Any, tickets: Any) -> Any:
            raise RuntimeError("no idea")

    study._proposer._optimizer = Broken()  # type: ignore[assignment]
    study._proposer._optimizer_space = study.space
    with pytest.raises(RuntimeError, match="no idea"):
        study.ask()
    assert study.trials == []


def test_a_trial_told_as_failed_may_be_asked_for_again(storage: Storage) -> None:
    study = make(storage=storage, name="s", retry={"error": 1})
    first = study.ask()
    assert study.tell(first, state="failed").state is TrialState.WAITING
    again = study.ask()
    assert (again.number, again.params, again.attempt) == (0, first.params, 2)
    assert study.tell(again, state="failed").state is TrialState.FAILED
    study.close()


def test_a_study_that_was_deleted_can_be_closed(storage: Storage) -> None:
    study = make(storage=storage, name="s")
    study.ask()
    storage.delete_study("s", force=True)
    study.close()


def test_a_result_for_a_trial_that_passed_on_is_refused(storage: Storage) -> None:
    study = make(storage=storage, name="s")
    trial = study.ask()
    (worker,) = storage.workers(study.record.id)
    storage.forfeit(worker.id, "asleep")
    storage.claim(study.record.id, "other", "theirs", 60.0)
    with pytest.raises(StudyStateError, match="passed to another worker"):
        study.tell(trial, 1.0)
    assert study.trials[0].state is TrialState.RUNNING
    study.close()
