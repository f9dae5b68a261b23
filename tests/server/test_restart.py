"""A server that is killed between doing something and saying so: whoever asked asks its successor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tcp_proxy import TcpProxy

from modelwright.errors import StudyExistsError, StudyNotFoundError
from modelwright.records import Proposal, Provenance, Trial, TrialState
from modelwright.storage import Claim, Finish, Storage, open_existing
from modelwright.storage.base import AdoptedTrial
from modelwright.storage.http import HTTPStorage, open_http
from modelwright.testing.audit import audit
from modelwright.testing.storage import complete, make_spec


class MortalServer:
    """A server in a process of its own, behind a proxy that can hold back its answers.

    Attributes
    ----------
    ledger : Storage
        The database behind it, read from here.
    """

    def __init__(self, start: Callable[..., Any], folder: Path, database: str, until: Any) -> None:
        self._start = start
        self._database = database
        self._token = folder / "served.token"
        self._until = until
        self._process, port = self._started(0)
        self._port = port
        self.proxy = TcpProxy(("127.0.0.1", port))
        self.ledger: Storage = open_existing(database)
        self._armed = False

    def _started(self, port: int) -> tuple[Any, int]:
        process = self._start(
            *("-m", "modelwright", "serve", "--storage", self._database),
            *("--port", port, "--token-file", self._token),
        )
        address = process.stdout.readline().split()[-1]
        return process, int(address.rpartition(":")[2])

    def client(self) -> HTTPStorage:
        """Return a storage that speaks to the server through the proxy."""
        storage = open_http(f"http://127.0.0.1:{self.proxy.port}", token=self._token.read_text().strip())
        real = storage.transport.request

        def request(verb: str, *arguments: Any, **named: Any) -> Any:
            if self._armed and verb != "GET":
                self._armed = False
                self.proxy.go_silent("down")
            return real(verb, *arguments, **named)

        storage.transport.request = request  # type: ignore[method-assign]
        return storage

    def survive(self, call: Callable[[], Any], effect: Callable[[], object]) -> Any:
        """Return what `call` does, though the server dies once that has an effect, and before it says so."""
        result: list[Any] = []
        self._armed = True
        thread = threading.Thread(target=lambda: result.append(_outcome(call)))
        thread.start()
        self._until(effect)
        self._process.kill()
        self._process.wait()
        self._process, _ = self._started(self._port)
        self.proxy.reset_all()
        self.proxy.heal()
        thread.join()
        if isinstance(result[0], Exception):
            raise result[0]
        return result[0]

    def close(self) -> None:
        """End all of it."""
        self.proxy.close()
        self.ledger.close()


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def server(
    request: pytest.FixtureRequest,
    start_python: Callable[..., Any],
    new_database: Callable[[str], str],
    tmp_path: Path,
    until: Any,
) -> Iterator[MortalServer]:
    """Return a server of a ledger in a file, or in a database."""
    file = f"sqlite:///{tmp_path / 'hub.db'}"
    database = file if request.param == "sqlite" else new_database(request.param)
    server = MortalServer(start_python, tmp_path, database, until)
    yield server
    server.close()


def test_every_request_has_one_effect(server: MortalServer) -> None:
    ledger = server.ledger
    with closing(server.client()) as storage:
        spec = make_spec(seed=3, retry={"error": 1})
        study = server.survive(lambda: storage.create_study(spec), ledger.studies)
        assert [record.id for record in ledger.studies()] == [study.id]
        assert study.spec == spec
        with pytest.raises(StudyExistsError):
            storage.create_study(spec)

        def numbers() -> list[int]:
            return [trial.number for trial in ledger.trials(study.id)]

        assert server.survive(lambda: storage.enqueue(study.id, {"x": 0.5}, {}), numbers) == 0
        assert storage.enqueue(study.id, {"x": 0.5}, {}) == 1

        claim = server.survive(
            lambda: storage.claim(study.id, "w", "c", 60), lambda: ledger.trial(study.id, 0).fence
        )
        assert isinstance(claim, Claim)
        finish = server.survive(
            lambda: storage.finish(claim, complete(), "r"),
            lambda: ledger.trial(study.id, 0).state is TrialState.COMPLETE,
        )
        assert finish in (Finish.ACCEPTED, Finish.DUPLICATE)

        twins = [AdoptedTrial(ledger.trial(study.id, 0))] * 2
        assert server.survive(lambda: storage.adopt(study.id, twins), lambda: len(numbers()) > 2) == [2, 3]
        assert numbers() == [0, 1, 2, 3]
        assert storage.adopt(study.id, twins) == [4, 5]
        audit(ledger, study.id)

        server.survive(lambda: storage.delete_study("study"), lambda: not ledger.studies())
        with pytest.raises(StudyNotFoundError):
            storage.delete_study("study")


def test_a_study_that_was_made_anew_meanwhile_is_not_deleted(server: MortalServer) -> None:
    ledger = server.ledger
    with closing(server.client()) as storage:
        storage.create_study(make_spec())

        def made_anew() -> bool:
            if not ledger.studies():
                ledger.create_study(make_spec(seed=7))
            return [record.spec.seed for record in ledger.studies()] == [7]

        server.survive(lambda: storage.delete_study("study"), made_anew)
        assert [record.spec.seed for record in ledger.studies()] == [7]


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_a_study_that_moved_on_meanwhile_is_still_ours(server: MortalServer) -> None:
    """A worker may have taken it up, and somebody changed its priority, before its maker hears of it."""
    ledger = server.ledger
    with closing(server.client()) as storage:

        def moved_on() -> bool:
            for record in ledger.studies():
                claim = ledger.claim(record.id, "w", "c", 60)
                assert isinstance(claim, Claim)
                ledger.propose(claim, Proposal({"x": 0.5}), Provenance(), 0)
                ledger.set_priority(record.id, 9)
                return True
            return False

        study = server.survive(lambda: storage.create_study(make_spec(seed=1)), moved_on)
        assert (study.issued, study.spec.priority) == (1, 9)


@pytest.mark.parametrize("server", ["sqlite"], indirect=True)
def test_trials_of_others_are_not_taken_for_ours(server: MortalServer) -> None:
    """What others bring in at the same moment is told apart by what it is."""
    ledger = server.ledger
    with closing(server.client()) as storage:
        study = storage.create_study(make_spec())
        ours = [AdoptedTrial(_finished(x)) for x in (0.1, 0.2)]
        theirs = [AdoptedTrial(_finished(x)) for x in (0.1, 0.3)]

        def theirs_came_too() -> bool:
            if len(ledger.trials(study.id)) == 2:
                ledger.adopt(study.id, theirs)
            return len(ledger.trials(study.id)) == 4

        assert server.survive(lambda: storage.adopt(study.id, ours), theirs_came_too) == [0, 1]
        assert len(ledger.trials(study.id)) == 4


def _finished(x: float) -> Trial:
    return Trial(0, TrialState.COMPLETE, {"x": x}, (x,), metrics={"nan": float("nan")})
