"""The ledger: studies, trials and attempts, in memory or in a database.

`open_storage` turns an address into a storage; `base` holds the contract that each of them keeps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright.storage.base import (
    Changes,
    Claim,
    Controls,
    Event,
    Finish,
    NoClaim,
    Storage,
    StudyRecord,
    WorkerInfo,
)
from modelwright.storage.memory import MemoryStorage
from modelwright.storage.url import open_existing, open_storage

if TYPE_CHECKING:
    from modelwright.storage.entries import Dataset, EnsembleRecord, Partition
    from modelwright.storage.sql import SQLStorage

__all__ = [
    "Changes",
    "Claim",
    "Controls",
    "Dataset",
    "EnsembleRecord",
    "Event",
    "Finish",
    "MemoryStorage",
    "NoClaim",
    "Partition",
    "SQLStorage",
    "Storage",
    "StudyRecord",
    "WorkerInfo",
    "open_existing",
    "open_storage",
]

# Studies in memory do without these, and the last one loads SQLAlchemy.
__getattr__ = lazy_names(
    __name__, {"Dataset": "entries", "EnsembleRecord": "entries", "Partition": "entries", "SQLStorage": "sql"}
)
