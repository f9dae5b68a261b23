"""What becomes of the files of one attempt on their way into the study's store."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.errors import ModelwrightError, StorageUnavailableError
from modelwright.records import Artifact, Outcome
from modelwright.storage.base import Claim
from modelwright.study.logged import LoggedFile

if TYPE_CHECKING:
    from modelwright.storage.artifacts import ArtifactStore

__all__ = ["Publication", "in_words"]

_MOST_NAMES = 3  # in a warning

_log = logging.getLogger("modelwright")


class Publication:
    """What becomes of the files of one attempt.

    Parameters
    ----------
    store : ArtifactStore
        Where they go.
    claim : Claim
        The attempt.
    files : sequence of LoggedFile
        What it logged.
    checkpoint : Path, optional
        A folder to send along for the next attempt.

    Attributes
    ----------
    artifacts : list of Artifact
        Those that the store has taken.
    refused : dict of str to list of str
        Names of those that are left out, by the reason.
    left : list of LoggedFile
        Those that are still to be taken.
    outage : StorageUnavailableError, optional
        Why they are: the store was out of reach for as long as one waits for it.
    done : bool
        Whether nothing more will happen.
    """

    def __init__(
        self,
        store: ArtifactStore,
        claim: Claim,
        files: Sequence[LoggedFile],
        checkpoint: Path | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self.artifacts: list[Artifact] = []
        self.refused: dict[str, list[str]] = {}
        self.left = list(files)
        self.outage: StorageUnavailableError | None = None
        self.done = False
        self._store = store
        self._claim = claim
        self._lock = threading.Lock()

    def start(self, notify: Callable[[], None]) -> None:
        """Begin in a thread, which calls `notify` when all is done."""
        name = f"modelwright-files-{self._claim.number}"
        threading.Thread(target=self._run_and_tell, args=[notify], name=name, daemon=True).start()

    def _run_and_tell(self, notify: Callable[[], None]) -> None:
        self.run()
        with suppress(OSError, ValueError):  # the run is over, and so is whoever would hear
            notify()

    def run(self) -> None:
        """Take one file after the other to the store."""
        for file in tuple(self.left):
            kept, why = None, ""
            try:
                kept = self._store.put(
                    self._claim.number, self._claim.fence, file.name, file.path, format=file.format
                )
            except StorageUnavailableError as outage:
                self.outage = outage
                break
            except Exception as error:  # whatever a store is made of: the result is worth more than a file
                _log.debug("a file could not be kept", exc_info=True)
                why = in_words(error)
            if not self._note(file, kept, why):
                return
        if self._checkpoint is not None and self.outage is None:
            self._send(self._checkpoint)
        self.done = True

    def _send(self, checkpoint: Path) -> None:
        """Send a checkpoint; without it the next attempt begins anew, which is no reason to fail."""
        from modelwright.study.parcels import send_parcel  # few trials have one

        try:
            send_parcel(self._store, self._claim.number, self._claim.fence, checkpoint)
        except Exception as error:
            _log.warning(
                "trial %d: the checkpoint was not kept: %s",
                self._claim.number,
                in_words(error),
                exc_info=_log.isEnabledFor(logging.DEBUG),
            )

    def _note(self, file: LoggedFile, kept: Artifact | None, why: str) -> bool:
        with self._lock:
            if self.done:  # nobody waits any more
                return False
            self.left.remove(file)
            if kept is not None:
                self.artifacts.append(kept)
            else:
                self._refuse(file, why)
            return True

    def stop(self) -> list[LoggedFile]:
        """Take nothing more, and return what is left."""
        with self._lock:
            self.done = True
            left, self.left = self.left, []
        return left

    def leave_out(self, why: str) -> None:
        """Take nothing more, and say so of each file that is left."""
        for file in self.stop():
            self._refuse(file, why)

    def _refuse(self, file: LoggedFile, why: str) -> None:
        self.refused.setdefault(why, []).append(file.name)

    def added_to(self, outcome: Outcome) -> Outcome:
        """Return an outcome with the files that were taken, and words on those that were not, also logged."""
        warnings = [_warning(names, why) for why, names in self.refused.items()]
        for text in warnings:
            _log.warning("trial %d: %s", self._claim.number, text)
        metrics = outcome.metrics
        if warnings:
            own = metrics.get("warnings", [])
            metrics = {**metrics, "warnings": [*(own if isinstance(own, list) else [own]), *warnings]}
        return replace(outcome, metrics=metrics, artifacts=(*outcome.artifacts, *self.artifacts))


def _warning(names: Sequence[str], why: str) -> str:
    if len(names) == 1:
        return f"the file {names[0]!r} was not kept: {why}"
    first = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    return f"{len(names)} files were not kept ({first}{', ...' if len(names) > _MOST_NAMES else ''}): {why}"


def in_words(error: Exception) -> str:
    """Return why something could not be kept, or brought."""
    if isinstance(error, OSError):
        return f"{error.strerror or error}."
    return str(error) if isinstance(error, ModelwrightError) else f"{type(error).__name__}: {error}."
