"""A run's folder: whose it is, and who may set it up."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from modelwright.automl.folder import RunFolder, default_folder, write_atomically
from modelwright.errors import InputError


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("data.csv", "data"),
        ("/a/b/my table (2).csv.gz", "my_table_2"),
        ("...", "table"),
        ("../x.parquet", "x"),
    ],
)
def test_the_folder_bears_the_name_of_the_table(source: str, name: str) -> None:
    assert default_folder(source) == Path("runs") / name


def test_a_failed_set_up_leaves_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a" / "b" / "run")

    def fail() -> None:
        with folder.being_set_up():
            folder.data.mkdir()
            (folder.data / "X.npy").write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_set_up_leaves_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    folder = RunFolder(tmp_path / "a" / "run")

    def fail() -> None:
        with folder.being_set_up():
            (folder.path / "notes.txt").write_text("mine")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]


def test_a_set_up_that_was_cut_off_is_no_hindrance(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        folder.data.mkdir()
        (folder.path / ".data.1234").mkdir()
        (folder.path / ".run.json.77").write_text("{")
    assert folder.read() is None
    with folder.being_set_up():
        folder.remove_unfinished_data()
        folder.write({"data": "d", "settings": {}})
    assert sorted(path.name for path in folder.path.iterdir()) == [".lock", "run.json"]


def test_the_lock_survives_the_removal_of_the_folder(tmp_path: Path) -> None:
    # The second one waits for a lock that goes away with the folder when the first one's set-up fails.
    folder, entered = RunFolder(tmp_path / "run"), threading.Event()

    def first() -> None:
        with folder.being_set_up():
            thread.start()
            assert not entered.wait(0.1)
            raise RuntimeError

    def second() -> None:
        with RunFolder(folder.path).being_set_up():
            folder.write({"data": "d", "settings": {}})
            entered.set()

    thread = threading.Thread(target=second)
    with pytest.raises(RuntimeError):
        first()
    thread.join(10)
    assert entered.is_set()
    assert folder.read() is not None


def test_another_run_is_refused_with_the_difference(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    content = {"data": "d", "settings": {"seed": 0, "metric": None}}
    folder.check_same(content, {"data": "d", "settings": {"seed": 0, "metric": None}})
    with pytest.raises(InputError, match="seed is 0 there, 5 here"):
        folder.check_same(content, {"data": "d", "settings": {"seed": 5, "metric": None}})
    with pytest.raises(InputError, match="other data"):
        folder.check_same(content, {"data": "e", "settings": {"seed": 0, "metric": None}})


def test_fresh_takes_the_next_free_number(tmp_path: Path) -> None:
    for name in ("run", "run-2", "run-3"):
        (tmp_path / name).mkdir()
    assert RunFolder(tmp_path / "run").fresh().path == tmp_path / "run-4"


def test_writing_replaces_or_leaves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_atomically(path, "one")
    write_atomically(path, "two")
    assert path.read_text() == "two"
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]
