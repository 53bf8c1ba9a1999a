"""When the detector opens, and when it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from engine import cells as c
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
    POLLED,
    REDUCING,
    SELL,
    ST_CLOSED,
    Segment,
    intent_id,
    word_store,
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
    edge_down,
    edge_up,
    field_of,
    two_venues,
)


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
    # Spent at better prices, $40 buy more contracts: their fee stays below 5 % of the money.
    assert field_of(intent, "cash_e6_1") == 80 * 500_000 + 2_000_000 + 10
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


def needs_terms(world: World) -> None:
    """The model is dead, or has not spoken yet."""
    world.pair(0, 0, 1, needs_terms=1)


def terms_of_another(world: World) -> None:
    """The window rolled: terms of the pair that was in this place before say nothing."""
    world.terms(pair=0, generation=7, number=1, valid_until_ns=world.now + SECOND)
    needs_terms(world)


def not_open_yet(world: World) -> None:
    """Polymarket takes orders for a window long before it begins."""
    world.instrument(1, POLYMARKET, settlement_rule=1, open_epoch_ns=RUN_0 + 60 * SECOND)


def no_close_known(world: World) -> None:
    world.parameters(hurdle_year_e6=100_000)


@pytest.mark.parametrize(
    "spoil, counter",
    [
        (halted, "refused_state"),
        (reducing, "refused_state"),
        (killed, "refused_state"),
        (unapproved, "refused_pair"),
        (not_live, "refused_trust"),
        (other_generation, "refused_trust"),
        (no_feed, "refused_alive"),
        (newer_feed, "refused_alive"),
        (far_off, None),
        (out_of_band, "refused_band"),
        (no_cash, "refused_cash"),
        (dead_zone, "refused_size"),
        (stale_terms, "refused_terms"),
        (needs_terms, "refused_terms"),
        (terms_of_another, "refused_terms"),
        (no_close_known, "refused_terms"),
        (not_open_yet, "refused_window"),
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
        ({"trust": POLLED}, "refused_trust"),
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


@pytest.mark.parametrize("closes_in_s, count", [(-1, 0), (0, 0), (60, 1)])
def test_a_window_is_over_at_its_close_whatever_its_venue_still_takes(
    closes_in_s: int, count: int
) -> None:
    world = two_venues()
    for index, venue in ((0, KALSHI), (1, POLYMARKET)):
        world.instrument(index, venue, settlement_rule=1, open_epoch_ns=RUN_0)
    detector = detector_of(world)
    edge_up(world, close_epoch_ns=RUN_0 + closes_in_s * SECOND)
    assert len(world.step(detector)) == count
    assert (detector.counter("refused_window") == 0) == bool(count)
    assert detector.counter("refused_trust") == 0


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


def test_waiting_decides_on_what_comes_and_does_not_block_without_leave() -> None:
    world = two_venues()
    detector = detector_of(world)
    world.step(detector)
    assert detector.wait(0, 0) is False
    steps = detector.counter("steps")
    edge_up(world)
    assert detector.wait(0, 10**9) is True
    assert detector.counter("steps") == steps + 1 and detector.counter("quotes") == 2
    assert detector.wait(0, 0) is False
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
