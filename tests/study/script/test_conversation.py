"""The run's side of the files: answers in order, whatever the trial writes and however many write at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelwright.study import RunningTrial
from modelwright.study.script.conversation import Conversation
from modelwright.study.script.lines import MAX_LINE
from modelwright.study.script.paths import Paths

ARGUMENT: dict[str, Any] = {
    "study": "s",
    "number": 4,
    "params": {},
    "seed": 1,
    "attempt": 1,
    "fidelity": None,
    "objectives": [{"name": "value", "direction": "minimize"}],
    "folder": None,
    "resume_from": None,
    "own_process": False,
    "grace_s": 1.0,
}


class Scheduler:
    """A channel whose scheduler stops the trial after so many questions."""

    folder = None
    resources = None

    def __init__(self, stops_after: int) -> None:
        self.left = stops_after
        self.reports: list[float] = []

    def send(self, kind: str, payload: Any) -> None:
        assert kind == "report"
        self.reports.append(payload["step"])

    def ask(self, kind: str, payload: Any) -> Any:
        self.left -= 1
        return self.left < 0

    def receive(self) -> list[tuple[str, Any]]:
        return []


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path / "protocol")
    paths.begin({"number": 4})
    return paths


def talk(paths: Paths, stops_after: int) -> tuple[Conversation, Scheduler]:
    channel = Scheduler(stops_after)
    trial = RunningTrial(channel, ARGUMENT)  # type: ignore[arg-type]
    return Conversation(trial, paths, paths.folder), channel


@pytest.fixture
def patient(paths: Paths) -> Iterator[tuple[Conversation, Scheduler]]:
    conversation, channel = talk(paths, 10**9)
    yield conversation, channel
    conversation.close()


def say(paths: Paths, *requests: Any) -> None:
    with paths.requests.open("ab", buffering=0) as file:
        for request in requests:
            file.write(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")


def answers(paths: Paths) -> list[dict[str, Any]]:
    return [json.loads(line) for line in paths.answers.read_text().splitlines()]


def report(step: float, **more: Any) -> dict[str, Any]:
    return {"report": 1.0, "step": step, **more}


def test_the_stop_file_is_there_before_the_answer_that_says_so(paths: Paths) -> None:
    conversation, channel = talk(paths, 2)
    say(paths, report(1), report(2))
    assert conversation.turn()
    assert not paths.stop.exists()
    say(paths, report(3), report(4), b'{"report": 1.0, "st')  # it goes on writing meanwhile
    assert conversation.turn()
    assert paths.stop.exists()
    assert conversation.stopped
    assert [answer["stop"] for answer in answers(paths)] == [False, False, True, True]
    assert channel.reports == [1.0, 2.0, 3.0, 4.0]
    conversation.close()


def test_a_trial_that_was_asked_to_go_is_not_listened_to(
    paths: Paths, patient: tuple[Conversation, Scheduler]
) -> None:
    conversation, channel = patient
    conversation.leave()
    assert paths.stop.exists()
    say(paths, report(1, id="a"), {"attr": {"b": 1}})
    conversation.turn()
    assert answers(paths) == [{"id": "a", "ok": True, "stop": True}, {"ok": True, "stop": True}]
    assert channel.reports == []
    assert not conversation.stopped  # that is its scheduler's word


def test_garbage_is_answered_and_told_some_times_only(
    paths: Paths, patient: tuple[Conversation, Scheduler], capfd: pytest.CaptureFixture[str]
) -> None:
    conversation, channel = patient
    say(paths, *[b"garbage\n"] * 100, b"x" * (MAX_LINE + 1) + b"\n", b"\x00\xff\n", report(1))
    conversation.turn()
    found = answers(paths)
    assert len(found) == 103
    assert not any(answer["ok"] for answer in found[:-1])
    assert "more than" in found[100]["error"]
    assert found[-1] == {"ok": True, "stop": False}
    assert channel.reports == [1.0]
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 20
    assert told[0].startswith("modelwright: trial 4: ")
    assert told[-1].endswith("(further ones are not told)")


def test_requests_that_overwrite_each_other_are_told(
    paths: Paths, patient: tuple[Conversation, Scheduler], capfd: pytest.CaptureFixture[str]
) -> None:
    conversation, channel = patient
    say(paths, report(1), report(2))
    conversation.turn()
    paths.requests.write_text(json.dumps(report(3)) + "\n")
    conversation.turn()
    assert channel.reports == [1.0, 2.0, 3.0]
    assert "written anew" in capfd.readouterr().err


def test_each_of_many_writers_finds_its_answers(
    paths: Paths, patient: tuple[Conversation, Scheduler]
) -> None:
    conversation, channel = patient
    threads = [
        threading.Thread(target=lambda name=name: [say(paths, report(k, id=[name, k])) for k in range(50)])
        for name in range(4)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        conversation.turn()
    conversation.turn()
    ids = [tuple(answer["id"]) for answer in answers(paths)]
    assert sorted(ids) == [(name, k) for name in range(4) for k in range(50)]
    for name in range(4):  # in the order of each writer's requests
        assert [k for writer, k in ids if writer == name] == list(range(50))
    assert len(channel.reports) == 200
