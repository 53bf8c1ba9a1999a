"""What a market settles on, as cells: from its own fields, and nothing where one is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.exchanges import Exchange
from engine.fair_rules import (
    AT_LEAST,
    BELOW,
    BETWEEN,
    MEAN,
    NO_RULE,
    POINT,
    TIE_HALVES,
    TWAP,
    Rule,
    rule_from,
)
from ops.config import load
from ops.identity import identify
from ops.settles import needs_terms, rule_of, settles_cells, stand_ins
from ops.sim_index import products
from ops.venues.script import MarketSpec, PairSpec, SetSpec
from ops.venues.world import make_world
from ops.venues.world_windows import listed
from shm_layout import BODY, E8, INSTRUMENT, NONE_NS, PAIR
from tests.ops.fakes import FakeScript

BEGIN_NS = 1_800_000_123 * 10**9
SLOTS = {"coinbase": {"ETH-USD": 0, "BTC-USD": 1}, "cfbenchmarks": {"BRTI": 2}}
SLOTS |= {"polybolt": {"btcusd": 3}}
KALSHI = Rule(kind=MEAN, compare=AT_LEAST, digits=2, n=60)
POLYMARKET = Rule(kind=TWAP, compare=AT_LEAST, n=60)


def windows(venue: str) -> tuple[MarketSpec, ...]:
    return tuple(one for one in listed(BEGIN_NS, 2) if one.venue == venue)


def test_the_worlds_windows_settle_as_their_venues_say() -> None:
    for venue, rule, index_slot in (("kalshi", KALSHI, 2), ("polymarket", POLYMARKET, 3)):
        for market in windows(venue):
            cells = settles_cells(market, SLOTS)
            assert rule_from(cells["settlement_rule"]) == rule
            assert (cells["index_slot"], cells["spot_slot"]) == (index_slot, 1)
            assert cells["open_epoch_ns"] == market.open_epoch_ns


def test_an_hour_or_a_day_of_binance_settles_on_its_candles() -> None:
    """Polymarket's hourly and daily windows; the same lengths on a stream have no rule."""
    slots = SLOTS | {"binance": {"BTCUSDT": 4}}
    open_ns = 1_800_000_000 * 10**9
    hour = MarketSpec(venue="polymarket", ticker="h", title="h", event="h", index="BTCUSDT",
                      open_epoch_ns=open_ns, close_epoch_ns=open_ns + 3_600 * 10**9)  # fmt: skip
    cells = settles_cells(hour, slots)
    assert rule_from(cells["settlement_rule"]) == Rule(kind=POINT, compare=AT_LEAST)
    assert (cells["index_slot"], cells["spot_slot"], cells["cap_e8"]) == (4, 1, 0)
    for hours in (23, 24, 25):
        day = replace(hour, close_epoch_ns=open_ns + hours * 3_600 * 10**9)
        assert rule_of(day) == Rule(kind=POINT, compare=TIE_HALVES)
    assert rule_of(replace(hour, close_epoch_ns=open_ns + 900 * 10**9)) == NO_RULE
    assert rule_of(replace(hour, index="btcusd")) == NO_RULE


def test_a_range_has_its_upper_bound_and_a_tail_its_only_one() -> None:
    window = windows("kalshi")[0]
    one = replace(window, ticker="KXBTC-26NOV2117-B80450", strike_type="between",
                  strike_e8=80_400 * 10**8, cap_e8=8_049_999 * 10**6)  # fmt: skip
    cells = settles_cells(one, SLOTS)
    rule = rule_from(cells["settlement_rule"])
    assert rule == Rule(kind=MEAN, compare=BETWEEN, digits=2, n=60)
    assert cells["cap_e8"] == 8_049_999 * 10**6
    tail = replace(one, strike_type="less", strike_e8=None, cap_e8=78_000 * 10**8)
    assert rule_of(tail).compare == BELOW and settles_cells(tail, SLOTS)["cap_e8"] > 0


def test_exchanges_of_its_coin_stand_in_for_a_relays_index() -> None:
    slots = {"coinbase": {"BTC-USD": 0, "ETH-USD": 1}, "binance": {"BTCUSDT": 2},
             "kraken": {"BTC/USD": 3, "ETH/USD": 4}, "coingecko": {"bitcoin": 5},
             "cfbenchmarks": {"BRTI": 6, "SOLUSD_RTI": 7}, "polybolt": {"ethusd": 8}}  # fmt: skip
    btc = Exchange(0), Exchange(2, is_dollars=False), Exchange(3)
    assert stand_ins(slots) == {6: btc, 8: (Exchange(1), Exchange(4))}


@pytest.mark.parametrize(
    "changed", [{"index": ""}, {"index": "MOON"}, {"round_digits": None}, {"strike_type": "odd"}]
)
def test_a_market_of_which_something_is_not_told_has_no_rule(changed: dict[str, str]) -> None:
    market = replace(windows("kalshi")[0], **changed)
    assert settles_cells(market, SLOTS)["settlement_rule"] == 0
    if changed.get("index") == "":
        assert rule_of(market) == NO_RULE


def test_an_exchange_or_index_that_is_not_heard_has_no_slot() -> None:
    market = windows("kalshi")[0]
    cells = settles_cells(market, {"cfbenchmarks": {"BRTI": 0}})
    assert cells["spot_slot"] == NONE_NS and rule_from(cells["settlement_rule"]) == KALSHI
    assert settles_cells(market, {"coinbase": {"BTC-USD": 0}})["settlement_rule"] == 0


def test_a_pair_of_two_windows_needs_the_models_terms_and_one_of_plain_markets_does_not() -> None:
    class Script(FakeScript):
        markets = (
            windows("kalshi")[0],
            next(one for one in windows("polymarket") if "15m" in one.ticker),
            MarketSpec(venue="kalshi", ticker="KX-A", title="A", event="e"),
            MarketSpec(venue="polymarket", ticker="a", title="A", event="e"),
        )
        pairs = tuple(
            PairSpec(a_venue=a.venue, a_ticker=a.ticker, b_venue=b.venue, b_ticker=b.ticker)
            for a, b in (markets[:2], markets[2:])
        )
        products = ("BTC-USD",)
        indices = ("BRTI", "btcusd")

    identity = identify(Script(), load("testing"), products(Script()))
    needs = [int(np.asarray(row).view(PAIR)[0]["needs_terms"]) for row in identity.pairs[:2]]
    assert needs == [1, 0]  # behind them stand those of one market alone


HOUR_S = BEGIN_NS // 10**9 // 3_600 * 3_600
LADDER = MarketSpec(venue="kalshi", ticker="KXBTCD-26NOV2117-T80500", title="BTC?", event="h",
                    index="BRTI", strike_type="greater", strike_e8=80_500 * 10**8,
                    close_epoch_ns=(HOUR_S + 3_600) * 10**9)  # fmt: skip
HOURLY = MarketSpec(venue="polymarket", ticker="hourly", title="BTC?", event="h", index="BTCUSDT",
                    open_epoch_ns=HOUR_S * 10**9,
                    close_epoch_ns=(HOUR_S + 3_600) * 10**9)  # fmt: skip
GAMES = tuple(MarketSpec(venue=v, ticker=v, title="A", event="e") for v in ("kalshi", "polymarket"))
LEGS = {
    "both rules known": (replace(LADDER, round_digits=2), HOURLY, 1),
    "one rule not told": (LADDER, HOURLY, 1),
    "the other's not told": (replace(LADDER, round_digits=2), replace(HOURLY, index="btcusd"), 1),
    "neither told": (LADDER, replace(HOURLY, index="btcusd"), 1),
    "neither index heard": (replace(LADDER, index="MOON"), replace(HOURLY, index="MARS"), 1),
    "one on an index and one on none": (replace(LADDER, round_digits=2), GAMES[1], 1),
    "one on an index nobody tells, one on none": (replace(LADDER, index="MOON"), GAMES[1], 1),
    "no index at all": (*GAMES, 0),
}


@pytest.mark.parametrize("name", LEGS)
def test_a_pair_with_a_leg_on_an_index_is_never_taken_for_sure_without_terms(name: str) -> None:
    a, b, wanted = LEGS[name]
    slots = SLOTS | {"binance": {"BTCUSDT": 4}}
    rows = []
    for market in (a, b):
        body = np.zeros(BODY, np.int64)
        for cell, value in settles_cells(market, slots).items():
            body.view(INSTRUMENT)[0][cell] = value
        rows.append(body)
    assert needs_terms(rows[0], rows[1]) == wanted


def test_games_and_sets_of_one_venue_wait_for_no_terms() -> None:
    """Also a ladder on an index: one figure settles all of it."""
    world = make_world(3, begin_epoch_ns=BEGIN_NS, has_sets=True)

    class Script(FakeScript):
        higher = replace(LADDER, ticker="higher", strike_e8=81_000 * E8)
        markets = (*world.markets, LADDER, higher, HOURLY)
        pairs = (*world.pairs, PairSpec(a_venue="kalshi", a_ticker=LADDER.ticker,
                                        b_venue="polymarket", b_ticker="hourly"))  # fmt: skip
        sets = (*world.sets, *(
            SetSpec(venue="kalshi", tickers=(LADDER.ticker, "higher"), way=way)
            for way in ("ladder", "implies")
        ))  # fmt: skip
        products = world.products
        indices = world.indices

    settings = load("testing", None, {"ARB_UPDOWN_BETS": "0"})
    identity = identify(Script(), settings, products(world))
    seen = set()
    for at, body in enumerate(identity.pairs):
        pair, is_set = body.view(PAIR)[0], at >= len(Script.pairs)
        named = any(Script.markets[int(pair[leg])].index for leg in "ab")
        assert pair["approved"] == 1 and pair["needs_terms"] == (named and not is_set)
        seen.add((is_set, named))
    assert len(seen) == 4  # pairs and sets, on an index and on none


def test_every_window_of_the_seeded_world_has_a_rule_and_its_slots() -> None:
    world = make_world(3, begin_epoch_ns=BEGIN_NS)
    identity = identify(world, load("testing"), products(world))
    rows = [body.view(INSTRUMENT)[0] for body in identity.instruments]
    for market, row in zip(world.markets, rows, strict=True):
        assert (row["settlement_rule"] != 0) == bool(market.index), market.ticker
        if market.index:
            feed = "cfbenchmarks" if market.venue == "kalshi" else "polybolt"
            assert row["index_slot"] == identity.products[feed][market.index]
