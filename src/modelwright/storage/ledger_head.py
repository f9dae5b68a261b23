"""A study's own row in memory: its state, its budget, its space, and its events.

Every move ends in `_write`, which raises the revision and leaves the event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from modelwright.records import Budget, StudySpec, StudyState
from modelwright.storage.answers import Event, Keep, StudyRecord
from modelwright.storage.event_log import EventLog
from modelwright.storage.plain import clean_text, merged, plain

__all__ = ["LedgerClock", "LedgerHead", "signed"]

_ENDED = (StudyState.COMPLETE, StudyState.FAILED)


class LedgerClock(Protocol):
    """The two clocks of a ledger, in microseconds."""

    def tick(self) -> int:
        """Return the moment on the clock of leases and durations, which only grows."""

    def wall(self) -> int:
        """Return the time since 1970, UTC."""


def signed(who: str) -> dict[str, Any]:
    """Return the part of an event's payload that says who did it."""
    return {"who": clean_text(who)} if who else {}


@dataclass(slots=True)
class _Moments:
    """When things happened to the study."""

    created_us: int
    started_us: int | None = None
    ended_us: int | None = None
    began: int | None = None  # `started_us` on the clock of the leases


class LedgerHead:
    """The row of a study and its events.

    Parameters
    ----------
    study_id : int
        Key in its storage.
    spec : StudySpec
        What is fixed about it.
    space : Mapping
        JSON form of version 0 of the space.
    clock : LedgerClock
        What leases, durations and moments are measured with.
    """

    def __init__(self, study_id: int, spec: StudySpec, space: Mapping[str, Any], clock: LedgerClock) -> None:
        self.id = study_id
        self.spec = spec
        self._events = EventLog()
        self.state = StudyState.PENDING
        self.abort = False
        self.issued = 0
        self._clock = clock
        self._revision = 0
        self._budget = Budget()
        self._cost = 0.0
        self._window: int | None = None
        self._spaces = [dict(space)]
        self._closed = ""
        self._attrs: dict[str, Any] = {}
        self._moments = _Moments(clock.wall())
        self._write("create")

    def _write(self, kind: str, number: int | None = None, fence: int | None = None, **payload: Any) -> int:
        """Raise the revision, leave the event, and return the revision."""
        self._revision += 1
        self._events.append(kind, number, fence, payload, self._clock.wall())
        return self._revision

    def record(self) -> StudyRecord:
        """Return the study as it is now."""
        return StudyRecord(
            self.id,
            self.spec,
            self.state,
            self._revision,
            self._budget,
            self.issued,
            self._cost,
            self._window,
            len(self._spaces) - 1,
            dict(self._spaces[-1]),
            self._closed,
            plain(self._attrs) if self._attrs else {},
            self._moments.created_us,
            self._moments.started_us,
            self._moments.ended_us,
            self.abort,
        )

    def set_state(
        self, state: StudyState, expected: StudyState | None, abort: bool, who: str, **more: Any
    ) -> None:
        """See `Storage.set_state`; `more` is what else happens, for the event."""
        if expected is not None and expected is not self.state:
            return
        if state is StudyState.RUNNING and self.state not in (StudyState.PENDING, StudyState.RUNNING):
            return
        awake = state in (StudyState.PENDING, StudyState.RUNNING)
        abort = not awake and (abort or self.abort)
        if more or (state, abort) != (self.state, self.abort):
            self.abort = abort
            self._move_to(state)
            extra = {"abort": True} if abort else {}
            self._write("state", state=state.value, **extra, **more, **signed(who))

    def _move_to(self, state: StudyState) -> None:
        moments = self._moments
        if state in _ENDED and self.state is not state:
            moments.ended_us = self._clock.wall()
        elif state not in _ENDED:
            moments.ended_us = None
        if state is StudyState.RUNNING and moments.started_us is None:
            moments.started_us, moments.began = self._clock.wall(), self._clock.tick()
        self.state = state

    def _reopen(self) -> None:
        """Let a study that was complete go on, because there is more to do."""
        if self.state is StudyState.COMPLETE:
            self.abort = False
            self._move_to(StudyState.PENDING)

    def set_budget(self, parts: Mapping[str, Any], who: str) -> None:
        """See `Storage.set_budget`; `parts` may hold `KEEP`."""
        old = self._budget
        named = {name: value for name, value in parts.items() if not isinstance(value, Keep)}
        new = replace(old, **named)
        changed = {name: value for name, value in named.items() if value != getattr(old, name)}
        if not changed:
            return
        self._budget = new
        # More at a time is not more in all.
        if any(
            value is None or value > getattr(old, name)
            for name, value in changed.items()
            if name != "parallel" and getattr(old, name) is not None
        ):
            self._reopen()
        self._write("budget", **changed, **signed(who))

    def _raise_budget(self) -> None:
        """Make the budget hold all numbers that are issued."""
        if self._budget.trials is not None and self._budget.trials < self.issued:
            self._budget = replace(self._budget, trials=self.issued)

    def _over(self, now: int, charges: float) -> str:
        """Return which limit but that of trials is reached, if attempts cost `charges` more; or ""."""
        budget, began = self._budget, self._moments.began
        if budget.time_s is not None and began is not None and now - began >= int(budget.time_s * 1e6):
            return "deadline"
        if budget.deadline_us is not None and self._clock.wall() >= budget.deadline_us:
            return "deadline"
        if budget.cost is not None and self._cost + charges >= budget.cost:
            return "cost"
        return ""

    def rename(self, name: str, who: str) -> None:
        """See `Storage.rename_study`; the storage knows which names are taken."""
        before = self.spec.name
        if name != before:
            self.spec = replace(self.spec, name=name)
            self._write("rename", name=name, before=before, **signed(who))

    def set_priority(self, priority: int, who: str) -> None:
        """See `Storage.set_priority`."""
        if priority != self.spec.priority:
            self.spec = replace(self.spec, priority=priority)
            self._write("priority", priority=priority, **signed(who))

    def set_window(self, window: int) -> None:
        """See `Storage.set_window`."""
        if self._window is None:
            self._window = window
            self._write("window", window=window)

    def set_started(self, started_us: int) -> None:
        """See `Storage.set_started`."""
        moments = self._moments
        if moments.started_us is None:
            moments.started_us = started_us
            moments.began = self._clock.tick() - (self._clock.wall() - started_us)
            self._write("started", started_us=started_us)

    def set_user_attrs(self, attrs: Mapping[str, Any]) -> None:
        """See `Storage.set_user_attrs`."""
        self._attrs = merged(self._attrs, attrs, "user_attrs")
        self._write("attrs", names=list(attrs))

    def add_space(self, space: Mapping[str, Any], based_on: int, who: str) -> None:
        """See `Storage.add_space`."""
        if based_on == len(self._spaces) - 1:
            self._spaces.append(plain(space, "the space"))
            self._closed = ""  # a wider space holds configurations that nobody has tried
            self._write("space", version=len(self._spaces) - 1, **signed(who))

    def spaces(self) -> list[Mapping[str, Any]]:
        """See `Storage.spaces`."""
        return [plain(space) for space in self._spaces]

    def events(self, since: int, limit: int) -> list[Event]:
        """See `Storage.events`."""
        return self._events.read(since, limit)
