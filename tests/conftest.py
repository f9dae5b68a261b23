"""What every test may use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))  # tools that several folders of tests use

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in the background of a script; the processes that tests start, to be interrupted, would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

Start = Callable[..., "subprocess.Popen[str]"]

if TYPE_CHECKING:
    from dask_programs import DaskPrograms


@pytest.fixture(scope="session")
def require_service() -> Callable[[str, str], str]:
    """Return a function that gives the address of a service, or skips the test with the reason.

    ``require_service("PostgreSQL", "MODELWRIGHT_TEST_POSTGRESQL")`` reads the address from that variable.
    On a developer's machine a missing service skips the test. Where ``MODELWRIGHT_TEST_REQUIRE_SERVICES``
    is set, as ``.ci/run`` does, it fails it: there a skipped test would be a test that nobody runs.
    """

    def require(name: str, variable: str) -> str:
        address = os.environ.get(variable, "")
        if address:
            return address
        reason = f"needs {name}: set {variable} to its address"
        if os.environ.get("MODELWRIGHT_TEST_REQUIRE_SERVICES", "") not in ("", "0"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return require


_SERVERS = {
    "postgresql": ("PostgreSQL", "MODELWRIGHT_TEST_POSTGRESQL", "postgresql+psycopg", " WITH (FORCE)"),
    "mysql": ("MariaDB or MySQL", "MODELWRIGHT_TEST_MYSQL", "mysql+pymysql", ""),
}


@pytest.fixture(scope="session")
def new_database(require_service: Callable[[str, str], str]) -> Iterator[Callable[[str], str]]:
    """Return a function that makes an empty database on the test server and returns its address.

    ``new_database("postgresql")`` or ``new_database("mysql")``; what was made is dropped in the end.
    """
    from sqlalchemy import create_engine

    made: list[tuple[Any, str]] = []

    def make(kind: str) -> str:
        name, variable, driver, how = _SERVERS[kind]
        parts = urlsplit(require_service(name, variable))
        engine = create_engine(urlunsplit(parts._replace(scheme=driver)), isolation_level="AUTOCOMMIT")
        database = f"mw_{uuid.uuid4().hex[:16]}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {database}")
        made.append((engine, f"DROP DATABASE {database}{how}"))
        return urlunsplit(parts._replace(scheme=kind, path=f"/{database}"))

    yield make
    for engine, statement in made:
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()


@pytest.fixture(scope="session")
def private_server() -> Iterator[Callable[..., Any]]:
    """Return a function that starts a database server of the test's own, or skips with the reason.

    ``private_server("postgresql", "max_connections=12")``: the settings are options of its command line. It
    is a `private_servers.PrivateServer`, and is ended with the session unless the test closes it before.
    """
    from private_servers import PRIVATE_SERVERS, MissingServerError, PrivateServer

    started: list[PrivateServer] = []

    def start(kind: str, *settings: str) -> PrivateServer:
        try:
            server = PRIVATE_SERVERS[kind](*settings)
        except MissingServerError as error:
            if os.environ.get("MODELWRIGHT_TEST_REQUIRE_SERVICES", "") not in ("", "0"):
                pytest.fail(str(error), pytrace=False)
            pytest.skip(str(error))
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.close()


@pytest.fixture
def start_python(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts this Python in `tmp_path`, one thread for each library.

    ``start_python("-m", "modelwright", "fit", ...)`` returns the process, whose output is read by pipes.
    What still runs when the test ends is killed.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def until() -> Callable[..., None]:
    """Return a function that waits for a condition, and fails the test if it does not come true."""

    def wait(condition: Callable[[], object], within_s: float = 120) -> None:
        end = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < end, f"the condition did not come true within {within_s:g} s"
            time.sleep(0.02)

    return wait


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskPrograms]:
    """A cluster of two worker processes on this machine for all tests of a module, each with two threads."""
    yield from _dask_cluster(tmp_path_factory.mktemp("dask"), threads=2)


@pytest.fixture
def own_dask_cluster(tmp_path: Path) -> Iterator[DaskPrograms]:
    """A cluster whose workers may be killed: two, with a thread each."""
    (tmp_path / "dask").mkdir()
    yield from _dask_cluster(tmp_path / "dask", threads=1)


def _dask_cluster(folder: Path, threads: int) -> Iterator[DaskPrograms]:
    pytest.importorskip("distributed", reason="the library 'distributed' is not installed")
    from dask_programs import DaskPrograms

    programs = DaskPrograms(folder)
    try:
        programs.scheduler()
        for _ in range(2):
            programs.worker(threads=threads)
        yield programs
    finally:
        programs.close()
