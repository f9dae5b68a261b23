"""`modelwright studies files`: the files that trials have left, listed and fetched."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelwright.cli.console import clean, print_json, print_table, size
from modelwright.cli.options import DEFAULT_STORAGE, JsonOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from modelwright.records import Artifact
    from modelwright.study import Study

__all__ = ["EXAMPLE", "file_form", "file_rows", "files"]

EXAMPLE = "Example: modelwright studies files data --trial 7 --fetch models"


def files(
    name: StudyArgument,
    trial: Annotated[int | None, typer.Option(help="Only of this trial.", min=0, show_default=False)] = None,
    fetch: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Copy them there, each into a folder of its trial.", show_default=False
        ),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(help="Where the files are; the storage's usual place by default.", show_default=False),
    ] = None,
    storage: StorageOption = DEFAULT_STORAGE,
    json: JsonOption = False,
) -> None:
    """List the files that trials have left, or copy them here, compared with their checksums.

    Files that are there already are left alone.
    """
    from modelwright.storage import open_existing
    from modelwright.study import Study

    study = Study.load(name, storage=open_existing(storage), folder=folder)
    found = _found(study, trial)
    if fetch is None:
        _list(found, json=json)
        return
    missing = _fetch(study, found, Path(fetch))
    if missing:
        raise typer.Exit(1)


def _found(study: Study, trial: int | None) -> list[tuple[int, Artifact]]:
    if trial is not None:
        return [(trial, item) for item in study.artifacts(trial)]
    everything = study.storage.artifacts(study.record.id)
    return sorted(everything, key=lambda pair: (pair[0], pair[1].name))


def _list(found: list[tuple[int, Artifact]], *, json: bool) -> None:
    if json:
        print_json([{"trial": number, **file_form(item)} for number, item in found])
        return
    rows = file_rows(item for _, item in found)
    print_table(
        ("trial", "file", "size", "format", "sha256"),
        [(str(number), *row) for (number, _), row in zip(found, rows, strict=True)],
    )


def _fetch(study: Study, found: list[tuple[int, Artifact]], target: Path) -> int:
    """Copy files, say which cannot be had, and return how many these are."""
    from modelwright.errors import StorageError, StorageUnavailableError

    missing = total = 0
    for number, item in found:
        try:
            study.fetch_artifact(number, item.name, target / str(number) / item.name)
            total += item.size
        except StorageUnavailableError:
            raise
        except StorageError as error:
            missing += 1
            typer.echo(clean(f"trial {number}, {item.name}: {error}"), err=True)
    typer.echo(clean(f"{len(found) - missing} files, {size(total)}, in {target}"))
    return missing


def file_form(item: Artifact) -> dict[str, Any]:
    """Return a file as JSON."""
    return {
        "name": item.name,
        "size": item.size,
        "format": item.format,
        "sha256": item.sha256,
        "location": item.location,
    }


def file_rows(items: Iterable[Artifact]) -> list[tuple[str, ...]]:
    """Return a row for each file: name, size, format and the beginning of its checksum."""
    return [(item.name, size(item.size), item.format or "-", item.sha256[:12]) for item in items]
