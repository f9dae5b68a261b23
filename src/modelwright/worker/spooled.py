"""Results that workers of this user could not tell a ledger, told now."""

from __future__ import annotations

from modelwright.errors import InputError, StudyNotFoundError
from modelwright.study.spool import resume_spool
from modelwright.worker.opening import open_ledger
from modelwright.worker.options import WorkerOptions
from modelwright.worker.places import spool_folder

__all__ = ["tell_spooled"]


def tell_spooled(options: WorkerOptions) -> list[str]:
    """Tell the ledger every result that was kept for it, and return a line about each file.

    Files for other ledgers stay where they are.

    Raises
    ------
    StorageUnavailableError
        The ledger is still out of reach.
    """
    files = sorted(spool_folder().glob("results-*.json"))
    if not files:
        return ["no results were kept"]
    lines = []
    storage = open_ledger(options)
    try:
        for path in files:
            try:
                answers = resume_spool(storage, path)
            except (StudyNotFoundError, InputError) as error:
                lines.append(f"{path.name} stays: {error}")
            else:
                told = ", ".join(
                    f"trial {number} {answer.value}" for number, answer in sorted(answers.items())
                )
                lines.append(f"{path.name}: {told}")
    finally:
        storage.close()
    return lines
