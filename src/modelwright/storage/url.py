"""Addresses of storages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from modelwright._base.registry import nearest
from modelwright.errors import InputError
from modelwright.storage.base import Storage
from modelwright.storage.memory import MemoryStorage

if TYPE_CHECKING:
    from pathlib import Path

    from modelwright.storage.sql import SQLStorage

__all__ = ["open_existing", "open_storage", "upgrade"]

_FORMS = (
    "Supported: 'memory://', 'sqlite:///file.db' (relative), 'sqlite:////full/path/file.db', "
    "'postgresql://user:password@host/database', 'mysql://user:password@host/database' and 'http://host:port'."
)
_SQLITE = ("sqlite", "sqlite+pysqlite")
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
_MYSQL = ("mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql")
_HTTP = ("http", "https")

_SQLITE_OPTIONS = ("durability", "timeout_s", "room_s", "upgrade")
_SERVER_OPTIONS = ("timeout_s", "room_s", "wait_s", "silence_s", "idle_s", "upgrade")
_POSTGRESQL_PARTS = ("host", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "target_session_attrs")
_MYSQL_PARTS = ("unix_socket", "ssl_ca", "ssl_cert", "ssl_key")


def open_storage(url: str | Path | None = None, **options: Any) -> Storage:
    """Open the storage at `url`; a SQLite file that is not there, and an empty database, become a ledger.

    Parameters
    ----------
    url : str or Path, optional
        ``None`` or ``"memory://"``: in this process's memory. ``"sqlite:///ledger.db"``, or a path that ends
        in ``.db``, ``.sqlite`` or ``.sqlite3``: a file, which any number of processes may use at a time.
        ``"postgresql://..."``, ``"mysql://..."`` or ``"mariadb://..."``: a database on a server, which any
        number of machines may use. ``"http://host:port"``: what ``modelwright serve`` serves there.
    **options
        For SQLite: ``durability="power"`` (finished results survive a power failure; default) or
        ``"process"`` (they survive the end of any process; faster), and ``timeout_s``, how long to wait for
        other programs' locks (30). For database servers, whose own settings decide on durability:
        ``timeout_s``, how long to go on trying while the server is away (600), ``wait_s``, the same for the
        first connection (1), ``silence_s``, how long a statement may be without an answer (30), and
        ``idle_s``, after how long without use the connection is given back (2). For all of these ``room_s``:
        how long to wait while the disk is full (600); and ``upgrade``: whether a ledger of an older version
        is upgraded; by default files are, after a copy, and databases on servers are not. For HTTP see
        `modelwright.storage.http.open_http`.

    Raises
    ------
    InputError
        The address makes no sense, or is of a kind that is not supported.
    MissingDependencyError
        The library for this kind of address is not installed.
    SchemaError
        What is there is not a ledger, or one of another version.
    StorageUnavailableError
        It cannot be opened or reached.

    Examples
    --------
    >>> open_storage().url
    'memory://'
    """
    return _open(url, create=True, options=options)


def open_existing(url: str | Path | None = None, **options: Any) -> Storage:
    """Open a storage that is there already; a missing file raises `StorageUnavailableError`."""
    return _open(url, create=False, options=options)


def upgrade(url: str | Path, **options: Any) -> SQLStorage:
    """Open a ledger that is there already, and bring it up to this version if it is older.

    A SQLite file is copied first, to a file beside it whose name ends in ``backup-`` and the old version. Of
    a database on a server make a copy yourself, and stop its workers. What was done is told by the storage's
    `upgraded_from` and `backup`.
    """
    if str(url).lower().startswith(("memory:", "http:", "https:")):
        raise InputError(
            "only a ledger in a database can be upgraded; this is the address of another kind of storage.",
            hint="Where `modelwright serve` runs, give the address of the database behind it.",
            code="E_DB_URL",
        )
    return cast("SQLStorage", _open(url, create=False, options={**options, "upgrade": True}))


def _open(url: str | Path | None, *, create: bool, options: dict[str, Any]) -> Storage:
    if url in (None, "memory://"):
        _check_options(options, ())
        return MemoryStorage()
    scheme, rest = _split(url)
    if scheme in _HTTP:
        from modelwright.storage.http import open_http

        options.pop("upgrade", None)  # the server's own affair
        return open_http(str(url), **options)
    _check_options(options, _SQLITE_OPTIONS if scheme in ("", *_SQLITE) else _SERVER_OPTIONS)
    from modelwright.storage import sql  # loads SQLAlchemy

    if scheme in ("", *_SQLITE):
        from pathlib import Path

        path = Path(_file_part(str(url), rest) if scheme else rest)
        return sql.SQLStorage(path, create=create, **options)
    if scheme in _POSTGRESQL:
        address = sql.ServerAddress.parse(str(url), "postgresql", _POSTGRESQL_PARTS)
        return sql.SQLStorage(sql.PostgreSQLDatabase(address, create=create, **options))
    address = sql.ServerAddress.parse(str(url), scheme.partition("+")[0], _MYSQL_PARTS)
    return sql.SQLStorage(sql.MySQLDatabase(address, create=create, **options))


def _check_options(options: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in options:
        if name not in known:
            hint = nearest(name, list(known)) if known else "It takes none."
            raise InputError(f"this kind of storage has no option {name!r}.", hint=hint, code="E_DB_URL")


def _split(url: str | Path | None) -> tuple[str, str]:
    """Return the scheme, empty for a plain path, and what follows it."""
    if isinstance(url, os.PathLike):
        return "", os.fspath(url)
    if not isinstance(url, str):
        raise InputError(
            f"expected the address of a storage, got {type(url).__name__}.", hint=_FORMS, code="E_DB_URL"
        )
    scheme, separator, rest = url.partition("://")
    if not separator:
        if url.endswith((".db", ".sqlite", ".sqlite3")):
            return "", url
        what = f"{url[:50]!r}" if url.strip() else "an empty text"
        if "@" in url or ":" in url:  # it may hold a password
            what = "a text without '://'"
        raise InputError(f"expected the address of a storage, got {what}.", hint=_FORMS, code="E_DB_URL")
    scheme = scheme.lower()
    kind, _, driver = scheme.partition("+")
    if scheme in (*_SQLITE, *_POSTGRESQL, *_MYSQL, *_HTTP):
        return scheme, rest
    # The rest of the address may hold a password.
    if kind in (*_SQLITE, *_POSTGRESQL, *_MYSQL):
        raise InputError(
            f"the driver {driver[:30]!r} is not used here.",
            hint=f"Write '{kind}://'; the driver is found by itself.",
            code="E_DB_URL",
        )
    raise InputError(f"there is no kind of storage '{scheme[:30]}://'.", hint=_FORMS, code="E_DB_URL")


def _file_part(url: str, rest: str) -> str:
    if rest in ("", "/", "/:memory:"):
        raise InputError(
            f"{url!r} is a database that no other process or thread could see.",
            hint="Use 'memory://' for a ledger in memory, or give a file: 'sqlite:///ledger.db'.",
            code="E_DB_URL",
        )
    if not rest.startswith("/"):
        raise InputError(
            f"expected three slashes for a relative path, four for a full one, got {url!r}.",
            hint=f"Write 'sqlite:///{rest}'.",
            code="E_DB_URL",
        )
    path, question, options = rest[1:].partition("?")
    if question:
        raise InputError(
            f"addresses of SQLite files take no options, got '?{options[:50]}'.",
            hint="Give durability= and timeout_s= to open_storage.",
            code="E_DB_URL",
        )
    return path
