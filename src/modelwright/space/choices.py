"""Categories, ordered levels, truth values and constants."""

# ruff: noqa: D102 - the base class says what each method does

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from modelwright.space.labels import is_plain, native
from modelwright.space.listed import UNSET, Listed
from modelwright.space.parameters import When
from modelwright.space.priors import read_weights

__all__ = ["Bool", "Categorical", "Constant", "Ordinal"]


class Categorical(Listed):
    """One of several values without an order.

    Parameters
    ----------
    *choices : object
        Any Python objects, or a single list, tuple or range of them. 1, 1.0 and True are different choices.
    default : object, optional
        The choice that the prior holds for the most likely, or the first one, unless given.
    prior : sequence of float, optional
        How likely each choice is believed to be the best, in any unit and in the order of the choices.
    when : mapping, optional
        Parents and the values under which the parameter is active.
    labels : sequence of str, optional
        What the choices are called in the ledger. Plain JSON values need none; other objects get their
        qualified name or their ``repr`` where these are the same in every process.

    Examples
    --------
    >>> from modelwright.space import Categorical
    >>> Categorical("relu", "gelu").decode(0.7)
    'gelu'
    >>> Categorical((64,), (64, 32)).labels
    ('(64,)', '(64, 32)')
    """

    type: ClassVar[str] = "categorical"

    def __init__(
        self,
        *choices: Any,
        default: Any = UNSET,
        prior: Sequence[float] | None = None,
        when: Mapping[str, Any] | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        if len(choices) == 1 and isinstance(choices[0], list | tuple | range):
            choices = tuple(choices[0])
        self._set_choices(choices, labels)
        self._fill(prior=read_weights(prior, self.size))
        self._set_default(default)
        self._fill(when=When(when))


class Ordinal(Categorical):
    """One of several values that have an order, the order in which they are given.

    Parameters are those of `Categorical`.

    Examples
    --------
    >>> from modelwright.space import Ordinal
    >>> Ordinal("small", "medium", "large").encode("medium")
    0.5
    """

    type: ClassVar[str] = "ordinal"


class Bool(Listed):
    """True or false.

    Parameters
    ----------
    default : bool, optional
        Where a search may start; what the prior holds for more likely, or False, unless given.
    prior : sequence of float, optional
        How likely False, and True, are believed to be better, in any unit.
    when : mapping, optional
        Parents and the values under which the parameter is active.

    Examples
    --------
    >>> from modelwright.space import Bool
    >>> Bool().decode(0.9)
    True
    """

    type: ClassVar[str] = "bool"

    def __init__(
        self,
        default: bool = UNSET,
        when: Mapping[str, Any] | None = None,
        *,
        prior: Sequence[float] | None = None,
    ) -> None:
        self._set_choices((False, True), None)
        self._fill(prior=read_weights(prior, 2))
        self._set_default(default)
        self._fill(when=When(when))

    def normal(self, value: Any) -> bool:
        value = native(value)
        if not isinstance(value, bool):
            raise ValueError(f"expected true or false, got {value!r}")
        return value

    def to_json(self) -> dict[str, Any]:
        return self._finish_json({"type": self.type})


class Constant(Listed):
    """A single value that every configuration carries.

    Parameters
    ----------
    value : object
        Any Python object.
    when : mapping, optional
        Parents and the values under which the parameter is active.
    label : str, optional
        What the value is called in the ledger, as for `Categorical`.

    Examples
    --------
    >>> from modelwright.space import Constant
    >>> Constant(100).value
    100
    """

    type: ClassVar[str] = "constant"

    def __init__(
        self, value: Any, *, when: Mapping[str, Any] | None = None, label: str | None = None
    ) -> None:
        self._set_choices((value,), None if label is None else [label])
        self._set_default(UNSET)
        self._fill(when=When(when))

    @property
    def value(self) -> Any:
        """The one value."""
        return self.choices[0]

    def to_json(self) -> dict[str, Any]:
        stored: dict[str, Any] = {}
        if is_plain(self.value) and self.choices != self.labels:
            stored["value"] = self.value
        if self.labels is not None:
            stored["label"] = self.labels[0]
        return self._finish_json({"type": self.type, **stored})
