"""Studies and trials as commands answer with them: JSON for machines, a line for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

from modelwright.cli.console import clean, count, number, print_json, seconds

if TYPE_CHECKING:
    from modelwright.records import Budget, Failure
    from modelwright.storage import Storage, StudyRecord
    from modelwright.study import TrialResult

__all__ = [
    "answer_study",
    "answer_trial",
    "budget_form",
    "failure_text",
    "notes_on",
    "study_form",
    "trial_form",
]


def study_form(record: StudyRecord) -> dict[str, Any]:
    """Return how a study stands."""
    return {
        "name": record.spec.name,
        "state": record.state.value,
        "abort": record.abort,
        "priority": record.spec.priority,
        "budget": budget_form(record.budget),
        "issued": record.issued,
        "cost": record.cost,
        "closed": record.closed,
        "space_version": record.space_version,
    }


def budget_form(budget: Budget) -> dict[str, Any]:
    """Return a budget, the deadline as a moment in UTC."""
    deadline = None if budget.deadline_us is None else _moment(budget.deadline_us).isoformat()
    return {
        "trials": budget.trials,
        "time_s": budget.time_s,
        "deadline": deadline,
        "cost": budget.cost,
        "parallel": budget.parallel,
    }


def trial_form(trial: TrialResult) -> dict[str, Any]:
    """Return how a trial stands."""
    record = trial.record
    failure = record.failure
    return {
        "number": record.number,
        "state": record.state.value,
        "values": list(record.values),
        "params": dict(record.params or {}),
        "attempts": record.attempts,
        "enqueued": record.enqueued,
        "worker": record.worker,
        "duration_s": record.duration_s,
        "reason": record.provenance.reason,
        "failure": None
        if failure is None
        else {"kind": failure.kind.value, "code": failure.code, "message": failure.message},
        "user_attrs": dict(record.user_attrs),
    }


def failure_text(failure: Failure | None) -> str:
    """Return a failure in one line, its kind first; empty if there is none.

    Examples
    --------
    >>> from modelwright.records import Failure, FailureKind
    >>> failure_text(Failure(FailureKind.LOST, "lost: its worker fell silent"))
    'lost: its worker fell silent'
    >>> failure_text(Failure(FailureKind.ERROR, "ValueError: nine"))
    'error: ValueError: nine'
    """
    if failure is None:
        return ""
    kind = f"{failure.kind.value}: "
    return kind + failure.message.removeprefix(kind)


def notes_on(storage: Storage, study_id: int, trials: Sequence[TrialResult]) -> dict[int, str]:
    """Return, by number, what people should know of trials that are called running and that nobody runs."""
    from modelwright.worker.status import unattended

    return unattended(storage, study_id, [trial.record for trial in trials])


def answer_study(record: StudyRecord, *, json: bool) -> None:
    """Print how a study stands, after a verb."""
    if json:
        print_json(study_form(record))
        return
    closed = f", {record.closed}" if record.closed else ""
    typer.echo(
        clean(
            f"{record.spec.name}: {record.state.value}, {count(record.issued, 'trial')}{closed}, "
            f"priority {record.spec.priority}, budget: {_budget_text(record.budget)}"
        )
    )


def answer_trial(trial: TrialResult, *, json: bool) -> None:
    """Print how a trial stands, after a verb."""
    if json:
        print_json(trial_form(trial))
        return
    values = f", {', '.join(number(value) for value in trial.values)}" if trial.values else ""
    failure = "" if trial.failure is None else f", {failure_text(trial.failure)}"
    typer.echo(clean(f"trial {trial.number}: {trial.state.value}{values}{failure}: {dict(trial.params)}"))


def _budget_text(budget: Budget) -> str:
    parts: Mapping[str, str | None] = {
        "trials": None if budget.trials is None else str(budget.trials),
        "time": None if budget.time_s is None else seconds(budget.time_s),
        "until": None if budget.deadline_us is None else f"{_moment(budget.deadline_us).astimezone():%F %T}",
        "cost": None if budget.cost is None else number(budget.cost),
        "at a time": None if budget.parallel is None else str(budget.parallel),
    }
    return ", ".join(f"{name} {text}" for name, text in parts.items() if text is not None) or "none"


def _moment(moment_us: int) -> datetime:
    from modelwright._base.clock import from_us

    return from_us(moment_us)
