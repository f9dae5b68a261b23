"""Steering studies and trials over the network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelwright.records import StudyState, TrialState
from modelwright.space import Categorical, Float, Space
from modelwright.storage import MemoryStorage
from modelwright.storage.base import AdoptedTrial

STUDIES = "/api/v1/studies"
STUDY = "/api/v1/studies/study"
SPACE = Space(x=Float(0, 1), k=Categorical("a", "b")).to_json()


@pytest.fixture(autouse=True)
def study(call: Any) -> None:
    form = {"name": "study", "space": SPACE, "seed": 1, "optimizer": {"name": "random"}}
    assert call("POST", STUDIES, form, {"modelwright-user": "ana"}).status == 200


def test_verbs_may_be_repeated_and_answer_with_what_results(call: Any, ledger: MemoryStorage) -> None:
    for verb, state in (
        ("pause", "paused"),
        ("resume", "pending"),
        ("stop", "complete"),
        ("resume", "pending"),
    ):
        before = None
        for _ in range(2):
            answer = call("POST", f"{STUDY}/{verb}", {} if verb != "resume" else None)
            assert (answer.status, answer.json["state"]) == (200, state)
            assert before in (None, answer.json["revision"])
            before = answer.json["revision"]


def test_events_say_who_asked(call: Any, ledger: MemoryStorage) -> None:
    call("POST", f"{STUDY}/pause", {}, {"modelwright-user": "ana"})
    [*_, event] = call("GET", f"{STUDY}/events").json
    assert event["payload"]["who"] == "ana at 127.0.0.1"
    call("PUT", f"{STUDY}/priority", {"priority": 7})
    since = event["revision"]
    [event] = call("GET", f"{STUDY}/events?since={since}&limit=5").json
    assert event["payload"]["who"] == "http at 127.0.0.1"
    assert ledger.study("study").spec.priority == 7


def test_a_budget_changes_where_it_is_named(call: Any, ledger: MemoryStorage) -> None:
    assert call("PATCH", f"{STUDY}/budget", {"trials": 5, "cost": 2.5}).json["budget"] == {
        "trials": 5,
        "cost": 2.5,
    }
    call("PATCH", f"{STUDY}/budget", {"trials": None, "deadline_us": 2**50})
    budget = ledger.study("study").budget
    assert (budget.trials, budget.cost, budget.deadline_us) == (None, 2.5, 2**50)
    for wrong in ({"trials": -1}, {"parallel": 0}, {"cost": -1}, {"trials": 1.5}, {"trails": 5}):
        assert call("PATCH", f"{STUDY}/budget", wrong).status == 400


def test_trials_are_added_and_ended(call: Any, ledger: MemoryStorage) -> None:
    for _ in range(2):
        added = call("POST", f"{STUDY}/trials", {"params": {"x": 0.5, "k": "a"}, "request_id": "r"})
        assert added.json["number"] == 0
    assert call("POST", f"{STUDY}/trials", {"params": {"x": 5, "k": "a"}}).code == "E_POINT"
    like = call("POST", f"{STUDY}/trials/0/like", {"changes": {"x": 0.75}}, {"idempotency-key": "l"}).json
    again = call("POST", f"{STUDY}/trials/0/like", {"changes": {"x": 0.75}}, {"idempotency-key": "l"}).json
    assert (like["number"], like["params"], again["number"]) == (1, {"x": 0.75, "k": "a"}, 1)
    assert call("POST", f"{STUDY}/trials/1/retry").code == "E_STATE"
    killed = call("POST", f"{STUDY}/trials/1/kill").json
    assert (killed["state"], killed["failure"]["kind"]) == ("failed", "killed")
    assert call("POST", f"{STUDY}/trials/1/kill").json == killed
    retried = [call("POST", f"{STUDY}/trials/1/retry").json["number"] for _ in range(2)]
    assert retried == [2, 2]
    assert call("POST", f"{STUDY}/trials/9/kill").status in (400, 404)
    for name in ("number", "request_id", "self", "nothing"):
        assert call("POST", f"{STUDY}/trials/0/like", {"changes": {name: 1}}).status == 400


def test_pages_of_trials(call: Any, ledger: MemoryStorage) -> None:
    for i in range(7):
        ledger.enqueue(1, {"x": i / 8, "k": "a"}, {})
    ledger.kill(1, 2)
    numbers: list[int] = []
    page = call("GET", f"{STUDY}/trials?limit=3").json
    while page:
        numbers += [trial["number"] for trial in page]
        page = call("GET", f"{STUDY}/trials?limit=3&after={numbers[-1]}").json
    assert numbers == list(range(7))
    # One that comes from elsewhere, with its number, leaves a gap before it.
    ledger.adopt(1, [AdoptedTrial(ledger.trial(1, 0), 12)])
    assert [trial["number"] for trial in call("GET", f"{STUDY}/trials?after=5").json] == [6, 12]
    [killed] = call("GET", f"{STUDY}/trials?state=failed").json
    assert killed["number"] == 2
    assert TrialState(killed["state"]) is TrialState.FAILED


def test_a_result_that_no_objective_has_is_not_among_the_best(call: Any, ledger: MemoryStorage) -> None:
    """A ledger takes any number of values, from whoever writes to it directly."""
    ledger.enqueue(1, {"x": 0.5, "k": "a"}, {})
    good = ledger.trial(1, 0)
    for values in ((1.0,), (0.0, 2.0), ()):
        ledger.adopt(1, [AdoptedTrial(replace(good, state=TrialState.COMPLETE, values=values))])
    assert [trial["number"] for trial in call("GET", f"{STUDY}/best").json] == [1]


def test_the_space_changes(call: Any, ledger: MemoryStorage) -> None:
    wider = Space(x=Float(0, 2), k=Categorical("a", "b")).to_json()
    assert call("PUT", f"{STUDY}/space", {"space": wider}).json["space_version"] == 1
    assert call("PUT", f"{STUDY}/space", {"space": wider}).json["space_version"] == 1
    other = Space(y=Float(0, 2)).to_json()
    assert call("PUT", f"{STUDY}/space", {"space": other}).status == 400


def test_names_come_and_go(call: Any, ledger: MemoryStorage) -> None:
    assert call("PUT", f"{STUDY}/name", {"name": "näme & co"}).json["spec"]["name"] == "näme & co"
    path = f"{STUDIES}/n%C3%A4me%20%26%20co"
    assert call("GET", path).status == 200
    answer = call("GET", STUDY)
    assert (answer.status, answer.code) == (404, "E_STUDY_NOT_FOUND")
    assert call("DELETE", f"{path}?id=7").json == {"deleted": "näme & co"}
    assert call("GET", path).status == 200  # it is another one
    for _ in range(2):  # what is gone is gone
        assert call("DELETE", f"{path}?force=false&id=1").json == {"deleted": "näme & co"}
    assert call("DELETE", path).status == 404
    assert call("GET", STUDIES).json == []


def test_a_study_with_running_trials_is_deleted_by_force(call: Any) -> None:
    call("POST", f"{STUDY}/ask", {})
    assert call("DELETE", STUDY).code == "E_STATE"
    assert call("DELETE", f"{STUDY}?force=true").status == 200


def test_a_study_made_again_under_its_old_name_is_another(call: Any, ledger: MemoryStorage) -> None:
    call("POST", f"{STUDY}/ask", {})
    call("DELETE", f"{STUDY}?force=true")
    call(
        "POST",
        STUDIES,
        {"name": "study", "space": Space(z=Float(5, 6)).to_json(), "optimizer": {"name": "random"}},
    )
    assert set(call("POST", f"{STUDY}/ask", {}).json["trial"]["params"]) == {"z"}


def test_making_a_study_twice(call: Any, ledger: MemoryStorage) -> None:
    form = {"name": "new", "space": SPACE, "budget": {"trials": 3}}
    first, second = (call("POST", STUDIES, form, {"idempotency-key": "same"}) for _ in range(2))
    assert (first.status, first.json) == (200, second.json)
    answer = call("POST", STUDIES, form)
    assert (answer.status, answer.code) == (409, "E_STUDY_EXISTS")
    answer = call("POST", STUDIES, {**form, "optimizer": {"name": "random"}}, {"idempotency-key": "same"})
    assert (answer.status, answer.code) == (409, "E_SPEC_CHANGED")
    assert call("POST", STUDIES, {**form, "if_exists": "load"}).json["id"] == first.json["id"]
    assert ledger.study("new").state is StudyState.PENDING


def test_the_interface_describes_itself(call: Any) -> None:
    document = call("GET", "/api/v1/openapi.json").json
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    assert len(operations) > 60
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith((".", "?")), operation
        assert {"200", "400", "401", "404", "409"} <= set(operation["responses"])
    claim = document["paths"]["/api/v1/ledger/studies/{study_id}/claims"]["post"]
    assert claim["requestBody"]["content"]["application/json"]["schema"]["required"] == [
        "worker_id",
        "claim_id",
        "lease_s",
    ]
    assert document["security"] == [{"token": []}]
