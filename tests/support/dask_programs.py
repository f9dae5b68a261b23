"""A Dask scheduler and workers as programs of their own, which may be killed and started again."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

__all__ = ["DaskPrograms"]

_PATIENCE_S = 60.0


class DaskPrograms:
    """A cluster in processes beside the tests: nothing of it stays in the test's own process.

    Parameters
    ----------
    folder : Path
        Where the workers keep what they spill.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._started: list[subprocess.Popen[bytes]] = []

    def scheduler(self) -> None:
        """Start a scheduler, always on the same port, and wait until it listens."""
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self._scheduler = self._start("distributed.cli.dask_scheduler", *words)
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < until, "the scheduler does not listen"
                time.sleep(0.1)

    def kill_scheduler(self) -> None:
        """Kill the scheduler."""
        assert self._scheduler is not None
        self._scheduler.kill()
        self._scheduler.wait()

    def worker(self, threads: int = 1, cwd: Path | None = None, *, memory: str = "") -> None:
        """Start a worker; it waits for the scheduler by itself.

        In a folder `cwd` of its own, it does not see what others find below ``/proc/self/cwd``. With a limit
        of `memory` it has a nanny, which ends it when it uses more, and starts it again.
        """
        words = ["--nthreads", str(threads), "--no-dashboard", "--death-timeout", "60"]
        words += ["--memory-limit", memory] if memory else ["--no-nanny"]
        folder = ["--local-directory", str(self.folder)]
        self.workers.append(
            self._start("distributed.cli.dask_worker", self.address, *words, *folder, cwd=cwd)
        )

    def _start(self, module: str, *words: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=cwd or self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs."""
        for process in reversed(self._started):
            process.kill()
            process.wait()
