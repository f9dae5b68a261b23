"""Everything at once, from fifty seeds: deaths, frosts, lost answers, bad networks, hands on each button."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from person import Person
from tcp_proxy import TcpProxy

from modelwright.records import StudyState, TrialState

KINDS = ("sqlite", "postgresql", "mysql")
FAULTS = {
    "call": ("die", "freeze", "pause=0.3"),
    "commit": ("die", "freeze", "pause=0.3", "busy", "deadlock", "serialization", "lost"),
    "committed": ("die", "freeze", "pause=0.3", "lost"),
    "answer": ("die", "freeze", "pause=0.3"),
}
LEASE_S = 1.0


class Network:
    """What lies between the drones and their database, and how it fails."""

    def __init__(self, url: str, stack: ExitStack, rng: random.Random) -> None:
        self.url = url
        self._rng = rng
        self._proxy: TcpProxy | None = None
        if not url.startswith("sqlite"):
            parts = urlsplit(url)
            target = str(parts.hostname), int(parts.port or 0)
            self._proxy = stack.enter_context(TcpProxy(target, seed=rng.randrange(1000)))
            self.url = url.replace(f":{parts.port}/", f":{self._proxy.port}/")

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Fail in some way for as long as the body takes."""
        if self._proxy is None:
            path = self.url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
                other.execute("BEGIN IMMEDIATE")
                yield
            return
        how = self._rng.choice(["silent", "deaf", "refusing", "resetting", "slow"])
        if how == "silent":
            self._proxy.go_silent()
        elif how == "deaf":
            self._proxy.go_silent("down")
        elif how == "refusing":
            self._proxy.refuse()
        elif how == "resetting":
            self._proxy.reset_share = 0.05
        else:
            self._proxy.delay_s = 0.05
        yield
        self._proxy.reset_share = self._proxy.delay_s = 0.0
        self._proxy.heal()


class Chaos:
    """Drones with faults of their own, and what is done to them."""

    def __init__(self, ledger: Any, network: Network, rng: random.Random) -> None:
        self._ledger = ledger
        self._network = network
        self._rng = rng
        self._person = Person(ledger.storage, ledger.id, rng)
        self._over = threading.Event()
        self.drones: list[Any] = []
        ledger.url = network.url  # for the drones; the test itself goes another way

    def start(self) -> None:
        """Start one more drone."""
        options: list[object] = ["--lease", LEASE_S, "--work", 0.01, "--stay"]
        for _ in range(self._rng.randrange(3)):
            point = self._rng.choice(list(FAULTS))
            method = self._rng.choice(["claim", "propose", "finish", "*"])
            moment = f"@{self._rng.randrange(1, 20)}/{self._rng.randrange(5, 20)}"
            options += ["--fault", f"{method}:{point}:{self._rng.choice(FAULTS[point])}{moment}"]
        if self._rng.random() < 0.2:
            options += ["--skew", self._rng.choice([-3600, 3600]), "--jumping"]
        self.drones.append(self._ledger.drone(f"d{len(self.drones)}", *options))

    def act(self) -> None:
        """Do something that nobody expects."""
        self._rng.choice([self._kill, self._freeze, self._person.act, self._person.act, self._fail])()
        while len(self._alive()) < 4:
            self.start()

    @contextmanager
    def thawing(self) -> Iterator[None]:
        """Let frozen drones go on after a while that some leases outlast and some do not."""

        def work() -> None:
            while not self._over.wait(1.5 * LEASE_S):
                for drone in list(self.drones):
                    with suppress(ProcessLookupError):
                        os.kill(drone.pid, signal.SIGCONT)

        thread = threading.Thread(target=work)
        thread.start()
        yield
        self._over.set()
        thread.join()

    def calm_down(self) -> None:
        """Let the study end as it should."""
        storage, study_id = self._ledger.storage, self._ledger.id
        self._person.resume()
        storage.set_budget(study_id, storage.study("study").issued + 10, parallel=None)
        self._person.resume()  # a study that was complete is open again
        self.drones.append(self._ledger.drone("last", "--lease", LEASE_S))
        assert self.drones[-1].end() == 0, self.drones[-1].error
        storage.set_state(study_id, StudyState.COMPLETE)
        codes = {drone.end() for drone in self.drones}
        assert codes <= {0, -signal.SIGKILL}, [drone.error for drone in self.drones]

    def _alive(self) -> list[Any]:
        return [drone for drone in self.drones if drone.code() is None]

    def _kill(self) -> None:
        self._rng.choice(self._alive()).kill()

    def _freeze(self) -> None:
        os.kill(self._rng.choice(self._alive()).pid, signal.SIGSTOP)

    def _fail(self) -> None:
        with self._network.failing():
            time.sleep(self._rng.uniform(0.1, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "seed"), [(KINDS[seed % 3], seed) for seed in range(50)], indirect=["address"]
)
def test_any_fault_at_any_moment(ledger: Any, seed: int) -> None:
    rng = random.Random(seed)
    ledger.create(trials=100, lease_s=LEASE_S, max_attempts=5)
    with ExitStack() as stack:
        chaos = Chaos(ledger, Network(ledger.url, stack, rng), rng)
        with chaos.thawing():
            for _ in range(4):
                chaos.start()
            for _ in range(25):
                chaos.act()
                time.sleep(rng.uniform(0, 0.2))
            chaos.calm_down()
    check(ledger, chaos.drones)


def check(ledger: Any, drones: Sequence[Any]) -> None:
    """Check the ledger, and that each result of which a drone was told counts, once."""
    said = [e for drone in drones for e in drone.all("finish") if e["answer"] in ("accepted", "duplicate")]
    trials = {trial.number: trial for trial in ledger.storage.trials(ledger.id)}
    assert len({entry["number"] for entry in said}) == len(said)
    assert {e["number"]: e["fence"] for e in said} == {e["number"]: trials[e["number"]].fence for e in said}
    assert {trials[entry["number"]].state for entry in said} == {TrialState.COMPLETE}
    kinds = {trial.failure.kind.value for trial in trials.values() if trial.failure is not None}
    assert kinds <= {"killed", "lost"}
    assert all(trial.state.finished for trial in trials.values())
    ledger.audit()
