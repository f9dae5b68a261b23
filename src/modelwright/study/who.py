"""Who asks: the name under which the ledger's events keep what a person did."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["this_user"]


@cache
def this_user() -> str:
    """Return ``user@host``; the number of the user where it has no name.

    Examples
    --------
    >>> "@" in this_user()
    True
    """
    import getpass  # loaded when somebody does something: a first proposal waits for no socket
    import socket

    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that no table knows
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
