"""A storage to import into."""

from __future__ import annotations

import pytest

from modelwright.storage import MemoryStorage


@pytest.fixture
def memory() -> MemoryStorage:
    """Return an empty storage in memory."""
    return MemoryStorage()
