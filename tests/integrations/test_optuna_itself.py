"""What the Optuna that is installed writes is read as it reads it itself, or it is said what is not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright import Float, Int, Space, Study
from modelwright.integrations.optuna import list_studies, read_study
from modelwright.records import FailureKind, Objective, Trial, TrialState
from modelwright.space import Constant
from modelwright.storage import MemoryStorage
from modelwright.storage.base import AdoptedTrial
from modelwright.transfer import StudySnapshot, import_study

optuna = pytest.importorskip("optuna")
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")

Create = Callable[..., Any]


@pytest.fixture(params=["database", "journal"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The file that studies go to."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return tmp_path / ("o.db" if request.param == "database" else "o.log")


@pytest.fixture
def create(path: Path) -> Create:
    """Return a function that creates a study in that file."""
    if path.suffix == ".db":
        storage: Any = f"sqlite:///{path}"
    else:
        backend = optuna.storages.journal.JournalFileBackend(str(path))
        storage = optuna.storages.JournalStorage(backend)

    def make(name: str = "s", **options: Any) -> Any:
        options.setdefault("sampler", optuna.samplers.RandomSampler(seed=5))
        return optuna.create_study(study_name=name, storage=storage, **options)

    return make


def by_number(snapshot: StudySnapshot) -> dict[int, AdoptedTrial]:
    return {item.trial.number: item for item in snapshot.trials}


def trials_of(snapshot: StudySnapshot) -> list[Trial]:
    return [item.trial for _, item in sorted(by_number(snapshot).items())]


def noted(snapshot: StudySnapshot, words: str) -> bool:
    return any(words in note for note in snapshot.notes)


def test_it_agrees_with_optuna(path: Path, create: Create) -> None:
    study = create(direction="minimize")

    def objective(trial: Any) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        depth = trial.suggest_int("depth", 1, 5 + trial.number % 3)  # a range that changes
        extra = trial.suggest_float("extra", 0, 1) if kind == "b" else 0.0
        trial.suggest_float("fixed", 2.0, 2.0)
        if trial.number % 2:
            trial.suggest_float("sometimes", 0.0, 1.0)  # for no reason that could be known
        trial.report(depth, 1)
        trial.set_user_attr("note", {"number": trial.number, "nan": math.nan})
        return float(depth + extra)

    study.optimize(objective, n_trials=8)
    ours = read_study(path)
    newest = Space.from_json(ours.spaces[-1])
    assert newest["depth"] == Int(1, 7)
    assert newest["fixed"] == Constant(2.0)
    assert newest["extra"] == Float(0, 1, when={"kind": "b"})
    assert "sometimes" in newest
    assert "sometimes" not in ours.spec.space
    assert noted(ours, "the range of 'depth' changed between trials")
    assert noted(ours, "only some trials have 'sometimes'")
    for trial, mine in zip(study.trials, trials_of(ours), strict=True):
        assert mine.params == trial.params
        assert list(mine.values) == trial.values
        assert repr(mine.user_attrs) == repr(trial.user_attrs)
        assert mine.started_us == round(trial.datetime_start.timestamp() * 1e6)
        assert mine.ended_us == round(trial.datetime_complete.timestamp() * 1e6)


def test_several_objectives_with_names_and_constraints(path: Path, create: Create) -> None:
    sampler = optuna.samplers.NSGAIISampler(seed=1, population_size=4)
    study = create(directions=["minimize", "maximize"], sampler=sampler)
    study.set_metric_names(["loss", "gain"])

    def objective(trial: Any) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("over", x - 0.5)
        trial.set_constraint("never", -1.0)
        return x, 1 - x

    study.optimize(objective, n_trials=9)
    ours = read_study(path)
    assert ours.spec.objectives == (Objective("loss"), Objective("gain", "maximize"))
    mine = trials_of(ours)
    assert [list(trial.values) for trial in mine] == [trial.values for trial in study.trials]
    assert [trial.metrics for trial in mine] == [
        {"constraints": {"over": trial.params["x"] - 0.5, "never": -1.0}} for trial in study.trials
    ]
    assert noted(ours, "constraints are violated")
    assert not noted(ours, "constraints:")
    assert noted(ours, "NSGAIISampler:generation")


def test_one_objective_with_a_name(path: Path, create: Create) -> None:
    study = create(direction="maximize")
    study.set_metric_names(["accuracy"])
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert read_study(path).spec.objectives == (Objective("accuracy", "maximize"),)


def test_pruned_trials_and_values_that_are_not_finite(
    path: Path, create: Create, memory: MemoryStorage
) -> None:
    study = create(direction="maximize")

    def objective(trial: Any) -> float:
        trial.suggest_float("x", 0, 1)
        trial.report(math.nan if trial.number == 1 else 0.25, 0)
        trial.report(math.inf if trial.number == 2 else 0.5, 1)
        if trial.number < 3:
            raise optuna.TrialPruned
        if trial.number == 4:
            raise ValueError
        return math.inf if trial.number == 3 else math.nan if trial.number == 5 else 0.75

    study.optimize(objective, n_trials=7, catch=(ValueError,))
    ours = read_study(path)
    mine = trials_of(ours)
    assert [trial.state.value for trial in mine] == [
        "pruned", "pruned", "pruned", "failed", "failed", "failed", "complete"
    ]  # fmt: skip
    assert [trial.values for trial in mine] == [(0.5,), (0.5,), (), (), (), (), (0.75,)]
    kinds = [None if trial.failure is None else trial.failure.kind for trial in mine]
    assert kinds[3:6] == [FailureKind.NAN, FailureKind.ERROR, FailureKind.ERROR]
    assert noted(ours, "trial 3: the value inf is not finite")
    for trial, item in zip(study.trials, [by_number(ours)[i] for i in range(7)], strict=True):
        reports = {report.step: report.values["value"] for report in item.reports}
        assert repr(reports) == repr(trial.intermediate_values)
    import_study(memory, ours)
    assert Study.load("s", storage=memory).best_value == 0.75


def test_trials_that_wait_or_run(path: Path, create: Create) -> None:
    study = create()

    def objective(trial: Any) -> float:
        kind = trial.suggest_categorical("kind", ["a", "b"])
        return trial.suggest_float("x", 0, 1) + (trial.suggest_int("n", 1, 9) if kind == "b" else 0)

    study.optimize(objective, n_trials=8)
    study.enqueue_trial({"kind": "b", "x": 0.5, "n": 3}, user_attrs={"why": "whole"})
    study.enqueue_trial({"kind": "b", "x": 0.25})
    study.enqueue_trial({"x": 7.0, "other": 1})
    running = [study.ask() for _ in range(2)]
    running[0].suggest_categorical("kind", ["a", "b"])
    running[0].report(1.0, 0)
    ours = read_study(path)
    mine = trials_of(ours)[8:]
    assert [trial.state for trial in mine] == [TrialState.WAITING] * 3
    assert mine[0].params == {"kind": "b", "x": 0.5, "n": 3}
    assert mine[0].user_attrs == {"why": "whole"}
    assert mine[1].params is not None
    assert (mine[1].params["kind"], mine[1].params["x"]) == ("b", 0.25)
    assert ours.spec.space.check(mine[1].params) == mine[1].params
    assert mine[2].params is None
    assert noted(ours, "trial 9: n drawn at random, beside what was enqueued")
    assert noted(ours, "trial 10: the enqueued x = 7.0 does not fit")
    assert noted(ours, "trial 10: the enqueued other = 1 does not fit")
    assert noted(ours, "trial 8: not ended, and to be run anew")
    assert trials_of(read_study(path))[9].params == mine[1].params  # drawn alike each time


def test_one_that_ran_without_a_whole_configuration_is_lost(path: Path, create: Create) -> None:
    study = create()
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1), n_trials=2)
    study.ask().suggest_float("x", 0, 1)
    ours = read_study(path)
    failure = trials_of(ours)[2].failure
    assert failure is not None
    assert failure.kind is FailureKind.LOST
    assert noted(ours, "trial 2: running without a whole configuration, and so lost")


def test_names_that_we_do_not_allow(path: Path, create: Create, memory: MemoryStorage) -> None:
    name = "vision/ünï\tcode " + "x" * 300
    study = create(name)
    odd = ["drop%", "drop_", "a..b", "lr", "$", "__x__"]
    study.optimize(lambda trial: sum(trial.suggest_float(item, 0, 1) for item in odd), n_trials=2)
    assert list_studies(path) == [name]
    ours = read_study(path)
    assert ours.spec.name.startswith("vision-ünï-code xxx")
    first = trials_of(ours)[0].params
    assert first is not None
    assert list(first.values()) == list(study.trials[0].params.values())
    assert "lr" in first
    assert noted(ours, "the parameter 'drop%' is called")
    import_study(memory, ours)
    again = Study.load(ours.spec.name, storage=memory)
    again.run(lambda trial: trial.params["lr"], trials=4, executor="inline")
    assert len(again.trials) == 4


def test_choices_that_are_no_plain_values(path: Path, create: Create) -> None:
    choices = [math.inf, math.nan, [1, 2], None, "text", 1.5, True]
    study = create()
    for choice in choices:
        study.enqueue_trial({"k": choice})
    with pytest.warns(UserWarning, match="Choices for a categorical distribution"):
        study.optimize(lambda trial: float(trial.suggest_categorical("k", choices) is None), n_trials=7)
    ours = read_study(path)
    found = [(trial.params or {})["k"] for trial in trials_of(ours)]
    assert found == ["Infinity", "NaN", "[1, 2]", None, "text", 1.5, True]
    assert noted(ours, "choices of 'k' that are no plain values are kept as JSON text")


def test_constraints_as_older_samplers_noted_them(path: Path, create: Create) -> None:
    study = create()
    study.add_trial(
        optuna.trial.create_trial(
            value=1.0, params={}, distributions={}, system_attrs={"constraints": [0.5, -1.0]}
        )
    )
    ours = read_study(path)
    assert trials_of(ours)[0].metrics == {"constraints": {"0": 0.5, "1": -1.0}}
    assert noted(ours, "trial 0: constraints are violated")


def test_steps_that_changed(path: Path, create: Create) -> None:
    study = create()

    def objective(trial: Any) -> float:
        n = trial.number
        trial.suggest_float("step", 0, 1, step=0.25 if n < 2 else 0.1)
        trial.suggest_int("grid", n, n + 4, step=2)
        return 0.0

    study.optimize(objective, n_trials=4)
    space = read_study(path).spec.space
    assert space == Space(step=Float(0, 1), grid=Int(0, 7))
    for trial in study.trials:
        assert space.check(trial.params) == trial.params


@pytest.mark.parametrize("later", ["kind", "log", "choices"])
def test_a_parameter_that_optuna_refused_was_never_there(path: Path, create: Create, later: str) -> None:
    """A journal has it, since Optuna writes before it looks."""
    study = create()

    def objective(trial: Any) -> float:
        first = trial.number == 0
        if later == "choices":
            trial.suggest_categorical("x", ["a", "b"] if first else ["a", "c"])
        elif later == "log" or first:
            trial.suggest_float("x", 0.5, 1, log=later == "log" and not first)
        else:
            trial.suggest_categorical("x", ["a", "b"])
        return 0.0

    study.optimize(objective, n_trials=3, catch=(ValueError,))
    assert [len(trial.params) for trial in study.trials] == [1, 0, 0]
    for trial, mine in zip(study.trials, trials_of(read_study(path)), strict=True):
        assert mine.params == trial.params


def test_files_of_trials_are_said_to_be_left_out(path: Path, create: Create, tmp_path: Path) -> None:
    study = create()
    (tmp_path / "files").mkdir()
    (tmp_path / "model").write_text("weights")
    store = optuna.artifacts.FileSystemArtifactStore(str(tmp_path / "files"))

    def objective(trial: Any) -> float:
        optuna.artifacts.upload_artifact(
            artifact_store=store, file_path=str(tmp_path / "model"), study_or_trial=trial
        )
        return trial.suggest_float("x", 0, 1)

    study.optimize(objective, n_trials=1)
    assert noted(
        read_study(path), "left out is what Optuna and its samplers noted for themselves: artifacts:"
    )


def test_a_study_without_trials(path: Path, create: Create, memory: MemoryStorage) -> None:
    create(direction="maximize").set_user_attr("who", {"a": [1, None]})
    ours = read_study(path)
    assert (len(ours.spec.space), ours.trials, ours.user_attrs) == (0, [], {"who": {"a": [1, None]}})
    assert import_study(memory, ours).study.issued == 0


def test_notes_name_a_few_trials_only(path: Path, create: Create) -> None:
    study = create()
    for i in range(8):
        study.enqueue_trial({"y": i})
    study.add_trial(
        optuna.trial.create_trial(
            value=1.0, params={"x": 0.5}, distributions={"x": optuna.distributions.FloatDistribution(0, 1)}
        )
    )
    ours = read_study(path)
    assert len(json.dumps(list(ours.notes))) < 2000
    assert len(ours.trials) == 9
