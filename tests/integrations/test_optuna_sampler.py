"""Our optimizers as a sampler of Optuna."""

from __future__ import annotations

import copy
import datetime
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright.errors import AbilityError, InputError, UnknownNameError
from modelwright.optimizers import Abilities
from modelwright.records import Component, FailureKind, TrialState

optuna = pytest.importorskip("optuna", reason="the library 'optuna' is not installed")

from modelwright.integrations.optuna import ModelwrightSampler  # noqa: E402

Objective = Callable[[Any], Any]


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def run(objective: Objective, n: int, optimizer: Any = "tpe", seed: int = 1, **options: Any) -> Any:
    study = optuna.create_study(sampler=ModelwrightSampler(optimizer, seed=seed), **options)
    study.optimize(objective, n_trials=n, catch=(RuntimeError,))
    return study


def params(study: Any) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def bowl(trial: Any) -> float:
    x = trial.suggest_float("x", -5, 5)
    y = trial.suggest_float("y", 1e-4, 1, log=True)
    return (x - 2) ** 2 + (math.log10(y) + 2) ** 2


def conditional(trial: Any) -> float:
    method = trial.suggest_categorical("method", ["svm", None, 3, "knn"])
    if method == "svm":
        return (math.log10(trial.suggest_float("c", 1e-3, 1e3, log=True)) - 1) ** 2
    if method == "knn":
        return 1 + abs(trial.suggest_int("k", 1, 40) - 7) / 10
    return 3.0 if method is None else 2.0


def mixed(trial: Any) -> float:
    a = trial.suggest_categorical("a", [None, True, 2, 0.5, "b", float("nan")])
    n = trial.suggest_int("n", 2, 20, step=3)
    z = trial.suggest_float("z", 0, 1, step=0.1)
    k = trial.suggest_int("k", 1, 1000, log=True)
    return n * z + math.log(k) + (a == "b")


# what is proposed --------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["tpe", "gp"])
def test_it_finds_what_random_search_does_not(optimizer: str) -> None:
    seeds = range(3)
    ours = sorted(run(bowl, 40, optimizer, seed).best_value for seed in seeds)
    assert ours[1] < sorted(run(bowl, 40, "random", seed).best_value for seed in seeds)[1]


@pytest.mark.parametrize("optimizer", ["tpe", "gp", "random", "quasirandom"])
@pytest.mark.parametrize("objective", [bowl, conditional, mixed])
def test_the_same_seed_gives_the_same_trials(optimizer: str, objective: Objective) -> None:
    first, again = run(objective, 25, optimizer), run(objective, 25, optimizer)
    assert repr(params(first)) == repr(params(again))
    assert repr(params(run(objective, 25, optimizer, seed=2))) != repr(params(first))


@pytest.mark.parametrize("optimizer", ["tpe", "quasirandom"])
@pytest.mark.parametrize("objective", [bowl, conditional])
def test_a_study_that_is_resumed_goes_on_as_if_it_had_never_stopped(
    optimizer: str, objective: Objective, tmp_path: Path
) -> None:
    storage = f"sqlite:///{tmp_path / 'o.db'}"
    for _ in range(3):
        sampler = ModelwrightSampler(optimizer, seed=1)
        study = optuna.create_study(study_name="s", storage=storage, sampler=sampler, load_if_exists=True)
        study.optimize(objective, n_trials=8)
    assert params(study) == params(run(objective, 24, optimizer))


def test_choices_of_any_kind_come_back_as_they_are() -> None:
    found = [trial.params["a"] for trial in run(mixed, 60, "random").trials]
    kinds = {(type(item).__name__, repr(item)) for item in found}
    wanted = [None, True, 2, 0.5, "b", float("nan")]
    assert kinds == {(type(item).__name__, repr(item)) for item in wanted}


def test_objects_may_be_choices() -> None:
    layers = [(64,), (64, 32)]
    with pytest.warns(UserWarning, match="persistent storage"):
        distribution = optuna.distributions.CategoricalDistribution(layers)
    study = optuna.create_study(sampler=ModelwrightSampler("gp", seed=1))
    for _ in range(12):
        trial = study.ask({"layers": distribution})
        study.tell(trial, len(trial.params["layers"]))
    assert {trial.params["layers"] for trial in study.trials} == set(layers)


def test_names_that_we_do_not_allow_are_no_obstacle() -> None:
    study = run(lambda trial: trial.suggest_float("drop%", 0, 1) + trial.suggest_int("__n__", 0, 9), 15)
    assert set(study.trials[-1].params) == {"drop%", "__n__"}


def test_steps_and_scales_are_kept() -> None:
    for trial in run(mixed, 30).trials:
        assert trial.params["n"] in range(2, 21, 3)
        assert trial.params["z"] in [round(0.1 * i, 1) for i in range(11)]
        assert 1 <= trial.params["k"] <= 1000


# define-by-run -----------------------------------------------------------------------------------------


def test_conditional_parameters_are_proposed_together_once_a_choice_explains_them() -> None:
    sampler = ModelwrightSampler("tpe", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(conditional, n_trials=40)
    trial = study.ask()
    assert set(sampler.infer_relative_search_space(study, trial._cached_frozen_trial)) == {"method", "c", "k"}
    asked: list[str] = []
    independent = sampler.sample_independent
    sampler.sample_independent = lambda *given: asked.append(given[2]) or independent(*given)  # type: ignore[method-assign,func-returns-value]
    study.optimize(conditional, n_trials=10)
    assert asked == []
    assert study.best_value < 0.3


def test_a_parameter_that_a_number_switches_on_is_proposed_by_itself() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        return x if x < 0.5 else x + trial.suggest_float("y", 0, 1)

    sampler = ModelwrightSampler("random", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=20)
    assert set(sampler.infer_relative_search_space(study, study.trials[-1])) == {"x"}
    assert any("y" in trial.params for trial in study.trials)


def test_a_range_that_changes_is_followed() -> None:
    def objective(trial: Any) -> float:
        return trial.suggest_float("x", 0, 1 + trial.number % 3) + trial.suggest_float("y", 0, 1)

    sampler = ModelwrightSampler("tpe", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(objective, n_trials=30)
    assert set(sampler.infer_relative_search_space(study, study.trials[-1])) == {"y"}
    assert study.best_value < 0.5


def test_a_parameter_that_is_new_joins_the_others() -> None:
    sampler = ModelwrightSampler("tpe", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
    study.optimize(bowl_of_two, n_trials=10)
    assert set(sampler.infer_relative_search_space(study, study.trials[-1])) <= {"x", "y"}
    assert "y" in study.trials[-1].params


def bowl_of_two(trial: Any) -> float:
    return trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1)


# what optimizers learn ---------------------------------------------------------------------------------


def history_of(sampler: ModelwrightSampler) -> Any:
    (models,) = sampler._models.values()
    return list(models._models.values())[-1]._history


def test_the_history_has_all_that_ended_in_the_order_of_numbers() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        if trial.number == 2:
            raise RuntimeError
        if trial.number == 3:
            trial.report(7.0, 4)
            raise optuna.TrialPruned
        if trial.number == 5:
            trial.set_constraint("memory", 1.0)
        return math.nan if trial.number == 4 else x

    sampler = ModelwrightSampler("tpe", seed=1)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.optimize(objective, n_trials=9, catch=(RuntimeError,))
    history = history_of(sampler)
    assert [trial.number for trial in history.trials] == list(range(8))
    assert [trial.state for trial in history.trials[:2]] == [TrialState.COMPLETE] * 2
    assert history.trials[2].failure.kind is FailureKind.ERROR
    assert history.trials[3].state is TrialState.PRUNED
    assert history.reports(3) == [(4, -7.0)]
    assert history.trials[4].failure.kind is FailureKind.ERROR  # which is what Optuna makes of NaN
    assert history.trials[5].failure.kind is FailureKind.INVALID
    assert history.losses[0, 0] == -study.trials[0].value


def test_values_that_are_not_finite_are_failures() -> None:
    sampler = ModelwrightSampler("gp", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(lambda t: -math.inf if t.number % 2 else t.suggest_float("x", 0, 1), n_trials=4)
    study.optimize(lambda t: t.suggest_float("x", 0, 1) if t.number % 2 else math.inf, n_trials=10)
    assert len(study.trials) == 14


def test_several_objectives() -> None:
    def objective(trial: Any) -> tuple[float, float]:
        x = trial.suggest_float("x", 0, 3)
        return x**2, (x - 2) ** 2

    study = run(objective, 40, directions=["minimize", "minimize"])
    between = [0 <= trial.params["x"] <= 2 for trial in study.trials[-15:]]
    assert sum(between) >= 12


class OfOneObjective:
    """Stands for an optimizer that cannot do more."""

    abilities = Abilities()

    def __init__(self, space: Any, objectives: Any, *, deterministic: bool = False) -> None:
        raise AssertionError("it is built for several objectives")


def test_an_optimizer_for_one_objective_names_another() -> None:
    optimizer = f"{__file__}:OfOneObjective"
    with pytest.raises(AbilityError, match=r"works on one objective, and the study has 2\..*'auto'"):
        run(bowl, 1, optimizer, directions=["minimize", "minimize"])


def test_running_trials_are_pending() -> None:
    sampler = ModelwrightSampler("tpe", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl_of_two, n_trials=12)
    running = [study.ask() for _ in range(4)]
    for trial in running:
        trial.suggest_float("x", 0, 1)  # and not yet y, which is proposed already
    history = history_of(sampler)
    assert history.pending_numbers == [12, 13, 14]
    assert [set(config) for config in history.pending] == [{"x", "y"}] * 3
    assert len({trial.params["x"] for trial in running}) == 4
    for trial in running:
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    study.optimize(bowl_of_two, n_trials=1)
    assert history_of(sampler).pending_numbers == []


def test_a_finite_space_is_not_tried_twice_where_that_is_asked_for() -> None:
    sampler = ModelwrightSampler("random", seed=1, deterministic=True)
    study = optuna.create_study(sampler=sampler)
    distributions = {"n": optuna.distributions.IntDistribution(1, 9)}
    found = []
    for _ in range(12):
        trial = study.ask(distributions)
        found.append(trial.params["n"])
        study.tell(trial, 1.0)
    assert sorted(found[:9]) == list(range(1, 10))  # and random draws when all are used


def test_what_ended_out_of_turn_is_put_in_order() -> None:
    """What another process knows later is read as by one that knows it from the start."""
    sampler = ModelwrightSampler("tpe", seed=1)
    study = optuna.create_study(sampler=sampler)
    study.optimize(bowl_of_two, n_trials=11)
    early = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
    old = copy.deepcopy(study.trials[3])
    old.datetime_start = old.datetime_complete = early
    study.add_trial(old)
    trial = study.ask()
    found = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
    assert [item.number for item in history_of(sampler).trials] == [11, *range(11)]
    fresh = ModelwrightSampler("tpe", seed=1)
    space = fresh.infer_relative_search_space(study, trial._cached_frozen_trial)
    assert fresh.sample_relative(study, trial._cached_frozen_trial, space) == dict(
        zip("xy", found, strict=True)
    )


# what a user gives -------------------------------------------------------------------------------------


def test_enqueued_and_fixed_parameters_are_kept() -> None:
    study = optuna.create_study(sampler=ModelwrightSampler("tpe", seed=1))
    study.enqueue_trial({"x": 0.25})
    study.optimize(bowl_of_two, n_trials=12)
    study.enqueue_trial({"x": 0.75})
    study.optimize(bowl_of_two, n_trials=1)
    assert [study.trials[at].params["x"] for at in (0, 12)] == [0.25, 0.75]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_that_fixes_some_parameters_may_stand_before_it() -> None:
    study = run(conditional, 20)
    study.sampler = optuna.samplers.PartialFixedSampler({"method": "knn"}, study.sampler)
    study.optimize(conditional, n_trials=10)
    assert {trial.params["method"] for trial in study.trials[-10:]} == {"knn"}


def test_the_seed_can_be_drawn_anew() -> None:
    first, second = (ModelwrightSampler("random", seed=1) for _ in range(2))
    second.reseed_rng()
    study = optuna.create_study()
    trial = study.ask()._cached_frozen_trial
    distribution = optuna.distributions.FloatDistribution(0, 1)
    draws = [
        sampler.sample_independent(study, trial, "x", distribution) for sampler in (first, first, second)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_without_a_seed_each_sampler_draws_otherwise() -> None:
    assert params(run(bowl, 3, "random", seed=None)) != params(run(bowl, 3, "random", seed=None))  # type: ignore[arg-type]


def test_a_component_brings_options() -> None:
    run(bowl, 3, Component("tpe", {"n_startup": 2}))
    with pytest.raises(InputError, match="no option 'n_startups'"):
        run(bowl, 1, Component("tpe", {"n_startups": 2}))


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"optimizer": "tep"}, UnknownNameError, "no optimizer is called 'tep'"),
        ({"optimizer": 3}, InputError, "expected the name of an optimizer or a Component, got 3"),
        ({"seed": -1}, InputError, "expected the seed to be a whole number"),
        ({"seed": "1"}, InputError, "expected the seed to be a whole number"),
    ],
)
def test_bad_input_is_refused_when_the_sampler_is_built(
    given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        ModelwrightSampler(**given)


# around it ---------------------------------------------------------------------------------------------


def test_a_pickled_sampler_goes_on_alike() -> None:
    study = run(bowl, 15)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))
    study.optimize(bowl, n_trials=10)
    assert params(study) == params(run(bowl, 25))


def test_one_sampler_may_serve_several_studies() -> None:
    sampler = ModelwrightSampler("tpe", seed=1)
    alone = params(run(bowl, 20))
    for _ in range(2):
        study = optuna.create_study(sampler=sampler)
        study.optimize(bowl, n_trials=20)
        assert params(study) == alone


def test_threads() -> None:
    study = optuna.create_study(sampler=ModelwrightSampler("tpe", seed=1))
    study.optimize(bowl, n_trials=40, n_jobs=4)
    assert len({tuple(item.values()) for item in params(study)}) == 40


def test_hyperband_shows_each_trial_its_own_part() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(9):
            trial.report(x + 1 / (step + 1), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return x

    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=9)
    study = run(objective, 40, pruner=pruner)
    assert len(study.trials) == 40
    assert study.best_value < 0.2


def test_an_ask_looks_only_at_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    from modelwright.integrations.optuna import views

    read: list[int] = []
    result_of = views.result_of
    monkeypatch.setattr(views, "result_of", lambda *given: read.append(1) or result_of(*given))  # type: ignore[func-returns-value]
    study = run(bowl, 10)
    read.clear()
    study.optimize(bowl, n_trials=20)
    assert len(read) == 20  # each finished trial once, by the one model that is asked
