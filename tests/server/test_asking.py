"""Ask and tell over the network, as a program in any language would."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from modelwright.records import FailureKind, StudyState, TrialState
from modelwright.server import Limits
from modelwright.space import Categorical, Float, Int, Space
from modelwright.storage import MemoryStorage

STUDIES = "/api/v1/studies"
SPACE = Space(x=Float(0, 1), k=Categorical("a", "b")).to_json()


def made(call: Any, name: str = "study", **more: Any) -> Any:
    """Make a study."""
    form = {"name": name, "space": SPACE, "seed": 1, "optimizer": {"name": "random"}, **more}
    answer = call("POST", STUDIES, form)
    assert answer.status == 200, answer.body
    return answer.json


def asked(call: Any, key: str | None = None, name: str = "study", **body: Any) -> Any:
    """Ask for a trial."""
    answer = call("POST", f"{STUDIES}/{name}/ask", body, {"idempotency-key": key})
    assert answer.status == 200, answer.body
    return answer.json


def told(call: Any, number: int, key: str | None = None, **body: Any) -> Any:
    """Tell a result; return the answer as it is."""
    return call("POST", f"{STUDIES}/study/trials/{number}/tell", body, {"idempotency-key": key})


def test_from_nothing_to_the_best(call: Any, ledger: MemoryStorage) -> None:
    shown = made(call, budget={"trials": 5}, user_attrs={"by": "me"}, description="words")
    assert (shown["state"], shown["budget"]["trials"], shown["user_attrs"]) == ("pending", 5, {"by": "me"})
    for number in range(5):
        trial = asked(call)["trial"]
        assert trial["number"] == number
        assert 0 <= trial["params"]["x"] <= 1
        answer = told(call, number, fence=trial["fence"], values=trial["params"]["x"], duration_s=2.5)
        assert (answer.json["answer"], answer.json["trial"]["duration_s"]) == ("accepted", 2.5)
    nothing = asked(call)
    assert (nothing["trial"], nothing["reason"], nothing["over"]) == (None, "spent", True)
    assert ledger.study("study").state is StudyState.COMPLETE
    [best] = call("GET", f"{STUDIES}/study/best").json
    assert best["values"][0] == min(trial.values[0] for trial in ledger.trials(1))
    shown = call("GET", f"{STUDIES}/study").json
    assert (shown["counts"], shown["state"]) == ({"complete": 5}, "complete")


def test_the_same_study_gives_the_same_trials(call: Any) -> None:
    for name in ("one", "two"):
        made(call, name)
    one, two = (asked(call, name=name)["trial"] for name in ("one", "two"))
    assert (one["params"], one["seed"]) == (two["params"], two["seed"])


def test_a_repeated_ask_gets_the_same_trial(call: Any, ledger: MemoryStorage) -> None:
    made(call)
    first = asked(call, "key", worker="me", lease_s=30)
    assert asked(call, "key", worker="me", lease_s=30) == first
    assert asked(call, "other")["trial"]["number"] == 1
    assert ledger.trial(1, 0).worker == "http me"


def test_a_repeated_tell_counts_once(call: Any, ledger: MemoryStorage) -> None:
    made(call)
    asked(call)
    assert told(call, 0, "r", fence=1, values=[0.25]).json["answer"] == "accepted"
    assert told(call, 0, "r", fence=1, values=[0.25]).json["answer"] == "duplicate"
    assert told(call, 0, fence=1, values=0.5, result_id="r").json["answer"] == "duplicate"
    answer = told(call, 0, "other", fence=1, values=0.5)
    assert (answer.status, answer.code) == (409, "E_STALE")
    assert told(call, 0, "a", fence=1, values=0.5, result_id="b").status == 400
    assert ledger.trial(1, 0).values == (0.25,)


@pytest.mark.parametrize(
    ("body", "state", "kind"),
    [
        ({"values": "text"}, TrialState.FAILED, FailureKind.INVALID),
        ({"values": {"$float": "nan"}}, TrialState.FAILED, FailureKind.NAN),
        ({"values": [1, 2]}, TrialState.FAILED, FailureKind.INVALID),
        ({"values": {"value": 0.5}}, TrialState.COMPLETE, None),
        ({}, TrialState.FAILED, FailureKind.INVALID),
        ({"state": "failed", "kind": "memory", "message": "4 GB"}, TrialState.FAILED, FailureKind.MEMORY),
        ({"state": "pruned"}, TrialState.PRUNED, None),
    ],
)
def test_how_a_trial_ends(
    call: Any, ledger: MemoryStorage, body: Any, state: TrialState, kind: FailureKind | None
) -> None:
    made(call)
    asked(call)
    reports = [{"step": 1, "values": {"value": 3.0}}, {"step": 2, "values": {"value": 2.0}}]
    report = call("POST", f"{STUDIES}/study/trials/0/report", {"fence": 1, "reports": reports})
    assert report.json == {"accepted": True}
    assert told(call, 0, fence=1, user_attrs={"a": 1}, metrics={"cv_mean": 0.5}, **body).status == 200
    trial = ledger.trial(1, 0)
    assert trial.state is state
    assert (trial.failure.kind if trial.failure else None) is kind
    assert trial.user_attrs == {"a": 1}
    if state is TrialState.PRUNED:
        assert trial.values == (2.0,)
    shown = call("GET", f"{STUDIES}/study/trials/0").json
    assert [item["step"] for item in shown["reports"]] == [1, 2]
    assert len(shown["attempt_list"]) == 1


def test_a_heartbeat_says_what_is_wanted(call: Any, ledger: MemoryStorage) -> None:
    made(call)
    asked(call)
    path = f"{STUDIES}/study/trials/0/heartbeat"
    assert call("POST", path, {"fence": 1}).json == {"wish": "go_on", "state": "running"}
    call("POST", f"{STUDIES}/study/pause", {"now": True})
    assert call("POST", path, {"fence": 1}).json == {"wish": "give_back", "state": "paused"}
    assert call("POST", f"{STUDIES}/study/trials/0/release", {"fence": 1}).json == {"accepted": True}
    assert ledger.trial(1, 0).attempts == 0
    assert asked(call)["reason"] == "paused"
    call("POST", f"{STUDIES}/study/resume")
    assert asked(call)["trial"]["fence"] == 2
    call("POST", f"{STUDIES}/study/trials/0/kill")
    assert call("POST", path, {"fence": 2}).json["wish"] == "stop"
    assert call("POST", path, {"fence": 1}).json["wish"] == "lost"
    answer = call("POST", f"{STUDIES}/study/trials/0/report", {"fence": 1, "reports": []})
    assert answer.status == 200
    for lease_s in (0, -1, 10**9):
        assert call("POST", path, {"fence": 2, "lease_s": lease_s}).status == 400


def test_a_finite_space_ends(call: Any, ledger: MemoryStorage) -> None:
    space = Space(n=Int(1, 3)).to_json()
    made(call, space=space, deterministic=True, optimizer={"name": "grid"})
    seen = set()
    for number in range(3):
        trial = asked(call)["trial"]
        seen.add(trial["params"]["n"])
        told(call, number, fence=1, values=1.0)
    assert seen == {1, 2, 3}
    nothing = asked(call)
    assert (nothing["reason"], nothing["over"]) == ("closed", True)
    assert asked(call)["reason"] in ("closed", "complete")


def test_a_study_in_lock_step_waits(call: Any) -> None:
    made(call, reproducible=True)
    asked(call)
    assert asked(call)["reason"] == "wait"
    told(call, 0, fence=1, values=1.0)
    assert asked(call)["trial"]["number"] == 1


def test_code_of_users_is_not_loaded(call: Any, ledger: MemoryStorage) -> None:
    from modelwright.records import Component
    from modelwright.testing.storage import make_spec

    ledger.create_study(make_spec("foreign", optimizer=Component("os:system")))
    answer = call("POST", f"{STUDIES}/foreign/ask", {})
    assert (answer.status, answer.code) == (400, "E_FOREIGN_CODE")
    assert ledger.study("foreign").issued == 0


def test_a_slow_optimizer_keeps_nobody_waiting_but_those_who_ask(
    call: Any, ledger: MemoryStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelwright.study.proposing import Proposer

    made(call)
    asked(call)
    thinks, may_end = threading.Event(), threading.Event()
    real = Proposer.propose

    def propose(self: Proposer, claim: Any) -> Any:
        thinks.set()
        assert may_end.wait(60)
        return real(self, claim)

    monkeypatch.setattr(Proposer, "propose", propose)
    # More of them than there are threads for calls of the ledger.
    asking = [threading.Thread(target=asked, args=(call,)) for _ in range(Limits().threads + 5)]
    for thread in asking:
        thread.start()
    assert thinks.wait(60)
    assert call("POST", f"{STUDIES}/study/trials/0/heartbeat", {"fence": 1}).json["wish"] == "go_on"
    assert told(call, 0, fence=1, values=1.0).json["answer"] == "accepted"
    assert call("GET", "/api/v1/ledger/studies").status == 200
    assert call("GET", f"{STUDIES}/study").json["state"] == "running"
    assert call("PUT", f"{STUDIES}/study/priority", {"priority": 3}).json["spec"]["priority"] == 3
    assert call("POST", f"{STUDIES}/study/trials/0/kill").json["number"] == 0
    may_end.set()
    for thread in asking:
        thread.join()
    assert len(ledger.trials(1)) == len(asking) + 1


def test_many_ask_at_once(address: tuple[str, int], token: str, ledger: MemoryStorage) -> None:
    import json
    from http.client import HTTPConnection

    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(connection: HTTPConnection, path: str, form: Any) -> Any:
        connection.request("POST", STUDIES + path, json.dumps(form), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body)

    first = HTTPConnection(*address)
    form = {"name": "study", "space": SPACE, "seed": 1, "budget": {"trials": 40}}
    post(first, "", form | {"optimizer": {"name": "tpe"}})
    first.close()
    failed: list[BaseException] = []

    def work(name: str) -> None:
        connection = HTTPConnection(*address)
        try:
            while (asked := post(connection, "/study/ask", {"worker": name}))["trial"] is not None:
                trial = asked["trial"]
                place = f"/study/trials/{trial['number']}/tell"
                post(connection, place, {"fence": trial["fence"], "values": trial["params"]["x"]})
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(f"w{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    trials = ledger.trials(1)
    assert [trial.number for trial in trials] == list(range(40))
    assert all(trial.state is TrialState.COMPLETE for trial in trials)
    assert len({trial.params["x"] for trial in trials if trial.params}) == 40
