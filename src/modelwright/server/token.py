"""The token of a server, in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from modelwright.errors import InputError
from modelwright.storage.http.address import read_token_file

__all__ = ["default_token_file", "kept_token"]


def default_token_file(storage_url: str) -> Path:
    """Return where the token of a ledger's server is kept: beside a file, else in the present folder.

    Examples
    --------
    >>> default_token_file("sqlite:///runs/hub.db").as_posix()
    'runs/hub.token'
    """
    if storage_url.startswith("sqlite:///"):
        return Path(storage_url.removeprefix("sqlite:///")).with_suffix(".token")
    return Path("modelwright.token")


def kept_token(path: Path) -> str:
    """Return the token in the file `path`, which is made, with 256 random bits, if it is not there.

    Raises
    ------
    InputError
        Others may read the file, or it cannot be read or made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return read_token_file(path)
    except OSError as error:
        raise InputError(
            f"cannot make the file {str(path)!r} for the token: {error.strerror}.",
            hint="Name another with --token-file.",
            code="E_TOKEN_FILE",
        ) from None
    token = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(file.fileno(), 0o600)  # whatever the umask
        file.write(token + "\n")
    return token
