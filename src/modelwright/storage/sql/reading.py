"""Transactions that read trials and what they left."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, select

from modelwright.records import Artifact, Report, Trial, TrialState
from modelwright.storage.base import Changes
from modelwright.storage.sql import schema, trial_rows
from modelwright.storage.sql.engine import Transaction
from modelwright.storage.sql.studies import study_by_id

__all__ = ["artifacts", "changes", "reports", "trial", "trials"]

_T, _R, _F = schema.trials.c, schema.reports.c, schema.artifacts.c
_TRIALS = select(*trial_rows.TRIAL_COLUMNS).where(_T.study_id == bindparam("study"))
_ONE = _TRIALS.where(_T.number == bindparam("n"))
_EACH = _TRIALS.order_by(_T.number)
_IN_STATES = _EACH.where(_T.state.in_(bindparam("states", expanding=True)))
_MOVED = _TRIALS.where(_T.revision > bindparam("since")).order_by(_T.revision, _T.number)
_NEW_REPORTS = (
    select(_R.number, _R.step, _R.fold, _R.values_json)
    .where(_R.study_id == bindparam("study"), _R.revision > bindparam("since"))
    .order_by(_R.revision, _R.position)
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
    if states is None:
        found = tx.all(_EACH, {"study": study_id})
    else:
        found = tx.all(_IN_STATES, {"study": study_id, "states": [state.value for state in states]})
    return [trial_rows.trial_from_row(row) for row in found]


def reports(tx: Transaction, study_id: int, number: int) -> list[Report]:
    """See `Storage.reports`."""
    trial(tx, study_id, number)
    newest: dict[tuple[float, int], Report] = {}
    for row in tx.all(_REPORTS_OF, {"study": study_id, "n": number}):  # in the order of their fences
        _, report = trial_rows.report_from_row(row)
        newest[report.step, -1 if report.fold is None else report.fold] = report
    return [newest[key] for key in sorted(newest)]


def changes(tx: Transaction, study_id: int, since: int) -> Changes:
    """See `Storage.changes`."""
    study = study_by_id(tx, study_id)
    if study.revision <= since:
        return Changes(study.revision, [], [], study)
    moved = [trial_rows.trial_from_row(row) for row in tx.all(_MOVED, {"study": study_id, "since": since})]
    found = tx.all(_NEW_REPORTS, {"study": study_id, "since": since})
    return Changes(study.revision, moved, [trial_rows.report_from_row(row) for row in found], study)


def artifacts(tx: Transaction, study_id: int, number: int | None) -> list[tuple[int, Artifact]]:
    """See `Storage.artifacts`."""
    study_by_id(tx, study_id)
    if number is None:
        found = tx.all(_ARTIFACTS, {"study": study_id})
    else:
        found = tx.all(_ARTIFACTS_OF, {"study": study_id, "n": number})
    return [trial_rows.artifact_from_row(row) for row in found]
