"""When the memory of a tree is looked at, and what is said of it."""

from __future__ import annotations

import pytest

from modelwright.execution.local import system, watch
from modelwright.execution.local.watch import CpuWatch, MemoryWatch, megabytes


@pytest.fixture
def memory(monkeypatch):
    """Return what processes seem to use; `readings` counts the dear looks."""
    seen = {"resident": 0.0, "proportional": 0.0, "readings": 0}

    def proportional(pids):
        seen["readings"] += 1
        return seen["proportional"]

    monkeypatch.setattr(system, "resident_mb", lambda pids: seen["resident"])
    monkeypatch.setattr(system, "proportional_mb", proportional)
    return seen


def test_the_proportional_size_decides(memory):
    watched = MemoryWatch(100.0, now=0.0)
    memory.update(resident=300.0, proportional=80.0)
    assert not watched.exceeded([1], 1.0)
    memory.update(resident=300.0, proportional=120.4)
    assert watched.exceeded([1], 2.0)
    assert watched.figure(12.34) == "120 MB of 100 MB at 12.3 s"
    assert watched.peak_mb == 120.4


def test_the_dear_figure_is_read_when_the_cheap_one_grows(memory):
    watched = MemoryWatch(1000.0, now=0.0)
    for step, resident in enumerate([100.0, 104.0, 99.0, 100.0, 150.0, 150.0]):
        memory.update(resident=resident, proportional=resident / 2)
        watched.exceeded([1], 0.1 * step)
    assert memory["readings"] == 2
    assert watched.peak_mb == 75.0


def test_slow_growth_is_read_now_and_then(memory):
    watched = MemoryWatch(1000.0, now=0.0)
    for step, resident in enumerate([100.0, 103.0, 106.0, 109.0, 112.0]):
        memory.update(resident=resident, proportional=resident / 2)
        watched.exceeded([1], 0.3 * step)
    assert memory["readings"] == 3
    assert watched.peak_mb == 56.0


def test_looks_are_closer_together_near_the_limit(memory):
    watched = MemoryWatch(100.0, now=0.0)
    memory.update(resident=10.0)
    watched.exceeded([1], 1.0)
    calm = watched.next_at - 1.0
    memory.update(resident=60.0)
    watched.exceeded([1], 1.0)
    assert watched.next_at - 1.0 < calm


def test_dear_looks_are_rarer(memory, monkeypatch):
    clock = iter([0.0, 0.5])
    monkeypatch.setattr(watch.time, "monotonic", lambda: next(clock))
    watched = MemoryWatch(100.0, now=0.0)
    watched.exceeded([1], 1.0)
    assert watched.next_at == 1.0 + 20 * 0.5


def test_without_a_limit_the_peak_is_still_recorded(memory):
    watched = MemoryWatch(None, now=0.0)
    memory.update(resident=500.0, proportional=400.0)
    assert not watched.exceeded([1], 1.0)
    assert watched.peak_mb == 400.0


def test_computing_time_is_looked_at_when_it_could_be_over(monkeypatch):
    used = iter([1.0, 5.0, 10.5])
    monkeypatch.setattr(system, "cpu_s", lambda pids: next(used))
    watched = CpuWatch(10.0, lambda: 0.0, cores=4, now=0.0)
    assert watched.next_at == 2.5
    assert not watched.exceeded([1], 2.5)
    assert watched.next_at == 2.5 + 9.0 / 4
    assert not watched.exceeded([1], 4.75)
    assert watched.exceeded([1], 6.0)
    assert watched.figure(6.0) == "cpu: 10.5 s of 10 s at 6 s"


def test_amounts_in_words():
    assert [megabytes(amount) for amount in (0.4, 999.4, 1000, 4096)] == [
        "0 MB",
        "999 MB",
        "1 GB",
        "4.1 GB",
    ]
