from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwright.automl.bundle import verify
from modelwright.errors import BundleError

Write = Callable[..., Path]


def code_of(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        verify(path)
    assert caught.value.hint, "what to do is missing"
    return caught.value.code


def test_a_written_bundle_passes(write: Write) -> None:
    folder = write()
    found = verify(folder)
    assert [member.name for member in found.members] == ["a", "b"]
    assert [member.weight for member in found.members] == [0.75, 0.25]
    assert found.members[0].folds == ("models/a/fold-0", "models/a/fold-1")
    assert found.members[0].info == {"method": "example"}
    assert found.details == {"score": 0.9}
    assert found.classes == ("no", "yes")


def test_a_copy_passes(write: Write, tmp_path: Path) -> None:
    copied = shutil.copytree(write(), tmp_path / "elsewhere")
    assert verify(copied) == verify(tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("model.pkl", pickle.dumps({"a": 1}), "a pickle"),
        ("model.bundle", pickle.dumps([1], protocol=2), "a pickle"),
        ("model.joblib", b"\x78\x9c\x01\x02", "joblib"),
        ("model.pt", b"PK\x03\x04rest", "torch"),
        ("model.h5", b"\x89HDF\r\n", "HDF5"),
        ("model.bin", b"\x17\x99\x03random", "another kind"),
        ("manifest.json", b"{}", "another kind"),
        ("model.skops", b"", "an empty file"),
    ],
)
def test_a_file_is_not_a_bundle(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert code_of(path) == "E_MODEL_FORMAT"
    with pytest.raises(BundleError, match=kind):
        verify(path)


def test_nothing_and_an_empty_folder_are_not_bundles(tmp_path: Path) -> None:
    assert code_of(tmp_path / "absent") == "E_MODEL_FORMAT"
    assert code_of(tmp_path) == "E_MANIFEST_MISSING"


def test_a_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert code_of(tmp_path / "pipe") == "E_MODEL_FORMAT"


def test_a_manifest_of_another_program(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "an app"}')
    assert code_of(tmp_path) == "E_MODEL_FORMAT"


def _unlink(folder: Path) -> None:
    (folder / "models/a/fold-0/weights.npy").unlink()


def _add(folder: Path) -> None:
    (folder / "models/a/extra.json").write_text("{}")


def _add_hidden(folder: Path) -> None:
    (folder / ".hidden").write_text("")


def _replace(folder: Path, content: bytes) -> None:
    """Change a file without touching the model that it is linked to."""
    path = folder / "models/b/fold-0/model.json"
    path.unlink()
    path.write_bytes(content)


def _same_size(folder: Path) -> None:
    _replace(folder, b'{"kind": "exampld"}')


def _longer(folder: Path) -> None:
    _replace(folder, b'{"kind": "example"} ')


def _link(folder: Path) -> None:
    path = folder / "schema.json"
    path.rename(folder.parent / "schema.json")
    path.symlink_to("../schema.json")


def _folder_link(folder: Path) -> None:
    path = folder / "models/b"
    path.rename(folder.parent / "b")
    path.symlink_to("../../b")


def _manifest_link(folder: Path) -> None:
    path = folder / "manifest.json"
    path.rename(folder.parent / "manifest.json")
    path.symlink_to("../manifest.json")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def _no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def _half_manifest(folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (_unlink, "E_MANIFEST_FILE_MISSING"),
        (_add, "E_MANIFEST_FILE_EXTRA"),
        (_add_hidden, "E_MANIFEST_FILE_EXTRA"),
        (_same_size, "E_MANIFEST_HASH"),
        (_longer, "E_MANIFEST_SIZE"),
        (_link, "E_MANIFEST_PATH"),
        (_folder_link, "E_MANIFEST_PATH"),
        (_manifest_link, "E_MANIFEST_PATH"),
        (_pipe, "E_MANIFEST_PATH"),
        (_no_manifest, "E_MANIFEST_MISSING"),
        (_half_manifest, "E_MANIFEST_INVALID"),
    ],
)
def test_each_damage_is_named(write: Write, damage: Callable[[Path], None], code: str) -> None:
    folder = write()
    damage(folder)
    assert code_of(folder) == code


def test_without_checksums_a_changed_byte_passes_but_a_changed_size_does_not(write: Write) -> None:
    folder = write()
    _same_size(folder)
    verify(folder, checksums=False)
    _longer(folder)
    with pytest.raises(BundleError) as caught:
        verify(folder, checksums=False)
    assert caught.value.code == "E_MANIFEST_SIZE"


def test_a_consistent_manifest_does_not_make_a_pickle_welcome(write: Write) -> None:
    """Whoever can write files can write checksums too: what is inside is checked by our own list."""
    folder = write()
    content = pickle.dumps(print)
    _replace(folder, b"")
    (folder / "models/b/fold-0/model.json").rename(folder / "models/b/fold-0/model.pkl")
    (folder / "models/b/fold-0/model.pkl").write_bytes(content)
    form = json.loads((folder / "manifest.json").read_bytes())
    entry = next(item for item in form["files"] if item["path"] == "models/b/fold-0/model.json")
    entry |= {
        "path": "models/b/fold-0/model.pkl",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(form))
    assert code_of(folder) == "E_UNTRUSTED_TYPE"
