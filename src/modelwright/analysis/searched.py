"""What a search has found, as arrays: the one door by which studies and histories come in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import InputError
from modelwright.numerics.pareto import best_first
from modelwright.records import Objective, Trial, TrialState

if TYPE_CHECKING:
    from modelwright.space import Space

__all__ = ["Found", "Searched", "complete_trials", "found_by"]


class Searched(Protocol):
    """A study, or a history: what was searched, for what, and the trials."""

    @property
    def space(self) -> Space:
        """Where configurations come from."""

    @property
    def objectives(self) -> Sequence[Objective]:
        """What was searched for."""

    @property
    def trials(self) -> Sequence[Any]:
        """Records of trials, or results that have one as `record`."""


@dataclass(frozen=True, eq=False)
class Found:
    """The trials that count: complete ones with a value for each objective, within the space as it is now.

    Attributes
    ----------
    space : Space
        The space, d parameters.
    trials : list of Trial
        By number, n of them.
    X : array, shape (n, d)
        Their configurations in the unit cube, NaN where a parameter is inactive.
    losses : array, shape (n, m)
        Their values with the sign that makes smaller better.
    """

    space: Space
    trials: list[Trial]
    X: NDArray[np.float64]
    losses: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.trials)

    def best(self, k: int) -> NDArray[np.intp]:
        """Return the rows of the `k` best trials; with several objectives front by front."""
        if self.losses.shape[1] == 1:
            return np.argsort(self.losses[:, 0], kind="stable")[:k]
        return best_first(self.losses, k)[:k]


def complete_trials(searched: Searched) -> list[Trial]:
    """Return the records of the complete trials with a value for each objective, by number."""
    records = [getattr(trial, "record", trial) for trial in searched.trials]
    complete = [
        trial
        for trial in records
        if trial.state is TrialState.COMPLETE
        and len(trial.values) == len(searched.objectives)
        and not np.isnan(trial.values).any()
    ]
    return sorted(complete, key=lambda trial: trial.number)


def found_by(searched: Searched) -> Found:
    """Return the trials of a study or history that count.

    Trials of an older version of the space, with a value that it no longer has, are left out. A parameter
    that was added after a trial is one that the trial does not have.
    """
    space = searched.space
    trials, configs = [], []
    for trial in complete_trials(searched):
        config = _within(space, trial)
        if config is not None:
            trials.append(trial)
            configs.append(config)
    signs = np.array([objective.sign for objective in searched.objectives])
    losses = np.array([trial.values for trial in trials], dtype=float).reshape(-1, len(signs)) * signs
    return Found(space, trials, space.encode(configs), losses)


def _within(space: Space, trial: Trial) -> dict[str, Any] | None:
    params = trial.params or {}
    if any(name not in space for name in params):
        return None
    try:
        config = space.load(params)
    except InputError:
        return None
    return config if all(space[name].contains(value) for name, value in config.items()) else None
