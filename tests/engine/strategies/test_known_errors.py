"""Errors found in earlier engines (the end of reference strategies), each with a test that it is
not made here."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import numpy as np
import pytest

from engine import basket, fair
from engine import complement as k
from engine.fair_rules import ABOVE, AT_LEAST, POINT
from engine.fees import fee_e6
from engine.strategies import table
from engine.strategies import view as v
from shm_layout import BUY, E6, SELL
from tests.engine.strategies.rig import ALL_ON, ask
from tests.engine.test_complement import flat, found, markets
from tests.twins import strategies as twin
from tests.twins.edge import Book

YEAR_S = 31_536_000
SIGMA = fair.per_root_second(0.5)


def seen(spot: float, strike: float, left: float = 300.0, settles: float | None = None,
         seconds: float | None = None) -> v.Floats:  # fmt: skip
    """The view the model's figures make, its fair value that of a point rule."""
    view = np.zeros(v.VIEW_CELLS)
    chance = fair.fair_yes(POINT, AT_LEAST, 0.0, 1, spot, SIGMA, left, strike, 0.0, 0.0, 0, 0.0, 0,
                           0.0, 1.0, 0.01)  # fmt: skip
    v.show_market(
        view, spot, strike, settles or spot, seconds or left, left, 900.0, SIGMA, 0.0, chance,
        v.TRIGGER_SPOT | v.TRIGGER_QUOTE,
    )  # fmt: skip
    return view


def market_of(view: v.Floats, book: Book) -> twin.Market:
    """The same for strategies: calm flow."""
    return twin.Market(
        book, distance=view[v.V_DISTANCE], z=view[v.V_Z], seconds=view[v.V_SECONDS],
        left=view[v.V_LEFT], elapsed=view[v.V_ELAPSED], fraction=view[v.V_FRACTION], sigma=SIGMA,
        fair=view[v.V_FAIR], velocity=0.0, net=0.0, trades=60, rate=2.0, dominant=0.5,
        mean_distance=0.0, moved=view[v.V_FAIR] - 0.5,
    )  # fmt: skip


def both_fairs(name: str) -> list[twin.Params]:
    """A strategy with our fair value, and with its own figure; any edge and confidence will do."""
    params = ALL_ON[name] | {"edge_min_e6": 1, "confidence_min_e6": 0}
    return [params | {"fair": kind} for kind in (table.FAIR_OURS, table.FAIR_THEIRS)]


LIKELY = ("distance_fade", "latency", "certainty", "convexity_fade", "model_edge")


@pytest.mark.parametrize("name", LIKELY)
def test_a_target_far_above_spot_is_unlikely(name: str) -> None:
    """They returned Φ(−d2) below the target."""
    market = market_of(seen(68_000.0, 68_180.0), Book(((300_000, E6),), ((320_000, E6),)))
    for params in both_fairs(name):
        side, worth, *_, gate = ask(name, market, params)
        assert gate == "fires" and side == SELL and worth < 150_000, (name, params)


@pytest.mark.parametrize("name", LIKELY)
@pytest.mark.parametrize("strike", [75_000.0, 61_000.0])  # all but impossible, all but sure
def test_where_our_chances_end_nobody_buys_what_looks_cheap(name: str, strike: float) -> None:
    """A cap of 1 % makes half a cent look cheap for what cannot happen."""
    cheap = Book(((4_000, E6),), ((5_000, E6),))
    dear = Book(((995_000, E6),), ((996_000, E6),))
    market = market_of(seen(68_000.0, strike), cheap if strike > 68_000.0 else dear)
    params = ALL_ON[name] | {"edge_min_e6": 1, "confidence_min_e6": 0, "fair": table.FAIR_OURS}
    cheap_side = BUY if strike > 68_000.0 else SELL
    assert ask(name, market, params)[0] != cheap_side
    if name == "model_edge":  # it has no gate beside the price: two in a hundred it would buy
        known = replace(market, fair=0.02 if cheap_side == BUY else 0.98)
        assert ask(name, known, params)[0] == cheap_side


@pytest.mark.parametrize(("ask_cent", "gate"), [(95, "fires"), (98, "edge")])
def test_a_formula_of_their_own_is_capped_as_ours_is(ask_cent: int, gate: str) -> None:
    """Φ(4) is 0.99997, and the Gaussian is far too sure in the last minute."""
    book = Book((((ask_cent - 1) * 10_000, E6),), ((ask_cent * 10_000, E6),))
    market = replace(market_of(seen(68_400.0, 68_000.0), book), z=4.0)
    params = both_fairs("certainty")[1] | {"edge_min_e6": 10_000}
    _, worth, _, _, found = ask("certainty", market, params)
    assert found == gate and (worth == 990_000 or gate != "fires")


@pytest.mark.parametrize("name", LIKELY)
def test_fair_value_falls_as_the_strike_rises(name: str) -> None:
    """One engine used Φ(ln(K/S)/sd)."""
    for params in both_fairs(name):
        worth = []
        for strike in np.arange(67_700.0, 68_301.0, 20.0):
            view = seen(68_000.0, float(strike))
            for ask_cent in (2, 97):  # one of both sides has an edge at either price
                book = Book((((ask_cent - 1) * 10_000, E6),), ((ask_cent * 10_000, E6),))
                _, value, *_, gate = ask(name, market_of(view, book), params)
                if gate == "fires":
                    worth.append(value)
                    break
        assert len(worth) > 5 and worth == sorted(worth, reverse=True), (name, params)
        assert worth[0] > 700_000 and worth[-1] < 300_000


def test_volatility_and_time_are_in_the_same_unit() -> None:
    """Annual σ was used with √days. 50 % a year and 300 s, by hand."""
    by_hand = math.log(68_100 / 68_000) / (0.5 * math.sqrt(300 / YEAR_S))
    assert seen(68_100.0, 68_000.0)[v.V_Z] == pytest.approx(by_hand, rel=1e-12)
    assert pytest.approx(0.5 / math.sqrt(365)) == SIGMA * math.sqrt(86_400)


def test_time_is_counted_once() -> None:
    """exp(−2T) multiplied a probability that contained time. At one z, time changes nothing; the
    switch that they had is off and named for what it is."""
    book = Book(((300_000, E6),), ((320_000, E6),))
    market = market_of(seen(68_000.0, 68_180.0), book)
    for name in ("latency", "convexity_fade"):
        answers = {
            ask(name, replace(market, left=left), both_fairs(name)[1]) for left in (40.0, 4e6)
        }
        assert len(answers) == 1
    assert fair.time_counted_twice(0.7, 0.5, False) == 0.7
    assert not [p for row in table.REFERENCE.values() for p in row if "decay" in p]


def test_fees_are_the_venues_own_and_no_flat_share_of_the_price() -> None:
    """They took 0.5 % of the price: 0.25 cents at 0.50, where the fee is 1.75."""
    view = seen(68_000.0, 67_800.0)
    view[v.V_FAIR] = 0.75
    for cent in (50, 65):
        book = Book((((cent - 1) * 10_000, E6),), ((cent * 10_000, E6),))
        _, worth, edge, *_ = ask("model_edge", market_of(view, book), both_fairs("model_edge")[0])
        charged = fee_e6(cent * 10_000, E6, 70_000, 1, 1, 0)
        assert charged == -(-70_000 * cent * (100 - cent) // 10_000) and charged > cent * 50
        assert edge == worth - cent * 10_000 - charged


def test_an_edge_is_dollars_a_contract_and_no_percentage_of_the_ask() -> None:
    """Two cents over an ask of five are 40 % of it, and below an edge of three."""
    view = seen(68_000.0, 68_120.0)
    view[v.V_FAIR] = 0.07
    book = Book(((40_000, E6),), ((50_000, E6),))
    *_, edge, _, gate = ask("model_edge", market_of(view, book), ALL_ON["model_edge"])
    assert gate == "edge" and 0 < edge < 20_000


def test_two_strikes_are_two_markets_though_both_say_bitcoin() -> None:
    """The best bid of the lower strike above the best ask of the higher is no arbitrage."""
    higher, lower = flat(28, 30), flat(60, 62)
    assert found(markets(higher, lower, strikes=(70_000, 68_000)), k.LADDER, 0)[3] == k.R_STRIKES
    in_order = markets(lower, higher, strikes=(68_000, 70_000))
    assert found(in_order, k.LADDER, 0)[3] == k.R_NOTHING
    assert found(in_order, k.ALL_YES, 0)[3] == k.R_NOT_COMPLETE
    assert found(in_order, k.ALL_NO, 0)[3] == k.R_NOT_EXCLUSIVE


def test_no_half_stands_in_for_an_unknown_probability() -> None:
    """A base probability of 0.5 was written into arbitrage signals. Here a market without a model
    has no fair value, and a sure basket asks for none."""
    cheap = Book(((10_000, 100 * E6),), ((20_000, 100 * E6),))  # at 0.5 a gift
    market = replace(market_of(seen(68_000.0, 67_900.0), cheap), fair=None)
    for name in table.STRATEGIES:
        answer = ask(name, market, ALL_ON[name] | {"fair": table.FAIR_OURS})
        assert answer[0] == -1 and answer[1] == 0, name
    assert not {"fair", "probability"} & set(inspect.signature(basket.basket.py_func).parameters)


def test_the_depth_of_every_leg_is_walked() -> None:
    deep, thin = flat(40, 45, 5_000), flat(44, 47, 3)
    assert found(markets(deep, thin), k.ALL_YES, k.EXCLUSIVE | k.EXHAUSTIVE)[0] == 3 * E6
    assert found(markets(thin, deep), k.ALL_YES, k.EXCLUSIVE | k.EXHAUSTIVE)[0] == 3 * E6


def test_a_tie_is_decided_as_the_market_says() -> None:
    """At least and above differ by the tie: a mean that rounds to the strike is YES or NO."""
    told = (0.005, 1, 68_000.0, SIGMA, 0.0, 68_000.0, 0.0, 0.0, 0, 0.0, 0, 0.0, 1.0, 0.01)
    assert fair.fair_yes(POINT, AT_LEAST, *told) == 0.99
    assert fair.fair_yes(POINT, ABOVE, *told) == 0.01


def test_the_settlement_average_decides_and_not_the_last_price() -> None:
    """Ten seconds before the close spot is $100 above the strike, but fifty of the sixty ticks are
    known to be $60 below it: nobody buys YES, who would at that spot without the average."""
    book = Book(((430_000, 100 * E6),), ((450_000, 100 * E6),))
    settles = (50 * 67_940.0 + 10 * 68_100.0) / 60
    late = seen(68_100.0, 68_000.0, left=10.0, settles=settles, seconds=0.107)
    late[v.V_FAIR] = 0.01
    blind = seen(68_100.0, 68_000.0, left=10.0)
    for name in ("distance_fade", "settlement_sniper", "certainty", "latency", "model_edge"):
        for params in both_fairs(name):
            if name == "settlement_sniper":
                params = params | {"distance_min_e9": 1}
            assert ask(name, market_of(blind, book), params)[0] == BUY or params["fair"] == 1
            assert ask(name, market_of(late, book), params)[0] != BUY, (name, params)
