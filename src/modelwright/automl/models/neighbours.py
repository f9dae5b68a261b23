"""Nearest neighbours of scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from modelwright.automl.models.estimator import EstimatorModel

__all__ = ["NeighboursModel"]


class NeighboursModel(EstimatorModel):
    """Votes or means of the nearest rows; weights of rows are not taken into account."""

    kind: ClassVar[str] = "neighbours"

    def adapted(self, arguments: dict[str, Any], n_rows: int) -> dict[str, Any]:
        """Ask for no more neighbours than there are rows."""
        wanted = int(arguments.get("n_neighbors", 5))
        return {**arguments, "n_neighbors": max(1, min(wanted, n_rows))}

    def smoothing(self, arguments: Mapping[str, Any]) -> float:
        """As if one more neighbour had an unknown class."""
        return 1 / (1 + int(arguments["n_neighbors"]))
