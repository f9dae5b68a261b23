"""Selectors: what is defined to the letter, on scores whose answer can be worked out by hand."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from modelwright.automl.selectors import SELECTORS, Selector, make_selector
from modelwright.automl.selectors.bestk import BestK
from modelwright.automl.selectors.hierarchical import HierarchicalByMethod
from modelwright.automl.selectors.ucb1 import UCB1
from modelwright.automl.selectors.uniform import Uniform
from modelwright.errors import InputError, UnknownNameError

RNG = np.random.default_rng


@pytest.mark.parametrize("name", ["uniform", "ucb1", "bestk", "hieralg"])
def test_each_selector_chooses_among_its_choices_only(name: str) -> None:
    selector = make_selector(name, [1, 2], k=2, by_method={"a": [1], "b": [2]})
    scores = {1: [0.1], 2: [], 3: [9.0, 9.0]}
    assert {selector.select(scores, RNG(seed)) for seed in range(40)} <= {1, 2}
    assert scores == {1: [0.1], 2: [], 3: [9.0, 9.0]}, "the scores are left as they were"


@pytest.mark.parametrize("name", SELECTORS.names())
def test_a_choice_follows_from_scores_and_generator(name: str) -> None:
    selector = make_selector(name, "abc", k=2, by_method={"x": ["a", "b"], "y": ["c"]})
    scores = {"a": [0.5, 0.5], "b": [0.5, 0.5], "c": [0.5, 0.5]}
    assert [selector.select(scores, RNG(s)) for s in range(9)] == [
        selector.select(scores, RNG(s)) for s in range(9)
    ]


def test_uniform_chooses_each_arm_equally_often() -> None:
    rng = RNG(0)
    counts = Counter(Uniform("abc").select({"a": [1.0], "b": [0.0], "c": []}, rng) for _ in range(3000))
    # 3 standard deviations of a count of 3000 at 1/3 are 77.
    assert all(abs(count - 1000) < 78 for count in counts.values())


def test_the_base_takes_the_highest_mean() -> None:
    assert Selector("ab").select({"a": [0.2, 0.9], "b": [0.6]}, RNG(0)) == "b"


def test_ucb1_adds_its_bonus_by_pulls() -> None:
    # N = 10: a 0.5 + sqrt(2 ln 10 / 8) = 1.26; b 0.3 + sqrt(2 ln 10 / 2) = 1.82
    assert UCB1("ab").select({"a": [0.5] * 8, "b": [0.3] * 2}, RNG(0)) == "b"
    # With b at 8 of 16 pulls both have the same bonus.
    assert UCB1("ab").select({"a": [0.5] * 8, "b": [0.3] * 8}, RNG(0)) == "a"


def test_ucb1_gives_an_arm_without_a_pull_a_finite_index() -> None:
    bonus = math.sqrt(2 * math.log(1))
    assert bonus == 0
    # N = 1: a has 0.4 + 0, b has 0 + 0.
    assert {UCB1("ab").select({"a": [0.4], "b": []}, RNG(s)) for s in range(20)} == {"a"}


def test_ties_go_to_any_of_the_equals() -> None:
    assert {UCB1("abc").select({"a": [], "b": [], "c": []}, RNG(s)) for s in range(40)} == {"a", "b", "c"}


def test_bestk_counts_the_best_scores_only() -> None:
    scores = {"wild": [0.9, 0.0, 0.0, 0.8], "steady": [0.6, 0.6, 0.6, 0.6]}
    assert BestK(scores, k=2).select(scores, RNG(0)) == "wild"
    assert UCB1(scores).select(scores, RNG(0)) == "steady"
    # The pulls still count: with twelve of them the bonus is gone.
    scores["wild"] += [0.0] * 8
    assert BestK(scores, k=4).select(scores, RNG(0)) == "steady"


def test_bestk_is_ucb1_while_an_arm_has_fewer_than_two_scores() -> None:
    scores = {"wild": [0.9, 0.0, 0.0], "steady": [0.6, 0.6, 0.6], "new": [0.0]}
    rewards = BestK(scores, k=1).compute_rewards(scores)
    assert rewards == {arm: list(values) for arm, values in scores.items()}
    scores["new"].append(0.1)
    rewards = BestK(scores, k=1).compute_rewards(scores)
    np.testing.assert_equal(rewards["wild"], [0.9, math.nan, math.nan])
    np.testing.assert_equal(rewards["new"], [math.nan, 0.1])


def test_a_window_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        BestK("a", k=0)


def test_the_hierarchy_gives_methods_equal_chances_whatever_their_arms() -> None:
    arms = [f"knn{i}" for i in range(24)] + ["dt"]
    selector = HierarchicalByMethod(arms, by_method={"knn": arms[:24], "dt": ["dt"]})
    chosen = Counter(selector.select({arm: [] for arm in arms}, RNG(s)) == "dt" for s in range(200))
    # 3 standard deviations of a count of 200 at 1/2 are 21.
    assert abs(chosen[True] - 100) < 22


def test_a_selector_of_ones_own_gets_what_it_takes(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "class Last:\n"
        "    def __init__(self, choices, *, by_method): self.arms = by_method['m']\n"
        "    def select(self, scores, rng): return self.arms[-1]\n",
        encoding="utf-8",
    )
    selector = make_selector(f"{file}:Last", [1, 2], k=9, by_method={"m": [1, 2]})
    assert selector.select({1: [1.0], 2: []}, RNG(0)) == 2


@pytest.mark.parametrize("name", ["best", "absent.py:Class", "bestk.py"])
def test_an_unknown_selector_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError):
        make_selector(name, [1], k=1, by_method={})
