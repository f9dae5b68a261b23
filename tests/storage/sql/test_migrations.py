"""Schema versions: the migrations build what the code expects, and old ledgers stay readable."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from modelwright.records import TrialState
from modelwright.storage import SQLStorage, open_existing
from modelwright.storage.sql import migrations, schema

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
    assert (study.budget_trials, study.issued, study.window, study.space_version) == (10, 4, 2, 1)
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
    assert storage.enqueue(study.id, {"lr": 0.2}, {}) == 4
    storage.close()

    after = sqlite3.connect(path)
    assert after.execute("SELECT version_num FROM modelwright_version").fetchall() == [(schema.VERSION,)]
    assert after.execute("SELECT COUNT(*) FROM classifiers").fetchone() == (5,)
    after.close()
