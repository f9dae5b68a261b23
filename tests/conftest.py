"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def require_service() -> Callable[[str, str], str]:
    """Return a function that gives the address of a service, or skips the test with the reason.

    ``require_service("PostgreSQL", "MODELWRIGHT_TEST_POSTGRESQL")`` reads the address from that variable.
    On a developer's machine a missing service skips the test. Where ``MODELWRIGHT_TEST_REQUIRE_SERVICES``
    is set, as ``.ci/run`` does, it fails it: there a skipped test would be a test that nobody runs.
    """

    def require(name: str, variable: str) -> str:
        address = os.environ.get(variable, "")
        if address:
            return address
        reason = f"needs {name}: set {variable} to its address"
        if os.environ.get("MODELWRIGHT_TEST_REQUIRE_SERVICES", "") not in ("", "0"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    return require
