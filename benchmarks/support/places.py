"""Databases that a benchmark makes and removes: a file, or one of a server that a variable names."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url, text

SERVERS = {"postgresql": "MODELWRIGHT_TEST_POSTGRESQL", "mysql": "MODELWRIGHT_TEST_MYSQL"}
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def available(kind: str) -> bool:
    """Say whether databases of this kind can be made here."""
    return kind == "sqlite" or bool(os.environ.get(SERVERS[kind]))


@contextmanager
def database(kind: str, server_url: str = "") -> Iterator[tuple[str, str]]:
    """Make an empty database; give its address for us and for the peer, and remove it afterwards.

    Where `server_url` is empty, the server is the one that the kind's variable names.
    """
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            url = f"sqlite:///{Path(folder) / 'ledger.db'}"
            yield url, url
        return
    server = make_url(server_url or os.environ[SERVERS[kind]]).set(drivername=_DRIVERS[kind])
    name = f"bench_{uuid.uuid4().hex[:12]}"
    _execute(server, f"CREATE DATABASE {name}")
    try:
        theirs = server.set(database=name)
        ours = theirs.set(drivername=kind)
        yield ours.render_as_string(hide_password=False), theirs.render_as_string(hide_password=False)
    finally:
        _execute(server, f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))


def _execute(server: URL, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
