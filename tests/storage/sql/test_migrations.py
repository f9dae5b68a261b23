"""Schema versions: the migrations build what the code expects, and old ledgers stay readable."""

from __future__ import annotations

import importlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from modelwright.records import Budget, FailureKind, Proposal, Provenance, TrialState
from modelwright.storage import Claim, SQLStorage, open_existing
from modelwright.storage.plain import config_key
from modelwright.storage.sql import migrations, schema
from modelwright.storage.sql.encoding import decode, encode

ASSETS = Path(__file__).parents[2] / "assets"


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", "modelwright.storage.sql:migrations")
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    path = tmp_path / "migrated.db"
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        migrations.upgrade(connection)
    engine.dispose()
    return path


def structure(path: Path) -> dict[str, list[str]]:
    """Return the parts of each CREATE statement by name, in an order that does not matter."""
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    parts = {}
    for name, sql in found:
        words = " ".join(sql.split())
        words = re.sub(r" ?\)( WITHOUT ROWID)?$", r",\1", words)  # the end is a part of its own
        parts[name] = sorted(part.strip() for part in re.split(r",(?![^(]*\))", words))
    return parts


def test_the_migrations_build_the_schema(migrated: Path, tmp_path: Path) -> None:
    SQLStorage(tmp_path / "direct.db").close()
    direct, stepwise = structure(tmp_path / "direct.db"), structure(migrated)
    assert {"studies", "trials", "ix_trials_lease", "classifiers"} <= direct.keys()
    assert "WITHOUT ROWID" in direct["events"]
    assert "budget_trials BIGINT" in direct["studies"]
    assert direct == stepwise


def test_a_migrated_ledger_works(migrated: Path) -> None:
    storage = open_existing(migrated)
    assert storage.studies() == []
    storage.close()


def test_there_is_one_head_and_the_code_expects_it() -> None:
    assert scripts().get_heads() == [schema.VERSION]
    revisions = [script.revision for script in scripts().walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert all(revision.isdigit() and len(revision) == 4 for revision in revisions)


def test_every_released_version_has_a_ledger_among_the_assets() -> None:
    versions = {path.stem.removeprefix("ledger-") for path in ASSETS.glob("ledger-*.sql")}
    assert versions == {script.revision for script in scripts().walk_revisions()}


@pytest.mark.parametrize("dump", sorted(ASSETS.glob("ledger-*.sql")), ids=lambda path: path.stem)
def test_old_ledgers_are_upgraded_and_read(dump: Path, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(dump.read_text(encoding="utf-8"))
    connection.close()

    storage = open_existing(path)
    study = storage.study("näme")
    assert study.spec.space.names == ("lr", "layers", "act")
    assert (study.budget.trials, study.issued, study.window, study.space_version) == (10, 4, 2, 1)
    assert study.user_attrs == {"by": "somebody"}
    assert study.spec.search.selector == "ucb1"
    trials = storage.trials(study.id)
    assert [trial.state for trial in trials] == [
        TrialState.COMPLETE,
        TrialState.FAILED,
        TrialState.RUNNING,
        TrialState.WAITING,
    ]
    assert trials[0].values == (0.5, float("inf"))
    assert trials[1].failure is not None
    assert trials[1].failure.message == "division by zero"
    assert (trials[3].params, trials[3].enqueued) == ({"lr": 0.1, "layers": 2, "act": "relu"}, True)
    assert [report.step for report in storage.reports(study.id, 0)] == [1.0, 2.0]
    assert [artifact.name for _, artifact in storage.artifacts(study.id)] == ["model"]
    assert [partition.method for partition in storage.partitions(study.id)] == ["knn", "dt"]
    assert storage.ensembles(study.id)[0].members == [(0, 1.0)]
    assert storage.dataset(1).name == "iris"
    assert storage.workers()[0].host == "host-1"
    assert {attempt.number: attempt.outcome for attempt in storage.attempts(study.id)} == {
        0: "complete",
        1: "failed",
        2: "running",
    }
    claim = storage.claim(study.id, "w2", "a new one", 60)  # every lease of the assets ran out long ago
    assert isinstance(claim, Claim)
    configuration = Proposal({"layers": 3, "lr": 0.01, "act": "gelu"})
    if claim.params is None:
        assert storage.propose(claim, configuration, Provenance(), 1, unique=True) == 0
    assert storage.enqueue(study.id, {"lr": 0.2}, {}) == storage.study("näme").issued - 1
    storage.close()

    after = sqlite3.connect(path)
    assert after.execute("SELECT version_num FROM modelwright_version").fetchall() == [(schema.VERSION,)]
    assert after.execute("SELECT COUNT(*) FROM classifiers").fetchone() == (5,)
    keys = after.execute("SELECT params, fidelity, config_key FROM trials").fetchall()
    assert all(key == config_key(decode(params), fidelity) for params, fidelity, key in keys)
    after.close()


def test_the_second_version_keeps_control_and_budgets(tmp_path: Path) -> None:
    path = tmp_path / "second.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ASSETS / "ledger-0002.sql").read_text(encoding="utf-8"))
    storage = open_existing(path)
    study = storage.study("näme")
    assert study.budget == Budget(10, None, 4_000_000_000_000_000, 5000.0, 4)
    assert (study.cost, study.abort, study.spec.retry) == (41.5, False, {"error": 1})
    assert [(item.number, item.fence, item.outcome, item.cost) for item in storage.attempts(study.id)] == [
        (0, 1, "complete", 1.5),
        (1, 1, "error", 20.0),
        (1, 2, "failed", 20.0),
        (2, 1, "running", None),
    ]
    assert storage.enqueue(study.id, {}, {}, request_id="again-1") == 3
    (worker,) = storage.workers()
    assert (worker.group, worker.asked, worker.left_us) == ("w0", "drain", None)
    # Somebody asked to kill trial 2; its lease has run out since.
    assert isinstance(storage.claim(study.id, "w2", "c", 60), Claim)
    failure = storage.trial(study.id, 2).failure
    assert failure is not None
    assert failure.kind is FailureKind.KILLED
    storage.close()


def test_old_figures_for_show_do_not_stop_a_study(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ASSETS / "ledger-0001.sql").read_text(encoding="utf-8"))
        with connection:
            connection.execute("UPDATE studies SET budget_s = 1.0, deadline_us = 1700000000000000")
    storage = open_existing(path)
    study = storage.study("näme")
    assert study.budget == Budget(10)
    assert isinstance(storage.claim(study.id, "w2", "c", 60), Claim)
    storage.close()


@pytest.mark.parametrize("fidelity", [None, 3, 0.5])
@pytest.mark.parametrize(
    "params", [{}, {"x": 1.0, "k": "ä"}, {"b": True, "a": [1, -0.0, {"c": float("inf")}]}, {"n": 2**60}]
)
def test_the_migration_names_configurations_as_the_code_does(params: Any, fidelity: float | None) -> None:
    module = importlib.import_module("modelwright.storage.sql.migrations.versions.0002_control_and_budgets")
    assert module._key_of(encode(params), fidelity) == config_key(params, fidelity)
    assert module._key_of("{broken", fidelity) is None
