"""Generators derived from a seed and a path of keys, so that no state has to be kept."""

from __future__ import annotations

import secrets
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator, SeedSequence

__all__ = ["fresh_seed", "generator", "seed_for"]

_WORD = 2**32


def generator(seed: int, *path: int | str) -> Generator:
    """Return the generator that belongs to `path` under `seed`; equal arguments, equal stream."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(_sequence(seed, path)))


def seed_for(seed: int, *path: int | str) -> int:
    """Return a 32-bit integer seed that belongs to `path` under `seed`."""
    return int(_sequence(seed, path).generate_state(1)[0])


def _sequence(seed: int, path: tuple[int | str, ...]) -> SeedSequence:
    import numpy as np

    # Names take part by a checksum, because hash() of a string differs between processes.
    words = [seed, *(key if isinstance(key, int) else zlib.crc32(key.encode()) for key in path)]
    if min(words) >= 0 and max(words) < _WORD:  # the same stream, and an array of words is quicker taken in
        return np.random.SeedSequence(np.array(words, np.uint32))
    return np.random.SeedSequence(words)


def fresh_seed() -> int:
    """Return a new random 32-bit seed from the operating system."""
    return secrets.randbits(32)
