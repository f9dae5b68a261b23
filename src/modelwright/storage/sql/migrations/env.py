"""Run by Alembic; the connection, with its transaction, comes from `migrations.upgrade`."""

from __future__ import annotations

from alembic import context

from modelwright.storage.sql import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    version_table=schema.version.name,
)
context.run_migrations()
