"""Threads in which tasks play their part while the clock stands still.

A function that lets time pass in its middle needs a stack of its own to be left and come back to. Each such
task has a thread; the coordinator and the threads hand over to each other, so only one of them ever runs,
and the order of everything is that of the simulated moments.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from modelwright.errors import ExecutionError, InputError
from modelwright.execution._common import TaskCancelled, call
from modelwright.execution.base import Channel, End, EndKind, Task

__all__ = ["Nap", "Said", "Stage", "awake", "sleep"]

_here = threading.local()  # .stage: the stage whose thread this is; None where a task must not sleep
_REFUSALS = 1000


def sleep(seconds: float) -> None:
    """Let time pass in a task: simulated time in a `SimulatedExecutor`, real time everywhere else.

    Parameters
    ----------
    seconds : float
        How much.

    Raises
    ------
    InputError
        `seconds` is no time, or the executor was given the duration of tasks, which tells how long they take.

    Examples
    --------
    >>> from modelwright import Float, Space, Study
    >>> from modelwright.execution.simulated import SimulatedExecutor, sleep
    >>> def train(trial):
    ...     for epoch in range(27):
    ...         sleep(600)
    ...         trial.report(trial.params["x"] / (epoch + 1), epoch)
    ...     return trial.params["x"]
    >>> executor = SimulatedExecutor(slots=4)
    >>> study = Study(Space(x=Float(0, 1)), seed=1, optimizer="random")
    >>> _ = study.run(train, trials=8, executor=executor, parallel=4)
    >>> f"{executor.clock() / 3600:.0f} hours"
    '9 hours'
    """
    if not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise InputError(f"expected seconds of at least 0 to sleep, got {seconds!r}.")
    if not hasattr(_here, "stage"):
        time.sleep(seconds)
    elif _here.stage is None:
        raise InputError(
            "a task whose duration is given to the executor cannot sleep: its time is told already.",
            hint="Make the SimulatedExecutor without `duration`.",
        )
    else:
        _here.stage.post(Nap(seconds))


@contextmanager
def awake() -> Iterator[None]:
    """Around a task in the coordinator's own thread, which nobody could come back to."""
    _here.stage = None
    try:
        yield
    finally:
        del _here.stage


@dataclass(frozen=True, slots=True)
class Nap:
    """The task lets time pass."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Said:
    """The task has said or asked something."""

    kind: str
    payload: Any
    asks: bool


class Stage:
    """A thread that plays one task after the other, in turns with the coordinator.

    Each of `play`, `go_on` and `leave` returns what the task does next: a `Said`, a `Nap`, or its `End`.
    """

    def __init__(self) -> None:
        self._down: SimpleQueue[Any] = SimpleQueue()
        self._up: SimpleQueue[Said | Nap | End] = SimpleQueue()
        self._turn = threading.Lock()  # threads of one task take turns
        thread = threading.Thread(target=self._be, name="modelwright-simulated", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            raise ExecutionError(
                f"no thread could be started for one more simulated task ({error}): each one that sleeps has "
                "its own.",
                hint="Raise the limit of threads (ulimit -u), or give the executor `duration`.",
            ) from error

    # the coordinator's side --------------------------------------------------------------------------

    def play(self, task: Task, channel: Channel) -> Said | Nap | End:
        """Begin a task."""
        return self._hand_over((task, channel))

    def go_on(self, reply: Any = None) -> Said | Nap | End:
        """Answer what the task said, or wake it; a `TaskCancelled` is raised in it."""
        return self._hand_over(reply)

    def leave(self, why: str) -> bool:
        """Make the task end; return whether it did, and the thread can be used again."""
        return any(isinstance(self.go_on(TaskCancelled(why)), End) for _ in range(_REFUSALS))

    def close(self) -> None:
        """End the thread, which has no task."""
        self._down.put(None)

    def _hand_over(self, item: Any) -> Said | Nap | End:
        self._down.put(item)
        return self._up.get()

    # the task's side ---------------------------------------------------------------------------------

    def post(self, item: Said | Nap) -> Any:
        """Hand over to the coordinator, and return its reply when it hands back."""
        with self._turn:
            self._up.put(item)
            reply = self._down.get()
        if isinstance(reply, TaskCancelled):
            raise reply
        return reply

    def _be(self) -> None:
        _here.stage = self
        while (part := self._down.get()) is not None:
            task, channel = part
            del part
            try:
                end = call(task, channel, passing=(TaskCancelled,))
            except TaskCancelled as reason:
                end = End(EndKind.CANCELLED, detail=str(reason))
            del task, channel
            self._up.put(end)
