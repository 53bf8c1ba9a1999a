"""Reservations, terminal reports, unknown outcomes: money is counted once."""

from __future__ import annotations

import pytest

from engine import cells as c
from shm_layout import (
    E6,
    FLAG_TIMER,
    ORIGIN_DESK,
    ORIGIN_DETECTOR,
    P_DONE,
    P_REJECTED,
    P_UNKNOWN,
    intent_id,
)
from tests.engine.world import (
    CHEAP,
    DEAR,
    KALSHI,
    POLYMARKET,
    detector_of,
    edge_up,
    field_of,
    two_venues,
)


def test_one_intent_at_a_time_on_a_pair_and_its_end_lets_the_next_go() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    edge_up(world)
    assert world.step(detector) == []
    assert detector.counter("in_flight") == 1
    world.end(intent, "stale")
    (second,) = world.step(detector)
    assert field_of(second, "id") == intent_id(ORIGIN_DETECTOR, 1, 2)
    assert field_of(second, "flags") == FLAG_TIMER  # released by a report, not by a frame


def test_money_in_flight_is_not_spent_twice_while_the_account_update_is_late() -> None:
    world = two_venues()
    for index, venue in ((2, KALSHI), (3, POLYMARKET)):
        world.instrument(index, venue)
    world.pair(1, 2, 3)
    world.cash(KALSHI, 40 * E6)  # enough for one: 80 contracts cost 34.2
    detector = detector_of(world)
    edge_up(world)
    (first,) = world.step(detector)
    world.quote(2, KALSHI, *CHEAP)
    world.quote(3, POLYMARKET, *DEAR)
    (small,) = world.step(detector)  # what is left still buys a few
    assert field_of(small, "cash_e6_0") <= 40 * E6 - field_of(first, "cash_e6_0")
    world.end(small, "stale")
    world.step(detector)
    world.end(world.intents[-1], "stale")
    # The first filled; its terminal report is there, the account update is not.
    world.end(first, "done", 80 * E6)
    for intent in world.step(detector):
        left = 40 * E6 - field_of(first, "cash_e6_0")
        assert field_of(intent, "cash_e6_0") <= left
        world.end(intent, "stale")
    world.cash(KALSHI, 3 * E6)  # now the update: less still
    world.quote(2, KALSHI, *CHEAP)
    for intent in world.step(detector):
        assert field_of(intent, "cash_e6_0") <= 3 * E6


def test_an_account_update_before_the_end_does_not_free_the_reservation() -> None:
    world = two_venues()
    world.cash(KALSHI, 40 * E6)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.leg(intent, 0, 80 * E6, account=KALSHI, cash_free_e6=40 * E6)
    edge_up(world)
    assert world.step(detector) == []
    reserved = detector._mem[_cash_reserved(KALSHI)]
    assert reserved == field_of(intent, "cash_e6_0")
    world.end(intent, "done", 80 * E6)
    world.step(detector)
    world.end(intent, "done", 80 * E6)  # a second end of the same intent frees nothing more
    world.step(detector)
    assert detector.counter("orphans") == 1
    assert detector._mem[_cash_reserved(KALSHI)] >= 0


def _cash_reserved(account: int) -> int:
    from engine import memory as m

    return m.CASH_AT + account * m.CASH_CELLS + m.CA_RESERVED


def test_an_unknown_outcome_stops_the_pair_until_every_leg_is_known() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.leg(intent, 0, 80 * E6)
    world.leg(intent, 1, 80 * E6, placed=P_UNKNOWN)
    world.end(intent, "unknown_outcome", 80 * E6)
    edge_up(world)
    assert world.step(detector) == [] and detector.counter("paused") > 0
    world.leg(intent, 1, 80 * E6, placed=P_DONE)
    assert len(world.step(detector)) == 1


def test_an_operator_ends_a_pause_by_publishing_the_pair_again() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "unknown_outcome")
    assert world.step(detector) == []
    world.pair(0, 0, 1)
    assert len(world.step(detector)) == 1


@pytest.mark.parametrize("last_word", ["unknown_outcome", "nothing_filled"])
def test_an_unknown_order_that_turns_out_not_to_exist_stops_nothing(last_word: str) -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.leg(intent, 0, 0, placed=P_REJECTED)
    world.leg(intent, 1, 0, placed=P_UNKNOWN)
    world.leg(intent, 1, 0, placed=P_REJECTED)
    world.end(intent, last_word)
    assert len(world.step(detector)) == 1


def test_an_unwind_of_unknown_outcome_stops_the_pair_until_its_one_leg_is_known() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.leg(intent, 0, 0)
    world.leg(intent, 1, 0)
    unwind = intent.copy()
    unwind[c.N_ID] = intent_id(ORIGIN_DESK, 1, 1)
    world.leg(unwind, 0, 0, placed=P_UNKNOWN)
    world.end(unwind, "unknown_outcome")
    world.end(intent, "nothing_filled")
    assert world.step(detector) == [] and detector.counter("paused") > 0
    world.leg(unwind, 0, 0, placed=P_REJECTED)
    assert len(world.step(detector)) == 1


def test_an_unknown_outcome_of_before_our_time_stops_the_pair_until_both_legs_are_known() -> None:
    world = two_venues()
    detector = detector_of(world, epoch=2)
    edge_up(world)
    (intent,) = world.step(detector)
    lost = intent.copy()
    lost[c.N_ID] = intent_id(ORIGIN_DETECTOR, 1, 7)  # the ring of intents no longer holds it
    world.end(lost, "unknown_outcome")
    world.end(intent, "nothing_filled")
    assert world.step(detector) == [] and detector.counter("paused") > 0
    world.leg(lost, 0, 0, placed=P_REJECTED)
    assert world.step(detector) == []
    world.leg(lost, 1, 0)
    assert len(world.step(detector)) == 1
