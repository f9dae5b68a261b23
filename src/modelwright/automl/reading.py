"""From what a user names as tables to `Tables`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modelwright.automl.data import Finding, read_table
from modelwright.automl.prepare import Tables

__all__ = ["read_tables"]


def read_tables(source: Any, test: Any = None, *, target: str | None = None) -> Tables:
    """Read the table to learn from, and the one to test on if there is one.

    Parameters
    ----------
    source, test : str, Path or DataFrame
        Files are read by `modelwright.automl.data.read_table`.
    target : str, optional
        Name of the target, which helps to find the header.
    """
    train = read_table(source, target=target)
    notes: list[Finding] = list(train.notes)
    test_frame = None
    if test is not None:
        read = read_table(test, target=target)
        test_frame = read.frame
        notes += read.notes
    is_path = isinstance(source, (str, os.PathLike))
    return Tables(
        train.frame,
        test_frame,
        name=Path(source).name.split(".")[0] if is_path else "table",
        path=str(source) if is_path else "",
        test_path=str(test) if isinstance(test, (str, os.PathLike)) else None,
        notes=notes,
    )
