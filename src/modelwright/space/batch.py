"""Many configurations at once: one column per parameter, and where each is active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelwright.errors import ConfigurationError
from modelwright.space.conditions import Structure
from modelwright.space.parameters import Parameter

if TYPE_CHECKING:
    from modelwright.space.constraints import CallableConstraint, TextConstraint

__all__ = ["Batch", "decode_batch", "encode_batch"]


@dataclass(frozen=True, slots=True)
class Batch:
    """n configurations as columns.

    Attributes
    ----------
    parameters : mapping of str to Parameter
        Of the space, d of them.
    columns : sequence of ndarray
        Natural columns, d of shape (n,); what stands where a parameter is inactive has no meaning.
    active : ndarray of bool, optional
        Shape (n, d); None where all are active.
    n : int
        Number of rows.
    """

    parameters: Mapping[str, Parameter]
    columns: Sequence[NDArray[Any]]
    active: NDArray[np.bool_] | None
    n: int

    def take(self, rows: NDArray[Any]) -> Batch:
        """Return the rows that `rows`, numbers or truth values, select."""
        active = None if self.active is None else self.active[rows]
        n = int(rows.sum()) if rows.dtype == bool else len(rows)
        return Batch(self.parameters, [column[rows] for column in self.columns], active, n)

    def configs(self) -> list[dict[str, Any]]:
        """Return the rows as configurations, inactive parameters absent."""
        names = list(self.parameters)
        if not names:
            return [{} for _ in range(self.n)]
        lists = [
            parameter.values(column)
            for parameter, column in zip(self.parameters.values(), self.columns, strict=True)
        ]
        rows = zip(*lists, strict=True)
        if self.active is None:
            return [dict(zip(names, row, strict=True)) for row in rows]
        return [
            {name: value for name, value, on in zip(names, row, mask, strict=True) if on}
            for row, mask in zip(rows, self.active.tolist(), strict=True)
        ]

    def unit(self) -> NDArray[np.float64]:
        """Return the rows in the unit cube, shape (n, d), NaN where inactive."""
        X = np.empty((self.n, len(self.parameters)))
        for j, (parameter, column) in enumerate(zip(self.parameters.values(), self.columns, strict=True)):
            X[:, j] = parameter.encode_column(column)
        if self.active is not None:
            X[~self.active] = np.nan
        return X

    def holds_all(self, constraints: Sequence[TextConstraint | CallableConstraint]) -> NDArray[np.bool_]:
        """Return for each row whether all `constraints` are met, shape (n,)."""
        met = np.ones(self.n, dtype=bool)
        for constraint in constraints:
            rows = np.flatnonzero(met)
            if len(rows):  # a function is called only for rows that met what stands before it
                met[rows] = (self if len(rows) == self.n else self.take(rows)).holds(constraint)
        return met

    def holds(self, constraint: TextConstraint | CallableConstraint) -> NDArray[np.bool_]:
        """Return for each row whether `constraint` is met or does not apply, shape (n,)."""
        if constraint.function is not None:
            return np.fromiter(map(constraint.holds_for, self.configs()), bool, self.n)
        positions = {name: i for i, name in enumerate(self.parameters)}
        named = [positions[name] for name in constraint.names]
        operands = {
            name: self.parameters[name].operand(self.columns[i])
            for name, i in zip(constraint.names, named, strict=True)
        }
        held = constraint.holds(operands, self.n)
        return held if self.active is None else held | ~self.active[:, named].all(axis=1)


def decode_batch(parameters: Mapping[str, Parameter], structure: Structure, X: Any) -> Batch:
    """Return the configurations at the rows of `X`, shape (n, d).

    Which parameters are active follows from the conditions alone, whatever `X` holds for inactive ones.

    Raises
    ------
    ConfigurationError
        `X` has another shape, or NaN where a parameter is active.
    """
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or X.shape[1] != len(parameters):
        raise ConfigurationError(
            f"expected a matrix with {len(parameters)} columns, one per parameter, got the shape {X.shape}."
        )
    missing = np.isnan(X)
    U = np.clip(np.where(missing, 0.5, X), 0.0, 1.0)
    columns = [parameter.decode_column(U[:, j]) for j, parameter in enumerate(parameters.values())]
    active = structure.active(list(parameters.values()), columns, len(X)) if structure.conditional else None
    lacking = missing if active is None else missing & active
    if lacking.any():
        name = list(parameters)[int(np.argwhere(lacking)[0][1])]
        raise ConfigurationError(f"expected a number in [0, 1] for the active parameter {name!r}, got NaN.")
    return Batch(parameters, columns, active, len(X))


def encode_batch(
    parameters: Mapping[str, Parameter], configs: Sequence[Mapping[str, Any]]
) -> NDArray[np.float64]:
    """Return configurations in the unit cube, shape (n, d), NaN where a parameter is absent.

    Bit for bit what encoding each value by itself gives.

    Raises
    ------
    ValueError, TypeError
        A value does not belong to its parameter.
    """
    X = np.full((len(parameters), len(configs)), np.nan)  # by column, which are written one after the other
    for row, (name, parameter) in zip(X, parameters.items(), strict=True):
        there: Any = slice(None)
        try:
            values = [config[name] for config in configs]
        except KeyError:
            there = [i for i, config in enumerate(configs) if name in config]
            values = [configs[i][name] for i in there]
        if values:
            row[there] = parameter.encode_column(parameter.column(values))
    return np.ascontiguousarray(X.T)
