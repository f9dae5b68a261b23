"""The ledger behind a server: the contract, and networks that fail."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tcp_proxy import TcpProxy

from modelwright.errors import (
    InputError,
    StorageError,
    StorageUnavailableError,
    StudyExistsError,
    StudyNotFoundError,
)
from modelwright.records import Outcome, Proposal, Provenance, TrialState
from modelwright.server.run import serving
from modelwright.storage import Claim, Dataset, Finish, MemoryStorage, Storage, open_storage
from modelwright.storage.base import AdoptedTrial
from modelwright.storage.http import HTTPStorage
from modelwright.study import Study
from modelwright.testing.storage import ManualClock, StorageContract, complete, make_spec

TOKEN = "a-token-of-the-tests-0123456789"


class Present:
    """The ledger of the present test, behind a server that serves many."""

    def __init__(self) -> None:
        self.ledger: Storage = MemoryStorage()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ledger, name)


@pytest.fixture(scope="module")
def present() -> Present:
    return Present()


@pytest.fixture(scope="module")
def url(present: Present) -> Iterator[str]:
    with serving(present, TOKEN) as url:  # type: ignore[arg-type]
        yield url


class HTTPContract(StorageContract):
    @pytest.fixture
    def clock(self, present: Present) -> ManualClock:
        clock = ManualClock()
        present.ledger = MemoryStorage(clock=clock.seconds, now_us=lambda: clock.us)
        return clock


class TestHTTPStorage(HTTPContract):
    @pytest.fixture
    def storage(self, clock: ManualClock, url: str) -> Iterator[Storage]:
        storage = HTTPStorage(url, TOKEN)
        yield storage
        storage.close()


@pytest.mark.slow
class TestBadNetwork(HTTPContract):
    """One piece of data in thirty breaks its connection, so that answers are lost after they took effect."""

    @pytest.fixture
    def storage(self, clock: ManualClock, url: str) -> Iterator[Storage]:
        with TcpProxy(place_of(url), seed=7) as proxy:
            proxy.reset_share = 1 / 30
            storage = HTTPStorage(f"http://127.0.0.1:{proxy.port}", TOKEN)
            yield storage
            storage.close()


def place_of(url: str) -> tuple[str, int]:
    """Return host and port of an address."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


@pytest.fixture
def ledger() -> MemoryStorage:
    return MemoryStorage()


@pytest.fixture
def proxy(ledger: MemoryStorage) -> Iterator[TcpProxy]:
    """Return a proxy in front of a server of the ledger."""
    with serving(ledger, TOKEN) as url, TcpProxy(place_of(url)) as proxy:
        yield proxy


@pytest.fixture
def storage(proxy: TcpProxy) -> Iterator[HTTPStorage]:
    storage = HTTPStorage(f"http://127.0.0.1:{proxy.port}", TOKEN, read_timeout_s=1.0, patience_s=30)
    yield storage
    storage.close()


def lost_answer(proxy: TcpProxy, call: Any) -> Any:
    """Call while answers are held back; break the connection once the request has surely arrived."""
    result: list[Any] = []

    def work() -> None:
        try:
            result.append(call())
        except BaseException as error:
            result.append(error)

    proxy.go_silent("down")
    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.5)
    proxy.reset_all()
    proxy.heal()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def test_a_lost_answer_has_one_effect(storage: HTTPStorage, proxy: TcpProxy, ledger: MemoryStorage) -> None:
    storage.studies()
    study = lost_answer(proxy, lambda: storage.create_study(make_spec()))
    assert [record.id for record in ledger.studies()] == [study.id]
    with pytest.raises(StudyExistsError):
        storage.create_study(make_spec())
    assert lost_answer(proxy, lambda: storage.enqueue(study.id, {"x": 0.5}, {})) == 0
    claim = lost_answer(proxy, lambda: storage.claim(study.id, "w", "c", 60))
    assert isinstance(claim, Claim)
    assert (claim.number, claim.fence, ledger.study("study").issued) == (0, 1, 1)
    lost_answer(proxy, lambda: storage.report(claim, []))
    assert lost_answer(proxy, lambda: storage.finish(claim, complete(), "r")) in (
        Finish.ACCEPTED,
        Finish.DUPLICATE,
    )
    finished = AdoptedTrial(ledger.trial(study.id, 0))
    assert lost_answer(proxy, lambda: storage.adopt(study.id, [finished])) == [1]
    dataset = Dataset("iris", "/d/iris.csv", "class", 150, 3, 4, 0.3, 5)
    assert lost_answer(proxy, lambda: storage.add_dataset(dataset)) == 1
    assert len(ledger.trials(study.id)) == 2
    lost_answer(proxy, lambda: storage.delete_study("study"))
    assert ledger.studies() == []
    with pytest.raises(StudyNotFoundError):
        storage.delete_study("study")


def test_a_silent_network_is_waited_out(storage: HTTPStorage, proxy: TcpProxy) -> None:
    assert storage.studies() == []
    proxy.go_silent()
    timer = threading.Timer(2.0, proxy.heal)
    timer.start()
    begun = time.monotonic()
    assert storage.studies() == []
    assert 1.5 < time.monotonic() - begun < 25
    timer.join()


def test_a_server_that_is_restarted_is_waited_for(ledger: MemoryStorage) -> None:
    with serving(ledger, TOKEN) as url:
        storage = HTTPStorage(url, TOKEN)
        study = storage.create_study(make_spec())
    answer: list[Any] = []
    thread = threading.Thread(target=lambda: answer.append(storage.claim(study.id, "w", "c", 60)))
    thread.start()
    time.sleep(0.3)
    assert answer == []
    with serving(ledger, TOKEN, port=place_of(url)[1]):
        thread.join()
        storage.close()
    assert isinstance(answer[0], Claim)


def test_an_outage_is_told_once(ledger: MemoryStorage, caplog: pytest.LogCaptureFixture) -> None:
    with serving(ledger, TOKEN) as url:
        storage = HTTPStorage(url, TOKEN)
        assert storage.studies() == []
    threads = [threading.Thread(target=storage.studies) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(5)
    with serving(ledger, TOKEN, port=place_of(url)[1]):
        for thread in threads:
            thread.join()
        storage.close()
    away, back = (record.message for record in caplog.records if record.name == "modelwright")
    assert away == f"{url} is out of reach or too busy; trying again for up to 600 s."
    assert back.startswith(f"{url} is back after ")


def test_a_busy_ledger_is_asked_again(
    storage: HTTPStorage, ledger: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = ledger.studies, []

    def away() -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise StorageUnavailableError("the database is away")
        return real()

    monkeypatch.setattr(ledger, "studies", away)
    assert storage.studies() == []
    assert len(calls) == 3


def test_a_wrong_token_is_told_at_once(proxy: TcpProxy) -> None:
    storage = HTTPStorage(f"http://127.0.0.1:{proxy.port}", "another-token-0123456789")
    for _ in range(120):  # beyond a hundred the server says something else
        with pytest.raises(StorageError, match="does not accept the token") as caught:
            storage.studies()
    assert caught.value.code == "E_DB_TOKEN"
    assert "another-token" not in str(caught.value) + repr(storage) + storage.url
    storage.close()


def test_what_is_no_json_is_refused_here(storage: HTTPStorage, proxy: TcpProxy) -> None:
    study = storage.create_study(make_spec())
    before = proxy.connections
    with pytest.raises(InputError, match="JSON"):
        storage.set_user_attrs(study.id, {"a": object()})
    assert proxy.connections == before


def test_names_of_any_kind(storage: HTTPStorage) -> None:
    for name in ("..", ".", "näme & co?", "100%", "a+b", "#1", "漢字 🦜"):
        assert storage.create_study(make_spec(name)).spec.name == name
        assert storage.study(name).spec.name == name
        storage.delete_study(name)
    for name in ("", "a/b", "../../etc", "%2e%2e"):
        with pytest.raises(StudyNotFoundError):
            storage.study(name)


def test_many_events_come_page_by_page(storage: HTTPStorage, ledger: MemoryStorage) -> None:
    study = ledger.create_study(make_spec())
    for i in range(1200):
        ledger.set_user_attrs(study.id, {"a": i})
    assert len(storage.events(study.id, limit=1150)) == 1150
    assert [event.revision for event in storage.events(study.id, limit=5000)] == list(range(1, 1202))
    assert storage.events(study.id, since=1201, limit=5000) == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_connections_of_its_own(storage: HTTPStorage) -> None:
    study = storage.create_study(make_spec())
    child = os.fork()
    if child == 0:
        try:
            for i in range(20):
                storage.claim(study.id, "child", f"child-{i}", 60)
        finally:
            os._exit(0)
    for i in range(20):
        claim = storage.claim(study.id, "parent", f"parent-{i}", 60)
        assert isinstance(claim, Claim)
        assert claim.claim_id == f"parent-{i}"
    assert os.waitpid(child, 0)[1] == 0
    assert len(storage.trials(study.id)) == 40


def test_a_study_runs_over_http(storage: HTTPStorage, ledger: MemoryStorage) -> None:
    from modelwright import Float, Space

    study = Study(Space(x=Float(-5, 5)), storage=storage, seed=1, optimizer="random")
    study.run(lambda trial: trial.params["x"] ** 2, trials=10, executor="inline")
    assert len(study.trials) == 10
    same = Study(Space(x=Float(-5, 5)), seed=1, optimizer="random")
    same.run(lambda trial: trial.params["x"] ** 2, trials=10, executor="inline")
    assert [trial.params for trial in study.trials] == [trial.params for trial in same.trials]


def test_a_study_is_steered_over_http(storage: HTTPStorage, ledger: MemoryStorage) -> None:
    from modelwright import Float, Space

    study = Study(Space(x=Float(-5, 5)), storage=storage, name="s", seed=1, optimizer="random")
    study.run(lambda trial: trial.params["x"] ** 2, trials=2, executor="inline")
    verbs = (lambda: study.set_budget(20), study.pause, study.resume, study.stop)
    assert [verb().state.value for verb in verbs] == ["pending", "paused", "pending", "complete"]
    assert study.resume().state is ledger.study("s").state
    again = study.retry(0)
    assert (again.number, study.enqueue_like(1, x=1).number) == (2, 3)
    assert study.kill(3).state is TrialState.FAILED
    assert study.trial(2).params == study.trial(0).params
    assert study.set_priority(7).spec.priority == ledger.study("s").spec.priority == 7


def test_the_clock_of_a_ledger_leaves_one_row(storage: HTTPStorage, ledger: MemoryStorage) -> None:
    from modelwright.study.worker import ledger_now_us
    from modelwright.worker import worker_rows

    assert ledger_now_us(storage) <= ledger_now_us(storage)
    assert len(ledger.workers()) == 1
    assert worker_rows(storage, everything=True) == []


def test_the_ledger_may_be_a_file(tmp_path: Path) -> None:
    file = open_storage(tmp_path / "hub.db")
    with serving(file, TOKEN) as url:
        storage = HTTPStorage(url, TOKEN)
        study = storage.create_study(make_spec())
        claim = storage.claim(study.id, "w", "c", 60)
        assert isinstance(claim, Claim)
        storage.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
        assert storage.finish(claim, Outcome(TrialState.COMPLETE, (0.5,)), "r") is Finish.ACCEPTED
        assert storage.trials(study.id) == file.trials(study.id)
        storage.close()
    file.close()


def test_errors_keep_their_words(storage: HTTPStorage) -> None:
    with pytest.raises(KeyError) as missing:
        storage.dataset(99)
    assert type(missing.value) is KeyError
    with pytest.raises(StudyNotFoundError) as caught:
        storage.trials(99)
    assert caught.value.code == "E_STUDY_NOT_FOUND"
