"""Ledgers of a test's own in each kind of database, and drones: workers whose every step is known."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TextIO

import pytest
from private_servers import PrivateServer

from modelwright.records import Outcome, Proposal, Provenance, StudySpec, TrialState
from modelwright.space import Float, Space
from modelwright.storage import Claim, Storage, StudyRecord, open_existing, open_storage
from modelwright.testing.audit import audit

DRONE = Path(__file__).parent / "drone.py"
Said = dict[str, Any]


class Nest:
    """A process that forks drones."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line = [sys.executable, str(DRONE), "--nest", str(theirs.fileno())]
        self._process = subprocess.Popen(line, pass_fds=[theirs.fileno()])
        theirs.close()

    def run(self, arguments: Sequence[str], files: Sequence[int]) -> int:
        """Start a drone with these standard files, and return its process id."""
        socket.send_fds(self._requests, [json.dumps({"run": arguments}).encode()], files)
        return int(json.loads(self._requests.recv(4096)))

    def code(self, pid: int) -> int | None:
        """Return the exit code of a drone, which is told once; None while it runs."""
        self._requests.send(json.dumps({"end": pid}).encode())
        found = json.loads(self._requests.recv(4096))
        return None if found is None else int(found)

    def close(self) -> None:
        """End the nest."""
        self._requests.close()
        self._process.wait(30)


class Drone:
    """A process of `drone.py`, and what it has said so far."""

    def __init__(self, nest: Nest, arguments: Sequence[str]) -> None:
        self._nest = nest
        self.said: list[Said] = []
        self.error = ""
        self._code: int | None = None
        stdin, self._stdin = os.pipe()
        stdout, stderr = (os.pipe() for _ in range(2))
        theirs = [stdin, stdout[1], stderr[1]]
        self.pid = nest.run(arguments, theirs)
        for file in theirs:
            os.close(file)
        self._readers = [
            threading.Thread(target=self._read, args=[os.fdopen(stdout[0])], daemon=True),
            threading.Thread(target=self._read_error, args=[os.fdopen(stderr[0])], daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, file: TextIO) -> None:
        with file:
            for line in file:
                if line.endswith("}\n"):  # what a killed process has half written was not said
                    self.said.append(json.loads(line))

    def _read_error(self, file: TextIO) -> None:
        with file:
            self.error = file.read()

    def code(self) -> int | None:
        """Return its exit code; None while it runs."""
        if self._code is None:
            self._code = self._nest.code(self.pid)
        return self._code

    def all(self, did: str) -> list[Said]:
        """Return what it said of one thing."""
        return [said for said in list(self.said) if said["did"] == did]

    def wait_for(self, did: str, count: int = 1, within_s: float = 60) -> Said:
        """Wait until it has done a thing so many times, and return what it said of the last."""
        end = time.monotonic() + within_s
        while len(found := self.all(did)) < count:
            gone = self.code() is not None and not self._readers[0].is_alive()
            assert not gone or len(self.all(did)) >= count, f"it ended: {self.said[-3:]} {self.error}"
            assert time.monotonic() < end, f"no {did!r} within {within_s:g} s: {self.said[-3:]}"
            time.sleep(0.01)
        return found[count - 1]

    def go(self) -> None:
        """Let it begin, if it was told to wait."""
        os.write(self._stdin, b"go\n")

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.code() is None:
            os.kill(self.pid, signal.SIGKILL)

    def end(self, within_s: float = 120) -> int:
        """Wait for its end and return the exit code."""
        limit = time.monotonic() + within_s
        while (code := self.code()) is None:
            assert time.monotonic() < limit, f"it runs after {within_s:g} s: {self.said[-3:]}"
            time.sleep(0.01)
        for reader in self._readers:
            reader.join(10)
        return code

    def close(self) -> None:
        """Kill it if it still runs, and let go of what belongs to it."""
        if self._stdin < 0:
            return
        self.kill()
        self.end()
        os.close(self._stdin)
        self._stdin = -1


class Colony:
    """Drones at one address, where there may be no ledger yet.

    Attributes
    ----------
    url : str
        Of the storage.
    name : str
        Of the study.
    storage : Storage
        The test's own way to it, once it is loaded.
    study : StudyRecord
        As it was when it was loaded.
    """

    def __init__(self, url: str, nest: Nest, stack: ExitStack) -> None:
        self.url = url
        self.name = "study"
        self._nest = nest
        self._stack = stack
        self.storage: Storage
        self.study: StudyRecord

    def load(self) -> None:
        """Open the ledger that the drones have made, and look up the study."""
        self.storage = open_existing(self.url)
        self._stack.callback(self.storage.close)
        self.study = self.storage.study(self.name)

    @property
    def id(self) -> int:
        """Key of the study."""
        return self.study.id

    def drone(self, name: str, *options: object) -> Drone:
        """Start a drone on the study."""
        drone = Drone(self._nest, [self.url, self.name, name, *map(str, options)])
        self._stack.callback(drone.close)
        return drone

    @staticmethod
    def results(drones: Sequence[Drone], *answers: str) -> list[int]:
        """Return the numbers of the trials whose results were answered so, or accepted, in order."""
        wanted = answers or ("accepted",)
        return sorted(said["number"] for d in drones for said in d.all("finish") if said["answer"] in wanted)

    def audit(self) -> None:
        """Check what must hold of the ledger whatever happened."""
        audit(self.storage, self.id)


class Ledger(Colony):
    """A ledger of a test's own, which is there already."""

    def __init__(self, url: str, nest: Nest, stack: ExitStack) -> None:
        super().__init__(url, nest, stack)
        self.storage = open_storage(url)
        stack.callback(self.storage.close)

    def create(self, trials: int | None = None, **spec: Any) -> StudyRecord:
        """Create the study."""
        space = spec.pop("space", Space(x=Float(0, 1)))
        self.study = self.storage.create_study(StudySpec(self.name, space, **spec))
        if trials is not None:
            self.study = self.storage.set_budget(self.study.id, trials)
        return self.study

    def drones(self, count: int, *options: object) -> list[Drone]:
        """Start several that begin together."""
        drones = [self.drone(f"d{i}", "--wait", *options) for i in range(count)]
        for drone in drones:
            drone.wait_for("ready")
        for drone in drones:
            drone.go()
        return drones

    def take(self, within_s: float = 0) -> Claim:
        """Claim a trial that must be there, or come free, within a time."""
        end = time.monotonic() + within_s
        while True:
            answer = self.storage.claim(self.id, "test", uuid.uuid4().hex, 60)
            if isinstance(answer, Claim):
                return answer
            assert time.monotonic() < end, answer
            time.sleep(0.05)

    def tell(self, claim: Claim) -> str:
        """Propose a configuration if there is none, and finish the trial; return the answer."""
        if claim.params is None:
            self.storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        outcome = Outcome(TrialState.COMPLETE, (0.25,))
        return self.storage.finish(claim, outcome, claim.claim_id).value


class Outpost(Ledger):
    """A ledger on a server of the test's own, which it may stop, kill and freeze."""

    def __init__(self, server: PrivateServer, nest: Nest, stack: ExitStack) -> None:
        super().__init__(server.url, nest, stack)
        self.server = server


@pytest.fixture(scope="session")
def nest() -> Iterator[Nest]:
    """Return the process that forks drones."""
    nest = Nest()
    yield nest
    nest.close()


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[str], str]) -> str:
    """Return the address of an empty SQLite file, or of the kind of database that the test asks for."""
    kind = getattr(request, "param", "sqlite")
    return f"sqlite:///{tmp_path / 'ledger.db'}" if kind == "sqlite" else new_database(kind)


@pytest.fixture
def ledger(address: str, nest: Nest) -> Iterator[Ledger]:
    """Return a ledger at `address`."""
    with ExitStack() as stack:
        yield Ledger(address, nest, stack)


@pytest.fixture(scope="session")
def own_server(private_server: Callable[..., PrivateServer]) -> Callable[..., PrivateServer]:
    """Return a function that gives a server of the tests' own, which runs and holds no study."""
    started: dict[tuple[str, ...], PrivateServer] = {}

    def give(*words: str) -> PrivateServer:
        if words in started:  # whatever the last test has done to it
            started[words].kill()
            started[words].start()
        else:
            started[words] = private_server(*words)
        with closing(open_storage(started[words].url)) as storage:
            for study in storage.studies():
                storage.delete_study(study.spec.name, force=True)
        return started[words]

    return give


@pytest.fixture(params=["postgresql", "mysql"])
def outpost(
    request: pytest.FixtureRequest, own_server: Callable[..., PrivateServer], nest: Nest
) -> Iterator[Outpost]:
    """Return a ledger on a server that nobody else uses."""
    with ExitStack() as stack:
        yield Outpost(own_server(request.param), nest, stack)


@pytest.fixture(params=["postgresql", "mysql"])
def narrow_outpost(
    request: pytest.FixtureRequest, own_server: Callable[..., PrivateServer], nest: Nest
) -> Iterator[Outpost]:
    """Return a ledger on a server that has twelve connections."""
    with ExitStack() as stack:
        yield Outpost(own_server(request.param, "max_connections=12"), nest, stack)


@pytest.fixture
def colony(address: str, nest: Nest) -> Iterator[Colony]:
    """Return drones at `address`, where nothing is yet."""
    with ExitStack() as stack:
        yield Colony(address, nest, stack)
