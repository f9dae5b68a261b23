"""Places where tasks run: in this thread, in threads, in processes of their own.

The contract is in `modelwright.execution.base`; `make_executor` turns a name into a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelwright._base.lazy import lazy_names
from modelwright._base.registry import Registry
from modelwright.execution._common import CANCEL, TaskCancelled
from modelwright.execution.base import (
    Answer,
    Channel,
    End,
    Ended,
    EndKind,
    ErrorInfo,
    Event,
    Executor,
    Function,
    Job,
    Limits,
    Resources,
    Started,
    Task,
    environment_for,
)

if TYPE_CHECKING:
    from modelwright.execution.dask import DaskExecutor
    from modelwright.execution.inline import InlineExecutor
    from modelwright.execution.local import LocalExecutor
    from modelwright.execution.thread import ThreadExecutor

__all__ = [
    "CANCEL",
    "EXECUTORS",
    "Answer",
    "Channel",
    "DaskExecutor",
    "End",
    "EndKind",
    "Ended",
    "ErrorInfo",
    "Event",
    "Executor",
    "Function",
    "InlineExecutor",
    "Job",
    "Limits",
    "LocalExecutor",
    "Resources",
    "Started",
    "Task",
    "TaskCancelled",
    "ThreadExecutor",
    "environment_for",
    "make_executor",
]

EXECUTORS = Registry(
    "executor",
    {
        "inline": "modelwright.execution.inline:InlineExecutor",
        "simulated": "modelwright.execution.simulated:SimulatedExecutor",
        "thread": "modelwright.execution.thread:ThreadExecutor",
        "local": "modelwright.execution.local:LocalExecutor",
        "dask": "modelwright.execution.dask:DaskExecutor",
    },
    group="modelwright.executors",
)

# Processes, sockets and selectors take their time to load; a study that only asks and tells needs none.
__getattr__ = lazy_names(
    __name__,
    {
        "DaskExecutor": "dask",
        "InlineExecutor": "inline",
        "LocalExecutor": "local",
        "ThreadExecutor": "thread",
    },
)


def make_executor(
    name: str,
    *,
    slots: int | Sequence[Resources] = 1,
    helper_slots: int = 0,
    **options: Any,
) -> Executor:
    """Return the executor called `name`.

    Parameters
    ----------
    name : str
        ``"inline"``, ``"thread"``, ``"local"``, ``"dask"``, a plug-in's name, or ``"module:Class"``.
    slots : int or sequence of Resources, default=1
        Slots for trials; an int makes that many of one core each.
    helper_slots : int, default=0
        Slots of role ``"helper"`` besides them.
    **options
        Further arguments of the class, such as ``preload`` of `LocalExecutor`.

    Raises
    ------
    UnknownNameError
        No executor has that name.

    Examples
    --------
    >>> from modelwright.execution import make_executor
    >>> executor = make_executor("inline", slots=1, helper_slots=1)
    >>> [slot.role for slot in executor.slots()]
    ['trial', 'helper']
    >>> executor.close()
    """
    executor: Executor = EXECUTORS.get(name)(slots, helper_slots=helper_slots, **options)
    return executor
