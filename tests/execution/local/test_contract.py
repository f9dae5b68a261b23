"""The local executor keeps the contract of executors."""

from __future__ import annotations

import pytest

from modelwright.execution import LocalExecutor
from modelwright.testing.executors import ExecutorContract, ExecutorFactory


class TestLocalExecutor(ExecutorContract):
    @pytest.fixture
    def executor_factory(self) -> ExecutorFactory:
        return LocalExecutor
