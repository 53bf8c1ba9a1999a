"""What paper orders have had counts no more, until the book shows something new."""

from __future__ import annotations

import numpy as np
import pytest

from engine import kernels
from engine import memory as m
from engine.detector import Detector
from gateway.facts import less_had, levels_of
from shm_layout import BUY, E6, FLAG_TIMER, SELL, Words
from tests.engine.world import (
    CHEAP,
    DEAR,
    KALSHI,
    MS,
    POLYMARKET,
    World,
    detector_of,
    edge_up,
    field_of,
    two_venues,
)

ASK, BID = 410_000, 500_000
GAP = 80 * E6  # contracts that the standing gap pays for


def fill(world: World, detector: Detector, *, is_told: bool) -> None:
    """Both legs of the intent fill whole; the paper venues say so, or (as before) nobody does."""
    (intent,) = world.step(detector)
    size_e6 = field_of(intent, "size_e6_0")
    if is_told:
        world.had(0, asks=((ASK, size_e6),))
        world.had(1, bids=((BID, size_e6),))
    for leg in (0, 1):
        world.leg(intent, leg, size_e6)
    world.end(intent, "done", size_e6)


@pytest.mark.parametrize(("is_told", "again"), [(True, 0), (False, 1)])
def test_a_gap_that_stands_is_traded_once(is_told: bool, again: int) -> None:
    """The negative control: where nobody says what was had, it is decided on a second time."""
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    fill(world, detector, is_told=is_told)
    assert len(world.step(detector)) == again
    if is_told:
        edge_up(world)  # the venues go on showing it
        assert world.step(detector) == []


def test_what_comes_new_to_a_level_is_traded_and_no_more_than_that() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    fill(world, detector, is_told=True)
    world.quote(1, POLYMARKET, ((BID, GAP + 16 * E6),), DEAR[1])
    (intent,) = world.step(detector)
    # 20 of the 100 at Kalshi were left over from the first time
    assert field_of(intent, "size_e6_0") == 16 * E6


def test_the_next_level_is_what_is_left_to_decide_on() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    fill(world, detector, is_told=True)
    world.quote(1, POLYMARKET, (*DEAR[0], (BID - 10_000, 6 * E6)), DEAR[1])
    (intent,) = world.step(detector)
    assert (field_of(intent, "limit_e6_1"), field_of(intent, "size_e6_1")) == (490_000, 6 * E6)


def test_what_is_had_no_more_counts_at_once() -> None:
    """A level went and came back between two looks of ours: no quote has to come for it."""
    world = two_venues()
    detector = detector_of(world)
    edge_up(world)
    fill(world, detector, is_told=True)
    assert world.step(detector) == []
    world.had(0)
    world.had(1)
    (intent,) = world.step(detector)
    assert field_of(intent, "size_e6_0") == GAP
    assert field_of(intent, "flags") == FLAG_TIMER, "no frame made us look"


def test_what_was_had_of_the_market_that_had_the_number_before_takes_nothing_off() -> None:
    world = two_venues()
    detector = detector_of(world)
    world.had(0, asks=((ASK, 100 * E6),), generation=7)
    edge_up(world)
    assert len(world.step(detector)) == 1


@pytest.mark.parametrize("how", ["restart", "lap"])
def test_a_detector_that_missed_rows_takes_them_from_the_slots(how: str) -> None:
    world = two_venues()
    edge_up(world)
    detector = detector_of(world)
    world.had(0, asks=((ASK, 70 * E6),))
    if how == "restart":
        detector = detector_of(world, epoch=2)
    else:
        for _ in range(world.segment.entries("had_ring") + 1):
            world.had(1)
    (intent,) = world.step(detector)
    assert field_of(intent, "size_e6_0") == 30 * E6
    assert detector.counter("laps") == (how == "lap")


def _quote_in(detector: Detector, instrument: int) -> Words:
    at = m.QUOTE_AT + instrument * 56
    return detector._mem[at : at + 56]


def test_decision_and_desk_see_the_same_book() -> None:
    """One rule in the detector's kernel and in the gateway (a lone leg is completed or given back
    on what is left): random books, random takes."""
    rng = np.random.default_rng(5)
    world = two_venues()
    detector = detector_of(world)
    for _ in range(40):
        prices = 400_000 - 10_000 * np.arange(5), 410_000 + 10_000 * np.arange(5)
        bids, asks = (
            tuple((int(p), int(rng.integers(1, 9)) * E6) for p in side[: rng.integers(6)])
            for side in prices
        )
        quote = world.quote(0, KALSHI, bids, asks)
        held = [tuple((p, int(rng.integers(1, 9)) * E6) for p, _ in side if rng.random() < 0.5)
                for side in (bids, asks)]  # fmt: skip
        world.had(0, *held)
        had = world.segment.read("had", 0)
        assert had is not None
        world.step(detector)
        seen = quote.tolist()
        less_had(seen, memoryview(had.tobytes()).cast("q").tolist())
        assert seen == _quote_in(detector, 0).tolist()
        for side, levels, taken in ((SELL, bids, held[0]), (BUY, asks, held[1])):
            left = [(p, size - dict(taken).get(p, 0)) for p, size in levels]
            assert list(levels_of(seen, side)) == [level for level in left if level[1] > 0]


def test_where_nothing_was_had_a_quote_is_what_its_venue_shows() -> None:
    world = two_venues()
    detector = detector_of(world)
    quote = world.quote(0, KALSHI, *CHEAP)
    world.step(detector, MS)
    assert _quote_in(detector, 0).tolist() == quote.tolist()
    assert kernels.RING_NAMES[kernels.HAD_RING] == "had_ring"
