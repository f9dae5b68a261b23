"""Normalised regret, its means with intervals, and paired differences.

The regret of a run after n evaluations is its best loss less the best known, divided by what the median of
many random searches has after n: 0 is the best known, 1 is random search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Mean", "PerTask", "Scale", "mean_over_tasks", "paired_difference"]

PerTask = Mapping[str, Mapping[int, float]]
"""Task -> seed -> regret."""

_RESAMPLES = 1000


@dataclass(frozen=True)
class Scale:
    """What a task's losses are measured by.

    Attributes
    ----------
    best : float
        The lowest loss known.
    random : mapping of int to float
        From n to the median, over random searches, of the best loss after n evaluations.
    """

    best: float
    random: Mapping[int, float]

    def regret(self, losses: Sequence[float], n: int) -> float | None:
        """Return the normalised regret of a run after `n` evaluations; None where it cannot be told."""
        if len(losses) < n or n not in self.random:
            return None
        unit = self.random[n] - self.best
        if unit <= 1e-9 * max(1.0, abs(self.best)):
            return None  # random search finds the best there is
        return (min(losses[:n]) - self.best) / unit


@dataclass(frozen=True)
class Mean:
    """A mean over tasks of means over seeds, and its 95 % interval."""

    mean: float
    low: float
    high: float
    tasks: int


def mean_over_tasks(regrets: PerTask) -> Mean | None:
    """Return the mean over tasks, with its interval by resampling seeds within tasks; None without any."""
    lists = [np.array(list(of_task.values())) for of_task in regrets.values() if of_task]
    if not lists:
        return None
    rng = np.random.default_rng(0)
    drawn = np.mean([rng.choice(seeds, (_RESAMPLES, len(seeds))).mean(axis=1) for seeds in lists], axis=0)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Mean(float(np.mean([seeds.mean() for seeds in lists])), float(low), float(high), len(lists))


def paired_difference(ours: PerTask, reference: PerTask) -> tuple[float, float, int]:
    """Return the mean over tasks of (ours - reference), its standard error, and the number of tasks.

    Seeds that both have are paired; where they share none, the means of a task are.
    """
    differences = []
    for task in sorted(set(ours) & set(reference)):
        one, other = ours[task], reference[task]
        shared = sorted(set(one) & set(other))
        if shared:
            differences.append(float(np.mean([one[seed] - other[seed] for seed in shared])))
        elif one and other:
            differences.append(float(np.mean(list(one.values())) - np.mean(list(other.values()))))
    if len(differences) < 2:
        return (differences[0] if differences else float("nan")), float("nan"), len(differences)
    return (
        float(np.mean(differences)),
        float(np.std(differences, ddof=1) / len(differences) ** 0.5),
        len(differences),
    )
