"""Losses as a model takes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["standardised"]

Floats = NDArray[np.float64]


def standardised(losses: Floats) -> Floats:
    """Return losses of mean 0 and variance 1, those far above the median cut off."""
    middle = np.median(losses)
    spread = middle - np.quantile(losses, 0.1)
    y = np.minimum(losses, middle + 2 * spread) if spread > 0 else losses
    sd = y.std()
    return np.asarray((y - y.mean()) / (sd if sd > 0 else 1.0))
