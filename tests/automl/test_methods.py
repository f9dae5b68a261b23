"""Method files: ATM's format to the letter, and clear errors for what does not fit it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from modelwright.automl.methods import (
    METHODS,
    default_methods,
    find_class,
    load_methods,
    read_method,
)
from modelwright.automl.methods.definition import read_definition
from modelwright.automl.methods.method import without_comments
from modelwright.automl.partitions import partitions
from modelwright.errors import InputError, UnknownNameError
from modelwright.space import Bool, Categorical, Constant, Float, Int

GAUSSIAN_PROCESS = """
{
  "name": "gp",
  "class": "sklearn.gaussian_process.GaussianProcessClassifier",  // a class of scikit-learn
  "hyperparameters": {
    "kernel": {"type": "string", "values": ["matern", "rational_quadratic", "exp_sine_squared"]},
    "nu": {"type": "float_cat", "values": [0.5, 1.5, 3.5]},
    "length_scale": {"type": "float_exp", "range": [1e-5, 1e5]},
    "alpha": {"type": "float", "range": [0, 1]},
    "periodicity": {"type": "int_cat", "values": [1, 2]}
  },
  // always passed
  "%s": ["kernel"],
  "%s": {
    "kernel": {
      "matern": ["nu"],
      "rational_quadratic": ["length_scale", "alpha"],
      "exp_sine_squared": ["length_scale", "periodicity"]
    }
  }
}
"""


def small(**changes: Any) -> dict[str, Any]:
    form: dict[str, Any] = {
        "name": "bnb",
        "class": "sklearn.naive_bayes.BernoulliNB",
        "hyperparameters": {
            "alpha": {"type": "float", "range": [0, 1]},
            "fit_prior": {"type": "bool", "values": [True, False]},
            "binarize": {"type": "float", "range": [0, 1]},
        },
        "root_hyperparameters": ["alpha", "fit_prior"],
        "conditions": {"fit_prior": {"True": ["binarize"]}},
    }
    return {key: value for key, value in {**form, **changes}.items() if value is not None}


def written(folder: Path, form: dict[str, Any] | str) -> Path:
    file = folder / "method.json"
    file.write_text(form if isinstance(form, str) else json.dumps(form), encoding="utf-8")
    return file


def refused(folder: Path, form: dict[str, Any] | str, *, own: bool = False) -> InputError:
    with pytest.raises(InputError) as caught:
        read_method(written(folder, form), own=own)
    assert "method.json" in caught.value.message
    return caught.value


# the format ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("roots", ["root_hyperparameters", "root_parameters"])
@pytest.mark.parametrize("conditions", ["conditions", "conditional_hyperparameters"])
def test_both_spellings_and_comments_are_read(tmp_path: Path, roots: str, conditions: str) -> None:
    method = read_method(written(tmp_path, GAUSSIAN_PROCESS % (roots, conditions)))
    found = [(dict(part.categoricals), sorted(part.tunables)) for part in partitions([method])]
    assert found == [
        ({"kernel": "matern", "nu": 0.5}, []),
        ({"kernel": "matern", "nu": 1.5}, []),
        ({"kernel": "matern", "nu": 3.5}, []),
        ({"kernel": "rational_quadratic"}, ["alpha", "length_scale"]),
        ({"kernel": "exp_sine_squared", "periodicity": 1}, ["length_scale"]),
        ({"kernel": "exp_sine_squared", "periodicity": 2}, ["length_scale"]),
    ]


def test_a_comment_sign_within_a_text_stays() -> None:
    assert json.loads(without_comments('{"a": "x//y\\"//z", // note "b"\n "c": 1}')) == {
        "a": 'x//y"//z',
        "c": 1,
    }


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"type": "float", "range": [0, 1]}, Float(0, 1)),
        ({"type": "float_exp", "range": [1e-5, 1e5]}, Float(1e-5, 1e5, log=True)),
        ({"type": "int", "range": [2, 10]}, Int(2, 10)),
        ({"type": "int_exp", "range": [1, 64]}, Int(1, 64, log=True)),
        ({"type": "int", "range": [2, 10], "default": 5}, Int(2, 10, default=5)),
        ({"type": "float_cat", "values": [1, 2.5, None]}, Categorical(1.0, 2.5, None)),
        ({"type": "int_cat", "values": [3, 4.0]}, Categorical(3, 4)),
        ({"type": "string", "values": ["a", None]}, Categorical("a", None)),
        ({"type": "bool", "values": [True, False]}, Categorical(True, False)),
        ({"type": "int", "range": [7]}, Constant(7)),
        ({"type": "float", "range": [2, 2]}, Constant(2.0)),
        ({"type": "bool", "values": [True]}, Constant(True)),
        ({"type": "string", "values": [None]}, Constant(None)),
    ],
)
def test_definitions_become_parameters(form: dict[str, Any], expected: Any) -> None:
    assert read_definition("x", form).parameter() == expected
    assert not isinstance(read_definition("x", form).parameter(), Bool)


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("C", "expected an object"),
        ({"type": "flaot", "range": [0, 1]}, "no type is called 'flaot'"),
        ({"type": "float"}, r"expected 'range': \[low, high\]"),
        ({"type": "float", "range": [1, 0]}, "from low to high"),
        ({"type": "float", "range": [0, "1"]}, "finite number"),
        ({"type": "float_exp", "range": [0, 1]}, "above 0"),
        ({"type": "int", "range": [0.5, 2]}, "whole number"),
        ({"type": "int", "range": [0, 2], "default": 3}, "outside the range"),
        ({"type": "string", "values": []}, "one value or more"),
        ({"type": "string", "values": ["a", "a"]}, "given twice"),
        ({"type": "bool", "values": ["yes"]}, "true or false"),
        ({"type": "int", "range": [1, 2], "step": 1}, "'step' is not known"),
    ],
)
def test_a_wrong_definition_is_named(form: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_definition("C", form)
    assert "'C'" in caught.value.message


def test_lists_are_taken_apart_and_put_together(tmp_path: Path) -> None:
    form = small(
        hyperparameters={
            "layers": {"type": "list", "list_length": [1, 2], "element": {"type": "int", "range": [2, 300]}},
            "_scale": {"type": "bool", "values": [True]},
        },
        root_hyperparameters=["layers", "_scale"],
        conditions=None,
    )
    one, two = partitions([read_method(written(tmp_path, form))])
    assert (list(one.tunables), list(two.tunables)) == (["layers[0]"], ["layers[0]", "layers[1]"])
    config = two.configuration({"layers[0]": 64, "layers[1]": 16})
    assert two.method.arguments(config) == ({"layers": [64, 16]}, {"_scale": True})


# what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"root_hyperparameters": ["alpha", "fit_prior", "binarize"]},
            "'binarize' is a child of 'fit_prior'",
        ),
        ({"root_hyperparameters": ["alpha", "alpha"]}, "'alpha' is given twice"),
        ({"root_hyperparameters": ["alpa", "fit_prior"]}, "'alpa', which is not defined"),
        ({"root_parameters": ["alpha"]}, "says again"),
        ({"conditions": {"fit_prior": {"maybe": ["binarize"]}}}, "no value 'maybe'"),
        ({"conditions": {"alpha": {"1": ["binarize"]}}}, "with values, not with a range"),
        ({"conditions": {"fit_prior": ["binarize"]}}, "expected 'conditions' to be"),
        ({"conditions": {"fit_prior": {"True": ["bin"]}}}, "'bin', which is not defined"),
        ({"name": "b n b"}, "expected 'name'"),
        ({"task": ["ranking"]}, "no task is called 'ranking'"),
        ({"hyperparameter": {}}, "the key 'hyperparameter' is not known"),
        ({"defaults": [{"alpha": 7}]}, "not one of its values"),
        ({"defaults": [{"beta": 7}]}, "no such hyperparameter"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    error = refused(tmp_path, small(**changes))
    assert message in error.message
    assert error.code == "E_METHOD"


def test_a_child_of_two_parents_is_refused(tmp_path: Path) -> None:
    hyperparameters = {**small()["hyperparameters"], "other": {"type": "bool", "values": [True, False]}}
    conditions = {"fit_prior": {"True": ["binarize"]}, "other": {"True": ["binarize"]}}
    form = small(
        hyperparameters=hyperparameters,
        root_hyperparameters=["fit_prior", "other"],
        conditions=conditions,
    )
    assert "both 'fit_prior' and 'other'" in refused(tmp_path, form).message


def test_an_unknown_preparation_is_refused(tmp_path: Path) -> None:
    form = small(
        hyperparameters={"_scal": {"type": "bool", "values": [True]}},
        root_hyperparameters=["_scal"],
        conditions=None,
    )
    error = refused(tmp_path, form)
    assert "no preparation is called '_scal'" in error.message
    assert "'_scale'" in error.hint


def test_what_is_no_json_is_refused(tmp_path: Path) -> None:
    assert "is not JSON" in refused(tmp_path, '{"name": "x", "name": "y"}').message
    with pytest.raises(InputError, match="cannot be read"):
        read_method(tmp_path / "absent.json")


# classes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["os.system", "subprocess.Popen", "sklearnx.Tree", "no dots", "", None, 7])
def test_a_class_outside_the_list_is_refused_without_an_import(tmp_path: Path, path: Any) -> None:
    error = refused(tmp_path, {**small(), "class": path})
    assert error.code == "E_METHOD_NOT_ALLOWED"


def test_nothing_is_imported_before_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap_module.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    assert refused(tmp_path, {**small(), "class": "trap_module.Trap"}).code == "E_METHOD_NOT_ALLOWED"
    assert "trap_module" not in sys.modules


@pytest.mark.parametrize(
    "reference",
    ["sklearn.tree.NoSuchTree", "sklearn.no_such_module.Tree", "sklearn.tree.export_text", "sklearn.base.os"],
)
def test_a_class_that_is_not_there_or_none_is_refused(reference: str) -> None:
    with pytest.raises(InputError) as caught:
        find_class(reference)
    assert caught.value.code == "E_METHOD_NOT_ALLOWED"


def test_a_class_of_ones_own_needs_a_method_file_given_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "class Mine:\n    def fit(self, X, y): return self\n    def predict(self, X): return X[:, 0]\n",
        encoding="utf-8",
    )
    form = {**small(), "class": "mine.py:Mine"}
    assert refused(tmp_path, form).code == "E_METHOD_NOT_ALLOWED"
    [method] = load_methods([str(written(tmp_path, form))])
    assert find_class(method.class_path).__name__ == "Mine"


# the catalogue ---------------------------------------------------------------------------------------


def test_every_shipped_method_is_whole() -> None:
    for task in ("binary", "multiclass", "regression"):
        for method in load_methods(default_methods(task), task):
            assert task in method.tasks
            assert find_class(method.class_path)
            assert method.defaults


def test_codes_stand_for_their_twins_in_regression() -> None:
    names = [
        method.name for method in load_methods(["lgbm", "et", "rf", "logreg", "knn", "dt"], "regression")
    ]
    assert names == ["lgbm", "et", "rf", "ridge", "knn", "dt"]
    assert all("regression" in method.tasks for method in load_methods(None, "regression"))


def test_unknown_and_unfit_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="'lgbm'"):
        load_methods(["lgmb"])
    with pytest.raises(InputError, match="not for binary"):
        load_methods(["ridge"], "binary")
    with pytest.raises(InputError, match="two of the methods are called 'dt'"):
        load_methods(["dt", "dt"])
    with pytest.raises(InputError, match="one method or more"):
        load_methods([])
    assert set(default_methods("binary")) < set(METHODS)
