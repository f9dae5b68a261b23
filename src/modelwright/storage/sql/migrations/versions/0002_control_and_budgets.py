"""Budgets of time, cost and parallelism; retries; keys of configurations and requests; wishes for workers.

It only adds, with one exception. What an older ledger does not know stays empty: no cost has been counted,
nothing is retried. Keys of configurations are computed for the trials that have one. A study's `budget_s` and
`deadline_us` were copies of user attributes, for show; from now on they are obeyed, so these copies are
cleared, lest an old deadline keep a study from going on. The attributes stay.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.mysql import LONGTEXT

revision = "0002"
down_revision = "0001"

_BATCH = 1000


def upgrade() -> None:
    """Add the columns, the indexes and the keys."""
    _studies()
    _trials()
    op.add_column("attempts", sa.Column("cost", sa.Double(), nullable=True))
    op.add_column("attempts", sa.Column("result_id", sa.String(length=128), nullable=True))
    op.add_column("workers", _text("group_id", 128))
    op.add_column("workers", _text("asked", 8))
    op.add_column("workers", sa.Column("left_us", sa.BigInteger(), nullable=True))
    _fill_keys(op.get_bind())
    _view_of_studies(op.get_bind().dialect.name)
    if op.get_bind().dialect.name == "postgresql":
        _forget_which_studies()


def _forget_which_studies() -> None:
    """Keep the server from counting the trials of each study.

    To a study that was not there when it counted it would give none, and take any index that begins with the
    study for as good as another. Without counts each study has a 200th of the table.
    """
    op.execute("ALTER TABLE trials ALTER COLUMN study_id SET STATISTICS 0")


def _text(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), server_default="", nullable=False)


def _studies() -> None:
    long = sa.Text().with_variant(LONGTEXT(), "mysql", "mariadb")
    for column in (
        sa.Column("budget_cost", sa.Double(), nullable=True),
        sa.Column("budget_parallel", sa.BigInteger(), nullable=True),
        sa.Column("cost", sa.Double(), server_default="0", nullable=False),
        sa.Column("abort", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("retry", long, nullable=True),
    ):
        op.add_column("studies", column)
    op.execute("UPDATE studies SET budget_s = NULL, deadline_us = NULL")


def _trials() -> None:
    op.add_column("trials", sa.Column("config_key", sa.String(length=64), nullable=True))
    op.add_column("trials", sa.Column("request_id", sa.String(length=128), nullable=True))
    op.create_index("ix_trials_config", "trials", ["study_id", "config_key"], unique=False)
    op.create_index("uq_trials_request", "trials", ["study_id", "request_id"], unique=True)


# keys ---------------------------------------------------------------------------------------------------

_PAGE = sa.text(
    "SELECT id, params, fidelity FROM trials WHERE id > :after AND params IS NOT NULL ORDER BY id LIMIT :most"
)
_SET = sa.text("UPDATE trials SET config_key = :key WHERE id = :id")


def _fill_keys(connection: sa.Connection) -> None:
    after = 0
    while rows := connection.execute(_PAGE, {"after": after, "most": _BATCH}).all():
        after = rows[-1].id
        connection.execute(_SET, [{"id": row.id, "key": _key_of(row.params, row.fidelity)} for row in rows])


def _key_of(params: str, fidelity: float | None) -> str | None:
    """Return the key of a configuration; None for a row that somebody broke by hand."""
    try:
        value = json.loads(params, object_hook=_number)
    except ValueError:
        return None
    form = [_canonical(value), None if fidelity is None else float(fidelity)]
    text = json.dumps(form, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _number(value: dict[str, Any]) -> Any:
    if len(value) == 1 and value.get("$float") in ("inf", "-inf", "nan"):
        return float(value["$float"])
    return value


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


# the view -----------------------------------------------------------------------------------------------

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
_WHOLE = {"sqlite": "INTEGER", "postgresql": "BIGINT", "mysql": "SIGNED", "mariadb": "SIGNED"}


def _view_of_studies(dialect: str) -> None:
    moment = _MOMENT[dialect]
    deadline = f"COALESCE(deadline_us, started_us + CAST(budget_s * 1000000 AS {_WHOLE[dialect]}))"
    select = f"""
SELECT id AS datarun_id, dataset_id, description, selector, k_window, tuner, r_minimum, gridding, priority,
       budget_type, CASE WHEN budget_type = 'walltime' THEN budget_s ELSE budget_trials END AS budget,
       {moment.format(column=deadline)} AS deadline, metric, score_target,
       {moment.format(column="started_us")} AS start_time, {moment.format(column="ended_us")} AS end_time,
       CASE state WHEN 'pending' THEN 'pending' WHEN 'running' THEN 'running' WHEN 'paused' THEN 'running'
                  ELSE 'complete' END AS status
FROM studies"""
    connection = op.get_bind()
    connection.exec_driver_sql("DROP VIEW IF EXISTS dataruns")
    connection.exec_driver_sql(f"CREATE VIEW dataruns AS {select}")
