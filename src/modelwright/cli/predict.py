"""`modelwright predict`: labels and probabilities for new rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["EXAMPLE", "predict"]

EXAMPLE = "Example: modelwright predict runs/data new.csv -o out.csv"


def predict(
    run: Annotated[str, typer.Argument(help="Folder of a run, or of a bundle.", show_default=False)],
    table: Annotated[str, typer.Argument(help="CSV or Parquet file with the same columns.", show_default=False)],
    output: Annotated[str, typer.Option("--output", "-o", help="CSV file to write.")] = "predictions.csv",
    force: Annotated[
        bool, typer.Option("--force", help="Also use a bundle made with other versions of its libraries.")
    ] = False,
) -> None:
    """Predict each row of a table: labels and, for classes, their probabilities."""
    from modelwright.automl.bundle import Bundle, predict_file

    bundle = Bundle.load(Path(run), force=force)
    rows = predict_file(bundle, Path(table), Path(output))
    typer.echo(f"{rows} predictions written to {output}")
