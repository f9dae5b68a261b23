from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from modelwright.automl.bundle import FileEntry, Manifest, Member
from modelwright.automl.bundle.manifest import checked_path
from modelwright.errors import BundleError

_SUM = "0" * 64


def manifest() -> Manifest:
    return Manifest(
        created="2030-01-01T00:00:00+00:00",
        versions={"numpy": "2.0.0"},
        task="binary",
        target="y",
        classes=("no", "yes"),
        metric="accuracy",
        members=(Member("m", 1.0, ("models/m/fold-0",), {"method": "dt"}),),
        files=tuple(
            FileEntry(path, _SUM, 1) for path in ("encoder.json", "models/m/fold-0/a.npy", "schema.json")
        ),
        details={"score": 0.5},
    )


def text(form: Any) -> bytes:
    return json.dumps(form).encode()


def test_it_reads_what_it_writes() -> None:
    assert Manifest.from_json(text(manifest().to_json())) == manifest()


@pytest.mark.parametrize(
    "label", [True, 0, 1.5, "ä"], ids=["a boolean", "a whole number", "a number", "a text"]
)
def test_labels_keep_their_types(label: Any) -> None:
    form = manifest().to_json() | {"classes": [label, "other"]}
    assert Manifest.from_json(text(form)).classes[0] == label
    assert type(Manifest.from_json(text(form)).classes[0]) is type(label)


def _set(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(form: Any) -> None:
        for step in path[:-1]:
            form = form[step]
        form[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_set("format", to="another"), "E_MODEL_FORMAT"),
        (_set("format_version", to=2), "E_MANIFEST_FORMAT"),
        (_set("format_version", to="1"), "E_MANIFEST_INVALID"),
        (_set("format_version", to=True), "E_MANIFEST_INVALID"),
        (_set("members", to=[]), "E_MANIFEST_INVALID"),
        (_set("members", 0, "weight", to=0.5), "E_MANIFEST_INVALID"),
        (_set("members", 0, "weight", to=-1), "E_MANIFEST_INVALID"),
        (_set("members", 0, "folds", to=[]), "E_MANIFEST_INVALID"),
        (_set("members", 0, "folds", to=["models/other"]), "E_MANIFEST_INVALID"),
        (_set("members", 0, "folds", to=["../elsewhere"]), "E_MANIFEST_PATH"),
        (_set("files", 0, "path", to="/etc/passwd"), "E_MANIFEST_PATH"),
        (_set("files", 0, "path", to="schema.json"), "E_MANIFEST_INVALID"),
        (_set("files", 0, "path", to="SCHEMA.json"), "E_MANIFEST_INVALID"),
        (_set("files", 0, "path", to="Manifest.json"), "E_MANIFEST_INVALID"),
        (_set("files", 0, "sha256", to="0" * 63), "E_MANIFEST_INVALID"),
        (_set("files", 0, "size", to=-1), "E_MANIFEST_INVALID"),
        (_set("files", 0, "size", to=1.0), "E_MANIFEST_INVALID"),
        (_set("files", to=[]), "E_MANIFEST_INVALID"),
        (_set("task", to="guessing"), "E_MANIFEST_INVALID"),
        (_set("task", to="regression"), "E_MANIFEST_INVALID"),
        (_set("classes", to=[]), "E_MANIFEST_INVALID"),
        (_set("classes", to=[["no"], "yes"]), "E_MANIFEST_INVALID"),
        (_set("versions", to={"numpy": 2}), "E_MANIFEST_INVALID"),
        (_set("details", to=None), "E_MANIFEST_INVALID"),
    ],
)
def test_each_wrong_field_is_refused(change: Callable[[Any], None], code: str) -> None:
    form = copy.deepcopy(manifest().to_json())
    change(form)
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(text(form))
    assert caught.value.code == code


@pytest.mark.parametrize("name", sorted(manifest().to_json()))
def test_each_missing_field_is_refused(name: str) -> None:
    form = manifest().to_json()
    del form[name]
    with pytest.raises(BundleError):
        Manifest.from_json(text(form))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b'{"format": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000, b"\x80\x04."],
    ids=["nothing", "half", "bytes", "NaN", "a key twice", "deep", "a pickle"],
)
def test_what_is_not_json_is_refused(content: bytes) -> None:
    with pytest.raises(BundleError) as caught:
        Manifest.from_json(content)
    assert caught.value.code == "E_MANIFEST_INVALID"


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "a/../b",
        "/a",
        "a//b",
        "a/",
        "./a",
        "a\\b",
        "C:a",
        "a\0b",
        "a\nb",
        "a ",
        "a/ b",
        "x" * 501,
        7,
    ],
)
def test_paths_that_could_leave_the_folder_are_refused(path: Any) -> None:
    with pytest.raises(BundleError) as caught:
        checked_path(path)
    assert caught.value.code == "E_MANIFEST_PATH"
