"""Searches in which much fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from modelwright._base.seeds import generator
from modelwright.optimizers import make_optimizer
from modelwright.records import Failure, FailureKind, History, Objective, Ticket, Trial, TrialState
from modelwright.space import Categorical, Float, Space

SPACE, ONE = Space(x=Float(0, 1), y=Float(0, 1), kind=Categorical("a", "b", "c")), [Objective()]
MODELS = ["gp", "forest"]
OPTIONS: dict[str, dict[str, Any]] = {"gp": {}, "forest": {"n_trees": 20}, "tpe": {}}

Kinds = Callable[[int, dict[str, Any]], str]  # from a number and a configuration to a kind of failure, or ""


def search(name: str, fails: Kinds, trials: int, seed: int = 0) -> History:
    """Return a search for (0.7, 0.3, "b"), of which the trials fail that `fails` names."""
    optimizer = make_optimizer(name, SPACE, ONE, seed=seed, **OPTIONS[name])
    history = History(SPACE, ONE)
    for number in range(trials):
        [proposal] = optimizer.ask(history, [Ticket(number, generator(seed, number))])
        config = dict(proposal.params)
        kind = fails(number, config)
        if kind:
            trial = Trial(number, TrialState.FAILED, config, (), Failure(FailureKind(kind), "made up"))
        else:
            loss = (config["x"] - 0.7) ** 2 + (config["y"] - 0.3) ** 2 + (config["kind"] != "b")
            trial = Trial(number, TrialState.COMPLETE, config, (loss,))
        history.add([trial])
    return history


def share_failed(history: History, since: int) -> float:
    return float(np.mean([trial.failure is not None for trial in history.trials[since:]]))


@pytest.mark.parametrize("name", [*MODELS, "tpe"])
def test_where_all_fails_the_search_goes_on_over_the_whole_space(name: str) -> None:
    history = search(name, lambda number, config: "error", 25)
    spread = history.X[:, :2]
    assert (spread.min(axis=0) < 0.2).all()
    assert (spread.max(axis=0) > 0.8).all()
    assert {config["kind"] for config in history.configs} == {"a", "b", "c"}


@pytest.mark.parametrize("name", MODELS)
def test_after_failures_at_first_it_finds_what_works(name: str) -> None:
    history = search(name, lambda number, config: "error" if number < 5 else "", 40)
    assert np.nanmin(history.losses) < 0.005


@pytest.mark.parametrize("name", MODELS)
def test_failures_round_the_best_that_were_no_fault_of_it_do_not_keep_the_search_away(name: str) -> None:
    def fails(number: int, config: dict[str, Any]) -> str:
        near = (config["x"] - 0.7) ** 2 + (config["y"] - 0.3) ** 2 < 0.09
        return "error" if number < 12 and near else ""

    assert np.nanmin(search(name, fails, 50).losses) < 0.01


@pytest.mark.parametrize("name", MODELS)
def test_two_ways_to_fail_are_avoided(name: str) -> None:
    def fails(number: int, config: dict[str, Any]) -> str:
        return "memory" if config["x"] > 0.75 else "nan" if config["kind"] == "c" else ""

    history = search(name, fails, 40)
    assert share_failed(history, since=15) < 0.25
    assert np.nanmin(history.losses) < 0.01
