"""Each arm with the same chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright.automl.selectors.base import Arm, Scores, Selector

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Uniform"]


class Uniform(Selector):
    """Chooses at random, whatever the scores.

    Examples
    --------
    >>> import numpy as np
    >>> Uniform(["a"]).select({"a": []}, np.random.default_rng(0))
    'a'
    """

    def bandit(self, rewards: Scores, rng: Generator) -> Arm:
        """Choose any arm."""
        arms = list(rewards)
        return arms[int(rng.integers(len(arms)))]
