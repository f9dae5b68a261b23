"""A process that renews the leases of a run while the run itself cannot.

Trials that share the run's process (``inline``, ``thread``) may hold the interpreter's lock for longer than a
lease lasts, in native code; no thread of the run gets a turn meanwhile. So a small process stands by. It
hears which trials are held whenever the run renews them, and when it has heard nothing for a while, it renews
them itself. It ends with the run's process, and does nothing for one that is frozen: that one has lost its
trials, as with any other executor.

The process runs this file as a script and loads nothing of ours until it has to.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

    from modelwright.storage.base import Claim

__all__ = ["StandIn"]

_ATOMIC = 4096  # bytes that a pipe takes whole or not at all
_QUIET = 0.4  # of a lease, after which the run is taken to be busy: it renews after a quarter
_SHORT_LEASE_S = 30.0  # below it there is no time to load anything once it is needed


class StandIn:
    """The run's side of the process, which is started with the first trial.

    Parameters
    ----------
    url : str
        Of a ledger that another process can open by it alone.
    lease_s : float
        Length of a lease.
    """

    def __init__(self, url: str, lease_s: float) -> None:
        path = [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the current folder
        self._greeting = {"url": url, "lease_s": lease_s, "path": path}
        self._process: subprocess.Popen[bytes] | None = None

    def tell(self, claims: Iterable[Claim]) -> None:
        """Say which trials are held, and by the same word that we are well."""
        held = [(c.study_id, c.number, c.fence, c.claim_id, c.attempts) for c in claims]
        line = json.dumps(held).encode() + b"\n"
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        if len(line) <= _ATOMIC:
            with suppress(OSError):  # it is busy, or gone: the next word will do
                os.write(self._process.stdin.fileno(), line)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self) -> None:
        import subprocess

        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the run alone
            bufsize=0,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._greeting).encode() + b"\n")
        os.set_blocking(self._process.stdin.fileno(), False)


def _main() -> None:
    """Be the process."""
    run = os.getppid()
    lines = _Lines()
    greeting = json.loads(lines.wait(None) or "{}")
    sys.path[:] = greeting["path"]
    lease_s = float(greeting["lease_s"])
    renewing = _Renewing(greeting["url"], lease_s)
    if lease_s < _SHORT_LEASE_S:
        renewing.prepare()
    held: list[Any] = []
    while os.getppid() == run and not lines.closed:
        line = lines.wait(lease_s * (_QUIET / 2 if renewing.active else _QUIET))
        if line is not None:
            held, renewing.active = json.loads(line), False
        elif held and not _frozen(run):
            renewing.active = True
            renewing.renew(held)


class _Lines:
    """Lines that come on standard input; the newest counts."""

    def __init__(self) -> None:
        self.closed = False
        self._buffer = b""

    def wait(self, timeout_s: float | None) -> str | None:
        """Return the first line for the first call, later the last of those that have come; None if none."""
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while b"\n" not in self._buffer and not self.closed:
            left_s = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([0], [], [], left_s)[0]:
                return None
            data = os.read(0, 65536)
            self.closed = not data
            self._buffer += data
        if timeout_s is None:
            line, _, self._buffer = self._buffer.partition(b"\n")
        else:
            whole, _, self._buffer = self._buffer.rpartition(b"\n")
            line = whole.rpartition(b"\n")[2]
        return line.decode() or None


class _Renewing:
    """The ledger, opened when it is needed."""

    def __init__(self, url: str, lease_s: float) -> None:
        self.active = False
        self._url = url
        self._lease_s = lease_s
        self._storage: Any = None

    def prepare(self) -> None:
        with suppress(Exception):  # whatever is wrong with the ledger, the run will say it
            from modelwright.storage import open_existing

            self._storage = open_existing(self._url)

    def renew(self, held: list[Any]) -> None:
        from modelwright.storage.base import Claim

        if self._storage is None:
            self.prepare()
        with suppress(Exception):
            self._storage.renew([Claim(*item) for item in held], self._lease_s)


def _frozen(pid: int) -> bool:
    """Whether a process is stopped, so that it could not use what is renewed for it."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - pathlib is not loaded here
            return file.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except OSError:  # no Linux, or it is gone, which is noticed elsewhere
        return False


if __name__ == "__main__":
    _main()
