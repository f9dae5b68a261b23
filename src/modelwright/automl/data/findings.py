"""What was noticed about a table, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Finding"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was noticed about a table.

    Attributes
    ----------
    level : {"info", "warning", "error"}
        How much it matters: good to know, likely to hurt, not usable.
    code : str
        A stable short name, such as ``"W_LEAK"``.
    column : str, optional
        The column that it is about; None for the whole table.
    message : str
        One sentence or two, with figures.

    Examples
    --------
    >>> finding = Finding("info", "I_CONSTANT", "country", "all 90 values are 'NL'; the column is not used.")
    >>> Finding.from_json(finding.to_json()) == finding
    True
    """

    level: Literal["info", "warning", "error"]
    code: str
    column: str | None
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.level, self.column, self.message) if part)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, form: Mapping[str, Any]) -> Finding:
        """Read what `to_json` wrote."""
        return cls(form["level"], form["code"], form["column"], form["message"])
