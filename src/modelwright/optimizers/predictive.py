"""Which transform of the losses suits a model: the one by which each loss is best predicted from the others.

The score is the log density of each loss as the model predicts it without that loss, in the units of the
losses, so that transforms compare. Of a bad loss it counts only how surely the model had told that it would
be bad: how bad it is does not matter to a search, and transforms that cut it off do not know. Such a score
cannot be gained by anything but better predictions: C. Diks, V. Panchenko and D. van Dijk, "Likelihood-based
scoring rules for comparing density forecasts in tails", Journal of Econometrics, 2011.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelwright.optimizers.transforms import cut_off

__all__ = ["BY_EVIDENCE", "log_score", "preferred"]

Floats = NDArray[np.float64]

BY_EVIDENCE = ("winsor", "standard", "log", "yeo-johnson")
"""The transforms that are compared, the preferred one first.

`ranks` has no slope, and `gcp` is left out because it knows best where losses lie densely: it scores by a
cluster round the best, not by what it predicts.
"""

_MARGIN = 3.0  # of log densities: chances to be better by accident grow with the number of transforms


def log_score(losses: Floats, y: Floats, log_slope: Floats, mean: Floats, variance: Floats) -> float:
    """Return the score of predictions of each loss from the others.

    Parameters
    ----------
    losses : array, shape (n,)
        What came.
    y, log_slope : array, shape (n,)
        The transformed losses and the log of the transform's slope.
    mean, variance : array, shape (n,)
        What is predicted for each of `y`, noise included, without it.

    Returns
    -------
    score : float
        The higher the better.

    Examples
    --------
    >>> losses = np.array([1.0, 2.0, 3.0])
    >>> sure, unsure = np.full(3, 0.01), np.full(3, 1.0)
    >>> bool(log_score(losses, losses, np.zeros(3), losses, sure) >
    ...      log_score(losses, losses, np.zeros(3), losses, unsure))
    True
    """
    from scipy.special import log_ndtr

    known = losses <= cut_off(losses)
    sd = np.sqrt(variance)
    u = (y - mean) / sd
    density = -0.5 * u * u - np.log(sd) + log_slope - 0.5 * np.log(2 * np.pi)
    bad = log_ndtr((mean - y[known].max()) / sd)
    return float(np.where(known, density, bad).sum())


def preferred(scores: Mapping[str, float]) -> str:
    """Return the name of the best score, or the first one where the best is hardly better.

    Examples
    --------
    >>> preferred({"winsor": 0.0, "log": 2.0}), preferred({"winsor": 0.0, "log": 9.0})
    ('winsor', 'log')
    """
    first = next(iter(scores))
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > scores[first] + _MARGIN else first
