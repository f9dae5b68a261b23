"""`modelwright worker`: run trials of the studies in a storage."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from modelwright.cli.options import (
    DEFAULT_STORAGE,
    AddressOption,
    ExecutorOption,
    StorageOption,
    TrialCpuOption,
    TrialDiskOption,
    TrialOutputOption,
    TrialTimeoutOption,
)

__all__ = ["EXAMPLE", "worker"]

EXAMPLE = "Example: modelwright worker --storage sqlite:///hub.db --slots 4"


def worker(
    storage: StorageOption = DEFAULT_STORAGE,
    studies: Annotated[
        list[str] | None,
        typer.Option(
            help="Work on this study only; may be repeated, or hold several names separated by commas."
        ),
    ] = None,
    slots: Annotated[
        str | None, typer.Option(help="Trials at a time, each by a process of its own.", show_default="1")
    ] = None,
    total_time: Annotated[
        str | None,
        typer.Option(help="Leave after this time, like 90s, 10m, 2h; a running trial is given back."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for work instead of leaving without.")] = False,
    poll: Annotated[
        str | None, typer.Option(help="How often to look for work while waiting.", show_default="5s")
    ] = None,
    objective: Annotated[
        str,
        typer.Option(
            help="module:function, path/to/file.py:function or the path of a script, for studies that name "
            "none found here.",
            show_default=False,
        ),
    ] = "",
    choose: Annotated[
        str, typer.Option(help="Among studies of one priority: order takes the oldest, random any.")
    ] = "order",
    grace: Annotated[
        str | None,
        typer.Option(help="How long after a signal the worker has left.", show_default="5s"),
    ] = None,
    patience: Annotated[
        str | None,
        typer.Option(help="How long to wait for a server that is out of reach.", show_default="10m"),
    ] = None,
    trial_timeout: TrialTimeoutOption = None,
    trial_memory: Annotated[
        str | None, typer.Option(help="Limit for each trial: megabytes, or like 500MB, 4GB.")
    ] = None,
    trial_cpu: TrialCpuOption = None,
    trial_output: TrialOutputOption = None,
    trial_disk: TrialDiskOption = None,
    gpus: Annotated[
        str | None, typer.Option(help="GPUs of each trial, or the part of one that it gets, like 0.5.")
    ] = None,
    executor: ExecutorOption = "local",
    address: AddressOption = "",
    files: Annotated[
        str | None,
        typer.Option(
            envvar="MODELWRIGHT_FILES",
            help="Folder that all machines share, for files of trials if a database server has the ledger.",
            show_default=False,
        ),
    ] = None,
    resume_spool: Annotated[
        bool,
        typer.Option(
            "--resume-spool", help="First tell the results that an earlier worker could not, in an outage."
        ),
    ] = False,
    background: Annotated[
        bool, typer.Option("--background", help="Go on without this terminal; see modelwright workers.")
    ] = False,
    pid_file: Annotated[
        str, typer.Option(help="With --background: write the process id there.", show_default=False)
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each trial.")] = False,
    slot: Annotated[int | None, typer.Option(hidden=True, help="Which slot of a worker this is.")] = None,
    group_file: Annotated[
        str | None, typer.Option(hidden=True, help="File of the group in the background.")
    ] = None,
) -> None:
    """Run trials of the studies in a storage, the most urgent first, and leave when no work is left.

    Any number of workers may share a storage, on any number of machines. Ctrl-C and SIGTERM give a running
    trial back, if it does not end soon, without spending an attempt; once more leaves at once. Exit code 75
    says that the storage stayed out of reach.
    """
    # A trial finds no arguments of ours in its own sys.argv: they may hold a password.
    sys.argv[1:] = []
    if slot is not None:
        from modelwright.worker.group import run_slot

        raise typer.Exit(run_slot(slot))
    if group_file is not None:
        from modelwright.worker.background import run_background

        raise typer.Exit(run_background(Path(group_file)))
    from modelwright.cli.amounts import parse_count, parse_megabytes, parse_number, parse_seconds
    from modelwright.worker.opening import full_address
    from modelwright.worker.options import WorkerOptions

    given: dict[str, Any] = {
        "poll_s": parse_seconds("--poll", poll),
        "grace_s": parse_seconds("--grace", grace),
        "patience_s": parse_seconds("--patience", patience),
        "slots": parse_count("--slots", slots),
    }
    options = WorkerOptions(
        storage=full_address(storage),
        studies=tuple(studies or ()),
        total_time_s=parse_seconds("--total-time", total_time),
        wait=wait,
        objective=objective,
        choose=choose,  # type: ignore[arg-type]
        trial_timeout_s=parse_seconds("--trial-timeout", trial_timeout),
        trial_memory_mb=parse_megabytes("--trial-memory", trial_memory),
        trial_cpu_s=parse_seconds("--trial-cpu", trial_cpu),
        trial_output_mb=parse_megabytes("--trial-output", trial_output),
        trial_disk_mb=parse_megabytes("--trial-disk", trial_disk),
        gpus=parse_number("--gpus", gpus) or 0.0,
        executor=executor,
        address=address,
        files=str(Path(files).absolute()) if files else "",
        quiet=quiet,
        **{name: value for name, value in given.items() if value is not None},
    )
    options.where.check()
    if resume_spool:
        from modelwright.worker.spooled import tell_spooled

        for line in tell_spooled(options):
            typer.echo(line)
    if background:
        _start(options, pid_file)
        return
    from modelwright.worker.running import run_workers

    raise typer.Exit(run_workers(options))


def _start(options: Any, pid_file: str) -> None:
    from modelwright.worker.background import background_groups, start_background

    if pid_file:
        for group in background_groups(options.storage, pid_file):
            if group.alive:
                typer.echo(f"{group.name} is running already, process {group.pid}")
                return
    group = start_background(options, pid_file=pid_file)
    typer.echo(f"{group.name} started: process {group.pid}, {options.slots} slot(s), log {group.log}")
