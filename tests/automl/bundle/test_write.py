from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwright.automl.bundle import MemberSource, verify, write_bundle
from modelwright.automl.bundle import write as write_module
from modelwright.automl.data import Encoder
from modelwright.errors import BundleError, InputError

Write = Callable[..., Path]


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_folder_holds_what_the_design_says(write: Write) -> None:
    assert names(write()) == [
        "encoder.json",
        "manifest.json",
        "models/a/fold-0/model.json",
        "models/a/fold-0/weights.npy",
        "models/a/fold-1/model.json",
        "models/a/fold-1/weights.npy",
        "models/b/fold-0/model.json",
        "models/b/fold-0/weights.npy",
        "schema.json",
    ]


def test_model_files_are_shared_with_the_trial(write: Write, tmp_path: Path) -> None:
    folder = write()
    assert (folder / "models/a/fold-0/weights.npy").samefile(tmp_path / "trials/a0/weights.npy")


def test_where_links_are_not_possible_files_are_copied(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    folder = write()
    verify(folder)
    assert not (folder / "models/a/fold-0/weights.npy").samefile(tmp_path / "trials/a0/weights.npy")


def test_an_existing_folder_is_left_alone(write: Write, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(BundleError, match="exists") as caught:
        write()
    assert caught.value.code == "E_BUNDLE_EXISTS"
    assert names(tmp_path / "model") == []


@pytest.mark.parametrize("moment", ["link_or_copy", "write_file", "sha256_of", "sync", "_rename"])
def test_a_failure_at_any_moment_leaves_nothing(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    write(tmp_path / "first")  # the folders of the models are there before the failure

    def fail(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_module, moment, fail)
    with pytest.raises(OSError, match="No space"):
        write()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "trials"]


def test_the_manifest_is_written_last(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str]]] = []
    real = write_module.write_file

    def watch(path: Path, content: bytes) -> None:
        seen.append((path.name, names(path.parent)))
        real(path, content)

    monkeypatch.setattr(write_module, "write_file", watch)
    folder = write()
    name, before = seen[-1]
    assert name == "manifest.json"
    assert sorted([*before, "manifest.json"]) == names(folder)


@pytest.mark.parametrize("weights", [[], [0.0], [1.0, -0.5], [float("nan")]])
def test_weights_that_make_no_mean_are_refused(
    tmp_path: Path, encoder: Encoder, fold_folder: Callable[[str], Path], weights: list[float]
) -> None:
    members = [MemberSource(f"m{i}", weight, [fold_folder(f"m{i}")]) for i, weight in enumerate(weights)]
    with pytest.raises(InputError):
        write_bundle(tmp_path / "model", schema=encoder.schema, encoder=encoder, metric="f1", members=members)
    assert not (tmp_path / "model").exists()


def _pickle_inside(folder: Path) -> None:
    (folder / "model.pkl").write_bytes(b"\x80\x04.")


def _link_inside(folder: Path) -> None:
    (folder / "more.json").symlink_to("/etc/hostname")


def _gone(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_pickle_inside, "E_UNTRUSTED_TYPE"),
        (_link_inside, "E_MANIFEST_PATH"),
        (_gone, "E_MODEL_FORMAT"),
    ],
)
def test_models_that_could_not_be_loaded_again_are_not_written(
    write: Write,
    tmp_path: Path,
    fold_folder: Callable[[str], Path],
    spoil: Callable[[Path], None],
    code: str,
) -> None:
    for name in ("a0", "a1", "b0"):
        fold_folder(name)
    spoil(tmp_path / "trials/b0")
    with pytest.raises(BundleError) as caught:
        write()
    assert caught.value.code == code
    assert not (tmp_path / "model").exists()


def test_two_members_of_one_name_are_refused(
    tmp_path: Path, encoder: Encoder, fold_folder: Callable[[str], Path]
) -> None:
    member = MemberSource("m", 1.0, [fold_folder("m")])
    with pytest.raises(InputError, match="'m' twice"):
        write_bundle(
            tmp_path / "model",
            schema=encoder.schema,
            encoder=encoder,
            metric="f1",
            members=[member, member],
        )


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".."])
def test_names_of_members_stay_names(
    tmp_path: Path, encoder: Encoder, fold_folder: Callable[[str], Path], name: str
) -> None:
    with pytest.raises(InputError):
        write_bundle(
            tmp_path / "model",
            schema=encoder.schema,
            encoder=encoder,
            metric="f1",
            members=[MemberSource(name, 1.0, [fold_folder("one")])],
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trials"]
