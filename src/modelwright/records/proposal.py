"""What an optimizer is asked with, and what it may answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["Exhausted", "Proposal", "Ticket", "Wait"]


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to one proposal.

    Attributes
    ----------
    number : int
        The trial's number in its study.
    rng : numpy.random.Generator
        Derived from (study seed, number); the only source of randomness that an optimizer may use.
    """

    number: int
    rng: Generator


@dataclass(frozen=True, slots=True)
class Proposal:
    """A configuration to try, and why.

    Attributes
    ----------
    params : mapping of str to object
        Values by name; inactive parameters are absent.
    reason : str
        Why this one, for a person to read.
    fidelity : float, optional
        How much of the budget of one trial to spend.
    parent : int, optional
        Number of the trial to go on from, for a promotion.
    partition : int, optional
        Which partition of the space the configuration lies in.
    """

    params: Mapping[str, Any]
    reason: str = ""
    fidelity: float | None = None
    parent: int | None = None
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to propose until something finishes."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Nothing will ever be left to propose, for instance ``"all 96 tried"``."""

    reason: str = ""
