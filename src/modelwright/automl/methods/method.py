"""A learner with its declared hyperparameters, and the reading of its JSON file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from modelwright._base import jsonform
from modelwright._base.registry import nearest
from modelwright.automl.methods.classes import check_class
from modelwright.automl.methods.definition import Definition, read_definition
from modelwright.automl.methods.tree import Conditions, expand_lists, read_conditions, read_roots
from modelwright.errors import InputError

__all__ = ["Method", "read_method", "without_comments"]

_TASKS = ("binary", "multiclass", "regression")
_PREPARATION = ("_impute", "_onehot", "_scale", "_scale_minmax")
_KEYS = ("name", "class", "task", "order", "hyperparameters", "defaults")
_SYNONYMS = {"root_parameters": "root_hyperparameters", "conditional_hyperparameters": "conditions"}
_ELEMENT = re.compile(r"(.+)\[(\d+)\]")
# A text in double quotes, which is kept, or a comment up to the end of its line.
_TEXT_OR_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*')


@dataclass(frozen=True, slots=True)
class Method:
    """A method, as its file declares it.

    Attributes
    ----------
    name : str
        Short code, such as ``"knn"``.
    class_path : str
        The class, as `find_class` takes it.
    tasks : tuple of str
        What it can predict.
    hyperparameters : mapping of str to Definition
        Those that are used, lists already taken apart.
    roots : tuple of str
        Those that are always passed.
    conditions : mapping
        parent -> text of its value -> children that are passed then.
    defaults : tuple of mapping
        Configurations to try first, each of them partial.
    order : float
        Rank in the order of trying: the least first.
    source : str
        The file.
    """

    name: str
    class_path: str
    tasks: tuple[str, ...]
    hyperparameters: Mapping[str, Definition]
    roots: tuple[str, ...]
    conditions: Conditions
    defaults: tuple[Mapping[str, Any], ...] = ()
    order: float = 100.0
    source: str = ""

    def key(self, parameter: str) -> str:
        """Return the name of one of its parameters in the joint space."""
        return f"{self.name}:{parameter}"

    def arguments(self, config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Take a joint configuration apart.

        Returns
        -------
        tuple of dict
            The arguments of the class, lists put together again; and the options of the preparation, whose
            names begin with an underscore and which the class never sees.
        """
        prefix = f"{self.name}:"
        own = {name.removeprefix(prefix): value for name, value in config.items() if name.startswith(prefix)}
        preparation = {name: value for name, value in own.items() if name.startswith("_")}
        arguments: dict[str, Any] = {}
        for name, value in own.items():
            element = _ELEMENT.fullmatch(name)
            if element:
                arguments.setdefault(element[1], []).append(value)
            elif not name.startswith(("_", "len(")):
                arguments[name] = value
        return arguments, preparation


def read_method(file: Path, *, own: bool = False) -> Method:
    """Read a method file.

    Its keys are ``name``, ``class``, ``hyperparameters``, ``root_hyperparameters`` (or ``root_parameters``),
    ``conditions`` (or ``conditional_hyperparameters``), and if wanted ``task`` (a list), ``defaults`` and
    ``order``. Comments from ``//`` to the end of the line are passed over.

    Parameters
    ----------
    file : Path
        Where it is.
    own : bool, default=False
        Whether the user gave its path, so that it may name a class in a file of the user's.

    Raises
    ------
    InputError
        Code ``E_METHOD`` or ``E_METHOD_NOT_ALLOWED``; the message names the file and what is wrong in it.
    """
    try:
        form = jsonform.loads(without_comments(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(
            f"the method file {str(file)!r} cannot be read: {error.strerror}.", code="E_METHOD"
        ) from error
    except ValueError as error:
        raise InputError(f"the method file {str(file)!r} is not JSON: {error}.", code="E_METHOD") from error
    try:
        return _read(form, file, own)
    except InputError as error:
        raise InputError(f"{file.name}: {error.message}", hint=error.hint, code=error.code) from error


def without_comments(text: str) -> str:
    """Take ``//`` comments out of JSON.

    Examples
    --------
    >>> without_comments('{"url": "http://x"} // where')
    '{"url": "http://x"} '
    """
    return _TEXT_OR_COMMENT.sub(lambda found: found[1] or "", text)


def _read(form: Any, file: Path, own: bool) -> Method:
    if not isinstance(form, dict):
        raise _wrong("expected an object with name, class and hyperparameters")
    form = _with_one_spelling(form)
    name, declared = form.get("name"), form.get("hyperparameters")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z_][\w-]*", name):
        raise _wrong(f"expected 'name' to be a short code of letters, digits, '-' and '_', got {name!r:.40}")
    if not isinstance(declared, dict):
        raise _wrong("expected 'hyperparameters' to be an object of definitions")
    declared, roots, conditions = expand_lists(
        declared, read_roots(form.get("root_hyperparameters", [])), form.get("conditions", {})
    )
    definitions = {key: read_definition(key, value) for key, value in declared.items()}
    tree = read_conditions(conditions, roots, definitions)
    used = _used(roots, tree, definitions)
    for key in used:
        if key.startswith("_") and key not in _PREPARATION:
            raise _wrong(f"no preparation is called {key!r}", nearest(key, list(_PREPARATION)))
    method = Method(
        name=name,
        class_path=check_class(form.get("class"), file, own=own),
        tasks=_tasks(form.get("task", list(_TASKS[:2]))),
        hyperparameters={key: definitions[key] for key in used},
        roots=tuple(roots),
        conditions=tree,
        defaults=tuple(form.get("defaults", [{}])),
        order=float(form.get("order", 100)),
        source=str(file),
    )
    _check_defaults(method)
    return method


def _with_one_spelling(form: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in form.items():
        name = _SYNONYMS.get(key, key)
        if name in result:
            raise _wrong(f"{key!r} says again what {name!r} has said", "Keep one of the two.")
        if name not in _KEYS and name not in _SYNONYMS.values():
            raise _wrong(f"the key {key!r} is not known", nearest(key, [*_KEYS, *_SYNONYMS.values()]))
        result[name] = value
    return result


def _used(roots: list[str], tree: Conditions, definitions: Mapping[str, Definition]) -> list[str]:
    """Return the hyperparameters that can be reached, parents before children."""
    reached = list(roots)
    for name in reached:  # grows while it is walked over
        for children in tree.get(name, {}).values():
            reached += [child for child in children if child not in reached]
    return reached


def _tasks(given: Any) -> tuple[str, ...]:
    tasks = [given] if isinstance(given, str) else given
    if not isinstance(tasks, list) or not tasks:
        raise _wrong(f"expected 'task' to be a list of {', '.join(_TASKS)}, got {given!r:.60}")
    for task in tasks:
        if task not in _TASKS:
            raise _wrong(f"no task is called {task!r:.40}", nearest(str(task), list(_TASKS)))
    return tuple(cast("list[str]", tasks))


def _check_defaults(method: Method) -> None:
    for given in method.defaults:
        if not isinstance(given, dict):
            raise _wrong(f"expected each of 'defaults' to be an object, got {given!r:.60}")
        for name, value in given.items():
            if name not in method.hyperparameters:
                raise _wrong(
                    f"the default of {name!r}: there is no such hyperparameter",
                    nearest(name, list(method.hyperparameters)),
                )
            if not method.hyperparameters[name].parameter().contains(value):
                raise _wrong(f"the default of {name!r}: {value!r:.40} is not one of its values")


def _wrong(what: str, hint: str = "") -> InputError:
    return InputError(f"{what}.", hint=hint, code="E_METHOD")
