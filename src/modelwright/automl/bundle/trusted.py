"""What a bundle may contain: kinds of files, and the types inside a skops file.

The lists are ours and come with this version of the program; nothing that a bundle says about itself
can widen them. Files are read here as plain data: no class is imported and no object is built, so a
hostile file is refused before any library that would act on it sees it.
"""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelwright._base import jsonform
from modelwright.errors import BundleError

__all__ = ["ALLOWED_SUFFIXES", "check_contents", "check_kind", "is_trusted"]

ALLOWED_SUFFIXES = frozenset({".cbm", ".json", ".npy", ".safetensors", ".skops", ".txt", ".ubj"})

_PLAIN = re.compile(r"builtins\.(bool|float|int|list|str|tuple|NoneType)")
_NUMPY = re.compile(r"numpy\.(ndarray|bool_?|intp|u?int(8|16|32|64)|float(32|64)|str_|object_)")
_PACKAGES = (
    "calibration|cross_decomposition|discriminant_analysis|dummy|ensemble|gaussian_process|impute|isotonic|"
    "linear_model|multiclass|naive_bayes|neighbors|neural_network|preprocessing|svm|tree"
)
_SKLEARN = re.compile(rf"sklearn\.({_PACKAGES})\.(\w+\.)*_*[A-Z]\w*")
_SKLEARN_INNER = re.compile(r"sklearn\.(_loss\.\w+|metrics\._dist_metrics)\.[A-Z]\w*")

# By the part of skops that would build the object. Parts that call functions, methods, operators or
# `__reduce__` of any type are absent on purpose: with them, a list of types would not be enough. What is
# listed here must still pass skops' own list of known estimators when it is loaded.
_TYPES_BY_LOADER: dict[str, tuple[re.Pattern[str], ...]] = {
    "CachedNode": (_PLAIN, _NUMPY, _SKLEARN, _SKLEARN_INNER, re.compile(r"builtins\.dict")),
    "DictNode": (re.compile(r"builtins\.dict"),),
    "DTypeNode": (_NUMPY,),
    "JsonNode": (_PLAIN,),
    "ListNode": (re.compile(r"builtins\.list"),),
    "LossNode": (_SKLEARN_INNER, re.compile(r"sklearn\.linear_model\._sgd_fast\.[A-Z]\w*")),
    "NdArrayNode": (_NUMPY,),
    "ObjectNode": (_SKLEARN, _SKLEARN_INNER),
    "RandomGeneratorNode": (re.compile(r"numpy\.random\._generator\.Generator"),),
    "RandomStateNode": (re.compile(r"numpy\.random\.mtrand\.RandomState"),),
    "TreeNode": (re.compile(r"sklearn\.tree\._tree\.Tree"),),
    "TupleNode": (re.compile(r"builtins\.tuple"),),
    "TypeNode": (_PLAIN, _NUMPY),
}

_SCHEMA_LIMIT = 512 * 2**20
_UNPACKED_FREE = 50 * 2**20
_UNPACKED_RATIO = 100


def is_trusted(loader: str, type_name: str) -> bool:
    """Return whether the part `loader` of skops may build an object of `type_name`.

    Examples
    --------
    >>> is_trusted("ObjectNode", "sklearn.tree._classes.DecisionTreeClassifier")
    True
    >>> is_trusted("FunctionNode", "builtins.exec")
    False
    """
    return any(pattern.fullmatch(type_name) for pattern in _TYPES_BY_LOADER.get(loader, ()))


def check_kind(path: Path) -> None:
    """Refuse a file whose name says that it is of a kind that bundles do not hold; cheap.

    Raises
    ------
    BundleError
        ``E_UNTRUSTED_TYPE``.
    """
    if path.suffix not in ALLOWED_SUFFIXES:
        raise _untrusted(path, f"files of the kind {path.suffix!r} are not part of bundles")


def check_contents(path: Path) -> None:
    """Refuse a file of a bundle that holds more than data and trusted types.

    Raises
    ------
    BundleError
        ``E_UNTRUSTED_TYPE``, or ``E_MODEL_FORMAT`` for a file that is not what its name says.
    """
    check_kind(path)
    if path.suffix == ".skops":
        _check_skops(path)
    elif path.suffix == ".npy":
        with path.open("rb") as file:
            _check_array(path, file, path.stat().st_size)


def _check_skops(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            _check_sizes(path, archive)
            schema = jsonform.loads(archive.read("schema.json"))
            arrays = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            if len(arrays) + 1 != len(archive.infolist()):
                raise _untrusted(path, "it holds files other than arrays")
            for info in arrays:
                with archive.open(info) as file:
                    _check_array(path, file, info.file_size)
    except (zipfile.BadZipFile, KeyError, ValueError, RecursionError, NotImplementedError) as error:
        if isinstance(error, BundleError):
            raise
        raise _damaged(path, f"it is not a skops file ({error})") from None
    wrong = sorted({f"{name} by {loader}" for loader, name in _nodes(schema) if not is_trusted(loader, name)})
    if wrong:
        raise _untrusted(path, "it holds " + ", ".join(wrong[:5]))


def _nodes(schema: Any) -> Iterator[tuple[str, str]]:
    """Give loader and type of each node; without recursion, so depth cannot end the process."""
    todo = [schema]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if "__loader__" in item or "__class__" in item:
                yield str(item.get("__loader__")), f"{item.get('__module__')}.{item.get('__class__')}"
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)


def _check_sizes(path: Path, archive: zipfile.ZipFile) -> None:
    unpacked = sum(info.file_size for info in archive.infolist())
    limit = max(_UNPACKED_FREE, _UNPACKED_RATIO * path.stat().st_size)
    if unpacked > limit or archive.getinfo("schema.json").file_size > _SCHEMA_LIMIT:
        raise _damaged(path, f"it would unpack to {unpacked:,} bytes")


def _check_array(path: Path, file: Any, size: int) -> None:
    """Check that an array holds plain numbers and is as large as it says, by its header alone."""
    try:
        version = np.lib.format.read_magic(file)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(file)
    except Exception as error:  # a header is Python text to numpy, and odd text fails in many ways
        raise _damaged(path, f"it is not a numpy array ({error})") from None
    if dtype.hasobject:
        raise _untrusted(path, "it holds an array of Python objects")
    if file.tell() + math.prod(shape) * dtype.itemsize != size:
        raise _damaged(path, f"an array of shape {shape} does not fit its {size:,} bytes")


def _untrusted(path: Path, what: str) -> BundleError:
    return BundleError(
        f"expected only data and known model types in {path.name!r}, but {what}.",
        hint="Nothing was loaded from it. Use bundles only from a source that you trust.",
        code="E_UNTRUSTED_TYPE",
    )


def _damaged(path: Path, what: str) -> BundleError:
    return BundleError(
        f"cannot use the file {path.name!r} of the bundle: {what}.",
        hint="Copy the bundle again from where it was written.",
        code="E_MODEL_FORMAT",
    )
