"""Transactions on trials: who works on them, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, literal, select, union_all, update

from modelwright.errors import StaleClaimError, StudyStateError
from modelwright.records import Outcome, Proposal, Provenance, Report, StudyState, TrialState
from modelwright.storage.base import Claim, Finish, NoClaim
from modelwright.storage.ledger import lost_failure
from modelwright.storage.plain import clean_text, merged, plain, plain_reports
from modelwright.storage.sql import schema, trial_rows
from modelwright.storage.sql.encoding import decode, encode
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.studies import Head, head_of

__all__ = [
    "claim",
    "enqueue",
    "extend",
    "finish",
    "forfeit",
    "propose",
    "release",
    "renew",
    "report",
    "request_stop",
    "set_trial_attrs",
]

_T, _A = schema.trials.c, schema.attempts.c
_RUNNING, _WAITING = TrialState.RUNNING.value, TrialState.WAITING.value
_THIS = (_T.study_id == bindparam("study"), _T.number == bindparam("n"))

# Of each row that `claim` and its kin look at.
_CLAIM_COLUMNS = (
    _T.number, _T.state, _T.fence, _T.attempts, _T.claim_id, _T.lease_until_us, _T.params, _T.space_version,
    _T.fidelity, _T.parent, _T.partition_index,
)  # fmt: skip
_first_waiting = (
    select(*_CLAIM_COLUMNS)
    .where(_T.state == _WAITING, _T.study_id == bindparam("study"))
    .order_by(_T.lease_until_us, _T.number)
    .limit(1)
    .subquery()
)
_CANDIDATES = union_all(
    select(*_CLAIM_COLUMNS).where(_T.study_id == bindparam("study"), _T.claim_id == bindparam("claim")),
    select(_first_waiting),
    select(*_CLAIM_COLUMNS).where(
        _T.state == _RUNNING, _T.study_id == bindparam("study"), _T.lease_until_us <= bindparam("now")
    ),
)
_ANY_RUNNING = (
    select(literal(1)).where(_T.state == _RUNNING, _T.study_id == bindparam("study")).limit(bindparam("one"))
)
_ROW = select(
    _T.state, _T.fence, _T.attempts, _T.params, _T.user_attrs, _T.stop, _T.result_id, _T.failure_kind
).where(*_THIS)
_ADD = insert(schema.trials)
_DROP = delete(schema.trials).where(*_THIS)
_DROP_REPORTS = delete(schema.reports).where(
    schema.reports.c.study_id == bindparam("study"), schema.reports.c.number == bindparam("n")
)


def _set(*names: str) -> Any:
    """Return an update of these columns of one trial."""
    return update(schema.trials).where(*_THIS).values({name: bindparam(name) for name in names})


_TAKE = _set(
    "state", "fence", "attempts", "worker_id", "claim_id", "lease_until_us", "stop", "started_us", "revision"
)
_GIVE_BACK = _set("state", "attempts", "worker_id", "claim_id", "lease_until_us", "started_us", "revision")
_LOSE = _set(
    "state", "claim_id", "lease_until_us", "failure_kind", "failure_code", "failure_message",
    "failure_traceback", "ended_us", "revision", "finished_revision",
)  # fmt: skip
_FINISH = _set(
    "state", "claim_id", "lease_until_us", "result_id", "value", "values_json", "failure_kind",
    "failure_code", "failure_message", "failure_traceback", "user_attrs", "metrics", "cv_mean", "cv_std",
    "test_score", "model_location", "metrics_location", "duration_s", "ended_us", "revision", "finished_revision",
)  # fmt: skip
_PROPOSE = _set(
    "params", "fidelity", "parent", "partition_index", "optimizer", "optimizer_version", "reason",
    "seen_revision", "space_version", "revision",
)  # fmt: skip
_EXTEND = _set("params", "space_version", "revision")
_RENEW = _set("lease_until_us")
_STOP = _set("stop", "revision")
_SAVE_ATTRS = _set("user_attrs", "revision")

_START_ATTEMPT = insert(schema.attempts)
_END_ATTEMPT = (
    update(schema.attempts)
    .where(_A.study_id == bindparam("study"), _A.number == bindparam("n"), _A.fence == bindparam("f"))
    .values(
        {
            name: bindparam(name)
            for name in ("outcome", "ended_us", "duration_s", "peak_memory_mb", "exit_code", "log_location")
        }
    )
)
_ATTEMPT = select(_A.outcome).where(
    _A.study_id == bindparam("study"), _A.number == bindparam("n"), _A.fence == bindparam("f")
)
_ADD_REPORT = insert(schema.reports)
_ADD_ARTIFACT = insert(schema.artifacts)
_LEASED_BY = (
    select(_T.study_id, _T.number)
    .where(_T.state == _RUNNING, _T.worker_id == bindparam("worker"), _T.lease_until_us > bindparam("now"))
    .order_by(_T.study_id, _T.number)
)


def _us(seconds: float) -> int:
    return int(seconds * 1e6)


# waiting and claimed ------------------------------------------------------------------------------------


def enqueue(tx: Transaction, study_id: int, params: Mapping[str, Any], user_attrs: Mapping[str, Any]) -> int:
    """See `Storage.enqueue`."""
    head = head_of(tx, study_id)
    number = head.issued
    head.issued += 1
    if head.budget_trials is not None:
        head.budget_trials = max(head.budget_trials, head.issued)
    head.reopen(tx.now_us)
    row = trial_rows.new_trial_row(study_id, number, head.space_version, tx.now_us)
    row["params"] = encode(plain(params, "params"))
    row["user_attrs"] = encode(plain(user_attrs, "user_attrs"))
    row["enqueued"] = 1
    row["revision"] = head.write(tx, "enqueue", number, 0)
    tx.run(_ADD, row)
    return number


def claim(tx: Transaction, study_id: int, worker_id: str, claim_id: str, lease_s: float) -> Claim | NoClaim:
    """See `Storage.claim`."""
    head = head_of(tx, study_id)
    found = tx.all(_CANDIDATES, {"study": study_id, "claim": claim_id, "now": tx.now_us})
    for row in found:
        if row.claim_id == claim_id:
            return _claim(study_id, claim_id, row.fence, row.attempts, row)
    if head.state in (StudyState.COMPLETE.value, StudyState.FAILED.value):
        return NoClaim("complete")
    if head.state == StudyState.PAUSED.value:
        return NoClaim("paused")
    lost = [row for row in found if row.state == _RUNNING and row.attempts >= head.max_attempts]
    ready = [row for row in found if row not in lost]
    if ready:
        return _take(tx, head, min(ready, key=lambda row: row.number), lost, worker_id, claim_id, lease_s)
    if not head.closed and (head.budget_trials is None or head.issued < head.budget_trials):
        return _issue(tx, head, lost, worker_id, claim_id, lease_s)
    if lost:
        _end_lost(tx, head, lost, head.write(tx, "lost", trials=[row.number for row in lost]))
    if tx.first(_ANY_RUNNING, {"study": study_id, "one": 1}) is not None:
        return NoClaim("busy")
    return NoClaim("closed" if head.closed else "spent")


def _claim(study_id: int, claim_id: str, fence: int, attempts: int, row: Any) -> Claim:
    params = None if row.params is None else decode(row.params)
    return Claim(
        study_id,
        row.number,
        fence,
        claim_id,
        attempts,
        params,
        row.space_version,
        row.fidelity,
        row.parent,
        row.partition_index,
    )


def _take(
    tx: Transaction,
    head: Head,
    row: Row[Any],
    lost: Sequence[Row[Any]],
    worker_id: str,
    claim_id: str,
    lease_s: float,
) -> Claim:
    """Give out a trial that waits or whose lease has run out."""
    fence = (row.fence or head.fence_floor) + 1
    attempts = row.attempts + 1
    if row.state == _RUNNING:
        _end_attempt(tx, head.study_id, row.number, row.fence, "lost")
    revision = _write_claim(tx, head, row.number, fence, worker_id, attempts, lost)
    columns = _claimed(tx, fence, attempts, worker_id, claim_id, lease_s, revision)
    tx.run(_TAKE, {"study": head.study_id, "n": row.number, **columns})
    return _claim(head.study_id, claim_id, fence, attempts, row)


def _issue(
    tx: Transaction, head: Head, lost: Sequence[Row[Any]], worker_id: str, claim_id: str, lease_s: float
) -> Claim:
    """Give out a new number."""
    number, fence = head.issued, head.fence_floor + 1
    head.issued += 1
    row = trial_rows.new_trial_row(head.study_id, number, head.space_version, tx.now_us)
    revision = _write_claim(tx, head, number, fence, worker_id, 1, lost)
    row.update(_claimed(tx, fence, 1, worker_id, claim_id, lease_s, revision))
    tx.run(_ADD, row)
    return Claim(head.study_id, number, fence, claim_id, 1, space_version=head.space_version)


def _claimed(
    tx: Transaction, fence: int, attempts: int, worker_id: str, claim_id: str, lease_s: float, revision: int
) -> dict[str, Any]:
    return {
        "state": _RUNNING,
        "fence": fence,
        "attempts": attempts,
        "worker_id": worker_id,
        "claim_id": claim_id,
        "lease_until_us": tx.now_us + _us(lease_s),
        "stop": 0,
        "started_us": tx.now_us,
        "revision": revision,
    }


def _write_claim(
    tx: Transaction, head: Head, number: int, fence: int, worker: str, attempt: int, lost: Sequence[Row[Any]]
) -> int:
    extra = {"lost": [row.number for row in lost]} if lost else {}
    revision = head.write(tx, "claim", number, fence, worker=worker, attempt=attempt, **extra)
    _end_lost(tx, head, lost, revision)
    started = {
        "study_id": head.study_id,
        "number": number,
        "fence": fence,
        "worker_id": worker,
        "outcome": _RUNNING,
        "started_us": tx.now_us,
        "log_location": "",
    }
    tx.run(_START_ATTEMPT, started)
    return revision


def _end_lost(tx: Transaction, head: Head, lost: Sequence[Row[Any]], revision: int) -> None:
    for row in lost:
        _end_attempt(tx, head.study_id, row.number, row.fence, "lost")
        columns = {
            "state": TrialState.FAILED.value,
            "claim_id": None,
            "lease_until_us": 0,
            "ended_us": tx.now_us,
            "revision": revision,
            "finished_revision": revision,
            **trial_rows.failure_to_row(lost_failure(row.attempts)),
        }
        tx.run(_LOSE, {"study": head.study_id, "n": row.number, **columns})


def _end_attempt(
    tx: Transaction, study_id: int, number: int, fence: int, outcome: str, result: Outcome | None = None
) -> None:
    columns = {
        "outcome": outcome,
        "ended_us": tx.now_us,
        "duration_s": result.duration_s if result else None,
        "peak_memory_mb": result.peak_memory_mb if result else None,
        "exit_code": result.exit_code if result else None,
        "log_location": clean_text(result.log_location) if result else "",
    }
    tx.run(_END_ATTEMPT, {"study": study_id, "n": number, "f": fence, **columns})


def release(tx: Transaction, held: Claim, why: str, close: bool) -> bool:
    """See `Storage.release`."""
    head = head_of(tx, held.study_id)
    key = {"study": held.study_id, "n": held.number}
    row = tx.first(_ROW, key)
    if row is None or row.fence != held.fence or row.state != _RUNNING:
        before = tx.first(_ATTEMPT, {**key, "f": held.fence})
        return before is not None and before.outcome == "released"
    _end_attempt(tx, held.study_id, held.number, held.fence, "released")
    if close:
        head.closed = clean_text(why)
    if row.params is None and held.number == head.issued - 1:
        head.issued -= 1
        # Fences only grow, also when the number is given out again.
        head.fence_floor = max(head.fence_floor, held.fence)
        tx.run(_DROP, key)
        tx.run(_DROP_REPORTS, key)
        head.write(tx, "release", held.number, held.fence, why=clean_text(why), given_back=True)
        return True
    revision = head.write(tx, "release", held.number, held.fence, why=clean_text(why))
    columns = {
        "state": _WAITING,
        "attempts": row.attempts - 1,
        "worker_id": "",
        "claim_id": None,
        "lease_until_us": 0,
        "started_us": None,
        "revision": revision,
    }
    tx.run(_GIVE_BACK, {**key, **columns})
    return True


def renew(tx: Transaction, held: Claim, lease_s: float) -> tuple[bool, bool]:
    """Prolong one lease; return whether the claim is lost, and whether somebody asked to stop it."""
    key = {"study": held.study_id, "n": held.number}
    row = tx.first(_ROW, key)
    if row is None:
        return False, False
    if row.fence == held.fence and row.state == _RUNNING:
        tx.run(_RENEW, {**key, "lease_until_us": tx.now_us + _us(lease_s)})
        return False, bool(row.stop)
    return row.fence != held.fence or row.failure_kind == "lost", False


# what a claim may write ---------------------------------------------------------------------------------


def _must_hold(tx: Transaction, held: Claim) -> Row[Any]:
    row = tx.first(_ROW, {"study": held.study_id, "n": held.number})
    if row is None or row.fence != held.fence or row.state != _RUNNING:
        raise StaleClaimError(f"trial {held.number} is not this worker's any more.")
    return row


def propose(
    tx: Transaction, held: Claim, proposal: Proposal, provenance: Provenance, space_version: int
) -> None:
    """See `Storage.propose`."""
    columns = trial_rows.proposal_to_row(proposal, provenance)
    head = head_of(tx, held.study_id)
    row = _must_hold(tx, held)
    if row.params is not None:
        if decode(row.params) == decode(columns["params"]):
            return  # the answer to the first call was lost
        raise StudyStateError(f"trial {held.number} has a configuration already; it is written once.")
    columns["space_version"] = space_version
    columns["revision"] = head.write(tx, "propose", held.number, held.fence)
    tx.run(_PROPOSE, {"study": held.study_id, "n": held.number, **columns})


def extend(tx: Transaction, held: Claim, params: Mapping[str, Any], space_version: int) -> None:
    """See `Storage.extend`."""
    head = head_of(tx, held.study_id)
    row = _must_hold(tx, held)
    wider = merged({} if row.params is None else decode(row.params), params, "params")
    columns = {
        "params": encode(wider),
        "space_version": space_version,
        "revision": head.write(tx, "extend", held.number, held.fence, names=list(params)),
    }
    tx.run(_EXTEND, {"study": held.study_id, "n": held.number, **columns})


def report(tx: Transaction, held: Claim, reports: Sequence[Report]) -> bool:
    """See `Storage.report`."""
    head = head_of(tx, held.study_id)
    row = tx.first(_ROW, {"study": held.study_id, "n": held.number})
    if row is None or row.fence != held.fence or row.state != _RUNNING:
        return False
    if not reports:
        return True
    head.report_revision = head.revision + 1
    revision = head.write(tx, "report", held.number, held.fence, count=len(reports))
    new = [
        {
            "study_id": held.study_id,
            "revision": revision,
            "position": position,
            "number": held.number,
            "fence": held.fence,
            "step": item.step,
            "fold": item.fold,
            "values_json": encode(item.values),
            "at_us": tx.now_us,
        }
        for position, item in enumerate(plain_reports(reports))
    ]
    tx.run_many(_ADD_REPORT, new)
    return True


def finish(tx: Transaction, held: Claim, outcome: Outcome, result_id: str) -> Finish:
    """See `Storage.finish`."""
    head = head_of(tx, held.study_id)
    key = {"study": held.study_id, "n": held.number}
    row = tx.first(_ROW, key)
    if row is None or row.fence != held.fence or row.state != _RUNNING:
        if row is not None and row.result_id == result_id:
            return Finish.DUPLICATE
        head.write(tx, "stale", held.number, held.fence, state=outcome.state.value)
        return Finish.STALE
    columns = trial_rows.outcome_to_row(outcome, decode(row.user_attrs))
    revision = head.write(tx, "finish", held.number, held.fence, state=outcome.state.value)
    columns |= {"claim_id": None, "lease_until_us": 0, "result_id": result_id, "ended_us": tx.now_us}
    columns |= {"revision": revision, "finished_revision": revision}
    tx.run(_FINISH, {**key, **columns})
    _end_attempt(tx, held.study_id, held.number, held.fence, outcome.state.value, outcome)
    new = [
        {
            "study_id": held.study_id,
            "number": held.number,
            "fence": held.fence,
            "name": clean_text(item.name),
            "location": clean_text(item.location),
            "sha256": item.sha256,
            "size": item.size,
            "format": item.format,
        }
        for item in outcome.artifacts
    ]
    tx.run_many(_ADD_ARTIFACT, new)
    return Finish.ACCEPTED


# from outside -------------------------------------------------------------------------------------------


def request_stop(tx: Transaction, study_id: int, number: int) -> bool:
    """See `Storage.request_stop`."""
    head = head_of(tx, study_id)
    row = tx.first(_ROW, {"study": study_id, "n": number})
    if row is None or row.state != _RUNNING:
        return False
    if not row.stop:
        revision = head.write(tx, "stop", number, row.fence)
        tx.run(_STOP, {"study": study_id, "n": number, "stop": 1, "revision": revision})
    return True


def forfeit(tx: Transaction, worker_id: str, why: str) -> list[int]:
    """See `Storage.forfeit`."""
    held: dict[int, list[int]] = {}
    for row in tx.all(_LEASED_BY, {"worker": worker_id, "now": tx.now_us}):
        held.setdefault(row.study_id, []).append(row.number)
    for study_id, numbers in held.items():
        head = head_of(tx, study_id)
        for number in numbers:
            tx.run(_RENEW, {"study": study_id, "n": number, "lease_until_us": tx.now_us})
        head.write(tx, "forfeit", worker=worker_id, why=clean_text(why), trials=numbers)
    return [number for numbers in held.values() for number in numbers]


def set_trial_attrs(tx: Transaction, study_id: int, number: int, attrs: Mapping[str, Any]) -> None:
    """See `Storage.set_trial_attrs`."""
    head = head_of(tx, study_id)
    row = tx.first(_ROW, {"study": study_id, "n": number})
    if row is None:
        raise KeyError(f"the study has no trial {number}")
    text = encode(merged(decode(row.user_attrs), attrs, "user_attrs"))
    revision = head.write(tx, "trial_attrs", number, row.fence, names=list(attrs))
    tx.run(_SAVE_ATTRS, {"study": study_id, "n": number, "user_attrs": text, "revision": revision})
