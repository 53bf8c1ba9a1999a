"""Scripts as rows: what each cell of an instrument, pair, account and parameter is."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from engine.strategies.table import STRATEGIES, row_of
from ops.config import load
from ops.identity import OF_PARAMETERS, YEAR_S, identify, parameters_row, publish
from ops.venues.script import Difference, MarketSpec, PairSpec
from ops.venues.world import make_world
from shm_layout import (
    BODY,
    ENTRY,
    INSTRUMENT,
    K_INSTRUMENT,
    K_PAIR,
    K_PARAMETERS,
    K_STRATEGY,
    LINE,
    PAIR,
    PARAMETERS,
    READ,
    STRATEGY,
    VENUES,
    Segment,
    cells_to_text,
    cells_to_uint256,
    ring_read,
)
from tests.ops.fakes import FakeScript

TOKEN = 2**255 + 12345
SETTINGS = load("testing")
HEDGED = load("testing", None, {"ARB_UPDOWN_BETS": "0"})  # nothing is traded alone


class Script(FakeScript):
    """Two exchanges of Kalshi, one Polymarket market, opposite polarity."""

    markets = (
        MarketSpec(venue="kalshi", ticker="KX-A", title="A" * 80, event="e1", exchange_index=0),
        MarketSpec(venue="kalshi", ticker="KX-B", title="B", event="e2", exchange_index=2),
        MarketSpec(
            venue="polymarket", ticker="b", title="bé", event="e2", neg_risk=True,
            condition_id="0x" + "ab" * 32, token_yes=str(TOKEN), token_no="7",
        ),
    )  # fmt: skip
    pairs = (
        PairSpec(a_venue="kalshi", a_ticker="KX-B", b_venue="polymarket", b_ticker="b", same=False,
                 hurdle_e6=500),
    )  # fmt: skip
    products = ("BTC-USD", "ETH-USD")


def view(body: Any, of: Any) -> Any:
    return body.view(of)[0]


def test_instruments_say_what_they_are() -> None:
    identity = identify(Script(), SETTINGS)
    first, second, third = (view(body, INSTRUMENT) for body in identity.instruments)
    assert [int(r["index"]) for r in (first, second, third)] == [0, 1, 2]
    assert [VENUES[r["venue"]] for r in (first, second, third)] == [
        "kalshi",
        "kalshi",
        "polymarket",
    ]
    assert (second["event"], third["event"]) == (1, 1) and first["event"] == 0
    assert cells_to_text(second["ticker"]) == "KX-B"
    assert cells_to_text(first["title"]) == "A" * 64
    assert cells_to_uint256(third["token_yes"]) == TOKEN
    assert cells_to_uint256(third["token_no"]) == 7
    assert cells_to_uint256(third["condition"]) == int("ab" * 32, 16)
    assert (third["neg_risk"], third["live"], third["generation"]) == (1, 1, 1)


def test_all_that_hangs_on_one_coin_is_one_asset_whatever_its_index_and_window() -> None:
    class Windows(Script):
        markets = (
            *(
                MarketSpec(venue=venue, ticker=venue + event, title="", event=event, index=index)
                for venue, event, index in (
                    ("kalshi", "btc 15m", "BRTI"), ("polymarket", "btc 15m", "btcusd"),
                    ("kalshi", "btc 1h", "BRTI"), ("kalshi", "eth 15m", "ETHUSD_RTI"),
                    ("polymarket", "eth 15m", "ethusd"), ("kalshi", "a game", ""),
                    ("polymarket", "a game", ""), ("kalshi", "another game", ""),
                )
            ),
        )  # fmt: skip
        pairs = ()

    found = [int(view(b, INSTRUMENT)["asset"]) for b in identify(Windows(), SETTINGS).instruments]
    assert found == [0, 0, 0, 1, 1, 2, 2, 3]


def test_each_exchange_is_an_account_of_its_own() -> None:
    identity = identify(Script(), SETTINGS)
    assert [(a.venue, a.exchange_index) for a in identity.accounts] == [(0, 0), (0, 2), (1, 0)]
    assert [int(view(b, INSTRUMENT)["account"]) for b in identity.instruments] == [0, 1, 2]


def test_pairs_name_instruments_polarity_and_their_own_hurdle() -> None:
    pair = view(identify(Script(), SETTINGS).pairs[0], PAIR)
    assert (pair["a"], pair["b"], pair["same"], pair["approved"]) == (1, 2, 0, 1)
    assert pair["hurdle_e6"] == 500
    assert pair["edge_min_e6"] == 0  # the parameters' own holds
    script = Script()
    script.pairs = (replace(Script.pairs[0], hurdle_e6=None),)
    default = view(identify(script, SETTINGS).pairs[0], PAIR)
    assert default["hurdle_e6"] == OF_PARAMETERS


def test_markets_whose_settlement_is_known_have_a_row_alone_if_the_profile_says_so() -> None:
    world = make_world(7, begin_epoch_ns=1_795_000_400 * 10**9)
    informers = {"cfbenchmarks": ("BRTI",), "polybolt": ("btcusd",)}
    hedged = identify(world, HEDGED, informers)
    assert all(view(body, PAIR)["b"] >= 0 for body in hedged.pairs) and not hedged.has_bets
    identity = identify(world, SETTINGS, informers)
    rows = [view(body, PAIR) for body in identity.pairs]
    assert rows[: len(hedged.pairs)] == [view(body, PAIR) for body in hedged.pairs]
    more = rows[len(hedged.pairs) :]
    known = [view(body, INSTRUMENT) for body in identity.instruments]
    wanted = [int(row["index"]) for row in known if row["settlement_rule"]]
    assert [int(row["a"]) for row in more] == wanted and len(wanted) > 2
    for at, row in enumerate(more, len(hedged.pairs)):
        assert (row["index"], row["b"], row["approved"], row["needs_terms"]) == (at, -1, 1, 1)
        assert row["a_generation"] == 1 and row["event"] == known[int(row["a"])]["event"]
    assert len(identity.said) == len(rows)
    assert identity.said[len(hedged.pairs)].b == "" and identity.said[-1].is_approved


def test_a_pair_whose_markets_differ_is_approved_by_force_alone() -> None:
    script = Script()
    strike = Difference("strike", "58,900", "58,000")
    script.pairs = (replace(Script.pairs[0], differs=(strike,)),)
    for is_forced in (False, True):
        identity = identify(script, SETTINGS, is_forced=is_forced)
        assert view(identity.pairs[0], PAIR)["approved"] == is_forced
        assert identity.said == (("kalshi KX-B", "polymarket b", is_forced, (strike,)),)
    assert identify(Script(), SETTINGS).said[0].is_approved


def test_feeds_and_products_have_their_slots() -> None:
    identity = identify(Script(), SETTINGS)
    assert identity.instruments_of == {0: (0, 1), 1: (2,)}
    assert identity.products == {"coinbase": {"BTC-USD": 0, "ETH-USD": 1}}
    assert identity.optional == frozenset()


def test_every_feed_has_slots_of_its_own_and_one_without_products_is_none() -> None:
    more = {"kraken": ("BTC/USD",), "binance": (), "x": ("a", "b")}
    identity = identify(Script(), SETTINGS, more)
    assert identity.products == {
        "coinbase": {"BTC-USD": 0, "ETH-USD": 1}, "kraken": {"BTC/USD": 2}, "x": {"a": 3, "b": 4},
    }  # fmt: skip
    assert identity.optional == {"kraken", "binance", "x"}


def test_every_parameter_but_the_switches_comes_from_the_profile() -> None:
    row = view(parameters_row(SETTINGS, number=4), PARAMETERS)
    assert row["number"] == 4
    assert PARAMETERS.names is not None
    unset = [n for n in PARAMETERS.names if n not in ("number", "switches", "spare") and not row[n]]
    zero = {"hurdle_e6", "debounce_ns", "liquidity_min_e6", "intent_min_e6", "market_gap_ns"}
    zero |= {"hurdle_year_e6"}
    assert set(unset) <= zero  # 0 in this profile
    assert row["size_max_e6"] == SETTINGS.limits.size_max_e6
    assert row["beat_max_ns"] == SETTINGS.edge.beat_max_ns
    assert row["sigma_factor_e6"] == SETTINGS.risk.volatility_factor_e6
    high_e6 = row["sigma_high_e12"] * YEAR_S**0.5 / 1e6  # without a history: 1.5 × 80 % a year
    assert high_e6 == pytest.approx(1_200_000, rel=1e-6) and high_e6 <= 1_200_000
    off = replace(SETTINGS, risk=replace(SETTINGS.risk, volatility_scaling=0))
    row = view(parameters_row(off, number=5), PARAMETERS)
    assert not any(row[f"sigma_{name}"] for name in ("high_e12", "factor_e6", "cut_e6"))


def test_publishing_fills_the_slots_and_announces_the_same_on_the_control_ring() -> None:
    segment, identity = Segment.private(), identify(Script(), SETTINGS)
    publish(segment, identity)
    ring, entries = segment.at("control_ring"), segment.entries("control_ring")
    out = np.zeros(ENTRY, np.int64)
    kinds = []
    for position in range(5 + len(STRATEGIES)):
        assert ring_read(segment.words, ring, entries, position, out, BODY) == READ
        kinds.append(int(out[0]))
        if kinds[-1] == K_INSTRUMENT:
            slot = segment.read("instruments", position)
            assert slot is not None
            assert slot.tobytes() == out[LINE:].tobytes()
        if kinds[-1] == K_STRATEGY:
            told = out[LINE:].view(STRATEGY)[0]
            name = STRATEGIES[told["which"]]
            slot = segment.read("strategies", int(told["which"]))
            assert slot is not None and slot.tobytes() == told.tobytes()
            wanted = row_of(name, asdict(SETTINGS.strategies[name]))
            assert told["values"].tolist() == wanted.tolist()
    assert kinds[:5] == [K_INSTRUMENT] * 3 + [K_PAIR, K_PARAMETERS]
    assert kinds[5:] == [K_STRATEGY] * len(STRATEGIES)
    assert segment.read("pairs", 0) is not None
    assert segment.read("parameters", 0) is not None
