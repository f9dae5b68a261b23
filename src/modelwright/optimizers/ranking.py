"""The order of a history's rows from best to worst, kept up as it grows."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from math import inf, isnan

import numpy as np
from numpy.typing import NDArray

from modelwright.numerics.pareto import best_first
from modelwright.records import History, Objective, Trial, TrialState
from modelwright.records.outcomes import how_far_off

__all__ = ["Ranking", "Split"]

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of a history by worth: `good` from the best on, `bad` in no special order."""

    good: Rows
    bad: Rows


@dataclass
class _Known:
    """What has been read of one history."""

    history: History
    rows: int = 0
    complete: list[tuple[float, float, int]] = field(default_factory=list)  # (how far off, loss, row)
    pruned: list[tuple[float, float, int]] = field(default_factory=list)  # (-last step, loss, row), ascending
    failed: list[int] = field(default_factory=list)
    taught: list[int] = field(default_factory=list)  # all of these, ascending


class Ranking:
    """Splits the rows that teach into good and bad ones.

    Complete trials come first, by loss; with several objectives front by front, the least crowded first.
    Those that break outcome constraints follow those that meet all, by how far they are off.
    Pruned ones follow: who came farther is better, then whose last report is lower. Failures that teach are
    always bad, and so is a value that is NaN. Lost and killed trials are left out.

    Parameters
    ----------
    objectives : sequence of Objective
        At least one.
    max_bad : int
        Of the bad rows, so many are kept: half of them the best, the rest the newest of the others.
    """

    def __init__(self, objectives: Sequence[Objective], *, max_bad: int) -> None:
        self._single = len(objectives) == 1
        self._max_bad = max_bad
        self._known: _Known | None = None

    def count(self, history: History) -> int:
        """Return how many rows teach."""
        return len(self._catch_up(history).taught)

    def split(self, history: History, n_good: int) -> Split:
        """Return the `n_good` best rows, fewer where there are not as many, and the bad ones."""
        known = self._catch_up(history)
        n_good = min(n_good, len(known.complete) + len(known.pruned))
        n_best = n_good + self._max_bad // 2
        complete = (row for *_, row in known.complete) if self._single else self._by_fronts(known, n_best)
        best = list(islice(chain(complete, (row for _, _, row in known.pruned), known.failed), n_best))
        taken = set(best)
        others = (row for row in reversed(known.taught) if row not in taken)
        newest = list(islice(others, self._max_bad - (len(best) - n_good)))
        return Split(_as_rows(best[:n_good]), _as_rows(best[n_good:] + newest[::-1]))

    def _by_fronts(self, known: _Known, at_least: int) -> list[int]:
        rows = np.array(sorted(row for off, _, row in known.complete if off == 0), dtype=np.intp)
        ranked = rows[best_first(known.history.losses[rows], at_least)].tolist()
        return [*ranked, *(row for off, _, row in known.complete if off > 0)]

    def _catch_up(self, history: History) -> _Known:
        known = self._known
        if known is None or known.history is not history or len(history) < known.rows:
            known = self._known = _Known(history)
        losses = history.losses
        for row in range(known.rows, len(history)):
            self._add(known, row, history.trials[row], losses[row])
        known.rows = len(history)
        return known

    def _add(self, known: _Known, row: int, trial: Trial, losses: NDArray[np.float64]) -> None:
        if trial.failure is not None and not trial.failure.kind.teaches:
            return
        known.taught.append(row)
        if trial.state is TrialState.COMPLETE and not np.isnan(losses).any():
            bounds = known.history.outcome_constraints
            off = how_far_off(known.history.violations[row].tolist(), bounds) if bounds else 0.0
            insort(known.complete, (off, float(losses[0]), row))
        elif trial.state is TrialState.PRUNED:
            reports = known.history.reports(trial.number)
            step, loss = reports[-1] if reports else (-inf, float(losses[0]))
            insort(known.pruned, (-step, inf if isnan(loss) else loss, row))
        else:
            known.failed.append(row)


def _as_rows(rows: list[int]) -> Rows:
    return np.array(rows, dtype=np.intp)
