"""A table on its way to a matrix: reading, types, checks, encoding.

The modules that work on frames need pandas; they are loaded when a name of theirs is first used, so that a
trial's process, which only maps a `TableStore` into memory, starts without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright._base.optional import require
from modelwright.automl.data.findings import Finding
from modelwright.automl.data.store import TableStore

if TYPE_CHECKING:
    from modelwright.automl.data.checks import check_table
    from modelwright.automl.data.columns import Column
    from modelwright.automl.data.encode import Encoder
    from modelwright.automl.data.infer import infer_schema
    from modelwright.automl.data.metadata import dataset_metadata, fingerprint
    from modelwright.automl.data.read import ReadLimits, ReadResult, read_table
    from modelwright.automl.data.schema import Schema

__all__ = [
    "Column",
    "Encoder",
    "Finding",
    "ReadLimits",
    "ReadResult",
    "Schema",
    "TableStore",
    "check_table",
    "dataset_metadata",
    "fingerprint",
    "infer_schema",
    "read_table",
]


def _check_libraries() -> None:
    require("pandas", extra="tabular", feature="modelwright.automl")


__getattr__ = lazy_names(
    __name__,
    {
        "Column": "columns",
        "Encoder": "encode",
        "ReadLimits": "read",
        "ReadResult": "read",
        "Schema": "schema",
        "check_table": "checks",
        "dataset_metadata": "metadata",
        "fingerprint": "metadata",
        "infer_schema": "infer",
        "read_table": "read",
    },
    before=_check_libraries,
)
