"""`modelwright leaderboard`: every model of a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelwright.cli.console import number, print_json, print_table, seconds, size

__all__ = ["EXAMPLE", "leaderboard", "show_result"]

EXAMPLE = "Example: modelwright leaderboard runs/data"

_COLUMNS = ("rank", "model", "score", "± sd", "test", "fit", "predict", "size", "partition")


def leaderboard(
    run: Annotated[str, typer.Argument(help="Folder of a run.", show_default=False)],
    top: Annotated[int, typer.Option(help="Show so many models; 0 shows all.", min=0)] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print as JSON.")] = False,
) -> None:
    """Show every model: score, deviation, test score, times, size, partition."""
    from modelwright.automl.leaderboard import read_leaderboard

    board = read_leaderboard(Path(run))
    if json:
        print_json(board.to_json())
        return
    rows = board.rows[:top] if top else board.rows
    print_table(
        _COLUMNS,
        [
            (
                str(row.rank),
                row.model,
                number(row.score),
                number(row.score_std, 2),
                number(row.test_score),
                seconds(row.fit_s),
                seconds(row.predict_s),
                size(row.size_bytes),
                row.partition,
            )
            for row in rows
        ],
        title=f"{board.metric} ({board.direction}), {len(board.rows)} models",
    )


def show_result(run: Path, *, as_json: bool, reason: str, quiet: bool) -> None:
    """Print what a fit has come to: the best models, the scores, and where things lie.

    Piped, the table alone goes to standard output, and the words to standard error.

    Raises
    ------
    StudyStateError
        The fit has found no model.
    """
    from modelwright.automl.leaderboard import read_leaderboard

    board = read_leaderboard(run)
    if as_json:
        print_json({**board.to_json(), "reason": reason})
    board.check_found()
    if as_json:
        return
    if not quiet:
        leaderboard(str(run), top=10)
    piped = not quiet and not sys.stdout.isatty()
    for line in board.headline():
        typer.echo(line, err=piped)
