"""Several studies become one, or are refused with the difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich_study import everything

from modelwright import Categorical, Constant, Float, Int, Ordinal, Space, Study
from modelwright.errors import InputError
from modelwright.records import Objective, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Storage
from modelwright.transfer import merge_studies
from modelwright.transfer.joining import join_spaces

Open = Callable[[str], Storage]


def studied(
    storage: Storage, name: str, xs: list[float], space: Space | None = None, **options: Any
) -> Study:
    """Return a study with a trial for each x, and one that waits."""
    space = space or Space(x=Float(0, 10), k=Categorical("a", "b"))
    study = Study(space, storage=storage, name=name, seed=1, **options)
    for x in [*xs, 0.5]:
        study.enqueue({"x": x, "k": "a"})
    for _ in xs:
        trial = study.ask()
        trial.report(trial.params["x"], 0)
        study.tell(trial, trial.params["x"] * 2)
    return study


def test_trials_are_renumbered_and_say_where_they_came_from(memory: MemoryStorage) -> None:
    studied(memory, "a", [1.0, 2.0])
    studied(memory, "b", [2.0, 3.0])
    merged = merge_studies([(memory, "a"), (memory, "b")], memory, "both")
    assert (merged.duplicates, merged.unfinished) == (0, 2)
    study = Study.load("both", storage=memory)
    assert [(t.number, t.params["x"], t.value) for t in study.trials] == [
        (0, 1.0, 2.0), (1, 2.0, 4.0), (2, 2.0, 4.0), (3, 3.0, 6.0)
    ]  # fmt: skip
    origins = [(t.user_attrs["merged_from"], t.user_attrs["merged_number"]) for t in study.trials]
    assert origins == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert [len(memory.reports(study.record.id, number)) for number in range(4)] == [1, 1, 1, 1]
    assert study.user_attrs["merged_from"] == ["a", "b"]
    assert len(Study.load("a", storage=memory).trials) == 3  # a source is left as it is


@pytest.mark.parametrize(
    ("deterministic", "policy", "expected"),
    [
        (True, "auto", [1.0, 2.0, 3.0]),
        (True, "keep", [1.0, 2.0, 2.0, 3.0]),
        (False, "auto", [1.0, 2.0, 2.0, 3.0]),
        (False, "drop", [1.0, 2.0, 3.0]),
    ],
)
def test_duplicates(memory: MemoryStorage, deterministic: bool, policy: Any, expected: list[float]) -> None:
    studied(memory, "a", [1.0, 2.0], deterministic=deterministic)
    studied(memory, "b", [2.0, 3.0], deterministic=deterministic)
    merged = merge_studies([(memory, "a"), (memory, "b")], memory, "both", duplicates=policy)
    trials = Study.load("both", storage=memory).trials
    assert [trial.params["x"] for trial in trials] == expected
    assert merged.duplicates == 4 - len(expected)


def test_ranges_and_choices_are_the_widest(memory: MemoryStorage, sqlite: Open) -> None:
    studied(memory, "a", [1.0])
    wider = Space(x=Float(-5, 3), k=Categorical("a", "c"))
    studied(sqlite("other"), "b", [-4.0], wider)
    merge_studies([(memory, "a"), (sqlite("other"), "b")], sqlite("target"), "both")
    space = Study.load("both", storage=sqlite("target")).space
    assert space == Space(x=Float(-5, 10), k=Categorical("a", "b", "c"))


def test_the_new_study_goes_on(memory: MemoryStorage) -> None:
    studied(memory, "a", [1.0, 2.0])
    merge_studies([(memory, "a")], memory, "more")
    study = Study.load("more", storage=memory)
    study.run(lambda trial: trial.params["x"], more=3, executor="inline")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 5


def test_files_have_their_trials_new_numbers(rich: Storage, sqlite: Open, tmp_path: Path) -> None:
    place = Study.load("rich", storage=rich).folder
    assert place is not None
    (place / "notes.txt").write_text("mine")
    (place / "trials/3-1").mkdir()
    (place / "trials/3-1/stdout.txt").write_text("of a trial that has not ended")
    merged = merge_studies([(rich, "rich"), (rich, "rich")], sqlite("target"), "both", duplicates="keep")
    folder = merged.written.folder
    assert folder is not None
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()) == [
        "0/notes.txt",
        "1/notes.txt",
        "trials/1-2/model.bin",
        "trials/4-2/model.bin",
    ]
    assert merged.written.files.missing == ()
    found = everything(sqlite("target"), "both")
    assert [(number, item.location) for number, item in found["artifacts"]] == [
        (1, "trials/1-2/model.bin"), (4, "trials/4-2/model.bin")
    ]  # fmt: skip
    assert [t.metrics.get("model_location") for t in found["trials"]] == [
        None, "trials/1-2/model.bin", None, None, "trials/4-2/model.bin", None,
    ]  # fmt: skip
    assert {item.log_location for item in found["attempts"] if item.log_location} == {
        str(folder / "trials/1-2"), str(folder / "trials/4-2")
    }  # fmt: skip
    assert len(found["partitions"]) == 1
    # Merged again they still have a place of their own.
    again = merge_studies([(sqlite("target"), "both")], sqlite("target"), "once more", duplicates="keep")
    assert again.written.files.missing == ()
    assert again.written.folder is not None
    assert (again.written.folder / "trials/4-2/model.bin").read_bytes() == b"weights"
    assert (again.written.folder / "0/1/notes.txt").read_text() == "mine"


def test_files_go_to_a_server(rich: Storage, sqlite: Open, far: Storage) -> None:
    merged = merge_studies([(rich, "rich"), (rich, "rich")], far, "both", duplicates="keep")
    assert (merged.written.files.files, merged.written.files.missing) == (2, ())
    back = merge_studies([(far, "both")], sqlite("back"), "again", duplicates="keep")
    assert (back.written.files.files, back.written.files.missing) == (2, ())
    assert back.written.folder is not None
    assert (back.written.folder / "trials/4-2/model.bin").read_bytes() == b"weights"


def test_dropped_trials_leave_their_files_behind(rich: Storage, sqlite: Open) -> None:
    merged = merge_studies([(rich, "rich"), (rich, "rich")], sqlite("target"), "both")
    assert (merged.duplicates, merged.written.files.files) == (3, 1)


def test_user_attributes_of_the_studies_are_kept(memory: MemoryStorage) -> None:
    for name in ("a", "b"):
        study = studied(memory, name, [1.0])
        memory.set_user_attrs(study.record.id, {"team": name, name: 1})
    merge_studies([(memory, "a"), (memory, "b")], memory, "both")
    attrs = memory.study("both").user_attrs
    assert attrs == {"team": "a", "a": 1, "b": 1, "merged_from": ["a", "b"]}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Space(x=Float(0, 10)), "only 'a' has the parameter 'k'"),
        (Space(x=Float(0, 10), k=Categorical("a"), z=Int(0, 1)), "only 'b' has the parameter 'z'"),
        (Space(x=Int(0, 10), k=Categorical("a")), "'x' differs in its kind \\(float against int\\)"),
        (Space(x=Float(1, 10, log=True), k=Categorical("a")), "'x' differs in its log"),
        (Space(x=Float(0, 10, step=0.5), k=Categorical("a")), "'x' differs in its step"),
        (Space(x=Float(0, 10), k=Ordinal("a")), "'k' differs in its kind"),
        (Space(x=Float(0, 9, when={"k": "a"}), k=Categorical("a")), "'x' differs in its when"),
        (Space(x=Float(0, 10), k=Categorical("a"), constraints=["x < 5"]), "their constraints differ"),
    ],
)
def test_spaces_that_do_not_fit(memory: MemoryStorage, other: Space, words: str) -> None:
    studied(memory, "a", [])
    Study(other, storage=memory, name="b")
    with pytest.raises(InputError, match=words):
        merge_studies([(memory, "a"), (memory, "b")], memory, "both")
    assert len(memory.studies()) == 2


def test_objectives_that_do_not_fit(memory: MemoryStorage) -> None:
    space = Space(x=Float(0, 1))
    Study(space, storage=memory, name="a")
    Study(space, "maximize", storage=memory, name="b")
    with pytest.raises(InputError, match=r"value \(minimize\) against value \(maximize\)"):
        merge_studies([(memory, "a"), (memory, "b")], memory, "both")
    assert Objective().direction == "minimize"


def test_grids_and_levels() -> None:
    def joined(a: Any, b: Any) -> Any:
        return join_spaces([("a", Space(p=a)), ("b", Space(p=b))])["p"]

    assert joined(Int(0, 10, step=5), Int(-10, 5, step=5)) == Int(-10, 10, step=5)
    assert joined(Ordinal("s", "m"), Ordinal("s", "m")) == Ordinal("s", "m")
    assert joined(Categorical(1, True), Categorical(1.0, 1)) == Categorical(1, True, 1.0)
    for a, b, words in [
        (Int(0, 10, step=5), Int(1, 11, step=5), "grid"),
        (Ordinal("s", "m"), Ordinal("m", "l"), "levels"),
        (Constant(1), Constant(2), "value"),
        (Categorical("a"), Categorical([(1,), (2,)]), "choices"),
    ]:
        with pytest.raises(InputError, match=words):
            joined(a, b)


def test_nothing_to_merge(memory: MemoryStorage) -> None:
    with pytest.raises(InputError, match="at least one study"):
        merge_studies([], memory, "x")
    with pytest.raises(InputError, match="auto"):
        merge_studies([(memory, "a")], memory, "x", duplicates="some")  # type: ignore[arg-type]
