"""The model on a private segment: what it reads from the rings, what it publishes, what it does not
say."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import pytest

from engine import cells as c
from engine.detector import Detector
from engine.fair_rules import AT_LEAST, MEAN, POINT, TWAP, Rule
from engine.model import EVERY_NS, VALID_NS, Model
from engine.outlook import outlook_of, pair_terms
from engine.volatility import YEAR_S
from feeds.indices import CF_SECOND, POLYBOLT_CHAINLINK, POLYBOLT_TWAP
from shm_layout import (
    E6,
    INDEX,
    K_INDEX,
    K_MARKET,
    K_SPOT,
    MARKET_TERMS,
    MODEL,
    NONE_NS,
    ROLE,
    SPOT,
    TERMS,
    Words,
    cell,
    word_load,
)
from tests.engine.world import (
    CHEAP,
    DEAR,
    KALSHI,
    MS,
    POLYMARKET,
    RUN_0,
    SECOND,
    World,
    detector_of,
    field_of,
    record,
    two_venues,
)

E8 = 10**8
CLOSE = RUN_0 + 900 * SECOND
COINBASE, CF, POLYBOLT = 3, 6, 7  # feeds
SPOT_SLOT, BRTI, BTCUSD = 0, 1, 2  # slots
KALSHI_RULE = Rule(kind=MEAN, compare=AT_LEAST, digits=2, n=60)
POLYMARKET_RULE = Rule(kind=TWAP, compare=AT_LEAST, n=60)


@dataclass
class Desk:
    """Two venues, one 15-minute window on each, their indices and the exchange that leads."""

    world: World = field(default_factory=two_venues)

    def __post_init__(self) -> None:
        common = {"open_epoch_ns": RUN_0, "spot_slot": SPOT_SLOT}
        rules = (KALSHI, KALSHI_RULE, BRTI), (POLYMARKET, POLYMARKET_RULE, BTCUSD)
        for index, (venue, rule, slot) in enumerate(rules):
            more = {"settlement_rule": rule.cell, "index_slot": slot}
            self.world.instrument(index, venue, **(common | more))
        self.world.pair(0, 0, 1, needs_terms=1)
        self.quotes()
        self.model = Model(self.world.segment)
        self.quotes()

    def quotes(self, **fields: int) -> None:
        """Both books, with what their venues tell of the window: Polymarket no strike."""
        told = {"close_epoch_ns": CLOSE} | fields
        self.world.quote(0, KALSHI, *CHEAP, **({"strike_e8": 80_000 * E8} | told))
        self.world.quote(1, POLYMARKET, *DEAR, **({"strike_e8": NONE_NS} | told))

    @property
    def run_ns(self) -> int:
        return RUN_0 + self.world.now - 1_000 * SECOND

    def spot(self, dollars: float, trust: int = 0) -> None:
        """A trade now."""
        price = round(dollars * E8)
        row = record(SPOT, product=SPOT_SLOT, event_epoch_ns=self.run_ns, last_e8=price,
                     trust=trust)  # fmt: skip
        self.world.append(f"changes_{COINBASE}", K_SPOT, row)

    def tick(self, slot: int, dollars: float) -> None:
        """An index's value of this second."""
        source = CF_SECOND if slot == BRTI else POLYBOLT_CHAINLINK
        row = record(INDEX, product=slot, event_epoch_ns=self.run_ns // SECOND * SECOND,
                     value_e8=round(dollars * E8), source=source)  # fmt: skip
        self.world.append(f"changes_{CF if slot == BRTI else POLYBOLT}", K_INDEX, row)

    def twap(self, dollars: float, end_ns: int, trust: int = 0) -> None:
        """Polymarket's own mean."""
        row = record(INDEX, product=BTCUSD, mean_e8=round(dollars * E8), mean_end_ns=end_ns,
                     source=POLYBOLT_TWAP, trust=trust)  # fmt: skip
        self.world.append(f"changes_{POLYBOLT}", K_INDEX, row)

    def go(self, seconds: int, dollars: float = 80_010, skip: tuple[int, ...] = ()) -> None:
        """So many seconds pass, each with a trade and, unless in `skip`, a tick of both indices."""
        for second in range(seconds):
            self.world.now += SECOND
            self.spot(dollars)
            if second not in skip:
                self.tick(BRTI, dollars + 5)
                self.tick(BTCUSD, dollars - 5)
            self.model.step(self.world.now)

    def market(self, instrument: int) -> np.void | None:
        return self.world.segment.read("market_terms", instrument)

    def terms(self) -> np.void | None:
        return self.world.segment.read("terms", 0)

    def counter(self, name: str) -> int:
        from shm_layout import COUNTERS

        at = self.world.segment.at("roles", MODEL) + cell(ROLE, "counters")
        return int(word_load(self.world.words, at + COUNTERS["model"].index(name)))


def begun() -> Desk:
    """A window whose start both venues' readers heard."""
    desk = Desk()
    desk.twap(79_990, RUN_0 - SECOND)
    desk.twap(79_995, RUN_0)
    desk.go(60)
    return desk


def test_a_strike_by_a_mean_of_another_length_is_not_taken_from_those_of_a_minute() -> None:
    for ticks, strike_e8 in ((60, 79_995 * E8), (30, NONE_NS)):
        desk = Desk()
        rule = Rule(kind=TWAP, compare=AT_LEAST, n=ticks)
        fields = {"open_epoch_ns": RUN_0, "spot_slot": SPOT_SLOT, "index_slot": BTCUSD}
        desk.world.instrument(1, POLYMARKET, settlement_rule=rule.cell, **fields)
        desk.model = Model(desk.world.segment)
        desk.twap(79_990, RUN_0 - SECOND)
        desk.twap(79_995, RUN_0)
        desk.go(3)
        told = desk.market(1)
        assert told is not None and told["strike_e8"] == strike_e8


def test_a_market_has_its_strike_sigma_basis_and_fair_value() -> None:
    desk = begun()
    kalshi, polymarket = desk.market(0), desk.market(1)
    assert kalshi is not None and polymarket is not None
    assert kalshi["strike_e8"] == 80_000 * E8  # as its venue told
    assert polymarket["strike_e8"] == 79_995 * E8  # the mean at the window's start
    assert (kalshi["basis_e8"], polymarket["basis_e8"]) == (5 * E8, -5 * E8)
    assert kalshi["spot_slot"] == polymarket["spot_slot"] == SPOT_SLOT
    assert kalshi["close_epoch_ns"] == CLOSE and kalshi["count"] == 0
    assert kalshi["valid_until_ns"] == desk.world.now + VALID_NS
    assert 0 < kalshi["sigma_e12"] < 200_000_000
    assert 500_000 < kalshi["fair_e6"] < 900_000 and 500_000 < polymarket["fair_e6"] < 900_000
    assert kalshi["mean_e8"] == 80_015 * E8
    assert desk.counter("market_terms") >= 2 * 50 and desk.counter("spots") == 60


def test_a_market_says_what_is_usual_for_its_coin_and_where_its_volatility_is_assumed() -> None:
    desk = begun()
    desk.quotes(close_epoch_ns=CLOSE + 3_600 * SECOND)

    def usual_e12() -> int:
        told = desk.market(0)
        assert told is not None and told["sigma_e12"] > 0
        return int(told["usual_e12"])

    assert usual_e12() == NONE_NS  # a minute was seen: most of σ is the default
    desk.go(1_200)
    assert usual_e12() == 0  # seen, and there is nothing to hold it against
    desk.model.history(SPOT_SLOT, 0.4)
    desk.go(1)
    wanted_e12 = round(0.4 / sqrt(YEAR_S) * 1e12)
    assert usual_e12() == wanted_e12
    for _ in range(4):  # Coinbase is silent: σ is the index's own, usual is the coin's
        desk.world.now += SECOND
        desk.tick(BRTI, 80_015)
        desk.model.step(desk.world.now)
    told = desk.market(0)
    assert told is not None and told["spot_slot"] == BRTI and usual_e12() == wanted_e12
    desk = begun()
    desk.model.history(SPOT_SLOT, 0.4)
    desk.go(1)
    assert usual_e12() == wanted_e12  # from history: known at once


def test_inside_the_window_the_sum_is_that_of_the_ticks_that_came() -> None:
    desk = begun()
    desk.go(780, 80_010)  # to 60 s before the close
    desk.go(30, 80_100, skip=(7, 8))
    kalshi, polymarket = desk.market(0), desk.market(1)
    assert kalshi is not None and polymarket is not None
    # stamps close−60 … close−1, of which close−60 … close−30 are past: 31 less 2
    assert kalshi["count"] == 29 and kalshi["sum_e8"] == (80_015 + 28 * 80_105) * E8
    assert kalshi["summed_epoch_ns"] == CLOSE - 53 * SECOND
    assert polymarket["count"] == 28 and polymarket["sum_e8"] == 28 * 80_095 * E8
    wanted = (80_015 + 59 * 80_105) / 60
    assert kalshi["mean_e8"] / E8 == pytest.approx(wanted, abs=0.1)
    assert desk.counter("missing") == 4 and kalshi["fair_e6"] == 990_000


def test_a_strike_we_did_not_hear_is_not_known_and_the_pair_not_judged() -> None:
    desk = Desk()
    desk.twap(80_000, RUN_0 + 60 * SECOND)
    desk.go(70)
    polymarket = desk.market(1)
    assert polymarket is not None
    assert polymarket["strike_e8"] == polymarket["fair_e6"] == NONE_NS
    assert desk.market(0) is not None and desk.terms() is None


def test_where_the_point_settles_the_strike_is_the_tick_of_the_start() -> None:
    desk = Desk()
    rule = Rule(kind=POINT, compare=AT_LEAST)
    desk.world.instrument(1, POLYMARKET, generation=2, settlement_rule=rule.cell,
                          open_epoch_ns=RUN_0 + 30 * SECOND, index_slot=BTCUSD,
                          spot_slot=SPOT_SLOT)  # fmt: skip
    desk.quotes(generation=2)
    desk.go(29)
    before = desk.market(1)
    assert before is not None and before["strike_e8"] == NONE_NS
    desk.go(1, 80_500)
    desk.go(10, 80_000)
    found = desk.market(1)
    assert found is not None
    assert found["strike_e8"] == 80_495 * E8 and found["count"] <= 1


def test_a_successor_keeps_the_strike_and_counts_only_what_it_hears() -> None:
    desk = begun()
    desk.go(815)
    desk.model = Model(desk.world.segment)
    desk.go(5)
    kalshi, polymarket = desk.market(0), desk.market(1)
    assert kalshi is not None and polymarket is not None
    assert polymarket["strike_e8"] == 79_995 * E8
    assert kalshi["count"] == 5 and kalshi["number"] > 800


def test_without_the_index_nothing_is_said_and_without_spot_the_index_itself_leads() -> None:
    desk = begun()
    for _ in range(3):
        desk.world.now += SECOND
        desk.tick(BRTI, 80_020)
        desk.model.step(desk.world.now)
    kalshi = desk.market(0)
    assert kalshi is not None
    assert kalshi["spot_slot"] == BRTI and kalshi["basis_e8"] == 0
    number = int(kalshi["number"])
    for _ in range(8):
        desk.world.now += SECOND
        desk.spot(80_000)
        desk.model.step(desk.world.now)
    found = desk.market(0)
    assert found is not None and found["valid_until_ns"] < desk.world.now
    assert found["number"] <= number + 5


def test_what_is_not_trusted_tells_nothing() -> None:
    desk = begun()
    desk.world.now += SECOND
    desk.spot(90_000, trust=1)
    desk.tick(BRTI, 80_015)
    desk.model.step(desk.world.now)
    kalshi = desk.market(0)
    assert kalshi is not None and kalshi["mean_e8"] / E8 == pytest.approx(80_015, abs=1)


def test_a_rolled_window_is_another_market() -> None:
    desk = begun()
    desk.world.instrument(0, KALSHI, generation=2, settlement_rule=KALSHI_RULE.cell,
                          open_epoch_ns=CLOSE, index_slot=BRTI, spot_slot=SPOT_SLOT)  # fmt: skip
    before = desk.market(0)
    desk.go(2)
    after = desk.market(0)
    assert before is not None and after is not None and before["number"] == after["number"]
    desk.go(840)
    desk.quotes(generation=2, close_epoch_ns=CLOSE + 900 * SECOND, strike_e8=81_000 * E8)
    desk.go(2)
    found = desk.market(0)
    assert found is not None
    assert (found["generation"], found["strike_e8"]) == (2, 81_000 * E8)
    assert found["close_epoch_ns"] == CLOSE + 900 * SECOND


def test_a_rule_that_is_none_is_counted_and_has_no_terms() -> None:
    desk = begun()
    desk.world.instrument(0, KALSHI, generation=2, settlement_rule=0x7777777, index_slot=BRTI)
    desk.go(2)
    assert desk.counter("unknown") == 1


def test_a_pair_has_a_dead_zone_and_the_detector_takes_it_off() -> None:
    """Kalshi's strike is 80,000, Polymarket's 79,995; both indices stray: neither way is free."""
    desk = begun()
    terms = desk.terms()
    assert terms is not None
    zones = [int(zone) for zone in terms["dead_zone_e6"]]
    assert all(0 < zone < 200_000 for zone in zones)
    assert terms["basis_e8"] == -10 * E8 and terms["basis_sd_e8"] > 2 * E8
    edges = []
    for needs in (0, 1):
        world = two_venues(day_max_e6=10**12)
        detector = detector_of(world)
        if needs:
            world.append("terms_ring", 4, moved(terms, world.now + SECOND))
        world.quote(0, KALSHI, *CHEAP)
        world.quote(1, POLYMARKET, ((900_000, 80 * E6),), ((910_000, 80 * E6),))
        (intent,) = world.step(detector)
        edges.append(field_of(intent, "edge_e6"))
    assert edges[0] - edges[1] == zones[0]


def moved(terms: np.void, valid_until_ns: int) -> Words:
    """The same terms, valid until then."""
    row: Words = np.zeros(56, np.int64)
    row.view(TERMS)[0] = terms
    row[c.T_VALID] = valid_until_ns
    return row


def test_the_detector_waits_for_the_model_and_stops_without_it() -> None:
    desk = begun()
    detector = detector_of(desk.world)
    desk.model.step(desk.world.now + EVERY_NS)
    for feed in (COINBASE, CF, POLYBOLT):
        desk.world.start_feed(feed)

    def decided(after_ns: int) -> int:
        before = detector.counter("refused_terms")
        desk.quotes()
        desk.world.step(detector, after_ns=after_ns)
        return detector.counter("refused_terms") - before

    assert decided(MS) == 0
    assert decided(3 * SECOND) > 0  # the model is dead: its terms expired
    desk.go(1)
    assert decided(MS) == 0


def test_the_detector_keeps_the_newest_price_of_each_slot_and_the_markets_terms() -> None:
    from engine import memory as m

    desk = begun()
    detector = Detector(desk.world.segment, 1, gateway_eventfd=-1)
    desk.go(1, 80_123)
    desk.world.step(detector)
    mem = detector._mem
    for slot, dollars, feed in ((SPOT_SLOT, 80_123, COINBASE), (BRTI, 80_128, CF)):
        at = m.SPOT_AT + slot * m.SPOT_CELLS
        assert mem[at + m.SP_VALUE] == dollars * E8 and mem[at + m.SP_FEED] == feed
    kalshi = desk.market(0)
    assert kalshi is not None
    held = mem[m.MARKET_AT : m.MARKET_AT + MARKET_TERMS.itemsize // 8]
    assert int(held[cell(MARKET_TERMS, "number")]) == int(kalshi["number"])
    assert detector.counter("market_terms") >= 2 and detector.counter("indices") >= 2
    assert K_MARKET == 17


def test_terms_of_a_pair_grow_with_what_may_differ_and_with_the_delay() -> None:
    def outlook(slot: int, strike: float, delay_ns: int = 0):  # type: ignore[no-untyped-def]
        return outlook_of(
            slot, 1, KALSHI_RULE, index=slot, slot=0, price=80_000.0, at_ns=CLOSE - 90 * SECOND,
            close_ns=CLOSE, known=(0, 0, CLOSE // SECOND - 61), basis=0.0, error=0.0,
            sigma=8.9e-5, strike=strike, delay_ns=delay_ns,
        )  # fmt: skip

    one = outlook(1, 80_000.0)
    same, _ = pair_terms(one, outlook(1, 80_000.0), 0.0, is_same=True)
    assert same == (0, 0)  # one index, one strike: nothing can come between
    apart, none = pair_terms(one, outlook(1, 80_030.0), 0.0, is_same=True)
    assert apart[0] == 0 and apart[1] > 100_000 and none == 0
    mirrored, _ = pair_terms(outlook(1, 80_030.0), one, 0.0, is_same=True)
    assert mirrored == apart[::-1]
    little, _ = pair_terms(one, outlook(2, 80_000.0), 2.0, is_same=True)
    much, _ = pair_terms(one, outlook(2, 80_000.0), 8.0, is_same=True)
    assert 0 < little[0] < much[0] and little[0] == pytest.approx(little[1], abs=2)
    _, cost = pair_terms(one, outlook(1, 80_000.0, delay_ns=150 * MS), 0.0, is_same=True)
    _, longer = pair_terms(one, outlook(1, 80_000.0, delay_ns=600 * MS), 0.0, is_same=True)
    assert 0 < cost < longer <= 2 * cost + 1
