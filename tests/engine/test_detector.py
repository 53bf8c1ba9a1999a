"""When the detector opens, and when it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine import cells as c
from engine.detector import Detector
from shm_layout import (
    ACTIVE,
    BUY,
    DETECTOR,
    E6,
    FLAG_TIMER,
    HALTED,
    KILL_AT,
    NO_SNAPSHOT,
    ORIGIN_DETECTOR,
    P_DONE,
    P_UNKNOWN,
    REDUCING,
    SELL,
    ST_CLOSED,
    Segment,
    intent_id,
    word_store,
)
from tests.engine.world import KALSHI, MS, POLYMARKET, SECOND, World, field_of, two_venues

CHEAP = ((400_000, 100 * E6),), ((410_000, 100 * E6),)
DEAR = ((500_000, 80 * E6),), ((510_000, 80 * E6),)


def detector_of(world: World, epoch: int = 1) -> Detector:
    return Detector(world.segment, epoch, gateway_eventfd=-1)


def edge_up(world: World, **fields: int) -> None:
    """YES is cheap at Kalshi: buy there, sell at Polymarket."""
    world.quote(0, KALSHI, *CHEAP, **fields)
    world.quote(1, POLYMARKET, *DEAR)


def edge_down(world: World) -> None:
    """YES is cheap at Polymarket."""
    world.quote(0, KALSHI, *DEAR)
    world.quote(1, POLYMARKET, *CHEAP)


def test_an_intent_names_both_legs_with_equal_contracts_and_their_worst_cash() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    assert field_of(intent, "id") == intent_id(ORIGIN_DETECTOR, 1, 1)
    assert [field_of(intent, f"side_{leg}") for leg in (0, 1)] == [BUY, SELL]
    assert [field_of(intent, f"limit_e6_{leg}") for leg in (0, 1)] == [410_000, 500_000]
    assert [field_of(intent, f"size_e6_{leg}") for leg in (0, 1)] == [80 * E6, 80 * E6]
    # 80·0.07·0.41·0.59 = 1.35464 → 1.3547; 80·0.05·0.5·0.5 = 1
    assert field_of(intent, "fees_e6") == 1_354_700 + 1_000_000
    assert field_of(intent, "profit_e6") == 80 * 90_000 - 2_354_700
    assert field_of(intent, "edge_e6") == (80 * 90_000 - 2_354_700) // 80
    assert field_of(intent, "cash_e6_0") == 80 * 410_000 + 1_354_700 + 100
    assert field_of(intent, "cash_e6_1") == 80 * 500_000 + 1_000_000 + 10
    assert field_of(intent, "expires_ns") == world.now + 50 * MS
    assert field_of(intent, "decide_ns") == world.now
    assert field_of(intent, "trigger") == 0 and field_of(intent, "flags") == 0
    assert [field_of(intent, f"quote_number_{leg}") for leg in (0, 1)] == [1, 1]


def test_both_directions_of_a_pair_are_found() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_down(world)
    (intent,) = world.step(detector)
    assert field_of(intent, "direction") == 1
    assert [field_of(intent, f"side_{leg}") for leg in (0, 1)] == [SELL, BUY]
    assert [field_of(intent, f"limit_e6_{leg}") for leg in (0, 1)] == [500_000, 410_000]


@pytest.mark.parametrize(
    "bids_b, asks_b, sides",
    [
        (((480_000, 80 * E6),), ((500_000, 80 * E6),), [BUY, BUY]),
        (((680_000, 80 * E6),), ((690_000, 80 * E6),), [SELL, SELL]),
    ],
)
def test_opposite_polarity_takes_the_same_side_twice(
    bids_b: tuple[tuple[int, int], ...], asks_b: tuple[tuple[int, int], ...], sides: list[int]
) -> None:
    world = two_venues()
    world.pair(0, 0, 1, same=0)
    detector = detector_of(world)
    world.quote(0, KALSHI, *CHEAP)
    world.quote(1, POLYMARKET, bids_b, asks_b)
    (intent,) = world.step(detector)
    assert [field_of(intent, f"side_{leg}") for leg in (0, 1)] == sides


def halted(world: World) -> None:
    world.set_state(HALTED)


def reducing(world: World) -> None:
    world.set_state(REDUCING)


def killed(world: World) -> None:
    word_store(world.words, KILL_AT, 1)


def unapproved(world: World) -> None:
    world.pair(0, 0, 1, approved=0)


def not_live(world: World) -> None:
    world.instrument(0, KALSHI, live=0)


def other_generation(world: World) -> None:
    world.instrument(0, KALSHI, generation=2)


def no_feed(world: World) -> None:
    world.start_feed(KALSHI, epoch=0)


def newer_feed(world: World) -> None:
    world.epochs[KALSHI] = 1
    world.start_feed(KALSHI, epoch=2)
    world.epochs[KALSHI] = 1


def far_off(world: World) -> None:
    world.parameters(edge_min_e6=200_000)


def out_of_band(world: World) -> None:
    world.parameters(price_low_e6=450_000)


def no_cash(world: World) -> None:
    world.cash(KALSHI, 0)


def dead_zone(world: World) -> None:
    world.terms(pair=0, number=1, valid_until_ns=world.now + SECOND, dead_zone_e6=60_000)


def stale_terms(world: World) -> None:
    world.terms(pair=0, number=1, valid_until_ns=world.now - 1)


@pytest.mark.parametrize(
    "spoil, counter",
    [
        (halted, "refused_state"),
        (reducing, "refused_state"),
        (killed, "refused_state"),
        (unapproved, "refused_state"),
        (not_live, "refused_trust"),
        (other_generation, "refused_trust"),
        (no_feed, "refused_alive"),
        (newer_feed, "refused_alive"),
        (far_off, None),
        (out_of_band, "refused_band"),
        (no_cash, "refused_cash"),
        (dead_zone, "refused_size"),
        (stale_terms, "refused_delay"),
    ],
)
def test_what_must_hold_to_open(spoil: Callable[[World], None], counter: str | None) -> None:
    world = two_venues()
    detector = detector_of(world)
    spoil(world)
    edge_up(world)
    assert world.step(detector) == []
    if counter is not None:
        assert detector.counter(counter) > 0


@pytest.mark.parametrize(
    "fields, counter",
    [
        ({"trust": NO_SNAPSHOT}, "refused_trust"),
        ({"status": ST_CLOSED}, "refused_trust"),
        ({"generation": 2}, "refused_trust"),
        ({"taker_delay_ns": 1}, "refused_delay"),
        ({"size_min_e6": 500 * E6}, "refused_size"),
    ],
)
def test_what_a_quote_must_say_to_be_traded_on(fields: dict[str, int], counter: str) -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world, **fields)
    assert world.step(detector) == []
    assert detector.counter(counter) > 0


@pytest.mark.parametrize(
    "limit",
    [
        "size_max_e6",
        "order_max_e6",
        "market_max_e6",
        "event_max_e6",
        "venue_max_e6",
        "total_max_e6",
        "day_max_e6",
        "unhedged_max_e6",
        "orders_per_second",
        "orders_per_minute",
        "orders_per_day",
        "price_high_e6",
        "beat_max_ns",
    ],
)
def test_a_limit_of_zero_means_none(limit: str) -> None:
    world = two_venues(**{limit: 0 if limit != "beat_max_ns" else -1})
    detector = detector_of(world)
    edge_up(world)
    assert world.step(detector) == []


@pytest.mark.parametrize(
    "limit, dollars, contracts",
    [
        ("order_max_e6", 20, 38.0),  # the dearer leg: 0.50 + fee 0.0125
        ("market_max_e6", 20, 38.0),
        ("venue_max_e6", 20, 38.0),
        ("unhedged_max_e6", 20, 38.0),
        ("event_max_e6", 40, 42.0),  # both legs: 0.41 + 0.50 + fees
        ("total_max_e6", 40, 42.0),
        ("day_max_e6", 40, 42.0),
    ],
)
def test_a_limit_cuts_the_size_to_what_it_leaves(
    limit: str, dollars: int, contracts: float
) -> None:
    world = two_venues(**{limit: dollars * E6})
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    size = field_of(intent, "size_e6_0")
    cash = [field_of(intent, f"cash_e6_{leg}") for leg in (0, 1)]
    spent = sum(cash) if limit in ("event_max_e6", "total_max_e6", "day_max_e6") else max(cash)
    assert spent <= dollars * E6
    assert contracts * E6 <= size < (contracts + 2) * E6


def test_a_dead_feed_stops_opening_within_its_heartbeat() -> None:
    world = two_venues()
    detector = detector_of(world)
    world.step(detector)
    world.now += 251 * MS
    world.beat(KALSHI)
    edge_up(world)
    while detector.step(world.now):
        pass
    assert world.new_intents() == [] and detector.counter("refused_alive") > 0


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


def test_debounce_waits_and_its_timer_fires_without_a_new_quote() -> None:
    world = two_venues(debounce_ns=20 * MS)
    detector = detector_of(world)
    edge_up(world)
    assert world.step(detector) == []
    assert world.step(detector, 19 * MS) == []
    (intent,) = world.step(detector, 2 * MS)
    assert field_of(intent, "flags") == FLAG_TIMER
    assert detector.counter("debounced") == 1 and detector.counter("timers") == 1


def test_an_edge_that_goes_away_starts_its_debounce_anew() -> None:
    world = two_venues(debounce_ns=20 * MS)
    detector = detector_of(world)
    edge_up(world)
    world.step(detector)
    world.quote(0, KALSHI, *DEAR)
    world.step(detector, 15 * MS)
    world.quote(0, KALSHI, *CHEAP)
    assert world.step(detector, 10 * MS) == []
    assert detector.counter("edges") == 2


def test_cooldown_is_run_time_and_passes_by_timer() -> None:
    world = two_venues(cooldown_ns=SECOND)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    assert world.step(detector) == [] and detector.counter("cooldown") == 1
    assert world.step(detector, 900 * MS) == []
    assert len(world.step(detector, 100 * MS)) == 1


def test_orders_a_second_are_counted_and_the_next_window_lets_the_edge_go() -> None:
    world = two_venues(orders_per_second=2)
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    assert world.step(detector) == [] and detector.counter("refused_rate") == 1
    assert len(world.step(detector, SECOND)) == 1


def test_an_edge_is_counted_once_while_it_lasts_and_also_when_halted() -> None:
    world = two_venues()
    world.set_state(HALTED)
    detector = detector_of(world)
    for _ in range(3):
        edge_up(world)
        assert world.step(detector) == []
    assert detector.counter("edges") == 1
    world.quote(0, KALSHI, *DEAR)
    world.step(detector)
    edge_up(world)
    world.step(detector)
    assert detector.counter("edges") == 2


def test_a_standing_edge_is_taken_when_trading_resumes() -> None:
    world = two_venues()
    world.set_state(HALTED)
    detector = detector_of(world)
    edge_up(world)
    world.step(detector)
    world.set_state(ACTIVE)
    (intent,) = world.step(detector)
    assert field_of(intent, "flags") == FLAG_TIMER


def test_a_refusal_for_money_is_looked_at_again_when_money_comes() -> None:
    world = two_venues()
    world.cash(KALSHI, 0)
    detector = detector_of(world)
    edge_up(world)
    assert world.step(detector) == []
    world.cash(KALSHI, 100 * E6)
    assert len(world.step(detector)) == 1


def test_each_touched_pair_is_decided_once_in_a_step() -> None:
    world = two_venues()
    detector = detector_of(world)
    world.step(detector)
    before = detector.counter("decisions")
    for _ in range(10):
        edge_up(world)
    world.step(detector)
    assert detector.counter("decisions") == before + 1


def test_a_quote_costs_only_the_pairs_it_is_in() -> None:
    world = two_venues()
    for pair in range(1, 200):
        world.instrument(2 * pair, KALSHI)
        world.instrument(2 * pair + 1, POLYMARKET)
        world.pair(pair, 2 * pair, 2 * pair + 1)
    detector = detector_of(world)
    world.quote(0, KALSHI, *DEAR)
    world.step(detector)  # a feed that begins to be alive has every pair looked at, once
    before = detector.counter("decisions")
    world.quote(0, KALSHI, *DEAR)
    world.step(detector)
    assert detector.counter("decisions") == before + 1


def test_an_older_quote_never_replaces_a_newer_one() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    (intent,) = world.step(detector)
    world.end(intent, "stale")
    world.quote(0, KALSHI, *DEAR)
    world.step(detector)
    for left in world.new_intents():
        world.end(left, "stale")
    before = detector.counter("intents")
    world.quote(0, KALSHI, *CHEAP, number=1)  # late, from before
    assert world.step(detector) == [] and detector.counter("intents") == before


def test_a_quote_on_the_grid_edge_and_a_crossed_book_do_not_trade() -> None:
    world = two_venues()
    detector = detector_of(world)
    world.quote(0, KALSHI, ((420_000, 100 * E6),), ((410_000, 100 * E6),))
    world.quote(1, POLYMARKET, *DEAR)
    assert world.step(detector) == []
    world.quote(0, KALSHI, ((400_000, E6),), ((405_000, 100 * E6),))  # off the cent grid
    assert world.step(detector) == []


def test_counters_and_histograms_stand_in_the_role_row() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    world.step(detector)
    row = world.segment.table("roles")[DETECTOR]
    from shm_layout import COUNTERS

    shown = dict(zip(COUNTERS["detector"], row["counters"], strict=False))
    assert shown["intents"] == 1 and shown["edges"] == 1 and shown["steps"] > 0
    at = world.segment.layout.at["histograms"] + DETECTOR * 6 * 1200
    assert all(world.words[at + i * 1200] > 0 for i in range(3))


def test_waiting_finds_an_entry_and_does_not_block_without_leave() -> None:
    world = two_venues()
    detector = detector_of(world)
    world.step(detector)
    assert detector.wait(0, 0) is False
    edge_up(world)
    assert detector.wait(0, 10**9) is True
    detector.close()


def test_a_private_memory_is_all_a_detector_holds() -> None:
    """Two detectors that see the same entries decide the same: nothing is global."""
    worlds = [two_venues(), two_venues()]
    found = []
    for world in worlds:
        detector = detector_of(world)
        edge_up(world)
        found.append(world.step(detector)[0].tobytes())
    assert found[0] == found[1]
    assert isinstance(worlds[0].segment, Segment) and np.any(worlds[0].words)
    assert c.N_ID == 0
