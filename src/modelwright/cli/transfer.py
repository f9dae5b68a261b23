"""`modelwright studies copy|merge|export|rename|trim`: studies move between storages, and make room."""

from __future__ import annotations

import re
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelwright.cli.console import clean, count, size
from modelwright.cli.imports import EXAMPLE as IMPORT_EXAMPLE
from modelwright.cli.imports import import_
from modelwright.cli.opening import open_target
from modelwright.cli.options import DEFAULT_STORAGE, StorageOption, StudyArgument

if TYPE_CHECKING:
    from modelwright.transfer import Written

__all__ = ["add_commands"]

_To = Annotated[
    str | None,
    typer.Option("--to", help="Storage of the new study; the same by default.", show_default=False),
]
_NoFiles = Annotated[bool, typer.Option("--no-files", help="Leave the files of trials where they are.")]
_Folder = Annotated[
    str | None, typer.Option(help="Where the files go; beside the storage by default.", show_default=False)
]
_SourceFolder = Annotated[
    str | None, typer.Option(help="Where the files are; beside the storage by default.", show_default=False)
]
_ELSEWHERE = re.compile(r"(?P<name>.+?)@(?P<url>[a-z+]+://.*)", re.DOTALL)


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the group `studies`."""
    app.command(
        "copy", epilog="Example: modelwright studies copy data --to postgresql://me@server/hub --name again"
    )(copy)
    app.command("merge", epilog="Example: modelwright studies merge all monday tuesday@sqlite:///laptop.db")(
        merge
    )
    app.command("export", epilog="Example: modelwright studies export data trials.csv")(export)
    app.command("import", epilog=IMPORT_EXAMPLE)(import_)
    app.command("rename", epilog="Example: modelwright studies rename data data-2")(rename)
    app.command("trim", epilog="Example: modelwright studies trim data --keep-best 10")(trim)


def copy(
    name: StudyArgument,
    storage: StorageOption = DEFAULT_STORAGE,
    to: _To = None,
    new_name: Annotated[
        str, typer.Option("--name", help="Name of the copy; the same by default.", show_default=False)
    ] = "",
    no_files: _NoFiles = False,
    source_folder: _SourceFolder = None,
    folder: _Folder = None,
) -> None:
    """Copy a study into another storage, or under another name, exactly as it is.

    The copy appears whole or not at all; if the command is killed, run it again. An optimizer goes on in the
    copy as it would have in the original.
    """
    from modelwright.storage import open_existing
    from modelwright.transfer import copy_study

    with closing(open_existing(storage)) as source, ExitStack() as stack:
        source.study(name)  # before a file is made for the copy
        target = source if to is None else stack.enter_context(closing(open_target(to)))
        written = copy_study(
            source,
            name,
            target,
            new_name,
            files=not no_files,
            source_folder=_path(source_folder),
            folder=_path(folder),
        )
    _say_written("copied", written, files=not no_files)


def merge(
    name: Annotated[str, typer.Argument(help="Name of the new study.", show_default=False)],
    sources: Annotated[
        list[str],
        typer.Argument(help="Studies to merge: NAME, or NAME@URL in another storage.", show_default=False),
    ],
    storage: StorageOption = DEFAULT_STORAGE,
    to: _To = None,
    duplicates: Annotated[
        str,
        typer.Option(help="Configurations that are there already: auto (drop if deterministic), keep, drop."),
    ] = "auto",
    no_files: _NoFiles = False,
    folder: _Folder = None,
) -> None:
    """Make one study of the finished trials of several with the same parameters and objectives.

    The new study appears whole or not at all; if the command is killed, run it again.
    """
    from modelwright.storage import Storage, open_existing
    from modelwright.transfer import merge_studies

    with ExitStack() as stack:
        opened: dict[str, Storage] = {}

        def at(url: str) -> Storage:
            if url not in opened:
                opened[url] = stack.enter_context(closing(open_existing(url)))
            return opened[url]

        given = []
        for source in sources:
            elsewhere = _ELSEWHERE.fullmatch(source)
            url, study = (elsewhere["url"], elsewhere["name"]) if elsewhere else (storage, source)
            at(url).study(study)  # before a file is made for the new study
            given.append((at(url), study))
        target = at(storage) if to is None else stack.enter_context(closing(open_target(to)))
        kept: Any = duplicates
        merged = merge_studies(given, target, name, duplicates=kept, files=not no_files, folder=_path(folder))
    _say_written("merged", merged.written, files=not no_files)
    if merged.duplicates:
        typer.echo(f"left out {count(merged.duplicates, 'trial')} whose configuration is there already")
    if merged.unfinished:
        typer.echo(f"left out {count(merged.unfinished, 'trial')} without a result")


def export(
    name: StudyArgument,
    file: Annotated[str, typer.Argument(help="File to write, or - for standard output.", show_default=False)],
    storage: StorageOption = DEFAULT_STORAGE,
    format: Annotated[
        str | None, typer.Option(help="csv, parquet or jsonl; by the file's ending.", show_default=False)
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="CSV: do not mark text that a spreadsheet would run as a formula.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the trials of a study to a file.

    CSV and Parquet have a row for each trial; JSON Lines keep all that the ledger knows. `import` reads all
    of them again.
    """
    from modelwright.storage import open_existing
    from modelwright.transfer import export_study

    kind: Any = "csv" if format is None and file == "-" else format
    with closing(open_existing(storage)) as opened:
        trials = export_study(opened, name, file, format=kind, raw=raw, force=force)
    if file != "-":
        typer.echo(clean(f"{count(trials, 'trial')} written to {file}"))


def rename(
    name: StudyArgument,
    new_name: Annotated[str, typer.Argument(help="Its new name.", show_default=False)],
    storage: StorageOption = DEFAULT_STORAGE,
) -> None:
    """Give a study another name; its trials and their files stay."""
    from modelwright.storage import open_existing
    from modelwright.study import Study

    with closing(open_existing(storage)) as opened:
        Study.load(name, storage=opened).rename(new_name)
    typer.echo(clean(f"{name} is called {new_name} now"))


def trim(
    name: StudyArgument,
    keep_best: Annotated[
        int, typer.Option(help="How many of the best trials keep everything.", min=0, show_default=False)
    ],
    storage: StorageOption = DEFAULT_STORAGE,
    no_files: _NoFiles = False,
    folder: _SourceFolder = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Forget the reports and artifacts of all finished trials but the best, and remove their files.

    Configurations and values stay, so the search goes on as before.
    """
    from modelwright.storage import open_existing
    from modelwright.transfer import plan_trim, trim_study

    with closing(open_existing(storage)) as opened:
        if not yes:
            plan = plan_trim(opened, name, keep_best, files=not no_files, folder=_path(folder))
            typer.confirm(
                f"Trim {count(len(plan.numbers), 'trial')} of {name!r}: the reports, "
                f"{count(plan.artifacts, 'artifact')} and {count(plan.files, 'file')} ({size(plan.size)})?",
                abort=True,
            )
        done = trim_study(opened, name, keep_best, files=not no_files, folder=_path(folder))
    gone = f"{count(done.artifacts, 'artifact')} forgotten, {count(done.files, 'file')} removed"
    typer.echo(clean(f"{name}: trimmed {count(len(done.numbers), 'trial')}, {gone}, {size(done.size)} freed"))


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)


def _say_written(verb: str, written: Written, *, files: bool) -> None:
    study, copied = written.study, written.files
    typer.echo(clean(f"{verb} to {study.spec.name}: {count(study.issued, 'trial')}, {study.state.value}"))
    if files and copied.files:
        where = "on its server" if written.folder is None else f"in {written.folder}"
        typer.echo(clean(f"{count(copied.files, 'file')}, {size(copied.size)}, {where}"))
    if files and copied.missing:
        have = "artifact has" if len(copied.missing) == 1 else "artifacts have"
        nowhere = written.folder is None and not copied.files
        hint = " This storage has no place for files: name a folder with --folder." if nowhere else ""
        first = copied.missing[0]
        typer.echo(clean(f"{len(copied.missing)} {have} no file there. The first: {first}.{hint}"), err=True)
    if copied.links:
        typer.echo(f"left out, as links or special files: {copied.links}", err=True)
