"""The dead zone: issue 5's example by hand, the kernels against strips and against drawn pairs."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import dead_zone as z
from engine.fair import average_variance, per_root_second
from shm_layout import BUY, E6, SELL
from tests.twins import dead_zone as twin

DOLLARS = st.floats(-200, 200)
DEVIATIONS = st.floats(0.01, 100)
SEED = 20_261_121


def test_two_strikes_30_dollars_apart_near_the_close() -> None:
    """By hand. Bitcoin at 80,010; Kalshi asks for 80,000, Polymarket for 80,030; 30 of the 60 ticks
    of both averages are still to come, the 30 known ones were at 80,010 too; volatility 50 % a
    year; both indices the same (no basis yet).

    - σ = 0.5/√31,536,000 = 8.9036e-5 a root second
    - V = m(m+1)(2m+1)/(6n²) = 30·31·61/21,600 = 2.62639 s
    - deviation of the average = 80,010 · 8.9036e-5 · √2.62639 = $11.545
    - Kalshi's strike lies (80,000 − 80,010)/11.545 = −0.8662 deviations off, Polymarket's
      (80,030 − 80,010)/11.545 = +1.7323
    - sell YES at Kalshi, buy it at Polymarket: both lose if the average ends in between,
      Φ(1.7323) − Φ(−0.8662) = 0.95839 − 0.19319 = 0.76520: 76.5 cents of each dollar
    - buy YES at Kalshi, sell it at Polymarket: both lose if it ends below 80,000 and at or above
      80,030 at once: never
    """
    variance = average_variance(1.0, 30, 60)
    assert variance == pytest.approx(30 * 31 * 61 / 21_600)
    sd = 80_010 * per_root_second(0.5) * sqrt(variance)
    assert sd == pytest.approx(11.545, abs=5e-4)
    kalshi, polymarket = 80_000.0 - 80_010.0, 80_030.0 - 80_010.0
    sell_buy = z.both_lose(SELL, True, kalshi, sd, BUY, True, polymarket, 0.0)
    assert sell_buy == pytest.approx(0.95839 - 0.19319, abs=5e-5)
    assert z.dead_zone_e6(sell_buy) == 765_201
    assert z.both_lose(BUY, True, kalshi, sd, SELL, True, polymarket, 0.0) == 0


def test_two_indices_make_both_directions_lose() -> None:
    """The same with a difference that strays by $6 (0.75 bp): the 30 dollars are five deviations of
    it, so the safe direction stays nearly safe; with equal strikes neither is.

    Equal strikes at the expected average, deviations 8 and 6 (of the second: 10): both lose if the
    first is low and the second high, (1/4 − arcsin(0.8)/2π) = 0.10242 of the plane.
    """
    sd = 11.545
    assert z.both_lose(BUY, True, -10.0, sd, SELL, True, 20.0, 6.0) < 1e-5
    for sides in ((BUY, SELL), (SELL, BUY)):
        found = z.both_lose(sides[0], True, 0.0, 8.0, sides[1], True, 0.0, 6.0)
        assert found == pytest.approx(0.25 - np.arcsin(0.8) / (2 * np.pi), abs=1e-9)


@settings(deadline=None, max_examples=50)
@given(DOLLARS, DEVIATIONS, DOLLARS, st.just(0.0) | DEVIATIONS)
def test_the_kernel_is_the_twin(gap_a: float, sd_a: float, gap_b: float, sd_more: float) -> None:
    found = z.low_then_high(gap_a, sd_a, gap_b, sd_more)
    assert found == pytest.approx(twin.low_then_high(gap_a, sd_a, gap_b, sd_more), abs=3e-3)


@settings(deadline=None)
@given(DOLLARS, DEVIATIONS, DOLLARS, st.just(0.0) | DEVIATIONS, st.booleans(), st.booleans())
def test_the_four_ways_a_pair_can_end_sum_to_one(
    gap_a: float, sd_a: float, gap_b: float, sd_more: float, above_a: bool, above_b: bool
) -> None:
    ways = [
        z.both_lose(a, above_a, gap_a, sd_a, b, above_b, gap_b, sd_more)
        for a in (BUY, SELL)
        for b in (BUY, SELL)
    ]
    assert all(0 <= way <= 1 for way in ways) and sum(ways) == pytest.approx(1, abs=1e-8)


def test_drawn_pairs_lose_as_often_as_it_says() -> None:
    rng = np.random.default_rng(SEED)
    count = 200_000
    for gap_a, sd_a, gap_b, sd_more in ((5.0, 20.0, -3.0, 4.0), (-10.0, 11.5, 20.0, 6.0)):
        first = rng.normal(0, sd_a, count)
        second = first + rng.normal(0, sd_more, count)
        seen = np.mean((first < gap_a) & (second >= gap_b))
        found = z.low_then_high(gap_a, sd_a, gap_b, sd_more)
        assert abs(found - seen) < 4 * 0.5 / sqrt(count)


def test_a_chance_is_rounded_against_us_and_what_is_none_takes_everything() -> None:
    assert z.dead_zone_e6(0.0) == 0 and z.dead_zone_e6(1e-9) == 1
    assert z.dead_zone_e6(float("nan")) == z.dead_zone_e6(-0.1) == z.dead_zone_e6(2.0) == E6
