"""Constraints on what a trial measures, such as ``"latency <= 20"``."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from modelwright.errors import InputError

if TYPE_CHECKING:
    from modelwright.records.study import Objective
    from modelwright.records.trial import Trial

__all__ = ["OutcomeConstraint", "how_far_off", "measured_of", "meets_all", "violations_of"]

_FORM = re.compile(
    r"\s*(?:`(?P<quoted>[^`]+)`|(?P<plain>[^\s`<>=]+))\s*(?P<relation><=|>=)\s*(?P<bound>\S+)\s*"
)


@dataclass(frozen=True, slots=True)
class OutcomeConstraint:
    """A bound on one metric of a trial.

    Attributes
    ----------
    metric : str
        Its name.
    relation : {"<=", ">="}
        On which side of the bound it has to be.
    bound : float
        Finite.

    Examples
    --------
    >>> constraint = OutcomeConstraint.parse("latency <= 20")
    >>> constraint.violation(18.5), constraint.violation(21.0)
    (-1.5, 1.0)
    """

    metric: str
    relation: Literal["<=", ">="]
    bound: float

    def __post_init__(self) -> None:
        if self.relation not in ("<=", ">=") or not math.isfinite(self.bound) or not self.metric:
            raise InputError(
                f"expected a metric, '<=' or '>=', and a finite number, got {self.metric!r}, "
                f"{self.relation!r}, {self.bound!r}."
            )

    @classmethod
    def parse(cls, text: str) -> OutcomeConstraint:
        """Read ``"metric <= number"``; a name with spaces stands between backticks.

        Raises
        ------
        InputError
            The text is of another form.
        """
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        bound = math.nan
        if found is not None:
            try:
                bound = float(found["bound"])
            except ValueError:
                found = None
        if found is None or not math.isfinite(bound):
            raise InputError(
                f"expected an outcome constraint such as 'latency <= 20', got {text!r}.",
                hint="Write one metric, <= or >=, and a finite number; a name with spaces in backticks.",
            )
        return cls(found["quoted"] or found["plain"], cast(Literal["<=", ">="], found["relation"]), bound)

    def __str__(self) -> str:
        odd = re.search(r"[\s`<>=]", self.metric)
        return f"{f'`{self.metric}`' if odd else self.metric} {self.relation} {self.bound:g}"

    def violation(self, value: float) -> float:
        """Return how far a value is beyond the bound; at most 0 where it meets the constraint."""
        return value - self.bound if self.relation == "<=" else self.bound - value


def measured_of(
    metric: str,
    objectives: Sequence[Objective],
    values: Sequence[float],
    metrics: Mapping[str, Any],
    user_attrs: Mapping[str, Any],
) -> Any:
    """Return what a trial has measured: an objective's value, a metric, or a user attribute; else None."""
    by_name = {objective.name: value for objective, value in zip(objectives, values, strict=False)}
    return next((found[metric] for found in (by_name, metrics, user_attrs) if metric in found), None)


def violations_of(
    trial: Trial, objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]
) -> tuple[float, ...]:
    """Return how far a trial is beyond each bound; NaN where it has not measured it."""
    found = []
    for constraint in constraints:
        value = measured_of(constraint.metric, objectives, trial.values, trial.metrics, trial.user_attrs)
        known = isinstance(value, numbers.Real) and not isinstance(value, bool)
        found.append(constraint.violation(float(value)) if known else math.nan)
    return tuple(found)


def how_far_off(violations: Sequence[float], constraints: Sequence[OutcomeConstraint]) -> float:
    """Return one number for all violations: 0 where all constraints are met, infinity where one is unknown.

    Each counts in units of its bound.
    """
    parts = [max(v, 0.0) / (abs(c.bound) or 1.0) for v, c in zip(violations, constraints, strict=True)]
    return math.inf if any(map(math.isnan, violations)) else sum(parts)


def meets_all(
    trial: Trial, objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]
) -> bool:
    """Whether a trial has measured all that is bounded, and meets it."""
    return not constraints or how_far_off(violations_of(trial, objectives, constraints), constraints) == 0.0
