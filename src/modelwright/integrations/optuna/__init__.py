"""Optuna: its studies read from files, our optimizers as a sampler of it, and its distributions as spaces.

Optuna keeps studies in SQL databases, of which SQLite files are read here (`database`), and in journals, text
files with one operation in each line (`journal`). Both give plain values, without Optuna and without
unpickling anything; `meaning` makes studies of them. All else needs Optuna itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelwright._base.lazy import lazy_names
from modelwright._base.optional import require
from modelwright.integrations.optuna.files import list_studies, read_study

if TYPE_CHECKING:
    from modelwright.integrations.optuna.sampler import ModelwrightSampler
    from modelwright.integrations.optuna.spaces import from_distributions, suggest, to_distributions

__all__ = [
    "ModelwrightSampler",
    "from_distributions",
    "list_studies",
    "read_study",
    "suggest",
    "to_distributions",
]


def _check_library() -> None:
    require("optuna", extra="optuna", feature="modelwright.integrations.optuna")


__getattr__ = lazy_names(
    __name__,
    {
        "ModelwrightSampler": "sampler",
        "from_distributions": "spaces",
        "suggest": "spaces",
        "to_distributions": "spaces",
    },
    before=_check_library,
)
