"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "DEFAULT_STORAGE",
    "AddressOption",
    "ExecutorOption",
    "JsonOption",
    "StorageOption",
    "StudyArgument",
    "TrialCpuOption",
    "TrialDiskOption",
    "TrialOutputOption",
    "TrialTimeoutOption",
]

DEFAULT_STORAGE = "sqlite:///modelwright.db"


def _warn_of_password(context: typer.Context, option: typer.CallbackParam, address: str) -> str:
    source = context.get_parameter_source(option.name or "")
    if "@" in address and source is not None and source.name == "COMMANDLINE":
        from modelwright.worker.opening import holds_password

        if holds_password(address):
            typer.echo(
                "warning: the password on the command line can be seen by other users of this machine; "
                "put the address into the variable MODELWRIGHT_STORAGE.",
                err=True,
            )
    return address


StorageOption = Annotated[
    str,
    typer.Option(
        envvar="MODELWRIGHT_STORAGE",
        help="Where the ledger is.",
        show_default=True,
        callback=_warn_of_password,
    ),
]
StudyArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.", show_default=False)]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON.")]

ExecutorOption = Annotated[
    str, typer.Option(help="Where trials run: local, or dask for a Dask cluster; see --address.")
]

AddressOption = Annotated[
    str,
    typer.Option(
        help="Scheduler of the cluster for --executor dask, like tcp://10.0.0.1:8786.", show_default=False
    ),
]

TrialTimeoutOption = Annotated[
    str | None, typer.Option(help="Limit for each trial: a time, like 90s or 10m.")
]
TrialCpuOption = Annotated[
    str | None, typer.Option(help="Limit for each trial: computing time, like 90s or 10m.")
]
TrialOutputOption = Annotated[
    str | None, typer.Option(help="Limit for each trial: what it prints into files, like 500MB.")
]
TrialDiskOption = Annotated[
    str | None, typer.Option(help="Limit for each trial: what lies in its folders, like 4GB.")
]
