"""What a fit shows while it runs: a live view on a terminal, few lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any, Protocol

from modelwright.cli.console import clean, number

__all__ = ["Progress", "make_progress"]

_LINE_EVERY_S = 60.0


class Progress(Protocol):
    """Listens to a fit; entered while it runs."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def note(self, text: str) -> None:
        """Something that a person should know: a finding, a folder, a resumed run."""

    def update(self, status: Any) -> None:
        """The run has moved; `status` is a `modelwright.automl.fit.FitStatus`."""


def make_progress(*, quiet: bool) -> Progress:
    """Return what suits where the output goes."""
    if quiet:
        return Silent()
    return Live() if sys.stderr.isatty() else Lines()


class Silent:
    """Says nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def note(self, text: str) -> None:
        """Say nothing."""

    def update(self, status: Any) -> None:
        """Say nothing."""


class Lines(Silent):
    """Notes, and a line a minute, on standard error: for logs and pipes."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _LINE_EVERY_S

    def note(self, text: str) -> None:
        """Print the note."""
        print(clean(text), file=sys.stderr, flush=True)

    def update(self, status: Any) -> None:
        """Print how the run stands, now and then."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LINE_EVERY_S
            self.note(f"{100 * status.share:.0f}%, {_counts(status)}; {_scores(status)}")


class Live:
    """A bar with budget and ETA, trials by state, best model and ensemble, redrawn a few times a second."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive

        self._console = Console(stderr=True)
        self._live = RichLive("getting ready", console=self._console, refresh_per_second=4, transient=True)
        self._next = 0.0

    def __enter__(self) -> Live:
        self._live.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        self._live.__exit__(*details)

    def note(self, text: str) -> None:
        """Print the note above the bar."""
        self._console.print(clean(text), markup=False, highlight=False)

    def update(self, status: Any) -> None:
        """Redraw, at most four times a second."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 0.25
            self._live.update(self._draw(status))

    def _draw(self, status: Any) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        head = Table.grid(padding=(0, 1))
        head.add_row(
            ProgressBar(total=1.0, completed=status.share, width=40, complete_style="green"),
            Text(f"{100 * status.share:.0f}%"),
            Text(f"{status.elapsed_s:.0f} s", style="bold"),
            Text("" if status.eta_s is None else f"about {status.eta_s:.0f} s left"),
        )
        return Group(head, Text(_counts(status)), Text(_scores(status)))


def _counts(status: Any) -> str:
    return ", ".join(f"{n} {state}" for state, n in status.counts.items() if n) or "starting"


def _scores(status: Any) -> str:
    if not status.best_model:
        return f"{status.metric}: no model yet"
    ensemble = "" if status.ensemble_score is None else f", ensemble {number(status.ensemble_score)}"
    return f"{status.metric}: best {number(status.best_score)} ({clean(status.best_model)}){ensemble}"
