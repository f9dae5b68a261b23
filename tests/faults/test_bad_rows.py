"""Rows that somebody edited by hand: named and set aside, and everything else stays readable."""

from __future__ import annotations

import pickle
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from modelwright.errors import SchemaError
from modelwright.records import Proposal, Provenance, Report, TrialState
from modelwright.storage import Claim, Storage, open_existing, open_storage
from modelwright.testing.storage import complete, make_spec


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    with closing(open_storage(path)) as storage:
        for name in ("study", "other"):
            study = storage.create_study(make_spec(name))
            for i in range(4):
                claim = storage.claim(study.id, "w", f"c{i}", 60)
                assert isinstance(claim, Claim)
                storage.propose(claim, Proposal({"x": i / 4, "n": 1, "k": "a"}), Provenance(), 0)
                storage.report(claim, [Report(1, {"value": 0.5})])
                storage.finish(claim, complete(float(i)), claim.claim_id)
    return path


@pytest.fixture
def edited(path: Path, request: pytest.FixtureRequest) -> Iterator[Storage]:
    statement, *values = request.param if isinstance(request.param, tuple) else (request.param,)
    with closing(sqlite3.connect(path)) as raw, raw:
        assert raw.execute(statement, values).rowcount > 0
    with closing(open_existing(path)) as storage:
        yield storage


class Bomb:
    """What does harm when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a value of the database was unpickled",)


def of_trial(change: str) -> str:
    return f"UPDATE trials SET {change} WHERE study_id = 1 AND number = 2"


UNREADABLE = [
    of_trial("params = '{\"x\": '"),
    of_trial("params = '[1]'"),
    (of_trial("params = ?"), "[" * 100_000),
    (of_trial("params = ?"), pickle.dumps(Bomb())),
    of_trial("values_json = '[\"a\"]'"),
    of_trial("values_json = 'oops'"),
    of_trial("user_attrs = 'oops'"),
    of_trial("metrics = '['"),
    of_trial("state = 'flying'"),
    of_trial("state = 'failed', failure_kind = 'magic'"),
]


@pytest.mark.parametrize("edited", UNREADABLE, indirect=True, ids=range(len(UNREADABLE)))
def test_b40_a_trial_that_cannot_be_read_is_set_aside(edited: Storage) -> None:
    trials = edited.trials(1)
    assert [trial.number for trial in trials] == [0, 1, 2, 3]
    assert [trial.state for trial in trials if trial.number != 2] == [TrialState.COMPLETE] * 3
    assert trials[2].state is TrialState.FAILED
    assert trials[2].failure is not None
    assert trials[2].failure.code == "E_DB_ROW"
    assert "trial 2" in trials[2].failure.message
    assert len(trials[2].failure.message) < 500
    assert edited.trial(1, 2) == trials[2]
    assert edited.changes(1, 0).trials
    answer = edited.claim(1, "w", "again", 60)
    assert isinstance(answer, Claim)
    assert answer.number == 4


ODD = [
    of_trial("fence = -5"),
    of_trial("fence = 'many'"),
    of_trial("attempts = -1"),
    of_trial("revision = -1"),
    (of_trial("reason = ?"), "x" * 5_000_000),
    (of_trial("params = ?"), '{"x": 0.5, "note": "' + "y" * 5_000_000 + '"}'),
    "UPDATE events SET kind = 'magic' WHERE study_id = 1",
    "UPDATE attempts SET outcome = 'magic' WHERE study_id = 1",
]


@pytest.mark.parametrize("edited", ODD, indirect=True, ids=range(len(ODD)))
def test_b40_odd_values_take_nothing_down(edited: Storage) -> None:
    assert [trial.number for trial in edited.trials(1)] == [0, 1, 2, 3]
    assert len(edited.events(1)) == edited.study("study").revision
    assert [study.spec.name for study in edited.studies()] == ["study", "other"]
    assert isinstance(edited.claim(1, "w", "again", 60), Claim)


OF_STUDY = [
    "UPDATE space_versions SET space = '{' WHERE study_id = 1",
    ("UPDATE space_versions SET space = ? WHERE study_id = 1", "[" * 100_000),
    "UPDATE studies SET objectives = '7' WHERE id = 1",
    "UPDATE studies SET state = 'flying' WHERE id = 1",
    "UPDATE studies SET optimizer = 'os.system' WHERE id = 1",
]


@pytest.mark.parametrize("edited", OF_STUDY, indirect=True, ids=range(len(OF_STUDY)))
def test_b40_a_study_that_cannot_be_read_is_left_out(edited: Storage) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert [study.spec.name for study in edited.studies()] == ["other"]
    assert "'study' cannot be read" in str(caught[0].message)
    with pytest.raises(SchemaError, match="'study' cannot be read") as error:
        edited.study("study")
    assert error.value.code == "E_DB_ROW"
    assert len(edited.trials(2)) == 4
    edited.delete_study("study")
    assert [study.spec.name for study in edited.studies()] == ["other"]


WRONG = ["{", "[1]", "[" * 100_000]


@pytest.mark.parametrize(
    "edited",
    [("UPDATE events SET payload = ? WHERE study_id = 1 AND revision = 3", text) for text in WRONG],
    indirect=True,
    ids=range(len(WRONG)),
)
def test_b40_an_event_that_cannot_be_read_says_so(edited: Storage) -> None:
    events = edited.events(1)
    assert [event.revision for event in events] == list(range(1, edited.study("study").revision + 1))
    assert [event.revision for event in events if "unreadable" in event.payload] == [3]
    assert len(str(events[2].payload)) < 500


@pytest.mark.parametrize(
    "edited",
    [("UPDATE reports SET values_json = ? WHERE study_id = 1 AND number = 2", text) for text in WRONG],
    indirect=True,
    ids=range(len(WRONG)),
)
def test_b40_a_report_that_cannot_be_read_is_left_out(edited: Storage) -> None:
    with pytest.warns(UserWarning, match="left out: a report of trial 2, at step 1"):
        assert edited.reports(1, 2) == []
    with pytest.warns(UserWarning, match="left out"):
        changes = edited.changes(1, 0)
    assert [number for number, _ in changes.reports] == [0, 1, 3]
    assert len(changes.trials) == 4
    assert len(edited.reports(1, 1)) == 1
