"""What comes off an edge beside fees: slow terms by direction, capital, and what their absence
means."""

from __future__ import annotations

import numpy as np

from shm_layout import BODY, K_TERMS, TERMS, cell
from tests.engine.world import (
    CHEAP,
    DEAR,
    KALSHI,
    POLYMARKET,
    RUN_0,
    SECOND,
    detector_of,
    edge_down,
    edge_up,
    field_of,
    two_venues,
)


def test_the_death_of_the_model_stops_only_the_pairs_that_need_its_terms() -> None:
    world = two_venues()
    for index in (2, 3):
        world.instrument(index, (KALSHI, POLYMARKET)[index - 2], event=1)
    world.pair(0, 0, 1, needs_terms=1)
    world.pair(1, 2, 3)
    detector = detector_of(world)
    world.terms(pair=0, number=1, valid_until_ns=world.now + SECOND)
    world.step(detector, after_ns=2 * SECOND)
    edge_up(world)
    world.quote(2, KALSHI, *CHEAP)
    world.quote(3, POLYMARKET, *DEAR)
    (intent,) = world.step(detector)
    assert field_of(intent, "pair") == 1 and detector.counter("refused_terms") > 0
    world.terms(pair=0, number=2, valid_until_ns=world.now + SECOND)  # it is back
    (intent,) = world.step(detector)
    assert field_of(intent, "pair") == 0


def test_the_dead_zone_of_each_direction_comes_off_that_direction() -> None:
    for direction, make in ((0, edge_up), (1, edge_down)):
        for zones in ((60_000, 0), (0, 60_000)):
            world = two_venues()
            detector = detector_of(world)
            row = np.zeros(BODY, np.int64)
            row[cell(TERMS, "dead_zone_e6") : cell(TERMS, "dead_zone_e6") + 2] = zones
            row[cell(TERMS, "generation")] = row[cell(TERMS, "number")] = 1
            row[cell(TERMS, "valid_until_ns")] = world.now + SECOND
            world.append("terms_ring", K_TERMS, row)
            make(world)
            assert len(world.step(detector)) == (zones[direction] == 0), (direction, zones)


def test_capital_locked_for_longer_must_earn_more() -> None:
    """10 % a year: a dollar until tomorrow costs 0.1/365 = 274 (1e-6), for a year 100,000."""
    for days, cost in ((1, 274), (365, 100_000)):
        edges = []
        for rate in (0, 100_000):
            world = two_venues(hurdle_year_e6=rate)
            detector = detector_of(world)
            closes = RUN_0 + days * 86_400 * SECOND
            world.quote(0, KALSHI, *CHEAP, close_epoch_ns=closes - SECOND)
            world.quote(1, POLYMARKET, *DEAR, close_epoch_ns=closes)
            edges += [field_of(intent, "edge_e6") for intent in world.step(detector)]
        if cost < 50_000:
            assert edges[0] - edges[1] == cost
        else:
            assert len(edges) == 1
