"""The search over partitions: what is proposed, in which order, and that it follows from the history."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelwright._base.seeds import generator
from modelwright.automl.methods import Method, load_methods
from modelwright.automl.partitions import find_partition, joint_space, partitions
from modelwright.automl.portfolio import portfolio
from modelwright.automl.search import MAX_FAILURES, PartitionSearch, relative_scores
from modelwright.errors import AbilityError, InputError, UnknownNameError
from modelwright.optimizers import make_optimizer
from modelwright.records import (
    Component,
    Exhausted,
    History,
    Objective,
    Proposal,
    Ticket,
    TrialState,
    Wait,
)
from modelwright.space import Float, Space
from modelwright.testing.optimizers import Simulation

SCORE = (Objective("auc", "maximize"),)


def simulation(
    methods: Sequence[Method], *, seed: int = 0, deterministic: bool = True, **options: Any
) -> Simulation:
    def build(space: Space, objectives: Any, deterministic: bool) -> PartitionSearch:
        return PartitionSearch(space, objectives, deterministic=deterministic, methods=methods, **options)

    return Simulation(joint_space(methods), build, objectives=SCORE, deterministic=deterministic, seed=seed)


def binary(*codes: str) -> list[Method]:
    return load_methods(codes or None, "binary")


def tiny(folder: Path) -> list[Method]:
    """Return a method of two partitions: one without numbers, one with a whole number of three values."""
    form = {
        "name": "tiny",
        "class": "sklearn.dummy.DummyClassifier",
        "hyperparameters": {
            "kind": {"type": "string", "values": ["a", "b"]},
            "n": {"type": "int", "range": [1, 3]},
        },
        "root_hyperparameters": ["kind"],
        "conditions": {"kind": {"b": ["n"]}},
    }
    return method_in(folder, form)


def method_in(folder: Path, form: dict[str, Any]) -> list[Method]:
    file = folder / "method.json"
    file.write_text(json.dumps(form), encoding="utf-8")
    return load_methods([str(file)])


def proposals(answer: list[Proposal] | Wait | Exhausted) -> list[Proposal]:
    assert isinstance(answer, list), answer
    return answer


def copied(history: History) -> History:
    copy = History(history.space, history.objectives)
    copy.add(history.trials)
    running = zip(history.pending_numbers, history.pending, strict=True)
    copy.set_pending([(number, history.space.dump(config)) for number, config in running])
    return copy


# the portfolio ---------------------------------------------------------------------------------------


def test_the_portfolio_comes_first_and_once() -> None:
    methods = binary()
    parts = partitions(methods)
    expected = [first.partition.configuration(first.numbers) for first in portfolio(methods, parts)]
    found = simulation(methods).run(len(expected) + 3, width=2)
    assert found.configs[: len(expected)] == expected
    assert all("portfolio" in proposal.reason for proposal in found.proposals[: len(expected)])
    assert not any("portfolio" in proposal.reason for proposal in found.proposals[len(expected) :])


def test_a_lost_trial_of_the_portfolio_is_tried_again_a_failed_one_not() -> None:
    lost, failed = simulation(binary("dt", "knn")), simulation(binary("dt", "knn"))
    for run, kind in ((lost, "lost"), (failed, "error")):
        proposals(run.ask())
        run.finish(0, kind=kind)
    assert proposals(lost.ask())[0].params == lost.proposals[0].params
    assert proposals(failed.ask())[0].params != failed.proposals[0].params


def test_the_portfolio_can_be_left_out() -> None:
    found = simulation(binary("dt", "knn"), portfolio=False).run(5)
    assert not any("portfolio" in proposal.reason for proposal in found.proposals)


# selector and tuner ----------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", ["uniform", "ucb1", "bestk", "hieralg"])
@pytest.mark.parametrize("tuner", ["random", "tpe"])
def test_proposals_are_valid_and_say_where_they_come_from(selector: str, tuner: str) -> None:
    methods = binary()
    parts = partitions(methods)
    found = simulation(methods, selector=selector, tuner=tuner).run(40, width=3)
    assert len({found.space.key(config) for config in found.configs}) == 40
    for proposal in found.proposals:
        config = dict(proposal.params)
        assert found.space.check(config) == config
        part = find_partition(parts, config)
        assert proposal.partition == part.index
        assert f"{part.label} (partition {part.index})" in proposal.reason
    assert any(
        p.reason.startswith(f"{selector} chose") and f", {tuner}: " in p.reason for p in found.proposals
    )


def test_the_best_method_gets_the_most_trials() -> None:
    methods = binary("dt", "logreg")
    found = simulation(methods, selector="ucb1")
    while len(found.proposals) < 120:
        [proposal] = proposals(found.ask())
        good = proposal.params.get("logreg:penalty") == "l1"
        found._values = lambda number, good=good: (0.9 if good else 0.2,)  # type: ignore[method-assign]
        found.finish(len(found.proposals) - 1)
    counts = [0] * 8
    for proposal in found.proposals:
        assert proposal.partition is not None
        counts[proposal.partition] += 1
    parts = partitions(methods)
    best = [
        count for count, part in zip(counts, parts, strict=True) if part.categoricals.get("penalty") == "l1"
    ]
    rest = [
        count for count, part in zip(counts, parts, strict=True) if part.categoricals.get("penalty") != "l1"
    ]
    assert min(best) > 2 * max(rest)


def test_the_tuner_sees_the_numbers_of_its_partition() -> None:
    methods = binary("logreg")
    found = simulation(methods, selector="uniform", tuner="tpe", portfolio=False, r_minimum=3)
    while len(found.proposals) < 150:
        [proposal] = proposals(found.ask())
        score = -abs(found.space["logreg:C"].encode(proposal.params["logreg:C"]) - 0.8)
        found._values = lambda number, score=score: (score,)  # type: ignore[method-assign]
        found.finish(len(found.proposals) - 1)
    late = [found.space["logreg:C"].encode(config["logreg:C"]) for config in found.configs[90:]]
    early = [found.space["logreg:C"].encode(config["logreg:C"]) for config in found.configs[:30]]

    def distance(positions: list[float]) -> float:
        return sum(abs(u - 0.8) for u in positions) / len(positions)

    assert distance(late) < 0.5 * distance(early)


def test_scores_are_relative_and_failures_are_the_worst() -> None:
    scores = relative_scores([1.0, 2.0, 3.0, 5.0, float("nan"), 1e30])
    assert scores[0] == 1
    assert scores[4] == scores[3] == scores[5] == 0
    assert scores[0] > scores[1] > scores[2] > 0
    assert relative_scores([7.0, 7.0]).tolist() == [1.0, 1.0]
    assert relative_scores([float("nan")]).tolist() == [0.0]
    assert relative_scores([]).tolist() == []


# ends ------------------------------------------------------------------------------------------------


def test_a_partition_without_numbers_runs_once_and_a_finite_search_ends(tmp_path: Path) -> None:
    found = simulation(tiny(tmp_path), deterministic=True).run(3)
    found.ask(2)
    assert len(found.proposals) == 4, "one without numbers, three with"
    assert isinstance(found.ask(), Wait)
    found.finish(3)
    answer = found.ask()
    assert isinstance(answer, Exhausted)
    assert "all 2 partitions" in answer.reason
    assert found.optimizer.statuses(found.history) == ["gridding_done"] * 2  # type: ignore[attr-defined]


def test_without_a_deterministic_objective_only_numbers_are_repeated(tmp_path: Path) -> None:
    found = simulation(tiny(tmp_path), deterministic=False).run(20)
    assert [config["tiny:kind"] for config in found.configs].count("a") == 1


def test_a_partition_with_more_than_three_failures_is_given_up() -> None:
    found = simulation(binary("dt"), selector="uniform")
    failures = 0
    for number in range(30):
        [proposal] = proposals(found.ask())
        assert proposal.partition is not None
        bad = proposal.partition == 0
        assert failures <= MAX_FAILURES or not bad
        failures += bad
        found.finish(number, kind="error" if bad else "")
    assert failures == MAX_FAILURES + 1
    assert found.optimizer.statuses(found.history) == ["errored", "incomplete"]  # type: ignore[attr-defined]


def test_lost_and_killed_trials_are_no_failures() -> None:
    found = simulation(binary("dt"))
    for number in range(20):
        proposals(found.ask())
        found.finish(number, kind="lost" if number % 2 else "killed")
    assert found.optimizer.statuses(found.history) == ["incomplete"] * 2  # type: ignore[attr-defined]


def test_when_all_are_given_up_the_search_ends_with_the_reason() -> None:
    found = simulation(binary("dt"))
    for number in range(2 * (MAX_FAILURES + 1)):
        proposals(found.ask())
        found.finish(number, kind="memory")
    answer = found.ask()
    assert isinstance(answer, Exhausted)
    assert "given up" in answer.reason


@pytest.mark.parametrize(
    ("numbers", "gridding", "expected"),
    [
        ({"C": ("float_exp", 0.01, 100), "n": ("int", 1, 30)}, 3, 9),
        ({"n": ("int", 1, 30)}, 3, 3),
        ({"n": ("int", 1, 3)}, 5, 3),
        ({"C": ("float_exp", 0.01, 100)}, 4, 4),
    ],
)
@pytest.mark.parametrize("tuner", ["tpe", "random", "grid"])
def test_gridding_visits_each_point_once(
    tmp_path: Path, numbers: dict[str, Any], gridding: int, expected: int, tuner: str
) -> None:
    form = {
        "name": "m",
        "class": "sklearn.dummy.DummyClassifier",
        "hyperparameters": {name: {"type": t, "range": [a, b]} for name, (t, a, b) in numbers.items()},
        "root_hyperparameters": list(numbers),
    }
    found = simulation(
        method_in(tmp_path, form), deterministic=False, gridding=gridding, tuner=tuner, portfolio=False
    ).run(50)
    assert len({found.space.key(config) for config in found.configs}) == len(found.configs) == expected
    assert isinstance(found.ask(), Exhausted)


# repeatability ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", ["uniform", "bestk"])
def test_rebuilt_from_the_history_it_proposes_the_same(selector: str) -> None:
    methods = binary("lgbm", "dt", "logreg")
    found = simulation(methods, selector=selector, deterministic=True)
    kinds = {7: "error", 9: "lost", 12: "timeout"}
    for number in range(45):
        proposals(found.ask())
        rebuilt = PartitionSearch(found.space, SCORE, deterministic=True, methods=methods, selector=selector)
        ask = [Ticket(number + 1, generator(0, number + 1))], [Ticket(number + 1, generator(0, number + 1))]
        assert found.optimizer.ask(found.history, ask[0]) == rebuilt.ask(copied(found.history), ask[1])
        if number > 2:  # some are always running
            done = number - 3
            state = TrialState.PRUNED if done == 5 else TrialState.COMPLETE
            found.finish(done, state, kinds.get(done, ""))


def test_rebuilt_near_the_end_of_a_finite_search_it_proposes_the_same(tmp_path: Path) -> None:
    methods = tiny(tmp_path)
    found = simulation(methods, selector="uniform")
    for number in range(6):
        rebuilt = PartitionSearch(found.space, SCORE, deterministic=True, methods=methods, selector="uniform")
        tickets = [Ticket(number, generator(0, number))]
        assert repr(rebuilt.ask(copied(found.history), tickets)) == repr(found.ask())
        if len(found.proposals) > number:
            found.finish(number)


def test_an_optimizer_made_by_name_takes_names_of_methods() -> None:
    methods = binary("dt", "knn")
    options = {"methods": ["dt", "knn"], "task": "binary", "selector": "ucb1", "k_window": 4}
    made = make_optimizer(Component("partitions", options), joint_space(methods), SCORE, deterministic=True)
    history = History(joint_space(methods), SCORE)
    [proposal] = proposals(made.ask(history, [Ticket(0, generator(0))]))
    assert proposal.params["method"] == "dt"


def test_a_configuration_of_the_users_counts_for_its_partition() -> None:
    found = simulation(binary("dt"))
    parts = partitions(binary("dt"))
    given = parts[1].configuration(parts[1].tunables.default())
    found.proposals.append(Proposal(given))  # enqueued: it names no partition
    found.finish(0)
    found.run(12)
    assert found.configs.count(given) == 1


# refusals --------------------------------------------------------------------------------------------


def test_what_it_cannot_do_is_refused() -> None:
    methods = binary("dt")
    space = joint_space(methods)
    with pytest.raises(AbilityError, match="one objective"):
        PartitionSearch(space, (*SCORE, Objective("time")), methods=methods)
    with pytest.raises(AbilityError, match="joint space"):
        PartitionSearch(Space(x=Float(0, 1)), SCORE, methods=methods)
    with pytest.raises(UnknownNameError):
        PartitionSearch(space, SCORE, methods=methods, selector="bset")
    with pytest.raises(UnknownNameError):
        PartitionSearch(space, SCORE, methods=methods, tuner="absent.py:Tuner")
    with pytest.raises(InputError, match="k_window"):
        PartitionSearch(space, SCORE, methods=methods, k_window=0)
