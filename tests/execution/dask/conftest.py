"""A cluster of two worker processes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dask_programs import DaskPrograms

pytest.importorskip("distributed", reason="the library 'distributed' is not installed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskPrograms]:
    """One for all tests of a module, with two threads for each worker."""
    programs = DaskPrograms(tmp_path_factory.mktemp("dask"))
    programs.scheduler()
    for _ in range(2):
        programs.worker(threads=2)
    yield programs
    programs.close()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[DaskPrograms]:
    """One whose workers may be killed."""
    (tmp_path / "dask").mkdir()
    programs = DaskPrograms(tmp_path / "dask")
    programs.scheduler()
    for _ in range(2):
        programs.worker()
    yield programs
    programs.close()
