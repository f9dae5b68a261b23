"""`modelwright studies pause|stop|budget|priority|space`: how people steer a study that others run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelwright.cli.console import print_json
from modelwright.cli.forms import answer_study
from modelwright.cli.options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument

__all__ = ["add_commands"]

_Now = Annotated[
    bool, typer.Option("--now", help="Break off running trials too; they go back without a lost attempt.")
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the group `studies`."""
    example = "Example: modelwright studies {} --storage sqlite:///hub.db"
    app.command("pause", epilog=example.format("pause data"))(pause)
    app.command("stop", epilog=example.format("stop data --now"))(stop)
    app.command("budget", epilog=example.format("budget data --trials 200 --time none"))(budget)
    # An unknown option may be a negative number.
    options = {"ignore_unknown_options": True}
    app.command("priority", epilog=example.format("priority data 10"), context_settings=options)(priority)
    app.command("space", epilog=example.format("space data --range lr=1e-6:1 --choices k=a,b,c"))(space)


def open_study(name: str, storage: str) -> Any:
    """Return the study called `name` of a storage that exists."""
    from modelwright.storage import open_existing
    from modelwright.study import Study

    return Study.load(name, storage=open_existing(storage))


def pause(
    name: StudyArgument, now: _Now = False, storage: StorageOption = DEFAULT_STORAGE, json: JsonOption = False
) -> None:
    """Start no more trials of a study, on any machine, until it is resumed; running ones end in peace."""
    answer_study(open_study(name, storage).pause(now=now), json=json)


def stop(
    name: StudyArgument, now: _Now = False, storage: StorageOption = DEFAULT_STORAGE, json: JsonOption = False
) -> None:
    """End a study, on all machines, with what it has; `studies resume` opens it again."""
    answer_study(open_study(name, storage).stop(now=now), json=json)


def budget(
    name: StudyArgument,
    trials: Annotated[str | None, typer.Option(help="Trials in all.")] = None,
    time: Annotated[str | None, typer.Option(help="Time since the study first ran, such as 2h.")] = None,
    deadline: Annotated[
        str | None, typer.Option(help="No trial starts after this moment, such as 2030-01-31T18:00.")
    ] = None,
    cost: Annotated[str | None, typer.Option(help="Cost of all trials: seconds of their run time.")] = None,
    parallel: Annotated[str | None, typer.Option(help="Trials at a time, on all machines.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Show or change what a study may spend, all workers together; `none` lifts a limit."""
    from modelwright.cli.amounts import parse_count, parse_moment, parse_number, parse_seconds

    readers: dict[str, tuple[str | None, Any]] = {
        "trials": (trials, parse_count),
        "time_s": (time, parse_seconds),
        "deadline": (deadline, parse_moment),
        "cost": (cost, parse_number),
        "parallel": (parallel, parse_count),
    }
    parts = {
        part: None if text.lower() == "none" else read(f"--{part.removesuffix('_s')}", text)
        for part, (text, read) in readers.items()
        if text is not None
    }
    study = open_study(name, storage)
    answer_study(study.set_budget(**parts) if parts else study.record, json=json)


def priority(
    name: StudyArgument,
    level: Annotated[int, typer.Argument(help="Workers take studies of the highest first.")],
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Set how urgent a study is."""
    answer_study(open_study(name, storage).set_priority(level), json=json)


def space(
    name: StudyArgument,
    ranges: Annotated[
        list[str] | None, typer.Option("--range", help="A number's new range, NAME=LOW:HIGH; repeatable.")
    ] = None,
    choices: Annotated[
        list[str] | None, typer.Option("--choices", help="A list's new choices, NAME=A,B,C; repeatable.")
    ] = None,
    file: Annotated[str | None, typer.Option(help="A whole new space, as JSON or TOML.")] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Show the space of a study as JSON, or change its ranges and choices, also while it runs.

    Trials within the new space keep teaching the optimizer; the others stay in the ledger.
    """
    from modelwright.cli.spaces import changed_space, read_space

    study = open_study(name, storage)
    if not (ranges or choices or file):
        print_json(study.space.to_json())
        return
    new = study.space if file is None else read_space(file)
    answer_study(study.set_space(changed_space(new, ranges or [], choices or [])), json=json)
