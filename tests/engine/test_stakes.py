"""What strategies have at stake: it is given back when an order ends, and counts in every market
that it concerns."""

from __future__ import annotations

import pytest

from engine import memory as m
from engine.detector import Detector
from engine.replay import replay
from engine.strategies.select import N_ORDERS
from engine.strategies.table import STRATEGIES
from shm_layout import E6, HALTED, K_ACCOUNT, NO_INSTRUMENT, REPORT
from tests.engine import windows as w
from tests.engine.bets import LAGS, one_market
from tests.engine.test_house import gate_now, told
from tests.engine.world import KALSHI, POLYMARKET, RUN_0, World, detector_of, field_of, record
from tests.twins import detector as twin


def test_an_order_that_filled_nothing_gives_all_it_had_at_stake_back() -> None:
    world, detector = w.distance_fade("distance_fade")
    (intent,) = world.step(detector)
    cash = field_of(intent, "cash_e6_0")
    assert told(world, "distance_fade", "spent_e6") == cash > 0
    world.end(intent, "nothing_filled")
    assert world.step(detector) == []  # within the cooldown
    assert told(world, "distance_fade", "spent_e6") == 0
    assert gate_now(world, "distance_fade") == "cooldown"


@pytest.mark.parametrize(
    ("reason", "orders"), [("stale", 0), ("nothing_filled", 1), ("venue_rejected", 1)]
)
def test_a_refused_intent_is_no_order_and_one_that_was_sent_is(reason: str, orders: int) -> None:
    world, detector = w.distance_fade("distance_fade")
    (intent,) = world.step(detector)
    world.set_state(HALTED)
    world.end(intent, reason)
    world.step(detector)
    at = m.HOUSE_AT + m.H_SEEN + 2 * STRATEGIES.index("distance_fade") + N_ORDERS
    assert detector._mem[at] == orders


def test_what_was_filled_stays_at_stake_until_the_market_holds_nothing() -> None:
    world, detector = w.distance_fade("distance_fade")
    (intent,) = world.step(detector)
    cash, size = field_of(intent, "cash_e6_0"), field_of(intent, "size_e6_0")
    part = size // 4
    world.leg(intent, 0, part, position_cost_e6=cash // 4)
    world.end(intent, "partial", part)
    world.step(detector)
    left = told(world, "distance_fade", "spent_e6")
    assert left == cash - cash * (size - part) // size and left >= cash // 4
    world.append("reports", K_ACCOUNT, record(REPORT, instrument=0, generation=1, account=-1))
    world.step(detector)
    assert told(world, "distance_fade", "spent_e6") == 0


@pytest.mark.parametrize(("beside", "orders"), [(0, 1), (1, 0)])
def test_a_bet_that_a_pairs_leg_has_closed_is_at_stake_in_what_the_pair_holds_beside_it(
    beside: int, orders: int
) -> None:
    """A pair sells what the bet holds here and buys as much at the other venue: that stands alone
    now, and half of Kelly's share is used up as before. Without it, it is free again."""
    world, detector = w.distance_fade("distance_fade", cap_e6=E6, total_e6=E6, cooldown_ns=0)
    world.cash(KALSHI, 1_000 * E6)
    world.instrument(1, POLYMARKET)  # of the same event
    (intent,) = world.step(detector)
    cash, size = field_of(intent, "cash_e6_0"), field_of(intent, "size_e6_0")
    world.leg(intent, 0, size, position_cost_e6=cash)
    world.end(intent, "done", size)
    world.cash(KALSHI, 1_000 * E6 - cash)
    for instrument, held in ((1, beside * size), (0, 0)):
        row = {"instrument": instrument, "generation": 1, "account": -1, "position_e6": held}
        world.append("reports", K_ACCOUNT, record(REPORT, **row))
    w.spot(world)
    w.book(world, 58, 60)
    assert len(world.step(detector)) == orders
    if orders == 0:
        assert told(world, "distance_fade", "spent_e6") == cash
        row = {"instrument": 1, "generation": 1, "account": -1}  # it has settled
        world.append("reports", K_ACCOUNT, record(REPORT, **row))
        w.book(world, 58, 60)
        assert len(world.step(detector)) == 1
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


def test_what_was_closed_before_its_order_ended_is_at_stake_no_more_once_it_has() -> None:
    """While it was in flight its own reserve kept it; no later report of the market need come."""
    world, detector = w.distance_fade("distance_fade", cooldown_ns=0)
    (intent,) = world.step(detector)
    cash, size = field_of(intent, "cash_e6_0"), field_of(intent, "size_e6_0")
    world.leg(intent, 0, size, position_cost_e6=cash)
    world.append("reports", K_ACCOUNT, record(REPORT, instrument=0, generation=1, account=-1))
    world.step(detector)
    assert told(world, "distance_fade", "spent_e6") == cash
    world.end(intent, "done", size)
    w.spot(world)
    w.book(world, 58, 60)
    assert len(world.step(detector)) == 1 and told(world, "distance_fade", "spent_e6") == cash
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


def test_an_unknown_outcome_stays_at_stake() -> None:
    world, detector = w.distance_fade("distance_fade")
    (intent,) = world.step(detector)
    world.end(intent, "unknown_outcome")
    world.step(detector)
    assert told(world, "distance_fade", "spent_e6") == field_of(intent, "cash_e6_0")


def test_another_market_in_the_slot_begins_with_nothing() -> None:
    world, detector = w.distance_fade("distance_fade")
    (intent,) = world.step(detector)
    world.end(intent, "unknown_outcome")
    world.instrument(0, 0, generation=2)
    w.book(world, 58, 60)
    world.step(detector)
    assert told(world, "distance_fade", "spent_e6") == 0
    house = detector._mem[m.HOUSE_AT : m.HOUSE_AT + m.HOUSE_CELLS]
    assert not house.any()


def test_a_strategys_total_holds_over_all_markets() -> None:
    world, detector = w.distance_fade("distance_fade", total_e6=40_000)
    place = {"settlement_rule": w.RULE.cell, "open_epoch_ns": RUN_0, "spot_slot": w.SPOT_SLOT}
    world.instrument(1, 0, index_slot=1, **place)
    world.pair(1, 1, NO_INSTRUMENT, needs_terms=1)
    w.terms(world, 1)
    w.book(world, 58, 60, 1)
    intents = world.step(detector)
    spent = [field_of(intent, "cash_e6_0") for intent in intents]
    assert len(spent) == 2 and sum(spent) <= 400 * E6 and spent[1] < spent[0] / 2
    assert told(world, "distance_fade", "spent_e6") == sum(spent)


@pytest.mark.parametrize(("asset", "orders"), [(0, 1), (1, 2)])
def test_what_bets_have_on_an_asset_counts_in_all_its_windows(asset: int, orders: int) -> None:
    world, detector = w.distance_fade("distance_fade", cap_e6=E6, total_e6=E6)
    world.cash(0, 1_000 * E6)  # half of Kelly's share of it is less than the book has
    place = {"settlement_rule": w.RULE.cell, "open_epoch_ns": RUN_0, "spot_slot": w.SPOT_SLOT}
    world.instrument(1, 0, event=1, index_slot=1, asset=asset, **place)
    world.pair(1, 1, NO_INSTRUMENT, needs_terms=1)
    w.terms(world, 1)
    w.book(world, 58, 60, 1)
    intents = world.step(detector)
    assert len(intents) == orders
    if orders == 1:
        taken = field_of(intents[0], "instrument_0")
        world.end(intents[0], "nothing_filled")  # what was at stake is free for the other window
        w.book(world, 58, 60, 1 - taken)
        (other,) = world.step(detector)
        assert field_of(other, "instrument_0") == 1 - taken
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


def two_windows(**parameters: int) -> tuple[World, Detector]:
    """Of two coins and two events: nothing but the day is common to them."""
    world, detector = one_market(**parameters)
    place = {"settlement_rule": w.RULE.cell, "open_epoch_ns": RUN_0, "spot_slot": w.SPOT_SLOT}
    world.instrument(1, KALSHI, event=1, index_slot=1, asset=1, **place)
    world.pair(1, 1, NO_INSTRUMENT, needs_terms=1)
    w.terms(world, 1)
    return world, detector


def bets_in(world: World, detector: Detector, instrument: int) -> int:
    """Dollars of the bets that a book which lags makes there."""
    world.quote(instrument, KALSHI, *LAGS)
    intents = world.step(detector)
    assert all(field_of(intent, "instrument_0") == instrument for intent in intents)
    return sum(field_of(intent, "cash_e6_0") for intent in intents)


def test_bets_in_all_markets_together_stay_below_what_a_day_may_lose() -> None:
    world, detector = two_windows(day_max_e6=100 * E6)
    cash = bets_in(world, detector, 0)
    assert 90 * E6 < cash <= 100 * E6
    assert cash + bets_in(world, detector, 1) <= 100 * E6, "the first one is in flight"
    for intent in world.intents:
        size, cost = field_of(intent, "size_e6_0"), field_of(intent, "cash_e6_0")
        world.leg(intent, 0, size, position_cost_e6=cost)
        world.end(intent, filled_e6=size)
    world.step(detector)
    bets_in(world, detector, 1)
    assert sum(field_of(each, "cash_e6_0") for each in world.intents) <= 100 * E6, "it is held"
    assert detector.counter("cut_day") >= 2
    for instrument in (0, 1):
        gone = record(REPORT, instrument=instrument, generation=1, account=-1)
        world.append("reports", K_ACCOUNT, gone)
    later = sum(field_of(each, "cash_e6_0") for each in world.step(detector))
    assert 90 * E6 < later <= 100 * E6, "settled, it is at stake no more"
    bodies = [intent.tobytes() for intent in world.intents]
    assert replay(world.tape) == bodies == twin.run(world.tape)


def test_what_is_held_hedged_in_other_markets_is_no_loss_of_the_day() -> None:
    world, detector = two_windows(day_max_e6=100 * E6)
    row = record(REPORT, instrument=1, generation=1, account=-1, position_e6=2_000 * E6,
                 position_cost_e6=900 * E6)  # fmt: skip
    world.append("reports", K_ACCOUNT, row)
    assert 90 * E6 < bets_in(world, detector, 0) <= 100 * E6


def test_a_restarted_detector_counts_what_is_still_in_flight() -> None:
    world, before = w.distance_fade("distance_fade")
    (intent,) = world.step(before)
    later = detector_of(world, epoch=2)
    world.step(later)
    assert told(world, "distance_fade", "spent_e6") == field_of(intent, "cash_e6_0")
    world.end(intent, "nothing_filled")
    world.step(later)
    assert told(world, "distance_fade", "spent_e6") == 0
