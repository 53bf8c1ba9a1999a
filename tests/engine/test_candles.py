"""An hour's candle opens at its first trade, if that was surely the first; and what a market that
settles on candles is worth, through the entries of the rings."""

from __future__ import annotations

import numpy as np
import pytest

from engine.candles import HOUR_NS, KEPT, Candles
from engine.fair_rules import AT_LEAST, POINT, TIE_HALVES, Rule
from engine.model import Model
from shm_layout import K_SPOT, NONE_NS, SPOT
from tests.engine.test_model import E8, Desk
from tests.engine.world import POLYMARKET, RUN_0, SECOND, record

SLOT = 5
HOUR = 500_000 * HOUR_NS


def trade(number: int, at_ns: int, dollars: float, trust: int = 0) -> np.ndarray:
    return record(SPOT, product=SLOT, trade_id=number, event_epoch_ns=at_ns,
                  last_e8=round(dollars * E8), trust=trust)  # fmt: skip


def opened(*trades: np.ndarray) -> int | None:
    candles = Candles()
    for row in trades:
        candles.take(SLOT, row)
    return candles.opened_e8(SLOT, HOUR)


def test_the_first_trade_of_the_hour_opens_it() -> None:
    before, first = trade(7, HOUR - 1, 100), trade(8, HOUR, 101)
    assert opened(before, first, trade(9, HOUR + 1, 102)) == 101 * E8
    touch = trade(7, HOUR + 5, 100)  # bid or ask changed: the last trade is told again
    assert opened(before, touch, first) == 101 * E8


@pytest.mark.parametrize(
    "rows",
    [
        (trade(8, HOUR, 101),),  # we came with it
        (trade(7, HOUR - 1, 100), trade(9, HOUR, 101)),  # one was lost between
        (trade(7, HOUR - 1, 100, trust=1), trade(8, HOUR, 101)),
        (trade(7, HOUR - 1, 100), trade(8, HOUR, 101, trust=1), trade(9, HOUR, 102)),
        (trade(7, HOUR - 1, 100), trade(8, HOUR + HOUR_NS, 101)),  # nothing traded in it
    ],
)
def test_where_that_was_not_surely_seen_nobody_knows(rows: tuple[np.ndarray, ...]) -> None:
    assert opened(*rows) is None


def test_memory_is_bounded() -> None:
    candles = Candles()
    for i in range(3 * KEPT):
        candles.take(SLOT, trade(i + 1, HOUR + i * HOUR_NS, 100 + i))
    assert candles.opened_e8(SLOT, HOUR + HOUR_NS) is None
    assert candles.opened_e8(SLOT, HOUR + (3 * KEPT - 1) * HOUR_NS) is not None


class Hourly(Desk):
    """Polymarket's market of one hour of Binance, which opens in a minute."""

    open_ns = (RUN_0 // HOUR_NS + 1) * HOUR_NS
    rule = Rule(kind=POINT, compare=AT_LEAST)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.world.now += self.open_ns - 60 * SECOND - RUN_0
        self.world.instrument(1, POLYMARKET, generation=2, settlement_rule=self.rule.cell,
                              open_epoch_ns=self.open_ns, index_slot=SLOT,
                              spot_slot=NONE_NS)  # fmt: skip
        self.number = 0
        self.quotes(generation=2, close_epoch_ns=self.open_ns + HOUR_NS)
        self.model = Model(self.world.segment)

    def trade(self, seconds: int, dollars: float) -> None:
        for _ in range(seconds):
            self.world.now += SECOND
            self.number += 1
            row = trade(self.number, self.run_ns, dollars)
            self.world.append("changes_4", K_SPOT, row)
            self.model.step(self.world.now)


class Daily(Hourly):
    """That of a day: its strike is yesterday's noon, which only the venue can tell."""

    rule = Rule(kind=POINT, compare=TIE_HALVES)


def test_an_hourly_market_has_the_candles_opening_as_strike_and_a_fair_value() -> None:
    desk = Hourly()
    desk.trade(59, 80_000)
    desk.trade(60, 80_100)
    desk.trade(600, 80_150)
    found = desk.market(1)
    assert found is not None and found["strike_e8"] == 80_100 * E8
    assert found["spot_slot"] == SLOT and found["mean_e8"] == 80_150 * E8
    assert 500_000 < found["fair_e6"] < 900_000
    late = Hourly()
    late.world.now += 90 * SECOND
    late.trade(60, 80_100)
    found = late.market(1)
    assert found is not None and found["strike_e8"] == found["fair_e6"] == NONE_NS


def test_a_daily_market_waits_for_its_strike() -> None:
    desk = Daily()
    desk.trade(200, 80_000)
    found = desk.market(1)
    assert found is not None and found["strike_e8"] == NONE_NS
    desk.quotes(generation=2, close_epoch_ns=desk.open_ns + HOUR_NS, strike_e8=79_990 * E8)
    desk.trade(2, 80_000)
    found = desk.market(1)
    assert found is not None and found["fair_e6"] > 500_000
