"""What ids and numbers in requests may be, where their type says too little."""

from __future__ import annotations

from modelwright.errors import InputError
from modelwright.storage.base import AdoptedTrial

__all__ = ["check_adopted", "check_id", "check_lease", "check_limit"]

_LONGEST_LEASE_S = 7 * 86_400.0
_LONGEST_ID = 128
_LARGEST = 2**53  # what is counted on from there still fits into every database


def check_id(name: str, text: str) -> None:
    """Refuse the id of a worker, a claim or a result that no database could look for."""
    if len(text) > _LONGEST_ID or not text.isprintable():
        raise InputError(
            f"{name}: expected at most {_LONGEST_ID} printable characters, got {text[:40]!r}.", code="E_FORM"
        )


def check_lease(lease_s: float) -> None:
    """Refuse the length of a lease that is none, or that nobody would live to see the end of."""
    if not 0 < lease_s <= _LONGEST_LEASE_S:
        raise InputError(
            f"expected a lease of more than 0 and at most {_LONGEST_LEASE_S:g} seconds, got {lease_s:g}.",
            code="E_FORM",
        )


def check_limit(limit: int, most: int) -> None:
    """Refuse the size of a page that is none, or too large."""
    if not 1 <= limit <= most:
        raise InputError(f"expected a limit from 1 to {most}, got {limit}.", code="E_FORM")


def check_adopted(item: AdoptedTrial) -> None:
    """Refuse a trial from elsewhere whose numbers leave no room for those after it."""
    fences = [item.trial.fence, *(attempt.fence for attempt in item.attempts)]
    for name, number in (("number", item.number or 0), ("fence", max(fences))):
        if number > _LARGEST:
            raise InputError(f"expected a {name} of at most {_LARGEST}, got {number}.", code="E_FORM")
