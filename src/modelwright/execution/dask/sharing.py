"""Which folders of the coordinator's the workers see as well: known by a marker file that is laid in them."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path

from modelwright.errors import ExecutionError, InputError
from modelwright.execution.dask.cluster import Cluster

__all__ = ["Sharing"]

_log = logging.getLogger("modelwright")


class Sharing:
    """The markers of one executor, and the folder that its tasks cannot do without, if there is one.

    Parameters
    ----------
    cluster : Cluster
        The cluster.

    Attributes
    ----------
    token : str
        What is in the markers, so that nobody else's are taken for ours.
    needed : Path, optional
        The folder that workers have to see.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._markers: dict[Path, Path] = {}
        self.token = secrets.token_hex(16)
        self.needed: Path | None = None
        self._blind: dict[Path, set[str]] = {}  # of the folders that were asked for: who does not see them

    @property
    def blind(self) -> set[str]:
        """Workers that do not see the folder that is needed."""
        return set() if self.needed is None else self._blind[self.needed]

    def marker(self, folder: Path | None) -> str | None:
        """Return the marker by which a worker sees whether a task's folder here is its own as well."""
        place = self.needed or (None if folder is None else folder.absolute().parent)
        return None if place is None else str(self._mark(place))

    def require(self, folder: Path | None, patience_s: float) -> None:
        """Have no task from now on run where `folder` is not seen; None: each may run anywhere.

        Raises
        ------
        InputError
            There are workers that do not see it.
        ExecutionError
            There are no workers within `patience_s`.
        """
        folder = None if folder is None else folder.absolute()
        if folder is None or folder in self._blind:
            self.needed = folder
            return
        there = next(place for place in (folder, *folder.parents) if place.is_dir())  # it may be made later
        marker = str(self._mark(there))
        members = self._cluster.survey(patience_s, marker, self.token)
        blind = [member.address for member in members if not member.sees]
        if blind:
            raise InputError(
                f"{len(blind)} of {len(members)} workers of the Dask cluster do not see the folder "
                f"{str(folder)!r}, which trials read and write; the first is {blind[0]}.",
                hint="Choose a folder that all machines reach under the same path, such as one on a network "
                "file system, or leave those workers out of the cluster.",
                code="E_NOT_SHARED",
            )
        self.needed, self._blind[folder] = folder, set()

    def put_aside(self, worker: str, workers: set[str]) -> None:
        """Give no more tasks to a worker that came later and does not see the folder.

        Raises
        ------
        ExecutionError
            No other one is left.
        """
        self.blind.add(worker)
        _log.warning("the Dask worker %s does not see the folder %s: it gets no tasks", worker, self.needed)
        if workers <= self.blind:
            raise ExecutionError(
                f"none of the workers of the Dask cluster sees the folder {str(self.needed)!r}.",
                hint="Start workers where it can be reached under the same path, and run again.",
                code="E_NOT_SHARED",
            )

    def close(self) -> None:
        """Take the markers away."""
        for marker in self._markers.values():
            marker.unlink(missing_ok=True)

    def _mark(self, place: Path) -> Path:
        if place not in self._markers:
            place.mkdir(parents=True, exist_ok=True)
            self._markers[place] = place / f".shared-{self.token[:8]}"
            self._markers[place].write_text(self.token, encoding="ascii")
        return self._markers[place]
