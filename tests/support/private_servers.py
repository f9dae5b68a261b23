"""Database servers of a test's own, which it may stop, kill and freeze."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import psutil


class MissingServerError(Exception):
    """The server's programs are not on this machine."""


class PrivateServer(ABC):
    """A server on a free port of 127.0.0.1, with its data in a temporary folder.

    Parameters
    ----------
    *settings : str
        Options of the server's command line.
    """

    kind: str
    _users: Sequence[str]

    def __init__(self, *settings: str) -> None:
        self._settings = settings
        self._programs = self._find_programs()
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix=f"modelwright-{self.kind}-"))
        # It does not outlive the tests, however these end.
        self._as_user = ["setpriv", "--pdeathsig=KILL", "--"]
        if os.geteuid() == 0:  # they refuse to run as root
            user = next(name for name in (*self._users, "nobody") if _exists(name))
            entry = pwd.getpwnam(user)
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
            self._as_user[1:1] = [f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]
        try:
            self._create()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of a database that is there from the beginning."""

    @abstractmethod
    def _find_programs(self) -> Path:
        """Return the folder of the server's programs."""

    @abstractmethod
    def _create(self) -> None:
        """Make the folder with the data."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Return the command that serves."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Say whether a client is served."""

    # the life of the server ---------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it serves."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        end = time.monotonic() + 60
        while wait and not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(
                    f"{self.kind} did not start:\n{(self._folder / 'log').read_text()[-2000:]}"
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it as an administrator does, without waiting for clients to leave."""
        if self._process is not None:
            self._process.send_signal(self._stop_signal)
            self._process.wait(60)
            self._process = None

    _stop_signal = signal.SIGTERM

    def kill(self) -> None:
        """Kill all its processes."""
        everybody = self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)
        psutil.wait_procs(everybody, timeout=30)
        self._process = None

    def freeze(self) -> None:
        """Stop all its processes where they are."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, and delete its data."""
        try:
            self.kill()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: int) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        parent = psutil.Process(self._process.pid)
        parent.suspend()  # so that it starts no further process meanwhile
        everybody = [parent, *parent.children(recursive=True)]
        for process in everybody:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return everybody[1:]


class PrivatePostgreSQL(PrivateServer):
    kind = "postgresql"
    _users = ("postgres",)
    _stop_signal = signal.SIGINT

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _find_programs(self) -> Path:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: path.parts)
        on_path = shutil.which("initdb")
        if not found and not on_path:
            raise MissingServerError("needs PostgreSQL's initdb and postgres")
        return found[-1].parent if found else Path(str(on_path)).resolve().parent

    def _create(self) -> None:
        _run(
            [*self._as_user, str(self._programs / "initdb"), "-D", str(self._folder / "data"),
             "-U", "postgres", "-A", "trust", "--no-sync", "--no-instructions", "-E", "UTF8", "--locale=C"],
            self._folder,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            str(self._programs / "postgres"), "-D", str(self._folder / "data"), "-p", str(self.port),
            "-k", str(self._folder), "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB",
            *[word for setting in self._settings for word in ("-c", setting)],
        ]  # fmt: skip

    def _is_ready(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True


class PrivateMariaDB(PrivateServer):
    kind = "mysql"
    _users = ("mysql",)

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/modelwright"

    def _find_programs(self) -> Path:
        server = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin")
        if not server or not shutil.which("mariadb-install-db"):
            raise MissingServerError("needs MariaDB's mariadbd and mariadb-install-db")
        return Path(server)

    def _create(self) -> None:
        _run(
            [*self._as_user, str(shutil.which("mariadb-install-db")), "--no-defaults", "--skip-test-db",
             f"--datadir={self._folder / 'data'}", "--auth-root-authentication-method=normal"],
            self._folder,
        )  # fmt: skip

    def _command(self) -> list[str]:
        return [
            str(self._programs), "--no-defaults", f"--datadir={self._folder / 'data'}", f"--port={self.port}",
            f"--socket={self._folder / 'socket'}", f"--pid-file={self._folder / 'pid'}",
            "--bind-address=127.0.0.1", "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M",
            *[f"--{setting}" for setting in self._settings],
        ]  # fmt: skip

    def _is_ready(self) -> bool:
        import pymysql

        try:
            with pymysql.connect(
                host="127.0.0.1", port=self.port, user="root", connect_timeout=5
            ) as connection:
                connection.cursor().execute("CREATE DATABASE IF NOT EXISTS modelwright")
        except pymysql.OperationalError:
            return False
        return True


PRIVATE_SERVERS: dict[str, type[PrivateServer]] = {
    "postgresql": PrivatePostgreSQL,
    "mysql": PrivateMariaDB,
}


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}")


def _exists(user: str) -> bool:
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
