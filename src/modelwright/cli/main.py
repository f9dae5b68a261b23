"""The `modelwright` command: its groups, and how every error leaves it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from modelwright import __version__
from modelwright.cli import fit, leaderboard, predict, report, studies
from modelwright.errors import InputError, ModelwrightError

__all__ = ["app", "main"]

app = typer.Typer(
    name="modelwright",
    help="AutoML and hyperparameter search on one engine: a table goes in, a model comes out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="--debug, anywhere on the line, shows the stack trace of an error.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelwright {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    """AutoML and hyperparameter search on one engine: a table goes in, a model comes out."""


app.command("fit", epilog=fit.EXAMPLE)(fit.fit)
app.command("leaderboard", epilog=leaderboard.EXAMPLE)(leaderboard.leaderboard)
app.command("predict", epilog=predict.EXAMPLE)(predict.predict)
app.command("report", epilog=report.EXAMPLE)(report.report)
app.add_typer(studies.app, name="studies")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Exit codes: 0 done; 1 it failed; 2 what was given is wrong, or a file or disk cannot be used; 130
    interrupted. A stack trace is shown only with ``--debug``, anywhere on the line, or
    ``MODELWRIGHT_DEBUG=1``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or os.environ.get("MODELWRIGHT_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    try:
        app(words, standalone_mode=True)
    except SystemExit as left:
        if left.code == 130:  # what typer makes of Ctrl-C
            _say("interrupted; the same command goes on from here.")
        raise
    except BrokenPipeError:
        # Whoever read our output has had enough. The descriptor is replaced, or Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (ModelwrightError, OSError) as error:
        if debug:
            raise
        _say(f"error: {_words(error)}")
        sys.exit(2 if isinstance(error, (InputError, OSError)) or _is_wrong_storage(error) else 1)


def _words(error: Exception) -> str:
    if isinstance(error, ModelwrightError):
        code = f" [{error.code}]" if error.code else ""
        return f"{error}{code}"
    assert isinstance(error, OSError)
    place = f": {error.filename!r}" if error.filename else ""
    return f"{error.strerror or error}{place}. Check the disk and the permissions. [E_OS]"


def _is_wrong_storage(error: Exception) -> bool:
    from modelwright.errors import SchemaError, StorageError, StudyExistsError, StudyNotFoundError

    if isinstance(error, (SchemaError, StudyNotFoundError, StudyExistsError)):
        return True
    return isinstance(error, StorageError) and error.code.startswith("E_DB")


def _say(text: str) -> None:
    typer.echo(text, err=True)
