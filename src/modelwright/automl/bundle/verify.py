"""Whether a folder is a whole and unchanged bundle, found out without loading any model.

The order is from cheap and certain to dear: the manifest, the names in the folder, the sizes, the
checksums, and last the types inside the files. Nothing is unpickled; there is no other way in.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from modelwright.automl.bundle.files import sha256_of
from modelwright.automl.bundle.manifest import MANIFEST_FILE, FileEntry, Manifest
from modelwright.automl.bundle.trusted import check_contents
from modelwright.errors import BundleError

__all__ = ["read_manifest", "verify"]

_MANIFEST_LIMIT = 64 * 2**20
_KINDS = (
    (b"\x80", "a pickle"),
    (b"PK\x03\x04", "a zip archive, as torch and skops write them"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x78", "compressed data, as joblib writes it"),
    (b"\x1f\x8b", "compressed data"),
    (b"", "a file of another kind"),
)


def verify(folder: str | os.PathLike[str], *, checksums: bool = True) -> Manifest:
    """Check a bundle and return its manifest.

    Parameters
    ----------
    folder : path
        The bundle's folder.
    checksums : bool, default=True
        Whether to read every file and compare its checksum. Names, sizes and types inside the files are
        checked in any case.

    Raises
    ------
    BundleError
        ``E_MODEL_FORMAT``: not a bundle. ``E_MANIFEST_MISSING``, ``E_MANIFEST_INVALID``,
        ``E_MANIFEST_FORMAT``: no manifest, a broken one, one of a newer format. ``E_MANIFEST_PATH``: a
        link or special file, or a path that leaves the folder. ``E_MANIFEST_FILE_MISSING``,
        ``E_MANIFEST_FILE_EXTRA``, ``E_MANIFEST_SIZE``, ``E_MANIFEST_HASH``: the folder and its manifest
        disagree. ``E_UNTRUSTED_TYPE``: a file holds what a bundle may not hold.
    """
    root = Path(folder)
    manifest = read_manifest(root)
    sizes = dict(_files_below(root))
    for entry in manifest.files:
        _check_size(entry, sizes)
    extra = sorted(sizes.keys() - {entry.path for entry in manifest.files} - {MANIFEST_FILE})
    if extra:
        raise _differs(f"it has the file {extra[0]!r}, which its manifest does not list", "FILE_EXTRA")
    for entry in manifest.files:
        if checksums and sha256_of(root / entry.path) != entry.sha256:
            raise _differs(f"the content of {entry.path!r} was changed", "HASH")
        check_contents(root / entry.path)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest alone.

    Raises
    ------
    BundleError
        As `verify` does, as far as the manifest goes.
    """
    if not folder.is_dir():
        raise _not_a_bundle(folder)
    path = folder / MANIFEST_FILE
    if path.is_symlink():
        raise _outside(MANIFEST_FILE)
    try:
        with path.open("rb") as file:
            text = file.read(_MANIFEST_LIMIT + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise BundleError(
            f"expected the folder of a saved model, but {str(folder)!r} has no {MANIFEST_FILE}.",
            hint="Give the folder that `modelwright fit` has written, such as runs/data.",
            code="E_MANIFEST_MISSING",
        ) from None
    if len(text) > _MANIFEST_LIMIT:
        raise BundleError(
            f"the bundle's {MANIFEST_FILE} is larger than {_MANIFEST_LIMIT:,} bytes.",
            hint="It was not written by Modelwright.",
            code="E_MANIFEST_INVALID",
        )
    return Manifest.from_json(text)


def _files_below(root: Path) -> Iterator[tuple[str, int]]:
    """Give path and size of each file below `root`; links and special files are refused."""
    todo = [root]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                relative = Path(entry.path).relative_to(root).as_posix()
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode):
                    todo.append(Path(entry.path))
                elif stat.S_ISREG(status.st_mode):
                    yield relative, status.st_size
                else:
                    raise _outside(relative)


def _check_size(entry: FileEntry, sizes: dict[str, int]) -> None:
    if entry.path not in sizes:
        raise _differs(f"the file {entry.path!r} is missing", "FILE_MISSING")
    if sizes[entry.path] != entry.size:
        what = f"{entry.path!r} has {sizes[entry.path]:,} bytes instead of {entry.size:,}"
        raise _differs(what, "SIZE")


def _not_a_bundle(path: Path) -> BundleError:
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(8)
        kind = next(kind for magic, kind in _KINDS if start.startswith(magic))
        what = f"it is {kind if start else 'an empty file'}"
    else:
        what = "it is neither a file nor a folder" if path.exists() else "there is nothing of that name"
    return BundleError(
        f"expected the folder of a saved model, got {str(path)!r}: {what}.",
        hint="Modelwright loads only its own bundles and never unpickles. "
        "Give the folder that `modelwright fit` has written.",
        code="E_MODEL_FORMAT",
    )


def _outside(path: str) -> BundleError:
    return BundleError(
        f"expected plain files in the bundle, but {path!r} is a link or a special file.",
        hint="Copy the bundle with the links replaced by their files.",
        code="E_MANIFEST_PATH",
    )


def _differs(what: str, code: str) -> BundleError:
    return BundleError(
        f"the bundle is not as it was written: {what}.",
        hint="Copy it again from where it was written.",
        code=f"E_MANIFEST_{code}",
    )
