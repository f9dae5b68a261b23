"""Which bundle of a run is the current one: numbered folders, and a link that is swapped by rename.

::

    runs/data/bundles/7/       complete and never changed; the last two stay
    runs/data/bundles/8/
    runs/data/bundle           relative link to bundles/8

A process that is killed here leaves at worst a hidden leftover, which the next `publish` removes; the
link points to a whole bundle at every moment. A reader that followed the link just before it moved
twice can find its folder gone; `Bundle.load` then follows the link again.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from modelwright.automl.bundle.files import hidden_name, sync
from modelwright.automl.bundle.manifest import MANIFEST_FILE
from modelwright.errors import BundleError

__all__ = ["current_version", "locate", "new_version", "publish", "version_folder"]

_LINK = "bundle"
_FOLDER = "bundles"
_LEFTOVER = re.compile(r"\.(?P<version>\d+)\.[0-9a-f]+|\.bundle-(?P<link>\d+)\.[0-9a-f]+")


def version_folder(run_folder: Path, version: int) -> Path:
    """Return where version `version` of a run's bundle lies, or will lie."""
    return run_folder / _FOLDER / str(version)


def new_version(run_folder: Path) -> int:
    """Return the number after the highest in use, 1 where there is none yet."""
    return max(_versions(run_folder), default=0) + 1


def current_version(run_folder: Path) -> int | None:
    """Return the number that the link points to; None before the first `publish`."""
    try:
        target = (run_folder / _LINK).readlink()
    except OSError:
        return None
    return int(target.name) if target.name.isdecimal() else None


def publish(run_folder: Path, version: int) -> int:
    """Make `version` the current bundle of a run, and remove what is older than the one before it.

    Parameters
    ----------
    run_folder : Path
        The run; ``bundles/<version>`` must be there, written by `write_bundle`.
    version : int
        A version older than the current one changes nothing: its writer has been overtaken.

    Returns
    -------
    int
        The version that is current now.

    Raises
    ------
    BundleError
        ``bundles/<version>`` is not a bundle.
    """
    folder = version_folder(run_folder, version)
    now = current_version(run_folder)
    if now is not None and now > version:
        return now
    if not (folder / MANIFEST_FILE).is_file():
        raise BundleError(
            f"expected a written bundle at {str(folder)!r}, found none.", code="E_MANIFEST_MISSING"
        )
    link = hidden_name(run_folder / f"{_LINK}-{version}")
    link.symlink_to(Path(_FOLDER) / str(version))
    link.replace(run_folder / _LINK)
    sync(run_folder)
    _clean(run_folder, version)
    return version


def locate(path: str | os.PathLike[str]) -> Path:
    """Return the bundle that `path` means: itself, or the current one of the run in that folder.

    The result is free of links, so it keeps naming the same bundle when the run goes on.
    """
    given = Path(path)
    if not (given / MANIFEST_FILE).exists() and (given / _LINK).is_symlink():
        given = given / _LINK
    return given.resolve()


def _versions(run_folder: Path) -> list[int]:
    folder = run_folder / _FOLDER
    return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []


def _clean(run_folder: Path, version: int) -> None:
    """Remove old versions and what killed writers have left; newer work of others is not touched."""
    before = max((number for number in _versions(run_folder) if number < version), default=version)
    for number in _versions(run_folder):
        if number < before:
            # Renamed first: a folder that is half removed must not bear a version's name.
            old = version_folder(run_folder, number)
            _remove(old.rename(hidden_name(old)))
    for path in [*run_folder.glob(".bundle-*"), *(run_folder / _FOLDER).glob(".*")]:
        match = _LEFTOVER.fullmatch(path.name)
        if match and int(match["version"] or match["link"]) < version:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_symlink():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)
