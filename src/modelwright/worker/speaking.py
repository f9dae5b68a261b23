"""What a worker says: one line for each trial, and a note when something changes."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator
from typing import TextIO

from modelwright.records import StudyState, Trial, TrialState
from modelwright.storage.base import StudyRecord

__all__ = ["Voice"]

_ENDINGS = {
    "spent": "Trial budget has run out!",
    "deadline": "The time of the study is over!",
    "time is up": "The time of the study is over!",
    "cost": "Cost budget has run out!",
}


class Voice:
    """Writes lines; a reader that has gone away is no reason to stop working.

    Parameters
    ----------
    label : str
        Begins each line, to tell the slots of one command apart.
    quiet : bool
        Whether to leave out single trials.
    """

    def __init__(self, label: str = "", *, quiet: bool = False) -> None:
        self._label = label
        self._quiet = quiet
        self._last_note = ""

    def say(self, text: str) -> None:
        """Write a line to standard output."""
        self._write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Write a line to standard error, unless it was the last one there."""
        if text != self._last_note:
            self._last_note = text
            self._write(sys.stderr, text)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Show what the library logs meanwhile, such as an outage of the ledger, as notes."""
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self.note(record.getMessage())  # type: ignore[method-assign]
        logger = logging.getLogger("modelwright")
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)

    def trial(self, study: str, trial: Trial) -> None:
        """Say how a trial went."""
        if self._quiet:
            return
        what = f"{study}: trial {trial.number}"
        took = "" if trial.duration_s is None else f" ({trial.duration_s:.3g} s)"
        values = ", ".join(f"{value:.6g}" for value in trial.values)
        if trial.failure is not None:
            first = (trial.failure.message.splitlines() or [""])[0]
            self.say(f"{what} failed ({trial.failure.kind.value}): {first}{took}")
        elif trial.state is TrialState.COMPLETE:
            self.say(f"{what}: {values}{took}")
        elif trial.state is TrialState.PRUNED:
            self.say(f"{what} pruned{f' at {values}' if values else ''}{took}")
        else:
            self.say(f"{what} failed and will be tried again{took}")

    def ended(self, record: StudyRecord, reason: str) -> None:
        """Say that a study is over, and why."""
        why = f"{record.closed}." if record.closed else _ENDINGS.get(reason, "")
        if why:
            self.say(why)
        how = "has ended" if record.state is StudyState.COMPLETE else f"is {record.state.value}"
        self.say(f"Study {record.spec.name!r} {how}.")

    def _write(self, stream: TextIO, text: str) -> None:
        # One write, so that lines of several processes do not mix; no control characters, which a name or a
        # message may hold and a terminal would obey.
        line = "".join(c if c.isprintable() else " " for c in f"{self._label}{text}")
        with contextlib.suppress(OSError, ValueError):
            stream.write(line + "\n")
            stream.flush()
