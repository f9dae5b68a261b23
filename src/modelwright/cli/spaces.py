"""Spaces as people type them: single ranges and choices, or a file."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelwright._base.jsonform import loads
from modelwright.errors import InputError
from modelwright.space import Space

__all__ = ["changed_space", "parse_assignments", "read_space", "typed"]


def read_space(path: str) -> Space:
    """Return the space in a JSON or TOML file.

    Raises
    ------
    InputError
        There is no such file, or it holds no space.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {path!r}.", code="E_PATH")
    kind = "TOML" if file.suffix == ".toml" else "JSON"
    try:
        text = file.read_text(encoding="utf-8-sig")
        form = tomllib.loads(text) if kind == "TOML" else loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path!r} is not {kind}: {error}.",
            hint="Expected a space as JSON, or as TOML in a file that ends in .toml.",
            code="E_FORM",
        ) from None
    return Space.from_json(form)


def changed_space(space: Space, ranges: Sequence[str], choices: Sequence[str]) -> Space:
    """Return `space` with new ranges ``NAME=LOW:HIGH`` and choices ``NAME=A,B``.

    Examples
    --------
    >>> from modelwright.space import Categorical, Float, Space
    >>> space = Space(lr=Float(1e-3, 1, log=True), k=Categorical("a", "b"))
    >>> changed_space(space, ["lr=1e-6:1"], ["k=a,b,c"])["lr"].low
    1e-06
    """
    form = space.to_json()
    entries = {entry["name"]: entry for entry in form["parameters"]}
    for name, value in parse_assignments(ranges, "--range NAME=LOW:HIGH").items():
        entry = _entry(entries, "--range", name, {"float", "int"})
        low, colon, high = value.partition(":")
        if not colon:
            raise InputError(f"expected --range NAME=LOW:HIGH, got {name}={value!r}.")
        entry.update(low=_number(low, value), high=_number(high, value))
        entry.pop("default", None)
        entry.pop("prior", None)
    for name, value in parse_assignments(choices, "--choices NAME=A,B").items():
        entry = _entry(entries, "--choices", name, {"categorical", "ordinal"})
        before = entry.pop("choices", None)
        entry.pop("default", None)
        entry.pop("prior", None)
        items = value.split(",")
        if entry.get("labels") is not None:  # objects: the ledger knows their labels only
            entry["labels"] = items
        else:
            entry["choices"] = [typed(item, before) for item in items]
    return Space.from_json(form)


def parse_assignments(texts: Sequence[str], example: str) -> dict[str, str]:
    """Return what ``name=value`` pairs say, by name; a name that is there twice is refused.

    Examples
    --------
    >>> parse_assignments(["lr=0.01", "k=a=b"], "NAME=VALUE")
    {'lr': '0.01', 'k': 'a=b'}
    """
    pairs = [_parse_assignment(text, example) for text in texts]
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise InputError(f"expected {name!r} once, and it is given twice.", code="E_CONFLICT")
    return dict(pairs)


def _parse_assignment(text: str, example: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"expected {example}, got {text!r}.")
    return name, value


def typed(text: str, like: Sequence[Any] | None = None) -> Any:
    """Return the value that a word stands for: a number, true, false, null, or text.

    A word stays text where all values that it is `like` are text.

    Examples
    --------
    >>> typed("3"), typed("0.5"), typed("adam"), typed("3", ["1", "2"])
    (3, 0.5, 'adam', '3')
    """
    if like and all(isinstance(value, str) for value in like):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _entry(entries: dict[str, Any], option: str, name: str, types: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = entries.get(name, {})
    if found.get("type") not in types:
        fitting = [known for known, entry in entries.items() if entry["type"] in types]
        raise InputError(
            f"expected the name of a parameter for {option}: {', '.join(fitting) or 'there is none'}; "
            f"got {name!r}."
        )
    return found


def _number(text: str, whole: str) -> float:
    value = typed(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"expected a number for each end of the range, got {whole!r}.")
    return value
