"""Studies whose trials have to measure something: what is best, what is stored, what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Space, Study
from modelwright.errors import AbilityError, InputError, StudyExistsError, StudyStateError
from modelwright.records import FailureKind, TrialState
from modelwright.study import Result

SPACE = Space(x=Float(0, 1))


def by_metric(trial: Any) -> Result:
    """The lower x, the better the value, and the higher the latency."""
    return Result(trial.params["x"], metrics={"latency": 30 * (1 - trial.params["x"])})


@pytest.mark.parametrize("url", ["memory://", "sqlite"])
def test_the_best_is_the_best_that_meets_them(url: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/hub.db" if url == "sqlite" else url
    study = Study(
        SPACE, seed=1, storage=storage, name="s", optimizer="random", outcome_constraints=["latency <= 20"]
    ).run(by_metric, trials=30, executor="inline")
    allowed = [trial.value for trial in study.trials if trial.params["x"] >= 1 / 3]
    assert study.best_value == min(value for value in allowed if value is not None)
    assert [trial.number for trial in study.best_trials] == [study.best_trial.number]
    assert min(trial.value or 0.0 for trial in study.trials) < 1 / 3, "some were better and broke it"
    if url == "sqlite":
        again = Study.load("s", storage=storage)
        assert list(map(str, again.spec.outcome_constraints or ())) == ["latency <= 20"]
        assert again.best_trial.number == study.best_trial.number
        with pytest.raises(StudyExistsError, match=r"latency <= 20, and latency <= 10"):
            Study(
                SPACE, storage=storage, name="s", load_if_exists=True, outcome_constraints=["latency <= 10"]
            )


def test_a_study_without_them_is_stored_as_before(tmp_path: Path) -> None:
    import sqlite3

    study = Study(SPACE, storage=f"sqlite:///{tmp_path}/hub.db")
    with sqlite3.connect(tmp_path / "hub.db") as connection:
        [[stored]] = connection.execute("SELECT objectives FROM studies").fetchall()
    assert stored.replace(" ", "") == '[["value","minimize"]]'
    study.close()


def test_where_no_trial_meets_them_the_nearest_is_named() -> None:
    study = Study(SPACE, optimizer="random", seed=0, outcome_constraints="latency <= -1")
    with pytest.raises(StudyStateError, match=r"no trial of .* is complete yet"):
        _ = study.best_trial
    study.run(by_metric, trials=5, executor="inline")
    nearest = max(study.trials, key=lambda trial: trial.params["x"]).number
    with pytest.raises(StudyStateError, match=rf"meets latency <= -1; trial {nearest} comes nearest"):
        _ = study.best_trial
    assert study.best_trials == []


@pytest.mark.parametrize(
    ("metrics", "kind", "words"),
    [
        ({}, FailureKind.INVALID, "'latency' of the constraint 'latency <= 20' is missing"),
        ({"latency": "18"}, FailureKind.INVALID, "expected a number, got str 18"),
        ({"latency": math.nan}, FailureKind.NAN, "is nan, not a finite number"),
    ],
)
def test_a_trial_that_does_not_say_what_it_measured_fails(
    metrics: dict[str, Any], kind: FailureKind, words: str
) -> None:
    study = Study(SPACE, optimizer="random", outcome_constraints=["latency <= 20"])
    trial = study.ask()
    for name, value in metrics.items():
        trial.user_attrs[name] = value
    told = study.tell(trial, 1.0)
    assert told.state is TrialState.FAILED
    assert told.failure is not None
    assert told.failure.kind is kind
    assert words in told.failure.message


def test_an_objective_and_an_attribute_may_be_bounded() -> None:
    study = Study(
        SPACE,
        directions={"loss": "minimize", "speed": "maximize"},
        optimizer="random",
        outcome_constraints=["speed >= 2", "size <= 5"],
    )
    for values, size in [((1.0, 1.0), 1), ((2.0, 3.0), 9), ((3.0, 3.0), 2)]:
        trial = study.ask()
        trial.user_attrs["size"] = size
        study.tell(trial, values)
    assert [trial.number for trial in study.best_trials] == [2]


@pytest.mark.parametrize("text", ["latency < 20", "latency", "latency <= inf", "a + b <= 2", "<= 2", 7])
def test_text_of_another_form_is_refused(text: Any) -> None:
    with pytest.raises(InputError, match="such as 'latency <= 20'"):
        Study(SPACE, outcome_constraints=[text])


@pytest.mark.parametrize("optimizer", ["forest", "cmaes", "de", "evolution", "nsga2"])
def test_who_would_ignore_them_is_refused(optimizer: str) -> None:
    with pytest.raises(AbilityError, match=r"outcome constraints.*'gp' or 'tpe'"):
        Study(SPACE, optimizer=optimizer, outcome_constraints=["latency <= 20"])
