"""Rows that are not what their log says: changed by hand, lost, or put in from nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelwright.records import Trial
from modelwright.storage.plain import config_form, config_key
from modelwright.study.replay.report import Difference
from modelwright.study.replay.story import Life, Story

__all__ = ["CHANGED", "changed_rows", "is_unreadable", "same", "saw_itself", "short_key"]

CHANGED = "the row was changed after it was written"
"""The cause of most differences."""


def changed_rows(story: Story, numbers: Sequence[int]) -> Iterator[Difference]:
    """Yield what differs between rows and their log, but for proposals, which are recomputed."""
    for number in numbers:
        row, life = story.trials.get(number), story.life(number)
        if row is None:
            if life.written:
                yield Difference(number, "row", None, "a trial", "the row was deleted", life.written)
        elif is_unreadable(row):
            assert row.failure is not None
            yield Difference(number, "row", None, "a trial", row.failure.message, life.written)
        elif not life.written and row.params is not None:
            cause = "no event tells of it: the row was put in by hand"
            yield Difference(number, "row", dict(row.params), None, cause, row.revision)
        else:
            yield from _configuration(number, row, life)
            yield from _end(number, row, life, [objective.name for objective in story.record.spec.objectives])


def is_unreadable(row: Trial) -> bool:
    """Return whether a storage shows a row that it could not read."""
    return row.failure is not None and row.failure.code == "E_DB_ROW"


def short_key(params: Mapping[str, Any], fidelity: float | None) -> str:
    """Return the key that a log keeps of a configuration."""
    return str(config_form(config_key(params, fidelity))["key"])


def same(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal: NaN to NaN, and ``True`` not to 1."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    return bool(one == other) or (one != one and other != other)


def saw_itself(row: Trial, life: Life) -> bool:
    """Return whether a proposal claims to have seen what cannot have been there yet."""
    return life.origin == "proposed" and not 0 <= row.provenance.revision < life.written


def _configuration(number: int, row: Trial, life: Life) -> Iterator[Difference]:
    if saw_itself(row, life):
        expected = f"a revision below {life.written}"
        yield Difference(number, "seen_revision", row.provenance.revision, expected, CHANGED, life.written)
    if life.origin == "proposed":
        return  # recomputing it names the parameter
    held, added = dict(row.params or {}), life.added_after(life.written)
    first = {name: value for name, value in held.items() if name not in added}
    if life.key and short_key(first, row.fidelity) != life.key:
        expected = f"a configuration with the key {life.key}"
        yield Difference(number, "configuration", held, expected, CHANGED, life.written)


def _end(number: int, row: Trial, life: Life, names: Sequence[str]) -> Iterator[Difference]:
    if not life.end:
        return
    told = life.end

    def differs(what: str, ledger: Any, expected: Any) -> Difference:
        return Difference(number, what, ledger, expected, CHANGED, life.ended)

    if row.state.value != told["state"]:
        yield differs("state", row.state.value, told["state"])
    kind = None if row.failure is None else row.failure.kind.value
    if kind != told.get("failure"):
        yield differs("failure", kind, told.get("failure"))
    values, expected = list(row.values), list(told["values"])
    if len(values) != len(expected):
        yield differs("values", values, expected)
        return
    for position, (value, was) in enumerate(zip(values, expected, strict=True)):
        if not same(value, was):
            yield differs(names[position] if position < len(names) else "values", value, was)
    if row.finished_revision != life.ended:
        yield differs("finished_revision", row.finished_revision, life.ended)
