"""The verbs by which people steer a study: idempotent, on record, and answered with what results."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Space, Study
from modelwright.errors import (
    ConfigurationError,
    InputError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)
from modelwright.records import StudyState, TrialState
from modelwright.storage import Storage, open_storage
from modelwright.study import Callback, Result, Runner, RunningTrial, TrialResult
from modelwright.study.who import this_user

SPACE = Space(x=Float(-5, 5), opt=Categorical("adam", "sgd"), momentum=Float(0, 1, when={"opt": "sgd"}))


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    opened = open_storage(None if request.param == "memory" else tmp_path / "hub.db")
    yield opened
    opened.close()


def make(storage: Storage | None = None, **options: Any) -> Study:
    return Study(SPACE, storage=storage, **{"name": "s", "seed": 1, "optimizer": "random", **options})


def one(trial: RunningTrial) -> float:
    return 1.0


def events(study: Study, kind: str) -> list[Any]:
    found = study.storage.events(study.record.id)
    return [event for event in found if event.kind == kind and event.payload.get("who")]


# pause, resume, stop ----------------------------------------------------------------------------------


def test_a_paused_study_is_not_woken_by_a_run(storage: Storage) -> None:
    study = make(storage)
    study.run(one, trials=2, executor="inline")
    study.set_budget(4)
    assert study.pause().state is StudyState.PAUSED
    with pytest.raises(StudyStateError, match=r"study\.resume\(\)"):
        study.run(one, trials=4, executor="inline")
    assert study.state is StudyState.PAUSED
    assert study.resume().state is StudyState.PENDING
    study.run(one, executor="inline")
    assert len(study.trials) == 4


def test_verbs_may_be_repeated_and_say_who_asked(storage: Storage) -> None:
    study = make(storage)
    revisions = [study.pause().revision for _ in range(3)]
    assert len(set(revisions)) == 1
    revisions = [study.resume().revision for _ in range(3)]
    assert len(set(revisions)) == 1
    revisions = [study.stop().revision for _ in range(3)]
    assert len(set(revisions)) == 1
    found = events(study, "state")
    assert [event.payload["state"] for event in found] == ["paused", "pending", "complete"]
    assert {event.payload["who"] for event in found} == {this_user()}


def test_a_stopped_study_gives_nothing_until_it_is_resumed(storage: Storage) -> None:
    study = make(storage)
    study.run(one, trials=2, executor="inline")
    study.set_budget(5)
    assert study.stop().state is StudyState.COMPLETE
    study.run(one, executor="inline")
    assert len(study.trials) == 2
    study.resume()
    study.run(one, executor="inline")
    assert len(study.trials) == 5


def test_a_study_whose_budget_is_used_up_stays_complete() -> None:
    study = make()
    study.run(one, trials=2, executor="inline")
    assert study.resume().state is StudyState.COMPLETE
    assert study.pause().state is StudyState.COMPLETE
    assert study.set_budget(3).state is StudyState.PENDING


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_callback_may_pause_or_stop_its_study(verb: str) -> None:
    def callback(study: Study, trial: TrialResult) -> None:
        if trial.number == 2:
            getattr(study, verb)()

    study = make().run(one, trials=50, executor="inline", callbacks=[callback])
    assert len(study.trials) == 3
    assert study.state is (StudyState.PAUSED if verb == "pause" else StudyState.COMPLETE)


RUN = """
import sys, time
from modelwright import Float, Space, Study


def objective(trial):
    open(f"{trial.number}.{trial.attempt}.started", "w").close()
    if sys.argv[2] == "long":
        time.sleep(60)
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        time.sleep(0.01)
    return trial.params["x"]

study = Study(Space(x=Float(-5, 5)), storage="hub.db", name="s", optimizer="random", load_if_exists=True)
study.run(objective, parallel=int(sys.argv[1]), trials=40)
print(study.state)
"""


def opened(folder: Path) -> Study:
    return Study.load("s", storage=folder / "hub.db")


def started(folder: Path) -> int:
    return len(list(folder.glob("*.started")))


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_run_elsewhere_drains(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None], verb: str
) -> None:
    run = start_script(RUN, 2, 0.5)
    until(lambda: started(tmp_path) >= 2)
    study = opened(tmp_path)
    getattr(study, verb)()
    out, errors = run.communicate(timeout=60)
    assert (run.returncode, errors) == (0, "")
    assert out.split() == ["paused" if verb == "pause" else "complete"]
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert {t.record.fence for t in study.trials} == {1}
    assert len(study.trials) < 20
    study.close()


@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_a_run_elsewhere_is_broken_off_and_its_trials_spend_no_attempt(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None], verb: str
) -> None:
    run = start_script(RUN, 2, "long")
    until(lambda: started(tmp_path) == 2)
    study = opened(tmp_path)
    getattr(study, verb)(now=True)
    run.communicate(timeout=30)  # much less than the trials would take
    assert run.returncode == 0
    assert [(t.state, t.record.attempts) for t in study.trials] == [(TrialState.WAITING, 0)] * 2
    assert study.state is (StudyState.PAUSED if verb == "pause" else StudyState.COMPLETE)
    study.resume()
    again = start_script(RUN, 2, "long")
    until(lambda: started(tmp_path) == 2 and study.counts.get(TrialState.RUNNING) == 2)
    assert {t.record.attempts for t in study.trials} == {1}
    again.kill()
    study.close()


def test_a_study_deleted_under_a_run_ends_it_with_a_word(
    tmp_path: Path, start_script: Callable[..., Any], until: Callable[[Any], None]
) -> None:
    run = start_script(RUN, 2, "long")
    until(lambda: started(tmp_path) == 2)
    study = opened(tmp_path)
    with pytest.raises(StudyStateError):
        study.storage.delete_study("s")
    study.storage.delete_study("s", force=True)
    study.close()
    _, errors = run.communicate(timeout=30)
    assert run.returncode == 1
    assert "the study 's' was deleted while it ran" in errors.splitlines()[-1]


def test_a_study_deleted_between_trials_ends_the_run() -> None:
    study = make()

    class Delete(Callback):
        def on_trial_end(self, run: Runner, trial: Any) -> None:
            if trial.number == 2:
                study.storage.delete_study("s", force=True)

    with pytest.raises(StudyNotFoundError, match="deleted while it ran"):
        study.run(one, trials=9, executor="inline", callbacks=[Delete()])


# budgets ----------------------------------------------------------------------------------------------


def test_what_is_not_named_of_a_budget_stays(storage: Storage) -> None:
    study = make(storage)
    study.set_budget(10, time_s=60.0)
    record = study.set_budget(cost=5.0, parallel=2)
    budget = record.budget
    assert (budget.trials, budget.time_s, budget.cost, budget.parallel) == (10, 60.0, 5.0, 2)
    assert study.set_budget(time_s=None).budget.time_s is None
    moment = datetime(2030, 1, 31, 18, tzinfo=UTC)
    assert study.set_budget(deadline=moment).budget.deadline_us == int(moment.timestamp() * 1e6)
    assert study.budget.trials == 10


@pytest.mark.parametrize(
    "parts",
    [
        {"trials": 1.5},
        {"trials": True},
        {"time_s": -1},
        {"cost": float("nan")},
        {"parallel": 0},
        {"deadline": 3},
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(parts: dict[str, Any]) -> None:
    study = make()
    with pytest.raises(InputError):
        study.set_budget(**parts)
    assert study.budget.trials is None


def test_a_run_without_a_number_keeps_the_budget() -> None:
    study = make()
    study.set_budget(3)
    study.run(one, executor="inline")
    assert (len(study.trials), study.state) == (3, StudyState.COMPLETE)


def test_a_cost_ends_the_study_with_the_trial_that_crosses_it(storage: Storage) -> None:
    study = make(storage)
    study.set_budget(cost=5.0)
    study.run(lambda trial: Result(1.0, cost=1.5), executor="inline")
    assert len(study.trials) == 4  # 4.5 is less than 5, and 6 is not
    assert (study.record.cost, study.state) == (6.0, StudyState.COMPLETE)
    assert study.set_budget(cost=7.0).state is StudyState.PENDING
    study.run(lambda trial: Result(1.0, cost=1.5), executor="inline")
    assert len(study.trials) == 5


@pytest.mark.parametrize("cost", [-1, float("nan"), True, "3"])
def test_a_cost_that_makes_no_sense_fails_the_trial(cost: Any) -> None:
    study = make().run(lambda trial: Result(1.0, cost=cost), trials=1, executor="inline")
    (trial,) = study.trials
    assert trial.failure is not None
    assert "cost" in trial.failure.message


def test_a_moment_that_has_passed_ends_the_study(storage: Storage) -> None:
    study = make(storage)
    study.set_budget(deadline=datetime.now(UTC) - timedelta(seconds=1))
    study.run(one, executor="inline")
    assert (study.trials, study.state) == ([], StudyState.COMPLETE)
    with pytest.raises(StudyStateError, match="complete"):
        study.ask()


def test_the_time_of_a_study_counts_from_its_first_run(storage: Storage) -> None:
    study = make(storage)
    study.set_budget(time_s=0.3)
    study.run(lambda trial: time.sleep(0.02) or 1.0, executor="inline")
    assert study.state is StudyState.COMPLETE
    assert 1 <= len(study.trials) <= 20
    assert study.set_budget(time_s=3600.0).state is StudyState.PENDING


CAPPED = """
import os, sys, time
from modelwright import Float, Space, Study

def objective(trial):
    os.close(os.open(f"{trial.number}.on", os.O_CREAT))
    time.sleep(0.05)
    most = sum(name.endswith(".on") for name in os.listdir("."))
    os.unlink(f"{trial.number}.on")
    return most

study = Study(Space(x=Float(-5, 5)), storage="hub.db", name="s", optimizer="random", load_if_exists=True)
study.run(objective, parallel=4)
"""


def test_a_cap_on_trials_at_a_time_holds_over_processes(
    tmp_path: Path, start_script: Callable[..., Any]
) -> None:
    study = Study(Space(x=Float(-5, 5)), storage=tmp_path / "hub.db", name="s", optimizer="random")
    study.set_budget(16, parallel=3)
    runs = [start_script(CAPPED) for _ in range(2)]
    for run in runs:
        _, errors = run.communicate(timeout=100)
        assert (run.returncode, errors) == (0, "")
    values = [trial.value for trial in study.trials]
    assert len(values) == 16
    assert max(value or 9.0 for value in values) <= 3
    assert study.state is StudyState.COMPLETE
    study.close()


def test_trials_may_be_given_by_others_up_to_the_cap(storage: Storage) -> None:
    study = make(storage)
    study.set_budget(10, parallel=1)
    study.ask()
    with pytest.raises(StudyStateError, match="at most 1 at a time"):
        study.ask()


# single trials ----------------------------------------------------------------------------------------


def test_a_waiting_trial_is_killed_at_once_and_a_finished_one_stays(storage: Storage) -> None:
    study = make(storage)
    number = study.enqueue({"x": 1.0, "opt": "adam"})
    for _ in range(2):
        killed = study.kill(number)
        assert killed.failure is not None
        assert killed.failure.kind.value == "killed"
    study.run(one, trials=2, executor="inline")
    assert study.kill(1).state is TrialState.COMPLETE
    with pytest.raises(InputError, match="numbered from 0 to 1"):
        study.kill(7)


def test_a_running_trial_is_killed_within_seconds_though_its_lease_is_long() -> None:
    study = make(lease_s=600.0)

    class Kill(Callback):
        def on_trial_start(self, run: Runner, number: int) -> None:
            if number == 0:
                study.kill(0)

    def objective(trial: RunningTrial) -> float:
        end = time.monotonic() + 60
        while trial.number == 0 and time.monotonic() < end:
            time.sleep(0.01)
        return 1.0

    began = time.monotonic()
    study.run(objective, trials=2, executor="local", callbacks=[Kill()])
    assert time.monotonic() - began < 30
    first, second = study.trials
    assert first.failure is not None
    assert first.failure.kind.value == "killed"
    assert second.state is TrialState.COMPLETE


def test_a_finished_trial_is_tried_again_once(storage: Storage) -> None:
    study = make(storage, retry={})
    study.run(lambda trial: 1 / 0, trials=1, executor="inline")
    again = study.retry(0)
    assert (again.number, again.state, again.params) == (1, TrialState.WAITING, study.trials[0].params)
    assert again.user_attrs == {"retry_of": 0}
    assert study.retry(0).number == 1
    study.run(one, executor="inline")
    assert study.trials[1].value == 1.0
    assert study.retry(0).number == 1
    assert study.retry(1).number == 2
    with pytest.raises(StudyStateError, match="is waiting"):
        study.retry(2)
    assert len(study.trials) == 3


def test_a_request_is_met_once(storage: Storage) -> None:
    study = make(storage)
    params = {"x": 1.0, "opt": "adam"}
    numbers = [study.enqueue(params, request_id="mine") for _ in range(3)]
    assert numbers == [0, 0, 0]
    assert study.enqueue(params) == 1


def test_a_trial_is_enqueued_with_changes(storage: Storage) -> None:
    study = make(storage)
    study.enqueue({"x": 1.0, "opt": "sgd", "momentum": 0.5})
    like = study.enqueue_like(0, x=2.0)
    assert (like.state, like.params) == (TrialState.WAITING, {"x": 2.0, "opt": "sgd", "momentum": 0.5})
    without = study.enqueue_like(0, opt="adam")  # momentum is inactive then
    assert without.params == {"x": 1.0, "opt": "adam"}
    with pytest.raises(ConfigurationError, match="momentum"):
        study.enqueue_like(without.number, opt="sgd")
    with pytest.raises(ConfigurationError, match="'x'"):
        study.enqueue_like(0, x=99.0)
    with pytest.raises(ConfigurationError, match="'y'"):
        study.enqueue_like(0, y=1.0)
    assert [study.enqueue_like(0, request_id="r", x=3.0).number for _ in range(2)] == [3, 3]


def test_failures_of_a_kind_are_tried_again(storage: Storage) -> None:
    seen: list[tuple[str, int]] = []

    class Log(Callback):
        def on_trial_end(self, run: Runner, trial: Any) -> None:
            seen.append(("end", trial.number))

        def on_trial_retry(self, run: Runner, trial: Any, failure: Any) -> None:
            assert not trial.state.finished
            assert "ZeroDivisionError" in failure.message
            seen.append(("retry", trial.number))

    def objective(trial: RunningTrial) -> float:
        if trial.number == 0 or (trial.number == 1 and trial.attempt == 1):
            return 1 / 0
        return 1.0

    study = make(storage, retry={"error": 1})
    study.run(objective, trials=3, executor="inline", callbacks=[Log()])
    assert seen == [("retry", 0), ("end", 0), ("retry", 1), ("end", 1), ("end", 2)]
    assert [(t.state.value, t.record.attempts) for t in study.trials] == [
        ("failed", 2),
        ("complete", 2),
        ("complete", 1),
    ]


# name, priority, objective ----------------------------------------------------------------------------


def test_a_renamed_study_keeps_its_files(tmp_path: Path) -> None:
    study = make(open_storage(tmp_path / "hub.db"), name="before")
    study.run(one, trials=1)
    folder = study.folder
    assert folder is not None
    assert folder.is_dir()
    assert study.rename("after").spec.name == "after"
    assert study.rename("after").spec.name == "after"
    again = Study.load("after", storage=tmp_path / "hub.db")
    assert again.folder == folder
    again.rename("last")
    assert Study.load("last", storage=again.storage).folder == folder
    for wrong in ("", "a/b", "x" * 201):
        with pytest.raises(InputError):
            again.rename(wrong)
    again.close()
    study.close()


def test_a_taken_name_is_refused(storage: Storage) -> None:
    make(storage)
    other = make(storage, name="other")
    with pytest.raises(StudyExistsError):
        other.rename("s")


def test_a_priority_shows(storage: Storage) -> None:
    study = make(storage)
    assert study.set_priority(7).spec.priority == 7
    for wrong in (1.5, True, "3"):
        with pytest.raises(InputError):
            study.set_priority(wrong)  # type: ignore[arg-type]


def test_an_objective_is_kept_by_the_name_that_finds_it() -> None:
    import math

    assert make(objective=math.sqrt).spec.objective_ref == "math:sqrt"
    assert make(objective="train.py:objective").spec.objective_ref == "train.py:objective"
    assert make(objective=lambda trial: 1.0).spec.objective_ref == ""
    assert make().run(one, trials=1, executor="inline").spec.objective_ref == ""
    with pytest.raises(InputError, match="module:function"):
        make(objective="train")


def test_best_and_counts_are_kept_as_trials_come() -> None:
    study = make(direction="maximize")
    for value in (1.0, 3.0, 3.0, 2.0):
        study.tell(study.ask(), value)
        trials = [trial for trial in study.trials if trial.value is not None]
        assert study.best_trial.number == max(trials, key=lambda t: (t.value, -t.number)).number
    study.ask()
    assert {s: n for s, n in study.counts.items() if n} == {TrialState.COMPLETE: 4, TrialState.RUNNING: 1}
    study._asked.close()
    assert study.counts[TrialState.COMPLETE] == 4
    study.storage.set_trial_attrs(study.record.id, 1, {"note": "best"})
    assert study.best_trial.user_attrs == {"note": "best"}
