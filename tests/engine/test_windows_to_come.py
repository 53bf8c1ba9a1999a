"""Windows that have not opened yet: priced before their strike is known, and never traded."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from engine import fair, pricing
from engine.fair_rules import AT_LEAST, POINT, Rule
from shm_layout import E6, NONE_NS
from tests.engine.test_model import (
    BTCUSD,
    E8,
    KALSHI_RULE,
    POLYMARKET_RULE,
    SPOT_SLOT,
    Desk,
    begun,
)
from tests.engine.world import DEAR, POLYMARKET, SECOND, detector_of


def ahead(rule: Rule, opens_s: int) -> Desk:
    """The window of instrument 1 is followed by one that opens so many seconds from now."""
    desk = begun()
    desk.world.instrument(1, POLYMARKET, generation=2, settlement_rule=rule.cell,
                          open_epoch_ns=desk.run_ns + opens_s * SECOND, index_slot=BTCUSD,
                          spot_slot=SPOT_SLOT)  # fmt: skip
    desk.world.quote(1, POLYMARKET, *DEAR, generation=2, strike_e8=NONE_NS,
                     close_epoch_ns=desk.run_ns + (opens_s + 300) * SECOND)  # fmt: skip
    return desk


def test_a_window_to_come_has_a_chance_before_its_strike_is_known() -> None:
    """A coin's toss while all of its beginning is ahead; once ticks that will make its strike are
    known, spot above them counts for Up."""
    desk = ahead(POLYMARKET_RULE, 90)
    desk.go(10)
    found = desk.market(1)
    assert found is not None and (found["generation"], found["strike_e8"]) == (2, NONE_NS)
    assert abs(found["fair_e6"] - E6 // 2) <= 1
    desk.go(50)
    desk.go(20, 80_310)
    later = desk.market(1)
    assert later is not None and later["strike_e8"] == NONE_NS
    assert 600_000 < later["fair_e6"] < 990_000
    down = ahead(POLYMARKET_RULE, 90)
    down.go(60)
    down.go(20, 79_710)
    less = down.market(1)
    assert less is not None and less["fair_e6"] == pytest.approx(E6 - later["fair_e6"], abs=3e4)


@pytest.mark.parametrize("rule", [KALSHI_RULE, Rule(kind=POINT, compare=AT_LEAST)])
def test_windows_of_the_other_rules_too(rule: Rule) -> None:
    desk = ahead(rule, 40)
    desk.go(10)
    found = desk.market(1)
    assert found is not None and found["generation"] == 2
    assert abs(found["fair_e6"] - E6 // 2) < 20_000 and found["strike_e8"] == NONE_NS


def test_what_is_to_come_is_priced_and_never_traded() -> None:
    """No strike goes out, so the detector has no fair value and no pair is judged."""
    desk = ahead(POLYMARKET_RULE, 60)
    desk.world.pair(0, 0, 1, generation=2, needs_terms=1, b_generation=2)
    detector = detector_of(desk.world)
    number = desk.terms()
    desk.go(20)
    after = desk.terms()
    assert number is not None and after is not None and after["number"] == number["number"]
    assert desk.world.step(detector) == []
    out = np.zeros(pricing.OUT_CELLS)
    assert not pricing.price_market(detector._mem, 1, out)


def test_a_market_with_a_strike_is_not_priced_before_it_opens() -> None:
    """Its venue told it ahead: such markets count from their opening on, as before."""
    desk = ahead(POLYMARKET_RULE, 60)
    desk.world.quote(1, POLYMARKET, *DEAR, generation=2, strike_e8=80_000 * E8,
                     close_epoch_ns=desk.run_ns + 360 * SECOND)  # fmt: skip
    before = desk.market(1)
    desk.go(10)
    after = desk.market(1)
    assert before is not None and after is not None and after["number"] == before["number"]


def test_a_strike_that_its_venue_puts_right_counts() -> None:
    desk = begun()
    first = desk.market(0)
    desk.quotes(strike_e8=80_100 * E8)
    desk.go(1)
    second = desk.market(0)
    assert first is not None and second is not None
    assert (first["strike_e8"], second["strike_e8"]) == (80_000 * E8, 80_100 * E8)
    assert second["fair_e6"] < first["fair_e6"]
    other = desk.market(1)
    assert other is not None and other["strike_e8"] == 80_100 * E8, "and Polymarket's, once told"


def test_in_the_last_second_its_strike_is_known_and_the_chance_is_that_of_the_window() -> None:
    """Kalshi's last tick of a beginning is stamped a second before it: all 60 known."""
    for ahead_dollars, low, high in ((0.0, 499_000, 501_000), (400.0, 800_000, 990_000)):
        sums = 60 * 80_000.0
        chance = fair.fair_before_start(
            80_000.0 + ahead_dollars, 1.4e-4, -0.5, 900.0, sums, 60, 60, 0.005, 1.0, 0.01
        )
        assert low < chance * E6 < high
    nan = fair.fair_before_start(80_000.0, 1.4e-4, -1.0, 900.0, sums, 60, 60, 0.005, 1.0, 0.01)
    assert isnan(nan)
