"""Writing a bundle: all of it, or nothing that can be seen."""

from __future__ import annotations

import math
import os
import platform
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from modelwright import __version__
from modelwright._base import jsonform
from modelwright._base.clock import from_us, now_us
from modelwright.automl.bundle.files import hidden_name, link_or_copy, sha256_of, sync, write_file
from modelwright.automl.bundle.manifest import (
    ENCODER_FILE,
    MANIFEST_FILE,
    SCHEMA_FILE,
    FileEntry,
    Manifest,
    Member,
    checked_path,
)
from modelwright.automl.bundle.trusted import check_kind
from modelwright.errors import BundleError, InputError

__all__ = ["MemberSource", "Stateful", "TableSchema", "library_versions", "write_bundle"]

_LIBRARIES = ("numpy", "pandas")
_LIBRARIES_BY_SUFFIX = {
    ".cbm": ("catboost",),
    ".safetensors": ("torch", "safetensors"),
    ".skops": ("scikit-learn", "skops"),
    ".txt": ("lightgbm",),
    ".ubj": ("xgboost",),
}


class Stateful(Protocol):
    """What has a JSON form, as the encoder has."""

    def to_json(self) -> Any:
        """Return the state as JSON values."""
        ...


class TableSchema(Stateful, Protocol):
    """The part of a `Schema` that a bundle needs to be written."""

    @property
    def target(self) -> str:
        """Name of the predicted column."""
        ...

    @property
    def task(self) -> str:
        """What is predicted: ``"binary"``, ``"multiclass"`` or ``"regression"``."""
        ...

    @property
    def classes(self) -> tuple[Any, ...]:
        """The labels in the order of the probabilities; none for regression."""
        ...


@dataclass(frozen=True, slots=True)
class MemberSource:
    """A model that is to become part of a bundle.

    Attributes
    ----------
    name : str
        Unique among the members; letters, digits, ``-`` and ``_`` make safe names.
    weight : float
        Its share; the weights need not sum to 1 yet.
    folds : sequence of path
        The folders that `Model.save` has written, one for each fold.
    info : mapping
        JSON values about it: method, configuration, scores.
    """

    name: str
    weight: float
    folds: Sequence[Path]
    info: Mapping[str, Any] = field(default_factory=dict)


def write_bundle(
    folder: str | os.PathLike[str],
    *,
    schema: TableSchema,
    encoder: Stateful,
    metric: str,
    members: Iterable[MemberSource],
    details: Mapping[str, Any] | None = None,
) -> Path:
    """Write a bundle to the new folder `folder`.

    Everything is gathered under a hidden name beside it, forced to disk, the manifest last, and then
    renamed: at no moment is there a bundle with a part missing. Model files get a second name (a hard
    link) where the file system allows it, so the folder costs no space; those files must not be
    changed in place afterwards.

    Parameters
    ----------
    folder : path
        Must not exist yet; its parent is made where needed.
    schema : Schema
        The table's columns, target and task.
    encoder : Encoder
        From a table to a matrix, and from codes to labels.
    metric : str
        What the search made best.
    members : iterable of MemberSource
        The ensemble, one model at least.
    details : mapping, optional
        Further JSON values, such as scores.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    BundleError
        ``E_BUNDLE_EXISTS``: `folder` exists. ``E_UNTRUSTED_TYPE``: a model has a file of a kind that
        is never loaded. Other codes: what was given does not make a sound manifest.
    """
    target_folder = Path(folder)
    if target_folder.exists():
        raise _exists(target_folder)
    target_folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = hidden_name(target_folder)
    temporary.mkdir()
    try:
        placed = _place_members(temporary, list(members))
        write_file(temporary / SCHEMA_FILE, jsonform.dumps(schema.to_json()).encode())
        write_file(temporary / ENCODER_FILE, jsonform.dumps(encoder.to_json()).encode())
        files = tuple(_entries(temporary))
        manifest = Manifest(
            created=from_us(now_us()).isoformat(),
            versions=library_versions({Path(file.path).suffix for file in files}),
            task=schema.task,
            target=schema.target,
            classes=schema.classes,
            metric=metric,
            members=placed,
            files=files,
            details=dict(details or {}),
        )
        content = jsonform.dumps(manifest.to_json()).encode()
        Manifest.from_json(content)  # what could not be read back must not be written
        for path, _, _ in os.walk(temporary, topdown=False):
            sync(Path(path))
        write_file(temporary / MANIFEST_FILE, content)
        sync(temporary)
        _rename(temporary, target_folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return target_folder


def library_versions(suffixes: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, Modelwright and the libraries that files of these kinds need.

    Examples
    --------
    >>> sorted(library_versions([".skops"]))
    ['modelwright', 'numpy', 'pandas', 'python', 'scikit-learn', 'skops']
    """
    found = {"python": platform.python_version(), "modelwright": __version__}
    needed = {name for suffix in suffixes for name in _LIBRARIES_BY_SUFFIX.get(suffix, ())}
    for name in sorted(needed.union(_LIBRARIES)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _place_members(root: Path, sources: list[MemberSource]) -> tuple[Member, ...]:
    weights = [source.weight for source in sources]
    total = sum(weights)
    if not 0 < total < math.inf or not all(weight >= 0 for weight in weights):
        raise InputError(
            f"expected at least one member, with weights of 0 or more and a sum above 0, got {weights}."
        )
    twice = [name for name, count in Counter(source.name for source in sources).items() if count > 1]
    if twice:
        raise InputError(f"expected members of different names, got {twice[0]!r} twice.")
    return tuple(_place_member(root, source, source.weight / total) for source in sources)


def _place_member(root: Path, source: MemberSource, weight: float) -> Member:
    if "/" in checked_path(source.name):
        raise InputError(f"expected a member's name without '/', got {source.name!r}.")
    folds = []
    for number, fold in enumerate(source.folds):
        relative = f"models/{source.name}/fold-{number}"
        (root / relative).mkdir(parents=True)
        for path in _plain_files(fold):
            check_kind(path)
            place = root / relative / path.relative_to(fold)
            place.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path, place)
        folds.append(relative)
    return Member(source.name, weight, tuple(folds), dict(source.info))


def _plain_files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise BundleError(
            f"expected a model's folder, but there is none at {str(folder)!r}.", code="E_MODEL_FORMAT"
        )
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BundleError(
                f"expected plain files in a model's folder, but {str(path)!r} is a link.",
                code="E_MANIFEST_PATH",
            )
        if path.is_file():
            yield path


def _entries(root: Path) -> Iterator[FileEntry]:
    for path in sorted(root.rglob("*")):
        if path.is_file():
            yield FileEntry(path.relative_to(root).as_posix(), sha256_of(path), path.stat().st_size)


def _rename(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if folder.exists():  # another process was faster; a rename never goes over a folder that holds files
            raise _exists(folder) from None
        raise
    sync(folder.parent)


def _exists(folder: Path) -> BundleError:
    return BundleError(
        f"expected a new folder to save to, but {str(folder)!r} exists.",
        hint="Give another name, or remove it first.",
        code="E_BUNDLE_EXISTS",
    )
