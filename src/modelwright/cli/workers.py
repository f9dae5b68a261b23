"""`modelwright workers`: see who works on a storage, and ask them to leave or to start again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelwright.cli.console import print_json, print_table, seconds
from modelwright.cli.options import DEFAULT_STORAGE, JsonOption, StorageOption

__all__ = ["app"]

app = typer.Typer(
    help="Show, stop and restart the workers of a storage.", no_args_is_help=True, rich_markup_mode=None
)

_PidFile = Annotated[
    str,
    typer.Option(help="Only the background workers started with this file.", show_default=False),
]
_TROUBLE = {
    "silent": "Nothing has been heard from there for 20 s: the machine or the network may be down.",
    "dead": "The process on this machine has ended without a word.",
}
_Now = Annotated[bool, typer.Option("--now", help="Give running trials back instead of letting them end.")]


@app.command("status", epilog="Example: modelwright workers status --storage sqlite:///hub.db")
def status(
    storage: StorageOption = DEFAULT_STORAGE,
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that left, or were last heard of more than a day ago.")
    ] = False,
    pid_file: _PidFile = "",
    json: JsonOption = False,
) -> None:
    """List the workers of a storage, what each does, and the background groups of this machine."""
    from modelwright.storage import open_existing
    from modelwright.worker.background import background_groups
    from modelwright.worker.opening import full_address
    from modelwright.worker.status import worker_rows

    groups = background_groups(full_address(storage), pid_file)
    opened = open_existing(storage)
    try:
        rows = worker_rows(opened, everything=everything)
    finally:
        opened.close()
    if json:
        print_json({"workers": [_as_json(row) for row in rows], "groups": [_group_json(g) for g in groups]})
        return
    if rows:
        print_table(
            ("id", "host", "pid", "group", "state", "trial", "seen"), [_cells(row, rows) for row in rows]
        )
    typer.echo(_counted(rows, "alive") or "no workers are alive.")
    for state, meaning in _TROUBLE.items():
        if said := _counted(rows, state):
            typer.echo(f"{said} {meaning}")
    for group in groups:
        if group.alive:
            typer.echo(f"{group.name} runs in the background: process {group.pid}, log {group.log}")
        else:
            typer.echo(f"{group.name} has left; modelwright workers restart starts it again")


def _counted(rows: Any, state: str) -> str:
    count = sum(row.state == state for row in rows)
    return f"{count} worker{'s are' if count > 1 else ' is'} {state}." if count else ""


def _cells(row: Any, rows: Any) -> tuple[str, ...]:
    slots = sum(other.info.group == row.info.group for other in rows if other.state == "alive")
    group = f"{row.info.group} ({slots} slot{'s' if slots > 1 else ''})" if row.commanded and slots else "-"
    state = row.state + (f", asked to leave ({row.info.asked})" if row.info.asked else "")
    trials = ", ".join(f"{study} {number}" for study, number in row.trials) or "-"
    seen = f"{seconds(row.seen_s)} ago"
    return row.info.id[:12], row.info.host or "-", str(row.info.pid), group, state, trials, seen


def _as_json(row: Any) -> dict[str, Any]:
    info = row.info
    return {
        "id": info.id,
        "host": info.host,
        "pid": info.pid,
        "group": info.group,
        "version": info.version,
        "state": row.state,
        "asked": info.asked,
        "seen_s": row.seen_s,
        "trials": [{"study": study, "number": number} for study, number in row.trials],
    }


def _group_json(group: Any) -> dict[str, Any]:
    return {
        "group": group.name,
        "pid": group.pid,
        "slots": group.options.slots,
        "alive": group.alive,
        "log": str(group.log),
    }


@app.command("stop", epilog="Example: modelwright workers stop --storage sqlite:///hub.db --now")
def stop(
    storage: StorageOption = DEFAULT_STORAGE,
    now: _Now = False,
    pid_file: _PidFile = "",
) -> None:
    """Ask all workers of a storage to leave after their trials, on whatever machine they run.

    With --pid-file only the background workers that write this file leave.
    """
    from modelwright.storage import open_existing
    from modelwright.study.who import this_user
    from modelwright.worker.background import background_groups
    from modelwright.worker.control import stop_groups, stop_workers
    from modelwright.worker.opening import full_address

    one, many = ("at once", "at once") if now else ("after its trial", "after their trials")
    # First the parents, so that none starts a slot anew.
    groups = stop_groups(background_groups(full_address(storage), pid_file), now=now)
    for group in groups:
        typer.echo(f"{group.name} leaves {one if group.options.slots == 1 else many}")
    if pid_file:
        if not groups:
            typer.echo(f"no workers run with the file {pid_file}")
        return
    opened = open_existing(storage)
    try:
        stopped = stop_workers(opened, now=now, who=this_user(), told=groups)
    finally:
        opened.close()
    count = len(stopped.asked)
    if count:
        typer.echo(f"{count} workers leave {many}" if count > 1 else f"1 worker leaves {one}")
    elif not groups:
        typer.echo("no workers are alive")


@app.command("restart", epilog="Example: modelwright workers restart --storage sqlite:///hub.db")
def restart(
    storage: StorageOption = DEFAULT_STORAGE,
    now: _Now = False,
    pid_file: _PidFile = "",
    timeout: Annotated[
        str | None, typer.Option(help="How long to wait until they have left.", show_default="60s")
    ] = None,
) -> None:
    """Start the background workers of this machine again, with the options that they had.

    Those that run give their trials back first. Where none runs, the one that was started last comes again.
    """
    from modelwright.cli.amounts import parse_seconds
    from modelwright.errors import ExecutionError
    from modelwright.worker.background import background_groups
    from modelwright.worker.control import restart_groups
    from modelwright.worker.opening import full_address

    wait_s = parse_seconds("--timeout", timeout) or 60.0
    groups = background_groups(full_address(storage), pid_file)
    if not groups:
        typer.echo("no workers were started in the background for this storage")
        return
    started, stayed = restart_groups(groups, now=now, timeout_s=wait_s)
    for group in started:
        typer.echo(f"{group.name} started again: process {group.pid}, log {group.log}")
    if stayed:
        names = ", ".join(group.name for group in stayed)
        raise ExecutionError(
            f"{names} did not leave within {wait_s:g} s and was not started again.",
            hint="Try again with --now.",
        )
