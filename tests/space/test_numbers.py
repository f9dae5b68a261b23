"""Float and Int."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from modelwright.errors import SpaceError
from modelwright.space import Float, Int

UNIT = np.random.default_rng(0).random(20_000)


def test_bounds_are_reached_to_the_last_bit() -> None:
    for parameter in [Float(-0.1, 0.3), Float(1e-5, 0.1, log=True), Float(1e-300, 1e300, log=True)]:
        assert parameter.decode(0.0) == parameter.low
        assert parameter.decode(1.0) == parameter.high
        assert parameter.decode_column(np.array([0.0, 1.0])).tolist() == [parameter.low, parameter.high]
        assert parameter.encode(parameter.low) == 0.0
        assert parameter.encode(parameter.high) == 1.0


def test_positions_outside_are_clipped() -> None:
    for parameter in [
        Float(0, 1),
        Float(1, 10, log=True),
        Int(1, 9),
        Int(1, 9, log=True),
        Float(0, 1, step=0.1),
    ]:
        assert parameter.decode(-3.0) == parameter.low
        assert parameter.decode(7.0) == parameter.high


def test_log_spreads_the_exponent() -> None:
    values = Float(1e-4, 1.0, log=True).decode_column(UNIT)
    share = [np.mean((values >= 10.0**k) & (values < 10.0 ** (k + 1))) for k in range(-4, 0)]
    # Four decades, a quarter each; 20,000 draws have a standard deviation of 0.003.
    assert share == pytest.approx([0.25] * 4, abs=0.015)


def test_whole_numbers_get_equal_shares() -> None:
    counts = Counter(Int(1, 5).decode_column(UNIT).tolist())
    assert [counts[k] / len(UNIT) for k in range(1, 6)] == pytest.approx([0.2] * 5, abs=0.015)


def test_log_whole_numbers_round_fairly_at_the_ends() -> None:
    counts = Counter(Int(1, 8, log=True).decode_column(UNIT).tolist())
    expected = [math.log((k + 0.5) / (k - 0.5)) / math.log(8.5 / 0.5) for k in range(1, 9)]
    assert [counts[k] / len(UNIT) for k in range(1, 9)] == pytest.approx(expected, abs=0.015)


def test_decimal_steps_give_decimal_values() -> None:
    tenths = Float(0, 1, step=0.1)
    assert [tenths.at(i) for i in range(tenths.size or 0)] == [
        0.0,
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
        0.7,
        0.8,
        0.9,
        1.0,
    ]
    assert set(tenths.decode_column(UNIT).tolist()) == {tenths.at(i) for i in range(11)}
    assert Float(1e-3, 1e-3 * 5, step=1e-3).size == 5


def test_a_range_need_not_end_on_its_grid() -> None:
    assert [Int(1, 10, step=4).at(i) for i in range(3)] == [1, 5, 9]
    assert Float(0, 1, step=0.3).at(3) == 0.9
    assert not Int(1, 10, step=4).contains(10)


def test_step_and_log_together() -> None:
    sizes = Int(16, 256, step=16, log=True)
    counts = Counter(sizes.decode_column(UNIT).tolist())
    assert set(counts) == set(range(16, 257, 16))
    assert counts[16] > counts[32] > counts[64] > counts[256]
    small = Float(0.1, 2.1, step=0.5, log=True)  # half a step below the lowest value would be below 0
    assert {small.decode(u) for u in UNIT[:2000]} == {0.1, 0.6, 1.1, 1.6, 2.1}


def test_large_whole_numbers_come_back_exactly() -> None:
    for parameter in [
        Int(0, 2**44 - 1),
        Int(1, 2**44, log=True),
        Int(-(2**43), 2**43 - 1),
        Int(1, 2**53, step=1024),
    ]:
        values = parameter.decode_column(UNIT[:500]).tolist()
        assert [parameter.decode(parameter.encode(value)) for value in values] == values


def test_extreme_ranges_do_not_overflow() -> None:
    wide = Float(-8e307, 8e307).decode_column(UNIT)
    assert np.isfinite(wide).all()
    assert wide.min() < -7e307
    assert wide.max() > 7e307
    tiny = Float(1e-320, 1e-300, log=True).decode_column(UNIT)
    assert ((tiny >= 1e-320) & (tiny <= 1e-300)).all()
    assert np.isfinite(Float(0, 1e308, step=1e307).decode_column(UNIT)).all()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Float(1, 0), "low < high.*Exchange"),
        (lambda: Float(1, 1), "Constant"),
        (lambda: Float(0, math.inf), "high to be a finite number"),
        (lambda: Float(math.nan, 1), "low to be a finite number"),
        (lambda: Float(0, 10**400), "finite number"),
        (lambda: Float(-1e308, 1e308), "wider than a float"),
        (lambda: Float(0, 1, log=True), "low > 0"),
        (lambda: Float(-1, 1, log=True), "low > 0"),
        (lambda: Float(0, 1, step=0), "step above 0"),
        (lambda: Float(0, 1, step=-0.1), "step above 0"),
        (lambda: Float(0, 1, step=1.5), "not larger than the range"),
        (lambda: Float(0, 1, step=1e-300), "at most"),
        (lambda: Float(0, 1, default=2), "default"),
        (lambda: Float("0", 1), "low to be a number"),
        (lambda: Float(True, 2), "low to be a number"),
        (lambda: Float(0, 1, log=1), "true or false"),
        (lambda: Int(0.5, 3), "whole number.*Float"),
        (lambda: Int(0, 9, step=0.5), "whole number"),
        (lambda: Int(0, 9, step=10), "not larger"),
        (lambda: Int(0, 9, log=True), "low > 0"),
        (lambda: Int(0, 2**60), "at most"),
        (lambda: Int(0, 9, default=10), "default"),
        (lambda: Int(math.inf, 9), "whole number"),
    ],
)
def test_senseless_ranges_are_refused(build: object, message: str) -> None:
    with pytest.raises(SpaceError, match=message) as caught:
        build()  # type: ignore[operator]
    assert caught.value.code == "E_RANGE"


def test_normal_forms() -> None:
    assert Int(1, 9).normal(3.0) == 3
    assert type(Int(1, 9).normal(np.int32(3))) is int
    assert type(Float(0, 9).normal(np.float32(3))) is float
    assert math.copysign(1, Float(-1, 1).normal(-0.0)) == 1
    assert Float(0, 1, step=0.1).normal(0.1 + 0.2) == 0.3
    for parameter, value in [
        (Int(1, 9), 3.5),
        (Int(1, 9), True),
        (Int(1, 9), "3"),
        (Int(1, 9), 10),
        (Int(1, 9, step=2), 2),
        (Float(0, 1), math.nan),
        (Float(0, 1), 1.0000001),
        (Float(0, 1), 10**400),
        (Float(0, 1), None),
        (Float(0, 1, step=0.1), 0.15),
        (Float(1e6, 1e6 + 1, step=0.001), 1e6 + 0.0005),
    ]:
        assert not parameter.contains(value), (parameter, value)


def test_values_are_frozen_and_compared_by_content() -> None:
    one = Float(0, 1, when={"a": [1, 2]})
    assert one == Float(0.0, 1.0, when={"a": (1, 2)})
    assert hash(one) == hash(Float(0, 1, when={"a": [1, 2]}))
    assert one != Float(0, 1)
    assert Int(0, 1) != Float(0, 1)
    with pytest.raises(AttributeError, match="cannot be changed"):
        one.low = 3
    with pytest.raises(AttributeError, match="cannot be changed"):
        del one.low


def test_defaults_are_centres() -> None:
    assert Float(0, 4).default == 2
    assert Float(1e-4, 1, log=True).default == pytest.approx(1e-2)
    assert Int(1, 9).default == 5
    assert Int(1, 9, default=2).default == 2
