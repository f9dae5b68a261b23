"""A bundle in another place: copied, or as one zip file that is unpacked only after its names were judged."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path

from modelwright.automl.bundle.files import hidden_name, new_file
from modelwright.automl.bundle.manifest import MANIFEST_FILE, checked_path
from modelwright.automl.bundle.verify import verify
from modelwright.errors import BundleError

__all__ = ["copy_bundle", "pack", "unpack"]

_MOST_FILES = 100_000
_RATIO = 100
_FREE_BYTES = 10 * 2**20
_BLOCK = 1 << 20
# What the zip library raises for damage, encryption and methods that it does not know, and the file
# system for names that are a file and a folder at once.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    EOFError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
)


def copy_bundle(folder: str | os.PathLike[str], target: str | os.PathLike[str]) -> Path:
    """Copy a bundle, bytes and all, to the new folder `target`; what is copied is verified.

    Raises
    ------
    BundleError
        ``E_BUNDLE_EXISTS``: `target` exists. And all that `verify` raises.
    """
    place = _new_folder(target)
    temporary = hidden_name(place)
    try:
        shutil.copytree(folder, temporary, symlinks=True)
        verify(temporary)
        temporary.rename(place)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return place


def pack(folder: str | os.PathLike[str], archive: str | os.PathLike[str]) -> Path:
    """Write the bundle in `folder` to the zip file `archive`, whole or not at all.

    Equal bundles give equal bytes: order and times in the archive are fixed.

    Raises
    ------
    BundleError
        `folder` is not a sound bundle.
    """
    root, target = Path(folder), Path(archive)
    manifest = verify(root)
    with new_file(target) as temporary, zipfile.ZipFile(temporary, "x", zipfile.ZIP_DEFLATED) as packed:
        for name in (MANIFEST_FILE, *(entry.path for entry in manifest.files)):
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            with (root / name).open("rb") as source, packed.open(info, "w") as member:
                shutil.copyfileobj(source, member, _BLOCK)
    return target


def unpack(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Unpack a bundle to the new folder `folder` and verify it.

    All names and sizes are judged before the first byte is written; what is written lies under a
    hidden name until it has passed `verify`.

    Raises
    ------
    BundleError
        ``E_MODEL_FORMAT``: not a zip file with a bundle. ``E_ARCHIVE_PATH``: a name that leaves the
        folder, or a link. ``E_ARCHIVE_DUPLICATE``: two names that some system takes for one.
        ``E_ARCHIVE_SIZE``: it would unpack to far more than it is. ``E_BUNDLE_EXISTS``: `folder`
        exists. And all that `verify` raises.
    """
    source, target = Path(archive), _new_folder(folder)
    temporary = hidden_name(target)
    try:
        with zipfile.ZipFile(source) as packed:
            members = _judged(packed, source.stat().st_size)
            temporary.mkdir()
            for info in members:
                _extract(packed, info, temporary)
        verify(temporary)
        temporary.rename(target)
    except _UNREADABLE as error:
        raise _not_an_archive(source, str(error)) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _new_folder(folder: str | os.PathLike[str]) -> Path:
    target = Path(folder)
    if target.exists():
        raise BundleError(
            f"expected a new folder, but {str(target)!r} exists.",
            hint="Give another name, or remove it first.",
            code="E_BUNDLE_EXISTS",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _judged(packed: zipfile.ZipFile, packed_size: int) -> list[zipfile.ZipInfo]:
    """Return the files of an archive; no name is trusted before all were looked at."""
    members = [info for info in packed.infolist() if not info.is_dir()]
    names = [info.filename for info in packed.infolist()]
    if MANIFEST_FILE not in names:
        raise _not_an_archive(Path(packed.filename or ""), f"it has no {MANIFEST_FILE}")
    for info in packed.infolist():
        _check_name(info)
    folded = {name.rstrip("/").casefold() for name in names}
    if len(folded) != len(names):
        raise _refused("two of its names are the same on some systems", "E_ARCHIVE_DUPLICATE")
    unpacked = sum(info.file_size for info in members)
    if len(members) > _MOST_FILES or unpacked > _FREE_BYTES + _RATIO * packed_size:
        what = f"it would unpack to {len(members):,} files of {unpacked:,} bytes"
        raise _refused(what, "E_ARCHIVE_SIZE")
    return members


def _check_name(info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(f"{info.filename!r} is a link or a special file", "E_ARCHIVE_PATH")
    try:
        # The raw name: zipfile itself cuts names at NUL and turns backslashes on some systems.
        checked_path(info.orig_filename.removesuffix("/"))
    except BundleError:
        raise _refused(f"the name {info.orig_filename!r:.200} leaves the folder", "E_ARCHIVE_PATH") from None


def _extract(packed: zipfile.ZipFile, info: zipfile.ZipInfo, root: Path) -> None:
    """Write one file, and no byte more than the archive's list announced."""
    path = root / info.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    left = info.file_size
    with packed.open(info) as member, path.open("xb") as file:
        while block := member.read(min(_BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise _refused(f"{info.filename!r} is larger than it says", "E_ARCHIVE_SIZE")
            file.write(block)


def _not_an_archive(path: Path, what: str) -> BundleError:
    return BundleError(
        f"expected a packed bundle, got {str(path)!r}: {what}.",
        hint="Give a file that Bundle.save_archive has written, or the folder of a bundle.",
        code="E_MODEL_FORMAT",
    )


def _refused(what: str, code: str) -> BundleError:
    return BundleError(
        f"the archive cannot be a packed bundle: {what}.",
        hint="Nothing of it was kept. Use bundles only from a source that you trust.",
        code=code,
    )
