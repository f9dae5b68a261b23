"""What executors share: which slots there are, and how a task that shares our process is told to go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelwright.errors import ExecutionError
from modelwright.execution._payload import decode, describe, encode
from modelwright.execution.base import Channel, End, EndKind, ErrorInfo, Resources, Task

__all__ = ["CANCEL", "TaskCancelled", "call", "check_task", "error_end", "make_slots", "plain", "summary"]

CANCEL = "cancel"  # the kind of the message by which a task is asked to go


class TaskCancelled(BaseException):
    """Raised by the channel inside a cancelled task that shares our process; not meant to be caught."""


def make_slots(slots: int | Sequence[Resources], helper_slots: int = 0) -> tuple[Resources, ...]:
    """Return what each slot offers; an int makes that many of one core."""
    offered = [Resources()] * slots if isinstance(slots, int) else list(slots)
    offered += [Resources(role="helper")] * helper_slots
    if not offered:
        raise ExecutionError(f"expected at least one slot, got slots={slots!r}.")
    return tuple(offered)


def check_task(task: Task, slots: Sequence[Resources], *, closed: bool) -> None:
    """Check that an executor can ever run `task`.

    Raises
    ------
    ExecutionError
        It was closed, or no slot has the task's role.
    """
    if closed:
        raise ExecutionError(
            f"the task {task.id!r} was given to an executor that is closed.", hint="Make a new executor."
        )
    if not any(slot.role == task.role for slot in slots):
        roles = ", ".join(sorted({repr(slot.role) for slot in slots}))
        raise ExecutionError(
            f"the task {task.id!r} needs a slot of role {task.role!r}, and there are only {roles}.",
            hint=f"Give the executor a slot Resources(role={task.role!r}).",
        )


def call(task: Task, channel: Channel, passing: tuple[type[BaseException], ...]) -> End:
    """Call the task's function here and return how it ended; `passing` exceptions leave as they are."""
    try:
        value = task.function(channel, task.argument)
        return End(EndKind.RESULT, result=plain(value, "the result of the task"))
    except passing:
        raise
    except BaseException as error:  # SystemExit and GeneratorExit end the task, not the run
        return error_end(error)


def plain(value: Any, what: str) -> Any:
    """Return `value` as it would arrive from another process."""
    return decode(encode(value, what))


def error_end(error: BaseException) -> End:
    """Return the end of a task that raised `error`; the outermost frame of its traceback is ours."""
    info = describe(error, skip=1)
    return End(EndKind.ERROR, error=info, detail=summary(info))


def summary(error: ErrorInfo) -> str:
    """Return an exception in one line, as Python's last line of a traceback shows it."""
    name = error.types[0].removeprefix("builtins.")
    first, *_ = error.message.strip().splitlines() or [""]
    return f"{name}: {first}" if first else name
