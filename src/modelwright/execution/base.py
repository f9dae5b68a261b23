"""The contract of executors: places where tasks run.

A task is a function of a channel and an argument. An executor runs it in one of its slots and reports what
happens as events. All calls are made from one thread, the coordinator's. Walk-through::

    executor = LocalExecutor(slots=[Resources(cpus=1)] * 2)
    job = executor.submit(Task("0-1", function, argument, limits=Limits(wall_s=10)))
    executor.events(0.1, answer)    -> [Started(job)]
                                       meanwhile each channel.send / channel.ask of the task has called
                                       answer(job, kind, payload) in the coordinator's thread
    job.send("stop", None)          the task sees it at channel.receive()
    job.cancel("deadline")          asks it to go, then kills it with all its processes after the grace
    executor.events(0.1, answer)    -> [Ended(job)]; job.end says how
    executor.close()                kills what still runs and leaves no process behind

This package imports nothing of ours but errors and `_base`: it could stand alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from modelwright.errors import ExecutionError

__all__ = [
    "Answer",
    "Channel",
    "End",
    "EndKind",
    "Ended",
    "ErrorInfo",
    "Event",
    "Executor",
    "Function",
    "Job",
    "Limits",
    "Resources",
    "Started",
    "Task",
]


@dataclass(frozen=True, slots=True)
class Resources:
    """What one slot offers, or one task needs.

    Attributes
    ----------
    cpus : int
        Cores; thread pools of numeric libraries are set to it.
    memory_mb : float, optional
        What a task in this slot may use; None is no limit.
    gpus : tuple of str
        Device names, as ``CUDA_VISIBLE_DEVICES`` takes them. Two slots that name one device share it.
    role : str
        Tasks run in slots of their own role: ``"trial"``, or ``"helper"`` for work beside trials.
    cores : tuple of int
        The cores that its processes stay on; any where empty.
    """

    cpus: int = 1
    memory_mb: float | None = None
    gpus: tuple[str, ...] = ()
    role: str = "trial"
    cores: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a task may use before it is ended; None is no limit.

    Attributes
    ----------
    wall_s : float, optional
        Seconds from its start.
    memory_mb : float, optional
        Of its whole process tree, shared pages counted in proportion (PSS).
    grace_s : float
        Time between being asked to go and being killed.
    cpu_s : float, optional
        Seconds of computing, over all processes and threads of its tree.
    output_mb : float, optional
        What it may print, to standard output and error together, before it is ended.
    disk_mb : float, optional
        What may lie in its folder and in its folder for temporary files together.
    kept_output_mb : float
        How much of each of the two streams stays in its file; the middle of a longer one is cut out.

    Examples
    --------
    >>> Limits(wall_s=60, cpu_s=120).memory_mb is None
    True
    """

    wall_s: float | None = None
    memory_mb: float | None = None
    grace_s: float = 2.0
    cpu_s: float | None = None
    output_mb: float | None = None
    disk_mb: float | None = None
    kept_output_mb: float = 10.0

    def __post_init__(self) -> None:
        for name in ("wall_s", "memory_mb", "cpu_s", "output_mb", "disk_mb", "kept_output_mb"):
            value = getattr(self, name)
            if value is None and name != "kept_output_mb":
                continue
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 < value < math.inf:
                raise ExecutionError(f"expected {name} to be a positive number, got {value!r}.")


class Channel(Protocol):
    """A task's line to the coordinator. Payloads are JSON values."""

    @property
    def folder(self) -> Path | None:
        """A folder of the task's own, if it has one."""

    @property
    def resources(self) -> Resources:
        """What its slot offers."""

    def send(self, kind: str, payload: Any) -> None:
        """Tell the coordinator something, without waiting."""

    def ask(self, kind: str, payload: Any) -> Any:
        """Ask the coordinator something and wait for its answer."""

    def receive(self) -> list[tuple[str, Any]]:
        """Return the messages that came down since the last call, at once."""


Function = Callable[[Channel, Any], Any]
Answer = Callable[["Job", str, Any], Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work.

    Attributes
    ----------
    id : str
        Unique within the executor's life, such as ``"12-1"``.
    function : callable
        Called as ``function(channel, argument)``; returns a JSON value. Executors that use other processes
        send it once, by cloudpickle, and know it by identity afterwards.
    argument : object
        Small and picklable; data belong in files that the function maps.
    folder : Path, optional
        Where ``stdout.txt`` and ``stderr.txt`` go; created if need be.
    limits : Limits
        Kept from outside the task's process where the executor can.
    role : str
        The role of slot that it needs.
    """

    id: str
    function: Function
    argument: Any = None
    folder: Path | None = None
    limits: Limits = Limits()
    role: str = "trial"


class EndKind(StrEnum):
    """How a task ended."""

    RESULT = "result"  # the function returned
    ERROR = "error"  # it raised
    TIMEOUT = "timeout"  # its limit of wall time
    CPU = "cpu"  # its limit of computing time
    MEMORY = "memory"  # its memory limit, or the kernel's out-of-memory killer
    OUTPUT = "output"  # its limit of what it prints
    DISK = "disk"  # its limit of what it stores
    EXIT = "exit"  # its process left without a result
    SIGNAL = "signal"  # its process died of a signal that was not ours
    CANCELLED = "cancelled"  # `Job.cancel`
    LOST = "lost"  # the place that ran it is gone


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """An exception that crossed a process border.

    `types` holds the qualified names of its classes, nearest first, such as ``"builtins.ValueError"``.
    """

    types: tuple[str, ...]
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """How a task ended, with figures.

    `detail` says why in one line; `output` is the end of what it printed, where that went to files.
    """

    kind: EndKind
    result: Any = None
    error: ErrorInfo | None = None
    detail: str = ""
    exit_code: int | None = None
    wall_s: float = 0.0
    peak_memory_mb: float | None = None
    output: str = ""


@dataclass(slots=True, eq=False)
class Job:
    """A task that was submitted, like a future.

    Executors subclass it to fulfil `cancel` and `send`.
    """

    task: Task
    end: End | None = None
    slot: int | None = None
    attrs: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.end is not None

    def cancel(self, why: str) -> None:
        """End the task: it is asked to go, and killed after its grace. Harmless when it has ended."""
        raise NotImplementedError

    def send(self, kind: str, payload: Any) -> None:
        """Send a message down to the task."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Started:
    """The task's function is about to be called."""

    job: Job


@dataclass(frozen=True, slots=True)
class Ended:
    """The task is over and nothing of it runs any more; ``job.end`` says how."""

    job: Job


Event = Started | Ended


class Executor(Protocol):
    """A place where tasks run."""

    isolates: bool  # tasks run in processes of their own: limits are hard, crashes stay theirs

    def slots(self) -> Sequence[Resources]:
        """Return what each slot offers."""

    def submit(self, task: Task) -> Job:
        """Take a task; it starts when a slot of its role is free.

        Raises
        ------
        ObjectiveTransportError
            Its function cannot be sent to where tasks run.
        """

    def events(self, timeout_s: float, answer: Answer) -> list[Event]:
        """Return what has happened, after waiting up to `timeout_s` for something to happen.

        Messages and questions of tasks are passed to `answer` meanwhile, in this thread.
        """

    def wake(self) -> None:
        """Make a running or the next `events` return early; may be called from any thread or a signal."""

    def close(self) -> None:
        """Kill what still runs and give everything back."""


_THREAD_COUNTS = (  # by which numeric libraries size their pools when they are loaded
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
_SECRETS = ("MODELWRIGHT_SECRET_", "MODELWRIGHT_STORAGE", "MODELWRIGHT_TOKEN")  # how their names begin


def environment_for(resources: Resources, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a task: the user's, fitted to the slot, less secrets of ours."""
    environment = {name: value for name, value in base.items() if not name.startswith(_SECRETS)}
    threads = str(max(1, resources.cpus))
    environment |= dict.fromkeys(_THREAD_COUNTS, threads)
    if resources.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(resources.gpus)
    return environment
