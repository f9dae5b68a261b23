"""Files of trials on their way into the study's store.

A trial's process has no way to the store, so whoever keeps the trial takes its files there: after its end
and before its result is written, so that all files of a complete trial are there, whole. A thread does it,
and the other trials of the run go on. What the store refuses is left out, and costs no result.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from modelwright.errors import StorageError, StorageUnavailableError
from modelwright.execution.base import EndKind
from modelwright.records import Outcome, TrialState
from modelwright.storage.base import Claim, Storage
from modelwright.study.checkpoints import NAME as CHECKPOINT
from modelwright.study.checkpoints import attempt_folder, is_there, newest_checkpoint, remove_checkpoints
from modelwright.study.logged import LoggedFile
from modelwright.study.publication import Publication, in_words

if TYPE_CHECKING:
    from modelwright.storage.artifacts import ArtifactStore
    from modelwright.study.attempts import Attempt
    from modelwright.study.scratch import Scratch

__all__ = ["TrialFiles", "published"]

_log = logging.getLogger("modelwright")


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
            return self._fetched(claim, parent_fence) if self._served else None
        found = newest_checkpoint(self.folder, claim.number, claim.fence - 1)
        if found is None and claim.parent is not None:
            found = newest_checkpoint(self.folder, claim.parent, parent_fence)
        return found

    def finished(self, claim: Claim, outcome: Outcome) -> None:
        """Remove the checkpoints of a trial that nobody will go on from."""
        if self.folder is not None and self._is_over(claim, outcome):
            kept = [artifact.location for artifact in outcome.artifacts]
            remove_checkpoints(self.folder, claim.number, claim.fence, kept)
        elif self._is_over(claim, outcome) and self.folder is None and self._served and claim.fence > 1:
            from modelwright.study.parcels import remove_parcels

            with suppress(StorageError):  # they go with the study at the latest
                remove_parcels(self._store(), claim.number)

    @staticmethod
    def _is_over(claim: Claim, outcome: Outcome) -> bool:
        """Whether nobody will go on from a trial: a fidelity means that it may be promoted."""
        return outcome.state is TrialState.COMPLETE and claim.fidelity is None

    def _fetched(self, claim: Claim, parent_fence: int) -> Path | None:
        """Bring the checkpoint that an attempt goes on from, if one was sent; else it begins anew."""
        before = [(claim.number, claim.fence - 1)]
        before += [] if claim.parent is None else [(claim.parent, parent_fence)]
        place = self.place(claim)
        assert place is not None
        for number, fence in before:
            if fence < 1:
                continue
            from modelwright.study.parcels import fetch_parcel

            try:
                if (found := fetch_parcel(self._store(), number, fence, place / "resumed")) is not None:
                    return found
            except StorageUnavailableError:
                raise
            except Exception as error:
                _log.warning("trial %d begins anew: its checkpoint: %s", claim.number, in_words(error))
        return None

    def _made_scratch(self) -> Scratch:
        if self._scratch is None:
            from modelwright.study.scratch import Scratch

            self._scratch = Scratch()
        return self._scratch

    def publication(
        self, claim: Claim, files: Sequence[LoggedFile], checkpoint: Path | None = None
    ) -> Publication:
        """Return the publication of files, and of a checkpoint, to be started."""
        return Publication(self._store(), claim, files, checkpoint)

    def _store(self) -> ArtifactStore:
        from modelwright.storage.artifacts import store_for

        store = store_for(self._storage, self._study_id, self.folder)
        assert store is not None, "a trial without a place for files has logged one"
        return store

    # beside a run ------------------------------------------------------------------------------------

    def begin(self, attempt: Attempt, within_s: float) -> bool:
        """Publish what an attempt that has ended asked to keep; False if there is nothing to wait for.

        The checkpoint of one that is given back is waited for no longer than `within_s`.
        """
        assert attempt.job is not None
        assert attempt.job.end is not None
        given_back = attempt.job.end.kind is EndKind.CANCELLED and not attempt.killed
        files = [] if given_back else attempt.files
        checkpoint = self._to_send(attempt)
        if not files and checkpoint is None:
            return False
        attempt.publication = self.publication(attempt.claim, files, checkpoint)
        until = time.monotonic() + within_s if given_back else float("inf")
        self._waiting[attempt.claim.number] = (attempt, until)
        if self._notify is None:
            attempt.publication.run()
        else:
            attempt.publication.start(self._notify)
        return True

    def _to_send(self, attempt: Attempt) -> Path | None:
        """Return the checkpoint that an attempt without a result leaves, if no folder that stays has it."""
        assert attempt.job is not None
        end = attempt.job.end
        over = end is not None and end.kind is EndKind.RESULT and "failure" not in end.result
        over = over or attempt.killed
        if over or self.folder is not None or not self._served or attempt.folder is None:
            return None
        folder = attempt.folder / CHECKPOINT
        return folder if is_there(folder) else None

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
