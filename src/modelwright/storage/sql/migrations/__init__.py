"""Schema versions: what a database holds, and how it becomes what this code needs.

A new database is built from `schema` at once. An older one is brought up step by step by the scripts in
``versions``, which Alembic runs; a test keeps both ways in agreement.

MariaDB and MySQL commit after each statement that changes the schema. There, each step looks first whether it
has been done, and a ledger that is being built says so by its version, so that whoever comes next goes on.
"""

from __future__ import annotations

from sqlalchemy import Connection, insert, inspect, select, update

from modelwright.errors import SchemaError
from modelwright.storage.sql import schema

__all__ = ["UNFINISHED", "found_version", "prepare", "too_old", "upgrade"]

UNFINISHED = "0000"
"""The version of a ledger whose building was broken off."""

_STEPWISE = ("mysql", "mariadb")


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
    if found is None and tables == [schema.version.name]:
        return UNFINISHED
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


def too_old(url: str, found: str) -> SchemaError:
    """Return the error for a ledger of an older version that the caller did not ask to upgrade."""
    return SchemaError(
        f"{url} is a ledger of an older Modelwright: its schema is {found}, "
        f"and this version needs {schema.VERSION}.",
        hint=f"Stop its workers, make a copy, and run: modelwright studies upgrade --storage {url}",
        code="E_SCHEMA_OLDER",
    )


def prepare(connection: Connection, url: str) -> None:
    """Build the tables of an empty database, or upgrade those of an older version.

    The caller's transaction is used, and holds the lock that keeps others out: whoever comes second finds the
    work done.
    """
    found = found_version(connection, url)
    if found in (None, UNFINISHED):
        if connection.dialect.name in _STEPWISE:
            _build_stepwise(connection)
        else:
            schema.create_all(connection)
    elif found != schema.VERSION:
        upgrade(connection)


def _build_stepwise(connection: Connection) -> None:
    """Build what is not there yet; the version, which comes first and is set last, tells how far it got."""
    schema.version.create(connection, checkfirst=True)
    if connection.execute(select(schema.version.c.version_num)).scalar() is None:
        connection.execute(insert(schema.version), {"version_num": UNFINISHED})
        connection.commit()
        connection.begin()
    for table in schema.metadata.sorted_tables:
        table.create(connection, checkfirst=True)
        for index in table.indexes:  # made by statements of their own, after their table
            index.create(connection, checkfirst=True)
    for name, query in schema.views(connection.dialect.name).items():
        connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {query}")
    connection.execute(update(schema.version), {"version_num": schema.VERSION})


def upgrade(connection: Connection, to: str = "head") -> None:
    """Run the migrations up to `to` within the caller's transaction."""
    from alembic import command  # takes a quarter of a second to load, and is hardly ever needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "modelwright.storage.sql:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, to)
