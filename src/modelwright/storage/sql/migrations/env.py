"""Run by Alembic; the connection, with its transaction, comes from `migrations.upgrade`."""

from __future__ import annotations

from typing import Any

from alembic import context
from alembic.ddl.mysql import MySQLImpl
from sqlalchemy.exc import OperationalError

from modelwright.storage.sql import schema

# The table, column or index is there already; the one to be dropped is not.
_DONE = (1050, 1060, 1061, 1091)


class _Stepwise(MySQLImpl):
    """MariaDB and MySQL commit after each step, so one that was done before a kill is passed over."""

    __dialect__ = "mysql"

    def _exec(self, construct: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return super()._exec(construct, *arguments, **options)
        except OperationalError as error:
            if error.orig is not None and error.orig.args[0] in _DONE:
                return None
            raise


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    version_table=schema.version.name,
)
context.run_migrations()
