"""Files of trials on their way into the study's store.

A trial's process has no way to the store, so whoever keeps the trial takes its files there: after its end
and before its result is written, so that all files of a complete trial are there, whole. A thread does it,
and the other trials of the run go on. What the store refuses is left out, and costs no result.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.errors import ModelwrightError, StorageUnavailableError
from modelwright.execution.base import EndKind
from modelwright.records import Artifact, Outcome, TrialState
from modelwright.storage.base import Claim, Storage
from modelwright.study.checkpoints import attempt_folder, newest_checkpoint, remove_checkpoints
from modelwright.study.logged import LoggedFile

if TYPE_CHECKING:
    from modelwright.storage.artifacts import ArtifactStore
    from modelwright.study.attempts import Attempt
    from modelwright.study.scratch import Scratch

__all__ = ["Publication", "TrialFiles", "published"]

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

    def __init__(self, store: ArtifactStore, claim: Claim, files: Sequence[LoggedFile]) -> None:
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
                why = _in_words(error)
            if not self._note(file, kept, why):
                return
        self.done = True

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


class TrialFiles:
    """Where the attempts of a run keep files, and the way of these into the store.

    Parameters
    ----------
    storage : Storage
        The ledger; a server that has it keeps files, too.
    study_id : int
        The study.
    folder : Path, optional
        The study's own. Where there is none and a server keeps the files, trials work in a folder that goes
        with the run.
    notify : callable, optional
        Called, in any thread, when there is something to `take`. Without it files are published at once.
    """

    def __init__(
        self,
        storage: Storage,
        study_id: int,
        folder: Path | None,
        notify: Callable[[], None] | None = None,
    ) -> None:
        self.folder = None if folder is None else folder.absolute()  # an objective may go elsewhere
        self._storage = storage
        self._study_id = study_id
        self._notify = notify
        self._served = hasattr(storage, "artifact_store")
        self._scratch: Scratch | None = None
        self._waiting: dict[int, tuple[Attempt, float]] = {}  # until when it is waited for

    def place(self, claim: Claim) -> Path | None:
        """Return the folder of an attempt, which need not exist."""
        root = self.folder
        if root is None and self._served:
            root = self._made_scratch().path
        return None if root is None else attempt_folder(root, claim.number, claim.fence)

    def resume(self, claim: Claim, parent_fence: int) -> Path | None:
        """Return the checkpoint that an attempt goes on from: of an earlier one, or of its parent's last."""
        if self.folder is None:
            return None
        found = newest_checkpoint(self.folder, claim.number, claim.fence - 1)
        if found is None and claim.parent is not None:
            found = newest_checkpoint(self.folder, claim.parent, parent_fence)
        return found

    def finished(self, claim: Claim, outcome: Outcome) -> None:
        """Remove the checkpoints of a trial that nobody will go on from."""
        if self.folder is not None and outcome.state is TrialState.COMPLETE and claim.fidelity is None:
            kept = [artifact.location for artifact in outcome.artifacts]
            remove_checkpoints(self.folder, claim.number, claim.fence, kept)

    def _made_scratch(self) -> Scratch:
        if self._scratch is None:
            from modelwright.study.scratch import Scratch

            self._scratch = Scratch()
        return self._scratch

    def publication(self, claim: Claim, files: Sequence[LoggedFile]) -> Publication:
        """Return the publication of files, to be started."""
        from modelwright.storage.artifacts import store_for

        store = store_for(self._storage, self._study_id, self.folder)
        assert store is not None, "a trial without a place for files has logged one"
        return Publication(store, claim, files)

    # beside a run ------------------------------------------------------------------------------------

    def begin(self, attempt: Attempt) -> bool:
        """Publish what an attempt that has ended asked to keep; False if there is nothing to wait for."""
        assert attempt.job is not None
        assert attempt.job.end is not None
        given_back = attempt.job.end.kind is EndKind.CANCELLED and not attempt.killed
        if not attempt.files or given_back:
            return False
        attempt.publication = self.publication(attempt.claim, attempt.files)
        self._waiting[attempt.claim.number] = (attempt, float("inf"))
        if self._notify is None:
            attempt.publication.run()
        else:
            attempt.publication.start(self._notify)
        return True

    def hurry(self, number: int, within_s: float) -> None:
        """Wait no longer than `within_s` for the files of a trial, if they are waited for."""
        if number in self._waiting:
            attempt, until = self._waiting[number]
            self._waiting[number] = (attempt, min(until, time.monotonic() + within_s))

    def take(self) -> list[Attempt]:
        """Return, once, the attempts whose files are waited for no longer."""
        now = time.monotonic()
        taken = []
        for number, (attempt, until) in list(self._waiting.items()):
            assert attempt.publication is not None
            if not attempt.publication.done and attempt.publication.outage is None and now < until:
                continue
            del self._waiting[number]
            if attempt.publication.outage is None:
                attempt.publication.leave_out("the run's time was over.")
            taken.append(attempt)
        return taken

    def not_published(self, attempt: Attempt) -> list[LoggedFile]:
        """Publish nothing more of an attempt, and return what is left."""
        return attempt.files if attempt.publication is None else attempt.publication.stop()

    def leave_out(self, attempt: Attempt, why: str) -> None:
        """Publish nothing more of an attempt, and say so of each file that is left."""
        if attempt.files and attempt.publication is None:
            attempt.publication = self.publication(attempt.claim, attempt.files)
        if attempt.publication is not None:
            attempt.publication.leave_out(why)

    def forget(self, attempt: Attempt) -> None:
        """Remove what an attempt has left on this machine alone."""
        self._waiting.pop(attempt.claim.number, None)
        self.clear(attempt.claim)

    def clear(self, claim: Claim) -> None:
        """Remove the folder of an attempt, if files are not kept here."""
        if self._scratch is not None:
            import shutil

            place = self.place(claim)
            assert place is not None
            shutil.rmtree(place, ignore_errors=True)

    def keep(self) -> None:
        """Leave files where they are, for whoever publishes them later."""
        if self._scratch is not None:
            self._scratch.keep()

    def close(self) -> None:
        """Remove what is left on this machine alone."""
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None


def published(files: TrialFiles, claim: Claim, logged: Sequence[LoggedFile], outcome: Outcome) -> Outcome:
    """Publish files here and now, and return the outcome with them.

    Raises
    ------
    StorageUnavailableError
        The store stayed out of reach.
    """
    publication = files.publication(claim, logged)
    publication.run()
    if publication.outage is not None:
        raise publication.outage
    return publication.added_to(outcome)


def _warning(names: Sequence[str], why: str) -> str:
    if len(names) == 1:
        return f"the file {names[0]!r} was not kept: {why}"
    first = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    return f"{len(names)} files were not kept ({first}{', ...' if len(names) > _MOST_NAMES else ''}): {why}"


def _in_words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.strerror or error}."
    return str(error) if isinstance(error, ModelwrightError) else f"{type(error).__name__}: {error}."
