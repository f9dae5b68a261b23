"""The first tables: studies, trials, what belongs to them, and the views under ATM's names.

A migration never changes once it is released, so it takes nothing from the code around it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.types import TypeEngine

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Build everything."""
    _catalogue()
    _studies()
    _parts_of_studies()
    _trials()
    _parts_of_trials()
    _views(_MOMENT[op.get_bind().dialect.name])


def _long() -> TypeEngine[str]:
    return sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")


def _key() -> TypeEngine[int]:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _table(name: str, *parts: Any, **options: Any) -> None:
    for dialect in ("mysql", "mariadb"):
        for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin")):
            options[f"{dialect}_{option}"] = value
    op.create_table(name, *parts, **options)


def _catalogue() -> None:
    _table(
        "datasets",
        sa.Column("id", _key(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("description", _long(), nullable=False),
        sa.Column("train_path", _long(), nullable=False),
        sa.Column("test_path", _long(), nullable=True),
        sa.Column("class_column", _long(), nullable=False),
        sa.Column("n_examples", sa.BigInteger(), nullable=False),
        sa.Column("k_classes", sa.BigInteger(), nullable=False),
        sa.Column("d_features", sa.BigInteger(), nullable=False),
        sa.Column("majority", sa.Double(), nullable=False),
        sa.Column("size_kb", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.String(length=128), nullable=False),
        sa.Column("metadata", _long(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    _table(
        "workers",
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("boot_id", sa.String(length=128), nullable=False),
        sa.Column("process_started", sa.Double(), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("registered_us", sa.BigInteger(), nullable=False),
        sa.Column("seen_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _studies() -> None:
    _table(
        "studies",
        sa.Column("id", _key(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("budget_trials", sa.BigInteger(), nullable=True),
        sa.Column("issued", sa.BigInteger(), nullable=False),
        sa.Column("fence_floor", sa.BigInteger(), nullable=False),
        sa.Column("window_size", sa.BigInteger(), nullable=True),
        sa.Column("space_version", sa.Integer(), nullable=False),
        sa.Column("report_revision", sa.BigInteger(), nullable=False),
        sa.Column("closed", _long(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("user_attrs", _long(), nullable=False),
        sa.Column("budget_s", sa.Double(), nullable=True),
        sa.Column("deadline_us", sa.BigInteger(), nullable=True),
        sa.Column("ensemble_worker", sa.String(length=128), nullable=False),
        sa.Column("ensemble_lease_us", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("dataset_id", _key(), nullable=True),
        sa.Column("objectives", _long(), nullable=False),
        sa.Column("optimizer", _long(), nullable=False),
        sa.Column("scheduler", _long(), nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("deterministic", sa.SmallInteger(), nullable=False),
        sa.Column("reproducible", sa.SmallInteger(), nullable=False),
        sa.Column("lease_s", sa.Double(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("objective_ref", _long(), nullable=False),
        sa.Column("description", _long(), nullable=False),
        sa.Column("selector", sa.String(length=200), nullable=False),
        sa.Column("tuner", sa.String(length=200), nullable=False),
        sa.Column("k_window", sa.Integer(), nullable=True),
        sa.Column("r_minimum", sa.Integer(), nullable=True),
        sa.Column("gridding", sa.Integer(), nullable=True),
        sa.Column("metric", sa.String(length=200), nullable=False),
        sa.Column("score_target", sa.String(length=32), nullable=False),
        sa.Column("budget_type", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"],
            ["datasets.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name", name="uq_studies_name"),
        sqlite_autoincrement=True,
    )


def _parts_of_studies() -> None:
    _table(
        "space_versions",
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("space", _long(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "version"),
        sqlite_with_rowid=False,
    )
    _table(
        "partitions",
        sa.Column("id", _key(), nullable=False),
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("method", _long(), nullable=False),
        sa.Column("categoricals", _long(), nullable=False),
        sa.Column("tunables", _long(), nullable=False),
        sa.Column("constants", _long(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("study_id", "position", name="uq_partitions_position"),
        sqlite_autoincrement=True,
    )
    _table(
        "ensembles",
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("iteration", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.String(length=128), nullable=False),
        sa.Column("members", _long(), nullable=False),
        sa.Column("score", _long(), nullable=False),
        sa.Column("location", _long(), nullable=False),
        sa.Column("metrics", _long(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "iteration"),
        sqlite_with_rowid=False,
    )
    _table(
        "events",
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("payload", _long(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "revision"),
        sqlite_with_rowid=False,
    )


def _trials() -> None:
    _table(
        "trials",
        sa.Column("id", _key(), nullable=False),
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("params", _long(), nullable=True),
        sa.Column("space_version", sa.Integer(), nullable=False),
        sa.Column("fidelity", sa.Double(), nullable=True),
        sa.Column("parent", sa.BigInteger(), nullable=True),
        sa.Column("partition_index", sa.Integer(), nullable=True),
        sa.Column("enqueued", sa.SmallInteger(), nullable=False),
        sa.Column("optimizer", sa.String(length=200), nullable=False),
        sa.Column("optimizer_version", sa.String(length=64), nullable=False),
        sa.Column("reason", _long(), nullable=False),
        sa.Column("seen_revision", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=128), nullable=False),
        sa.Column("claim_id", sa.String(length=128), nullable=True),
        sa.Column("lease_until_us", sa.BigInteger(), nullable=False),
        sa.Column("stop", sa.SmallInteger(), nullable=False),
        sa.Column("result_id", sa.String(length=128), nullable=True),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("values_json", _long(), nullable=False),
        sa.Column("failure_kind", sa.String(length=16), nullable=True),
        sa.Column("failure_code", sa.String(length=64), nullable=False),
        sa.Column("failure_message", _long(), nullable=False),
        sa.Column("failure_traceback", _long(), nullable=False),
        sa.Column("user_attrs", _long(), nullable=False),
        sa.Column("metrics", _long(), nullable=False),
        sa.Column("cv_mean", sa.Double(), nullable=True),
        sa.Column("cv_std", sa.Double(), nullable=True),
        sa.Column("test_score", sa.Double(), nullable=True),
        sa.Column("model_location", _long(), nullable=True),
        sa.Column("metrics_location", _long(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("finished_revision", sa.BigInteger(), nullable=False),
        sa.Column("queued_us", sa.BigInteger(), nullable=True),
        sa.Column("started_us", sa.BigInteger(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("study_id", "claim_id", name="uq_trials_claim"),
        sa.UniqueConstraint("study_id", "number", name="uq_trials_number"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_trials_lease", "trials", ["state", "study_id", "lease_until_us", "number"], unique=False
    )
    op.create_index("ix_trials_revision", "trials", ["study_id", "revision"], unique=False)


def _parts_of_trials() -> None:
    _table(
        "attempts",
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("worker_id", sa.String(length=128), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=True),
        sa.Column("peak_memory_mb", sa.Double(), nullable=True),
        sa.Column("exit_code", sa.Integer(), nullable=True),
        sa.Column("log_location", _long(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "number", "fence"),
        sqlite_with_rowid=False,
    )
    _table(
        "reports",
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Double(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=True),
        sa.Column("values_json", _long(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "revision", "position"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reports_number", "reports", ["study_id", "number"], unique=False)
    _table(
        "artifacts",
        sa.Column("study_id", _key(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("location", _long(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("study_id", "number", "fence", "name"),
        sqlite_with_rowid=False,
    )


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


def _views(moment: str) -> None:
    selects = {
        "modelhub_datasets": """
SELECT id AS dataset_id, name, description, train_path, test_path, class_column,
       n_examples, k_classes, d_features, majority, size_kb
FROM datasets""",
        "dataruns": f"""
SELECT id AS datarun_id, dataset_id, description, selector, k_window, tuner, r_minimum, gridding, priority,
       budget_type, CASE WHEN budget_type = 'walltime' THEN budget_s ELSE budget_trials END AS budget,
       {moment.format(column="deadline_us")} AS deadline, metric, score_target,
       {moment.format(column="started_us")} AS start_time, {moment.format(column="ended_us")} AS end_time,
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
       {moment.format(column="trials.started_us")} AS start_time,
       {moment.format(column="trials.ended_us")} AS end_time,
       CASE trials.state WHEN 'failed' THEN 'errored' WHEN 'complete' THEN 'complete'
                         WHEN 'pruned' THEN 'complete' ELSE 'running' END AS status,
       CASE WHEN trials.failure_traceback <> '' THEN trials.failure_traceback
            WHEN trials.failure_message <> '' THEN trials.failure_message END AS error_message
FROM trials
LEFT JOIN partitions ON partitions.study_id = trials.study_id AND partitions.position = trials.partition_index
LEFT JOIN workers ON workers.id = trials.worker_id""",
    }
    for name, select in selects.items():
        op.get_bind().exec_driver_sql(f"CREATE VIEW {name} AS {select}")
