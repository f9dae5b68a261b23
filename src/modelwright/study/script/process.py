"""The process of a command, and all that it starts."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from modelwright.execution._waker import wait_for

__all__ = ["Process"]

_LAST_LINES = 20
_LONGEST_LINE = 1000  # of those that are kept
_CLOSING_S = 1.0
_ROOT = str(Path(__file__).parents[3])  # where this package lies
# The user's own modules, beside the script or on PYTHONPATH, must not get in the guard's way.
_GUARD = (
    f"import sys; sys.path.insert(0, {_ROOT!r}); "
    "from modelwright.execution.local.guard import main; main(int(sys.argv[1]), sys.argv[2:])"
)


class Process:
    """A command that runs in a group of its own, with its standard error passed on and its end kept.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    environment : mapping of str to str
        All of it.
    folder : Path
        Where it runs.
    guarded : bool
        Whether a process of its own looks after it, because no keeper does.

    Raises
    ------
    OSError
        It cannot be started.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, guarded: bool
    ) -> None:
        self._guarded = guarded
        self._lifeline = -1
        passed: list[int] = []
        if guarded:
            ours, self._lifeline = os.pipe()
            passed = [ours]
            command = [sys.executable, "-P", "-c", _GUARD, str(ours), *command]
        try:
            self._process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=passed,
                start_new_session=guarded,
                process_group=None if guarded else 0,
            )
        except BaseException:
            self._let_go()
            raise
        finally:
            for descriptor in passed:
                os.close(descriptor)
        assert self._process.stderr is not None
        self._errors = _Errors(self._process.stderr)
        self._end = _pidfd(self._process.pid)

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    @property
    def last_lines(self) -> list[str]:
        """The end of what it wrote to standard error."""
        return list(self._errors.lines)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end for a while; return whether it has come."""
        if self._end is not None:
            wait_for(self._end, timeout_s)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        return self.code is not None

    def terminate(self) -> None:
        """Ask the whole group to go."""
        if self.code is not None:
            return
        if self._guarded:
            self._process.terminate()  # the guard passes it on
        else:
            self._signal_group(signal.SIGTERM)

    def close(self) -> None:
        """Leave nothing of it behind, and pass on the last of its errors."""
        self._let_go()
        if not self._guarded:
            self._signal_group(signal.SIGKILL)
        try:
            self._process.wait(2 * _CLOSING_S if self._guarded else None)
        except subprocess.TimeoutExpired:  # something below it cannot be killed
            self._process.kill()
            self._process.wait()
        self._errors.join(_CLOSING_S)
        if self._end is not None:
            self._end.close()

    def _signal_group(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _let_go(self) -> None:
        """Close the pipe by which a guard knows that somebody wants the command."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


class _Errors(threading.Thread):
    """Passes standard error on as it comes, and keeps its last lines."""

    def __init__(self, source: IO[bytes]) -> None:
        super().__init__(name="modelwright-stderr", daemon=True)
        self._source = source
        self._rest = b""
        self._kept: deque[bytes] = deque(maxlen=_LAST_LINES)
        self.start()

    @property
    def lines(self) -> list[str]:
        kept = [*self._kept, self._rest]
        return [line[:_LONGEST_LINE].decode("utf-8", "replace") for line in kept if line.strip()]

    def run(self) -> None:
        with self._source:
            while piece := os.read(self._source.fileno(), 65536):
                with contextlib.suppress(OSError):  # our own standard error is closed
                    _write(2, piece)
                *lines, self._rest = (self._rest[-_LONGEST_LINE:] + piece).split(b"\n")
                self._kept.extend(lines)


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


class _Pidfd:
    """A descriptor that can be read once a process has ended."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


def _pidfd(pid: int) -> _Pidfd | None:
    opener = getattr(os, "pidfd_open", None)  # Linux alone
    if opener is None:
        return None
    try:
        return _Pidfd(opener(pid))
    except OSError:
        return None
