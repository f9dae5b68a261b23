"""An executor for machines that are taken away: trials that die of the same signal as their worker go back.

Clusters, and service managers, often send SIGTERM to every process of a job at once: to the worker, and to
the trial and what keeps it as well. The trial dies before its worker has had time to hear of it, and that
would look like a failure of the objective's own. So such an end is held back for a moment; if the worker is
asked to go meanwhile, the trial counts as one that was broken off, and is given back.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import replace

from modelwright.execution.base import Answer, Ended, EndKind, Event, Executor, Job, Resources, Task
from modelwright.worker.leaving import Leaving

__all__ = ["PreemptibleExecutor"]

_DOUBT_S = 1.0


class PreemptibleExecutor:
    """Holds back ends that may be the first sign of a preemption.

    Parameters
    ----------
    executor : Executor
        Where trials run.
    leaving : Leaving
        Whether the worker is to leave.

    Attributes
    ----------
    inner : Executor
        Where trials run.
    """

    def __init__(self, executor: Executor, leaving: Leaving) -> None:
        self.isolates = executor.isolates
        self.inner = executor
        self._leaving = leaving
        self._doubtful: list[tuple[float, Job]] = []  # until when it is held back

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""
        return self.inner.slots()

    def submit(self, task: Task) -> Job:
        """Take a task."""
        return self.inner.submit(task)

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Return what has happened; an end in doubt comes later."""
        if self._doubtful:
            timeout_s = min(timeout_s, 0.05)
        events: list[Event] = []
        now = time.monotonic()
        for event in self.inner.events(timeout_s, answer):
            if isinstance(event, Ended) and _in_doubt(event.job):
                self._doubtful.append((now + _DOUBT_S, event.job))
            else:
                events.append(event)
        return events + self._decided(now)

    def wake(self) -> None:
        """Make a running or the next `events` return early."""
        self.inner.wake()

    def close(self) -> None:
        """Kill what still runs and give everything back."""
        self.inner.close()

    def _decided(self, now: float) -> list[Event]:
        """Return the ends that are held back no longer."""
        decided = []
        if self._leaving.hurried:
            # One call later than the wish, so that the run has heard of it by then.
            for _, job in self._doubtful:
                assert job.end is not None
                if job.end.kind is EndKind.CANCELLED:
                    decided.append(job)
                else:
                    job.end = replace(job.end, kind=EndKind.CANCELLED)
        else:
            decided = [job for until, job in self._doubtful if now >= until]
        self._doubtful = [(until, job) for until, job in self._doubtful if job not in decided]
        return [Ended(job) for job in decided]


def _in_doubt(job: Job) -> bool:
    end = job.end
    if end is None:
        return False
    died = end.kind is EndKind.SIGNAL and end.exit_code == -signal.SIGTERM
    return died or end.kind is EndKind.LOST
