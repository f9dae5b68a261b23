"""The best trials: by one objective, or those that no other trial beats in all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelwright.numerics.pareto import nondominated
from modelwright.records import Objective, OutcomeConstraint, Trial, TrialState
from modelwright.records.outcomes import meets_all

__all__ = ["best_trial", "pareto_trials"]


def best_trial(trials: Sequence[Trial], objective: Objective) -> Trial | None:
    """Return the complete trial with the best value, the first of equals; None without any."""
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    return min(complete, key=lambda t: (t.values[0] * objective.sign, t.number), default=None)


def pareto_trials(
    trials: Sequence[Trial],
    objectives: Sequence[Objective],
    outcome_constraints: Sequence[OutcomeConstraint] = (),
) -> list[Trial]:
    """Return the complete trials on the Pareto front, by number; each has a value for every objective.

    Those that break an outcome constraint do not count.
    """
    complete = [
        trial
        for trial in trials
        if trial.state is TrialState.COMPLETE
        and len(trial.values) == len(objectives)
        and meets_all(trial, objectives, outcome_constraints)
    ]
    if not complete:
        return []
    signs = np.array([objective.sign for objective in objectives])
    front = nondominated(np.array([trial.values for trial in complete]) * signs)
    return [trial for trial, on_front in zip(complete, front, strict=True) if on_front]
