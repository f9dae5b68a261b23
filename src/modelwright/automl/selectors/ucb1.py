"""The upper confidence bound UCB1.

P. Auer, N. Cesa-Bianchi and P. Fischer, "Finite-time analysis of the multiarmed bandit problem", Machine
Learning 47, 2002; with ATM's treatment of arms without a pull.
"""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING

from modelwright.automl.selectors.base import Arm, Scores, Selector, argmax, mean

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["UCB1"]


class UCB1(Selector):
    """Chooses the arm with the highest ``mean + sqrt(2 ln N / n)``, of n pulls among N in all.

    Notes
    -----
    An arm without a pull counts as pulled once with the mean 0, so it does not come before every other one.

    Examples
    --------
    >>> import numpy as np
    >>> scores = {"often": [0.5] * 50, "seldom": [0.45]}
    >>> UCB1(scores).select(scores, np.random.default_rng(0))
    'seldom'
    """

    def bandit(self, rewards: Scores, rng: Generator) -> Arm:
        """Choose by the upper confidence bound."""
        total = max(1, sum(len(values) for values in rewards.values()))
        return argmax(
            {
                arm: mean(values) + sqrt(2 * log(total) / max(1, len(values)))
                for arm, values in rewards.items()
            },
            rng,
        )
