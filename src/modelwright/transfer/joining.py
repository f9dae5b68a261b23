"""Spaces of several studies into one that holds them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelwright._base.jsonform import canonical
from modelwright.errors import InputError
from modelwright.space import Space

__all__ = ["join_spaces"]

_FIXED = ("log", "step", "when")


def join_spaces(spaces: Sequence[tuple[str, Space]]) -> Space:
    """Return the space whose ranges and choices are those of all given ones together.

    Parameters
    ----------
    spaces : sequence of (str, Space)
        The spaces, with the names of their studies for messages.

    Raises
    ------
    InputError
        They differ by more than ranges and choices; the message names the studies and the difference.

    Examples
    --------
    >>> from modelwright.space import Float, Space
    >>> join_spaces([("a", Space(x=Float(0, 1))), ("b", Space(x=Float(-2, 0.5)))])["x"]
    Float(low=-2.0, high=1.0)
    """
    first_name, first = spaces[0]
    form = first.to_json()
    joined = {entry["name"]: dict(entry) for entry in form["parameters"]}
    for name, space in spaces[1:]:
        other = space.to_json()
        theirs = {entry["name"]: entry for entry in other["parameters"]}
        for missing in [*(joined.keys() - theirs.keys()), *(theirs.keys() - joined.keys())]:
            owner = first_name if missing in joined else name
            raise _refused(first_name, name, f"only {owner!r} has the parameter {missing!r}")
        if other["constraints"] != form["constraints"]:
            raise _refused(first_name, name, "their constraints differ")
        for parameter, entry in joined.items():
            difference = _join(entry, theirs[parameter])
            if difference:
                raise _refused(first_name, name, f"the parameter {parameter!r} differs in its {difference}")
    return Space.from_json({"parameters": list(joined.values()), "constraints": form["constraints"]})


def _join(entry: dict[str, Any], other: dict[str, Any]) -> str:
    """Widen `entry` to hold `other`; return in what else they differ, if in anything."""
    if any(canonical(entry.get(key)) != canonical(other.get(key)) for key in ("prior", "choices", "labels")):
        entry.pop("prior", None)  # the studies believed different things, or of different choices
    if entry["type"] != other["type"]:
        return f"kind ({entry['type']} against {other['type']})"
    for key in _FIXED:
        if canonical(entry.get(key)) != canonical(other.get(key)):
            return f"{key} ({entry.get(key)!r} against {other.get(key)!r})"
    if "low" in entry:
        step = entry.get("step")
        if step is not None and not _on_one_grid(entry["low"], other["low"], step):
            return f"grid ({entry['low']!r} against {other['low']!r} plus multiples of {step!r})"
        entry["low"], entry["high"] = min(entry["low"], other["low"]), max(entry["high"], other["high"])
        return ""
    if entry["type"] == "constant":
        same = canonical(_stated(entry)) == canonical(_stated(other))
        return "" if same else f"value ({_stated(entry)!r} against {_stated(other)!r})"
    return _join_choices(entry, other)


def _stated(entry: dict[str, Any]) -> Any:
    return entry.get("label", entry.get("value"))


def _on_one_grid(a: float, b: float, step: float) -> bool:
    offset = (a - b) / step
    return abs(offset - round(offset)) < 1e-6


def _join_choices(entry: dict[str, Any], other: dict[str, Any]) -> str:
    keys = [key for key in ("choices", "labels") if key in entry]
    if keys != [key for key in ("choices", "labels") if key in other]:
        return "choices (plain values on one side only)"
    ours = list(zip(*(entry[key] for key in keys), strict=True))
    known = {canonical(item) for item in ours}
    new = [item for item in zip(*(other[key] for key in keys), strict=True) if canonical(item) not in known]
    if new and entry["type"] == "ordinal":
        return f"levels ({entry[keys[0]]!r} against {other[keys[0]]!r})"
    for i, key in enumerate(keys):
        entry[key] = [item[i] for item in [*ours, *new]]
    return ""


def _refused(first: str, other: str, why: str) -> InputError:
    return InputError(
        f"the studies {first!r} and {other!r} cannot be merged: {why}.",
        hint="Merge studies of one space; ranges and choices may differ.",
        code="E_MERGE",
    )
