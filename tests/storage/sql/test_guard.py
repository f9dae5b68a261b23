"""The watch over a connection."""

from __future__ import annotations

import threading
from collections.abc import Callable

from modelwright.storage.sql.guard import Guard


class Calls:
    """What a guard asked for."""

    def __init__(self, *, closes: bool = True) -> None:
        self.cut = threading.Event()
        self.given_back = 0
        self.closes = closes

    def give_back(self) -> bool:
        self.given_back += 1
        return self.closes

    def guard(self, silence_s: float, idle_s: float) -> Guard:
        return Guard(silence_s=silence_s, idle_s=idle_s, cut=self.cut.set, give_back=self.give_back)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "modelwright-connection"]


def test_a_silent_statement_is_cut() -> None:
    calls = Calls()
    guard = calls.guard(silence_s=0.1, idle_s=0.2)
    guard.start()
    guard.asks()
    assert calls.cut.wait(30)
    assert calls.given_back == 0  # it is not idle while it waits
    guard.used()


def test_an_answered_statement_is_left_alone(until: Callable[..., None]) -> None:
    calls = Calls()
    guard = calls.guard(silence_s=0.1, idle_s=0.3)
    guard.start()
    guard.asks()
    guard.answered()
    assert guard.asked_at is None
    until(lambda: calls.given_back == 1)
    assert not calls.cut.is_set()


def test_the_thread_ends_with_the_connection_and_comes_back_with_the_next(until: Callable[..., None]) -> None:
    calls = Calls(closes=False)
    guard = calls.guard(silence_s=30, idle_s=0.05)
    before = threads()
    guard.start()
    guard.start()
    (mine,) = [thread for thread in threads() if thread not in before]
    assert mine.daemon
    until(lambda: calls.given_back >= 2)  # somebody used it just then, so it is tried again
    calls.closes = True
    until(lambda: not mine.is_alive())
    count = calls.given_back
    guard.start()
    until(lambda: calls.given_back > count)
