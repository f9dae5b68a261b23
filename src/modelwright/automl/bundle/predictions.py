"""From a file with a table to a file with predictions."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pandas as pd

from modelwright.automl.bundle.files import new_file
from modelwright.automl.bundle.load import Bundle
from modelwright.automl.data import Finding, ReadLimits, read_table
from modelwright.errors import InputError

__all__ = ["predict_file", "safe_cell"]

# Spreadsheet programs run a cell that begins so; a plain number such as -1 does no harm.
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def predict_file(
    bundle: Bundle,
    in_path: str | os.PathLike[str],
    out_path: str | os.PathLike[str],
    *,
    safe_csv: bool = True,
    limits: ReadLimits | None = None,
    findings: list[Finding] | None = None,
) -> int:
    """Predict each row of a file and write the predictions as CSV (UTF-8, commas).

    The first column bears the name of the target and holds labels or values; for classes, one column
    ``probability_<label>`` for each follows. Row for row it goes with the table. The file is written
    under another name and renamed, so it is there whole or not at all.

    Parameters
    ----------
    bundle : Bundle
        The model.
    in_path : path
        Anything that `read_table` reads.
    out_path : path
        The CSV file; an older one is replaced.
    safe_csv : bool, default=True
        Whether labels that a spreadsheet program would take for a formula (text that begins with
        ``=``, ``+``, ``-`` or ``@`` and is no number) are written with an apostrophe in front. With
        False, all labels are written as they are.
    limits : ReadLimits, optional
        What reading may cost.
    findings : list of Finding, optional
        Gets a note for all that was left out or counted as missing.

    Returns
    -------
    int
        The number of rows, the same in both files.

    Raises
    ------
    DataError
        The file cannot be read, or does not fit the bundle's schema.
    InputError
        ``E_PATH``: `out_path` is not a place for a file, or is the table itself.
    """
    target = Path(out_path)
    _check_place(Path(in_path), target)
    table = read_table(in_path, names=[column.name for column in bundle.schema.columns], limits=limits)
    if findings is not None:
        findings += table.notes
    outputs = bundle.outputs(table.frame, findings=findings)
    result = _as_table(bundle, outputs, safe_csv)
    with new_file(target) as temporary:
        result.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")
    return len(result)


def safe_cell(value: Any) -> Any:
    """Return `value` so that no spreadsheet program runs it.

    Examples
    --------
    >>> [safe_cell(value) for value in ("=1+1", "-5", "- none", -5, "plain")]
    ["'=1+1", '-5', "'- none", -5, 'plain']
    """
    if isinstance(value, str) and value.startswith(_FORMULA_START) and not _NUMBER.fullmatch(value):
        return "'" + value
    return value


def _as_table(bundle: Bundle, outputs: pd.DataFrame, safe_csv: bool) -> pd.DataFrame:
    cell = safe_cell if safe_csv else lambda value: value
    labels = bundle.labels(outputs)
    columns: list[tuple[str, Any]] = [(cell(bundle.manifest.target), labels.map(cell).to_numpy())]
    for place, label in enumerate(bundle.classes):
        columns.append((f"probability_{label}", outputs.iloc[:, place].to_numpy()))
    # By position: two labels such as 1 and "1" may be written alike.
    table = pd.concat([pd.Series(values) for _, values in columns], axis=1)
    return table.set_axis([name for name, _ in columns], axis=1)


def _check_place(source: Path, target: Path) -> None:
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else f"lies in {str(target.parent)!r}, which does not exist"
        raise InputError(
            f"expected a file to write to, but {str(target)!r} {what}.",
            hint="Give another path with -o.",
            code="E_PATH",
        )
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(
            f"expected another file for the predictions than the table {str(source)!r} itself.",
            hint="Give another path with -o.",
            code="E_PATH",
        )
