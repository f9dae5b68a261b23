"""Schema versions: what a database holds, and how it becomes what this code needs.

A new database is built from `schema` at once. An older one is brought up step by step by the scripts in
``versions``, which Alembic runs; a test keeps both ways in agreement.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, select

from modelwright.errors import SchemaError
from modelwright.storage.sql import schema

__all__ = ["found_version", "prepare", "upgrade"]


def found_version(connection: Connection, url: str) -> str | None:
    """Return the version of the ledger in a database, None if the database is empty.

    Raises
    ------
    SchemaError
        The tables are somebody else's, or those of a newer Modelwright.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if schema.version.name not in tables:
        raise SchemaError(
            f"{url} holds tables of another program ({', '.join(sorted(tables)[:3])}), not a ledger.",
            hint="Give another database; this one was left as it is.",
            code="E_DB_FOREIGN",
        )
    found = connection.execute(select(schema.version.c.version_num)).scalar()
    if found is None or not found.isdigit():
        raise SchemaError(
            f"{url} holds a ledger without a readable version (found {found!r}).",
            hint="Restore a copy, or give another database.",
            code="E_SCHEMA",
        )
    if int(found) > int(schema.VERSION):
        raise SchemaError(
            f"{url} was written by a newer Modelwright: its schema is {found}, "
            f"and this version reads up to {schema.VERSION}.",
            hint="Upgrade with: pip install --upgrade modelwright",
            code="E_SCHEMA_NEWER",
        )
    return str(found)


def prepare(connection: Connection, url: str) -> None:
    """Build the tables of an empty database, or upgrade those of an older version.

    The caller's transaction is used, and holds the lock that keeps others out: whoever comes second finds the
    work done.
    """
    found = found_version(connection, url)
    if found is None:
        schema.create_all(connection)
    elif found != schema.VERSION:
        upgrade(connection)


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to `to` within the caller's transaction."""
    from alembic import command  # takes a quarter of a second to load, and is hardly ever needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "modelwright.storage.sql:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
