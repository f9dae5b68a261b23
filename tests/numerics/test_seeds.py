"""Generators and seeds from a path of keys: the streams are NumPy's own for these words."""

from __future__ import annotations

import zlib

from hypothesis import example, given
from hypothesis import strategies as st
from numpy.random import PCG64, Generator, SeedSequence

from modelwright._base.seeds import generator, seed_for

KEYS = st.one_of(st.integers(0, 2**70), st.integers(0, 2**32), st.text(max_size=5))


@given(st.integers(0, 2**70), st.lists(KEYS, max_size=3))
@example(2**32 - 1, [2**32 - 1, "trial"])
@example(2**32, [0])
def test_streams_are_those_of_the_words_whatever_their_size(seed: int, path: list[int | str]) -> None:
    words = [seed, *(zlib.crc32(key.encode()) if isinstance(key, str) else key for key in path)]
    assert seed_for(seed, *path) == SeedSequence(words).generate_state(1)[0]
    ours, theirs = generator(seed, *path), Generator(PCG64(SeedSequence(words)))
    assert ours.random(3).tolist() == theirs.random(3).tolist()
