"""The methods that are shipped, and the loading of any."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from modelwright._base.registry import nearest
from modelwright.automl.methods.method import Method, read_method
from modelwright.errors import InputError, UnknownNameError

__all__ = ["METHODS", "default_methods", "load_methods"]

METHODS: dict[str, tuple[str, ...]] = {
    "lgbm": ("lgbm.json",),
    "et": ("et.json", "et_regression.json"),
    "rf": ("rf.json", "rf_regression.json"),
    "logreg": ("logreg.json", "ridge.json"),
    "ridge": ("ridge.json",),
    "knn": ("knn.json", "knn_regression.json"),
    "dt": ("dt.json", "dt_regression.json"),
}
"""Code -> files, of which the first that can do the task is taken: a method and its twin for regression."""

_FOLDER = Path(__file__).parent


def default_methods(task: str | None = None) -> tuple[str, ...]:
    """Return the codes of the methods that a search uses unless it is told otherwise.

    Examples
    --------
    >>> default_methods("regression")
    ('lgbm', 'et', 'rf', 'ridge', 'knn', 'dt')
    """
    left_out = "logreg" if task == "regression" else "ridge"
    return tuple(code for code in METHODS if code != left_out)


def load_methods(names: Iterable[str] | None, task: str | None = None) -> list[Method]:
    """Return methods by their codes or by the paths of their files, in the order given.

    Parameters
    ----------
    names : iterable of str, optional
        Codes of `METHODS`, or paths that end in ``.json``; `default_methods` if None. For regression a
        classifier's code stands for its twin: ``logreg`` for ridge regression, ``dt`` for a regression tree.
    task : {"binary", "multiclass", "regression"}, optional
        What is predicted; None only checks that all are there.

    Raises
    ------
    UnknownNameError
        A code that is not known.
    InputError
        A file that is not right, a method that cannot do the task, or two of one name.

    Examples
    --------
    >>> [method.name for method in load_methods(["knn", "logreg"], "binary")]
    ['knn', 'logreg']
    >>> [method.name for method in load_methods(["knn", "logreg"], "regression")]
    ['knn', 'ridge']
    """
    methods: list[Method] = []
    for name in default_methods(task) if names is None else names:
        method = _load(name, task)
        if any(method.name == other.name for other in methods):
            raise InputError(
                f"two of the methods are called {method.name!r}.", hint="Name each once.", code="E_METHOD"
            )
        methods.append(method)
    if not methods:
        raise InputError("expected one method or more, got none.", code="E_METHOD")
    return methods


def _load(name: str, task: str | None) -> Method:
    if name.endswith(".json"):
        candidates = [read_method(Path(name), own=True)]
    elif name in METHODS:
        candidates = [_shipped(file) for file in METHODS[name]]
    else:
        raise UnknownNameError(
            f"no method is called {name!r}.",
            hint=nearest(name, list(METHODS))
            + " A method file of your own is given by its path, with .json.",
        )
    for method in candidates:
        if task is None or task in method.tasks:
            return method
    raise InputError(
        f"the method {name!r} is for {' and '.join(candidates[0].tasks)}, not for {task}.",
        hint="Leave it out, or choose from: " + ", ".join(default_methods(task)) + ".",
        code="E_METHOD_TASK",
    )


@cache
def _shipped(file: str) -> Method:
    return read_method(_FOLDER / file)
