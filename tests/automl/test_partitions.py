"""Partitions and the joint space."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from modelwright.automl.methods import load_methods
from modelwright.automl.partitions import find_partition, joint_space, partitions
from modelwright.errors import ConfigurationError

TASKS = ["binary", "multiclass", "regression"]


def test_the_counts_of_atm_are_kept() -> None:
    parts = partitions(load_methods(["logreg", "dt", "knn"], "binary"))
    assert Counter(part.method.name for part in parts) == {"logreg": 6, "dt": 2, "knn": 24}


def test_logistic_regression_has_the_partitions_of_its_tree() -> None:
    parts = partitions(load_methods(["logreg"], "binary"))
    found = [tuple(part.categoricals.values()) for part in parts]
    dual = [("l2", fit, dual) for fit in (True, False) for dual in (True, False)]
    assert found == [("l1", True), ("l1", False), *dual]
    assert all(list(part.tunables) == ["C", "tol"] for part in parts)
    assert parts[0].constants["_scale"] is True


def test_neighbours_have_the_numbers_that_their_categories_bring() -> None:
    for part in partitions(load_methods(["knn"], "binary")):
        expected = {"n_neighbors"}
        expected |= {"p"} if part.categoricals["metric"] == "minkowski" else set()
        expected |= {"leaf_size"} if part.categoricals["algorithm"] != "brute" else set()
        assert set(part.tunables) == expected


@pytest.mark.parametrize("task", TASKS)
def test_indices_count_from_zero_and_do_not_change(task: str) -> None:
    once, again = (partitions(load_methods(None, task)) for _ in range(2))
    assert [part.index for part in once] == list(range(len(once)))
    assert [part.label for part in once] == [part.label for part in again]
    assert len({part.label for part in once}) == len(once)


@pytest.mark.parametrize("task", TASKS)
def test_each_partition_lies_in_the_joint_space_and_is_found_again(task: str) -> None:
    methods = load_methods(None, task)
    space, parts, rng = joint_space(methods), partitions(methods), np.random.default_rng(0)
    for part in parts:
        for numbers in [part.tunables.default(), *part.tunables.sample_many(rng, 5)]:
            config = part.configuration(numbers)
            assert space.check(config) == config
            assert find_partition(parts, space.load(space.dump(config))) is part
            assert part.numbers(config) == numbers


def test_each_joint_configuration_lies_in_one_partition() -> None:
    methods = load_methods(None, "binary")
    space, parts = joint_space(methods), partitions(methods)
    for config in space.sample_many(np.random.default_rng(1), 200):
        assert sum(part.holds(config) for part in parts) == 1
        part = find_partition(parts, config)
        assert part.configuration(part.numbers(config)) == config
    with pytest.raises(ConfigurationError, match="belongs to no partition"):
        find_partition(parts, {"method": "svm"})


def test_arguments_leave_prefix_and_preparation_behind() -> None:
    [part, *_] = partitions(load_methods(["knn"], "binary"))
    arguments, preparation = part.method.arguments(part.configuration(part.tunables.default()))
    assert arguments.keys() == {"weights", "algorithm", "metric", "n_neighbors", "leaf_size", "p"}
    assert preparation == {"_impute": "median", "_onehot": True, "_scale": True}


def test_a_constant_category_brings_its_children(tmp_path: Path) -> None:
    file = tmp_path / "m.json"
    file.write_text(
        """{"name": "svm", "class": "sklearn.svm.SVC",
        "hyperparameters": {"kernel": {"type": "string", "values": ["poly"]},
                            "degree": {"type": "int", "range": [2, 5]}},
        "root_hyperparameters": ["kernel"], "conditions": {"kernel": {"poly": ["degree"]}}}""",
        encoding="utf-8",
    )
    methods = load_methods([str(file)])
    [part] = partitions(methods)
    assert (list(part.tunables), part.constants) == (["degree"], {"kernel": "poly"})
    joint_space(methods).check(part.configuration({"degree": 3}))


def test_a_grid_has_evenly_spaced_distinct_values() -> None:
    [first, *_] = partitions(load_methods(["logreg"], "binary"))
    grid = first.gridded(3).tunables
    assert grid.size == 9
    assert [round(value, 9) for value in grid["C"].choices] == [1e-5, 1.0, 1e5]
    [tree, *_] = partitions(load_methods(["dt"], "binary"))
    assert tree.gridded(5).tunables["min_samples_leaf"].choices == (1, 2, 3)
