"""Asks the optimizer once more for what it proposed, with the ledger as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from modelwright.errors import ModelwrightError
from modelwright.records import Proposal
from modelwright.space import Space
from modelwright.storage.base import Storage
from modelwright.study.proposing import Considered, Proposer, added_value
from modelwright.study.replay.past import PastLedger
from modelwright.study.replay.report import Difference
from modelwright.study.replay.rows import CHANGED, same, short_key
from modelwright.study.replay.story import Addition, Story
from modelwright.study.versions import other_versions
from modelwright.study.view import LedgerView

__all__ = ["Recomputer"]


class Recomputer:
    """Recomputes proposals, which are given in the order of the revisions that they saw.

    The view and the proposer are those that runs propose with, so there is no second description of what a
    proposal may know. The history grows with each proposal, and is never built anew.

    Parameters
    ----------
    story : Story
        The study's rows and log.
    base : Space
        Version 0 of its space.
    spoilt : sequence of Difference
        Rows that other proposals saw as they are no more.
    """

    def __init__(self, story: Story, base: Space, spoilt: Sequence[Difference]) -> None:
        self._story = story
        self._spoilt = spoilt
        self._past = PastLedger(story)
        storage = cast("Storage", self._past)  # to look at `changes` is all that a proposal does to a ledger
        self._view = LedgerView(storage, story.record_at(0), base)
        self._proposer = Proposer(storage, self._view, base)
        self._spaces: dict[int, Space] = {0: base}
        self._proposer.check(base)  # an optimizer that is not here is told once

    def differences(self, number: int) -> Iterator[Difference]:
        """Recompute what a trial was given, and yield what of it is not what its row holds."""
        row, life = self._story.trials[number], self._story.life(number)
        self._past.revision = row.provenance.revision
        held = None if row.params is None else dict(row.params)
        try:
            answer = self._proposer.consider(number, life.turn, None, row.partition)
        except ModelwrightError as error:
            cause = f"it cannot be recomputed: {error}"
            yield Difference(number, "configuration", held, None, cause, life.written)
            return
        if isinstance(answer, Considered):
            yield from self._compared(number, answer.stored)
        else:
            cause = self._cause(number)
            yield Difference(number, "configuration", held, answer.reason, cause, life.written)
        for addition in life.additions:
            yield from self._added(number, addition)

    def _compared(self, number: int, stored: Proposal) -> Iterator[Difference]:
        row, life = self._story.trials[number], self._story.life(number)
        held, added = dict(row.params or {}), life.added_after(life.written)
        first = {name: value for name, value in held.items() if name not in added}
        cause = ""
        if life.key and life.key != short_key(first, row.fidelity):
            cause = f"{CHANGED}, and recomputing gives another value than either"
            if life.key == short_key(stored.params, stored.fidelity):
                cause = CHANGED
                later = {name: value for name, value in held.items() if name in added}
                self._past.params[number] = {**stored.params, **later}
        pairs = list(_unequal(first, stored.params))
        pairs += [
            (name, getattr(row, name), getattr(stored, name))
            for name in ("fidelity", "parent", "partition")
            if getattr(row, name) != getattr(stored, name)
        ]
        for name, value, expected in pairs:
            yield Difference(number, name, value, expected, cause or self._cause(number), life.written)

    def _added(self, number: int, addition: Addition) -> Iterator[Difference]:
        """Recompute what an objective asked for while it ran."""
        story, version = self._story, addition.space_version
        if version is None:
            version = story.space_version(addition.revision)
        space = self._space(version)
        for name in addition.names:
            held = (story.trials[number].params or {}).get(name)
            value = added_value(space, story.record.spec.seed, number, name)
            expected = space.dump({name: value})[name]
            if not same(held, expected):
                self._past.params[number] = {**self._past.params.get(number, {}), name: expected}
                yield Difference(number, name, held, expected, CHANGED, addition.revision)

    def _space(self, version: int) -> Space:
        if version not in self._spaces:
            self._spaces[version] = Space.from_json(self._story.spaces[version])
        return self._spaces[version]

    def _cause(self, number: int) -> str:
        """Return why a proposal probably is another one now, though its row is as it was written."""
        story, provenance = self._story, self._story.trials[number].provenance
        seen = [item for item in self._spoilt if item.revision <= provenance.revision]
        if seen:
            return f"it saw trial {seen[0].trial}, of which {seen[0].cause}"
        if versions := other_versions(provenance.version):
            return f"other versions: {versions}"
        for gone in sorted(story.trimmed & story.trials.keys()):
            if story.trials[gone].finished_revision <= provenance.revision:
                return f"it may have seen reports that were trimmed since, of trial {gone} or others"
        if not story.life(number).key:
            return "a row was changed: this one, one that it saw, or the study's"
        return "the study's row or one that it saw was changed, or the optimizer, or the machine is another"


def _unequal(row: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the names at which two configurations differ, with both values."""
    for name in [*other, *(name for name in row if name not in other)]:
        held, expected = row.get(name), other.get(name)
        if (name in row) != (name in other) or not same(held, expected):
            yield name, held, expected
