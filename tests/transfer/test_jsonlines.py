"""JSON Lines keep all that the ledger knows, and are read strictly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich_study import everything

from modelwright import Float, Int, Space, Study
from modelwright.errors import InputError, ModelwrightError
from modelwright.records import (
    Artifact,
    Budget,
    Failure,
    FailureKind,
    Objective,
    Provenance,
    Report,
    StudySpec,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.storage import MemoryStorage
from modelwright.storage.base import AdoptedTrial, Attempt, Storage
from modelwright.testing.strategies import spaces
from modelwright.transfer import StudySnapshot, export_study, import_study, read_lines_file, read_snapshot
from modelwright.transfer.jsonlines import from_lines, to_lines
from modelwright.transfer.snapshot import in_order

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_NUMBERS = st.floats(allow_nan=False) | st.integers(-(2**53), 2**53)
_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_ATTRS = st.dictionaries(_TEXT | st.sampled_from(["$float", "$$float"]), _JSON, max_size=3)
_STATES = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.WAITING]
_MOMENTS = st.none() | st.integers(0, 2**52)


@st.composite
def adopted(draw: st.DrawFn, number: int, space: Space) -> AdoptedTrial:
    state = draw(
        st.sampled_from([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED, TrialState.WAITING])
    )
    seed = draw(st.integers(0, 2**32))

    config = space.dump(space.sample(np.random.default_rng(seed)))
    failure = None
    if state is TrialState.FAILED:
        failure = Failure(draw(st.sampled_from(FailureKind)), draw(_TEXT), "E_X", draw(_TEXT))
    values = draw(st.tuples(st.floats(), st.floats())) if state is TrialState.COMPLETE else ()
    fence = draw(st.integers(1, 5))
    trial = Trial(
        number,
        state,
        config,
        values,
        failure,
        fidelity=draw(st.none() | st.floats(0, 100)),
        fence=fence,
        attempts=draw(st.integers(0, fence)),
        enqueued=draw(st.booleans()),
        provenance=Provenance("o", "1", draw(_TEXT), draw(st.integers(0, 99))),
        user_attrs=draw(_ATTRS),
        metrics=draw(_ATTRS),
        duration_s=draw(st.none() | st.floats(0, 1e9)),
        queued_us=draw(_MOMENTS),
        started_us=draw(_MOMENTS),
        ended_us=draw(_MOMENTS),
    )
    steps = draw(st.lists(st.integers(-5, 99), max_size=3, unique=True))
    reports = [
        Report(float(step), {draw(_TEXT): draw(_NUMBERS)}, draw(st.none() | st.just(0))) for step in steps
    ]
    attempt = Attempt(number, fence, "w", "complete", 5, 6, 0.5, 0.5, None, -9, "logs")
    artifacts = [Artifact("a", "b/c", "0" * 64, 3, "bin")] if state.finished else []
    return AdoptedTrial(trial, number, reports, [attempt], artifacts)


@st.composite
def snapshots(draw: st.DrawFn) -> StudySnapshot:
    space = draw(spaces(most=3))
    trials = [draw(adopted(number, space)) for number in range(draw(st.integers(0, 3)))]
    name = draw(_TEXT.filter(lambda text: text and text.isprintable() and "/" not in text))
    spec = StudySpec(
        name,
        Space.from_json(space.to_json()),
        (Objective("a"), Objective("b", "maximize")),
        seed=draw(st.integers(0, 2**32 - 1)),
        description=draw(_TEXT),
        retry={"error": 2},
    )
    budget = Budget(trials=len(trials) + 3, time_s=draw(st.none() | st.floats(1, 1e6)), parallel=2)
    return StudySnapshot(
        spec, [space.to_json()], in_order(trials), budget, StudyState.PAUSED, 2, draw(_ATTRS), [], []
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(snapshot=snapshots())
def test_what_is_written_is_read_back(snapshot: StudySnapshot) -> None:
    lines = list(to_lines(snapshot))
    assert all(json.loads(line) is not None and "\n" not in line for line in lines)
    back = from_lines(lines)
    assert repr(back) == repr(snapshot)  # NaN is no number that equals itself, but its text does


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(snapshot=snapshots())
def test_a_ledger_gives_back_what_it_was_given(snapshot: StudySnapshot) -> None:
    """A study goes into a ledger, out to lines, and into another ledger."""
    first, second = MemoryStorage(), MemoryStorage()
    name = import_study(first, snapshot).study.spec.name
    exported = list(to_lines(read_snapshot(first, name)))
    import_study(second, from_lines(exported))
    assert repr(everything(second, name)) == repr(everything(first, name))


def test_a_file_comes_back_whole(rich: Storage, tmp_path: Path, sqlite: Callable[[str], Storage]) -> None:
    export_study(rich, "rich", tmp_path / "t.jsonl")
    import_study(sqlite("back"), read_lines_file(tmp_path / "t.jsonl"))
    assert everything(sqlite("back"), "rich") == everything(rich, "rich")


def test_a_study_goes_on_after_it_was_read(tmp_path: Path, memory: MemoryStorage) -> None:
    study = Study(Space(x=Float(0, 1), n=Int(0, 9)), storage=memory, name="s", seed=1)
    study.run(lambda trial: trial.params["x"], trials=12, executor="inline")
    export_study(memory, "s", tmp_path / "t.jsonl")
    import_study(memory, read_lines_file(tmp_path / "t.jsonl"), name="t")
    again = Study.load("t", storage=memory)
    for one in (study, again):
        one.run(lambda trial: trial.params["x"], trials=15, executor="inline")
    assert [trial.params for trial in again.trials] == [trial.params for trial in study.trials]


HEAD = json.dumps(
    {
        "format": "modelwright-study",
        "version": 1,
        "study": {"spec": {"name": "s", "space": {"parameters": []}}, "spaces": [{"parameters": []}]},
    }
)
TRIAL: dict[str, Any] = {"trial": {"number": 0, "state": "waiting"}, "number": 0}


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "line 1: expected JSON"),
        (["a,b,c"], "line 1: expected JSON"),
        (["{}"], "line 1: expected the study"),
        (["[1]"], "line 1: expected the study"),
        ([HEAD.replace('"version": 1', '"version": 2')], "expected version 1"),
        ([HEAD.replace('"name": "s"', '"name": 5')], "line 1: study.spec.name: expected text"),
        ([HEAD.replace('"spaces": [{"parameters": []}]', '"spaces": []')], "at least one space"),
        ([HEAD.replace('"spaces"', '"rooms"')], "unknown key 'rooms'"),
        ([HEAD, "{"], "line 2: expected JSON"),
        ([HEAD, "[" * 100_000], "line 2: it is nested too deeply|line 2: expected JSON"),
        ([HEAD, json.dumps({**TRIAL, "number": "0"})], "line 2.number"),
        ([HEAD, json.dumps({"trial": {"number": 0, "state": "happy"}})], "line 2.trial.state"),
        (
            [HEAD, json.dumps({"trial": {"number": 0, "state": "failed", "failure": 3}})],
            "line 2.trial.failure",
        ),
        ([HEAD, "", json.dumps(TRIAL), json.dumps(TRIAL)], "line 4: the trial 0 is there twice"),
    ],
)
def test_lines_that_are_wrong(lines: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_lines(lines)


def test_a_good_file_with_a_mark_and_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("\ufeff" + HEAD + "\n\n" + json.dumps(TRIAL) + "\n", encoding="utf-8")
    assert [item.number for item in read_lines_file(tmp_path / "t").trials] == [0]


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xff\xfe\x00")
    for name in ("t", "missing"):
        with pytest.raises(InputError):
            read_lines_file(tmp_path / name)


def test_a_study_that_cannot_be_is_refused_whole(memory: MemoryStorage) -> None:
    """Numbers with a gap, or a trial that says nothing of its parent, leave no half study."""
    broken = json.dumps({"trial": {"number": -1, "state": "waiting"}, "number": -1})
    with pytest.raises((ModelwrightError, ValueError)):
        import_study(memory, from_lines([HEAD, broken]))
    assert memory.studies() == []
