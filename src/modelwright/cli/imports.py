"""`modelwright studies import`: studies from other tools, tables and our own exports."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modelwright.cli.console import clean, count
from modelwright.cli.opening import open_target
from modelwright.cli.options import DEFAULT_STORAGE, StorageOption
from modelwright.cli.spaces import read_space
from modelwright.errors import InputError

if TYPE_CHECKING:
    from modelwright.records import StudySpec
    from modelwright.transfer import StudySnapshot

__all__ = ["EXAMPLE", "import_"]

EXAMPLE = """Example: modelwright studies import optuna.db --study cifar

modelwright studies import results.csv --value loss --log lr --name grid

modelwright studies import exported.jsonl"""

_Kind = Literal["optuna", "jsonl", "export", "csv"]
_SQLITE = b"SQLite format 3\0"
_PARQUET = b"PAR1"

# Which options mean something for which kinds of files.
_MEANT_FOR: Mapping[str, tuple[_Kind, ...]] = {
    "--study": ("optuna",),
    "--list": ("optuna",),
    "--value": ("csv",),
    "--param": ("csv",),
    "--missing": ("csv",),
    "--direction": ("csv", "export"),
    "--log": ("csv", "export"),
    "--space": ("csv", "export"),
}
_CALLED: Mapping[_Kind, str] = {
    "optuna": "a file of Optuna",
    "jsonl": "a study as JSON Lines",
    "export": "a table that `studies export` wrote",
    "csv": "a table of results",
}


def import_(
    file: Annotated[str, typer.Argument(help="File to read.", show_default=False)],
    storage: StorageOption = DEFAULT_STORAGE,
    name: Annotated[str, typer.Option(help="Name of the new study.", show_default=False)] = "",
    study: Annotated[
        str | None, typer.Option(help="Optuna: which of several studies.", show_default=False)
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Optuna: only list the studies in the file.")] = False,
    value: Annotated[
        list[str] | None,
        typer.Option(help="Results: the column with the value; once per objective.", show_default=False),
    ] = None,
    direction: Annotated[
        list[str] | None,
        typer.Option(help="Tables: minimize or maximize; once per objective.", show_default=False),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="Results: a column with a parameter; all others by default.", show_default=False),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(help="Tables: a parameter on a logarithmic scale.", show_default=False),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            help="Tables: JSON or TOML file with the space; made from the data by default.",
            show_default=False,
        ),
    ] = None,
    missing: Annotated[
        str | None,
        typer.Option(
            help="Results: what rows without a value become: failed, waiting or skip.", show_default="failed"
        ),
    ] = None,
) -> None:
    """Make a study of an Optuna file, a table of results as CSV, or what `export` wrote.

    Optuna's SQLite files and journals are read without Optuna. The file is told by what is in it. What of it
    cannot be taken over is said.
    """
    from modelwright.transfer import import_study

    path = Path(file)
    kind = _kind_of(path, named_columns=bool(param))
    options = {"study": study, "list": list_, "value": value, "param": param, "missing": missing}
    options |= {"direction": direction, "log": log, "space": space}
    _check_options(kind, options)
    if list_:
        _list_studies(path)
        return
    snapshot = _read(path, kind, name or path.stem, options)
    with closing(open_target(storage)) as opened:
        record = import_study(opened, snapshot, name=name).study
    for note in snapshot.notes:
        typer.echo(clean(f"note: {note}"), err=True)
    trials = count(record.issued, "trial")
    typer.echo(clean(f"imported {record.spec.name}: {trials}, {record.state.value}"))


def _list_studies(path: Path) -> None:
    from modelwright.integrations.optuna import list_studies

    for name in list_studies(path):
        typer.echo(clean(name))


def _read(path: Path, kind: _Kind, name: str, options: Mapping[str, Any]) -> StudySnapshot:
    if kind == "optuna":
        from modelwright.integrations.optuna import read_study

        return read_study(path, options["study"])
    from modelwright import transfer

    if kind == "jsonl":
        snapshot = transfer.read_lines_file(path)
        _say_code(snapshot.spec)
        return snapshot
    given: dict[str, Any] = {
        "name": name,
        "directions": options["direction"] or (),
        "log": options["log"] or (),
        "space": None if options["space"] is None else read_space(options["space"]),
    }
    if kind == "export":
        return transfer.read_exported_table(path, **given)
    return transfer.read_results(
        path,
        **given,
        values=options["value"] or (),
        params=options["param"] or (),
        missing=options["missing"] or "failed",
    )


def _say_code(spec: StudySpec) -> None:
    """Say which code a study from a file names: whoever runs it runs that."""
    components = [spec.optimizer, *([spec.scheduler] if spec.scheduler else [])]
    named = [item.name for item in components if ":" in item.name]
    named += [spec.objective_ref] if spec.objective_ref else []
    if named:
        typer.echo(f"note: running this study loads {', '.join(map(clean, named))}", err=True)


def _kind_of(path: Path, *, named_columns: bool) -> _Kind:
    """Tell a file by its first bytes, and a CSV by its columns unless the user says which are parameters."""
    if not path.is_file():
        wrong = f"{str(path)!r} is no regular file" if path.exists() else f"there is no file {str(path)!r}"
        raise InputError(f"{wrong}.", code="E_PATH")
    with path.open("rb") as file:
        start = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(_SQLITE):
        return "optuna"
    if start.startswith(_PARQUET):
        return "export"
    if start.startswith(b"{"):
        return "optuna" if b'"op_code"' in start.partition(b"\n")[0] else "jsonl"
    from modelwright.transfer import is_exported_table

    return "export" if not named_columns and is_exported_table(path) else "csv"


def _check_options(kind: _Kind, options: Mapping[str, Any]) -> None:
    """Refuse options that mean nothing for this kind of file, rather than pass over them."""
    for name, kinds in _MEANT_FOR.items():
        if options[name.removeprefix("--")] and kind not in kinds:
            meant = " or ".join(_CALLED[item] for item in kinds)
            as_results = kind == "export" and "csv" in kinds
            raise InputError(
                f"{name} is for {meant}, and this is {_CALLED[kind]}.",
                hint="Leave it out, or name parameters with --param." if as_results else "Leave it out.",
                code="E_CONFLICT",
            )
