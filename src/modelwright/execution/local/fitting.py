"""Giving each slot its cores, threads and devices, and no more."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from modelwright.execution.base import Resources, environment_for

__all__ = ["fit_to", "with_cores"]


def with_cores(slots: Sequence[Resources], available: Sequence[int] | None = None) -> tuple[Resources, ...]:
    """Return the slots, each with its share of the cores that this process may use.

    Shares are in proportion to what the slots ask for, so that all cores are given to somebody. Where there
    are fewer cores than asked for, where the system knows no such thing, and where a slot names its cores
    itself, the slots stay as they are.

    Examples
    --------
    >>> [slot.cores for slot in with_cores([Resources(cpus=2), Resources()], available=range(6))]
    [(0, 1, 2, 3), (4, 5)]
    >>> [slot.cores for slot in with_cores([Resources(), Resources()], available=[7])]
    [(), ()]
    """
    if available is None:
        available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else ()
    wanted = sum(slot.cpus for slot in slots)
    if wanted > len(available) or any(slot.cores for slot in slots):
        return tuple(slots)
    shared, taken = [], 0
    for slot in slots:
        begin, end = (count * len(available) // wanted for count in (taken, taken + slot.cpus))
        shared.append(replace(slot, cores=tuple(available[begin:end])))
        taken += slot.cpus
    return tuple(shared)


def fit_to(resources: Resources) -> None:
    """Give what is forked from this process the threads and devices of the slot.

    Libraries read their variables when they are loaded, so those that are loaded already have to be told.
    """
    loaded_with = os.environ.get("OMP_NUM_THREADS")
    os.environ.update(environment_for(resources, {}))
    if loaded_with == os.environ["OMP_NUM_THREADS"]:
        return
    controls = _threadpoolctl()
    if controls is not None:
        controls.threadpool_limits(resources.cpus)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(resources.cpus)


def _threadpoolctl() -> Any:
    """Return the library that knows the pools of others; None where it is not installed, or not needed."""
    if "threadpoolctl" not in sys.modules and (
        "numpy" not in sys.modules or importlib.util.find_spec("threadpoolctl") is None
    ):
        return None
    import threadpoolctl

    return threadpoolctl
