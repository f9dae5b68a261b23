"""What clients get wrong, by mistake or not: each a named error below 500, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from modelwright.server import Limits
from modelwright.server import ledger as ledger_module
from modelwright.storage import MemoryStorage
from modelwright.storage.http.routes import LEDGER, routes
from modelwright.testing.storage import make_spec

STUDIES = "/api/v1/studies"
ASK = "/api/v1/studies/study/ask"


@pytest.fixture(autouse=True)
def study(ledger: MemoryStorage) -> int:
    return ledger.create_study(make_spec()).id


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_another_content_type(call: Any, kind: str | None) -> None:
    answer = call("POST", STUDIES, {"name": "x"}, {"content-type": kind})
    assert (answer.status, answer.code) == (415, "E_CONTENT_TYPE")
    assert call("POST", STUDIES, {"a": 1}, {"content-encoding": "gzip"}).status == 415


@pytest.mark.parametrize(
    "raw",
    [
        b" ",
        b"{",
        b"nope",
        b"[]",
        b'"text"',
        b"7",
        b"null",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b'{"a": "\x00"}',
    ],
)
def test_bodies_that_are_no_json_object(call: Any, raw: bytes) -> None:
    for path in (STUDIES, ASK, LEDGER + "/studies", LEDGER + "/studies/1/claims"):
        answer = call("POST", path, raw=raw)
        assert (answer.status, answer.code) == (400, "E_JSON"), path


def test_an_empty_body(call: Any) -> None:
    assert call("POST", STUDIES, None, {"content-type": "application/json"}).status == 400
    assert call("POST", LEDGER + "/studies", None, {"content-length": "0"}).status == 415


@pytest.mark.parametrize(
    ("form", "place"),
    [
        ({}, "'name' is missing"),
        ({"name": 7, "space": {}}, ".name: expected text"),
        ({"name": "x", "space": {"parameters": 3}}, "parameters"),
        ({"name": "x", "space": {}, "seed": "1"}, ".seed: expected a whole number"),
        (
            {"name": "x", "space": {}, "objectives": [{"name": "a", "direction": "up"}]},
            "'minimize' or 'maximize'",
        ),
        ({"name": "x", "space": {}, "objectives": [{}, {"nam": 1}]}, "objectives[1]"),
        ({"name": "x", "space": {}, "budget": {"trials": -1}}, "trials"),
        ({"name": "x", "space": {}, "optimizer": {"name": "evil.py:Class"}}, "does not load"),
        ({"name": "x", "space": {}, "optimizer": {"name": "os:system"}}, "does not load"),
        ({"name": "x", "space": {}, "scheduler": {"name": "a:b"}}, "does not load"),
        ({"name": "x/y", "space": {}}, "study name"),
        ({"name": "x", "space": {}, "retry": {"lost": 1}}, "retry"),
        ({"name": "x", "space": {}, "nmae": 1}, "unknown key 'nmae'. Did you mean 'name'"),
        ({"name": "x", "space": {}, "priority": 2**70}, "64 bits"),
    ],
)
def test_studies_that_cannot_be(call: Any, ledger: MemoryStorage, form: Any, place: str) -> None:
    answer = call("POST", STUDIES, form)
    assert answer.status == 400, answer.body
    assert place in answer.json["message"]
    assert [record.spec.name for record in ledger.studies()] == ["study"]


@pytest.mark.parametrize(
    "text",
    ["-1", "1.0", "1e3", "٣", "9" * 30, "9" * 5000, "..", "%2e%2e", "%252e", "nan", "", "0x1", "+1", " 1"],
)
def test_ids_that_cannot_be(call: Any, text: str) -> None:
    from urllib.parse import quote

    shown = text if "%" in text else quote(text)
    for path in (
        f"{LEDGER}/studies/{shown}/trials",
        f"{LEDGER}/studies/1/trials/{shown}",
        f"{LEDGER}/datasets/{shown}",
        f"{STUDIES}/study/trials/{shown}",
        f"{STUDIES}/{shown}/events",
    ):
        assert call("GET", path).status in (404, 400), path


def test_an_id_of_another_study(call: Any, ledger: MemoryStorage) -> None:
    other = ledger.create_study(make_spec("other")).id
    claim = ledger.claim(other, "w", "c", 60)
    form = routes()["finish"].arguments["claim"].form.write(claim)
    body = {"claim": form, "outcome": {"state": "complete", "values": [1.0]}, "result_id": "r"}
    answer = call("POST", f"{LEDGER}/studies/1/trials/0/outcome", body)
    assert (answer.status, answer.code) == (400, "E_FORM")
    assert call("POST", f"{LEDGER}/studies/{other}/trials/1/outcome", body).status == 400
    assert call("POST", f"{LEDGER}/studies/{other}/trials/0/outcome", body).json == "accepted"


@pytest.mark.parametrize("text", ["x" * 129, "a\0b", "a\nb"])
def test_names_that_no_database_could_look_for(call: Any, text: str) -> None:
    claim = {"worker_id": "w", "claim_id": "c", "lease_s": 60}
    for form in ({**claim, "worker_id": text}, {**claim, "claim_id": text}):
        answer = call("POST", f"{LEDGER}/studies/1/claims", form)
        assert (answer.status, answer.code) == (400, "E_FORM")
    assert call("POST", f"{LEDGER}/workers/retired", {"worker_id": text}).status == 400


@pytest.mark.parametrize("lease_s", [0, -1, 1e9, 1e300, {"$float": "inf"}, {"$float": "nan"}])
def test_leases_that_cannot_be(call: Any, lease_s: Any) -> None:
    for path, form in (
        (f"{LEDGER}/studies/1/claims", {"worker_id": "w", "claim_id": "c"}),
        (f"{LEDGER}/studies/1/ensemble-lease", {"worker_id": "w"}),
        (f"{LEDGER}/leases", {"claims": []}),
        (f"{STUDIES}/study/ask", {}),
    ):
        answer = call("POST", path, {**form, "lease_s": lease_s})
        assert (answer.status, answer.code) == (400, "E_FORM"), (path, answer.body)


@pytest.mark.parametrize("limit", ["0", "-1", "1000000000", "1e3", "x", ""])
def test_sizes_of_pages(call: Any, limit: str) -> None:
    assert call("GET", f"{LEDGER}/studies/1/events?limit={limit}").status == 400
    assert call("GET", f"{STUDIES}/study/events?limit={limit}").status == 400
    assert call("GET", f"{STUDIES}/study/trials?limit={limit}").status == 400


@pytest.mark.parametrize(
    "query", ["sort=evil", "states=nope", "states=complete&states=failed", "=", "states=%ff", "&&", "stat"]
)
def test_fields_that_do_not_exist(call: Any, query: str) -> None:
    assert call("GET", f"{LEDGER}/studies/1/trials?{query}").status == 400
    assert call("GET", f"{STUDIES}/study/trials?{query}").status == 400


def test_the_size_of_each_body_is_one_of_a_request() -> None:
    """A method that was given another name would be left with the smallest."""
    assert set(routes()) >= ledger_module._BATCHES | ledger_module._LARGE


@pytest.mark.parametrize("limits", [Limits(body=1000, large_body=1000, batch_body=1000)])
def test_bodies_that_are_too_long(call: Any) -> None:
    for headers in ({}, {"content-length": "10"}, {"content-length": None, "transfer-encoding": "chunked"}):
        answer = call("POST", STUDIES, {"name": "x" * 2000}, headers)
        assert (answer.status, answer.code) == (413, "E_TOO_LARGE")
    for length in ("-1", "1e3", "9" * 30, "٣".encode().decode("latin-1")):
        assert call("POST", STUDIES, {}, {"content-length": length}).status in (400, 413)


def test_a_failure_of_ours_is_a_number_to_look_for(
    call: Any, ledger: MemoryStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(ledger, "studies", broken)
    answer = call("GET", LEDGER + "/studies")
    assert (answer.status, answer.code) == (500, "E_INTERNAL")
    assert "secret words" not in answer.body.decode()
    assert "secret words" in caplog.text
