"""Names that Optuna allows and we do not, as names that both would."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain, count

from modelwright.errors import InputError, SpaceError
from modelwright.records import StudySpec
from modelwright.space import Constant, Space

__all__ = ["parameter_names", "study_name"]

_ODD = re.compile(r"[^\w .:/@+\-\[\]()#]+|\.{2,}")
_EDGES = " .:/@-[("
_LONGEST_STUDY, _LONGEST_PARAMETER = 200, 120


def study_name(name: str) -> str:
    """Return the name that a study gets here.

    Examples
    --------
    >>> study_name("vision/resnet")
    'vision-resnet'
    """
    plain = "".join(c if c.isprintable() and c != "/" else "-" for c in name)[:_LONGEST_STUDY]
    try:
        return StudySpec(plain, Space()).name
    except InputError:
        return "optuna"


def parameter_names(names: Iterable[str]) -> dict[str, str]:
    """Return the name that each parameter gets here; those that may stay as they are do.

    Examples
    --------
    >>> parameter_names(["lr", "drop%", "drop_"])
    {'lr': 'lr', 'drop%': 'drop_2', 'drop_': 'drop_'}
    """
    given = list(dict.fromkeys(names))
    found = {name: name for name in given if _allowed(name)}
    for name in given:
        if name not in found:
            plain = _ODD.sub("_", name)[:_LONGEST_PARAMETER].strip(_EDGES)
            found[name] = _free(plain if _allowed(plain) else "parameter", set(found.values()))
    return {name: found[name] for name in given}


def _allowed(name: str) -> bool:
    try:
        Space({name: Constant(0)})
    except SpaceError:
        return False
    return True


def _free(name: str, taken: set[str]) -> str:
    others = (f"{name}{i}" for i in count(2))
    return next(item for item in chain([name], others) if item not in taken)
