"""The folder of a run: where everything lies, and whose run it is."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from modelwright import __version__
from modelwright._base.jsonform import dumps, loads
from modelwright.errors import InputError

__all__ = ["RunFolder", "default_folder", "write_atomically"]

_FORMAT = 1


def default_folder(source: str) -> Path:
    """Return ``runs/<table>`` for the table at `source`."""
    stem = Path(source).name.split(".")[0]
    return Path("runs") / (re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_") or "table")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all, also after a power loss."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


class RunFolder:
    """Knows the names of a run's files.

    Parameters
    ----------
    path : Path
        The run's folder; it need not exist.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def manifest(self) -> Path:
        """``run.json``: written last at set-up, so that a folder without it was never set up."""
        return self.path / "run.json"

    @property
    def data(self) -> Path:
        """The encoded table."""
        return self.path / "data"

    @property
    def ledger_url(self) -> str:
        """The storage that the run uses unless another was given."""
        return f"sqlite:///{self.path / 'ledger.db'}"

    @property
    def bundle(self) -> Path:
        """The newest model."""
        return self.path / "bundle"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    def trial(self, number: int, fence: int) -> Path:
        """Return the folder of one attempt at a trial."""
        return self.path / "trials" / f"{number}-{fence}"

    def read(self) -> dict[str, Any] | None:
        """Return what ``run.json`` says; None where no run has been set up.

        Raises
        ------
        InputError
            The folder holds something else, or a run of a newer version.
        """
        if not self.manifest.exists():
            self._check_free()
            return None
        try:
            content: dict[str, Any] = loads(self.manifest.read_bytes())
            version = content["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{str(self.manifest)!r} is damaged: {error}.", code="E_PATH") from error
        if version > _FORMAT:
            raise InputError(
                f"the run in {str(self.path)!r} was written by a newer version ({content.get('version')}).",
                hint="Upgrade modelwright.",
                code="E_VERSION",
            )
        return content

    def _check_free(self) -> None:
        """Refuse a place that is taken; what a set-up that was cut off has left is no hindrance."""
        if self.path.exists() and not self.path.is_dir():
            raise InputError(
                f"expected a folder for the run, but {str(self.path)!r} is a file.",
                hint="Choose another with --out.",
                code="E_PATH",
            )
        for parent in self.path.parents:
            if parent.exists() and not parent.is_dir():
                raise InputError(
                    f"expected a folder for the run, but {str(parent)!r} is a file.",
                    hint="Choose another with --out.",
                    code="E_PATH",
                )
        others = [path.name for path in self.path.iterdir()] if self.path.is_dir() else []
        if [name for name in others if name != "data" and not name.startswith(".")] or (
            "data" in others and ".lock" not in others
        ):
            raise InputError(
                f"the folder {str(self.path)!r} is not empty and holds no run.",
                hint="Choose another with --out.",
                code="E_PATH",
            )

    def write(self, content: Mapping[str, Any]) -> None:
        """Write ``run.json``."""
        write_atomically(self.manifest, dumps({"format": _FORMAT, "version": __version__, **content}))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock: of several commands one is inside at a time."""
        import fcntl

        while True:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / ".lock").open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_lock(file.fileno()):
                    yield
                    return
            # Whoever held it before has removed the folder, and the lock with it.

    def _is_lock(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), (self.path / ".lock").stat())
        except FileNotFoundError:
            return False

    @contextmanager
    def being_set_up(self) -> Iterator[None]:
        """Hold the lock; if the set-up fails, remove the folders that it made."""
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        with self.locked():
            try:
                yield
            except BaseException:
                if not self.manifest.exists():
                    self.remove_unfinished_data()
                    (self.path / ".lock").unlink(missing_ok=True)
                    with suppress(OSError):  # not empty: somebody else has put something there
                        for path in made:
                            path.rmdir()
                raise

    def remove_unfinished_data(self) -> None:
        """Remove an encoded table whose set-up was cut off before ``run.json`` was written."""
        shutil.rmtree(self.data, ignore_errors=True)
        for path in self.path.glob(".data.*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.path.glob(".run.json.*"):
            path.unlink(missing_ok=True)

    def check_same(self, content: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Refuse to go on with a run of other data or other settings.

        Parameters
        ----------
        content : mapping
            What ``run.json`` says.
        wanted : mapping
            ``data`` (a fingerprint) and ``settings`` of the present command.
        """
        if content["data"] != wanted["data"]:
            difference = "of other data"
        else:
            old, new = content["settings"], wanted["settings"]
            changed = [name for name in new if old.get(name) != new[name]]
            if not changed:
                return
            difference = "with other settings: " + "; ".join(
                f"{name} is {old.get(name)!r} there, {new[name]!r} here" for name in changed
            )
        raise InputError(
            f"the folder {str(self.path)!r} holds a run {difference}.",
            hint="Add --new for a fresh folder, or choose one with --out.",
            code="E_OTHER_RUN",
        )

    def fresh(self) -> RunFolder:
        """Return a folder beside this one with the next free number."""
        number = 2
        while (candidate := self.path.with_name(f"{self.path.name}-{number}")).exists():
            number += 1
        return RunFolder(candidate)
