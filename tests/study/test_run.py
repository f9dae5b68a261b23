"""`Study.run` in this process: budgets, outcomes, callbacks, early stopping."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import (
    ConfigurationError,
    InputError,
    ModelwrightError,
    StudyExistsError,
    StudyNotFoundError,
    StudyStateError,
)
from modelwright.records import StudyState, TrialState
from modelwright.study import Callback, Runner, RunningTrial, TrialPruned, TrialResult

SPACE = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))


def square(trial: RunningTrial) -> float:
    return float(trial.params["x"] ** 2 + trial.params["n"])


def make(**options: Any) -> Study:
    return Study(options.pop("space", SPACE), **{"seed": 1, "optimizer": "random", **options})


def test_trials_are_a_total() -> None:
    study = make()
    for total, expected in ((5, 5), (5, 5), (3, 5), (8, 8)):
        study.run(square, trials=total, executor="inline")
        assert len(study.trials) == expected
    study.run(square, more=2, executor="inline")
    assert [trial.number for trial in study.trials] == list(range(10))
    assert study.state is StudyState.COMPLETE


def test_the_best_trial_is_the_one_with_the_least_value() -> None:
    study = make().run(square, trials=20, executor="inline")
    values = [trial.value for trial in study.trials]
    assert study.best_value == min(values)
    assert study.best_params == study.trials[values.index(min(values))].params


def test_maximize_turns_it_round() -> None:
    study = make(direction="maximize").run(square, trials=20, executor="inline")
    assert study.best_value == max(trial.value for trial in study.trials)
    assert study.directions == ["maximize"]


def test_several_objectives_give_a_front() -> None:
    study = make(directions=["minimize", "maximize"])
    study.run(lambda trial: (trial.params["x"], trial.params["x"]), trials=6, executor="inline")
    assert len(study.best_trials) == 6  # what one objective gains the other loses
    with pytest.raises(StudyStateError, match="best_trials"):
        _ = study.best_trial


def test_objectives_may_have_names() -> None:
    study = make(directions={"loss": "minimize", "score": "maximize"})
    study.run(lambda trial: {"score": 2.0, "loss": 1.0}, trials=1, executor="inline")
    assert study.trials[0].values == (1.0, 2.0)


def test_equal_seeds_give_equal_trials() -> None:
    tables = [
        [(t.params, t.value) for t in make().run(square, trials=8, executor="inline").trials]
        for _ in range(2)
    ]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("returned", "kind", "words"),
    [
        (None, "invalid", "None"),
        ("0.5", "invalid", "text"),
        (True, "invalid", "bool"),
        (b"1", "invalid", "bytes"),
        (1j, "invalid", "complex"),
        ((1.0, 2.0), "invalid", "got 2"),
        ({"other": 1.0}, "invalid", "other"),
        (math.nan, "nan", "nan"),
        (math.inf, "nan", "inf"),
        (-math.inf, "nan", "inf"),
        (10**400, "nan", "inf"),
    ],
)
def test_what_is_not_a_finite_number_fails_the_trial_and_nothing_else(
    returned: Any, kind: str, words: str
) -> None:
    study = make()
    study.run(lambda trial: returned if trial.number == 0 else 1.0, trials=2, executor="inline")
    failed, fine = study.trials
    assert failed.state is TrialState.FAILED
    assert failed.failure is not None
    assert failed.failure.kind.value == kind
    assert words in failed.failure.message
    assert fine.value == 1.0
    assert study.best_trial.number == 1


@pytest.mark.parametrize("error", [ValueError, MemoryError, RecursionError, SystemExit, GeneratorExit])
def test_what_is_raised_fails_the_trial_and_nothing_else(error: type[BaseException]) -> None:
    def objective(trial: RunningTrial) -> float:
        if trial.number == 0:
            raise error("broken")
        return 1.0

    study = make().run(objective, trials=2, executor="inline")
    failure = study.trials[0].failure
    assert failure is not None
    assert failure.kind.value == ("memory" if error is MemoryError else "error")
    assert "broken" in failure.message
    assert "objective" in failure.traceback
    assert study.trials[1].state is TrialState.COMPLETE


def test_numpy_numbers_count() -> None:
    import numpy as np

    study = make().run(lambda trial: np.float32(0.5), trials=1, executor="inline")
    assert study.trials[0].value == 0.5


def test_an_exception_that_is_not_caught_ends_the_run_with_the_trial_recorded() -> None:
    def objective(trial: RunningTrial) -> float:
        raise KeyError("lost") if trial.number == 1 else ValueError("fine")

    study = make()
    with pytest.raises(ModelwrightError, match="KeyError"):
        study.run(objective, trials=5, executor="inline", catch=(ValueError,))
    assert [t.state for t in study.trials] == [TrialState.FAILED] * 2


def test_an_async_objective_is_refused_before_anything_starts() -> None:
    async def objective(trial: RunningTrial) -> float:
        return 1.0

    study = make()
    with pytest.raises(InputError, match="plain function"):
        study.run(objective, trials=1, executor="inline")
    assert study.trials == []


@pytest.mark.parametrize(
    "options",
    [
        {"trials": 0},
        {"trials": 1.5},
        {"trials": True},
        {"more": 0},
        {"trials": 1, "more": 1},
        {"timeout": 0},
        {"timeout": math.nan},
        {"parallel": 0},
        {"parallel": 2},  # inline runs one at a time
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make().run(square, executor="inline", **options)


def test_callbacks_see_each_trial_and_may_stop_the_run() -> None:
    seen: list[tuple[int, float | None]] = []

    def callback(study: Study, trial: TrialResult) -> None:
        seen.append((trial.number, trial.value))
        if len(seen) == 3:
            study.stop_run()

    study = make().run(square, trials=10, executor="inline", callbacks=[callback])
    assert seen == [(t.number, t.value) for t in study.trials]
    assert len(seen) == 3
    assert study.state is not StudyState.COMPLETE
    study.run(square, trials=10, executor="inline")
    assert len(study.trials) == 10


def test_callback_objects_see_start_and_end() -> None:
    class Log(Callback):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def on_start(self, run: Runner) -> None:
            self.lines.append("start")

        def on_trial_start(self, run: Runner, number: int) -> None:
            self.lines.append(f"trial {number}")

        def on_end(self, run: Runner, reason: str) -> None:
            self.lines.append(reason)

    log = Log()
    make().run(square, trials=2, executor="inline", callbacks=[log])
    assert log.lines == ["start", "trial 0", "trial 1", "spent"]


def test_a_callback_that_fails_leaves_the_ledger_clean() -> None:
    def callback(study: Study, trial: TrialResult) -> None:
        raise RuntimeError("mine")

    study = make()
    with pytest.raises(RuntimeError, match="mine"):
        study.run(square, trials=3, executor="inline", callbacks=[callback])
    assert all(trial.state is not TrialState.RUNNING for trial in study.trials)
    study.run(square, trials=3, executor="inline")
    assert len(study.trials) == 3


def test_enqueued_configurations_come_first() -> None:
    study = make()
    assert study.enqueue({"x": 1.0, "n": 2, "k": "a"}) == 0
    study.run(square, trials=2, executor="inline")
    assert study.trials[0].params == {"x": 1.0, "n": 2, "k": "a"}
    assert study.trials[0].value == 3.0
    with pytest.raises(ConfigurationError, match="'n'"):
        study.enqueue({"x": 1.0, "n": 20, "k": "a"})


def test_reports_attributes_and_pruning_by_hand() -> None:
    def objective(trial: RunningTrial) -> float:
        trial.user_attrs["rows"] = 7
        for step in range(3):
            trial.report(10.0 - step, step)
        raise TrialPruned

    study = make().run(objective, trials=1, executor="inline")
    trial = study.trials[0]
    assert trial.state is TrialState.PRUNED
    assert trial.values == (8.0,)  # the last report stands for it
    assert trial.user_attrs == {"rows": 7}
    reports = study.storage.reports(study._view.record.id, 0)
    assert [(r.step, r.values["value"]) for r in reports] == [(0, 10.0), (1, 9.0), (2, 8.0)]


def test_text_in_a_report_fails_the_trial() -> None:
    study = make().run(lambda trial: trial.report("high", 0), trials=1, executor="inline")
    assert "to report" in study.trials[0].failure.message


def test_the_median_rule_stops_bad_trials() -> None:
    stopped: list[int] = []

    def objective(trial: RunningTrial) -> float:
        level = 100.0 if trial.number == 7 else float(trial.number)
        for step in range(5):
            trial.report(level, step)
            if trial.should_stop():
                stopped.append(trial.number)
                return level
        return level

    study = make(scheduler="median").run(objective, trials=8, executor="inline")
    assert 7 in stopped
    assert study.trials[7].state is TrialState.PRUNED
    assert study.best_trial.number == 0


def test_parameters_may_be_named_by_the_objective() -> None:
    def objective(trial: RunningTrial) -> float:
        rate = trial.float("rate", 1e-5, 1, log=True)
        layers = trial.int("layers", 1, 4)
        name = trial.categorical("act", "relu", "gelu")
        assert trial.bool("bias") in (True, False)
        assert trial.float("rate", 1e-5, 1, log=True) == rate  # the same again in one trial
        return rate * layers + len(name)

    study = make(space=None, optimizer="tpe").run(objective, trials=15, executor="inline")
    assert {t.state for t in study.trials} == {TrialState.COMPLETE}
    assert set(study.space.names) == {"rate", "layers", "act", "bias"}
    assert all(1e-5 <= t.params["rate"] <= 1 for t in study.trials)
    assert len({t.params["rate"] for t in study.trials}) == 15


def test_a_wrong_parameter_fails_the_trial_with_the_reason() -> None:
    study = make(space=None).run(lambda t: t.float("x", 2, 1), trials=1, executor="inline")
    assert study.trials[0].state is TrialState.FAILED
    assert "x" in study.trials[0].failure.message


def test_choices_may_be_objects() -> None:
    def first(v: float) -> float:
        return v

    def second(v: float) -> float:
        return v + 1

    study = make(space=Space(f=Categorical(first, second)))
    study.run(lambda trial: trial.params["f"](1.0), trials=4, executor="inline")
    assert {t.value for t in study.trials} <= {1.0, 2.0}
    assert {t.params["f"] for t in study.trials} <= {first, second}


def test_a_finite_space_ends_when_all_is_tried() -> None:
    space = Space(a=Int(0, 3), b=Categorical("x", "y", "z"))
    for optimizer in ("random", "tpe", "grid", "quasirandom"):
        study = make(space=space, optimizer=optimizer, deterministic=True)
        study.run(lambda trial: float(trial.params["a"]), trials=100, executor="inline")
        assert len({str(t.params) for t in study.trials}) == len(study.trials) == 12
        assert study.state is StudyState.COMPLETE


def test_ask_and_tell(tmp_path: Path) -> None:
    study = make(storage=f"sqlite:///{tmp_path}/hub.db", name="manual")
    trial = study.ask()
    assert study.tell(trial, 0.3).value == 0.3
    other = study.ask()
    assert other.number == 1
    assert study.tell(other.number, state="failed").state is TrialState.FAILED
    with pytest.raises(StudyStateError, match="not asked for"):
        study.tell(7, 1.0)
    study.ask()
    study.close()  # gives the third one back

    again = Study.load("manual", storage=f"sqlite:///{tmp_path}/hub.db")
    assert again.trials_dataframe()["state"].tolist()[:2] == ["COMPLETE", "FAIL"]
    assert again.ask().number == 2
    again.close()


def test_names_are_taken_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    make(storage=url, name="a").close()
    with pytest.raises(StudyExistsError):
        make(storage=url, name="a")
    make(storage=url, name="a", load_if_exists=True).close()
    with pytest.raises(StudyExistsError, match="another space"):
        make(storage=url, name="a", load_if_exists=True, space=Space(x=Float(0, 1)))
    with pytest.raises(StudyExistsError, match="objectives"):
        make(storage=url, name="a", load_if_exists=True, direction="maximize")
    with pytest.raises(StudyNotFoundError):
        Study.load("b", storage=url)


def test_the_table_has_the_columns_that_users_know() -> None:
    study = make().run(square, trials=3, executor="inline")
    table = study.trials_dataframe()
    wanted = ["number", "value", "datetime_start", "datetime_complete", "duration"]
    assert table.columns.tolist() == [*wanted, "params_x", "params_n", "params_k", "failure", "state"]
    assert table["state"].tolist() == ["COMPLETE"] * 3
    assert (table["duration"].dt.total_seconds() >= 0).all()
    assert table["value"].tolist() == [trial.value for trial in study.trials]


def test_a_study_goes_on_in_a_new_object(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hub.db"
    whole = [
        (t.params, t.value) for t in make(optimizer="tpe").run(square, trials=16, executor="inline").trials
    ]
    for total in (5, 11, 16):
        study = make(optimizer="tpe", storage=url, name="s", load_if_exists=True)
        study.run(square, trials=total, executor="inline")
        study.close()
    parts = Study.load("s", storage=url)
    assert [(t.params, t.value) for t in parts.trials] == whole
    parts.close()


def test_user_attrs_stay_with_the_study() -> None:
    study = make(user_attrs={"owner": "me"})
    study.set_user_attr("rows", 10)
    assert study.user_attrs == {"owner": "me", "rows": 10}


@pytest.mark.parametrize(
    "options",
    [
        {"direction": "up"},
        {"direction": "minimize", "directions": ["minimize"]},
        {"directions": "minimize"},
        {"seed": -1},
        {"name": ""},
        {"name": "a/b"},
        {"optimizer": "magic"},
        {"scheduler": 3},
        {"space": {"x": 1}},
    ],
)
def test_a_study_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        make(**options)
