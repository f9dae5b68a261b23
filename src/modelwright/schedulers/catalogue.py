"""Schedulers by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from modelwright._base.options import check_options
from modelwright._base.registry import Registry
from modelwright.records import Component, Objective
from modelwright.schedulers.base import Scheduler

__all__ = ["SCHEDULERS", "make_scheduler"]

SCHEDULERS = Registry(
    "scheduler",
    {
        "none": "modelwright.schedulers.none:RunToTheEnd",
        "median": "modelwright.schedulers.median:MedianRule",
    },
    "modelwright.schedulers",
)


def make_scheduler(
    component: Component | str | None, objectives: Sequence[Objective], **options: Any
) -> Scheduler:
    """Build a scheduler from its name.

    Parameters
    ----------
    component : Component, str or None
        A name of `SCHEDULERS`, ``"path/to/file.py:Class"``, or either with options; None is ``"none"``.
    objectives : sequence of Objective
        What is optimized.
    **options
        More options; they come before those of the component.

    Raises
    ------
    UnknownNameError
        Nothing of that name.
    InputError
        An option that the scheduler does not take.
    AbilityError
        It cannot handle these objectives.

    Examples
    --------
    >>> from modelwright.records import Objective
    >>> make_scheduler("median", [Objective()], min_trials=3)
    MedianRule(min_trials=3, warmup_steps=0, interval=1)
    """
    if component is None or isinstance(component, str):
        component = Component(component or "none")
    factory = SCHEDULERS.get(component.name)
    given = {**component.options, **options}
    check_options(f"the scheduler {component.name!r}", factory, given)
    return cast(Scheduler, factory(tuple(objectives), **given))
