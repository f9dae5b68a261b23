"""UCB1 in two steps: first the method, then one of its arms."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from modelwright.automl.selectors.base import Arm, Scores
from modelwright.automl.selectors.ucb1 import UCB1

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["HierarchicalByMethod"]


class HierarchicalByMethod(UCB1):
    """Chooses a method by the pooled scores of its arms, then an arm of it, both by UCB1.

    So a method with many arms gets no more trials than one with few.

    Parameters
    ----------
    choices : iterable
        The arms.
    by_method : mapping of str to sequence of arm
        Which arms belong to which method.

    Examples
    --------
    >>> import numpy as np
    >>> selector = HierarchicalByMethod("abc", by_method={"tree": ["a"], "knn": ["b", "c"]})
    >>> selector.select({"a": [0.9], "b": [0.1], "c": [0.2]}, np.random.default_rng(0))
    'a'
    """

    def __init__(self, choices: Iterable[Arm], *, by_method: Mapping[Hashable, Sequence[Arm]]) -> None:
        super().__init__(choices)
        self.by_method = by_method

    def bandit(self, rewards: Scores, rng: Generator) -> Arm:
        """Choose a method, then one of its arms."""
        own = {
            method: {arm: rewards[arm] for arm in arms if arm in rewards}
            for method, arms in self.by_method.items()
        }
        own = {method: arms for method, arms in own.items() if arms}
        pooled = {method: [value for arm in arms.values() for value in arm] for method, arms in own.items()}
        method = super().bandit(pooled, rng)
        return super().bandit(own[method], rng)
