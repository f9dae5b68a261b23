from __future__ import annotations

import json
import zipfile
from collections import Counter
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import ExtraTreesRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from modelwright.automl.bundle.trusted import check_contents
from modelwright.errors import BundleError


def code_of(path: Path) -> str:
    with pytest.raises(BundleError) as caught:
        check_contents(path)
    return caught.value.code


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticRegression(),
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(3, random_state=0),
        ExtraTreesRegressor(3, random_state=0),
        KNeighborsClassifier(algorithm="kd_tree"),
        KNeighborsClassifier(algorithm="ball_tree", metric="manhattan"),
        StandardScaler(),
        GaussianNB(),
        SVC(),
        MLPClassifier(max_iter=300, tol=0.1),
        SGDClassifier(),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_fitted_estimators_pass(tmp_path: Path, estimator: Any) -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    skops.io.dump(estimator.fit(X, (X[:, 0] > 0).astype(int)), tmp_path / "m.skops")
    check_contents(tmp_path / "m.skops")


@pytest.mark.parametrize(
    "thing",
    [
        partial(int, "7"),
        methodcaller("upper"),
        [1, {"deep": (print,)}],
        FunctionTransformer(np.log),
        Counter("abc"),
        StandardScaler().fit,
        {"s": slice(1)},
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_other_types_are_refused(tmp_path: Path, thing: Any) -> None:
    skops.io.dump(thing, tmp_path / "m.skops")
    assert code_of(tmp_path / "m.skops") == "E_UNTRUSTED_TYPE"


def skops_file(path: Path, schema: Any, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", schema if isinstance(schema, bytes) else json.dumps(schema))
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return path


def node(loader: str, module: str, name: str, **more: Any) -> dict[str, Any]:
    return {"__loader__": loader, "__module__": module, "__class__": name, **more}


@pytest.mark.parametrize(
    "schema",
    [
        node("OperatorFuncNode", "operator", "call"),
        node("MethodNode", "sklearn.tree._classes", "DecisionTreeClassifier"),
        node("ObjectNode", "os", "system"),
        node("ObjectNode", "sklearn.utils._bunch", "Bunch"),
        node("ObjectNode", "sklearn.tree._classes", "clone"),
        node("ObjectNode", "sklearnX.tree", "Tree"),
        node("LossNode", "os", "System"),
        node("DictNode", "collections", "OrderedDict"),
        node("TypeNode", "subprocess", "Popen"),
        node("ConstructorFromReduceNode", "builtins", "list"),
        {"content": [{"x": node("FunctionNode", "builtins", "eval")}]},
        {"__class__": "dict", "__module__": "builtins"},
        {"__loader__": "ObjectNode"},
    ],
)
def test_crafted_nodes_are_refused(tmp_path: Path, schema: Any) -> None:
    assert code_of(skops_file(tmp_path / "m.skops", schema)) == "E_UNTRUSTED_TYPE"


def test_a_deep_schema_ends_in_an_error_not_in_a_crash(tmp_path: Path) -> None:
    assert code_of(skops_file(tmp_path / "m.skops", b'{"a":' * 200_000)) == "E_MODEL_FORMAT"


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path) -> None:
    path = skops_file(tmp_path / "m.skops", node("DictNode", "builtins", "dict"), a_npy=bytes(60 * 2**20))
    assert path.stat().st_size < 100_000
    assert code_of(path) == "E_MODEL_FORMAT"


@pytest.mark.parametrize(
    "content", [b"", b"random", b"PK\x05\x06" + bytes(18)], ids=["empty", "random", "empty zip"]
)
def test_what_is_not_a_skops_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.skops").write_bytes(content)
    assert code_of(tmp_path / "m.skops") == "E_MODEL_FORMAT"


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    path = skops_file(tmp_path / "m.skops", node("DictNode", "builtins", "dict"), evil_pkl=b"\x80\x04.")
    assert code_of(path) == "E_UNTRUSTED_TYPE"


def array_bytes(array: np.ndarray[Any, Any], path: Path) -> bytes:
    np.save(path, array, allow_pickle=True)
    return path.read_bytes()


def test_arrays_are_judged_by_their_header(tmp_path: Path) -> None:
    good = array_bytes(np.arange(6.0).reshape(2, 3), tmp_path / "good.npy")
    check_contents(tmp_path / "good.npy")
    array_bytes(np.array([print], dtype=object), tmp_path / "objects.npy")
    assert code_of(tmp_path / "objects.npy") == "E_UNTRUSTED_TYPE"
    (tmp_path / "short.npy").write_bytes(good[:-8])
    assert code_of(tmp_path / "short.npy") == "E_MODEL_FORMAT"
    huge = good.replace(b"(2, 3), }          ", b"(2000000000, 3), } ")
    assert np.lib.format.MAGIC_PREFIX in huge
    assert b"2000000000" in huge
    (tmp_path / "huge.npy").write_bytes(huge)
    assert code_of(tmp_path / "huge.npy") == "E_MODEL_FORMAT"
    (tmp_path / "odd.npy").write_bytes(good.replace(b"(2, 3), }", b"(2, 3), {"))
    assert code_of(tmp_path / "odd.npy") == "E_MODEL_FORMAT"
    (tmp_path / "junk.npy").write_bytes(b"junk")
    assert code_of(tmp_path / "junk.npy") == "E_MODEL_FORMAT"


@pytest.mark.parametrize("name", ["m.pkl", "m.joblib", "m.pt", "m.npz", "m.py", "m.so", "m"])
def test_other_kinds_of_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    assert code_of(tmp_path / name) == "E_UNTRUSTED_TYPE"
