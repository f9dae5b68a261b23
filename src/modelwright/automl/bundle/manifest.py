"""The manifest of a bundle: what the folder holds, and how much of it can be believed.

The manifest is JSON, written last, so a folder with a manifest is complete. What is read back is
checked field by field before anything else in the folder is touched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from modelwright._base import jsonform
from modelwright.errors import BundleError

__all__ = [
    "ENCODER_FILE",
    "FORMAT",
    "FORMAT_VERSION",
    "MANIFEST_FILE",
    "SCHEMA_FILE",
    "FileEntry",
    "Manifest",
    "Member",
    "checked_path",
]

FORMAT = "modelwright-bundle"
FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
SCHEMA_FILE = "schema.json"
ENCODER_FILE = "encoder.json"

_TASKS = ("binary", "multiclass", "regression")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a bundle: its path within the folder, with ``/``, its checksum and its size in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Member:
    """One model of the ensemble.

    Attributes
    ----------
    name : str
        Unique within the bundle; also the name of its folder below ``models``.
    weight : float
        Its share in the ensemble. The weights of all members sum to 1.
    folds : tuple of str
        The folders of its fold models; the member predicts with their mean.
    info : mapping
        JSON values about it: method, configuration, scores.
    """

    name: str
    weight: float
    folds: tuple[str, ...]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a bundle says about itself.

    Attributes
    ----------
    created : str
        When it was written, ISO 8601, UTC.
    versions : mapping
        Version of Python, of Modelwright and of each library that its models came from.
    task : str
        ``"binary"``, ``"multiclass"`` or ``"regression"``.
    target : str
        Name of the column that it predicts.
    classes : tuple
        The labels in the order of the probabilities; empty for regression.
    metric : str
        What the search made best.
    members : tuple of Member
        The ensemble.
    files : tuple of FileEntry
        All files of the folder but the manifest itself, ordered by path.
    details : mapping
        Further JSON values, such as scores and settings of the run.
    """

    created: str
    versions: Mapping[str, str]
    task: str
    target: str
    classes: tuple[Any, ...]
    metric: str
    members: tuple[Member, ...]
    files: tuple[FileEntry, ...]
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as `from_json` takes it."""
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "created": self.created,
            "versions": dict(self.versions),
            "task": self.task,
            "target": self.target,
            "classes": list(self.classes),
            "metric": self.metric,
            "members": [
                {"name": m.name, "weight": m.weight, "folds": list(m.folds), "info": dict(m.info)}
                for m in self.members
            ],
            "files": [{"path": f.path, "sha256": f.sha256, "size": f.size} for f in self.files],
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, text: bytes) -> Manifest:
        """Read and check a manifest.

        Raises
        ------
        BundleError
            ``E_MODEL_FORMAT``: JSON, but not a manifest of ours. ``E_MANIFEST_FORMAT``: of a newer
            format. ``E_MANIFEST_PATH``: a path that could leave the folder. ``E_MANIFEST_INVALID``: not
            JSON, or a field is missing or wrong.
        """
        try:
            data = jsonform.loads(text)
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
            raise _invalid(f"it is not JSON: {error}") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise BundleError(
                f"expected a manifest of the format {FORMAT!r}, got a JSON file of something else.",
                hint="Give the folder that `modelwright fit` has written.",
                code="E_MODEL_FORMAT",
            )
        _check_format_version(data)
        members = tuple(_member(item) for item in _field(data, "members", list))
        manifest = cls(
            created=_field(data, "created", str),
            versions=_field(data, "versions", dict, lambda d: all(isinstance(v, str) for v in d.values())),
            task=_field(data, "task", str, lambda task: task in _TASKS),
            target=_field(data, "target", str),
            classes=tuple(_field(data, "classes", list, lambda c: all(map(_is_label, c)))),
            metric=_field(data, "metric", str),
            members=members,
            files=tuple(_file(item) for item in _field(data, "files", list)),
            details=_field(data, "details", dict),
        )
        manifest._check_whole()
        return manifest

    def _check_whole(self) -> None:
        """Check what no single field can show."""
        _check_unique("file", [entry.path.casefold() for entry in self.files])
        _check_unique("member", [member.name.casefold() for member in self.members])
        paths = {entry.path for entry in self.files}
        for needed in (SCHEMA_FILE, ENCODER_FILE):
            if needed not in paths:
                raise _invalid(f"its list of files lacks {needed!r}")
        if (self.task == "regression") != (not self.classes):
            raise _invalid(f"the task {self.task!r} does not go with {len(self.classes)} classes")
        if not self.members:
            raise _invalid("it has no members")
        if not math.isclose(sum(member.weight for member in self.members), 1.0, abs_tol=1e-9):
            raise _invalid("the weights of its members do not sum to 1")
        for member in self.members:
            for fold in member.folds:
                if not any(path.startswith(fold + "/") for path in paths):
                    raise _invalid(f"member {member.name!r} has no files in {fold!r}")


def checked_path(path: Any) -> str:
    """Return `path` if it is relative, plain, and cannot leave its folder on any system.

    Raises
    ------
    BundleError
        With the code ``E_MANIFEST_PATH``.

    Examples
    --------
    >>> checked_path("models/0/fold-0/model.txt")
    'models/0/fold-0/model.txt'
    """
    if isinstance(path, str) and 0 < len(path) <= 500 and path.isprintable():
        parts = path.split("/")
        plain = not any(part in ("", ".", "..") or part != part.strip() for part in parts)
        if plain and not set(path) & set('\\:*?"<>|') and str(PurePosixPath(path)) == path:
            return path
    raise BundleError(
        f"expected paths within the bundle, got {path!r:.200}.",
        hint="The manifest was not written by Modelwright; do not use this bundle.",
        code="E_MANIFEST_PATH",
    )


def _check_format_version(data: Mapping[str, Any]) -> None:
    version = _field(data, "format_version", int, lambda v: v >= 1)
    if version > FORMAT_VERSION:
        raise BundleError(
            f"expected a bundle of format {FORMAT_VERSION} or older, got format {version}.",
            hint="Use a newer Modelwright to load it: pip install --upgrade modelwright",
            code="E_MANIFEST_FORMAT",
        )


def _member(item: Any) -> Member:
    return Member(
        name=checked_path(_field(item, "name", str, lambda name: "/" not in name)),
        weight=_field(item, "weight", (int, float), lambda w: 0 <= w <= 1),
        folds=tuple(checked_path(fold) for fold in _field(item, "folds", list, bool)),
        info=_field(item, "info", dict),
    )


def _file(item: Any) -> FileEntry:
    path = checked_path(_field(item, "path", str))
    if path.casefold() == MANIFEST_FILE:
        raise _invalid("it lists itself")
    return FileEntry(
        path=path,
        sha256=_field(item, "sha256", str, lambda text: _SHA256.fullmatch(text) is not None),
        size=_field(item, "size", int, lambda size: size >= 0),
    )


def _is_label(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _field(
    data: Any,
    name: str,
    kind: type | tuple[type, ...],
    check: Callable[[Any], bool] = lambda value: True,
) -> Any:
    value = data.get(name) if isinstance(data, Mapping) else None
    wrong_bool = isinstance(value, bool) and kind is not bool  # a bool is an int to Python, not to us
    if not isinstance(value, kind) or wrong_bool or not check(value):
        raise _invalid(f"its field {name!r} is missing or wrong")
    return value


def _check_unique(what: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise _invalid(f"it lists the {what} {twice!r} twice")


def _invalid(what: str) -> BundleError:
    return BundleError(
        f"the bundle's {MANIFEST_FILE} cannot be used: {what}.",
        hint="Copy the bundle again from where it was written.",
        code="E_MANIFEST_INVALID",
    )
