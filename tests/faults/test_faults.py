"""The faults themselves: they come when they should, and nothing else changes."""

from __future__ import annotations

import pytest

from modelwright.errors import InputError
from modelwright.storage import Claim, open_storage
from modelwright.testing.faults import Fault, FaultyStorage, driver_error, parse_fault
from modelwright.testing.storage import make_spec


def test_a_storage_with_faults_answers_as_the_one_below() -> None:
    passed: list[str] = []
    faults = [
        Fault("claim", "call", lambda: passed.append("call"), first=2),
        Fault("claim", "answer", lambda: passed.append("answer"), first=1, every=2),
    ]
    storage = FaultyStorage(open_storage(), faults)
    study = storage.create_study(make_spec())
    claims = [storage.claim(study.id, "w", f"c{i}", 60) for i in range(4)]
    assert [claim.number for claim in claims if isinstance(claim, Claim)] == [0, 1, 2, 3]
    assert passed == ["answer", "call", "answer"]  # the first and the third answer; the second call
    assert storage.url == "memory://"
    storage.close()


def test_an_error_undoes_what_was_not_committed(ledger: object) -> None:
    fault = Fault("create_study", "commit", "busy")
    storage = FaultyStorage(ledger.storage, [fault])  # type: ignore[attr-defined]
    assert storage.create_study(make_spec()).spec.name == "study"
    assert fault.passed >= 2
    assert [event.kind for event in storage.events(1)] == ["create"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "claim",
        "claim:commit",
        "claim:nowhere:die",
        "claim:commit:burst",
        "claim:call:busy",
        "claim:call:die@x",
    ],
)
def test_texts_that_are_no_fault(text: str) -> None:
    with pytest.raises(InputError, match="expected"):
        parse_fault(text)


@pytest.mark.parametrize(
    ("url", "kind", "code"),
    [
        ("sqlite:///x.db", "busy", "sqlite_errorcode"),
        ("postgresql://h/d", "deadlock", "sqlstate"),
        ("mysql://h/d", "deadlock", "args"),
    ],
)
def test_errors_are_those_of_the_driver(url: str, kind: str, code: str) -> None:
    pytest.importorskip({"p": "psycopg", "m": "pymysql", "s": "sqlite3"}[url[0]])
    assert getattr(driver_error(url, kind), code)
