"""Files on disk as a bundle needs them: checksums, links, and writes that last."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["hidden_name", "link_or_copy", "new_file", "sha256_of", "sync", "write_file"]

_NO_LINK_HERE = frozenset({errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS})


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's names, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and wait for the disk."""
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def link_or_copy(source: Path, target: Path) -> None:
    """Give the bytes of `source` a second name, or copy them where the file system has no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK_HERE:
            raise
        shutil.copyfile(source, target)
    sync(target)


def hidden_name(path: Path) -> Path:
    """Return an unused name beside `path`, on the same file system, that begins with a dot."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` at the end, or vanishes if writing fails.

    A reader sees the old file or the whole new one, never a part.
    """
    temporary = hidden_name(path)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync(path.parent)
