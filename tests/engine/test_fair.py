"""Fair values against the reference's figures, plain Python, and paths drawn one by one."""

from __future__ import annotations

import inspect
from math import hypot, inf, isnan, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import fair
from engine.fair_rules import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    BETWEEN,
    MEAN,
    POINT,
    TIE_HALVES,
    TWAP,
    UNKNOWN,
)
from shm_layout import BUY, NO_ASK_E6, NO_BID_E6, SELL
from tests.twins import fair as twin

S = 85_000.0
SIGMA = fair.per_root_second(0.5)
SEED = 20_261_121
PATHS = 200_000
FOUR_ERRORS = 4 * 0.5 / sqrt(PATHS)  # of a share counted over the paths


def yes(**changed: float) -> float:
    """`fair_yes` of a Kalshi market five minutes before its close, at the money, uncapped."""
    given = {
        "kind": MEAN, "compare": AT_LEAST, "half_tick": 0.005, "n": 60, "spot": S, "sigma": SIGMA,
        "seconds": 300.0, "strike": S, "upper": 0.0, "known_sum": 0.0, "known_count": 0,
        "hole_age_s": 0.0, "proxy_count": 0, "error": 0.0, "widen": 1.0, "cap": 0.0,
    }  # fmt: skip
    return float(fair.fair_yes(*(given | changed).values()))


# ---- the reference's own figures


def test_a_year_of_365_days_turns_fifty_percent_into_8_9036e_5_a_root_second() -> None:
    assert fair.per_root_second(0.5) == pytest.approx(8.9036e-5, rel=1e-5)
    assert fair.per_root_second(0.5) * sqrt(31_536_000) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("coming, factor", [(30, 9455 / 3600), (10, 385 / 3600), (1, 1 / 3600)])
def test_inside_the_window_the_variance_factor_is_the_references(
    coming: int, factor: float
) -> None:
    told = {30: 2.6264, 10: 0.10694, 1: 0.00027778}[coming]
    found = fair.average_variance(1.0, coming, 60)
    assert found == pytest.approx(factor, rel=1e-12) and found == pytest.approx(told, rel=5e-5)
    assert found == pytest.approx(coming * (coming + 1) * (2 * coming + 1) / 21_600, rel=1e-12)


@pytest.mark.parametrize("first_s", [0.25, 1, 60, 840])
def test_before_the_window_the_factor_is_seconds_to_close_less_40_497(first_s: float) -> None:
    found = fair.average_variance(first_s, 60, 60)
    assert found == pytest.approx(first_s + 59 * 119 / 360, rel=1e-12)
    assert found == pytest.approx(first_s + 60 - 40.497, abs=3e-4)  # close is 60 s after the first


def test_the_inside_form_tends_to_the_continuous_one() -> None:
    _, found = fair.average_terms(S, SIGMA, 29.0, 31 * S, 31, 60, 0.0)
    assert found == pytest.approx(S * SIGMA * 29.5**1.5 / (sqrt(3) * 60), rel=2e-3)


def test_rounding_moves_the_strike_by_half_a_digit_as_the_comparison_needs() -> None:
    eff = fair.effective_strike
    assert eff(2492.82, AT_LEAST, 0.005) == pytest.approx(2492.815, rel=1e-15)
    assert eff(2492.82, ABOVE, 0.005) == pytest.approx(2492.825, rel=1e-15)
    assert eff(2492.82, BELOW, 0.005) == eff(2492.82, AT_LEAST, 0.005)
    assert eff(2492.82, AT_MOST, 0.005) == eff(2492.82, ABOVE, 0.005)
    assert eff(2492.82, TIE_HALVES, 0.005) == 2492.82
    known = {"known_sum": 60 * 2492.8158, "known_count": 60, "seconds": 1.0, "spot": 2492.8}
    assert yes(strike=2492.82, **known) == 1.0  # rounds to 2492.82: a tie is YES
    assert yes(strike=2492.83, **known) == 0.0
    assert yes(strike=2492.82, compare=ABOVE, **known) == 0.0
    assert yes(strike=2492.81, compare=ABOVE, **known) == 1.0


# ---- plain Python


prices = st.floats(1e-2, 2e5)
sigmas = st.floats(1e-6, 3e-3)


@given(
    spot=prices, sigma=sigmas, last_s=st.floats(-2, 900), known=st.integers(0, 60),
    drift=st.floats(-20, 20), hole=st.floats(0, 60),
)  # fmt: skip
def test_the_average_is_that_of_plain_python(
    spot: float, sigma: float, last_s: float, known: int, drift: float, hole: float
) -> None:
    known_sum = known * spot * (1 + drift * sigma)
    args = (spot, sigma, last_s, known_sum, known, 60, hole)
    found, wanted = fair.average_terms(*args), twin.average_terms(*args)
    assert found[0] == pytest.approx(wanted[0], rel=1e-12)
    assert found[1] == pytest.approx(wanted[1], rel=1e-9, abs=1e-12 * spot)


@given(
    compare=st.sampled_from([AT_LEAST, ABOVE, BELOW, AT_MOST, BETWEEN, TIE_HALVES]),
    kind=st.sampled_from([MEAN, TWAP, POINT]), seconds=st.floats(0.5, 900),
    away=st.floats(-6, 6), wide=st.floats(0, 3), known=st.integers(0, 59),
    error=st.sampled_from([0.0, 1e-4]), widen=st.floats(1, 3), sigma=sigmas,
)  # fmt: skip
def test_the_fair_value_is_that_of_plain_python(
    compare: int, kind: int, seconds: float, away: float, wide: float, known: int, error: float,
    widen: float, sigma: float,
) -> None:  # fmt: skip
    half, known = 0.005, known if kind != POINT else 0
    last_s = seconds - 1 if kind == MEAN else seconds
    mean, way = twin.average_terms(S, sigma, last_s, known * S, known, 60, 5.0)
    if kind == POINT:
        mean, way = S, S * sigma * sqrt(seconds)
    strike = S + away * way
    upper = strike + wide * way
    low, high = twin.bounds(compare, strike, upper, half)
    if kind == POINT:
        deviation = sqrt((widen * way / S) ** 2 + error**2)
        above = [twin.digital(S, x, deviation) if abs(x) < inf else float(x < 0)
                 for x in (low, high)]  # fmt: skip
    else:
        never = twin.TWAP_OFF * mean if kind == TWAP else 0.0
        deviation = sqrt((widen * way) ** 2 + (error * S * (60 - known) / 60) ** 2 + never**2)
        above = [twin.chance_above(mean, x, deviation) if abs(x) < inf else float(x < 0)
                 for x in (low, high)]  # fmt: skip
    found = yes(
        kind=kind, compare=compare, seconds=seconds, strike=strike, upper=upper, error=error,
        known_sum=known * S, known_count=known, hole_age_s=5.0, widen=widen, sigma=sigma,
    )  # fmt: skip
    assert found == pytest.approx(above[0] - above[1], rel=1e-9, abs=1e-12)


@given(z=st.floats(-37, 37))
def test_the_normal_is_exact_in_both_tails(z: float) -> None:
    found = fair.normal_cdf(z)
    assert found == pytest.approx(twin.chance_above(z, 0.0, 1.0), rel=1e-9, abs=1e-15)
    assert found + fair.normal_cdf(-z) == pytest.approx(1.0, abs=1e-15)


@pytest.mark.parametrize("seconds", [900, 400, 120, 61, 31, 11, 2])
def test_the_lognormal_form_differs_by_less_than_5_3e_4_up_to_15_minutes(seconds: int) -> None:
    known = max(0, 61 - seconds)
    ahead = twin.offsets(seconds - 1, known, 60)
    for away in (-2, -1, -0.3, 0, 0.5, 1.5):
        mean, way = twin.average_terms(S, SIGMA, seconds - 1, known * S, known, 60, 0)
        strike = mean + away * way
        k = 60 * strike - known * S
        found = yes(seconds=float(seconds), strike=strike, half_tick=0.0, known_sum=known * S,
                    known_count=known)  # fmt: skip
        assert abs(found - twin.lognormal_sum(S, SIGMA, ahead, k)) < 5.3e-4


# ---- paths, drawn one by one: a judge that knows no formula


def _paths(times: np.ndarray, sigma: float) -> np.ndarray:
    """Prices at these seconds from S, a row a path: a geometric walk without drift."""
    draws = np.random.default_rng(SEED).standard_normal((PATHS, len(times)), dtype=np.float32)
    steps = np.diff(times, prepend=0.0)
    logs = np.cumsum(draws * (sigma * np.sqrt(steps)) - sigma**2 * steps / 2, axis=1)
    return np.asarray(S * np.exp(logs), dtype=np.float64)


@pytest.mark.parametrize("away", [-1.2, 0.0, 0.7])
def test_a_point_in_time_comes_true_as_often_as_it_says(away: float) -> None:
    end = _paths(np.array([300.0]), SIGMA)[:, 0]
    strike = S * (1 + away * SIGMA * sqrt(300))
    found = yes(kind=POINT, half_tick=0.0, strike=strike)
    assert np.mean(end > strike) == pytest.approx(found, abs=FOUR_ERRORS)


@pytest.mark.parametrize("compare", [AT_LEAST, ABOVE, BELOW, AT_MOST, BETWEEN])
@pytest.mark.parametrize("seconds", [200.0, 21.0])
def test_a_rounded_average_comes_true_as_often_as_it_says(compare: int, seconds: float) -> None:
    sigma, unit = 1e-5, 0.5  # a coarse digit, so that a wrong half of it would be seen
    known = max(0, 61 - int(seconds))
    ahead = np.array(twin.offsets(seconds - 1, known, 60))
    ticks = _paths(ahead, sigma)
    value = np.round((known * (S + 1) + ticks.sum(axis=1)) / 60 / unit) * unit
    strike, width = (S + 10, 20.0) if seconds > 60 else (S + 1, 2.0)
    wins = {
        AT_LEAST: value >= strike, ABOVE: value > strike, BELOW: value < strike,
        AT_MOST: value <= strike, BETWEEN: (value >= strike) & (value <= strike + width),
    }[compare]  # fmt: skip
    found = yes(compare=compare, half_tick=unit / 2, sigma=sigma, seconds=seconds, strike=strike,
                upper=strike + width, known_sum=known * (S + 1), known_count=known)  # fmt: skip
    assert 0.05 < found < 0.95
    assert np.mean(wins) == pytest.approx(found, abs=FOUR_ERRORS)
    point = yes(kind=POINT, compare=compare, half_tick=unit / 2, sigma=sigma, seconds=seconds,
                strike=strike, upper=strike + width)  # fmt: skip
    assert abs(np.mean(wins) - point) > FOUR_ERRORS, "the point is not the average"


@pytest.mark.parametrize("start_s, known", [(90.0, 0), (40.0, 20), (10.0, 50)])
def test_before_the_strike_is_known_the_difference_of_both_averages_decides(
    start_s: float, known: int
) -> None:
    ahead = np.concatenate([
        np.arange(start_s - (60 - known) + 1, start_s + 1), np.arange(start_s + 241, start_s + 301)
    ])  # fmt: skip
    ticks = _paths(ahead, SIGMA)
    mine = 60 - known
    start = (known * (S - 20) + ticks[:, :mine].sum(axis=1)) / 60
    up = np.mean(ticks[:, mine:].mean(axis=1) >= start)
    args = (S, SIGMA, start_s, 300.0, known * (S - 20), known, 60, 0.0, 1.0, 0.0)
    assert fair.fair_before_start(*args) == pytest.approx(up, abs=FOUR_ERRORS)


def test_a_twap_that_rolls_off_is_the_average_seen_from_what_is_published() -> None:
    seen = [S + 3 * k for k in range(60)]  # the last minute; 25 s of it stay until the close
    spot, tau = seen[-1] + 2, 35
    mean, way = twin.rolling_terms(
        spot, SIGMA, float(tau), sum(seen) / 60, sum(seen[:tau]) / tau, 60
    )
    sums, way_of_ticks = fair.average_terms(spot, SIGMA, float(tau), sum(seen[tau:]), 25, 60, 0.0)
    assert mean == pytest.approx(sums, rel=1e-12)
    assert way == pytest.approx(way_of_ticks, rel=0.03)  # continuous beside a tick a second


def test_near_its_end_a_twap_is_priced_like_its_ticks_and_what_it_is_off_them() -> None:
    seen = [S + 2 * k for k in range(60)]
    spot, tau, mean = seen[-1], 20, sum(seen) / 60
    leaving = sum(seen[:tau]) / tau
    for away in (-1.5, -0.4, 0.0, 1.0):
        at_end, way = twin.rolling_terms(spot, SIGMA, float(tau), mean, leaving, 60)
        way = hypot(way, twin.TWAP_OFF * at_end)
        strike = at_end + away * way
        ticks = yes(kind=TWAP, half_tick=0.0, spot=spot, seconds=float(tau), strike=strike,
                    known_sum=sum(seen[tau:]), known_count=40)  # fmt: skip
        assert ticks == pytest.approx(twin.chance_above(-away, 0.0, 1.0), abs=0.02)


@given(
    kind=st.sampled_from([MEAN, TWAP, POINT]), seconds=st.floats(1, 900), away=st.floats(-3, 3),
    known=st.integers(0, 60), cap=st.sampled_from([0.0, 0.01]), up=st.floats(0, 100),
)  # fmt: skip
def test_yes_and_no_sum_to_one_and_a_higher_spot_never_lowers_yes(
    kind: int, seconds: float, away: float, known: int, cap: float, up: float
) -> None:
    common = {
        "kind": kind, "seconds": seconds, "strike": S * (1 + away * 1e-3), "cap": cap,
        "known_sum": known * S, "known_count": known, "widen": 1.1, "error": 1e-4,
    }  # fmt: skip
    found = yes(compare=AT_LEAST, **common)
    assert found + yes(compare=BELOW, **common) == pytest.approx(1.0, abs=1e-12)
    assert yes(compare=ABOVE, **common) + yes(compare=AT_MOST, **common) == pytest.approx(1.0)
    assert yes(compare=AT_LEAST, **(common | {"spot": S + up})) >= found - 1e-9


# ---- what is not known


def test_a_tick_that_did_not_come_is_expected_at_spot_and_widens() -> None:
    whole = fair.average_terms(S, SIGMA, 19.0, 41 * (S + 50), 41, 60, 0.0)
    holed = fair.average_terms(S, SIGMA, 19.0, 39 * (S + 50), 39, 60, 30.0)
    assert holed[0] == pytest.approx((39 * (S + 50) + 21 * S) / 60, rel=1e-15)
    assert holed[0] != pytest.approx(whole[0], abs=1.0), "not filled with the mean of the window"
    assert holed[1] > whole[1]


def test_a_minute_without_a_tick_is_never_sure() -> None:
    late = {"seconds": 1.0, "known_count": 0, "hole_age_s": 60.0}
    assert 0.2 < yes(strike=S + 30, **late) < yes(strike=S, **late) < 0.6


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": UNKNOWN}, {"kind": 9}, {"compare": 0}, {"compare": 7}, {"spot": 0.0},
        {"spot": nan}, {"sigma": 0.0}, {"sigma": nan}, {"strike": 0.0}, {"known_count": 61},
        {"known_count": -1}, {"n": 0}, {"error": -1.0}, {"widen": 0.0}, {"half_tick": -1.0},
        {"seconds": nan}, {"seconds": inf}, {"known_sum": nan}, {"hole_age_s": nan}, {"error": nan},
        {"compare": BETWEEN, "upper": S - 1},
    ],
)  # fmt: skip
def test_what_is_not_known_has_no_fair_value_and_no_price(wrong: dict[str, float]) -> None:
    assert isnan(yes(**wrong)) and isnan(yes(**wrong, cap=0.05))
    assert fair.fair_e6(yes(**wrong), BUY) == NO_BID_E6
    assert fair.fair_e6(yes(**wrong), SELL) == NO_ASK_E6


def test_a_chance_becomes_a_price_against_us() -> None:
    third = 1 / 3
    assert (fair.fair_e6(third, BUY), fair.fair_e6(third, SELL)) == (333_333, 333_334)
    assert (fair.fair_e6(0.5, BUY), fair.fair_e6(0.5, SELL)) == (500_000, 500_000)


@given(chance=st.floats(0, 1), cap=st.floats(0, 0.2))
def test_a_capped_chance_is_within_its_cap(chance: float, cap: float) -> None:
    found = fair.capped(chance, cap)
    assert cap <= found <= 1 - cap
    assert found == chance or chance < cap or chance > 1 - cap


def test_the_widening_joins_its_points_and_never_narrows() -> None:
    for at, factor in zip(fair.WIDEN_AT_S, fair.WIDEN, strict=True):
        assert fair.widening(at) == pytest.approx(factor, rel=1e-12)
    found = [fair.widening(s) for s in np.linspace(0, 1000, 4001)]
    assert min(found) >= 1 and max(abs(np.diff(found))) < 0.02
    assert fair.widening(0.0) == fair.WIDEN[0] and fair.widening(1e9) == fair.WIDEN[-1]


def test_the_error_of_a_composite_is_added_in_quadrature() -> None:
    far = {"strike": S + 40, "half_tick": 0.0, "seconds": 20.0, "known_sum": 41 * S,
           "known_count": 41}  # fmt: skip
    _, way = fair.average_terms(S, SIGMA, 19.0, 41 * S, 41, 60, 0.0)
    for proxy in (0, 30):
        off = 1e-4 * S * (19 + proxy) / 60
        wanted = twin.chance_above(S, S + 40, sqrt(way**2 + off**2))
        found = yes(**far, error=1e-4, proxy_count=proxy)
        assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize(("known", "seconds", "above", "twap"), [
    (60, 0.5, 0.1e-4 * 68_000, 0.612), (60, 0.5, -0.1e-4 * 68_000, 0.388), (57, 3.0, 1.0, 0.661),
])  # fmt: skip
def test_a_twap_is_no_surer_than_it_is_near_the_mean_of_its_ticks(
    known: int, seconds: float, above: float, twap: float
) -> None:
    """Kalshi's mean is that of its ticks: with all of them known there is nothing left to doubt."""
    seen = {"spot": 68_000.0, "strike": 68_000.0 - above, "half_tick": 0.0,
            "known_sum": known * 68_000.0, "known_count": known}  # fmt: skip
    assert yes(kind=TWAP, seconds=seconds, **seen) == pytest.approx(twap, abs=1e-3)
    mean = yes(kind=MEAN, seconds=seconds + 1, **seen)
    assert mean == (1.0 if above > 0 else 0.0) if known == 60 else mean > 0.99


# ---- ladders


@pytest.mark.parametrize("kind, seconds", [(MEAN, 500.0), (MEAN, 17.0), (POINT, 500.0)])
def test_a_ladder_of_ranges_and_both_tails_sum_to_one(kind: int, seconds: float) -> None:
    known = {"known_sum": 44 * S, "known_count": 44} if seconds < 60 else {}
    common = {"kind": kind, "seconds": seconds, **known}
    lows = [S - 500 + 100 * k for k in range(10)]  # 84500.00 … 84599.99, 84600.00 … as at Kalshi
    rungs = [yes(compare=BETWEEN, strike=low, upper=low + 99.99, **common) for low in lows]
    tails = [yes(compare=BELOW, strike=lows[0], **common),
             yes(compare=ABOVE, strike=lows[-1] + 99.99, **common)]  # fmt: skip
    assert sum(rungs) + sum(tails) == pytest.approx(1.0, abs=1e-9)
    assert min(rungs) >= 0
    above = [yes(compare=ABOVE, strike=low - 0.01, **common) for low in lows]
    assert above == sorted(above, reverse=True)
    assert above[0] + tails[0] == pytest.approx(1.0, abs=1e-9)


# ---- errors of earlier engines (reference strategies)


def test_a_target_far_above_spot_is_unlikely_and_one_far_below_likely() -> None:
    for kind in (POINT, MEAN, TWAP):
        chances = [yes(kind=kind, strike=S * (1 + k / 1000)) for k in range(-5, 6)]
        assert chances == sorted(chances, reverse=True), "falls as the strike rises"
        assert chances[0] > 0.99 and chances[-1] < 0.01


def test_the_average_is_surer_than_the_point() -> None:
    above = {"strike": S - 50}
    assert yes(kind=MEAN, **above) > yes(kind=TWAP, **above) > yes(kind=POINT, **above) > 0.5
    assert yes(kind=MEAN, seconds=30.0, known_sum=31 * (S - 100), known_count=31, strike=S) < 0.1
    assert yes(kind=POINT, seconds=30.0, strike=S) == pytest.approx(0.5, abs=1e-3)


def test_units_are_one_annual_sigma_never_meets_days() -> None:
    day = fair.digital(S, S * 1.01, fair.per_root_second(0.6) * sqrt(86_400))
    assert day == pytest.approx(twin.digital(S, S * 1.01, 0.6 * sqrt(1 / 365)), rel=1e-12)


def test_time_decay_is_off_and_says_what_it_is() -> None:
    assert fair.time_counted_twice(0.7, 1.0, False) == 0.7
    assert fair.time_counted_twice(0.7, 1.0, True) == pytest.approx(0.7 * 0.1353352832366127)
    assert "time_counted_twice" not in inspect.getsource(fair.fair_yes.py_func)


def test_targets_beyond_what_was_ever_seen_are_less_likely_if_wanted() -> None:
    adjusted = fair.near_extremes
    assert adjusted(0.3, 100.0, 150.0, 120.0, 10.0) == pytest.approx(0.3 / (1 + 2 * 30 / 120))
    assert adjusted(0.3, 100.0, 8.0, 120.0, 10.0) == pytest.approx(0.3 / (1 + 2 * 2 / 10))
    for spot, target in ((100.0, 110.0), (100.0, 50.0), (160.0, 150.0), (5.0, 8.0)):
        assert adjusted(0.3, spot, target, 120.0, 10.0) == 0.3
