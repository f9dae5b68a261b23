"""Copies of studies: exact, whole or not there, and as good as the original for an optimizer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich_study import claimed, everything, make_rich

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import InputError, StorageError, StudyExistsError, StudyNotFoundError, StudyStateError
from modelwright.records import StudyState, TrialState
from modelwright.storage import MemoryStorage, open_storage
from modelwright.storage.base import NoClaim, Storage
from modelwright.transfer import copy_study, read_snapshot, trim_study

Open = Callable[[str], Storage]


def test_nothing_is_lost_on_the_way_there_and_back(
    rich: Storage, memory: MemoryStorage, sqlite: Open
) -> None:
    here = Study.load("rich", storage=rich).folder
    copy_study(rich, "rich", memory)
    written = copy_study(memory, "rich", sqlite("back"), files=False)
    expected = everything(rich, "rich", folder=str(here))
    assert everything(memory, "rich", folder=str(here)) == expected
    assert everything(sqlite("back"), "rich", folder=str(here)) == expected
    assert written.study.state is StudyState.PENDING  # nobody runs it there yet
    assert expected["order"] == [2, 1, 0]
    assert [len(item) for item in expected["reports"]] == [0, 2, 0, 0, 0]
    assert len(expected["spaces"]) == 2


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_a_study_visits_a_server(
    kind: str, rich: Storage, sqlite: Open, new_database: Callable[[str], str]
) -> None:
    here = Study.load("rich", storage=rich).folder
    server = open_storage(new_database(kind))
    try:
        copy_study(rich, "rich", server)
        copy_study(server, "rich", sqlite("back"))
        assert everything(server, "rich", folder=str(here)) == everything(rich, "rich", folder=str(here))
    finally:
        server.close()
    assert everything(sqlite("back"), "rich", folder=str(here)) == everything(rich, "rich", folder=str(here))


def test_a_study_visits_a_server_of_ours(rich: Storage, sqlite: Open, far: Storage) -> None:
    here = Study.load("rich", storage=rich).folder
    sent = copy_study(rich, "rich", far)
    back = copy_study(far, "rich", sqlite("back"))
    assert (sent.files.files, back.files.files) == (1, 1)
    assert back.folder is not None
    assert (back.folder / "trials/1-2/model.bin").read_bytes() == b"weights"
    for storage in (far, sqlite("back")):
        assert everything(storage, "rich", folder=str(here)) == everything(rich, "rich", folder=str(here))


def test_a_server_that_keeps_no_files(rich: Storage, sqlite: Open, bare: Storage) -> None:
    with pytest.raises(StorageError, match=r"keeps no files.*--artifacts FOLDER, or leave the files out"):
        copy_study(rich, "rich", bare)
    assert bare.studies() == []
    copy_study(rich, "rich", bare, files=False)
    back = copy_study(bare, "rich", sqlite("back"))
    assert back.files.missing == ("trials/1-2/model.bin",)
    assert trim_study(bare, "rich", 0).files == 0
    assert bare.artifacts(bare.study("rich").id) == []


def test_a_damaged_file_is_not_sent(rich: Storage, sqlite: Open, far: Storage) -> None:
    folder = Study.load("rich", storage=rich).folder
    assert folder is not None
    (folder / "trials/1-2/model.bin").write_bytes(b"changed")
    with pytest.raises(StorageError, match="not the one that its trial left"):
        copy_study(rich, "rich", far)
    assert far.studies() == []


def test_an_interrupt_after_the_last_step_takes_nothing_away(
    rich: Storage, sqlite: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = sqlite("target")
    rename = target.rename_study

    def interrupted(*arguments: Any, **options: Any) -> Any:
        rename(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(target, "rename_study", interrupted)
    with pytest.raises(KeyboardInterrupt):
        copy_study(rich, "rich", target)
    folder = Study.load("rich", storage=target).folder
    assert folder is not None
    assert (folder / "trials/1-2/model.bin").exists()


def test_a_folder_of_an_earlier_file_is_left_alone(rich: Storage, sqlite: Open, tmp_path: Path) -> None:
    """The ledger was removed, and its files were not."""
    old = tmp_path / "target.files" / "other-1"
    old.mkdir(parents=True)
    (old / "thesis.tex").write_text("mine")
    os.utime(old, (1, 1))
    written = copy_study(rich, "rich", sqlite("target"))
    assert written.folder == tmp_path / "target.files" / "rich-1"
    assert (old / "thesis.tex").read_text() == "mine"


def test_a_running_trial_waits_in_the_copy(memory: MemoryStorage) -> None:
    make_rich(memory)
    key = memory.study("rich").id
    copy_study(memory, "rich", memory, "again")
    before, after = memory.trial(key, 3), memory.trial(memory.study("again").id, 3)
    assert (before.state, after.state) == (TrialState.RUNNING, TrialState.WAITING)
    assert (before.attempts, after.attempts) == (1, 0)
    assert after.params == before.params
    assert memory.attempts(memory.study("again").id, 3)[0].outcome == "released"
    assert claimed(memory, memory.study("again").id, "new").number == 3


def test_what_is_used_up_of_the_time_is_used_up_in_the_copy(memory: MemoryStorage, sqlite: Open) -> None:
    study = Study(Space(x=Float(0, 1)), storage=memory, name="s")
    began_us = study.record.created_us - 3600 * 10**6
    memory.set_started(study.record.id, began_us)
    memory.set_budget(study.record.id, time_s=3500.0)
    copied = copy_study(memory, "s", sqlite("target")).study
    assert (copied.started_us, copied.budget.time_s) == (began_us, 3500.0)
    sqlite("target").set_state(copied.id, StudyState.RUNNING)
    answer = sqlite("target").claim(copied.id, "worker", "c", 60)
    assert isinstance(answer, NoClaim)
    assert answer.reason == "deadline"


def test_files_come_along_and_are_found_there(rich: Storage, sqlite: Open) -> None:
    target = sqlite("target")
    written = copy_study(rich, "rich", target, "other")
    folder = Study.load("other", storage=target).folder
    assert folder == written.folder
    assert folder is not None
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()] == [
        "trials/1-2/model.bin"
    ]
    assert written.files.files == 1
    assert written.files.missing == ()
    attempt = target.attempts(written.study.id, 1)[-1]
    assert attempt.log_location == str(folder / "trials/1-2")


def test_files_that_are_not_the_trials_own_stop_the_copy(rich: Storage, sqlite: Open) -> None:
    folder = Study.load("rich", storage=rich).folder
    assert folder is not None
    (folder / "trials/1-2/model.bin").write_bytes(b"changed")
    with pytest.raises(StorageError, match="not the one that its trial left"):
        copy_study(rich, "rich", sqlite("target"))
    assert sqlite("target").studies() == []
    assert not list(Path(str(folder)).parent.parent.glob("target.files/*"))
    assert copy_study(rich, "rich", sqlite("target"), files=False).files.missing == ("trials/1-2/model.bin",)


def test_links_are_not_followed(rich: Storage, sqlite: Open, tmp_path: Path) -> None:
    folder = Study.load("rich", storage=rich).folder
    assert folder is not None
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hush")
    (folder / "link").symlink_to(secret / "key")
    (folder / "links").symlink_to(secret)
    written = copy_study(rich, "rich", sqlite("target"))
    assert written.folder is not None
    assert written.files.links == 2
    assert not (written.folder / "link").exists()
    assert not (written.folder / "links").exists()


def test_a_folder_with_other_files_stays_as_it_is(rich: Storage, sqlite: Open, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.tex").write_text("all my work")
    with pytest.raises(InputError, match="an empty or a new folder"):
        copy_study(rich, "rich", sqlite("target"), folder=mine)
    assert (mine / "thesis.tex").read_text() == "all my work"
    assert sqlite("target").studies() == []


def test_a_named_folder_holds_the_files_alone(rich: Storage, sqlite: Open, tmp_path: Path) -> None:
    copy_study(rich, "rich", sqlite("target"), folder=tmp_path / "files")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["trials"]


def test_a_folder_within_the_other_is_refused(rich: Storage, sqlite: Open) -> None:
    folder = Study.load("rich", storage=rich).folder
    assert folder is not None
    with pytest.raises(InputError, match="two folders apart"):
        copy_study(rich, "rich", sqlite("target"), folder=folder / "below")
    assert (folder / "trials/1-2/model.bin").exists()


def test_a_name_that_is_taken(rich: Storage) -> None:
    with pytest.raises(StudyExistsError, match="'rich' exists"):
        copy_study(rich, "rich", rich)
    with pytest.raises(StudyNotFoundError):
        copy_study(rich, "poor", rich)
    assert [record.spec.name for record in rich.studies()] == ["rich"]


def test_a_renamed_study_keeps_its_files_and_copies_them(rich: Storage, sqlite: Open) -> None:
    Study.load("rich", storage=rich).rename("renamed")
    written = copy_study(rich, "renamed", sqlite("target"))
    assert written.files.files == 1
    assert written.study.user_attrs == {"team": "blue", "limit": float("inf"), "nested": {"a": [1, None]}}


def test_an_equal_data_set_is_not_added_twice(rich: Storage) -> None:
    first = copy_study(rich, "rich", rich, "a").study.spec.dataset_id
    assert first == rich.study("rich").spec.dataset_id


def test_batches_make_no_difference(
    rich: Storage, memory: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, adopt = [], memory.adopt

    def counted(study_id: int, trials: Any, **options: Any) -> Any:
        sizes.append(len(trials))
        return adopt(study_id, trials, **options)

    monkeypatch.setattr("modelwright.transfer.writing._BATCH", 2)
    monkeypatch.setattr(memory, "adopt", counted)
    copy_study(rich, "rich", memory, files=False)
    assert sizes == [2, 2, 1]
    assert everything(memory, "rich") == everything(rich, "rich")


# the optimizer -------------------------------------------------------------------------------------------


def objective(trial: Any) -> float:
    if trial.number % 7 == 3:
        raise ValueError("some fail")
    return trial.params["x"] ** 2 + trial.params["n"] + len(trial.params["k"])


@pytest.mark.parametrize("reproducible", [True, False])
def test_an_optimizer_goes_on_as_if_nothing_had_moved(sqlite: Open, reproducible: bool) -> None:
    space = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "bb"))
    options: dict[str, Any] = {"seed": 3, "optimizer": "tpe", "reproducible": reproducible}
    whole = Study(space, name="s", **options)
    whole.run(objective, trials=30, executor="inline")
    begun = Study(space, storage=sqlite("here"), name="s", **options)
    begun.run(objective, trials=17, executor="inline")
    copy_study(sqlite("here"), "s", sqlite("there"), "moved")
    moved = Study.load("moved", storage=sqlite("there"))
    moved.run(objective, trials=30, executor="inline")
    assert [trial.params for trial in moved.trials] == [trial.params for trial in whole.trials]


def test_the_order_of_finishing_is_kept_when_numbers_are_in_another(memory: MemoryStorage) -> None:
    """Free-running proposals depend on the order in which trials finished."""

    def ask_many(study: Study, count: int) -> list[dict[str, Any]]:
        return [dict(study.ask().params) for _ in range(count)]

    space = Space(x=Float(-5, 5), n=Int(1, 9))
    first = Study(space, storage=memory, name="s", seed=4, optimizer="tpe")
    trials = [first.ask() for _ in range(14)]
    for trial in reversed(trials):
        first.tell(trial, trial.params["x"] ** 2)
    copy_study(memory, "s", memory, "t")
    second = Study.load("t", storage=memory)
    snapshots = read_snapshot(memory, "s"), read_snapshot(memory, "t")
    assert [item.number for item in snapshots[1].trials] == [item.number for item in snapshots[0].trials]
    assert snapshots[0].trials[0].number == 13
    assert ask_many(second, 3) == ask_many(first, 3)


# others at work -----------------------------------------------------------------------------------------


def test_two_at_a_time_are_refused(rich: Storage, sqlite: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one finds the first at work, and must not take it for a dead one's remains."""
    target = sqlite("target")
    adopt = target.adopt

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(target, "adopt", adopt)
        with pytest.raises(StudyStateError, match="another process is writing"):
            copy_study(rich, "rich", target, "copied")
        return adopt(*arguments, **options)

    monkeypatch.setattr(target, "adopt", meanwhile)
    copy_study(rich, "rich", target, "copied")
    assert [record.spec.name for record in target.studies()] == ["copied"]
    assert everything(target, "copied")["trials"] == everything(rich, "rich")["trials"]


def test_a_worker_that_is_quicker_is_no_harm(
    rich: Storage, memory: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study can be claimed between its creation and the moment at which it is paused."""
    create, made = memory.create_study, []

    def taken(spec: Any) -> Any:
        record = create(spec)
        made.append(spec.name)
        if len(made) < 3:
            claimed(memory, record.id, spec.name)
        return record

    monkeypatch.setattr(memory, "create_study", taken)
    copy_study(rich, "rich", memory)
    assert len(made) == 3
    assert [record.spec.name for record in memory.studies()] == ["rich"]
