from __future__ import annotations

import threading

import pytest

from modelwright.server.repeats import Repeats


def test_one_key_has_one_effect() -> None:
    repeats, done = Repeats(), []

    def work() -> str:
        done.append(1)
        return f"answer {len(done)}"

    assert [repeats.once("a", work) for _ in range(3)] == ["answer 1"] * 3
    assert repeats.once("b", work) == "answer 2"
    assert [repeats.once("", work) for _ in range(2)] == ["answer 3", "answer 4"]


def test_a_repeat_waits_for_the_first() -> None:
    repeats, begun, may_end = Repeats(), threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        assert may_end.wait(60)
        return "first"

    def never() -> str:
        raise AssertionError("the repeat was carried out")

    answers: list[str] = []
    first = threading.Thread(target=lambda: answers.append(repeats.once("a", work)))
    first.start()
    assert begun.wait(60)
    second = threading.Thread(target=lambda: answers.append(repeats.once("a", never)))
    second.start()
    may_end.set()
    first.join()
    second.join()
    assert answers == ["first"] * 2


def test_what_was_refused_is_done_when_it_is_repeated() -> None:
    repeats = Repeats()

    def refused() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        repeats.once("a", refused)
    assert repeats.once("a", lambda: "yes") == "yes"


def test_the_oldest_are_forgotten() -> None:
    repeats = Repeats(most=2)
    for key in "abc":
        repeats.once(key, lambda key=key: key)  # type: ignore[misc]
    assert repeats.once("a", lambda: "again") == "again"
    assert repeats.once("c", lambda: "again") == "c"
    repeats = Repeats(most_text=10)
    repeats.once("a", lambda: "x" * 8)
    repeats.once("b", lambda: "y" * 8)
    assert repeats.once("a", lambda: "again") == "again"
    assert repeats.once("c", lambda: "z" * 20) == "z" * 20  # kept for nobody
