"""Polymarket frames that come after newer ones."""

from __future__ import annotations

from shm_layout import E6, GAP
from tests.feeds.test_polymarket import SNAPSHOT, changes, live, row


def test_a_change_that_comes_after_a_newer_one_is_not_used_and_brings_a_whole_book() -> None:
    """There is no sequence number, and at a price that is no touch nothing else would show it."""
    made = live()
    made.give(changes(row("BUY", "0.45", "200", "0.46", "0.55"), timestamp="1790877852000"))
    made.give(changes(row("BUY", "0.45", "30", "0.46", "0.55"), timestamp="1790877852000"))
    assert made.rig.trust(0) == 0 and made.rig.levels(0)[0][1] == (450_000, 30 * E6)
    made.give(changes(row("BUY", "0.45", "20", "0.46", "0.55"), timestamp="1790877851999"))
    assert made.rig.trust(0) == GAP and made.rig.levels(0)[0][1] == (450_000, 30 * E6)
    assert [each["operation"] for each in made.sent()] == ["unsubscribe", "subscribe"]
    made.give({**SNAPSHOT[0], "timestamp": "1790877852000"})
    assert made.rig.trust(0) == 0


def test_a_whole_book_of_before_is_not_taken_and_brings_another() -> None:
    """Frames out of order, or a clock that went back: what the book shows may be old."""
    made = live()
    made.give(changes(row("BUY", "0.45", "99", "0.46", "0.55"), timestamp="1790877851000"))
    made.give({**SNAPSHOT[0], "timestamp": "1790877850999"})
    assert made.rig.trust(0) == GAP and made.rig.levels(0)[0][1] == (450_000, 99 * E6)
    assert [each["operation"] for each in made.sent()] == ["unsubscribe", "subscribe"]
    made.give({**SNAPSHOT[0], "timestamp": "1790877851000"})  # the venue sends equal stamps
    assert made.rig.levels(0)[0][1] == (450_000, 10 * E6) and made.rig.trust(0) == 0


def test_one_that_was_asked_for_is_asked_for_twice_and_then_believed() -> None:
    """The first may have been on its way before; the venue's clock may have gone back."""
    made = live()
    made.give(changes(row("BUY", "0.45", "99", "0.46", "0.55"), timestamp="1790877851000"))
    made.rig.publisher.mark(0, raised=GAP, now_ns=made.recv_ns)
    made.tick(1)
    older = {**SNAPSHOT[0], "timestamp": "1790877850000"}
    made.give(older)
    assert made.rig.trust(0) == GAP and len(made.sent()) == 2
    made.give(older)
    assert made.rig.trust(0) == 0
    made.give(changes(row("BUY", "0.45", "7", "0.46", "0.55"), timestamp="1790877850001"))
    assert made.rig.trust(0) == 0 and made.rig.levels(0)[0][1] == (450_000, 7 * E6)
