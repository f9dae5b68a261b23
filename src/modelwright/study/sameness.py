"""Whether a study that is there is the one that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelwright._base.jsonform import canonical
from modelwright.errors import StudyExistsError
from modelwright.records import Component, OutcomeConstraint, StudySpec
from modelwright.space import Space
from modelwright.storage.base import StudyRecord

__all__ = ["check_same"]

_HINT = "Leave the argument out, or use another name."


def check_same(record: StudyRecord, asked: StudySpec, given: Sequence[str]) -> None:
    """Refuse to go on with a study under a changed specification.

    Parameters
    ----------
    record : StudyRecord
        The study that is there.
    asked : StudySpec
        What was asked for.
    given : sequence of str
        Which fields of `asked` the caller named; the others are defaults and say nothing.

    Raises
    ------
    StudyExistsError
        A given field differs; the message names the difference and what changes it.
    """
    if "space" in given:
        _check_space(record, asked)
    for field in given:
        there, wanted = getattr(record.spec, field), getattr(asked, field)
        if field != "space" and _form(there) != _form(wanted):
            raise StudyExistsError(
                f"the study {asked.name!r} is there with another setting of {field}: it has "
                f"{_shown(there)}, and {_shown(wanted)} was given.",
                hint=_HINT,
                code="E_SPEC_CHANGED",
            )


def _check_space(record: StudyRecord, asked: StudySpec) -> None:
    """Accept the first version of the space and the newest one."""
    there, wanted = record.spec.space, asked.space
    if wanted == there or wanted == Space.from_json(record.space):
        return
    changed = sorted(set(there.names) ^ set(wanted.names))
    changed = changed or [name for name in wanted.names if there[name] != wanted[name]]
    raise StudyExistsError(
        f"the study {asked.name!r} is there with another space; "
        f"different: {', '.join(changed) or 'constraints'}.",
        hint="Load it and call study.set_space(...) to change its space, or use another name.",
        code="E_SPEC_CHANGED",
    )


def _form(value: Any) -> Any:
    return (value.name, canonical(dict(value.options))) if isinstance(value, Component) else value


def _shown(value: Any) -> str:
    if isinstance(value, Component):
        return f"{value.name} {dict(value.options)}" if value.options else value.name
    if isinstance(value, tuple) and isinstance(value[0], OutcomeConstraint):
        return ", ".join(map(str, value))
    if isinstance(value, tuple):
        return ", ".join(f"{objective.direction} {objective.name}" for objective in value)
    return "none" if value is None else str(value)
