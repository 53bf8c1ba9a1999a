"""An index whose relay is down: fair values go on from the composite of trusted exchanges, with its
error, and back to the relay; through the entries of the rings."""

from __future__ import annotations

from math import hypot

import numpy as np
import pytest

from engine import exchanges
from engine.composite import ERROR
from engine.exchanges import COMPOSITE, RELAY, Exchange
from engine.fair import widening
from engine.model import Model
from feeds.indices import CF_SECOND
from shm_layout import COUNTERS, INDEX, K_INDEX, K_SPOT, MODEL, ROLE, SPOT, cell, word_load
from tests.engine.test_model import BRTI, BTCUSD, CF, CLOSE, E8, KALSHI_RULE, SPOT_SLOT, Desk
from tests.engine.world import RUN_0, SECOND, record
from tests.twins import fair as twin

KRAKEN, BINANCE = 3, 4  # slots of exchanges beside Coinbase
APART = {SPOT_SLOT: 0.0, KRAKEN: 8.0, BINANCE: -40.0}  # dollars beside Coinbase
MAKERS = (Exchange(SPOT_SLOT), Exchange(KRAKEN), Exchange(BINANCE, is_dollars=False))


class Market(Desk):
    """Three exchanges, of which one trades in USDT, and both relays."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.model = Model(self.world.segment, exchanges={BRTI: MAKERS, BTCUSD: MAKERS})
        self.quotes()

    def pass_time(
        self,
        seconds: int,
        dollars: float = 80_010,
        *,
        relay: bool = True,
        heard: tuple[int, ...] = tuple(APART),
        trust: int = 0,
    ) -> None:
        """So many seconds; `heard` exchanges trade, of which Kraken has this trust word."""
        for _ in range(seconds):
            self.world.now += SECOND
            for slot in heard:
                mid = round((dollars + APART[slot]) * E8)
                row = record(SPOT, product=slot, event_epoch_ns=self.run_ns, last_e8=mid,
                             bid_e8=mid - E8, ask_e8=mid + E8,
                             trust=trust if slot == KRAKEN else 0)  # fmt: skip
                self.world.append("changes_3", K_SPOT, row)
            if relay:
                self.tick(BRTI, dollars + 5)
                self.tick(BTCUSD, dollars - 5)
            self.model.step(self.world.now)

    def told(self, instrument: int = 0) -> np.void:
        found = self.market(instrument)
        assert found is not None
        return found

    def is_told(self, instrument: int = 0) -> bool:
        """Whether the terms of this market hold now."""
        return int(self.told(instrument)["valid_until_ns"]) > self.world.now

    def counted(self, name: str) -> int:
        at = self.world.segment.at("roles", MODEL) + cell(ROLE, "counters")
        return int(word_load(self.world.words, at + COUNTERS["model"].index(name)))


def begun() -> Market:
    """A window of 15 minutes, two minutes old, everything heard."""
    market = Market()
    market.twap(79_990, RUN_0 - SECOND)
    market.twap(79_995, RUN_0)
    market.pass_time(120)
    return market


def expected(told: np.void, run_ns: int, error: float) -> float:
    """The fair value in plain Python from published terms and an error in dollars."""
    price, count = 80_010.0 + told["basis_e8"] / E8, int(told["count"])
    seconds = (CLOSE - run_ns) / SECOND
    hole_s = max((run_ns - told["summed_epoch_ns"]) / SECOND, 1.0)
    sigma, known = told["sigma_e12"] / 1e12, told["sum_e8"] / E8
    mean, way = twin.average_terms(price, sigma, seconds - 1, known, count, 60, hole_s)
    deviation = hypot(widening(seconds) * way, error * (60 - count) / 60)
    chance = twin.chance_above(mean, 80_000 - KALSHI_RULE.half_tick, deviation)
    return min(max(chance, 0.01), 0.99)


def test_without_its_relay_a_market_is_priced_by_the_composite_and_its_error() -> None:
    market = begun()
    before = market.told()
    assert before["source"] == RELAY and market.counted("composites") == 0
    market.pass_time(20, relay=False)
    after = market.told()
    assert after["source"] == COMPOSITE and market.is_told() and market.counted("composites") > 0
    assert after["spot_slot"] == SPOT_SLOT
    # the exchanges count with what they were off the index, so the level stays where it was
    assert after["basis_e8"] == pytest.approx(before["basis_e8"], abs=E8 // 10)
    assert after["basis_sd_e8"] / E8 >= ERROR * 80_010 > before["basis_sd_e8"] / E8
    terms = market.terms()  # and pairs are judged on
    assert terms is not None and terms["valid_until_ns"] > market.world.now


def is_with_its_error(market: Market) -> None:
    """The published error and fair value hold the composite's own basis point."""
    told = market.told()
    assert told["source"] == COMPOSITE
    sd = told["basis_sd_e8"] / E8
    own = hypot(0.35e-4 * 80_010, 1e-4 * 80_015)
    assert sd == pytest.approx(own, rel=0.01)
    wanted = expected(told, market.run_ns, sd)
    assert told["fair_e6"] / 1e6 == pytest.approx(wanted, abs=2e-6)


def test_the_composites_error_is_in_the_fair_value() -> None:
    market = begun()
    market.pass_time(700, relay=True)
    market.pass_time(15, relay=False)
    is_with_its_error(market)


def test_the_check_of_the_error_is_red_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "ERROR", 1e-9)
    market = begun()
    market.pass_time(700)
    market.pass_time(15, relay=False)
    with pytest.raises(AssertionError):
        is_with_its_error(market)


def test_ticks_the_relay_did_not_deliver_are_missing_and_widen_the_rest() -> None:
    """The relay dies 30 s before the close: the sum stays, what is not known grows."""
    dead, alive = begun(), begun()
    for market in (dead, alive):
        market.pass_time(750)
    dead.pass_time(20, relay=False)
    alive.pass_time(20)
    told, whole = dead.told(), alive.told()
    assert told["count"] == 31 and told["sum_e8"] == 31 * 80_015 * E8
    assert whole["count"] == 51 and told["source"] == COMPOSITE
    assert told["summed_epoch_ns"] == CLOSE - 30 * SECOND
    assert 500_000 < told["fair_e6"] < whole["fair_e6"]


@pytest.mark.parametrize("how", ["silent", "untrusted", "unknown"])
def test_with_too_few_exchanges_there_is_no_fair_value(how: str) -> None:
    market = begun()
    if how == "unknown":  # what USDT is worth was never seen
        market.model = Model(market.world.segment, exchanges={BRTI: MAKERS, BTCUSD: MAKERS})
        market.quotes()
    heard = (SPOT_SLOT, BINANCE) if how == "silent" else tuple(APART)
    market.pass_time(10, relay=False, heard=heard, trust=int(how == "untrusted"))
    assert not market.is_told()
    market.pass_time(10)
    assert market.is_told() and market.told()["source"] == RELAY


def test_a_relay_that_is_not_trusted_or_tells_the_past_is_down() -> None:
    market = begun()
    for row in (
        record(INDEX, product=BRTI, source=CF_SECOND, trust=1),
        record(INDEX, product=BRTI, event_epoch_ns=market.run_ns - 60 * SECOND, source=CF_SECOND,
               value_e8=79_000 * E8),
    ):  # fmt: skip
        market.pass_time(1)
        assert market.told()["source"] == RELAY
        market.world.append(f"changes_{CF}", K_INDEX, row)
        market.pass_time(7, relay=False)
        assert market.told()["source"] == COMPOSITE
    for _ in range(8):  # alive, but what it tells is a minute old
        row = record(INDEX, product=BRTI, event_epoch_ns=market.run_ns - 60 * SECOND,
                     source=CF_SECOND, value_e8=79_000 * E8)  # fmt: skip
        market.world.append(f"changes_{CF}", K_INDEX, row)
        market.pass_time(1, relay=False)
    told = market.told()
    assert told["source"] == COMPOSITE and told["mean_e8"] > 80_000 * E8


def test_the_relay_is_back_and_no_jump_is_taken_as_news() -> None:
    """A minute without it, in which the price moved: σ and level come back as they were."""
    market = begun()
    before = market.told()
    market.pass_time(60, 80_030, relay=False)
    lost = market.told()
    market.pass_time(2, 80_030)
    back = market.told()
    assert (lost["source"], back["source"]) == (COMPOSITE, RELAY)
    assert back["basis_e8"] == pytest.approx(before["basis_e8"], abs=E8 // 10)
    assert back["mean_e8"] == pytest.approx(lost["mean_e8"], abs=E8)
    assert back["sigma_e12"] == pytest.approx(lost["sigma_e12"], rel=0.02)
    assert back["basis_sd_e8"] < lost["basis_sd_e8"]


def test_an_exchange_that_went_astray_does_not_lead() -> None:
    market = begun()
    market.pass_time(10, relay=False)
    APART[SPOT_SLOT] = 900.0
    try:
        market.pass_time(1, relay=False)
    finally:
        APART[SPOT_SLOT] = 0.0
    told = market.told()
    assert told["spot_slot"] == KRAKEN and told["mean_e8"] / E8 == pytest.approx(80_015, abs=20)
