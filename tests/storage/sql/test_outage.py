"""Servers that restart, freeze, are full or out of reach: no call is lost, and none is done twice.

The names begin with the rows of the fault matrix that they show.
"""

from __future__ import annotations

import json
import logging
import math
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from private_servers import PrivateServer
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from tcp_proxy import TcpProxy

from modelwright.errors import StorageUnavailableError
from modelwright.records import Proposal, Provenance
from modelwright.storage import Claim, Finish, SQLStorage, open_existing, open_storage
from modelwright.storage.sql import Transaction, schema
from modelwright.storage.sql.server import ServerDatabase
from modelwright.testing.audit import audit as check_ledger
from modelwright.testing.storage import ManualClock, StorageContract, complete, make_spec

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


@pytest.fixture(params=["postgresql", "mysql"], scope="module")
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ledger(kind: str, new_database: Callable[[str], str]) -> str:
    url = new_database(kind)
    open_storage(url).close()
    return url


@pytest.fixture
def proxy(ledger: str) -> Iterator[TcpProxy]:
    parts = urlsplit(ledger)
    with TcpProxy((parts.hostname or "", parts.port or 0)) as proxy:
        yield proxy


@pytest.fixture
def storage(ledger: str, proxy: TcpProxy) -> Iterator[SQLStorage]:
    """Return a storage behind a network that fails on request."""
    storage = open_storage(through(ledger, proxy.port), silence_s=1.0)
    assert isinstance(storage, SQLStorage)
    for study in storage.studies():
        storage.delete_study(study.spec.name, force=True)
    yield storage
    proxy.heal()
    storage.close()


@pytest.fixture(scope="module")
def server(kind: str, private_server: Callable[..., PrivateServer]) -> Iterator[PrivateServer]:
    server = private_server(kind, "max_connections=12")
    yield server
    server.close()


def through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))


def database_of(storage: SQLStorage) -> ServerDatabase:
    assert isinstance(storage._db, ServerDatabase)
    return storage._db


def run_raw(url: str, statement: str) -> list[tuple[Any, ...]]:
    engine = create_engine(re.sub("^[a-z]+", DRIVERS[urlsplit(url).scheme], url))
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
    engine.dispose()
    return rows


def take(storage: SQLStorage, study_id: int, claim_id: str) -> Claim:
    claim = storage.claim(study_id, "w", claim_id, 60)
    assert isinstance(claim, Claim)
    return claim


def audit(url: str, budget: int) -> None:
    """Check what has to hold of a study that is done, whatever happened meanwhile."""
    assert run_raw(url, "SELECT issued, budget_trials FROM studies") == [(budget, budget)]
    rows = run_raw(url, "SELECT number, state, fence, attempts FROM trials ORDER BY number")
    assert [row[0] for row in rows] == list(range(budget))
    assert {row[1] for row in rows} == {"complete"}
    accepted = run_raw(
        url, "SELECT number, COUNT(*) FROM attempts WHERE outcome = 'complete' GROUP BY number"
    )
    assert sorted(accepted) == [(number, 1) for number in range(budget)]
    tried = dict(run_raw(url, "SELECT number, COUNT(*) FROM attempts GROUP BY number"))
    assert all(tried[number] == fence for number, _, fence, _ in rows)
    revisions = [row[0] for row in run_raw(url, "SELECT revision FROM events ORDER BY revision")]
    assert revisions == list(range(1, len(revisions) + 1))
    finishes = run_raw(url, "SELECT number, COUNT(*) FROM events WHERE kind = 'finish' GROUP BY number")
    assert sorted(finishes) == [(number, 1) for number in range(budget)]


# lost answers -------------------------------------------------------------------------------------------


def test_f06_the_answer_to_a_result_is_lost(storage: SQLStorage, proxy: TcpProxy) -> None:
    study = storage.create_study(make_spec())
    claim = take(storage, study.id, "a")
    storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    proxy.cut_after_commit()
    assert storage.finish(claim, complete(0.5), "result") is Finish.ACCEPTED
    assert proxy.cuts == 1
    assert storage.finish(claim, complete(0.5), "result") is Finish.DUPLICATE  # and a caller may ask again
    assert [event.kind for event in storage.events(study.id)].count("finish") == 1
    assert storage.trial(study.id, 0).values == (0.5,)
    check_ledger(storage, study.id)


def test_f07_the_answer_to_a_claim_is_lost(storage: SQLStorage, proxy: TcpProxy) -> None:
    study = storage.create_study(make_spec())
    proxy.cut_after_commit()
    claim = take(storage, study.id, "a")
    assert proxy.cuts == 1
    assert (claim.number, claim.fence, claim.attempts) == (0, 1, 1)
    assert storage.study("study").issued == 1
    assert [event.kind for event in storage.events(study.id)].count("claim") == 1
    check_ledger(storage, study.id)


# disks ---------------------------------------------------------------------------------------------------


def without_room(kind: str) -> Exception:
    """Return what a driver raises where the server's disk is full."""
    if kind == "mysql":
        import pymysql

        return pymysql.err.OperationalError(1021, "Disk full (/var/lib/mysql)")
    import psycopg

    return psycopg.errors.DiskFull("could not extend file: No space left on device")


def test_f32_a_server_whose_disk_is_full(
    storage: SQLStorage, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    study = storage.create_study(make_spec(lease_s=1.0))
    claim = take(storage, study.id, "a")
    database = database_of(storage)
    talk, refused = database._talk, 0

    def full(message: Any) -> Any:
        nonlocal refused
        if refused < 3 and any("UPDATE" in phrase.text for phrase, _ in message):
            refused += 1
            raise DBAPIError("UPDATE", None, without_room(kind))
        return talk(message)

    monkeypatch.setattr(database, "_talk", full)
    storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    assert refused == 3
    assert caplog.text.count("is full; waiting up to 600 s for room") == 1
    assert caplog.text.count("has room again after") == 1
    moment, outage_end = database.read(lambda tx: (tx.now_us, tx.outage_end_us))
    assert 0 <= moment - outage_end < 60_000_000
    check_ledger(storage, study.id)


# networks -----------------------------------------------------------------------------------------------


def test_f26_a_silent_network_is_cut_and_heals(
    storage: SQLStorage, proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    study = storage.create_study(make_spec())
    proxy.go_silent()
    healing = threading.Timer(3.0, proxy.heal)
    healing.start()
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "modelwright"):
        assert storage.set_budget(study.id, 3).budget.trials == 3
    assert 2.5 < time.monotonic() - began < 60
    healing.join()
    assert [event.kind for event in storage.events(study.id)].count("budget") == 1
    moment, outage_end = database_of(storage).read(lambda tx: (tx.now_us, tx.outage_end_us))
    assert 0 < moment - outage_end < 60_000_000
    assert caplog.text.count("is back after") == caplog.text.count("is out of reach")
    check_ledger(storage, study.id)


def test_f27_answers_that_do_not_come(storage: SQLStorage, proxy: TcpProxy) -> None:
    study = storage.create_study(make_spec())
    proxy.go_silent("down")
    healing = threading.Timer(2.0, proxy.heal)
    healing.start()
    assert take(storage, study.id, "a").number == 0
    healing.join()
    assert storage.study("study").issued == 1
    check_ledger(storage, study.id)


def test_g11_a_call_without_patience_ends_by_itself(
    ledger: str, storage: SQLStorage, proxy: TcpProxy
) -> None:
    impatient = open_storage(through(ledger, proxy.port), silence_s=0.5, timeout_s=1.0)
    proxy.go_silent()
    began = time.monotonic()
    with pytest.raises(StorageUnavailableError, match="could not be reached for 1 s") as caught:
        impatient.studies()
    assert caught.value.code == "E_DB_CONNECT"
    assert time.monotonic() - began < 30
    proxy.heal()
    impatient.close()


def test_broken_connections_are_told_once(
    storage: SQLStorage, proxy: TcpProxy, caplog: pytest.LogCaptureFixture
) -> None:
    storage.studies()
    with caplog.at_level(logging.WARNING, "modelwright"):
        proxy.reset_all()
        storage.studies()
        assert caplog.text == ""  # one new connection later nothing is the matter
        proxy.refuse()
        healing = threading.Timer(1.5, proxy.heal)
        healing.start()
        storage.studies()
        healing.join()
    assert caplog.text.count("is out of reach") == 1
    assert caplog.text.count("is back after") == 1


@pytest.mark.parametrize(
    ("delay_s", "share", "trials"), [(0.0, 0.01, 15), pytest.param(0.3, 0.005, 5, marks=pytest.mark.slow)]
)
def test_f27_a_slow_network_that_loses_connections(
    ledger: str, storage: SQLStorage, proxy: TcpProxy, delay_s: float, share: float, trials: int
) -> None:
    study = storage.create_study(make_spec())
    storage.set_budget(study.id, trials)
    patient = open_storage(through(ledger, proxy.port))
    proxy.delay_s, proxy.reset_share = delay_s, share
    assert isinstance(patient, SQLStorage)
    for number in range(trials):
        run_trial(patient, study.id, f"claim-{number}")
    proxy.delay_s = proxy.reset_share = 0.0
    patient.close()
    audit(ledger, trials)
    assert {trial.attempts for trial in storage.trials(study.id)} == {1}  # no lease was lost
    check_ledger(storage, study.id)


def run_trial(storage: SQLStorage, study_id: int, claim_id: str) -> bool:
    claim = storage.claim(study_id, claim_id, claim_id, 60)
    if not isinstance(claim, Claim):
        return False
    storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    storage.finish(claim, complete(0.5), f"result-{claim_id}")
    return True


def empty(tx: Transaction) -> None:
    for table in reversed(schema.metadata.sorted_tables):
        if table is not schema.version:
            tx.run(text(f"DELETE FROM {table.name}"))


@pytest.fixture(scope="module")
def bad_network(ledger: str) -> Iterator[TcpProxy]:
    parts = urlsplit(ledger)
    with TcpProxy((parts.hostname or "", parts.port or 0), seed=1) as proxy:
        proxy.reset_share = 0.01
        yield proxy
        assert proxy.resets > 10


@pytest.fixture(scope="module")
def database_behind_it(ledger: str, bad_network: TcpProxy) -> Iterator[ServerDatabase]:
    storage = open_storage(through(ledger, bad_network.port), wait_s=60)
    database = database_of(storage)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modelwright.storage.sql.presence._OUTAGE_S", math.inf)  # the clock stands still
        # The server's start, on its own clock, may lie after the moments of a clock that stands still.
        database._presence.outage_end_us = database._outage_end_us = 0
        yield database
    database.close()


@pytest.mark.slow
class TestThroughABadNetwork(StorageContract):
    """The contract, over a network that breaks at one message in a hundred, either way."""

    # There threads that find nothing to do advance the clock: who has to connect anew is never in time.
    test_a_budget_is_exact_whatever_dies = None  # type: ignore[assignment]

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    def storage(self, clock: ManualClock, database_behind_it: ServerDatabase) -> SQLStorage:
        database_behind_it._clock = lambda: clock.us
        database_behind_it.write(empty)
        return SQLStorage(database_behind_it)


# servers ------------------------------------------------------------------------------------------------

WORKER = """
import json, os, sys, time, uuid, logging
from modelwright.records import Proposal, Provenance
from modelwright.storage import Claim, open_existing
from modelwright.testing.storage import complete

logging.basicConfig(level=logging.ERROR)
url, lease_s, work_s, wait_s = sys.argv[1], *map(float, sys.argv[2:5])
worker = f"w{os.getpid()}"
storage = open_existing(url, wait_s=wait_s, silence_s=5.0)
study = storage.study("study")
done = repeated = 0
while True:
    claim = storage.claim(study.id, worker, uuid.uuid4().hex, lease_s)
    if not isinstance(claim, Claim):
        if claim.reason == "busy":
            time.sleep(0.2)
            continue
        break
    repeated += claim.attempts > 1
    if claim.params is None:
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
    time.sleep(work_s)
    storage.renew([claim], lease_s)
    storage.finish(claim, complete(0.5), uuid.uuid4().hex)
    done += 1
storage.close()
print(json.dumps([done, repeated]))
"""


class Workers:
    """Processes that run a study until its budget is spent."""

    def __init__(self, url: str, count: int, *, lease_s: float = 60, work_s: float = 0.0, wait_s: float = 60):
        arguments = [sys.executable, "-c", WORKER, url, str(lease_s), str(work_s), str(wait_s)]
        self.processes = [
            subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(count)
        ]

    def join(self, timeout_s: float = 240) -> tuple[int, int]:
        """Wait for all of them, and return how many trials they finished, and began again."""
        end = time.monotonic() + timeout_s
        totals = [0, 0]
        try:
            for process in self.processes:
                out, err = process.communicate(timeout=max(1.0, end - time.monotonic()))
                assert process.returncode == 0, err[-3000:]
                totals = [a + b for a, b in zip(totals, json.loads(out), strict=True)]
        finally:
            self.kill()
        return totals[0], totals[1]

    def kill(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


def new_study(server: PrivateServer, budget: int, lease_s: float = 60.0) -> str:
    storage = open_storage(server.url)
    for study in storage.studies():
        storage.delete_study(study.spec.name, force=True)
    record = storage.create_study(make_spec(lease_s=lease_s))
    storage.set_budget(record.id, budget)
    storage.close()
    return server.url


def issued(url: str) -> int:
    return int(run_raw(url, "SELECT issued FROM studies")[0][0])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_f22_f23_a_server_that_restarts_ends_no_worker(
    server: PrivateServer, how: str, until: Callable[..., None]
) -> None:
    url = new_study(server, 240)
    workers = Workers(url, 8, work_s=0.05)
    until(lambda: issued(url) >= 60)
    getattr(server, how)()
    time.sleep(3)
    server.start()
    done, repeated = workers.join()
    audit(url, 240)
    assert repeated == 0  # leases are longer than the outage
    assert done == 240


@pytest.mark.slow
def test_f23_leases_that_ran_out_during_an_outage_are_not_taken(
    server: PrivateServer, until: Callable[..., None]
) -> None:
    url = new_study(server, 60, lease_s=4.0)
    workers = Workers(url, 6, lease_s=4.0, work_s=0.5)
    until(lambda: issued(url) >= 15)
    server.kill()
    time.sleep(8)
    server.start()
    _, repeated = workers.join()
    audit(url, 60)
    assert repeated == 0


@pytest.mark.slow
def test_f24_a_server_that_comes_later_is_waited_for(server: PrivateServer, kind: str) -> None:
    url = new_study(server, 5)
    server.stop()
    with pytest.raises(StorageUnavailableError) as caught:
        open_existing(url, wait_s=0.2)
    assert caught.value.code == "E_DB_CONNECT"
    workers = Workers(url, 1)
    time.sleep(1.5)
    assert workers.processes[0].poll() is None
    server.start()
    assert workers.join() == (5, 0)
    audit(url, 5)


@pytest.mark.slow
def test_f28_a_frozen_server_delays_but_ends_nobody(
    server: PrivateServer, until: Callable[..., None]
) -> None:
    url = new_study(server, 160)
    workers = Workers(url, 6, work_s=0.05)
    until(lambda: issued(url) >= 40)
    server.freeze()
    time.sleep(20)
    server.thaw()
    done, repeated = workers.join()
    audit(url, 160)
    assert (done, repeated) == (160, 0)


@pytest.mark.slow
def test_f29_more_workers_than_connections_take_turns(server: PrivateServer) -> None:
    url = new_study(server, 400)
    workers = Workers(url, 20, work_s=0.05)
    done, repeated = workers.join()
    audit(url, 400)
    assert (done, repeated) == (400, 0)


def _freeze_in_transaction(url: str, study_id: int) -> None:
    storage = open_existing(url)

    def work(tx: Any) -> None:
        tx.connection.exec_driver_sql(f"SELECT id FROM studies WHERE id = {study_id} FOR UPDATE")
        os.kill(os.getpid(), signal.SIGSTOP)

    database_of(storage).write(work)  # type: ignore[arg-type]
    storage.close()


@pytest.mark.slow
def test_f09_who_freezes_in_a_transaction_is_thrown_out(ledger: str, storage: SQLStorage) -> None:
    study = storage.create_study(make_spec())
    other = open_existing(ledger)
    process = multiprocessing.get_context("fork").Process(
        target=_freeze_in_transaction, args=(ledger, study.id)
    )
    process.start()
    assert process.pid is not None
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    began = time.monotonic()
    assert other.set_budget(study.id, 3).budget.trials == 3
    assert time.monotonic() - began < 60
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.2)
    process.kill()
    process.join()
    check_ledger(other, study.id)
    other.close()
