"""Where trials measure what they have to: a model for each outcome constraint.

A constraint's violation is modelled as it was measured, so a trial that breaks it by little says more than
one that failed. The probability that all violations are at most 0 is a product, as they are independent given
their models.

M. A. Gelbart, J. Snoek and R. P. Adams, "Bayesian optimization with unknown constraints", UAI 2014; J. R.
Gardner et al., "Bayesian optimization with inequality constraints", ICML 2014.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelwright.optimizers.feasibility import Feasibility
from modelwright.optimizers.surrogate import Surrogate

__all__ = ["AllOf", "Outcomes", "is_met"]

Floats = NDArray[np.float64]

_MEASURED_NOISE = 1e-4  # a variance: a measurement's border is sharp
_FAR = 3.0  # how much worse than that a violation is says nothing about where the border lies
_FIRST_SCALED = 5


@dataclass(frozen=True)
class AllOf:
    """The log of the probability that several things hold, and its gradient; an acquisition by itself.

    Attributes
    ----------
    parts : sequence of Feasibility
        At least one.
    """

    parts: Sequence[Feasibility]

    def __call__(self, Z: Floats) -> Floats:
        """Return the values at the rows of features `Z`, shape (m, p)."""
        return np.asarray(np.sum([part.log_probability(Z) for part in self.parts], axis=0))

    log_probability = __call__

    def with_gradient(self, z: Floats) -> tuple[float, Floats]:
        """Return the value at one row of features, and its gradient, shape (p,)."""
        found = [part.with_gradient(z) for part in self.parts]
        return sum(value for value, _ in found), np.sum([gradient for _, gradient in found], axis=0)


class Outcomes:
    """The models of the outcome constraints of one study.

    Parameters
    ----------
    groups : array of int, shape (p,)
        The parameter that each feature belongs to.
    g : int
        The number of parameters.
    """

    def __init__(self, groups: NDArray[np.intp], g: int) -> None:
        self._groups, self._g = groups, g
        self._surrogates: list[Surrogate] = []

    def feasibility(self, Z: Floats, violations: Floats, running: Floats) -> list[Feasibility]:
        """Return for each constraint where it is met.

        Parameters
        ----------
        Z : array, shape (n, p)
            Features of the observations.
        violations : array, shape (n, c)
            How far each is beyond the bounds; NaN where that is not known.
        running : array, shape (q, p)
            Features of what runs.
        """
        while len(self._surrogates) < violations.shape[1]:
            self._surrogates.append(Surrogate(self._groups, self._g))
        found = []
        for surrogate, violation in zip(self._surrogates, violations.T, strict=True):
            known = np.isfinite(violation)
            if known.any():
                process = surrogate.process(Z[known], -_scaled(violation[known]))
                found.append(Feasibility([process.believing(running)], _MEASURED_NOISE))
        return found


def is_met(violations: Floats) -> NDArray[np.bool_]:
    """Return which rows meet all constraints, shape (n,)."""
    return np.asarray((violations <= 0).all(axis=1))


def _scaled(violation: Floats) -> Floats:
    """Return violations of about the size 1; the sign stays, and so does what 0 means.

    The scale is that of the first 5, 10, 20, ... rows, so that it moves as seldom as the fits begin anew.
    """
    anchor = _FIRST_SCALED
    while 2 * anchor <= len(violation):
        anchor *= 2
    size = float(np.median(np.abs(violation[:anchor])))
    return np.asarray(np.clip(violation / (size if size > 0 else 1.0), -_FAR, _FAR))
