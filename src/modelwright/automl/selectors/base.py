"""The contract of selectors: bandits that choose an arm by the scores that it has earned."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Arm", "Scores", "Selector"]

Arm = Hashable
Scores = Mapping[Arm, Sequence[float]]


class Selector:
    """Chooses the arm with the highest mean reward; the base of all others.

    Built as ``Class(choices)`` with those of the keywords ``k`` and ``by_method`` that it takes. It keeps no
    state: a choice depends on the scores and the generator alone.

    Parameters
    ----------
    choices : iterable
        The arms.

    Examples
    --------
    >>> import numpy as np
    >>> Selector(["a", "b"]).select({"a": [0.1, 0.3], "b": [0.9], "other": [5.0]}, np.random.default_rng(0))
    'b'
    """

    def __init__(self, choices: Iterable[Arm]) -> None:
        self.choices = list(choices)

    def select(self, scores: Scores, rng: Generator) -> Arm:
        """Return one of `choices`.

        Parameters
        ----------
        scores : mapping of arm to sequence of float
            What each arm has earned, oldest first; higher is better. Arms outside `choices` do not count.
        rng : numpy.random.Generator
            Breaks ties.
        """
        known = {arm: scores[arm] for arm in self.choices if arm in scores}
        return self.bandit(self.compute_rewards(known), rng)

    def compute_rewards(self, scores: Scores) -> dict[Arm, list[float]]:
        """Turn scores into rewards; NaN keeps a pull in the count without a reward."""
        return {arm: list(values) for arm, values in scores.items()}

    def bandit(self, rewards: Scores, rng: Generator) -> Arm:
        """Choose an arm by its rewards."""
        return argmax({arm: mean(values) for arm, values in rewards.items()}, rng)


def mean(rewards: Sequence[float]) -> float:
    """Return the mean of the rewards that are there, 0 without any."""
    there = np.asarray(rewards, dtype=float)
    there = there[~np.isnan(there)]
    return float(there.mean()) if len(there) else 0.0


def argmax(index: Mapping[Arm, float], rng: Generator) -> Arm:
    """Return the arm of the highest index, one at random among equals."""
    arms = list(index)
    order: list[Arm] = [arms[at] for at in rng.permutation(len(arms))]
    return max(order, key=index.__getitem__)
