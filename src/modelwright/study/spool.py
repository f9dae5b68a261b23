"""Results that a ledger out of reach could not take: kept in a file, and told later."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from modelwright.errors import InputError, StudyNotFoundError
from modelwright.records import Artifact, Failure, FailureKind, Outcome, Report, TrialState
from modelwright.storage.base import Claim, Finish, Storage, StudyRecord
from modelwright.study.logged import LoggedFile
from modelwright.study.publishing import TrialFiles, published

__all__ = ["SpooledResult", "resume_spool", "write_spool"]

_FORMAT = "modelwright-spool-1"


@dataclass(frozen=True, slots=True)
class SpooledResult:
    """How an attempt ended, with the reports and files that did not get through either."""

    claim: Claim
    outcome: Outcome
    reports: tuple[Report, ...] = ()
    files: tuple[LoggedFile, ...] = ()


def write_spool(
    folder: Path,
    record: StudyRecord,
    worker_id: str,
    results: Sequence[SpooledResult],
    files: Path | None = None,
) -> Path:
    """Write results into a new file in `folder`, readable by its owner alone, and return its path.

    `files` is the full path of the study's own folder, if it has one.
    """
    content = {
        "format": _FORMAT,
        "study": {"id": record.id, "name": record.spec.name, "created_us": record.created_us},
        "files": None if files is None else str(files),
        "results": [asdict(result) for result in results],
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"results-{worker_id}.json"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, default=str)  # better a text than nothing
        file.flush()
        os.fsync(file.fileno())
    return path


def resume_spool(storage: Storage, path: str | Path) -> dict[int, Finish]:
    """Tell the ledger the results in a file that a run left, publish their files, and remove the file.

    A result whose trial has passed to another worker meanwhile is answered as stale and kept in an event.
    What is told twice counts once.

    Parameters
    ----------
    storage : Storage
        The ledger that the run could not reach.
    path : str or Path
        The file, as the run's error named it.

    Returns
    -------
    dict of int to Finish
        The ledger's answer by trial number.

    Raises
    ------
    InputError
        The file is not one of these.
    StudyNotFoundError
        The ledger does not hold the study.
    """
    path = Path(path)
    study, folder, results = _read(path)
    same = [r for r in storage.studies() if (r.id, r.created_us) == (study["id"], study["created_us"])]
    if not same:
        raise StudyNotFoundError(
            f"the results in {str(path)!r} are of the study {study['name']!r}, which is not in this storage."
        )
    files = TrialFiles(storage, study["id"], folder)
    answers = {}
    for result in results:
        if result.reports:
            storage.report(result.claim, result.reports)
        outcome = result.outcome
        if result.files:
            outcome = published(files, result.claim, result.files, outcome)
        answers[result.claim.number] = storage.finish(result.claim, outcome, result.claim.claim_id)
    path.unlink()
    if folder is None:  # they lay in a folder of the run's own
        from modelwright.study.scratch import remove_kept  # runs write spools, and few ever read one

        remove_kept({file.path for result in results for file in result.files})
    return answers


def _read(path: Path) -> tuple[dict[str, Any], Path | None, list[SpooledResult]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            raise ValueError(content["format"])
        folder = content.get("files")
        results = [_result(item) for item in content["results"]]
        return content["study"], None if folder is None else Path(folder), results
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"expected a file of results that a run has left, got {str(path)!r} ({error})."
        ) from error


def _result(item: dict[str, Any]) -> SpooledResult:
    outcome = dict(item["outcome"])
    outcome["state"] = TrialState(outcome["state"])
    outcome["values"] = tuple(outcome["values"])
    outcome["artifacts"] = tuple(Artifact(**artifact) for artifact in outcome["artifacts"])
    if outcome["failure"] is not None:
        outcome["failure"] = Failure(
            **{**outcome["failure"], "kind": FailureKind(outcome["failure"]["kind"])}
        )
    reports = tuple(Report(**report) for report in item["reports"])
    files = tuple(LoggedFile(**{**file, "path": Path(file["path"])}) for file in item.get("files", ()))
    return SpooledResult(Claim(**item["claim"]), Outcome(**outcome), reports, files)
