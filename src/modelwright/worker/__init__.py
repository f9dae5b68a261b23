"""Workers: processes that run trials of the studies in a storage, on any number of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names

if TYPE_CHECKING:
    from modelwright.worker.board import Board
    from modelwright.worker.options import WorkerOptions
    from modelwright.worker.running import run_workers
    from modelwright.worker.status import WorkerRow, worker_rows

__all__ = ["Board", "WorkerOptions", "WorkerRow", "run_workers", "worker_rows"]

__getattr__ = lazy_names(
    __name__,
    {
        "Board": "board",
        "WorkerOptions": "options",
        "WorkerRow": "status",
        "run_workers": "running",
        "worker_rows": "status",
    },
)
