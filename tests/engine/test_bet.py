"""One-leg intents: when the model bets against one market, how much, and when it does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine import memory as m
from engine.replay import replay
from engine.strategies.table import MODEL_EDGE
from shm_layout import (
    ACTIVE,
    BET,
    BUY,
    E6,
    FLAG_TIMER,
    HALTED,
    INSTRUMENTS_MAX,
    KIND_MODEL,
    NO_INSTRUMENT,
    NO_SNAPSHOT,
    NONE_NS,
    P_UNKNOWN,
    REDUCING,
    SELL,
    ST_CLOSED,
    Words,
    cell,
)
from tests.engine.bets import (
    CLOSE,
    COINBASE,
    FAIR_BOOK,
    INDEX_SLOT,
    LAGS,
    RICH,
    SIGMA_E12,
    SPOT_SLOT,
    one_market,
    spot,
    terms,
)
from tests.engine.world import (
    KALSHI,
    MS,
    POLYMARKET,
    RUN_0,
    SECOND,
    World,
    detector_of,
    field_of,
)
from tests.twins import detector as twin


def reason_of(intent: Words, name: str) -> int:
    return int(intent[cell(BET, name)])


def test_a_bet_has_one_leg_and_says_what_it_was_decided_on() -> None:
    world, detector = one_market()
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(detector)
    assert field_of(intent, "kind") == KIND_MODEL and field_of(intent, "leg_count") == 1
    assert (field_of(intent, "pair"), field_of(intent, "direction")) == (0, BUY)
    assert field_of(intent, "instrument_0") == 0 and field_of(intent, "side_0") == BUY
    fair, limit = reason_of(intent, "fair_e6"), field_of(intent, "limit_e6_0")
    size, fees = field_of(intent, "size_e6_0"), field_of(intent, "fees_e6")
    assert 740_000 < fair < 760_000 and limit == 610_000 and size == 200 * E6
    paid = (600_000 + 610_000) * 100  # the third level leaves less than three cents
    assert field_of(intent, "profit_e6") == fair * 200 - paid - fees > 0
    assert field_of(intent, "edge_e6") == (fair * 200 - paid - fees) // 200
    assert field_of(intent, "cash_e6_0") > limit * 200 > paid
    assert reason_of(intent, "strategy") == MODEL_EDGE and reason_of(intent, "off_e6") == 0
    assert reason_of(intent, "sure_e6") > 600_000
    assert reason_of(intent, "spot_e8") == 80_100 * 10**8
    told = [reason_of(intent, name) for name in ("spot_slot", "spot_number", "spot_epoch")]
    assert told == [0, 1, 1]
    assert field_of(intent, "trigger") == 0 and field_of(intent, "recv_ns") == world.now - MS
    assert detector.counter("bets") == detector.counter("intents") == 1
    assert detector.counter("model_edges") == 1 and detector.counter("edges") == 0
    assert detector.counter("fairs") > 0


def test_a_market_above_fair_value_is_sold() -> None:
    world, detector = one_market()
    world.quote(0, KALSHI, *RICH)
    (intent,) = world.step(detector)
    assert (field_of(intent, "side_0"), field_of(intent, "direction")) == (SELL, SELL)
    assert field_of(intent, "limit_e6_0") == 900_000
    fair, size = reason_of(intent, "fair_e6"), field_of(intent, "size_e6_0")
    left = (900_000 - fair) * size // E6 - field_of(intent, "fees_e6")
    assert left - 1 <= field_of(intent, "profit_e6") <= left
    assert field_of(intent, "cash_e6_0") >= 100_000 * size // E6


def test_a_bet_is_smaller_while_its_asset_moves_more_than_is_usual_for_it_or_nobody_knows() -> None:
    marks = {"sigma_high_e12": 10**9, "sigma_factor_e6": 1_500_000, "sigma_cut_e6": 300_000}
    for usual_e12, contracts in ((SIGMA_E12, 200), (SIGMA_E12 // 2, 140), (NONE_NS, 140), (0, 200)):
        world, detector = one_market(**marks)
        terms(world, number=2, usual_e12=usual_e12)
        world.quote(0, KALSHI, *LAGS)
        (intent,) = world.step(detector)
        assert field_of(intent, "size_e6_0") == contracts * E6
        assert detector.counter("cut_volatility") == (contracts < 200)
        world.record()
        assert twin.run(world.tape) == [intent.tobytes()]


def test_a_price_of_spot_makes_it_decide_without_a_quote() -> None:
    world, detector = one_market()
    world.quote(0, KALSHI, *FAIR_BOOK)
    assert world.step(detector) == []
    before = detector.counter("decisions")
    spot(world, 80_100)  # where it was
    assert world.step(detector) == [] and detector.counter("decisions") == before
    spot(world, 80_500)
    (intent,) = world.step(detector)
    assert field_of(intent, "flags") & FLAG_TIMER == 0
    assert field_of(intent, "recv_ns") == world.now - MS  # of the price, not of the quote before it
    assert reason_of(intent, "spot_number") == 3 and reason_of(intent, "spot_e8") == 80_500 * 10**8


def test_spot_that_moves_by_less_than_the_share_does_not() -> None:
    world, detector = one_market(fair_move_e6=1_000)
    world.quote(0, KALSHI, *FAIR_BOOK)
    world.step(detector)
    before = detector.counter("decisions")
    for dollars in (80_179, 80_101, 80_022):
        spot(world, dollars)
        world.step(detector)
    assert detector.counter("decisions") == before
    spot(world, 80_181)
    world.step(detector)
    assert detector.counter("decisions") == before + 1


def test_new_terms_decide_anew_and_the_prices_of_another_slot_do_not() -> None:
    world, detector = one_market()
    world.quote(0, KALSHI, *FAIR_BOOK)
    world.step(detector)
    terms(world, number=2, strike_e8=79_500 * 10**8)
    (intent,) = world.step(detector)
    assert field_of(intent, "flags") & FLAG_TIMER
    before = detector.counter("decisions")
    spot(world, 90_000, product=INDEX_SLOT)
    assert world.step(detector) == [] and detector.counter("decisions") == before
    terms(world, number=3, spot_slot=INDEX_SLOT)  # from now on that one counts
    world.step(detector)
    before = detector.counter("decisions")
    spot(world, 91_000, product=INDEX_SLOT)
    world.step(detector)
    spot(world, 92_000)
    world.step(detector)
    assert detector.counter("decisions") == before + 1


def test_what_another_exchange_leads_is_not_bet_on() -> None:
    """The last gate takes a price that the market's row names (gateway/guard_bet.py), no other: a
    bet on another would be refused there each time."""
    for slot, bets in ((SPOT_SLOT, 1), (INDEX_SLOT, 1), (5, 0)):
        world, detector = one_market()
        terms(world, number=2, spot_slot=slot)
        spot(world, product=slot)
        world.quote(0, KALSHI, *LAGS)
        assert len(world.step(detector)) == bets
        world.record()
        assert twin.run(world.tape) == [intent.tobytes() for intent in world.intents]


Change = Callable[[World], object]
STOPS: list[tuple[str, Change]] = [
    ("refused_trust", lambda w: w.quote(0, KALSHI, *LAGS, trust=NO_SNAPSHOT)),
    ("refused_trust", lambda w: w.quote(0, KALSHI, *LAGS, status=ST_CLOSED)),
    ("refused_trust", lambda w: w.quote(0, KALSHI, ((600_000, E6),), ((600_000, E6),))),
    ("refused_alive", lambda w: w.quote(0, KALSHI, *LAGS, epoch=2)),
    ("refused_pair", lambda w: w.pair(0, 0, NO_INSTRUMENT, needs_terms=1, approved=0)),
    ("refused_trust", lambda w: w.pair(0, 0, NO_INSTRUMENT, needs_terms=1, a_generation=2)),
    ("refused_terms", lambda w: terms(w, valid_until_ns=1)),
    ("refused_terms", lambda w: terms(w, strike_e8=-1)),
    ("refused_terms", lambda w: terms(w, generation=2)),
    ("refused_delay", lambda w: w.quote(0, KALSHI, *LAGS, taker_delay_ns=501 * MS)),
    ("refused_state", lambda w: w.set_state(HALTED)),
    ("refused_state", lambda w: w.set_state(REDUCING)),
    ("refused_band", lambda w: w.parameters(price_low_e6=650_000, price_high_e6=660_000)),
    ("refused_spread", lambda w: w.parameters(spread_max_e6=9_999)),
    ("refused_thin", lambda w: w.parameters(liquidity_min_e6=61 * E6)),
    ("refused_small", lambda w: w.parameters(intent_min_e6=10_000 * E6)),
    ("refused_orders", lambda w: w.parameters(orders_per_market=0)),
    ("refused_rate", lambda w: w.parameters(orders_per_second=0)),
]  # fmt: skip
SILENT: list[Change] = [  # no price, no fair value: nothing to refuse
    lambda w: spot(w, trust=1),
    lambda w: spot(w, 0),
    lambda w: spot(w, epoch=2),
    lambda w: spot(w, recv_ns=w.now - 3 * SECOND - 1),
    lambda w: terms(w, spot_slot=7),
    lambda w: terms(w, sigma_e12=0),
    lambda w: w.instrument(0, KALSHI, open_epoch_ns=RUN_0),
    lambda w: w.parameters(edge_min_e6=200_000),
    lambda w: w.parameters(size_max_e6=0),
    lambda w: w.cash(KALSHI, 0),  # strategies' shares are of nothing
]


@pytest.mark.parametrize(("counter", "change"), STOPS)
def test_it_does_not_bet_and_says_why(counter: str, change: Change) -> None:
    world, detector = one_market()
    world.set_state(HALTED)
    world.quote(0, KALSHI, *LAGS)
    world.step(detector)
    world.set_state(ACTIVE)
    change(world)
    assert world.step(detector) == []
    assert detector.counter(counter) >= 1, counter


@pytest.mark.parametrize("change", SILENT)
def test_what_has_no_fair_value_is_not_bet_on(change: Change) -> None:
    world, detector = one_market()
    change(world)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) == [] and detector.counter("model_edges") == 0


def test_a_price_grows_old_and_its_feed_dies() -> None:
    world, detector = one_market()
    world.step(detector, 3 * SECOND - MS)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector, 2 * MS) == []
    spot(world, 80_101)
    assert len(world.step(detector)) == 1
    other, late = one_market()
    other.now += SECOND
    other.beat(COINBASE)
    other.quote(0, KALSHI, *LAGS)
    late.step(other.now)
    assert other.new_intents() == []


def test_nothing_is_bet_from_the_close_on() -> None:
    world, detector = one_market()
    world.now += (CLOSE - RUN_0) - 2 * MS
    spot(world, 80_500)
    world.quote(0, KALSHI, *LAGS)
    assert len(world.step(detector)) == 1
    world, detector = one_market()
    world.now += CLOSE - RUN_0
    spot(world, 80_500)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) == []


@pytest.mark.parametrize(
    ("limit", "dollars"),
    [("order_max_e6", 25), ("market_max_e6", 25), ("event_max_e6", 25), ("asset_max_e6", 25),
     ("venue_max_e6", 25), ("total_max_e6", 25), ("day_max_e6", 25)],
)  # fmt: skip
def test_a_limit_cuts_a_bet_to_what_it_leaves(limit: str, dollars: int) -> None:
    world, detector = one_market(**{limit: dollars * E6})
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(detector)
    cash, limit_e6 = field_of(intent, "cash_e6_0"), field_of(intent, "limit_e6_0")
    assert dollars * E6 * 9 // 10 < cash <= dollars * E6 and limit_e6 == 600_000
    if limit not in ("order_max_e6", "market_max_e6"):  # the choice itself keeps to those
        assert detector.counter(f"cut_{limit.removesuffix('_max_e6')}") == 1


@pytest.mark.parametrize("unhedged", [0, 10**11])
def test_what_may_stand_alone_is_no_limit_of_a_bet_nor_counts_it(unhedged: int) -> None:
    world, detector = one_market(unhedged_max_e6=unhedged)
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(detector)
    mem = detector._mem
    assert mem[m.META + m.M_UNHEDGED] == 0 and mem[m.META + m.M_FLYING] == 1
    assert mem[m.META + m.M_TOTAL] == field_of(intent, "cash_e6_0")
    world.leg(intent, 0, 200 * E6, position_cost_e6=130 * E6)
    world.end(intent, filled_e6=200 * E6)
    world.quote(0, KALSHI, *FAIR_BOOK)
    world.step(detector)
    assert mem[m.META + m.M_UNHEDGED] == mem[m.META + m.M_FLYING] == 0
    assert mem[m.META + m.M_TOTAL] == 130 * E6


def test_what_is_held_takes_room_of_the_day() -> None:
    world, detector = one_market(day_max_e6=100 * E6)
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(detector)
    size, cash = field_of(intent, "size_e6_0"), field_of(intent, "cash_e6_0")
    assert 90 * E6 < cash <= 100 * E6
    world.leg(intent, 0, size, position_cost_e6=cash)
    world.end(intent, filled_e6=size)
    world.quote(0, KALSHI, *LAGS)
    later = world.step(detector)
    assert sum(field_of(each, "cash_e6_0") for each in later) <= 100 * E6 - cash


def test_a_bet_in_flight_keeps_the_market_and_a_part_of_it_is_only_smaller() -> None:
    world, detector = one_market()
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(detector)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) == [] and detector.counter("in_flight") >= 1
    world.leg(intent, 0, 10 * E6, position_cost_e6=6 * E6)
    world.end(intent, "partial", 10 * E6)
    (again,) = world.step(detector)  # the pair is not paused, nothing is completed or given back
    assert field_of(again, "side_0") == BUY


def test_an_unknown_outcome_stops_the_market_until_its_one_leg_is_known() -> None:
    world, detector = one_market()
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(detector)
    world.leg(intent, 0, 0, placed=P_UNKNOWN)
    world.end(intent, "unknown_outcome")
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) == [] and detector.counter("paused") >= 1
    world.leg(intent, 0, 0)
    assert len(world.step(detector)) == 1


def test_a_predecessors_bet_of_unknown_outcome_is_over_with_its_one_leg() -> None:
    world, before = one_market()
    world.quote(0, KALSHI, *LAGS)
    (intent,) = world.step(before)
    world.end(intent, "unknown_outcome")
    detector = detector_of(world, epoch=2)
    world.end(intent, "unknown_outcome")
    terms(world)
    spot(world)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) == []
    world.leg(intent, 0, 0)
    assert len(world.step(detector)) == 1


def test_debounce_and_cooldown_count_from_the_episode_of_its_side() -> None:
    world, detector = one_market(debounce_ns=10 * MS, cooldown_ns=50 * MS)
    world.quote(0, KALSHI, *LAGS)
    assert world.step(detector) == []
    world.quote(0, KALSHI, *RICH)  # the other side: its own episode begins
    assert world.step(detector, 5 * MS) == []
    assert world.step(detector, 6 * MS) == []
    (intent,) = world.step(detector, 5 * MS)
    assert field_of(intent, "side_0") == SELL
    world.end(intent, "nothing_filled")
    assert world.step(detector, 40 * MS) == [] and detector.counter("cooldown") >= 1
    assert len(world.step(detector, 11 * MS)) == 1


@pytest.mark.parametrize("b", [-2, 0, INSTRUMENTS_MAX])
def test_a_row_whose_second_market_is_nowhere_is_no_row(b: int) -> None:
    world, detector = one_market()
    world.pair(1, 0, b)
    world.step(detector)
    assert detector._mem[m.PAIR_STATE + m.PAIR_STATE_CELLS + m.PS_KNOWN] == 0


def test_a_market_in_a_pair_and_alone_is_decided_both_ways() -> None:
    world, detector = one_market(cooldown_ns=SECOND)
    world.instrument(1, POLYMARKET)
    world.pair(1, 0, 1)
    world.start_feed(POLYMARKET)
    world.cash(POLYMARKET, 10_000 * E6)
    world.quote(1, POLYMARKET, ((800_000, 100 * E6),), ((810_000, 100 * E6),))
    world.quote(0, KALSHI, *LAGS)
    (both,) = world.step(detector)
    assert (field_of(both, "pair"), field_of(both, "leg_count")) == (1, 2), "what is sure first"
    for leg in range(2):
        world.leg(both, leg, 0)
    world.end(both, "nothing_filled")
    (bet,) = world.step(detector)
    assert (field_of(bet, "pair"), field_of(bet, "leg_count")) == (0, 1)


def test_bets_replay_to_the_byte() -> None:
    world, detector = one_market()
    for turn in range(60):
        spot(world, 80_000 + 37 * (turn * 7 % 23) - 300)
        world.quote(0, KALSHI, *(LAGS, RICH, FAIR_BOOK)[turn % 3])
        for intent in world.step(detector, 20 * MS):
            filled = field_of(intent, "size_e6_0") // 2 // 10_000 * 10_000
            world.leg(intent, 0, filled, position_cost_e6=filled)
            world.end(intent, "partial", filled)
        if turn % 9 == 4:
            terms(world, number=turn, strike_e8=(79_900 + turn) * 10**8)
    world.step(detector)
    world.record()
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies and len(bodies) > 10
    assert twin.run(world.tape) == bodies
