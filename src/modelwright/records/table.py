"""The trials of a study by number: there may be very many, and somebody looks at few.

A finished trial is kept folded: what it has in common with others (state, names of the parameters, who
proposed and ran it) is held once for all of them, its numbers are packed into eight bytes each, and no
mapping is made. So it takes a quarter of the memory, and a `Trial` is made anew, in a few microseconds, each
time that somebody asks for it. An open trial changes often, and is held as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from itertools import compress
from math import isnan, nan
from struct import pack, unpack_from
from typing import Any, NamedTuple

from modelwright.records.states import TrialState
from modelwright.records.trial import Provenance, Trial

__all__ = ["TrialTable"]


class _Common(NamedTuple):
    """What many trials share."""

    state: TrialState
    names: tuple[str, ...] | None  # of the parameters; None without a configuration
    floats: tuple[bool, ...]  # which of its values, and then of its parameters, are of that type
    fidelity: float | None
    partition: int | None
    attempts: int
    space_version: int
    enqueued: bool
    optimizer: str
    version: str
    turn: int
    worker: str


_Folded = tuple[Any, ...]
"""(common, numbers, reason, what few trials have, values and parameters that are no floats ...)."""

_NUMBERS = "<8qd"
_FLOATS = 72  # where the values and parameters that are floats begin, in bytes
_REST = 4  # where those that are none begin, in a folded trial
_NONE = -(2**63)  # stands for None among the whole numbers, as NaN does for a duration


class TrialTable(MutableMapping[int, Trial]):
    """A mapping from numbers to trials, in the order in which the numbers came.

    Examples
    --------
    >>> table = TrialTable()
    >>> table[7] = Trial(7, TrialState.COMPLETE, {"x": 0.5}, (1.0,))
    >>> table[7] == Trial(7, TrialState.COMPLETE, {"x": 0.5}, (1.0,)), table.params(7)
    (True, {'x': 0.5})
    """

    def __init__(self) -> None:
        self._held: dict[int, Trial | _Folded] = {}
        self._common: dict[_Common, _Common] = {}

    def __setitem__(self, number: int, trial: Trial) -> None:
        self._held[number] = self._fold(trial) if trial.state.finished else trial

    def __getitem__(self, number: int) -> Trial:
        held = self._held[number]
        return held if isinstance(held, Trial) else _unfold(number, held)

    def __delitem__(self, number: int) -> None:
        del self._held[number]

    def __contains__(self, number: object) -> bool:
        return number in self._held

    def __iter__(self) -> Iterator[int]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def in_order(self) -> list[Trial]:
        """Return all trials by number, as of one moment even while another thread adds some."""
        return [
            held if isinstance(held, Trial) else _unfold(number, held)
            for number, held in sorted(self._held.items())
        ]

    def state(self, number: int) -> TrialState | None:
        """Return the state of a trial, None where there is none; the trial is not made for it."""
        held = self._held.get(number)
        if held is None or isinstance(held, Trial):
            return None if held is None else held.state
        state: TrialState = held[0].state
        return state

    def names(self, number: int) -> tuple[str, ...]:
        """Return the names of the parameters that a trial has; the trial is not made for it."""
        held = self._held[number]
        if isinstance(held, Trial):
            return tuple(held.params or ())
        names: tuple[str, ...] = held[0].names or ()
        return names

    def params(self, number: int) -> dict[str, Any] | None:
        """Return a copy of a configuration in JSON form; the trial is not made for it."""
        held = self._held[number]
        if isinstance(held, Trial):
            return None if held.params is None else dict(held.params)
        return _params(held)

    def results(self, number: int) -> tuple[float, ...]:
        """Return the values of a trial, one per objective; the trial is not made for it."""
        held = self._held[number]
        return held.values if isinstance(held, Trial) else _results(held)

    def _fold(self, trial: Trial) -> _Folded:
        origin, params = trial.provenance, trial.params
        own = [*trial.values, *(params or {}).values()]
        kinds = tuple([type(value) is float for value in own])
        plain = all(kinds)
        common = _Common(
            trial.state,
            None if params is None else tuple(params),
            kinds,
            trial.fidelity,
            trial.partition,
            trial.attempts,
            trial.space_version,
            trial.enqueued,
            origin.optimizer,
            origin.version,
            origin.turn,
            trial.worker,
        )
        numbers = pack(
            f"{_NUMBERS}{sum(kinds)}d",
            trial.fence,
            trial.revision,
            trial.finished_revision,
            origin.revision,
            _NONE if trial.parent is None else trial.parent,
            _NONE if trial.queued_us is None else trial.queued_us,
            _NONE if trial.started_us is None else trial.started_us,
            _NONE if trial.ended_us is None else trial.ended_us,
            nan if trial.duration_s is None else trial.duration_s,
            *(own if plain else compress(own, kinds)),
        )
        rare = None
        if trial.failure is not None or trial.user_attrs or trial.metrics:
            rare = trial.failure, trial.user_attrs, trial.metrics
        common = self._common.setdefault(common, common)
        rest = () if plain else (value for value in own if type(value) is not float)
        return (common, numbers, origin.reason, rare, *rest)


def _own(folded: _Folded) -> tuple[Any, ...]:
    """Return the values of a folded trial, and then those of its parameters."""
    numbers: bytes = folded[1]
    floats = unpack_from(f"<{(len(numbers) - _FLOATS) // 8}d", numbers, _FLOATS)
    if len(folded) == _REST:
        return floats
    of_kind = {True: iter(floats), False: iter(folded[_REST:])}
    return tuple(next(of_kind[kind]) for kind in folded[0].floats)


def _params(folded: _Folded) -> dict[str, Any] | None:
    names = folded[0].names
    if names is None:
        return None
    own = _own(folded)
    return dict(zip(names, own[len(own) - len(names) :], strict=True))


def _results(folded: _Folded) -> tuple[float, ...]:
    own = _own(folded)
    return own[: len(own) - len(folded[0].names or ())]


def _unfold(number: int, folded: _Folded) -> Trial:
    # Taken apart at once, since that is quicker than field by field.
    (
        state, names, _, fidelity, partition, attempts, space_version, enqueued, optimizer, version, turn,
        worker,
    ) = folded[0]  # fmt: skip
    fence, revision, finished, seen, parent, queued, started, ended, duration = unpack_from(
        _NUMBERS, folded[1]
    )
    own = _own(folded)
    split = len(own) - len(names or ())
    failure, user_attrs, metrics = folded[3] or (None, {}, {})
    return Trial(
        number,
        state,
        None if names is None else dict(zip(names, own[split:], strict=True)),
        own[:split],
        failure,
        fidelity,
        None if parent == _NONE else parent,
        partition,
        fence,
        attempts,
        space_version,
        enqueued,
        Provenance(optimizer, version, folded[2], seen, turn),
        user_attrs,
        metrics,
        None if isnan(duration) else duration,
        revision,
        finished,
        worker,
        None if queued == _NONE else queued,
        None if started == _NONE else started,
        None if ended == _NONE else ended,
    )
