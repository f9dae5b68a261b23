"""What the coordinator and the workers of a cluster say to each other: plain values that pickle anywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelwright.execution._payload import decode, encode
from modelwright.execution.base import End, EndKind, ErrorInfo, Resources

__all__ = [
    "CANCEL_TASK",
    "REPLY",
    "TELL",
    "Down",
    "Order",
    "Report",
    "end_of",
    "key_of",
    "report_of",
    "write_files",
]

TELL = "tell"
REPLY = "reply"
CANCEL_TASK = "cancel"

Down = tuple[str, str, str]
"""A message down: `TELL`, `REPLY` or `CANCEL_TASK`, then a kind or a reason, then a payload as JSON text."""


def key_of(job: str) -> str:
    """Return what the cluster calls a job."""
    return f"modelwright-{job}"


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
    must_share : bool
        Whether the task is of no use on a machine that does not see the marker.
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
    must_share: bool
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
    blind : bool
        Whether it did not run since the worker does not see a folder that it needs.
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
    blind: bool = False
    messages: int = 0
    files: dict[str, bytes] = field(default_factory=dict)


def report_of(end: End, messages: int, files: dict[str, bytes], left_out: str) -> Report:
    """Return what a worker tells of the end of a task; `left_out` says which files did not come along."""
    return Report(
        kind=end.kind,
        result=encode(end.result, "the result of the task").decode("ascii"),
        error=None if end.error is None else (end.error.types, end.error.message, end.error.traceback),
        detail="; ".join(filter(None, (end.detail, left_out))),
        exit_code=end.exit_code,
        wall_s=end.wall_s,
        peak_memory_mb=end.peak_memory_mb,
        output=end.output,
        messages=messages,
        files=files,
    )


def end_of(report: Report) -> End:
    """Return what a report says, as an executor has it."""
    return End(
        kind=report.kind,
        result=decode(report.result.encode("ascii")),
        error=None if report.error is None else ErrorInfo(*report.error),
        detail=report.detail,
        exit_code=report.exit_code,
        wall_s=report.wall_s,
        peak_memory_mb=report.peak_memory_mb,
        output=report.output,
    )


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    """Put down what a task left on a machine that does not share our folders."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
