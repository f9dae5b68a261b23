"""Transactions that read trials and what they left.

There may be very many of them. They are read in portions, since drivers hold an answer whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, func, select

from modelwright.records import Artifact, Report, Trial, TrialState
from modelwright.storage.base import Attempt, Changes
from modelwright.storage.sql import attempts as attempt_rows
from modelwright.storage.sql import schema, trial_rows
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.studies import record_of, study_by_id, study_query, study_row

__all__ = ["artifacts", "attempts", "changes", "counts", "reports", "trial", "trials"]

_T, _R, _F = schema.trials.c, schema.reports.c, schema.artifacts.c
_PORTION = 1000
_REVISION = select(schema.studies.c.revision).where(schema.studies.c.id == bindparam("study"))
_TRIALS = select(*trial_rows.TRIAL_COLUMNS).where(_T.study_id == bindparam("study"))
_ONE = _TRIALS.where(_T.number == bindparam("n"))
_EACH = _TRIALS.where(_T.number > bindparam("after")).order_by(_T.number).limit(bindparam("most"))
_IN_STATES = _EACH.where(_T.state.in_(bindparam("states", expanding=True)))
# In the order of the index alone, since a database would sort all that follows for each portion.
_MOVED = _TRIALS.where(_T.revision > bindparam("after")).order_by(_T.revision).limit(bindparam("most"))
_NEW_REPORTS = (
    select(_R.number, _R.step, _R.fold, _R.values_json, _R.revision)
    .where(_R.study_id == bindparam("study"), _R.revision > bindparam("after"))
    .order_by(_R.revision, _R.position)
    .limit(bindparam("most"))
)
_REPORTS_OF = (
    select(_R.number, _R.step, _R.fold, _R.values_json)
    .where(_R.study_id == bindparam("study"), _R.number == bindparam("n"))
    .order_by(_R.fence, _R.revision, _R.position)
)
_ARTIFACTS = (
    select(_F.number, _F.name, _F.location, _F.sha256, _F.size, _F.format)
    .where(_F.study_id == bindparam("study"))
    .order_by(_F.number, _F.name)
)
# By the states, so that the index on them is enough.
_COUNTS = (
    select(_T.state, func.count().label("many"))
    .where(_T.state.in_([state.value for state in TrialState]), _T.study_id == bindparam("study"))
    .group_by(_T.state)
)
_ARTIFACTS_OF = _ARTIFACTS.where(_F.number == bindparam("n"))


def trial(tx: Transaction, study_id: int, number: int) -> Trial:
    """See `Storage.trial`."""
    row = tx.first(_ONE, {"study": study_id, "n": number})
    if row is None:
        name = study_by_id(tx, study_id).spec.name
        raise KeyError(f"the study {name!r} has no trial {number}")
    return trial_rows.trial_from_row(row)


def trials(tx: Transaction, study_id: int, states: Sequence[TrialState] | None) -> list[Trial]:
    """See `Storage.trials`."""
    study_by_id(tx, study_id)
    key: dict[str, Any] = {"study": study_id, "after": -1}
    if states is not None:
        key["states"] = [state.value for state in states]
    rows = _in_portions(tx, _EACH if states is None else _IN_STATES, key, "number")
    return [trial_rows.trial_from_row(row) for row in rows]


def _in_portions(tx: Transaction, query: Select[Any], key: Mapping[str, Any], by: str) -> Iterator[Row[Any]]:
    """Yield all rows of a query that gives ``most`` of those ``after`` a value of the column `by`.

    Rows of the same value are always in the same portion.
    """
    key = {**key, "most": _PORTION}
    while True:
        rows = tx.all(query, key)
        if len(rows) < key["most"]:
            yield from rows
            return
        last = getattr(rows[-1], by)
        whole = [row for row in rows if getattr(row, by) != last]  # more of the last value may follow
        yield from whole
        if whole:
            key = {**key, "after": getattr(whole[-1], by), "most": _PORTION}
        else:
            key = {**key, "most": 2 * key["most"]}


def reports(tx: Transaction, study_id: int, number: int) -> list[Report]:
    """See `Storage.reports`."""
    trial(tx, study_id, number)
    newest: dict[tuple[float, int], Report] = {}
    found = tx.all(_REPORTS_OF, {"study": study_id, "n": number})  # in the order of their fences
    for _, report in trial_rows.reports_from_rows(found):
        newest[report.step, -1 if report.fold is None else report.fold] = report
    return [newest[key] for key in sorted(newest)]


def changes(tx: Transaction, study_id: int, since: int) -> Changes:
    """See `Storage.changes`."""
    row = _quiet_row(tx, study_id, since)
    if row is not None:
        return _changes(tx, row, [], [])
    key = {"study": study_id, "after": since}
    first = {**key, "most": _PORTION}
    tx.expect(study_query(study_id), (_MOVED, first), (_NEW_REPORTS, first), last=True)
    row = study_row(tx, study_id)
    if row.revision <= since:
        tx.remember(("quiet", study_id), row)
        return _changes(tx, row, [], [])
    moved = tx.all(_MOVED, first)
    reports = tx.all(_NEW_REPORTS, first) if row.report_revision > since else []
    if max(len(moved), len(reports)) < _PORTION:
        return _changes(tx, row, moved, reports)
    return _changes(
        tx,
        study_row(tx, study_id),  # as it is in the transaction that reads the portions
        _in_portions(tx, _MOVED, key, "revision"),
        _in_portions(tx, _NEW_REPORTS, key, "revision"),
    )


def _quiet_row(tx: Transaction, study_id: int, since: int) -> Row[Any] | None:
    """Return the row of a study in which nothing has moved, neither now nor the last time.

    Who asks often mostly waits; then a look at the revision is enough.
    """
    row: Row[Any] | None = tx.recall(("quiet", study_id))
    if row is None or row.revision != since:
        return None
    query = _REVISION, {"study": study_id}
    tx.expect(query, last=True)
    return row if [since] == [now.revision for now in tx.all(*query)] else None


def _changes(
    tx: Transaction, row: Row[Any], moved: Iterable[Row[Any]], reports: Iterable[Row[Any]]
) -> Changes:
    study = record_of(tx, row)
    trials = [trial_rows.trial_from_row(row) for row in moved]
    trials.sort(key=lambda trial: (trial.revision, trial.number))
    return Changes(study.revision, trials, trial_rows.reports_from_rows(reports), study)


def artifacts(tx: Transaction, study_id: int, number: int | None) -> list[tuple[int, Artifact]]:
    """See `Storage.artifacts`."""
    study_by_id(tx, study_id)
    if number is None:
        found = tx.all(_ARTIFACTS, {"study": study_id})
    else:
        found = tx.all(_ARTIFACTS_OF, {"study": study_id, "n": number})
    return [trial_rows.artifact_from_row(row) for row in found]


def attempts(tx: Transaction, study_id: int, number: int | None) -> list[Attempt]:
    """See `Storage.attempts`."""
    if number is None:
        study_by_id(tx, study_id)
    else:
        trial(tx, study_id, number)
    return attempt_rows.attempts(tx, study_id, number)


def counts(tx: Transaction, study_id: int) -> Mapping[TrialState, int]:
    """See `Storage.counts`."""
    study_by_id(tx, study_id)
    return {TrialState(row.state): row.many for row in tx.all(_COUNTS, {"study": study_id})}
