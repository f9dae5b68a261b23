"""The portfolio: what is tried first, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelwright.automl.methods import load_methods
from modelwright.automl.partitions import joint_space, partitions
from modelwright.automl.portfolio import portfolio
from modelwright.errors import InputError

TASKS = ["binary", "multiclass", "regression"]


@pytest.mark.parametrize("task", TASKS)
def test_the_portfolio_starts_with_each_method_once(task: str) -> None:
    methods = load_methods(None, task)
    parts = partitions(methods)
    first = portfolio(methods, parts)
    assert {item.partition.method.name for item in first[: len(methods)]} == {m.name for m in methods}
    assert [item.round for item in first] == sorted(item.round for item in first)
    space = joint_space(methods)
    keys = {space.key(space.check(item.partition.configuration(item.numbers))) for item in first}
    assert len(keys) == len(first)


def test_a_default_without_its_parent_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(
        """{"name": "svm", "class": "sklearn.svm.SVC",
        "hyperparameters": {"kernel": {"type": "string", "values": ["poly", "rbf"]},
                            "degree": {"type": "int", "range": [2, 5]}},
        "root_hyperparameters": ["kernel"], "conditions": {"kernel": {"poly": ["degree"]}},
        "defaults": [{"kernel": "rbf", "degree": 3}]}""",
        encoding="utf-8",
    )
    methods = load_methods([str(file)])
    with pytest.raises(InputError, match="in none of its partitions"):
        portfolio(methods, partitions(methods))
