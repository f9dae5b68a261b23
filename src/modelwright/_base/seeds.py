"""Generators derived from a seed and a path of keys, so that no state has to be kept."""

from __future__ import annotations

import secrets
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["fresh_seed", "generator", "seed_for"]


def _words(key: int | str) -> int:
    # Names take part by a checksum, because hash() of a string differs between processes.
    return key if isinstance(key, int) else zlib.crc32(key.encode())


def generator(seed: int, *path: int | str) -> Generator:
    """Return the generator that belongs to `path` under `seed`; equal arguments, equal stream."""
    from numpy.random import PCG64, Generator, SeedSequence

    return Generator(PCG64(SeedSequence([seed, *(_words(key) for key in path)])))


def seed_for(seed: int, *path: int | str) -> int:
    """Return a 32-bit integer seed that belongs to `path` under `seed`."""
    from numpy.random import SeedSequence

    return int(SeedSequence([seed, *(_words(key) for key in path)]).generate_state(1)[0])


def fresh_seed() -> int:
    """Return a new random 32-bit seed from the operating system."""
    return secrets.randbits(32)
