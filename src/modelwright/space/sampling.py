"""Random configurations that meet conditions and constraints, drawn in batches and sifted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelwright.errors import EmptySpaceError
from modelwright.space.batch import Batch, decode_batch
from modelwright.space.counting import MOST_COUNTED, candidates, count

if TYPE_CHECKING:
    from numpy.random import Generator

    from modelwright.space.space import Space

__all__ = ["draw", "ensure_feasible"]

# After this many draws without one that meets the constraints the search ends.
_MOST_DRAWS = 100_000
_SMALLEST_BATCH = 16
_LARGEST_BATCH = 8192


def draw(space: Space, rng: Generator, n: int) -> list[Batch]:
    """Return batches with `n` rows in all, uniform over what meets all constraints.

    The sizes of the batches depend on `n` and on what was drawn alone, so equal generators give equal rows.

    Raises
    ------
    EmptySpaceError
        No configuration meets the constraints, or none was found.
    """
    found: list[Batch] = []
    wanted, idle = n, 0
    size = n
    while wanted > 0:
        batch = decode_batch(space.parameters, space.structure, rng.random((size, len(space))))
        if space.constraints:
            batch = batch.take(batch.holds_all(space.rules))
        idle = 0 if batch.n else idle + size
        if idle >= _MOST_DRAWS:
            found.append(_pick_listed(space, rng, wanted, idle))
            break
        if batch.n:
            found.append(batch if batch.n <= wanted else batch.take(np.arange(wanted)))
            wanted -= found[-1].n
        size = min(max(2 * size, _SMALLEST_BATCH), _LARGEST_BATCH)
    return found


def ensure_feasible(space: Space) -> None:
    """Draw until a configuration meets all constraints.

    Raises
    ------
    EmptySpaceError
        There is none, or none was found; the message says how many were tried.
    """
    draw(space, np.random.default_rng(0), 1)


def _pick_listed(space: Space, rng: Generator, n: int, drawn: int) -> Batch:
    """Pick from the list of all candidates where that is short, since then an empty list is a proof."""
    total = count(space.parameters, space.structure)
    if total is None or total > MOST_COUNTED:
        raise EmptySpaceError(
            f"none of {drawn:,} configurations drawn at random meets all constraints.{_hardest(space, rng)}",
            hint="Check that they can be met together; state an equality by leaving one parameter out.",
        )
    parts = [part for batch in candidates(space) if (part := batch.take(batch.holds_all(space.rules))).n]
    listed = sum(part.n for part in parts)
    if not listed:
        raise EmptySpaceError(
            f"none of the {total:,} configurations of the space meets all constraints.{_hardest(space, rng)}",
            hint="Loosen a constraint or widen a parameter.",
        )
    picks = rng.integers(listed, size=n)
    active: Any = None
    if parts[0].active is not None:
        active = np.concatenate([part.active for part in parts if part.active is not None])[picks]
    columns = [
        np.concatenate(pieces)[picks] for pieces in zip(*(part.columns for part in parts), strict=True)
    ]
    return Batch(space.parameters, columns, active, n)


def _hardest(space: Space, rng: Generator) -> str:
    batch = decode_batch(space.parameters, space.structure, rng.random((1000, len(space))))
    shares = [(float(batch.holds(rule).mean()), rule.text) for rule in space.rules]
    share, text = min(shares)
    return f" The hardest by itself is {text!r}, which {share:.1%} of random configurations meet."
