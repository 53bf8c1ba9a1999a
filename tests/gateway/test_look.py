"""Our own reading: what is taken from the rings and in which order, which token a leg becomes, and
what a slot that moves on does to an intent.
"""

from __future__ import annotations

import random

import pytest

from gateway.look import BROKEN, CONTROL, NOTHING, SKIPPED, place
from gateway.memory import ENTRY_AT, INTENT_AT, M_LAPS, N_ID, Memory
from gateway.ports import NO, YES, Placing
from ops.last_look import take
from shm_layout import (
    BODY,
    BUY,
    K_COMMAND,
    K_QUOTE,
    LINE,
    REASONS,
    SELL,
    ring_append,
)
from tests.gateway.scene import KALSHI, POLY, Scene
from tests.twins import guard as twin

ONE_E6 = 1_000_000


class Line:
    """A scene, and a desk's memory that was told of it."""

    def __init__(self) -> None:
        self.scene, self.memory = Scene(), Memory()
        self.accounts = self.scene.tell(self.memory)

    def take(self) -> int:
        self.scene.beat()
        return int(take(self.scene.segment.words, self.memory.words, self.scene.clock()))

    def fire(self, *, sell_e6: int = 500_000) -> int:
        scene = self.scene
        legs = scene.leg(KALSHI, BUY, 420_000), scene.leg(POLY, SELL, sell_e6)
        return scene.intent(*legs, age_ns=10**10)

    @property
    def taken(self) -> int:
        return int(self.memory.cells[INTENT_AT + N_ID])


@pytest.mark.parametrize(
    ("side", "yes", "no", "wanted"),
    [
        (SELL, 0, 0, Placing(NO, BUY, 580_000)),
        (SELL, 10, 0, Placing(YES, SELL, 420_000)),
        (SELL, 9, 0, Placing(NO, BUY, 580_000)),  # never split
        (SELL, 0, 99, Placing(NO, BUY, 580_000)),
        (BUY, 0, 0, Placing(YES, BUY, 420_000)),
        (BUY, 0, 10, Placing(NO, SELL, 580_000)),
        (BUY, 0, 9, Placing(YES, BUY, 420_000)),
        (BUY, 99, 0, Placing(YES, BUY, 420_000)),
    ],
)
def test_a_leg_sells_what_is_held_whole_else_buys(
    side: int, yes: int, no: int, wanted: Placing
) -> None:
    held = yes * ONE_E6, no * ONE_E6
    assert place(0, side, 420_000, 10 * ONE_E6, *held) == tuple(wanted)


@pytest.mark.parametrize("side", [BUY, SELL])
def test_on_a_venue_that_nets_a_leg_is_the_yes_price_whatever_is_held(side: int) -> None:
    for held in (0, 50 * ONE_E6):
        assert place(1, side, 420_000, ONE_E6, held, held) == (YES, side, 420_000)


def test_a_place_equals_the_twin() -> None:
    chance = random.Random(3)
    for _ in range(2_000):
        nets, side = chance.randrange(2), chance.randrange(2)
        limit, size = chance.randrange(1, ONE_E6), chance.choice((1, 10, 2**40))
        held = [chance.choice((0, size - 1, size, size + 1)) for _ in range(2)]
        found = place(nets, side, limit, size, *held)
        assert found == tuple(twin.place(bool(nets), side, limit, size, *held))


def test_commands_come_before_intents_and_each_entry_once() -> None:
    line = Line()
    assert line.take() == NOTHING
    number = line.fire()
    line.scene.resume()
    assert line.take() == CONTROL
    assert line.memory.cells[ENTRY_AT] == K_COMMAND
    assert line.take() == 0 and line.taken == number
    assert line.take() == NOTHING


def test_entries_of_another_kind_are_passed_over() -> None:
    line = Line()
    segment = line.scene.segment
    ring, entries = segment.at("intents"), segment.entries("intents")
    ring_append(segment.words, ring, entries, K_QUOTE, segment.words[:BODY].copy(), BODY)
    number = line.fire()
    assert line.take() == SKIPPED
    assert line.take() == 0 and line.taken == number


def test_a_lap_is_counted_and_the_newest_half_is_read() -> None:
    line = Line()
    entries = line.scene.segment.entries("intents")
    numbers = [line.fire() for _ in range(entries + 5)]
    assert line.take() == SKIPPED and line.memory.cells[M_LAPS] == 1
    line.take()
    assert line.taken == numbers[5 + entries - entries // 2]


def test_an_intent_without_legs_is_broken() -> None:
    line = Line()
    line.scene.intent()
    assert line.take() == BROKEN


def test_the_slot_is_read_when_it_is_judged() -> None:
    line = Line()
    line.fire()
    line.scene.quote(POLY, bid=490_000, ask=520_000)
    assert REASONS[line.take()] == "moved"
    line.fire()
    assert line.take() == 0, "decided on the newer quote, at a limit that need not be shown"


def test_a_slot_whose_writer_died_in_the_middle_is_stale() -> None:
    line = Line()
    line.fire()
    at = line.scene.segment.at("quotes", KALSHI)
    line.scene.segment.words[at] |= 1
    assert REASONS[line.take()] == "stale"


def test_the_body_of_an_entry_follows_its_kind() -> None:
    assert INTENT_AT == ENTRY_AT + LINE
