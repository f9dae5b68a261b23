"""ConfigSpace: its spaces as ours and the other way, with conditions and forbidden clauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright._base.optional import require

if TYPE_CHECKING:
    from modelwright.integrations.configspace.reading import from_configspace
    from modelwright.integrations.configspace.writing import to_configspace

__all__ = ["from_configspace", "to_configspace"]


def _check_library() -> None:
    require("ConfigSpace", extra="configspace", feature="modelwright.integrations.configspace")


__getattr__ = lazy_names(
    __name__, {"from_configspace": "reading", "to_configspace": "writing"}, before=_check_library
)
