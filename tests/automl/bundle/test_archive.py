from __future__ import annotations

import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelwright.automl.bundle import verify
from modelwright.automl.bundle.archive import copy_bundle, pack, unpack
from modelwright.errors import BundleError

Write = Callable[..., Path]


def code_of(archive: Path, folder: Path) -> str:
    """Return why an archive is refused, after looking that nothing was written."""
    before = sorted(folder.parent.rglob("*"))
    with pytest.raises(BundleError) as caught:
        unpack(archive, folder)
    assert sorted(folder.parent.rglob("*")) == before
    return caught.value.code


def test_there_and_back(write: Write, tmp_path: Path) -> None:
    folder = write()
    pack(folder, tmp_path / "model.zip")
    assert verify(unpack(tmp_path / "model.zip", tmp_path / "again")) == verify(folder)


def test_equal_bundles_give_equal_bytes(write: Write, tmp_path: Path) -> None:
    folder = write()
    pack(folder, tmp_path / "one.zip")
    pack(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_copy_has_files_of_its_own(write: Write, tmp_path: Path) -> None:
    copied = copy_bundle(write(), tmp_path / "copy")
    verify(copied)
    assert not (copied / "schema.json").samefile(tmp_path / "model/schema.json")


def test_nothing_is_overwritten(write: Write, tmp_path: Path) -> None:
    pack(write(), tmp_path / "model.zip")
    (tmp_path / "there").mkdir()
    assert code_of(tmp_path / "model.zip", tmp_path / "there") == "E_BUNDLE_EXISTS"
    with pytest.raises(BundleError, match="exists"):
        copy_bundle(tmp_path / "model", tmp_path / "there")


def test_a_damaged_bundle_is_neither_packed_nor_copied(write: Write, tmp_path: Path) -> None:
    folder = write()
    (folder / "schema.json").write_text("{}")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BundleError):
        pack(folder, tmp_path / "model.zip")
    with pytest.raises(BundleError):
        copy_bundle(folder, tmp_path / "copy")
    assert sorted(tmp_path.iterdir()) == before


def _linked(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ("../evil.txt", "E_ARCHIVE_PATH"),
        ("a/../../evil.txt", "E_ARCHIVE_PATH"),
        ("/tmp/evil.txt", "E_ARCHIVE_PATH"),
        ("C:/evil.txt", "E_ARCHIVE_PATH"),
        ("..\\evil.txt", "E_ARCHIVE_PATH"),
        (_linked("link"), "E_ARCHIVE_PATH"),
        ("SCHEMA.json", "E_ARCHIVE_DUPLICATE"),
        ("schema.json/inside.txt", "E_MODEL_FORMAT"),
        ("extra.txt", "E_MANIFEST_FILE_EXTRA"),
    ],
    ids=str,
)
def test_hostile_names_are_refused_before_anything_is_written(
    write: Write, tmp_path: Path, member: str | zipfile.ZipInfo, code: str
) -> None:
    pack(write(), tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip", "a") as archive:
        archive.writestr(member, "/etc/passwd")
    assert code_of(tmp_path / "model.zip", tmp_path / "place") == code


def test_a_name_given_twice_is_refused(write: Write, tmp_path: Path) -> None:
    pack(write(), tmp_path / "model.zip")
    with (
        pytest.warns(UserWarning, match="Duplicate"),
        zipfile.ZipFile(tmp_path / "model.zip", "a") as archive,
    ):
        archive.writestr("schema.json", "{}")
    assert code_of(tmp_path / "model.zip", tmp_path / "place") == "E_ARCHIVE_DUPLICATE"


def test_a_bomb_is_refused(write: Write, tmp_path: Path) -> None:
    pack(write(), tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.npy", bytes(40 * 2**20))
    assert (tmp_path / "model.zip").stat().st_size < 100_000
    assert code_of(tmp_path / "model.zip", tmp_path / "place") == "E_ARCHIVE_SIZE"


@pytest.mark.parametrize("content", [b"", b"random bytes", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_of_ours_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.zip").write_bytes(content)
    assert code_of(tmp_path / "model.zip", tmp_path / "place") == "E_MODEL_FORMAT"
    assert code_of(tmp_path / "absent.zip", tmp_path / "place") == "E_MODEL_FORMAT"


def test_a_changed_byte_is_found(write: Write, tmp_path: Path) -> None:
    pack(write(), tmp_path / "model.zip")
    content = bytearray((tmp_path / "model.zip").read_bytes())
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        start = archive.getinfo("encoder.json").header_offset
    content[start + 60] ^= 1
    (tmp_path / "model.zip").write_bytes(content)
    assert code_of(tmp_path / "model.zip", tmp_path / "place") == "E_MODEL_FORMAT"
