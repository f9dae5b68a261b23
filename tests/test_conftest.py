"""The rule about services: skipped at home, required where continuous integration says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Require = Callable[[str, str], str]


def test_a_service_that_is_there_gives_its_address(
    require_service: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWRIGHT_TEST_EXAMPLE", "example://here")
    assert require_service("Example", "MODELWRIGHT_TEST_EXAMPLE") == "example://here"


@pytest.mark.parametrize("switch", [None, "", "0"])
def test_a_missing_service_skips_at_home(
    require_service: Require, monkeypatch: pytest.MonkeyPatch, switch: str | None
) -> None:
    monkeypatch.delenv("MODELWRIGHT_TEST_EXAMPLE", raising=False)
    monkeypatch.delenv("MODELWRIGHT_TEST_REQUIRE_SERVICES", raising=False)
    if switch is not None:
        monkeypatch.setenv("MODELWRIGHT_TEST_REQUIRE_SERVICES", switch)
    with pytest.raises(pytest.skip.Exception, match="needs Example: set MODELWRIGHT_TEST_EXAMPLE"):
        require_service("Example", "MODELWRIGHT_TEST_EXAMPLE")


def test_a_missing_service_fails_where_services_are_required(
    require_service: Require, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWRIGHT_TEST_EXAMPLE", raising=False)
    monkeypatch.setenv("MODELWRIGHT_TEST_REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="needs Example"):
        require_service("Example", "MODELWRIGHT_TEST_EXAMPLE")
