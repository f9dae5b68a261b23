"""The transaction that takes in trials from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Insert, bindparam, func, insert, select

from modelwright.errors import InputError, StudyStateError
from modelwright.records import Trial, TrialState
from modelwright.storage.base import AdoptedTrial, Attempt
from modelwright.storage.ledger_head import signed
from modelwright.storage.ledger_rows import above
from modelwright.storage.plain import clean_text, config_form, config_key, end_form, plain, plain_reports
from modelwright.storage.sql import schema
from modelwright.storage.sql.encoding import encode, finite
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.heads import Head, head_of
from modelwright.storage.sql.trial_rows import (
    artifact_rows,
    failure_to_row,
    new_trial_row,
    report_rows,
    result_to_row,
)
from modelwright.storage.sql.trials import ADD_ARTIFACT, ADD_REPORT

__all__ = ["adopt"]

_T = schema.trials.c
_ADD = insert(schema.trials).inline()
_ADD_ATTEMPT = insert(schema.attempts)
_TAKEN = select(_T.number).where(
    _T.study_id == bindparam("study"), _T.number.in_(bindparam("numbers", expanding=True))
)
_A = schema.attempts.c
_LATEST = (
    select(_A.number, func.max(_A.fence).label("fence"))
    .where(_A.study_id == bindparam("study"), _A.number.in_(bindparam("numbers", expanding=True)))
    .group_by(_A.number)
)
_PAGE = 500


def adopt(tx: Transaction, study_id: int, trials: Sequence[AdoptedTrial], who: str) -> list[int]:
    """See `Storage.adopt`."""
    head = head_of(tx, study_id)
    numbers = _numbers_for(trials, head.issued)
    _refuse_taken(tx, head, numbers)
    events: list[dict[str, Any]] = []
    new: dict[Insert, list[dict[str, Any]]] = {
        statement: [] for statement in (_ADD, _ADD_ATTEMPT, ADD_REPORT, ADD_ARTIFACT)
    }
    earlier = _fences_before(tx, head, numbers)
    for adopted, number in zip(trials, numbers, strict=True):
        item = above(adopted, earlier.get(number, 0))
        row = _trial_row(head, item, number, tx.now_us)
        fence = row["fence"]
        facts = {**_facts(row, item.trial), **signed(who)}
        events.append(head.next_event(tx, "adopt", number, fence, facts))
        row["revision"] = head.revision
        row["finished_revision"] = head.revision if item.trial.state.finished else 0
        if not item.trial.state.finished:
            head.reopen(tx.now_us)
        attempts = [_attempt_row(study_id, number, attempt, tx.now_us) for attempt in item.attempts]
        reports = plain_reports(item.reports)
        head.cost += sum(attempt["cost"] or 0.0 for attempt in attempts)
        head.issued = max(head.issued, number + 1)
        new[_ADD].append(row)
        new[_ADD_ATTEMPT] += attempts
        if reports:
            head.report_revision = head.revision
        new[ADD_REPORT] += report_rows(study_id, number, fence, reports, head.revision, tx.now_us)
        new[ADD_ARTIFACT] += artifact_rows(study_id, number, fence, item.artifacts)
    if events:
        head.hold_all()
        head.save(tx, events)
        for statement, found in new.items():
            tx.run_many(statement, found)
    return numbers


def _numbers_for(trials: Sequence[AdoptedTrial], following: int) -> list[int]:
    """Return the number of each adopted trial."""
    numbers = []
    for item in trials:
        number = following if item.number is None else item.number
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise InputError(f"expected a trial number of at least 0, got {number!r}.")
        numbers.append(number)
        following = max(following, number + 1)
    return numbers


def _refuse_taken(tx: Transaction, head: Head, numbers: Sequence[int]) -> None:
    taken = {number for number, times in Counter(numbers).items() if times > 1}
    old = [number for number in numbers if number < head.issued]
    for start in range(0, len(old), _PAGE):
        page = {"study": head.study_id, "numbers": old[start : start + _PAGE]}
        taken |= {row.number for row in tx.all(_TAKEN, page)}
    if taken:
        raise StudyStateError(
            f"the study has a trial {min(taken)} already; nothing was taken in.",
            hint="Give no numbers, so that the trials get the next free ones.",
        )


def _fences_before(tx: Transaction, head: Head, numbers: Sequence[int]) -> dict[int, int]:
    """Return the latest fence of each number that was given back once, and so has attempts already."""
    found: dict[int, int] = {}
    for start in range(0, len(numbers) if head.fence_floor else 0, _PAGE):
        page = {"study": head.study_id, "numbers": list(numbers[start : start + _PAGE])}
        found.update((row.number, row.fence) for row in tx.all(_LATEST, page))
    return found


def _trial_row(head: Head, item: AdoptedTrial, number: int, now_us: int) -> dict[str, Any]:
    """Return the row of a trial from elsewhere; one that runs there does not run here."""
    trial = item.trial
    done = trial.state.finished
    fence = max([trial.fence, *(attempt.fence for attempt in item.attempts)])
    params = None if trial.params is None else plain(trial.params, "params")
    return {
        **new_trial_row(head.study_id, number, trial.space_version, now_us),
        "state": trial.state.value if done else TrialState.WAITING.value,
        "params": None if params is None else encode(params),
        "config_key": None if params is None else config_key(params, trial.fidelity),
        "fidelity": trial.fidelity,
        "parent": trial.parent,
        "partition_index": trial.partition,
        "enqueued": int(trial.enqueued),
        "optimizer": clean_text(trial.provenance.optimizer),
        "optimizer_version": clean_text(trial.provenance.version),
        "reason": clean_text(trial.provenance.reason),
        "seen_revision": trial.provenance.revision,
        "fence": max(fence, head.fence_floor) if fence else 0,
        "attempts": max(trial.attempts - (trial.state is TrialState.RUNNING), 0),
        **failure_to_row(trial.failure if done else None),
        **result_to_row(trial.values, trial.metrics),
        "user_attrs": encode(plain(trial.user_attrs, "user_attrs")),
        "duration_s": trial.duration_s,
        "worker_id": clean_text(trial.worker) if done else "",
        "queued_us": now_us if trial.queued_us is None else trial.queued_us,
        "started_us": trial.started_us if done else None,
        "ended_us": (now_us if trial.ended_us is None else trial.ended_us) if done else None,
    }


def _facts(row: dict[str, Any], trial: Trial) -> dict[str, Any]:
    """Return what the event says of a trial from elsewhere."""
    facts = config_form(row["config_key"]) if row["config_key"] else {}
    return facts | (end_form(trial.state, trial.values, trial.failure) if trial.state.finished else {})


def _attempt_row(study_id: int, number: int, attempt: Attempt, now_us: int) -> dict[str, Any]:
    running = attempt.outcome == "running"
    return {
        "study_id": study_id,
        "number": number,
        "fence": attempt.fence,
        "worker_id": clean_text(attempt.worker),
        "outcome": "released" if running else attempt.outcome,
        "started_us": attempt.started_us,
        "ended_us": now_us if running else attempt.ended_us,
        "cost": finite(attempt.cost),
        "duration_s": attempt.duration_s,
        "peak_memory_mb": attempt.peak_memory_mb,
        "exit_code": attempt.exit_code,
        "log_location": clean_text(attempt.log_location),
    }
