"""The `modelwright` command: its groups, and how every error leaves it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from modelwright import __version__
from modelwright.cli import (
    files,
    fit,
    leaderboard,
    predict,
    replay,
    report,
    serve,
    studies,
    transfer,
    trials,
    worker,
    workers,
)
from modelwright.cli.repeats import refuse_repeats
from modelwright.errors import InputError, ModelwrightError

__all__ = ["app", "main"]

_INTERRUPTED = 130

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


app.command("fit", epilog=fit.EXAMPLE, short_help="Find the best model for a table.")(fit.fit)
app.command("leaderboard", epilog=leaderboard.EXAMPLE, short_help="Show every model of a run.")(
    leaderboard.leaderboard
)
app.command("predict", epilog=predict.EXAMPLE, short_help="Predict each row of a table.")(predict.predict)
app.command("replay", epilog=replay.EXAMPLE, short_help="Prove a study from its log.")(replay.replay)
app.command("report", epilog=report.EXAMPLE, short_help="Write one HTML file about a run.")(report.report)
studies.app.command("files", epilog=files.EXAMPLE)(files.files)
transfer.add_commands(studies.app)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.add_typer(studies.app, name="studies")
app.add_typer(trials.app, name="trials")
app.command("worker", epilog=worker.EXAMPLE)(worker.worker)
app.add_typer(workers.app, name="workers")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Exit codes: 0 done; 1 it failed; 2 what was given is wrong, or a file or disk cannot be used; 130
    interrupted. A stack trace is shown only with ``--debug``, anywhere on the line, or
    ``MODELWRIGHT_DEBUG=1``.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words or os.environ.get("MODELWRIGHT_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    _fill_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # names may hold what a terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        refuse_repeats(typer.main.get_command(app), words)
        try:
            app(words, standalone_mode=True)
        finally:
            sys.stdout.flush()  # what cannot be written is said here, and not by Python at exit
    except SystemExit as left:
        if left.code == _INTERRUPTED:  # what typer makes of Ctrl-C
            _forget_interrupt()
            _say("interrupted; the same command goes on from here.")
        if isinstance(left.__context__, BrokenPipeError):  # typer makes a failure of it
            _leave_to_reader()
        raise
    except KeyboardInterrupt:
        _forget_interrupt()
        sys.exit(_INTERRUPTED)  # before the command began, or after it ended
    except BrokenPipeError:
        _leave_to_reader()
    except (ModelwrightError, OSError) as error:
        if debug:
            raise
        if isinstance(error, OSError):
            _drop_output()
        _say(f"error: {_words(error)}")
        sys.exit(2 if isinstance(error, (InputError, OSError)) or _is_wrong_storage(error) else 1)


def _fill_standard_streams() -> None:
    """Give streams that were closed from the start a place to go.

    Otherwise each print would have to ask whether there is one, and the first file to be opened would get
    their numbers, so that what a library prints would end up in it.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    number = os.open(os.devnull, os.O_RDWR)
    while number <= 2:
        os.set_inheritable(number, True)
        number = os.dup(number)
    os.close(number)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115, PTH123


def _forget_interrupt() -> None:
    """Let the exit code be ours.

    Python takes an interrupt that left an `exec` of text (each dataclass that a lazy import defines is one)
    for an unhandled one, although it was caught further out, and would end the process by the signal instead.
    The next `exec` makes it forget.
    """
    exec("")  # noqa: S102


def _leave_to_reader() -> NoReturn:
    """Leave as one whose output was read by somebody who has had enough of it."""
    _drop_output()
    sys.exit(0)


def _drop_output() -> None:
    """Let what is still to be written go nowhere, or Python complains of it at exit."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()  # an error about something else does not cost the output before it
        return
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
