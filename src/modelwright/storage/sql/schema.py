"""The tables, and the views that show them under the names of ATM's ModelHub.

Columns hold what is filtered, sorted or shown by a view; the rest is JSON in text columns. Only types that
every supported database reads and writes alike are used: flags are small integers, moments are microseconds
since 1970 (UTC), and a number that may be infinite is stored in JSON (see `rows`).

A change here needs a new migration; a test compares the tables below with what the migrations build.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.types import TypeEngine

__all__ = [
    "VERSION",
    "artifacts",
    "attempts",
    "create_all",
    "datasets",
    "ensembles",
    "events",
    "metadata",
    "partitions",
    "reports",
    "space_versions",
    "studies",
    "trials",
    "version",
    "views",
    "workers",
]

VERSION = "0002"
"""The version of the schema that this code reads and writes: the head of the migrations."""

metadata = MetaData()

# Text is compared to the letter, as elsewhere: names that differ in case only are two names.
_MYSQL: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def _long() -> TypeEngine[str]:
    return Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def _key() -> TypeEngine[int]:
    # SQLite numbers rows by itself only in a column whose type is INTEGER to the letter.
    return BigInteger().with_variant(Integer(), "sqlite")


def _study_id() -> Column[int]:
    return Column("study_id", _key(), ForeignKey("studies.id", ondelete="CASCADE"), nullable=False)


version = Table(
    "modelwright_version",
    metadata,
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="modelwright_version_pkc"),
    **_MYSQL,
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", _key(), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("description", _long(), nullable=False),
    Column("train_path", _long(), nullable=False),
    Column("test_path", _long()),
    Column("class_column", _long(), nullable=False),
    Column("n_examples", BigInteger, nullable=False),
    Column("k_classes", BigInteger, nullable=False),
    Column("d_features", BigInteger, nullable=False),
    Column("majority", Double, nullable=False),
    Column("size_kb", BigInteger, nullable=False),
    Column("fingerprint", String(128), nullable=False),
    Column("metadata", _long(), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
    **_MYSQL,
)

studies = Table(
    "studies",
    metadata,
    Column("id", _key(), primary_key=True),
    Column("name", String(200), nullable=False),
    # What moves; some of it with each write, see `studies.Head`.
    Column("revision", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("budget_trials", BigInteger),
    Column("issued", BigInteger, nullable=False),
    Column("fence_floor", BigInteger, nullable=False),
    Column("window_size", BigInteger),
    Column("space_version", Integer, nullable=False),
    Column("report_revision", BigInteger, nullable=False),
    Column("closed", _long(), nullable=False),
    Column("started_us", BigInteger),
    Column("ended_us", BigInteger),
    Column("user_attrs", _long(), nullable=False),
    Column("budget_s", Double),
    Column("deadline_us", BigInteger),
    Column("ensemble_worker", String(128), nullable=False),
    Column("ensemble_lease_us", BigInteger, nullable=False),
    # What is fixed.
    Column("created_us", BigInteger, nullable=False),
    Column("dataset_id", _key(), ForeignKey("datasets.id")),
    Column("objectives", _long(), nullable=False),
    Column("optimizer", _long(), nullable=False),
    Column("scheduler", _long()),
    Column("seed", BigInteger, nullable=False),
    Column("deterministic", SmallInteger, nullable=False),
    Column("reproducible", SmallInteger, nullable=False),
    Column("lease_s", Double, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("objective_ref", _long(), nullable=False),
    Column("description", _long(), nullable=False),
    Column("selector", String(200), nullable=False),
    Column("tuner", String(200), nullable=False),
    Column("k_window", Integer),
    Column("r_minimum", Integer),
    Column("gridding", Integer),
    Column("metric", String(200), nullable=False),
    Column("score_target", String(32), nullable=False),
    Column("budget_type", String(32), nullable=False),
    # Since 0002.
    Column("budget_cost", Double),
    Column("budget_parallel", BigInteger),
    Column("cost", Double, nullable=False, server_default="0"),
    Column("abort", SmallInteger, nullable=False, server_default="0"),
    Column("retry", _long()),  # JSON; NULL if no failure is tried again
    UniqueConstraint("name", name="uq_studies_name"),
    sqlite_autoincrement=True,
    **_MYSQL,
)

space_versions = Table(
    "space_versions",
    metadata,
    _study_id(),
    Column("version", Integer, nullable=False),
    Column("space", _long(), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "version"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

partitions = Table(
    "partitions",
    metadata,
    Column("id", _key(), primary_key=True),
    _study_id(),
    Column("position", Integer, nullable=False),
    Column("method", _long(), nullable=False),
    Column("categoricals", _long(), nullable=False),
    Column("tunables", _long(), nullable=False),
    Column("constants", _long(), nullable=False),
    Column("status", String(16), nullable=False),
    UniqueConstraint("study_id", "position", name="uq_partitions_position"),
    sqlite_autoincrement=True,
    **_MYSQL,
)

trials = Table(
    "trials",
    metadata,
    Column("id", _key(), primary_key=True),
    _study_id(),
    Column("number", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("params", _long()),
    Column("space_version", Integer, nullable=False),
    Column("fidelity", Double),
    Column("parent", BigInteger),
    Column("partition_index", Integer),
    Column("enqueued", SmallInteger, nullable=False),
    Column("optimizer", String(200), nullable=False),
    Column("optimizer_version", String(64), nullable=False),
    Column("reason", _long(), nullable=False),
    Column("seen_revision", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker_id", String(128), nullable=False),
    Column("claim_id", String(128)),
    Column("lease_until_us", BigInteger, nullable=False),
    Column("stop", SmallInteger, nullable=False),
    Column("result_id", String(128)),
    Column("value", Double),  # the first of `values_json`, for sorting; NULL if it is not finite
    Column("values_json", _long(), nullable=False),
    Column("failure_kind", String(16)),
    Column("failure_code", String(64), nullable=False),
    Column("failure_message", _long(), nullable=False),
    Column("failure_traceback", _long(), nullable=False),
    Column("user_attrs", _long(), nullable=False),
    Column("metrics", _long(), nullable=False),
    Column("cv_mean", Double),
    Column("cv_std", Double),
    Column("test_score", Double),
    Column("model_location", _long()),
    Column("metrics_location", _long()),
    Column("duration_s", Double),
    Column("revision", BigInteger, nullable=False),
    Column("finished_revision", BigInteger, nullable=False),
    Column("queued_us", BigInteger),
    Column("started_us", BigInteger),
    Column("ended_us", BigInteger),
    # Since 0002.
    Column("config_key", String(64)),  # of `plain.config_key`; NULL while there is no configuration
    Column("request_id", String(128)),
    UniqueConstraint("study_id", "number", name="uq_trials_number"),
    UniqueConstraint("study_id", "claim_id", name="uq_trials_claim"),
    # What `changes` reads.
    Index("ix_trials_revision", "study_id", "revision"),
    # What `claim` reads: waiting trials have a lease of 0, so they are in the order of their numbers.
    Index("ix_trials_lease", "state", "study_id", "lease_until_us", "number"),
    # What `propose` and `enqueue` read.
    Index("ix_trials_config", "study_id", "config_key"),
    Index("uq_trials_request", "study_id", "request_id", unique=True),
    sqlite_autoincrement=True,
    **_MYSQL,
)

attempts = Table(
    "attempts",
    metadata,
    _study_id(),
    Column("number", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("worker_id", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("duration_s", Double),
    Column("peak_memory_mb", Double),
    Column("exit_code", Integer),
    Column("log_location", _long(), nullable=False),
    # Since 0002.
    Column("cost", Double),
    Column("result_id", String(128)),
    PrimaryKeyConstraint("study_id", "number", "fence"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

reports = Table(
    "reports",
    metadata,
    _study_id(),
    Column("revision", BigInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("step", Double, nullable=False),
    Column("fold", Integer),
    Column("values_json", _long(), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "revision", "position"),
    Index("ix_reports_number", "study_id", "number"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

artifacts = Table(
    "artifacts",
    metadata,
    _study_id(),
    Column("number", BigInteger, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("location", _long(), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("format", String(64), nullable=False),
    PrimaryKeyConstraint("study_id", "number", "fence", "name"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("boot_id", String(128), nullable=False),
    Column("process_started", Double, nullable=False),
    Column("version", String(64), nullable=False),
    Column("registered_us", BigInteger, nullable=False),
    Column("seen_us", BigInteger, nullable=False),
    # Since 0002.
    Column("group_id", String(128), nullable=False, server_default=""),
    Column("asked", String(8), nullable=False, server_default=""),
    Column("left_us", BigInteger),
    **_MYSQL,
)

ensembles = Table(
    "ensembles",
    metadata,
    _study_id(),
    Column("iteration", BigInteger, nullable=False),
    Column("worker_id", String(128), nullable=False),
    Column("members", _long(), nullable=False),
    Column("score", _long(), nullable=False),
    Column("location", _long(), nullable=False),
    Column("metrics", _long(), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "iteration"),
    sqlite_with_rowid=False,
    **_MYSQL,
)

events = Table(
    "events",
    metadata,
    _study_id(),
    Column("revision", BigInteger, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("number", BigInteger),
    Column("fence", BigInteger),
    Column("payload", _long(), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    PrimaryKeyConstraint("study_id", "revision"),
    sqlite_with_rowid=False,
    **_MYSQL,
)


def create_all(connection: Connection) -> None:
    """Create every table and view in an empty database, and write the version."""
    metadata.create_all(connection, checkfirst=False)
    for name, select in views(connection.dialect.name).items():
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {select}")
    connection.execute(version.insert(), {"version_num": VERSION})


def views(dialect: str) -> dict[str, str]:
    """Return the SELECT of each view by its name.

    ``dataruns``, ``hyperpartitions`` and ``classifiers`` are what ATM called studies, partitions and trials;
    ``modelhub_datasets`` is the table of data sets under ATM's names.
    """

    def moment(column: str) -> str:
        return _MOMENT[dialect].format(column=column)

    return {
        "modelhub_datasets": """
SELECT id AS dataset_id, name, description, train_path, test_path, class_column,
       n_examples, k_classes, d_features, majority, size_kb
FROM datasets""",
        "dataruns": f"""
SELECT id AS datarun_id, dataset_id, description, selector, k_window, tuner, r_minimum, gridding, priority,
       budget_type, CASE WHEN budget_type = 'walltime' THEN budget_s ELSE budget_trials END AS budget,
       {moment(_DEADLINE[dialect])} AS deadline, metric, score_target,
       {moment("started_us")} AS start_time, {moment("ended_us")} AS end_time,
       CASE state WHEN 'pending' THEN 'pending' WHEN 'running' THEN 'running' WHEN 'paused' THEN 'running'
                  ELSE 'complete' END AS status
FROM studies""",
        "hyperpartitions": """
SELECT id AS hyperpartition_id, study_id AS datarun_id, method, categoricals, tunables, constants, status
FROM partitions""",
        "classifiers": f"""
SELECT trials.id AS classifier_id, trials.study_id AS datarun_id, partitions.id AS hyperpartition_id,
       workers.host AS host, trials.model_location AS model_location,
       trials.metrics_location AS metrics_location,
       COALESCE(trials.cv_mean, trials.value) AS cv_judgment_metric,
       trials.cv_std AS cv_judgment_metric_stdev, trials.test_score AS test_judgment_metric,
       trials.params AS hyperparameters_values,
       {moment("trials.started_us")} AS start_time,
       {moment("trials.ended_us")} AS end_time,
       CASE trials.state WHEN 'failed' THEN 'errored' WHEN 'complete' THEN 'complete'
                         WHEN 'pruned' THEN 'complete' ELSE 'running' END AS status,
       CASE WHEN trials.failure_traceback <> '' THEN trials.failure_traceback
            WHEN trials.failure_message <> '' THEN trials.failure_message END AS error_message
FROM trials
LEFT JOIN partitions ON partitions.study_id = trials.study_id AND partitions.position = trials.partition_index
LEFT JOIN workers ON workers.id = trials.worker_id""",
    }


# Microseconds since 1970 as text, in UTC. MySQL's has no percent sign: its drivers would take it for a mark.
_POSTGRESQL_MOMENT = (
    "to_char(to_timestamp({column} / 1000000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.MS')"
)
_MYSQL_MOMENT = "CAST(TIMESTAMPADD(MICROSECOND, {column}, CAST('1970-01-01' AS DATETIME(6))) AS CHAR(23))"
_MOMENT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {column} / 1000000.0, 'unixepoch')",
    "postgresql": _POSTGRESQL_MOMENT,
    "mysql": _MYSQL_MOMENT,
    "mariadb": _MYSQL_MOMENT,
}
# A budget of wall time ends at a moment too, once the study has run.
_LIMIT = "COALESCE(deadline_us, started_us + CAST(budget_s * 1000000 AS {whole}))"
_DEADLINE = {
    "sqlite": _LIMIT.format(whole="INTEGER"),
    "postgresql": _LIMIT.format(whole="BIGINT"),
    "mysql": _LIMIT.format(whole="SIGNED"),
    "mariadb": _LIMIT.format(whole="SIGNED"),
}
