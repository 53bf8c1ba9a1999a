"""What a view shows of model and trades, and that what is unknown stays so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine import flow as f
from engine.strategies import view as v
from shm_layout import BUY, E6, NO_ASK_E6, NO_BID_E6

SECOND = 10**9


def market(**changed: float) -> v.Floats:
    """A BTC window of 300 s with 120 left, spot $34 above the strike."""
    told = {
        "spot": 68_034.0, "strike": 68_000.0, "settles_at": 68_034.0, "seconds": 120.0,
        "left": 120.0, "length": 300.0, "sigma": 8.9e-5, "error": 0.0, "fair": 0.7,
        "trigger": v.TRIGGER_SPOT,
    } | changed  # fmt: skip
    view = np.zeros(v.VIEW_CELLS)
    v.show_market(view, *told.values())
    return view


def test_distance_and_z_are_those_of_the_expected_settlement_value() -> None:
    view = market()
    assert view[v.V_DISTANCE] == pytest.approx(0.0005)
    assert view[v.V_Z] == pytest.approx(math.log(68_034 / 68_000) / (8.9e-5 * math.sqrt(120)))
    late = market(settles_at=67_990.0, left=5.0, seconds=0.01)
    assert late[v.V_SPOT] > late[v.V_STRIKE] and late[v.V_DISTANCE] < 0 and late[v.V_Z] < -1


def test_what_the_settlement_may_be_off_stays_when_no_time_is_left() -> None:
    """A published average is off its own ticks by 0.35 bp: $2.4 at 68,000. A dollar above the
    strike is no certainty then, however little the price may still do."""
    dollar = {"settles_at": 68_001.0, "left": 1.0, "seconds": 1e-4}
    blind, honest = market(**dollar), market(**dollar, error=0.35e-4)
    assert blind[v.V_Z] > 15 and honest[v.V_Z] == pytest.approx(1 / 2.38, rel=0.01)
    assert v.spread(honest, 0.0) == 0.35e-4 and v.spread(blind, 0.0) == 0.0
    assert honest[v.V_SECONDS] == blind[v.V_SECONDS]


@pytest.mark.parametrize(
    ("share", "bid", "ask", "wanted"),
    [
        (0, 400_000, 420_000, 0.7),
        (E6, 400_000, 420_000, 0.41),
        (E6 // 2, 400_000, 420_000, 0.555),
        (E6, NO_BID_E6, 20_000, 0.01),  # nobody buys: the middle lies between nothing and the ask
        (E6, 980_000, NO_ASK_E6, 0.99),
        (E6, NO_BID_E6, NO_ASK_E6, 0.5),
    ],
)
def test_the_market_has_its_share_in_a_chance(
    share: int, bid: int, ask: int, wanted: float
) -> None:
    middle = v.middle_of(bid, ask)
    assert v.with_market(0.7, share / E6, middle) == pytest.approx(wanted)
    mirrored = v.with_market(0.3, share / E6, v.middle_of(E6 - ask, E6 - bid))
    assert mirrored == pytest.approx(1 - wanted)
    assert math.isnan(v.with_market(math.nan, share / E6, middle))


def test_time_is_shown_in_seconds_and_in_fractions() -> None:
    view = market()
    assert (view[v.V_LEFT], view[v.V_ELAPSED], view[v.V_FRACTION]) == (120.0, 180.0, 0.4)


def test_what_nobody_told_is_unknown_and_compares_false() -> None:
    view = market(sigma=math.nan, strike=0.0, length=0.0)
    for cell in (v.V_DISTANCE, v.V_Z, v.V_FRACTION, v.V_ELAPSED, v.V_VELOCITY, v.V_TRADES):
        assert math.isnan(view[cell]) and not view[cell] > 0 and not view[cell] < 0


def test_trades_are_shown_after_the_old_ones_left() -> None:
    words, view = np.zeros(f.FLOW_CELLS, np.int64), market()
    for i in range(61):
        now = (100 + i) * SECOND
        f.add_trade(words, 0, i + 1, now, (68_000 + i) * 10**8, 10**8, BUY, now)
    v.show_flow(view, words, 0, 160 * SECOND, 68_000 * 10**8, 68_005 * 10**8)
    assert view[v.V_TRADES] == 31 and view[v.V_RATE] == pytest.approx(31 / 30)
    assert view[v.V_NET] == 31.0 and view[v.V_DOMINANT] == 1.0
    assert view[v.V_VELOCITY] == pytest.approx(1 / 68_000)
    assert view[v.V_MEAN_DISTANCE] == pytest.approx(math.log(68_030 / 68_005))


def test_a_mean_of_nothing_is_unknown() -> None:
    words, view = np.zeros(f.FLOW_CELLS, np.int64), market()
    v.show_flow(view, words, 0, SECOND, 68_000 * 10**8, 68_000 * 10**8)
    assert view[v.V_TRADES] == view[v.V_NET] == 0
    for cell in (v.V_MEAN_DISTANCE, v.V_VELOCITY, v.V_DOMINANT):
        assert math.isnan(view[cell])


def test_a_mean_of_a_product_that_is_not_held_against_the_index_has_no_distance() -> None:
    words, view = np.zeros(f.FLOW_CELLS, np.int64), market()
    for trade in (1, 2):
        f.add_trade(words, 0, trade, SECOND, 68_000 * 10**8, 10**8, BUY, SECOND)
    v.show_flow(view, words, 0, SECOND, 68_000 * 10**8, 0)
    assert view[v.V_TRADES] == 2 and view[v.V_VELOCITY] == 0
    assert math.isnan(view[v.V_MEAN_DISTANCE])


def test_a_trigger_is_a_set_of_causes() -> None:
    both = v.TRIGGER_SPOT | v.TRIGGER_QUOTE
    assert v.is_by(both, v.TRIGGER_SPOT) and v.is_by(both, v.TRIGGER_QUOTE)
    assert not v.is_by(both, v.TRIGGER_MODEL) and not v.is_by(math.nan, v.TRIGGER_SPOT)


def test_the_density_of_the_normal_law() -> None:
    assert v.density(0.0) == pytest.approx(0.3989423) and v.density(-2.0) == v.density(2.0)
