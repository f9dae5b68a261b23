"""Optuna's files of versions 3, 4 and 5 become studies; `test_optuna_itself` asks the library too.

The files in `tests/assets/optuna` were written by those versions: one study with every kind of parameter and
of trial, and one with two objectives.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.errors import InputError
from modelwright.integrations.optuna import list_studies, read_study
from modelwright.records import FailureKind, Objective, TrialState
from modelwright.storage import MemoryStorage
from modelwright.transfer import StudySnapshot, import_study

ASSETS = Path(__file__).parents[1] / "assets" / "optuna"
EVERY = [f"{version}{ending}" for version in "345" for ending in (".db", ".log")]

SPACE = Space(
    x=Float(-5, 5),
    lr=Float(1e-5, 1e-1, log=True),
    q=Float(0, 1, step=0.25),
    n=Int(1, 9),
    w=Int(16, 128, step=16),
    d=Int(1, 1000, log=True),
    model=Categorical("svm", "tree", None, 3, 0.5, True),
    C=Float(0.1, 10, log=True, when={"model": "svm"}),
)


@pytest.fixture
def optuna_file(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes the file ``"4.db"`` or ``"4.log"``."""

    def make(name: str) -> Path:
        version, ending = name.split(".")
        if ending == "log":
            return ASSETS / f"optuna-{version}.log"
        path = tmp_path / f"optuna-{version}.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript((ASSETS / f"optuna-{version}.sql").read_text())
        return path

    return make


@pytest.mark.parametrize("name", EVERY)
def test_every_version_and_kind_of_file(name: str, optuna_file: Callable[[str], Path]) -> None:
    path = optuna_file(name)
    assert list_studies(path) == ["one", "two"]
    snapshot = read_study(path, "one")
    assert snapshot.spec.space == SPACE
    assert len(snapshot.spaces) == 1
    assert snapshot.spec.objectives == (Objective("value", "maximize"),)
    assert snapshot.user_attrs == {"team": "blue"}
    trials = {item.number: item for item in snapshot.trials}
    assert [trials[i].trial.state.value for i in range(8)] == [
        "complete", "complete", "failed", "complete", "pruned", "failed", "waiting", "waiting"
    ]  # fmt: skip
    first = trials[0].trial
    assert first.params is not None
    assert (first.params["x"], first.params["model"], first.params["C"]) == (1.5, "svm", 1.0)
    assert first.values == (2.25 + first.params["n"],)
    assert first.user_attrs == {"note": {"k": [1, 2.5, "a"]}}
    assert [(report.step, report.values) for report in trials[0].reports] == [
        (0, {"value": 2.25}), (1, {"value": 3.25}), (2, {"value": 4.25})
    ]  # fmt: skip
    pruned = trials[4]
    assert pruned.trial.values == (pruned.reports[-1].values["value"],)
    kinds = [trials[i].trial.failure.kind for i in (2, 5)]  # type: ignore[union-attr]
    assert kinds == [FailureKind.ERROR, FailureKind.NAN]
    waiting = [trials[i].trial.params for i in (6, 7)]
    assert [params["x"] for params in waiting if params is not None] == [2.5, 3.5]
    two = read_study(path, "two")
    assert two.spec.objectives == (Objective("loss", "minimize"), Objective("gain", "maximize"))
    assert all(sum(item.trial.values) == pytest.approx(1) for item in two.trials)


@pytest.mark.parametrize("name", ["3.db", "5.log"])
def test_the_search_goes_on_here(
    name: str, optuna_file: Callable[[str], Path], memory: MemoryStorage
) -> None:
    import_study(memory, read_study(optuna_file(name), "one"), name="ours")
    study = Study.load("ours", storage=memory)
    assert study.best_trial.number == 3
    study.run(lambda trial: trial.params["x"], trials=14, executor="inline")
    assert [trial.state for trial in study.trials[6:]] == [TrialState.COMPLETE] * 8
    assert study.trials[6].value == 2.5


def test_files_of_one_moment_agree(optuna_file: Callable[[str], Path]) -> None:
    """Moments are local time in databases of Optuna 3 and 4, and UTC since 5; they come out as UTC."""
    starts = {}
    for name in EVERY:
        first = read_study(optuna_file(name), "one").trials[0].trial
        assert first.started_us is not None
        assert first.ended_us is not None
        assert first.duration_s == pytest.approx((first.ended_us - first.started_us) / 1e6)
        starts[name] = first.started_us
    assert max(starts.values()) - min(starts.values()) < 60e6


def test_local_time_is_read_as_such(optuna_file: Callable[[str], Path], monkeypatch: Any) -> None:
    import time

    monkeypatch.setenv("TZ", "Etc/GMT-5")  # five hours ahead of UTC
    time.tzset()
    try:
        shifted = read_study(optuna_file("4.db"), "one").trials[0].trial.started_us
        steady = read_study(optuna_file("5.db"), "one").trials[0].trial.started_us
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert shifted is not None
    assert steady is not None
    assert steady - shifted == pytest.approx(5 * 3600e6, abs=60e6)


# torn and foreign files ----------------------------------------------------------------------------------


def journal(tmp_path: Path, change: Callable[[list[bytes]], bytes]) -> Path:
    lines = (ASSETS / "optuna-5.log").read_bytes().splitlines()
    path = tmp_path / "torn.log"
    path.write_bytes(change(lines))
    return path


def complete(snapshot: StudySnapshot) -> int:
    return sum(item.trial.state is TrialState.COMPLETE for item in snapshot.trials)


def test_any_cut_of_a_journal_leaves_what_came_before(tmp_path: Path) -> None:
    whole = (ASSETS / "optuna-5.log").read_bytes()
    counts = []
    for end in range(400, len(whole), 997):
        path = journal(tmp_path, lambda _, end=end: whole[:end])  # type: ignore[misc]
        counts.append(complete(read_study(path, "one")))
    assert counts == sorted(counts)
    assert counts[-1] == complete(read_study(ASSETS / "optuna-5.log", "one")) == 3


def test_a_torn_line_within_is_named(tmp_path: Path) -> None:
    def torn(lines: list[bytes]) -> bytes:
        lines[9] = lines[9][:30] + lines[10]
        return b"\n".join(lines) + b"\n"

    with pytest.raises(InputError, match="line 10 is"):
        list_studies(journal(tmp_path, torn))


@pytest.mark.parametrize(
    "line",
    [b"[]", b"3", b'{"op_code": 99}', b'{"op_code": 4}', b'{"op_code": 0, "study_name": "x"}', b"\xff\xfe",
     b'{"op_code": 5, "trial_id": 0, "param_name": "x"}', b"[" * 10_000],
)  # fmt: skip
def test_lines_that_are_no_operation(tmp_path: Path, line: bytes) -> None:
    path = journal(tmp_path, lambda lines: b"\n".join([*lines[:5], line, *lines[5:]]) + b"\n")
    with pytest.raises(InputError, match="line 6 is"):
        list_studies(path)


def test_deleted_and_doubled_studies(tmp_path: Path) -> None:
    def more(lines: list[bytes]) -> bytes:
        first = json.loads(lines[0])
        deleted = {"op_code": 1, "worker_id": "w", "study_id": 1}
        return b"\n".join([*lines, lines[0], json.dumps(deleted).encode(), json.dumps(first).encode(), b""])

    path = journal(tmp_path, more)
    assert list_studies(path) == ["one"]
    assert complete(read_study(path)) == 3  # the only study needs no name


def test_which_study(optuna_file: Callable[[str], Path]) -> None:
    path = optuna_file("5.db")
    with pytest.raises(InputError, match=r"expected one study .* got 2: 'one', 'two'.*--study"):
        read_study(path)
    with pytest.raises(InputError, match="no study 'too'"):
        read_study(path, "too")


def test_files_that_are_not_optunas(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "empty").write_text("")
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE t (x)")
    (tmp_path / "torn.db").write_bytes((tmp_path / "other.db").read_bytes()[:3000])
    for name in ("text", "empty", "other.db", "torn.db", "missing"):
        with pytest.raises(InputError):
            list_studies(tmp_path / name)


def test_older_tables_are_named(optuna_file: Callable[[str], Path]) -> None:
    path = optuna_file("3.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE version_info SET schema_version = 11")
        connection.commit()
    with pytest.raises(InputError, match="expected tables of version 12, got 11"):
        list_studies(path)


def test_a_database_is_only_read(optuna_file: Callable[[str], Path]) -> None:
    path = optuna_file("4.db")
    before = path.read_bytes()
    path.chmod(0o444)
    read_study(path, "one")
    assert path.read_bytes() == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_parameter_without_a_counterpart_is_named(optuna_file: Callable[[str], Path]) -> None:
    path = optuna_file("5.db")
    with closing(sqlite3.connect(path)) as connection:
        form = json.dumps({"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}})
        connection.execute(
            "UPDATE trial_params SET distribution_json = ?, param_value = 1 "
            "WHERE param_name = 'x' AND trial_id = 2",
            (form,),
        )
        connection.commit()
    with pytest.raises(InputError, match="the parameter 'x' has no counterpart: it is a category in some"):
        read_study(path, "one")
