"""A study as JSON Lines, with nothing lost: the first line is the study, each further one a trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from modelwright.errors import InputError
from modelwright.storage.base import AdoptedTrial
from modelwright.storage.jsontext import decode, encode
from modelwright.storage.wire import read, write
from modelwright.transfer.snapshot import StudySnapshot

__all__ = ["from_lines", "to_lines"]

_FORMAT = "modelwright-study"
_VERSION = 1


def to_lines(snapshot: StudySnapshot) -> Iterator[str]:
    """Yield the lines of a study, without line ends.

    NaN and infinities, which JSON lacks, are written as ``{"$float": "inf"}``.
    """
    study = write(StudySnapshot, replace(snapshot, trials=(), notes=()))
    del study["trials"], study["notes"]
    yield encode({"format": _FORMAT, "version": _VERSION, "study": study})
    for trial in snapshot.trials:
        yield encode(write(AdoptedTrial, trial))


def from_lines(lines: Iterable[str]) -> StudySnapshot:
    """Return the study that `to_lines` wrote.

    Raises
    ------
    InputError
        A line is not what it should be; the message names it by its number.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    number, head = next(numbered, (1, ""))
    snapshot = _study(_decoded(head, number))
    trials: dict[int, AdoptedTrial] = {}
    for number, line in numbered:
        trial = read(AdoptedTrial, _decoded(line, number), f"line {number}")
        key = trial.trial.number if trial.number is None else trial.number
        if key in trials:
            raise InputError(f"line {number}: the trial {key} is there twice.", code="E_FORM")
        trials[key] = replace(trial, number=key)
    return replace(snapshot, trials=list(trials.values()))


def _study(head: Any) -> StudySnapshot:
    if not isinstance(head, dict) or head.get("format") != _FORMAT:
        raise InputError(
            f'line 1: expected the study, with "format": "{_FORMAT}".',
            hint="Only files that `studies export` wrote as JSON Lines are read.",
            code="E_FORM",
        )
    if head.get("version") != _VERSION:
        raise InputError(
            f"line 1: expected version {_VERSION} of the format, got {head.get('version')!r:.20}.",
            hint="A newer Modelwright wrote the file: upgrade, or export it anew.",
            code="E_VERSION",
        )
    snapshot: StudySnapshot = read(StudySnapshot, head.get("study"), "line 1: study")
    if not snapshot.spaces:
        raise InputError("line 1: study.spaces: expected at least one space, got none.", code="E_FORM")
    return snapshot


def _decoded(line: str, number: int) -> Any:
    try:
        return decode(line)
    except ValueError as error:
        raise InputError(
            f"line {number}: expected JSON, got {line[:60]!r} ({error}).", code="E_FORM"
        ) from None
    except RecursionError:
        raise InputError(f"line {number}: it is nested too deeply.", code="E_FORM") from None
