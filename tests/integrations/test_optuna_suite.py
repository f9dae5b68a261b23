"""Optuna's own suite for samplers, run over ours.

`NOT_APPLICABLE` lists the cases that cannot hold for a sampler of ours, with the reason of each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from modelwright.optimizers import OPTIMIZERS

optuna = pytest.importorskip("optuna", reason="the library 'optuna' is not installed")

from optuna.testing.pytest_samplers import (  # noqa: E402
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from modelwright.integrations.optuna import ModelwrightSampler  # noqa: E402

# (name of the optimizer, name of the test): why it does not apply. No case is left out at present.
NOT_APPLICABLE: dict[tuple[str, str], str] = {}


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


class _OfOurs:
    optimizer: str

    @pytest.fixture(autouse=True)
    def _applicable(self, request: pytest.FixtureRequest) -> None:
        reason = NOT_APPLICABLE.get((self.optimizer, request.function.__name__))
        if reason is not None:
            pytest.skip(reason)

    @pytest.fixture
    def sampler(self) -> Callable[[], Any]:
        return lambda: ModelwrightSampler(self.optimizer, seed=1)


def test_each_exception_names_a_case() -> None:
    cases = (
        BasicSamplerTestCase,
        RelativeSamplerTestCase,
        MultiObjectiveSamplerTestCase,
        SingleOnlySamplerTestCase,
    )
    names = {name for case in cases for name in vars(case) if name.startswith("test_")}
    assert {test for _, test in NOT_APPLICABLE} <= names


def _suites(optimizer: str) -> tuple[type, ...]:
    several = OPTIMIZERS.get(optimizer).abilities.multi_objective
    objectives = MultiObjectiveSamplerTestCase if several else SingleOnlySamplerTestCase
    return (_OfOurs, BasicSamplerTestCase, RelativeSamplerTestCase, objectives)


TestTPE = type("TestTPE", _suites("tpe"), {"optimizer": "tpe"})
TestGP = type("TestGP", _suites("gp"), {"optimizer": "gp"})
TestRandom = type("TestRandom", _suites("random"), {"optimizer": "random"})
