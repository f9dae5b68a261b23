"""Each slot has its cores and threads."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

from modelwright.execution import LocalExecutor, Resources
from modelwright.execution.local.fitting import fit_to, with_cores
from modelwright.testing.executors import run_one

needs_affinity = pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system pins no process to cores"
)


@pytest.mark.parametrize(
    ("cpus", "available", "shares"),
    [
        ([1], [4, 5, 6, 7], [(4, 5, 6, 7)]),
        ([1, 1], [0, 1], [(0,), (1,)]),
        ([1, 1, 1], range(8), [(0, 1), (2, 3, 4), (5, 6, 7)]),
        ([4, 1], range(5), [(0, 1, 2, 3), (4,)]),
        ([1, 1, 1], [0, 1], [(), (), ()]),
    ],
)
def test_cores_are_shared_out(cpus, available, shares):
    slots = with_cores([Resources(cpus=count) for count in cpus], list(available))
    assert [slot.cores for slot in slots] == shares


def test_who_names_cores_is_left_alone():
    slots = (Resources(cores=(1,)), Resources())
    assert with_cores(slots, [0, 1, 2, 3]) == slots


def affinity(channel, argument):
    child = "import os; print(sorted(os.sched_getaffinity(0)))"
    of_child = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=True)
    return [sorted(os.sched_getaffinity(0)), of_child.stdout.strip()]


@needs_affinity
def test_a_task_and_its_children_stay_on_the_cores_of_their_slot(survivors):
    core = max(os.sched_getaffinity(0))
    executor = LocalExecutor([Resources(cores=(core,))])
    assert run_one(executor, affinity).result == [[core], f"[{core}]"]
    executor.close()


@needs_affinity
@pytest.mark.parametrize("how", ["option", "variable"])
def test_pinning_can_be_refused(survivors, monkeypatch, how):
    everywhere = sorted(os.sched_getaffinity(0))
    monkeypatch.setenv("MODELWRIGHT_PIN", "1" if how == "option" else "0")
    executor = LocalExecutor(len(everywhere), pin=False if how == "option" else None)
    assert [slot.cores for slot in executor.slots()] == [()] * len(everywhere)
    assert run_one(executor, affinity).result[0] == everywhere
    executor.close()


def test_every_library_is_told_its_threads():
    def read(channel, argument):
        return [os.environ.get(name) for name in argument]

    names = ["OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR"]
    executor = LocalExecutor([Resources(cpus=3)])
    told = run_one(executor, read, [*(f"{name}_NUM_THREADS" for name in names), "VECLIB_MAXIMUM_THREADS"])
    executor.close()
    assert told.result == ["3"] * 6


def test_torch_is_told_too_where_it_is_loaded_already(monkeypatch):
    """A stand-in: what counts is that a library that has read its variables is called."""
    called = []
    fake = types.SimpleNamespace(set_num_threads=called.append)
    monkeypatch.setitem(sys.modules, "torch", fake)
    monkeypatch.setattr(os, "environ", {**os.environ, "OMP_NUM_THREADS": "7"})
    monkeypatch.setattr("modelwright.execution.local.fitting._threadpoolctl", lambda: None)
    fit_to(Resources(cpus=2))
    assert called == [2]
