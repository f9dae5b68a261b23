"""The versions of a study's space, read with the real choices that this process knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modelwright.errors import ConfigurationError, InputError, SpaceError
from modelwright.space import Constant, Parameter, Space
from modelwright.storage.base import StudyRecord

__all__ = ["SpaceVersions", "check_change"]


class SpaceVersions:
    """The newest space of a study, and which trials of older versions lie within it.

    The ledger keeps labels where choices are objects. Spaces that this process was given lend their objects
    to every version in which the same label stands for them.

    Parameters
    ----------
    base : Space
        Version 0, with real choices where they are known.

    Attributes
    ----------
    newest : Space
        The newest version.
    changed : bool
        Whether the newest version differs from version 0 by more than added parameters, so that trials may
        lie outside of it.
    version : int
        Number of the newest version.
    """

    def __init__(self, base: Space) -> None:
        self.base = base
        self.newest = base
        self.changed = False
        self.version = 0
        self._known = [base]
        self._without: dict[tuple[str, ...], Space] = {}

    def learn(self, space: Space) -> None:
        """Take objects for labels from this space too."""
        self._known.insert(0, space)
        self.version = -1  # the newest one is read again

    def update(self, record: StudyRecord) -> bool:
        """Take in the version of a record; return whether it is another one."""
        if record.space_version == self.version:
            return False
        self.version = record.space_version
        stored = Space.from_json(record.space) if record.space_version else self.base
        self.changed = _differs(stored, self.base)
        if self.changed:
            parameters = {name: self._real(name, stored[name]) for name in stored.names}
            self.newest = Space(parameters, constraints=stored.constraints)
        else:
            self.newest = self.base
            for name in [name for name in stored.names if name not in self.base]:
                self.newest = self.newest.with_parameter(name, stored[name])
        self._without.clear()
        return True

    def load(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration of any version with real values; labels that nobody knows stay labels."""
        try:
            return self.newest.load(stored)
        except ConfigurationError:
            return {name: self._value(name, value) for name, value in stored.items()}

    def fits(self, stored: Mapping[str, Any]) -> bool:
        """Return whether a configuration in JSON form lies within the newest space.

        Parameters that an objective added while it ran may be missing.
        """
        if not self.changed:
            return True
        space = self._with_names_of(stored)
        try:
            space.check(space.load(stored))
        except InputError:
            return False
        return True

    def _with_names_of(self, stored: Mapping[str, Any]) -> Space:
        added = (name for name in self.newest.names if name not in self.base)
        missing = tuple(name for name in added if name not in stored)
        if not missing:
            return self.newest
        if missing not in self._without:
            self._without[missing] = self.newest.subspace(n for n in self.newest.names if n not in missing)
        return self._without[missing]

    def _value(self, name: str, stored: Any) -> Any:
        for parameter in self._named(name):
            try:
                return parameter.load(stored)
            except ConfigurationError:
                continue
        return stored

    def _real(self, name: str, parameter: Parameter) -> Parameter:
        labels = getattr(parameter, "labels", None)
        if labels is None:
            return parameter
        choices = [next(self._objects(name, label), label) for label in labels]
        if isinstance(parameter, Constant):
            return Constant(choices[0], when=parameter.when, label=labels[0])
        options: dict[str, Any] = {"labels": labels, "when": parameter.when}
        if "default" in parameter.to_json():
            options["default"] = choices[labels.index(parameter.dump(parameter.default))]
        if parameter.prior is not None:
            options["prior"] = parameter.prior
        return type(parameter)(choices, **options)  # type: ignore[call-arg]

    def _objects(self, name: str, label: str) -> Iterator[Any]:
        for parameter in self._named(name):
            if label in (getattr(parameter, "labels", None) or ()):
                yield parameter.load(label)

    def _named(self, name: str) -> Iterator[Parameter]:
        return (space[name] for space in self._known if name in space)


def check_change(old: Space, new: Space) -> None:
    """Refuse what a study's space cannot become.

    Ranges, steps, scales, choices, defaults, conditions and constraints may change. Parameters can neither
    come nor go, nor become of another type: what was tried so far would say nothing about the new space.

    Raises
    ------
    SpaceError
        The new space has other parameters; the message names them.
    """
    others = sorted(set(old.names) ^ set(new.names))
    if others:
        raise SpaceError(
            f"expected a space with the parameters {', '.join(old.names)}; different: {', '.join(others)}.",
            hint="Ranges, choices, conditions and constraints may change. For other parameters make "
            "another study.",
            code="E_SPACE_CHANGE",
        )
    for name in old.names:
        if old[name].type != new[name].type:
            raise SpaceError(
                f"the parameter {name!r} is of the type {old[name].type!r} and cannot become "
                f"{new[name].type!r}.",
                hint="Make another study for that.",
                code="E_SPACE_CHANGE",
            )


def _differs(stored: Space, base: Space) -> bool:
    if any(name not in stored or stored[name] != base[name] for name in base.names):
        return True
    return stored.constraints != base.constraints
