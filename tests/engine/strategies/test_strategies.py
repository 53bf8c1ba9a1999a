"""Every strategy against its plain form, and what all of them promise."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.strategies import table
from shm_layout import E6
from tests.engine.strategies.rig import ALL_ON, ask, random_market, some_params
from tests.twins import strategies as twin
from tests.twins.edge import Book

SEED = 41


@pytest.mark.parametrize("name", table.STRATEGIES)
def test_the_compiled_strategy_equals_the_plain_one(name: str) -> None:
    rng, gates = random.Random(SEED), Counter[str]()
    plain = twin.ALL[table.STRATEGIES.index(name)]
    assert plain.__name__ == name
    for case in range(4_000):
        market, params = random_market(rng), some_params(rng)[name] | {"on": 1}
        wanted = plain(market, params)
        assert ask(name, market, params) == wanted, (SEED, case, market, params)
        gates[wanted[4]] += 1
    assert gates["fires"] > 10 and len(gates) > 4, gates


@pytest.mark.parametrize("name", table.STRATEGIES)
def test_where_all_of_a_chance_is_the_markets_no_formula_finds_an_edge(name: str) -> None:
    if name == "model_edge":
        return  # it has none of its own
    rng, fired = random.Random(SEED), Counter[float]()
    params = ALL_ON[name] | {"fair": table.FAIR_THEIRS, "edge_min_e6": 1, "confidence_min_e6": 0}
    for _ in range(2_000):
        market = random_market(rng)
        bids, asks = market.book.bids, market.book.asks
        if bids and asks and bids[0][0] >= asks[0][0]:
            continue  # crossed: its middle is no price
        for share in (0.0, 0.5, 1.0):
            fired[share] += ask(name, replace(market, share=share), params)[4] == "fires"
    assert fired[0.0] >= fired[0.5] > 0 == fired[1.0], fired


cents = st.integers(1, 98)
shares = st.integers(1, 10_000)


@st.composite
def markets(draw: st.DrawFn) -> twin.Market:
    """Any market with a quote, everything known; probabilities exact in binary, so that 1 − p
    is."""
    bid, bid_size, ask_size = draw(cents), draw(shares), draw(shares)
    ask_price = draw(st.integers(bid + 1, 99))
    is_poly = draw(st.booleans())
    facts = {"rate": 50_000, "unit": 10, "mode": 1, "notional_min": E6, "notional_step": 10_000}
    book = Book(
        ((bid * 10_000, bid_size * E6),), ((ask_price * 10_000, ask_size * E6),),
        **(facts if is_poly else {}),
    )  # fmt: skip
    distance = draw(st.floats(-0.01, 0.01))
    return twin.Market(
        book=book, distance=distance, z=draw(st.floats(-6, 6)),
        seconds=draw(st.floats(0.01, 900)), left=draw(st.floats(0.1, 900)),
        elapsed=draw(st.floats(0, 60)), fraction=draw(st.floats(0, 1)),
        sigma=draw(st.floats(1e-5, 1e-3)), fair=draw(st.integers(1, 1023)) / 1024,
        velocity=draw(st.floats(-1e-4, 1e-4)), net=draw(st.floats(-100, 100)),
        trades=draw(st.integers(0, 500)), rate=draw(st.floats(0, 20)),
        dominant=draw(st.floats(0.5, 1)), mean_distance=draw(st.floats(-0.01, 0.01)),
        sigma_implied=draw(st.floats(1e-5, 1e-3)), sigma_fitted=draw(st.floats(1e-5, 1e-3)),
        error=draw(st.sampled_from([0.0, 3.5e-5, 1e-3])),
        off=draw(st.sampled_from([0, 1_000])), moved=draw(st.floats(-0.5, 0.5)),
    )  # fmt: skip


names = st.sampled_from(table.STRATEGIES)


@settings(max_examples=1_500, deadline=None)
@given(names, markets())
def test_the_mirrored_market_gets_the_mirrored_answer(name: str, market: twin.Market) -> None:
    if 0.0 in (market.distance, market.z):
        return  # exactly on the strike there is no side to mirror
    params = ALL_ON[name]
    side, fair, edge, sure, gate = ask(name, market, params)
    other = ask(name, market.mirrored(), params)
    assert (other[2], other[3], other[4]) == (edge, sure, gate)
    if gate == "fires":
        assert other[0] == 1 - side and other[1] == E6 - fair


@settings(max_examples=1_000, deadline=None)
@given(names, markets(), st.integers(0, 100_000), st.integers(0, 50_000))
def test_more_fees_or_a_dearer_delay_never_raise_an_edge(
    name: str, market: twin.Market, more: int, off: int
) -> None:
    params = ALL_ON[name]
    before = ask(name, market, params)
    book = replace(market.book, rate=market.book.rate + more)
    after = ask(name, replace(market, book=book, off=market.off + off), params)
    assert after[2] <= before[2]
    if before[4] != "fires":
        assert after[4] != "fires"


@settings(max_examples=500, deadline=None)
@given(names, markets())
def test_an_answer_that_fires_pays_after_the_fee_of_a_contract(
    name: str, market: twin.Market
) -> None:
    side, fair, edge, sure, gate = ask(name, market, ALL_ON[name])
    assert (side >= 0) == (gate == "fires")
    if side < 0:
        return
    levels = market.book.asks if side == twin.BUY else market.book.bids
    gross = fair - levels[0][0] if side == twin.BUY else levels[0][0] - fair
    assert gross > edge >= ALL_ON[name]["edge_min_e6"] and 0 < sure <= E6


@pytest.mark.parametrize("name", table.STRATEGIES)
def test_what_is_unknown_never_fires(name: str) -> None:
    """A missing cell is no number: with any one of what it reads unknown, no strategy takes a side
    it would not take otherwise, and with fair value unknown those that use ours take none."""
    rng, fired, silent = random.Random(SEED), 0, 0
    while fired < 30:
        market = random_market(rng)
        if ask(name, market, ALL_ON[name])[4] != "fires":
            continue
        fired += 1
        if ALL_ON[name]["fair"] == table.FAIR_OURS:
            assert ask(name, replace(market, fair=None), ALL_ON[name])[4] == "unknown"
        for cell in ("distance", "z", "left", "velocity", "net", "trades", "dominant", "fraction"):
            answer = ask(name, replace(market, **{cell: None}), ALL_ON[name])
            silent += answer[0] < 0
            assert answer[0] in (-1, ask(name, market, ALL_ON[name])[0])
    assert silent > 0


def test_a_delay_nobody_has_priced_lets_nothing_fire() -> None:
    rng, seen = random.Random(SEED), 0
    while seen < 200:
        market = random_market(rng)
        name = rng.choice(table.STRATEGIES)
        if ask(name, market, ALL_ON[name])[4] == "fires":
            seen += 1
            assert ask(name, replace(market, off=-1), ALL_ON[name])[4] == "delay"
