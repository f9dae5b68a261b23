"""`modelwright predict`: labels and probabilities for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelwright.cli.console import clean
from modelwright.errors import InputError

__all__ = ["EXAMPLE", "check_output", "predict"]

EXAMPLE = "Example: modelwright predict runs/data new.csv -o out.csv"


def predict(
    run: Annotated[str, typer.Argument(help="Folder of a run, or of a bundle.", show_default=False)],
    table: Annotated[
        str, typer.Argument(help="CSV or Parquet file with the same columns.", show_default=False)
    ],
    output: Annotated[str, typer.Option("--output", "-o", help="CSV file to write.")] = "predictions.csv",
    force: Annotated[
        bool, typer.Option("--force", help="Also use a bundle made with other versions of its libraries.")
    ] = False,
) -> None:
    """Predict each row of a table: labels and, for classes, their probabilities."""
    _check_files(Path(table), Path(output))  # before the libraries and the models, which take long to load
    from modelwright.automl.bundle import Bundle, predict_file
    from modelwright.automl.data import Finding

    bundle = Bundle.load(Path(run), force=force)
    findings: list[Finding] = []
    rows = predict_file(bundle, Path(table), Path(output), findings=findings)
    for finding in findings:
        typer.echo(clean(str(finding)), err=True)
    typer.echo(f"{rows} predictions written to {output}")


def _check_files(table: Path, output: Path) -> None:
    if not table.is_file():
        what = "is a folder" if table.is_dir() else "does not exist"
        raise InputError(
            f"expected a file to predict from, but {str(table)!r} {what}.",
            hint="Give a CSV or Parquet file with the columns of the training table.",
            code="E_PATH",
        )
    check_output(output)


def check_output(output: Path) -> None:
    """Refuse a path that no file can be written to."""
    if output.is_dir() or not output.parent.is_dir():
        what = "is a folder" if output.is_dir() else f"lies in {str(output.parent)!r}, which does not exist"
        raise InputError(
            f"expected a file to write to, but {str(output)!r} {what}.",
            hint="Give another path with -o.",
            code="E_PATH",
        )
