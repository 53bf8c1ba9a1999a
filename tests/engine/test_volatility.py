"""Volatility: two real days against plain Python, known walks, and what is too little."""

from __future__ import annotations

import csv
from collections.abc import Callable
from math import isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import volatility as v
from tests.conftest import reference
from tests.twins import volatility as twin

MINUTES = v.YEAR_BARS["1m"]
DAYS = ("2022-01-05", "2022-01-21")
FROM_RETURNS: dict[str, Callable[[v.FLOATS], float]] = {
    "realised": v.realised,
    "bipower": v.bipower,
    "median_of_three": v.median_of_three,
    "least_of_two": v.least_of_two,
}
FROM_BARS: dict[str, Callable[..., float]] = {
    "parkinson": lambda o, h, lo, c: v.parkinson(h, lo),
    "garman_klass": v.garman_klass,
    "rogers_satchell": v.rogers_satchell,
    "yang_zhang": v.yang_zhang,
}
IN_A_YEAR = {  # of each day; computed once in plain Python from the formulas as printed
    "realised": (0.8621048207517918, 1.2993093302586733),
    "bipower": (0.8281991317807194, 1.2754764401074725),
    "median_of_three": (0.7998980104691163, 1.237230603497416),
    "least_of_two": (0.7845338990415043, 1.2484425041194513),
    "parkinson": (0.8578864586902623, 1.2817005360557105),
    "garman_klass": (0.8563332686878611, 1.277255813365977),
    "rogers_satchell": (0.8846563443888495, 1.292147894477146),
    "yang_zhang": (0.8823014377563038, 1.293016854961304),
    "ewma_bars": (0.7048446181749984, 1.3870875412535948),
    "ewma": (0.7996026288247081, 1.5851630084627588),
    "two_scales": (0.8074629541756889, 1.3584661299379723),
    "jump_share": (0.07711115950198166, 0.03634901924538614),
}


def day(name: str) -> list[tuple[float, float, float, float]]:
    """The bars of one day: open, high, low, close."""
    path = reference("fixtures/spot/btc_perp_1m_20220105_20220121.csv")
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if row["timestamp_utc"].startswith(name)]
    return [
        (float(row["open"]), float(row["high"]), float(row["low"]), float(row["close"]))
        for row in rows
    ]


@pytest.fixture(params=[0, 1], ids=DAYS)
def at(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def bars(at: int) -> list[tuple[float, float, float, float]]:
    found = day(DAYS[at])
    assert len(found) == 1440
    return found


@pytest.fixture
def returns(bars: list[tuple[float, float, float, float]]) -> v.FLOATS:
    return v.log_returns(np.array([bar[3] for bar in bars]))


@pytest.mark.parametrize("name", FROM_RETURNS)
def test_a_day_of_returns_has_the_volatility_of_the_formula(
    name: str, at: int, returns: v.FLOATS
) -> None:
    plain = {"realised": twin.rv, "bipower": twin.bv, "median_of_three": twin.med_rv,
             "least_of_two": twin.min_rv}[name]  # fmt: skip
    found = v.annual(FROM_RETURNS[name](returns), MINUTES)
    assert found == pytest.approx(sqrt(plain(list(returns)) / len(returns) * MINUTES), rel=1e-9)
    assert found == pytest.approx(IN_A_YEAR[name][at], rel=1e-9)


@pytest.mark.parametrize("name", FROM_BARS)
def test_a_day_of_bars_has_the_volatility_of_the_formula(
    name: str, at: int, bars: list[tuple[float, float, float, float]]
) -> None:
    found = v.annual(FROM_BARS[name](*np.array(bars).T.copy()), MINUTES)
    wanted = sqrt(getattr(twin, name)(bars) * MINUTES)
    assert found == pytest.approx(wanted, rel=1e-9)
    assert found == pytest.approx(IN_A_YEAR[name][at], rel=1e-9)


def test_the_weighted_two_scale_and_jump_figures_of_a_day(at: int, returns: v.FLOATS) -> None:
    minute = np.full(len(returns), 60.0)
    bars = v.annual(v.ewma_bars(returns, 0.94), MINUTES)
    ticks = v.annual(v.ewma(returns, minute, 900.0), v.YEAR_S)
    slow = v.annual(v.two_scales(returns, 60.0 * len(returns), 5), v.YEAR_S)
    plain = list(returns)
    year = MINUTES / len(returns)
    assert bars == pytest.approx(sqrt(twin.ewma(plain, 0.94) * MINUTES), rel=1e-9)
    assert ticks == pytest.approx(
        sqrt(twin.ewma_ticks(plain, list(minute), 900.0) * v.YEAR_S), rel=1e-9
    )
    assert slow == pytest.approx(sqrt(twin.two_scales(plain, 5) * year), rel=1e-9)
    assert v.jump_share(returns) == pytest.approx(1 - twin.bv(plain) / twin.rv(plain), rel=1e-9)
    for name, found in (("ewma_bars", bars), ("ewma", ticks), ("two_scales", slow),
                        ("jump_share", v.jump_share(returns))):  # fmt: skip
        assert found == pytest.approx(IN_A_YEAR[name][at], rel=1e-9)


def test_ticks_a_minute_apart_are_one_minute_bars(returns: v.FLOATS) -> None:
    found = v.annual(v.irregular(returns, np.full(len(returns), 60.0)), v.YEAR_S)
    assert found == pytest.approx(v.annual(v.realised(returns), MINUTES), rel=1e-12)


# ---- walks whose volatility is known


def _walk(count: int, sigma: float) -> v.FLOATS:
    return np.asarray(np.random.default_rng(20_261_121).normal(0, sigma, count))


@pytest.mark.parametrize("name", FROM_RETURNS)
def test_of_a_walk_without_jumps_all_find_the_same(name: str) -> None:
    assert sqrt(FROM_RETURNS[name](_walk(200_000, 1e-4))) == pytest.approx(1e-4, rel=0.01)


def test_a_jump_moves_the_realised_and_hardly_the_others() -> None:
    returns = _walk(5_000, 1e-4)
    returns[2_500] = 100e-4
    assert sqrt(v.realised(returns)) > 1.5e-4 and v.jump_share(returns) > 0.5
    for name in ("bipower", "median_of_three", "least_of_two"):
        assert sqrt(FROM_RETURNS[name](returns)) == pytest.approx(1e-4, rel=0.05), name
    assert 100e-4 / sqrt(v.bipower(returns)) > v.jump_bound(len(returns), 0.01)


def test_the_largest_of_a_quiet_walk_exceeds_the_bound_as_often_as_said() -> None:
    draws = np.random.default_rng(1).standard_normal((4000, 1000))
    largest = np.abs(draws).max(axis=1)
    assert np.mean(largest > v.jump_bound(1000, 0.05)) == pytest.approx(0.05, abs=0.015)


def test_two_scales_see_through_the_bounce_between_bid_and_ask() -> None:
    path = np.cumsum(_walk(100_000, 1e-5))
    bounce = np.where(np.random.default_rng(2).random(len(path)) < 0.5, 2e-5, -2e-5)
    returns = np.diff(path + bounce)
    assert sqrt(v.realised(returns)) > 2.5e-5
    found = sqrt(v.two_scales(returns, float(len(returns)), 60))
    assert found == pytest.approx(1e-5, rel=0.05)


def test_the_weight_of_a_return_halves_with_the_half_life() -> None:
    value = v.ewma_step(nan, 0.0, 1.0, 300.0)
    assert value == 0.0, "the first return seeds, also when nothing moved"
    value = v.ewma_step(nan, 1e-3, 10.0, 300.0)
    assert value == pytest.approx(1e-7, rel=1e-12)
    assert v.ewma_step(value, 0.0, 300.0, 300.0) == pytest.approx(0.5e-7, rel=1e-12)
    many = value
    for _ in range(300):
        many = v.ewma_step(many, 0.0, 1.0, 300.0)
    assert many == pytest.approx(0.5e-7, rel=1e-9), "however often it is told nothing"


@given(
    pairs=st.lists(
        st.tuples(st.floats(-0.01, 0.01), st.floats(0.01, 100)), min_size=1, max_size=60
    ),
    half_life=st.floats(1, 3000),
)
def test_the_irregular_average_is_that_of_plain_python(
    pairs: list[tuple[float, float]], half_life: float
) -> None:
    changes, seconds = (list(column) for column in zip(*pairs, strict=True))
    found = v.ewma(np.array(changes), np.array(seconds), half_life)
    assert found == pytest.approx(twin.ewma_ticks(changes, seconds, half_life), rel=1e-9)


def test_ticks_too_near_to_each_other_are_left_out() -> None:
    ticks = [(100.0, 0.0), (150.0, 5.0), (101.0, 10.0), (50.0, 19.9), (102.0, 25.0)]
    state, found = np.full(3, nan), []
    for price, at_s in ticks:
        found.append(v.ewma_tick(state, price, at_s, 10.0, 600.0))
    taken = v.log_returns(np.array([100.0, 101.0, 102.0]))
    wanted = twin.ewma_ticks(list(taken), [10.0, 15.0], 600.0)
    assert isnan(found[0]) and isnan(found[1]) and found[3] == found[2]
    assert found[2] == pytest.approx(taken[0] / sqrt(10.0), rel=1e-12)
    assert found[4] == pytest.approx(sqrt(wanted), rel=1e-12)


def test_of_a_smoothed_index_only_samples_further_apart_tell_the_volatility() -> None:
    path = np.exp(np.cumsum(_walk(40_000, 1e-4)))
    smooth = np.convolve(path, np.full(4, 0.25), "valid")
    found = []
    for sample_s in (1.0, 60.0):
        state = np.full(3, nan)
        for at_s, price in enumerate(smooth):
            last = v.ewma_tick(state, price, float(at_s), sample_s, 4_000.0)
        found.append(last)
    assert found[0] == pytest.approx(0.5e-4, rel=0.1)
    assert found[1] == pytest.approx(1e-4, rel=0.2)


def test_history_gives_way_to_what_is_seen() -> None:
    assert v.blended(nan, 4.0, 1000.0, 300.0) == 4.0
    assert v.blended(1.0, 4.0, 0.0, 300.0) == 4.0
    assert v.blended(1.0, 4.0, 300.0, 300.0) == pytest.approx(2.5)
    assert v.blended(1.0, 4.0, 1e6, 300.0) == pytest.approx(1.0)


def test_of_too_few_nothing_is_said() -> None:
    none, one, two = np.empty(0), np.array([1e-4]), np.array([1e-4, 1e-4])
    for found in (
        v.realised(none), v.ewma_bars(none, 0.94), v.ewma(none, none, 300.0),
        v.irregular(none, none), v.bipower(one), v.least_of_two(one), v.median_of_three(two),
        v.jump_share(one), v.jump_share(np.zeros(5)), v.jump_bound(2, 0.01),
        v.jump_bound(100, 0.0), v.two_scales(two, 2.0, 5), v.two_scales(two, 0.0, 1),
        v.parkinson(none, none), v.garman_klass(none, none, none, none),
        v.rogers_satchell(none, none, none, none), v.yang_zhang(two, two, two, two),
    ):  # fmt: skip
        assert isnan(found)
    assert len(v.log_returns(none)) == len(v.log_returns(one)) == 0
