"""UCB1 over the best scores only: what counts is how good an arm can be, not how good it is on average."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from modelwright.automl.selectors.base import Arm, Scores
from modelwright.automl.selectors.ucb1 import UCB1
from modelwright.errors import InputError

__all__ = ["BestK"]

_FEWEST_SCORES = 2


class BestK(UCB1):
    """Rewards an arm by its k best scores.

    Parameters
    ----------
    choices : iterable
        The arms.
    k : int, default=2
        How many scores count; the others keep their place among the pulls.

    Notes
    -----
    While some arm has fewer than two scores, all scores count, as with `UCB1`.

    Examples
    --------
    >>> import numpy as np
    >>> scores = {"steady": [0.6, 0.6, 0.6], "wild": [0.0, 0.0, 0.9]}
    >>> BestK(scores, k=1).select(scores, np.random.default_rng(0))
    'wild'
    """

    def __init__(self, choices: Iterable[Arm], *, k: int = 2) -> None:
        super().__init__(choices)
        if k < 1:
            raise InputError(f"expected the selector's k to be at least 1, got {k!r}.")
        self.k = k

    def compute_rewards(self, scores: Scores) -> dict[Arm, list[float]]:
        """Keep the k best of each arm; the others become NaN."""
        if any(len(values) < _FEWEST_SCORES for values in scores.values()):
            return super().compute_rewards(scores)
        return {arm: _only_best(np.asarray(values, dtype=float), self.k) for arm, values in scores.items()}


def _only_best(values: np.ndarray[tuple[int], np.dtype[np.float64]], k: int) -> list[float]:
    best = np.argsort(-values, kind="stable")[:k]
    kept = np.full(len(values), np.nan)
    kept[best] = values[best]
    return kept.tolist()
