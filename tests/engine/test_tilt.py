"""What an operator may lay over our chances: off unless asked for, one line a market, and the
detector lays the same over its own."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from engine import cells as c
from engine import memory as m
from engine import pricing as p
from engine.fair import CAP
from engine.fair_rules import ABOVE, AT_LEAST, AT_MOST, BELOW, BETWEEN, TIE_HALVES
from engine.model import Model
from engine.tilt import PLAIN, Habits
from shm_layout import E6
from tests.engine.test_model import BRTI, Desk, begun
from tests.engine.test_pricing import memory_of

LOW, HIGH = 50.0, 120_000.0
DAY_S = 86_400.0
SEEN = Habits(extremes={BRTI: (LOW, HIGH)}, late_s=30 * DAY_S)


def tilt(compare: int, spot: float, strike: float, upper: float = 0.0, days: float = 60.0) -> tuple:
    return SEEN.tilt(compare, BRTI, spot, strike, upper, days * DAY_S)


def test_nothing_is_laid_over_a_chance_unless_somebody_asks() -> None:
    assert Habits().tilt(AT_LEAST, BRTI, 80_000.0, 150_000.0, 0.0, 1e8) == PLAIN == (1.0, 0.0)


@pytest.mark.parametrize("compare", [AT_LEAST, ABOVE])
def test_a_target_above_all_highs_is_less_likely_by_twice_its_distance(compare: int) -> None:
    assert tilt(compare, 80_000.0, 150_000.0) == (pytest.approx(1 / (1 + 2 * 30 / 120)), 0.0)


@pytest.mark.parametrize("compare", [BELOW, AT_MOST])
def test_who_bets_against_such_a_target_is_surer(compare: int) -> None:
    slope, lift = tilt(compare, 80_000.0, 150_000.0)
    above = 1 / (1 + 2 * 30 / 120)
    assert slope * 0.9 + lift == pytest.approx(1 - above * (1 - 0.9))


def test_a_target_below_all_lows_likewise() -> None:
    less = 1 / (1 + 2 * (50 - 40) / 50)
    assert tilt(BELOW, 80_000.0, 40.0) == (pytest.approx(less), 0.0)
    slope, lift = tilt(ABOVE, 80_000.0, 40.0)
    assert slope * 0.97 + lift == pytest.approx(1 - less * 0.03)


def test_a_range_counts_by_the_bound_that_must_be_reached() -> None:
    assert tilt(BETWEEN, 80_000.0, 150_000.0, 151_000.0)[0] == pytest.approx(1 / 1.5)
    assert tilt(BETWEEN, 80_000.0, 30.0, 40.0)[0] == pytest.approx(1 / (1 + 2 * 10 / 50))
    assert tilt(BETWEEN, 80_000.0, 119_000.0, 151_000.0) == PLAIN
    assert tilt(BETWEEN, 119_500.0, 119_000.0, 151_000.0) == PLAIN, "spot is in it already"
    assert tilt(BETWEEN, 45.0, 30.0, 60.0) == PLAIN


@pytest.mark.parametrize(
    ("spot", "strike", "days"),
    [
        (80_000.0, 120_000.0, 60.0),  # at the high, not above it
        (80_000.0, 90_000.0, 60.0),
        (160_000.0, 150_000.0, 60.0),  # spot is there already
        (80_000.0, 150_000.0, 29.9),  # too soon
    ],
)
def test_else_it_is_as_it_was(spot: float, strike: float, days: float) -> None:
    assert tilt(AT_LEAST, spot, strike, days=days) == PLAIN
    assert SEEN.tilt(AT_LEAST, BRTI + 1, 80_000.0, 150_000.0, 0.0, 60 * DAY_S) == PLAIN
    assert tilt(TIE_HALVES, 80_000.0, 150_000.0) == PLAIN


def test_time_may_be_counted_twice_by_name() -> None:
    twice = Habits(is_time_twice=True)
    slope, lift = twice.tilt(AT_LEAST, BRTI, 1.0, 1.0, 0.0, 365 * DAY_S / 2)
    assert (slope, lift) == (pytest.approx(exp(-1)), 0.0)


def desk_with(habits: Habits) -> Desk:
    """The window of `begun`, whose model has these habits."""
    desk = begun()
    desk.model = Model(desk.world.segment, habits=habits)
    desk.go(2)
    return desk


def test_the_model_publishes_the_tilted_chance_and_the_line() -> None:
    plain = desk_with(Habits()).market(0)
    beyond = Habits(extremes={BRTI: (1.0, 40_000.0)})  # 80,000 lies above all that was ever seen
    desk = Desk()
    desk.model = Model(desk.world.segment, habits=beyond)
    desk.quotes()
    desk.go(20, 79_990)
    tilted = desk.market(0)
    assert plain is not None and tilted is not None
    assert (plain["slope_e6"], plain["lift_e6"]) == (E6, 0)
    assert (tilted["slope_e6"], tilted["lift_e6"]) == (round(E6 / 3), 0)
    assert 100_000 < tilted["fair_e6"] < 170_000, "a third of nearly a half"


def test_the_model_publishes_the_share_of_the_market() -> None:
    shares = [desk_with(Habits(market=share)).market(0) for share in (0.0, 0.75)]
    assert [row["market_e6"] if row else None for row in shares] == [0, 750_000]


@pytest.mark.parametrize(("slope", "lift"), [(E6, 0), (400_000, 0), (700_000, 300_000), (1, 0)])
def test_the_detector_lays_the_same_line_over_its_own(slope: int, lift: int) -> None:
    mem, _ = memory_of(60)
    out = np.zeros(p.OUT_CELLS)
    mem[m.MARKET_AT + c.MT_SLOPE] = 0  # a model that knows of none
    assert p.price_market(mem, 0, out)
    plain = out[p.O_FAIR]
    mem[m.MARKET_AT + c.MT_SLOPE], mem[m.MARKET_AT + c.MT_LIFT] = slope, lift
    assert p.price_market(mem, 0, out)
    wanted = (slope * plain + lift) / E6
    assert out[p.O_FAIR] == pytest.approx(min(max(wanted, CAP), 1 - CAP), abs=1e-12)
