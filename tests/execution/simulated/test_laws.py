"""The clock, and the laws by which chance is drawn."""

from __future__ import annotations

import statistics
from random import Random

import pytest

from modelwright.errors import InputError
from modelwright.execution.simulated import Distribution, Preemptions, SimulatedClock, Stragglers


def test_the_clock_only_goes_forward_and_when_told():
    clock = SimulatedClock(start_us=1_000_000)
    assert (clock(), clock.now_us()) == (0.0, 1_000_000)
    clock.advance_to(7.25)
    clock.advance_to(3.0)
    assert (clock(), clock.now_us()) == (7.25, 8_250_000)
    for wrong in (-1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match="seconds of at least 0"):
            clock.advance(wrong)


@pytest.mark.parametrize("law", ["fixed", "uniform", "exponential", "lognormal"])
def test_each_law_has_its_mean(law):
    draw = Distribution(law, 60.0, 0.5)
    values = [draw(None, Random(n)) for n in range(20_000)]
    # The exponential's standard deviation is its mean: 60 / sqrt(20,000) = 0.42, five of which are 2.1.
    assert statistics.fmean(values) == pytest.approx(60.0, abs=2.1)
    assert min(values) > 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Distribution("gauss", 60), "fixed, uniform, exponential, lognormal"),
        (lambda: Distribution("fixed", 0), "mean_s to be a number above 0"),
        (lambda: Distribution("uniform", 60, 1.5), "at most 1"),
        (lambda: Stragglers(1.5), "between 0 and 1"),
        (lambda: Stragglers(0.1, factor=0), "factor"),
        (lambda: Preemptions(-1), "per_hour"),
        (lambda: Preemptions(1, away_s=float("inf")), "away_s"),
    ],
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
