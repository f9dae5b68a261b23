"""What the end of an Optuna trial means here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from modelwright.records import Failure, FailureKind, TrialState

__all__ = ["Result", "result_of"]

Result = tuple[TrialState, tuple[float, ...], Failure | None]


def result_of(
    state: str, values: Sequence[float] | None, reports: Mapping[int, float], n_objectives: int
) -> Result:
    """Return state, values and failure of a finished trial.

    Parameters
    ----------
    state : str
        Optuna's name of it: COMPLETE, PRUNED or FAIL.
    values : sequence of float, optional
        As Optuna has them.
    reports : mapping of int to float
        Intermediate values by step; of a pruned trial the last is its value.
    n_objectives : int
        Of the study.

    Examples
    --------
    >>> result_of("PRUNED", None, {0: 3.0, 4: 1.5}, 1)[:2]
    (<TrialState.PRUNED: 'pruned'>, (1.5,))
    """
    if state == "FAIL":
        return TrialState.FAILED, (), Failure(FailureKind.ERROR, "it failed in Optuna", "E_IMPORTED")
    if state == "PRUNED":
        last = reports[max(reports)] if reports and n_objectives == 1 else math.nan
        return TrialState.PRUNED, (last,) if math.isfinite(last) else (), None
    found = tuple(float(value) for value in values or ())
    if len(found) == n_objectives and all(map(math.isfinite, found)):
        return TrialState.COMPLETE, found, None
    shown = ", ".join(map(str, found)) or "missing"
    failure = Failure(FailureKind.NAN, f"the value is {shown}, not a finite number", "E_NONFINITE")
    return TrialState.FAILED, (), failure
