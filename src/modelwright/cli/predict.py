"""`modelwright predict`: labels and probabilities for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelwright.cli.console import clean

__all__ = ["EXAMPLE", "predict"]

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
    from modelwright.automl.bundle import Bundle, predict_file
    from modelwright.automl.data import Finding

    bundle = Bundle.load(Path(run), force=force)
    findings: list[Finding] = []
    rows = predict_file(bundle, Path(table), Path(output), findings=findings)
    for finding in findings:
        typer.echo(clean(str(finding)), err=True)
    typer.echo(f"{rows} predictions written to {output}")
