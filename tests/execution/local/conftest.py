"""Finding what a test leaves behind."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelwright.execution import LocalExecutor


@pytest.fixture
def survivors(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """Return a function that lists all processes that descend from this test, however they were cut loose.

    They are known by a variable in the environment that they inherited, which outlives new sessions and
    changes of parents.
    """
    tag = f"MODELWRIGHT_TEST_TAG={uuid.uuid4().hex}"
    monkeypatch.setenv(*tag.split("="))

    def find() -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if tag.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:
                continue
        return [pid for pid in found if pid != os.getpid()]

    return find


@pytest.fixture
def no_survivors(survivors: Callable[[], list[int]]) -> Callable[[], None]:
    """Return a function that waits until nothing that descends from this test is left."""

    def check() -> None:
        until = time.monotonic() + 30
        while left := survivors():
            assert time.monotonic() < until, f"still there: {left}"
            time.sleep(0.02)

    return check


@pytest.fixture
def local(survivors: Callable[[], list[int]]) -> Iterator[LocalExecutor]:
    """Return an executor with one slot; when it is closed, nothing of it may be left."""
    executor = LocalExecutor(1)
    yield executor
    executor.close()
    assert survivors() == []
