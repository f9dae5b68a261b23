"""What the coordinator and the workers of a cluster say to each other: plain values that pickle anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from modelwright.execution.base import EndKind, Resources

__all__ = ["CANCEL_TASK", "REPLY", "TELL", "Down", "Order", "Report"]

TELL = "tell"
REPLY = "reply"
CANCEL_TASK = "cancel"

Down = tuple[str, str, str]
"""A message down: `TELL`, `REPLY` or `CANCEL_TASK`, then a kind or a reason, then a payload as JSON text."""


@dataclass(frozen=True, slots=True)
class Order:
    """All that a worker needs to run one task.

    Attributes
    ----------
    job : str
        Unique for ever: a task that is tried again has another one.
    topic : str
        Where its messages go.
    task_id : str
        For people.
    digest : str
        Of `function`; processes that have loaded it are used again.
    function, argument : bytes
        Pickles, read in the task's own process only.
    resources : Resources
        Of the slot.
    limits : dict
        The arguments of `Limits`.
    folder : str, optional
        Where the coordinator wants the files of the task.
    marker : str, optional
        A file of the coordinator's: where a worker sees it, with `token` inside, both see the same folders.
    preload, path : tuple of str
        Modules to import, and where the coordinator finds modules.
    early : tuple of Down
        What was said to the task while it waited.
    silence_s : float
        The task is ended if its coordinator has not been heard of for so long.
    """

    job: str
    topic: str
    task_id: str
    digest: str
    function: bytes
    argument: bytes
    resources: Resources
    limits: dict[str, Any]
    folder: str | None
    marker: str | None
    token: str
    preload: tuple[str, ...]
    path: tuple[str, ...]
    early: tuple[Down, ...] = ()
    silence_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Report:
    """How a task ended: what its future gives.

    Attributes
    ----------
    kind, result, error, detail, exit_code, wall_s, peak_memory_mb, output
        As of `End`; the result as JSON text, the error as the arguments of `ErrorInfo`.
    messages : int
        How many messages it has sent up; all of them belong before its end.
    files : dict of str to bytes
        What it left in its folder, if that is not the coordinator's; relative paths.
    """

    kind: EndKind
    result: str = "null"
    error: tuple[tuple[str, ...], str, str] | None = None
    detail: str = ""
    exit_code: int | None = None
    wall_s: float = 0.0
    peak_memory_mb: float | None = None
    output: str = ""
    messages: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
