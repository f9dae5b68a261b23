"""The files that trials have left, read from wherever they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.registry import nearest
from modelwright.errors import InputError, StudyStateError
from modelwright.study.control import StudyControl

if TYPE_CHECKING:
    from pathlib import Path

    from modelwright.records import Artifact

__all__ = ["StudyFiles"]


class StudyFiles(StudyControl):
    """What `Study` offers to read the files of trials."""

    _folder: Path | None

    def artifacts(self, number: int) -> tuple[Artifact, ...]:
        """Return the files that a trial has left, by name.

        Parameters
        ----------
        number : int
            The trial.

        Returns
        -------
        tuple of Artifact
            Of a trial that runs: none yet.

        Raises
        ------
        InputError
            There is no trial of that number.
        """
        self._trial(number)
        found = self._storage.artifacts(self._view.record.id, number)
        return tuple(sorted((item for _, item in found), key=lambda item: item.name))

    def fetch_artifact(self, number: int, name: str, to: str | Path | None = None) -> Path:
        """Return a file of a trial, compared with its checksum, as a path on this machine.

        Parameters
        ----------
        number : int
            The trial.
        name : str
            The file, as `artifacts` names it.
        to : str or Path, optional
            Where to put a copy: a folder that exists, or the copy's own path. Without it the path is that of
            the file itself, where it is kept on this machine, or else of a copy in the user's cache: read it,
            and leave it as it is.

        Raises
        ------
        InputError
            The trial has no file of that name, or another file is in the way.
        StorageError
            The file is gone, or its bytes are not those that the trial left.
        StudyStateError
            It is not known here where the study keeps its files.
        """
        from modelwright.storage.artifacts import store_for
        from modelwright.study.fetching import cache_for, copy_to, target_of

        artifacts = {item.name: item for item in self.artifacts(number)}
        if name not in artifacts:
            raise InputError(
                f"trial {number} has no file called {name!r:.100}.",
                hint=nearest(name, list(artifacts)) if artifacts else "It has none.",
                code="E_ARTIFACT_MISSING",
            )
        record = self._view.record
        store = store_for(self._storage, record.id, self._folder)
        if store is None:
            raise StudyStateError(
                f"it is not known here where the study {record.spec.name!r} keeps its files.",
                hint="Name its folder: Study.load(..., folder=...).",
                code="E_NO_FILES",
            )
        if to is None:
            return store.get(artifacts[name], cache_for(self._storage, record))
        return copy_to(store, artifacts[name], target_of(to, name))
