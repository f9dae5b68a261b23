"""Addresses of storages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelwright._base.registry import nearest
from modelwright.errors import InputError
from modelwright.storage.base import Storage
from modelwright.storage.memory import MemoryStorage

__all__ = ["open_existing", "open_storage"]

_LATER = ("postgresql", "mysql", "mariadb", "http", "https")
_FORMS = "Supported: 'memory://', 'sqlite:///file.db' (relative) and 'sqlite:////full/path/file.db'."


def open_storage(url: str | Path | None = None, **options: Any) -> Storage:
    """Open the storage at `url`; a SQLite file that is not there is created.

    Parameters
    ----------
    url : str or Path, optional
        ``None`` or ``"memory://"``: in this process's memory. ``"sqlite:///ledger.db"``, or a path that ends
        in ``.db``, ``.sqlite`` or ``.sqlite3``: a file, which any number of processes may use at a time.
    **options
        For SQLite: ``durability="power"`` (finished results survive a power failure; default) or
        ``"process"`` (they survive the end of any process; faster), and ``timeout_s``, how long to wait for
        other programs' locks.

    Raises
    ------
    InputError
        The address makes no sense, or is of a kind that is not supported.
    SchemaError
        The file is not a ledger, or a newer version wrote it.
    StorageUnavailableError
        The file cannot be opened.

    Examples
    --------
    >>> open_storage().url
    'memory://'
    """
    return _open(url, create=True, options=options)


def open_existing(url: str | Path | None = None, **options: Any) -> Storage:
    """Open a storage that is there already; a missing file raises `StorageUnavailableError`."""
    return _open(url, create=False, options=options)


def _open(url: str | Path | None, *, create: bool, options: dict[str, Any]) -> Storage:
    known = () if url in (None, "memory://") else ("durability", "timeout_s")
    for name in options:
        if name not in known:
            hint = nearest(name, list(known)) if known else "It takes none."
            raise InputError(f"this kind of storage has no option {name!r}.", hint=hint, code="E_DB_URL")
    if not known:
        return MemoryStorage()
    path = _sqlite_path(url)
    from modelwright.storage.sql import SQLStorage  # loads SQLAlchemy

    return SQLStorage(path, create=create, **options)


def _sqlite_path(url: str | Path | None) -> Path:
    if isinstance(url, Path):
        return url
    if not isinstance(url, str):
        raise InputError(
            f"expected the address of a storage, got {type(url).__name__}.", hint=_FORMS, code="E_DB_URL"
        )
    scheme, separator, rest = url.partition("://")
    if not separator:
        if url.endswith((".db", ".sqlite", ".sqlite3")):
            return Path(url)
        what = repr(url) if url.strip() else "an empty text"
        raise InputError(f"expected the address of a storage, got {what}.", hint=_FORMS, code="E_DB_URL")
    kind = scheme.partition("+")[0].lower()
    if kind in _LATER:
        # The rest of the address may hold a password.
        raise InputError(
            f"storages of the kind '{kind}://' are not supported yet.", hint=_FORMS, code="E_DB_URL"
        )
    if scheme.lower() not in ("sqlite", "sqlite+pysqlite"):
        raise InputError(f"there is no kind of storage '{scheme[:30]}://'.", hint=_FORMS, code="E_DB_URL")
    return _file_part(url, rest)


def _file_part(url: str, rest: str) -> Path:
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
    return Path(path)
