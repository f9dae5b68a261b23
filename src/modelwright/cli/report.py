"""`modelwright report`: one offline HTML file about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelwright.cli.predict import check_output

__all__ = ["EXAMPLE", "report"]

EXAMPLE = "Example: modelwright report runs/data"


def report(
    run: Annotated[str, typer.Argument(help="Folder of a run.", show_default=False)],
    output: Annotated[str | None, typer.Option("--output", "-o", help="File to write.")] = None,
) -> None:
    """Write one HTML file: leaderboard, confusion or residuals, history, importances, data summary."""
    from modelwright.automl.folder import RunFolder
    from modelwright.automl.reporting import collect_report
    from modelwright.visualization import write_report

    target = RunFolder(Path(run)).report if output is None else Path(output)
    if output is not None:
        check_output(target)  # before the work, not after it
    typer.echo(f"report written to {write_report(target, collect_report(Path(run)))}")
