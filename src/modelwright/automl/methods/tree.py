"""The tree of a method's hyperparameters: roots, and children that a parent's value brings in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelwright._base.registry import nearest
from modelwright.automl.methods.definition import Definition
from modelwright.errors import InputError

__all__ = ["Conditions", "expand_lists", "read_conditions", "read_roots"]

Conditions = Mapping[str, Mapping[str, tuple[str, ...]]]
"""parent -> text of its value -> children; JSON has only text for keys, so values go by their text."""


def read_roots(given: Any) -> list[str]:
    """Check the list of root hyperparameters; a name given twice is refused."""
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        raise _wrong(f"expected 'root_hyperparameters' to be a list of names, got {given!r:.60}")
    twice = [name for at, name in enumerate(given) if name in given[:at]]
    if twice:
        raise _wrong(f"{twice[0]!r} is given twice among the root hyperparameters", "Keep it once.")
    return given


def expand_lists(
    declared: Mapping[str, Any], roots: list[str], conditions: Any
) -> tuple[dict[str, Any], list[str], Any]:
    """Take parameters of the type ``list`` apart.

    A list ``name`` becomes a category ``len(name)`` over its lengths and one parameter ``name[i]`` per
    element; with the length L come the first L elements.

    Examples
    --------
    >>> layers = {"type": "list", "list_length": [1, 2], "element": {"type": "int", "range": [2, 9]}}
    >>> declared, roots, conditions = expand_lists({"layers": layers}, ["layers"], {})
    >>> list(declared), roots
    (['len(layers)', 'layers[0]', 'layers[1]'], ['len(layers)'])
    >>> conditions
    {'len(layers)': {'1': ['layers[0]'], '2': ['layers[0]', 'layers[1]']}}
    """
    result: dict[str, Any] = {}
    renamed: dict[str, str] = {}
    added: dict[str, Any] = {}
    for name, form in declared.items():
        if not isinstance(form, Mapping) or form.get("type") != "list":
            result[name] = form
            continue
        lengths = form.get("list_length")
        if not isinstance(lengths, list) or not lengths or not all(_is_length(item) for item in lengths):
            raise _wrong(f"the list {name!r}: expected 'list_length' to hold whole numbers from 1 on")
        length = renamed[name] = f"len({name})"
        result[length] = {"type": "int_cat", "values": lengths}
        elements = [f"{name}[{at}]" for at in range(max(lengths))]
        result |= {element: form.get("element") for element in elements}
        added[length] = {str(item): elements[:item] for item in lengths}
    if not renamed:
        return result, roots, conditions
    return result, [renamed.get(name, name) for name in roots], {**_renamed(conditions, renamed), **added}


def _is_length(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and item >= 1


def _renamed(conditions: Any, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        parent: {value: [names.get(child, child) for child in children] for value, children in cases.items()}
        for parent, cases in _objects(conditions).items()
    }


def read_conditions(
    given: Any, roots: list[str], definitions: Mapping[str, Definition]
) -> dict[str, dict[str, tuple[str, ...]]]:
    """Check roots and conditions against the definitions.

    Raises
    ------
    InputError
        A name is not defined; a parent is a number or lacks the value; a child is a root as well, or has two
        parents.
    """
    for name in roots:
        _check_defined(name, "the root hyperparameters name", definitions)
    parent_of: dict[str, str] = {}
    tree: dict[str, dict[str, tuple[str, ...]]] = {}
    for parent, cases in _objects(given).items():
        _check_defined(parent, "the conditions name", definitions)
        known = [str(value) for value in definitions[parent].values]
        if definitions[parent].is_number:
            raise _wrong(f"the conditions of {parent!r}: expected a parent with values, not with a range")
        tree[parent] = {}
        for value, children in cases.items():
            if value not in known:
                raise _wrong(
                    f"the conditions of {parent!r}: it has no value {value!r}", nearest(value, known)
                )
            for child in children:
                _check_defined(child, f"the conditions of {parent!r} name", definitions)
                _check_child(child, parent, roots, parent_of)
            tree[parent][value] = tuple(dict.fromkeys(children))
    return tree


def _check_defined(name: str, where: str, definitions: Mapping[str, Definition]) -> None:
    if name not in definitions:
        raise _wrong(f"{where} {name!r}, which is not defined", nearest(name, list(definitions)))


def _check_child(child: str, parent: str, roots: list[str], parent_of: dict[str, str]) -> None:
    if child in roots:
        raise _wrong(
            f"{child!r} is a child of {parent!r} and a root hyperparameter as well",
            "A child is passed only with its parent's value: take it out of the roots.",
        )
    if parent_of.setdefault(child, parent) != parent:
        raise _wrong(
            f"{child!r} is a child of both {parent_of[child]!r} and {parent!r}", "Give it one parent."
        )


def _objects(given: Any) -> dict[str, dict[str, list[str]]]:
    ok = isinstance(given, dict) and all(
        isinstance(cases, dict) and all(isinstance(children, list) for children in cases.values())
        for cases in given.values()
    )
    if not ok:
        raise _wrong(f"expected 'conditions' to be {{parent: {{value: [children]}}}}, got {given!r:.60}")
    result: dict[str, dict[str, list[str]]] = given
    return result


def _wrong(what: str, hint: str = "") -> InputError:
    return InputError(f"{what}.", hint=hint, code="E_METHOD")
