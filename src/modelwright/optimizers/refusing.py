"""Refusals that several optimizers share."""

from __future__ import annotations

from collections.abc import Sequence

from modelwright.errors import AbilityError, InputError
from modelwright.records import Objective

__all__ = ["need_at_least", "need_one_objective"]


def need_one_objective(name: str, objectives: Sequence[Objective]) -> None:
    """Do nothing for one objective.

    Raises
    ------
    AbilityError
        There are several; the message names optimizers that take them.
    """
    if len(objectives) > 1:
        raise AbilityError(
            f"{name} optimizes one objective, this study has {len(objectives)}.",
            hint="Take gp, nsga2 or tpe, which take several, or one objective that combines them.",
        )


def need_at_least(optimizer: str, option: str, value: float | None, least: float) -> None:
    """Do nothing for None or a number that is large enough.

    Raises
    ------
    InputError
        It is smaller, or no number.
    """
    if value is not None and not (isinstance(value, int | float) and value >= least):
        raise InputError(f"expected {option} of {optimizer} to be at least {least!r}, got {value!r}.")
