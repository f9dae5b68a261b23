"""Files for users: written whole or not at all, never over something else unasked, never through a link."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from modelwright.errors import InputError

__all__ = ["open_output"]


@contextmanager
def open_output(path: Path, *, force: bool = False) -> Iterator[BinaryIO]:
    """Open a new file for writing that takes the name `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        Where it shall be. Its folder must exist.
    force : bool, default=False
        Replace a file that is there. A link is replaced itself, never the file that it points to.

    Raises
    ------
    InputError
        Something is there, the place is a folder, or the folder around it does not exist.
    """
    _check(path, force)
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(6)}")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if force:
            temporary.replace(path)
        else:
            _take_name(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _check(path: Path, force: bool) -> None:
    if not path.name or not path.parent.is_dir():
        raise InputError(
            f"expected a file to write, got {str(path)!r}: there is no folder {str(path.parent)!r}.",
            hint="Create the folder first.",
            code="E_PATH",
        )
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise InputError(f"expected a file to write, but {str(path)!r} is a folder.", code="E_PATH")
    if not force:
        raise _taken(path, "a link" if stat.S_ISLNK(mode) else "there already")
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise InputError(f"expected a file to write, but {str(path)!r} is a device or a pipe.", code="E_PATH")


def _take_name(temporary: Path, path: Path) -> None:
    """Give the file its name unless something has taken it meanwhile."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise _taken(path, "there already") from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise _taken(path, "there already") from None
        temporary.replace(path)


def _taken(path: Path, what: str) -> InputError:
    return InputError(
        f"{str(path)!r} is {what}.", hint="Take another name, or replace it with --force.", code="E_EXISTS"
    )
