"""Somebody who presses every button of a study."""

from __future__ import annotations

import random
from collections.abc import Callable

from modelwright.records import StudyState
from modelwright.storage import Storage


class Person:
    """Steers the study ``study`` of a storage as `rng` says."""

    def __init__(self, storage: Storage, study_id: int, rng: random.Random) -> None:
        self.storage = storage
        self.study_id = study_id
        self.rng = rng
        self.enqueued = 0

    def act(self) -> str:
        """Press one button, and return its name."""
        verbs: list[Callable[[], object]] = [
            self.pause, self.pause_now, self.resume, self.kill, self.kill, self.enqueue, self.again,
            self.budget, self.parallel, self.priority,
        ]  # fmt: skip
        verb = self.rng.choice(verbs)
        verb()
        return verb.__name__

    def pause(self, *, now: bool = False) -> None:
        state = self.storage.study("study").state
        if state is not StudyState.COMPLETE:  # workers end it when its budget is met
            paused = StudyState.PAUSED
            self.storage.set_state(self.study_id, paused, expected=state, abort=now, who="a person")

    def pause_now(self) -> None:
        self.pause(now=True)

    def resume(self) -> None:
        self.storage.set_state(self.study_id, StudyState.PENDING, expected=StudyState.PAUSED, who="a person")
        self.storage.set_state(self.study_id, StudyState.RUNNING, who="a person")

    def kill(self) -> None:
        issued = self.storage.study("study").issued
        if issued:
            try:
                self.storage.kill(self.study_id, self.rng.randrange(issued), who="a person")
            except KeyError:
                pass  # its number has been given back meanwhile

    def enqueue(self) -> None:
        self.enqueued += 1
        request = f"r{self.enqueued}"
        params = {"x": self.rng.random()}
        first = self.storage.enqueue(self.study_id, params, {}, request_id=request, who="a person")
        assert first == self.storage.enqueue(self.study_id, params, {}, request_id=request)

    def again(self) -> None:
        state = self.storage.study("study").state
        self.storage.set_state(self.study_id, state, expected=state, who="a person")

    def budget(self) -> None:
        self.storage.set_budget(self.study_id, self.rng.randrange(50, 400), who="a person")

    def parallel(self) -> None:
        self.storage.set_budget(self.study_id, parallel=self.rng.choice([None, 1, 3]), who="a person")

    def priority(self) -> None:
        self.storage.set_priority(self.study_id, self.rng.randrange(9), who="a person")
