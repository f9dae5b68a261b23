"""The bytes of a file that a user names: only regular files, within limits, unpacked if need be."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from modelwright._base.registry import nearest
from modelwright.errors import DataError

__all__ = ["ReadLimits", "checked_path", "read_bytes"]

_ADDRESS = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+://|file:|\\\\)")
_CHUNK = 1 << 20
_RATIO_FREE = 1 << 20  # small files may be packed as tightly as they like

_PACKED = {b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"BZh": "bzip2", b"\x28\xb5\x2f\xfd": "zstd"}
_OTHER = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database",
    b"\x7fELF": "a program",
    b"\xd0\xcf\x11\xe0": "an Office document",
    b"\x80\x04\x95": "a Python pickle",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF": "an HDF5 file",
    b"ARROW1": "an Arrow file",
    b"{": "JSON",
    b"<": "HTML or XML",
}


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a file may cost at the most.

    Attributes
    ----------
    file_bytes : int
        Of the file, and of what it unpacks to.
    columns, cells : int
        Of the table.
    field_bytes : int
        Of one cell.
    ratio : float
        Unpacked size over packed size.
    """

    file_bytes: int = 2_000_000_000
    columns: int = 20_000
    cells: int = 50_000_000
    field_bytes: int = 1_000_000
    ratio: float = 100.0


def checked_path(source: str | os.PathLike[str], limits: ReadLimits) -> Path:
    """Return the path of a regular file that may be read.

    Raises
    ------
    DataError
        ``E_FILE_URL``, ``E_FILE_NOT_FOUND``, ``E_FILE_DIRECTORY``, ``E_FILE_KIND``, ``E_FILE_PERMISSION`` or
        ``E_FILE_TOO_LARGE``.
    """
    if _ADDRESS.match(os.fspath(source)):
        raise _file_error(
            "URL", f"expected a file of this machine, got the address {str(source)!r}.", "Download it first."
        )
    path = Path(source)
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise _file_error("NOT_FOUND", f"there is no file {str(path)!r}.", _neighbours(path)) from None
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(facts.st_mode):
        raise _file_error(
            "DIRECTORY", f"expected a file with a table, but {str(path)!r} is a folder.", "Name a file in it."
        )
    if not stat.S_ISREG(facts.st_mode):
        raise _file_error(
            "KIND", f"expected a regular file, but {str(path)!r} is a pipe or a device.", "Save it as a file."
        )
    if facts.st_size > limits.file_bytes:
        raise _too_large(path, facts.st_size, limits)
    return path


def read_bytes(path: Path, limits: ReadLimits) -> bytes:
    """Return the contents of a file, unpacked if it is gzip.

    Raises
    ------
    DataError
        ``E_COMPRESSION`` (damaged, another packer, or it unpacks to too much), ``E_FILE_FORMAT`` (a kind of
        file that holds no table), ``E_FILE_PERMISSION`` or ``E_FILE_TOO_LARGE``.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error
    if data.startswith(b"\x1f\x8b"):
        data = _unpack(path, len(data), limits)
    elif path.suffix == ".gz" and data:
        raise _packing(path, "is not gzip, though its name ends in .gz")
    _refuse_other_kinds(path, data)
    return data


def _unpack(path: Path, packed: int, limits: ReadLimits) -> bytes:
    most = min(limits.file_bytes, max(_RATIO_FREE, int(limits.ratio * packed)))
    parts, size = [], 0
    try:
        with gzip.open(path) as file:
            while part := file.read(_CHUNK):
                parts.append(part)
                size += len(part)
                if size > most:
                    raise _packing(path, f"unpacks to more than {most:,} bytes, from {packed:,}")
    except (OSError, EOFError, zlib.error) as error:
        raise _packing(path, f"is damaged: {error}") from error
    data = b"".join(parts)
    if data.startswith(b"\x1f\x8b"):
        raise _packing(path, "is packed twice")
    return data


def _refuse_other_kinds(path: Path, data: bytes) -> None:
    for start, name in _PACKED.items():
        if data.startswith(start):
            raise _packing(
                path, f"is packed with {name} (or is an Excel file)" if name == "zip" else f"is {name}"
            )
    head = data[:64].lstrip()
    for start, name in _OTHER.items():
        if head.startswith(start):
            raise _file_error(
                "FORMAT",
                f"expected a table in {str(path)!r}; it holds {name}.",
                "Save the table as CSV or Parquet.",
            )


def _neighbours(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()][:1000]
    except OSError:
        return f"There is no folder {str(path.parent)!r} either."
    close = nearest(path.name, names)
    return close if close.startswith("Did") else "Check the path."


def _file_error(kind: str, message: str, hint: str) -> DataError:
    return DataError(message, hint=hint, code=f"E_FILE_{kind}")


def _unreadable(path: Path, error: OSError) -> DataError:
    return _file_error(
        "PERMISSION", f"{str(path)!r} cannot be read: {error.strerror}.", "Check who may read it."
    )


def _too_large(path: Path, size: int, limits: ReadLimits) -> DataError:
    return _file_error(
        "TOO_LARGE",
        f"expected {limits.file_bytes:,} bytes at the most, but {str(path)!r} has {size:,}.",
        "Take a sample of its rows, or raise ReadLimits(file_bytes=...).",
    )


def _packing(path: Path, what: str) -> DataError:
    return DataError(
        f"{str(path)!r} {what}.",
        hint="Give the table as CSV, CSV packed once with gzip, or Parquet.",
        code="E_COMPRESSION",
    )
