"""A worker's executor is one like others; what it adds is tested with what it wraps replaced."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from modelwright.execution.base import End, Ended, EndKind, Job, Task
from modelwright.worker import preemption
from modelwright.worker.leaving import Leaving
from modelwright.worker.preemption import PreemptibleExecutor


class Scripted:
    """An executor whose events are given."""

    isolates = True

    def __init__(self, *ends: End) -> None:
        self.coming = [[Ended(Job(Task(str(k), print), end))] for k, end in enumerate(ends)]

    def events(self, timeout_s: float, answer: Any) -> list[Any]:
        return self.coming.pop(0) if self.coming else []


TERMINATED = End(EndKind.SIGNAL, exit_code=-signal.SIGTERM)


def kinds(place: PreemptibleExecutor) -> list[EndKind]:
    return [event.job.end.kind for event in place.events(0.0, print)]  # type: ignore[union-attr]


@pytest.mark.parametrize("end", [TERMINATED, End(EndKind.LOST)])
def test_a_trial_that_dies_with_its_worker_was_broken_off(end: End) -> None:
    leaving = Leaving()
    place = PreemptibleExecutor(Scripted(end), leaving)  # type: ignore[arg-type]
    assert kinds(place) == []
    leaving.ask("interrupted", within_s=1.0)
    assert kinds(place) == []  # the run hears of the wish first
    assert kinds(place) == [EndKind.CANCELLED]
    assert kinds(place) == []


def test_a_trial_that_dies_alone_is_told_a_little_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr(preemption.time, "monotonic", lambda: now)
    place = PreemptibleExecutor(Scripted(TERMINATED), Leaving())  # type: ignore[arg-type]
    assert kinds(place) == []
    now += 0.5
    assert kinds(place) == []
    now += 1.0
    assert kinds(place) == [EndKind.SIGNAL]


def test_other_ends_pass() -> None:
    ends = [End(EndKind.RESULT, 1.0), End(EndKind.ERROR), End(EndKind.SIGNAL, exit_code=-signal.SIGSEGV)]
    leaving = Leaving()
    leaving.ask("interrupted", within_s=0.0)
    place = PreemptibleExecutor(Scripted(*ends), leaving)  # type: ignore[arg-type]
    assert [kind for _ in ends for kind in kinds(place)] == [end.kind for end in ends]
