"""Edges that may not be taken are told pair by pair, once each, with the reason."""

from __future__ import annotations

import numpy as np

from engine.detector import Detector
from shm_layout import GAP, NO_SNAPSHOT, REFUSAL
from tests.engine.world import (
    DEAR,
    KALSHI,
    RUN_0,
    World,
    detector_of,
    edge_down,
    edge_up,
    field_of,
    two_venues,
)


def told(world: World, pair: int = 0) -> np.void:
    at = world.segment.at("refusals", pair)
    found: np.void = world.words[at : at + REFUSAL.itemsize // 8].copy().view(REFUSAL)[0]
    return found


def watched() -> tuple[World, Detector]:
    """Two venues whose pair nobody approved."""
    world = two_venues()
    world.pair(0, 0, 1, approved=0)
    return world, detector_of(world)


def test_an_edge_of_an_unapproved_pair_is_told_once_while_it_lasts() -> None:
    world, detector = watched()
    for _ in range(3):
        edge_up(world)
        assert world.step(detector) == []
    assert told(world)["edges"] == detector.counter("edges_of_pair") == 1
    world.quote(0, KALSHI, *DEAR)
    world.step(detector)
    edge_up(world)
    world.step(detector)
    assert told(world)["edges"] == 2
    assert told(world)["untrusted"] == told(world)["trust"] == 0
    assert told(world)["last_epoch_ns"] >= RUN_0
    assert detector.counter("edges") == 0 and detector.counter("refused_pair") >= 4


def test_both_directions_are_told() -> None:
    world, detector = watched()
    edge_up(world)
    world.step(detector)
    edge_down(world)
    world.step(detector)
    assert told(world)["edges"] == 2


def test_the_best_edge_is_the_one_an_approved_pair_would_have_taken() -> None:
    world, detector = watched()
    edge_up(world)
    world.step(detector)
    free = two_venues()
    taker = detector_of(free)
    edge_up(free)
    (intent,) = free.step(taker)
    assert told(world)["best_e6"] == field_of(intent, "edge_e6") > 0
    assert told(free)["edges"] == told(free)["untrusted"] == told(free)["best_e6"] == 0


def test_an_edge_on_an_untrusted_quote_is_told_with_its_trust_words() -> None:
    world = two_venues()
    detector = detector_of(world)
    edge_up(world, trust=GAP)
    assert world.step(detector) == []
    edge_up(world, trust=GAP | NO_SNAPSHOT)
    world.step(detector)
    assert (told(world)["edges"], told(world)["untrusted"]) == (0, 1)
    assert told(world)["trust"] == GAP | NO_SNAPSHOT
    assert detector.counter("edges_untrusted") == 1


def test_a_stale_quote_is_named_before_the_pair_that_differs() -> None:
    world, detector = watched()
    edge_up(world, trust=GAP)
    world.step(detector)
    assert (told(world)["edges"], told(world)["untrusted"]) == (0, 1)
    edge_up(world)
    world.step(detector)
    assert (told(world)["edges"], told(world)["untrusted"]) == (1, 1)


def test_approval_ends_what_is_refused() -> None:
    world, detector = watched()
    edge_up(world)
    world.step(detector)
    world.pair(0, 0, 1, approved=1)
    edge_up(world)
    assert len(world.step(detector)) == 1
    assert told(world)["edges"] == 1


def test_a_new_detector_goes_on_with_the_count() -> None:
    world, detector = watched()
    edge_up(world)
    world.step(detector)
    again = detector_of(world)
    edge_up(world)
    world.step(again)
    assert told(world)["edges"] == 2


def test_which_directions_pay_is_shown_and_a_detector_that_begins_anew_shows_it_anew() -> None:
    world = two_venues()
    world.quote(0, KALSHI, *DEAR)  # both venues show the same: nothing pays
    detector = detector_of(world)
    world.step(detector)
    for make, pays in ((edge_up, 0b01), (edge_down, 0b10)):
        make(world)
        world.step(detector)
        assert told(world)["pays"] == pays
    at = world.segment.at("refusals", 0)
    world.words[at + REFUSAL.names.index("pays")] = 0b11  # what a detector that died had shown
    world.step(detector_of(world))
    assert told(world)["pays"] == 0b10


def test_an_edge_that_is_refused_does_not_pay() -> None:
    world, detector = watched()
    edge_up(world)
    world.step(detector)
    assert told(world)["edges"] == 1 and told(world)["pays"] == 0
