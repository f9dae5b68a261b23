"""Tables of trials as Parquet files: one type for each column, and JSON text where values are of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from modelwright._base.clock import from_us
from modelwright._base.optional import require
from modelwright.errors import InputError
from modelwright.storage.jsontext import decode, encode
from modelwright.transfer.cells import is_utf8
from modelwright.transfer.columns import value_columns

__all__ = ["is_parquet", "read_parquet", "read_parquet_header", "write_parquet"]

_MAGIC = b"PAR1"
_MARK = {b"modelwright": b"json"}
_EXACT = 2**53
_ABSENT = object()


def write_parquet(file: BinaryIO, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows, in which what a trial lacks is absent, as one table."""
    pyarrow = require("pyarrow", extra="tabular", feature="exporting to Parquet")
    parquet = require("pyarrow.parquet", extra="tabular", feature="exporting to Parquet")
    fields, arrays = [], []
    for name in columns:
        values = [row[name] for row in rows if name in row]
        kind = _type_of(pyarrow, name, values)
        in_json = kind is None
        fields.append(
            pyarrow.field(_utf8(name), kind or pyarrow.string(), metadata=_MARK if in_json else None)
        )
        cells = [row.get(name) for row in rows]
        if in_json:
            cells = [encode(row[name]) if name in row else None for row in rows]
        arrays.append(pyarrow.array(cells, type=fields[-1].type))
    parquet.write_table(pyarrow.table(arrays, schema=pyarrow.schema(fields)), file)


def _utf8(name: str) -> str:
    """Return a column's name; Parquet has no place for half a surrogate pair, which is spelt out as JSON."""
    return name if is_utf8(name) else encode(name)


def _type_of(pyarrow: Any, name: str, values: Sequence[Any]) -> Any:
    """Return the type of a column, None if it has to be JSON text."""
    if name in ("datetime_start", "datetime_complete"):
        return pyarrow.timestamp("us", tz="UTC")
    if name in ("duration", "fidelity") or value_columns([name]):
        return pyarrow.float64()
    kinds = {type(value) for value in values}
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return pyarrow.int64()
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {str} and all(map(is_utf8, values)):
        return pyarrow.string()
    if kinds <= {int, float} and all(abs(value) <= _EXACT for value in values if type(value) is int):
        return pyarrow.float64()
    return None


def is_parquet(path: Path) -> bool:
    """Return whether a file begins as Parquet files do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_parquet_header(path: Path) -> list[str]:
    """Return the columns of a Parquet file; see `read_parquet`."""
    with _reading(path) as (_, parquet, file):
        return _names(parquet.read_schema(file))


def read_parquet(path: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the columns of a Parquet file and its rows, in which what a trial lacks is absent.

    Raises
    ------
    InputError
        It is no whole Parquet file.
    """
    with _reading(path) as (pyarrow, parquet, file):
        table = parquet.read_table(file)
        names = _names(table.schema)
        columns = [_values(pyarrow, *item) for item in zip(table.schema, table.columns, strict=True)]
    rows = (zip(names, row, strict=True) for row in zip(*columns, strict=True))
    return names, [{name: value for name, value in row if value is not _ABSENT} for row in rows]


@contextmanager
def _reading(path: Path) -> Iterator[tuple[Any, Any, BinaryIO]]:
    pyarrow = require("pyarrow", extra="tabular", feature="importing Parquet")
    parquet = require("pyarrow.parquet", extra="tabular", feature="importing Parquet")
    try:
        with path.open("rb") as file:
            yield pyarrow, parquet, file
    except (pyarrow.ArrowException, ValueError) as error:
        raise InputError(f"{str(path)!r} cannot be read as Parquet: {error!s:.200}.", code="E_FORM") from None


def _names(schema: Any) -> list[str]:
    return [str(decode(name)) if name.startswith('"') else name for name in schema.names]


def _values(pyarrow: Any, field: Any, column: Any) -> list[Any]:
    if pyarrow.types.is_timestamp(field.type):
        whole = column.cast(pyarrow.timestamp("us", tz="UTC")).cast(pyarrow.int64()).to_pylist()
        return [_ABSENT if cell is None else from_us(cell) for cell in whole]
    in_json = (field.metadata or {}).items() >= _MARK.items()
    return [_ABSENT if cell is None else decode(cell) if in_json else cell for cell in column.to_pylist()]
