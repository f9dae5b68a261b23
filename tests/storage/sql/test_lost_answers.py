"""Each verb loses the answer to its commit once: the ledger and the answer are as if nothing had happened.

Whether the commit had reached the server or not, nobody can know who did not hear of it. So each verb is
called twice in equal ledgers: over a network that works, and over one that breaks at the commit.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from sqlalchemy import select, text
from tcp_proxy import TcpProxy

from modelwright.records import (
    Failure,
    FailureKind,
    Outcome,
    Proposal,
    Provenance,
    Report,
    StudyState,
    Trial,
    TrialState,
)
from modelwright.storage import Claim, Dataset, Partition, SQLStorage, Storage, WorkerInfo, open_storage
from modelwright.storage.base import AdoptedTrial, EnsembleRecord
from modelwright.storage.sql import Transaction, control, schema
from modelwright.testing.faults import open_clocked
from modelwright.testing.storage import ManualClock, complete, make_spec

READS = {
    "artifacts", "attempts", "changes", "close", "counts", "dataset", "ensembles", "events", "partitions",
    "reports", "spaces", "studies", "study", "trial", "trials", "workers",
}  # fmt: skip

Verb = Callable[[], Any]
Case = Callable[[SQLStorage, int], Verb]
CASES: dict[str, Case] = {}


def case(name: str) -> Callable[[Case], Case]:
    """Take note of a case: it prepares a ledger with one study, and returns the call that is to fail."""

    def keep(prepare: Case) -> Case:
        assert name not in CASES, name
        CASES[name] = prepare
        return prepare

    return keep


def take(storage: Storage, study_id: int, claim_id: str = "c", worker: str = "w") -> Claim:
    claim = storage.claim(study_id, worker, claim_id, 60)
    assert isinstance(claim, Claim)
    return claim


def proposed(storage: Storage, study_id: int, claim_id: str = "c") -> Claim:
    claim = take(storage, study_id, claim_id)
    storage.propose(claim, Proposal({"x": 0.5}), Provenance("random"), 0)
    return claim


def failed() -> Outcome:
    return Outcome(TrialState.FAILED, failure=Failure(FailureKind.ERROR, "broken"))


# studies ------------------------------------------------------------------------------------------------


@case("create_study")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.create_study(make_spec("another"))


@case("delete_study")
def _(storage: SQLStorage, study_id: int) -> Verb:
    proposed(storage, study_id)
    return lambda: storage.delete_study("study", force=True)


@case("rename_study")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.rename_study(study_id, "renamed", who="me")


@case("set_priority")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.set_priority(study_id, 7, who="me")


@case("set_state")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.set_state(study_id, StudyState.PAUSED, expected=StudyState.PENDING, who="me")


@case("set_budget")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.set_budget(study_id, 9, cost=2.5, who="me")


@case("set_window")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.set_window(study_id, 4)


@case("set_started")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.set_started(study_id, 1_600_000_000_000_000)


@case("set_user_attrs")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.set_user_attrs(study_id, {"note": [1, 2]})


@case("add_space")
def _(storage: SQLStorage, study_id: int) -> Verb:
    space = make_spec().space.to_json()
    return lambda: storage.add_space(study_id, space, 0, who="me")


# trials -------------------------------------------------------------------------------------------------


@case("enqueue")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.enqueue(study_id, {"x": 0.5}, {"from": "me"}, who="me")


@case("enqueue, under an id")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.enqueue(study_id, {"x": 0.5}, {}, request_id="r1")


@case("claim")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.claim(study_id, "w", "c", 60)


@case("claim, of a trial that waits")
def _(storage: SQLStorage, study_id: int) -> Verb:
    storage.enqueue(study_id, {"x": 0.5}, {})
    return lambda: storage.claim(study_id, "w", "c", 60)


@case("claim, that finds nothing but lost trials")
def _(storage: SQLStorage, study_id: int) -> Verb:
    storage.set_budget(study_id, 1)
    take(storage, study_id)
    storage.forfeit("w", "dead")
    return lambda: storage.claim(study_id, "w2", "c2", 60)


@case("release")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    return lambda: storage.release(claim, "drained")


@case("release, of a number")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = take(storage, study_id)
    return lambda: storage.release(claim, "all tried", close=True)


@case("renew")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claims = [take(storage, study_id, name) for name in "abc"]
    return lambda: replace(storage.renew(claims, 600), state={})  # the key of the study is another one


@case("propose")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = take(storage, study_id)
    return lambda: storage.propose(claim, Proposal({"x": 0.5}), Provenance("random"), 0, unique=True)


@case("propose, what another trial has")
def _(storage: SQLStorage, study_id: int) -> Verb:
    proposed(storage, study_id, "a")
    claim = take(storage, study_id, "b")
    return lambda: storage.propose(claim, Proposal({"x": 0.5}), Provenance("random"), 0, unique=True)


@case("extend")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    return lambda: storage.extend(claim, {"y": 1.5}, 0)


@case("report")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    return lambda: storage.report(claim, [Report(1, {"value": 0.5}), Report(2, {"value": 0.25}, 3)])


@case("report, of many")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    return lambda: storage.report(claim, [Report(step, {"value": 0.5}) for step in range(50)])


@case("finish")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    return lambda: storage.finish(claim, complete(0.5, cost=1.5), "r")


@case("finish, once more")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    storage.finish(claim, complete(0.5), "r")
    return lambda: storage.finish(claim, complete(0.5), "r")


@case("finish, too late")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    storage.finish(claim, complete(0.5), "r")
    return lambda: storage.finish(claim, complete(0.25), "another")


@case("finish, with another attempt to come")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    return lambda: storage.finish(claim, failed(), "r")


@case("kill")
def _(storage: SQLStorage, study_id: int) -> Verb:
    proposed(storage, study_id)
    return lambda: storage.kill(study_id, 0, who="me")


@case("kill, of a trial that waits")
def _(storage: SQLStorage, study_id: int) -> Verb:
    storage.enqueue(study_id, {"x": 0.5}, {})
    return lambda: storage.kill(study_id, 0, who="me")


@case("adopt")
def _(storage: SQLStorage, study_id: int) -> Verb:
    trials = [
        AdoptedTrial(Trial(7, TrialState.COMPLETE, {"x": 0.25}, (1.0,)), reports=[Report(1, {"value": 1.0})]),
        AdoptedTrial(Trial(8, TrialState.WAITING, {"x": 0.75})),
    ]
    return lambda: storage.adopt(study_id, trials, who="me")


@case("adopt, of many")
def _(storage: SQLStorage, study_id: int) -> Verb:
    trials = [AdoptedTrial(Trial(0, TrialState.COMPLETE, {"x": i / 40}, (1.0,))) for i in range(40)]
    return lambda: storage.adopt(study_id, trials)


@case("set_trial_attrs")
def _(storage: SQLStorage, study_id: int) -> Verb:
    proposed(storage, study_id)
    return lambda: storage.set_trial_attrs(study_id, 0, {"note": "good"})


@case("trim")
def _(storage: SQLStorage, study_id: int) -> Verb:
    claim = proposed(storage, study_id)
    storage.report(claim, [Report(1, {"value": 0.5})])
    storage.finish(claim, complete(0.5), "r")
    return lambda: storage.trim(study_id, [0], who="me")


# workers ------------------------------------------------------------------------------------------------


def register(storage: Storage, name: str = "w") -> WorkerInfo:
    return storage.register_worker(WorkerInfo(name, "host", 1, "boot", 1.0))


@case("register_worker")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: register(storage)


@case("ask_worker")
def _(storage: SQLStorage, study_id: int) -> Verb:
    register(storage)
    take(storage, study_id)
    return lambda: storage.ask_worker("w", "drain", who="me")


@case("retire_worker")
def _(storage: SQLStorage, study_id: int) -> Verb:
    register(storage)
    return lambda: storage.retire_worker("w")


@case("forfeit")
def _(storage: SQLStorage, study_id: int) -> Verb:
    for name in "ab":
        take(storage, study_id, name)
    return lambda: storage.forfeit("w", "dead")


# tables of AutoML ---------------------------------------------------------------------------------------


@case("add_dataset")
def _(storage: SQLStorage, study_id: int) -> Verb:
    def add() -> Dataset:
        return replace(storage.dataset(storage.add_dataset(data)), id=None)

    data = Dataset("iris", "/d/train.csv", "class", 150, 3, 4, 0.25, 5)
    add()  # an equal one is another one
    return add


PARTITION = Partition(0, "knn", {"p": 1}, [["k", 1, 9]], {"jobs": 1})


@case("add_partitions")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.add_partitions(study_id, [PARTITION, replace(PARTITION, index=1)])


@case("set_partition_status")
def _(storage: SQLStorage, study_id: int) -> Verb:
    storage.add_partitions(study_id, [PARTITION])
    return lambda: storage.set_partition_status(study_id, 0, "errored")


@case("lease_ensemble")
def _(storage: SQLStorage, study_id: int) -> Verb:
    return lambda: storage.lease_ensemble(study_id, "w", 60)


@case("release_ensemble")
def _(storage: SQLStorage, study_id: int) -> Verb:
    storage.lease_ensemble(study_id, "w", 60)
    return lambda: storage.release_ensemble(study_id, "w")


@case("add_ensemble")
def _(storage: SQLStorage, study_id: int) -> Verb:
    storage.lease_ensemble(study_id, "w", 60)
    return lambda: storage.add_ensemble(study_id, "w", EnsembleRecord(0, [(0, 1.0)], 0.5))


# the test -----------------------------------------------------------------------------------------------


@pytest.fixture(params=["postgresql", "mysql"], scope="module")
def ledger(request: pytest.FixtureRequest, new_database: Callable[[str], str]) -> str:
    url = new_database(request.param)
    open_storage(url).close()
    return url


@pytest.fixture(scope="module")
def proxy(ledger: str) -> Iterator[TcpProxy]:
    parts = urlsplit(ledger)
    with TcpProxy((parts.hostname or "", parts.port or 0)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def storage(ledger: str, proxy: TcpProxy) -> Iterator[SQLStorage]:
    """Return a storage behind the network, on a clock that stands still."""
    parts = urlsplit(ledger)
    behind = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{proxy.port}"))
    clock = ManualClock()
    with closing(open_clocked(behind, lambda: clock.us)) as storage:
        assert isinstance(storage, SQLStorage)
        storage._db._outage_end_us = 0  # the server began on a clock of its own
        yield storage


def prepared(storage: SQLStorage, prepare: Case) -> Verb:
    """Empty the ledger, make a study, and prepare a case."""

    def empty(tx: Transaction) -> None:
        for table in reversed(schema.metadata.sorted_tables):
            if table is not schema.version:
                tx.run(text(f"DELETE FROM {table.name}"))

    storage._db.write(empty)
    return prepare(storage, storage.create_study(make_spec(retry={"error": 1})).id)


def contents(storage: SQLStorage) -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables, less the keys that a database gives."""

    def read(tx: Transaction) -> dict[str, list[dict[str, Any]]]:
        found = {}
        for table in schema.metadata.sorted_tables:
            rows = tx.run(select(*(c for c in table.c if c.name not in ("id", "study_id", "dataset_id"))))
            found[table.name] = sorted((dict(row._mapping) for row in rows), key=repr)
        return found

    return storage._db.read(read)


def without_keys(answer: Any) -> Any:
    """Return an answer less the key of its study."""
    if isinstance(answer, Claim):
        return replace(answer, study_id=0)
    return replace(answer, id=0) if hasattr(answer, "spec") else answer


def test_every_verb_has_a_case() -> None:
    verbs = {name for name, _ in inspect.getmembers(Storage, inspect.isfunction) if not name.startswith("_")}
    assert verbs - READS == {name.partition(",")[0] for name in CASES}


@pytest.mark.parametrize("reaches", [True, False], ids=["answer", "commit"])
@pytest.mark.parametrize("name", CASES)
def test_a_commit_without_an_answer(storage: SQLStorage, proxy: TcpProxy, name: str, reaches: bool) -> None:
    expected = without_keys(prepared(storage, CASES[name])())
    rows = contents(storage)
    call = prepared(storage, CASES[name])
    before = proxy.cuts
    (proxy.cut_after_commit if reaches else proxy.cut_before_commit)()
    assert without_keys(call()) == expected
    assert proxy.cuts == before + 1
    assert contents(storage) == rows


def test_what_others_do_meanwhile_stays(
    storage: SQLStorage, ledger: str, proxy: TcpProxy, until: Callable[..., None]
) -> None:
    call = prepared(storage, lambda storage, study_id: lambda: storage.set_state(study_id, StudyState.PAUSED))
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(call()))
    before = proxy.cuts
    proxy.cut_after_commit(refuse=True)
    caller.start()
    until(lambda: proxy.cuts > before)
    with closing(open_storage(ledger)) as other:
        (study,) = other.studies()
        assert other.set_state(study.id, StudyState.PENDING, who="somebody else").state is StudyState.PENDING
        proxy.heal()
        caller.join()
        assert [answer.state for answer in answers] == [StudyState.PAUSED]
        assert other.study("study").state is StudyState.PENDING
        assert [event.kind for event in other.events(study.id)] == ["create", "state", "state"]


def test_a_mark_waits_for_a_commit_that_is_under_way(
    storage: SQLStorage, ledger: str, until: Callable[..., None]
) -> None:
    prepared(storage, lambda storage, study_id: list)
    (study,) = storage.studies()
    marks: list[Any] = []
    written, finish = threading.Event(), threading.Event()

    def write(tx: Transaction) -> None:
        control.set_priority(tx, study.id, 7, "")
        marks.append(tx.mark)
        written.set()
        assert finish.wait(60)

    writer = threading.Thread(target=storage._db.write, args=(write,))
    writer.start()
    assert written.wait(60)
    found: list[bool] = []
    with closing(open_storage(ledger)) as other, closing(open_storage(ledger)) as third:
        asker = threading.Thread(target=lambda: found.append(other._db.write(marks[0])))
        asker.start()
        until(lambda: third._db.read(_waiting) > 0)
        assert found == []
        finish.set()
        writer.join()
        asker.join()
    assert found == [True]


def _waiting(tx: Transaction) -> int:
    """Return how many transactions wait for a lock."""
    if tx.connection.dialect.name == "postgresql":
        query = (
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
    else:
        query = "SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'"
    return int(tx.connection.exec_driver_sql(query).one()[-1])
