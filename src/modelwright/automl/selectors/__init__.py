"""Selectors: bandits that choose the partition of the next trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from modelwright._base.options import accepted_options
from modelwright._base.registry import Registry
from modelwright.automl.selectors.base import Arm, Scores, Selector

__all__ = ["SELECTORS", "Arm", "Scores", "Selector", "make_selector"]

SELECTORS = Registry(
    "selector",
    {
        "uniform": "modelwright.automl.selectors.uniform:Uniform",
        "ucb1": "modelwright.automl.selectors.ucb1:UCB1",
        "bestk": "modelwright.automl.selectors.bestk:BestK",
        "hieralg": "modelwright.automl.selectors.hierarchical:HierarchicalByMethod",
    },
    "modelwright.selectors",
)


def make_selector(
    name: str, choices: Sequence[Arm], *, k: int, by_method: Mapping[str, Sequence[Arm]]
) -> Selector:
    """Build a selector from its name or from ``"path/to/file.py:Class"``.

    It gets those of `k` and `by_method` that it takes by keyword.

    Raises
    ------
    UnknownNameError
        Nothing of that name, no such file, or no such class in it.

    Examples
    --------
    >>> make_selector("bestk", [0, 1], k=3, by_method={"knn": [0, 1]}).k
    3
    """
    factory = SELECTORS.get(name)
    offered: dict[str, Any] = {"k": k, "by_method": by_method}
    taken = accepted_options(factory)
    options = {key: value for key, value in offered.items() if taken is None or key in taken}
    return cast(Selector, factory(choices, **options))
