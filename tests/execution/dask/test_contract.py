"""The conformance suite of executors, over a cluster of real worker processes."""

from __future__ import annotations

from functools import partial

import pytest
from dask_programs import DaskPrograms

from modelwright.execution import DaskExecutor
from modelwright.testing.executors import ExecutorContract, ExecutorFactory


class TestDask(ExecutorContract):
    @pytest.fixture
    def executor_factory(self, dask_cluster: DaskPrograms) -> ExecutorFactory:
        return partial(DaskExecutor, address=dask_cluster.address)
