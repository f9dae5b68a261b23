"""`modelwright replay`: where each configuration came from, and the proof that it came from there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelwright.cli.console import clean, print_json, print_table
from modelwright.cli.options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from modelwright.study.replay import Difference, LoggedProposal, Replay

__all__ = ["EXAMPLE", "replay"]

EXAMPLE = "Example: modelwright replay data --check --storage sqlite:///hub.db"

_COLUMNS = ("trial", "origin", "optimizer", "version", "seen", "written", "reason")
_SHOWN = 20


def replay(
    name: StudyArgument,
    check: Annotated[
        bool, typer.Option("--check", help="Recompute each proposal, and name the first difference.")
    ] = False,
    trial: Annotated[int | None, typer.Option(help="Look at this trial only.", min=0)] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """Show where each configuration of a study came from; with --check, prove it from the log.

    Exit codes: 0 all is equal; 1 something differs; 2 wrong input.
    """
    from modelwright.storage import open_existing
    from modelwright.study.replay import replay as read

    opened = open_existing(storage)
    record = opened.study(name)
    progress = _show_progress if check and not json and sys.stderr.isatty() else _say_nothing
    found = read(opened, record.id, record.spec.space, trial=trial, check=check, progress=progress)
    if json:
        print_json(_form(found, checked=check))
    elif check:
        _tell(found)
    else:
        print_table(_COLUMNS, [_row(item) for item in found.proposals])
    if not found.equal:
        raise typer.Exit(1)


def _tell(found: Replay) -> None:
    typer.echo(clean(f"{found}; {found.recomputed} recomputed with {found.versions}"))
    if found.first is None:
        typer.echo("all is equal")
        return
    typer.echo(clean(f"first difference: {found.first}"))
    for item in found.differences[1:_SHOWN]:
        typer.echo(clean(f"then: {item}"))
    if len(found.differences) > _SHOWN:
        typer.echo(f"and {len(found.differences) - _SHOWN} more; --json shows all")


def _row(item: LoggedProposal) -> tuple[str, ...]:
    source = item.provenance
    proposed = item.origin in ("proposed", "other")
    return (
        str(item.trial),
        item.origin,
        source.optimizer or "-",
        source.version or "-",
        str(source.revision) if proposed else "-",
        str(item.revision) if item.revision else "-",
        source.reason or "-",
    )


def _form(found: Replay, *, checked: bool) -> dict[str, Any]:
    return {
        "study": found.study,
        "revision": found.revision,
        "versions": found.versions,
        "checked": checked,
        "equal": found.equal if checked else None,
        "recomputed": found.recomputed,
        "first": None if found.first is None else _difference_form(found.first),
        "differences": [_difference_form(item) for item in found.differences],
        "proposals": [
            {
                "trial": item.trial,
                "origin": item.origin,
                "optimizer": item.provenance.optimizer,
                "version": item.provenance.version,
                "seen": item.provenance.revision,
                "written": item.revision,
                "turn": item.provenance.turn,
                "reason": item.provenance.reason,
                "equal": item.equal,
            }
            for item in found.proposals
        ],
    }


def _difference_form(item: Difference) -> dict[str, Any]:
    return {
        "trial": item.trial,
        "what": item.what,
        "ledger": item.ledger,
        "expected": item.expected,
        "cause": item.cause,
        "revision": item.revision,
    }


def _say_nothing(done: int, total: int) -> None:
    pass


def _show_progress(done: int, total: int) -> None:
    end = "\n" if done == total else "\r"
    if done % 10 == 0 or done == total:
        typer.echo(f"{done} of {total} recomputed{end}", nl=False, err=True)
