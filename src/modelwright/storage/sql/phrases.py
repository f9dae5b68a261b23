"""Statements in the words of a driver, so that many of them go in one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CompoundSelect, Delete, Dialect, Executable, Insert, Row, Select, Update, types
from sqlalchemy.engine.result import IteratorResult, SimpleResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler

__all__ = ["Part", "Phrase", "Phrases"]

_QUERIES = (Select, CompoundSelect)
_PLAIN = (types.Integer, types.String, types.Double)  # drivers give them as they are


class Phrase:
    """A statement as a driver takes it.

    Parameters
    ----------
    text : str
        With a mark for each value.
    values : Mapping
        The values that are always the same, by the names of their marks.
    columns : sequence of str, optional
        The names of what a query finds; None for a statement without rows.

    Attributes
    ----------
    encoded : bytes
        The text again: some drivers take it so.
    """

    __slots__ = ("_columns", "encoded", "finds", "text", "values")

    def __init__(
        self, text: str, values: Mapping[str, Any] | None = None, columns: Sequence[str] | None = None
    ) -> None:
        self.text = text
        self.encoded = text.encode()
        self.values = values or {}
        self.finds = columns is not None
        self._columns = SimpleResultMetaData(columns or ())

    def rows(self, found: Sequence[tuple[Any, ...]]) -> Sequence[Row[Any]]:
        """Return what a driver found in the form that rows have everywhere else."""
        result: IteratorResult[Any] = IteratorResult(self._columns, iter(found))
        return result.all()


Part = tuple[Phrase, Mapping[str, Any]]
"""A part of a message: a statement with all its values."""


class Phrases:
    """Compiles statements for one dialect, each once.

    Parameters
    ----------
    dialect : Dialect
        Of the engine.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._known: dict[tuple[Executable, tuple[str, ...]], Phrase | None] = {}

    def part(self, statement: Executable, values: Mapping[str, Any]) -> Part | None:
        """Return a statement with its values; None if it is one that SQLAlchemy has to execute."""
        key = statement, tuple(values)
        if key in self._known:
            phrase = self._known[key]
        else:
            phrase = self._known[key] = self._compile(statement, values)
        return None if phrase is None else (phrase, {**phrase.values, **values})

    def _compile(self, statement: Executable, values: Mapping[str, Any]) -> Phrase | None:
        if not isinstance(statement, (*_QUERIES, Insert, Update, Delete)):
            return None
        compiled = statement.compile(dialect=self._dialect, column_keys=list(values))
        assert isinstance(compiled, SQLCompiler)
        if compiled.post_compile_params:  # a list of values is as long as it happens to be
            return None
        # Numbers, text and None pass as they are; another type of column would need to be converted here.
        assert not compiled._bind_processors, statement
        always = {name: value for name, value in compiled.params.items() if name not in values}
        if not isinstance(statement, _QUERIES):
            return Phrase(compiled.string, always)
        columns = statement.selected_columns
        assert all(isinstance(column.type, _PLAIN) for column in columns), statement
        return Phrase(compiled.string, always, columns.keys())
