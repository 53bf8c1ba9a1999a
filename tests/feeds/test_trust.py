"""The trust word cell by cell, and when a link is silent."""

from __future__ import annotations

import pytest

from feeds.trust import NO_CLAIM, LinkWatch, word
from shm_layout import (
    CROSSED,
    DRIFT,
    GAP,
    LINK_SILENT,
    NO_SNAPSHOT,
    NOT_OPEN,
    REST_MISMATCH,
    ST_ACTIVE,
    TICK_EPOCH,
)

NO_BID, NO_ASK = 0, 10_000


@pytest.mark.parametrize(
    ("status", "bid", "ask", "claim_bid", "claim_ask", "wanted"),
    [
        (ST_ACTIVE, 10, 20, NO_CLAIM, NO_CLAIM, 0),
        (ST_ACTIVE, NO_BID, NO_ASK, NO_CLAIM, NO_CLAIM, 0),
        (ST_ACTIVE, 10, NO_ASK, NO_CLAIM, NO_CLAIM, 0),
        (ST_ACTIVE, NO_BID, 20, NO_CLAIM, NO_CLAIM, 0),
        (ST_ACTIVE, 20, 20, NO_CLAIM, NO_CLAIM, CROSSED),
        (ST_ACTIVE, 21, 20, NO_CLAIM, NO_CLAIM, CROSSED),
        (ST_ACTIVE, 10, 20, 10, 20, 0),
        (ST_ACTIVE, NO_BID, NO_ASK, NO_BID, NO_ASK, 0),
        (ST_ACTIVE, 10, 20, 11, 20, REST_MISMATCH),
        (ST_ACTIVE, 10, 20, 10, 21, REST_MISMATCH),
        (ST_ACTIVE, 10, 20, NO_CLAIM, 21, REST_MISMATCH),
        (ST_ACTIVE, 10, 20, NO_BID, 20, REST_MISMATCH),
        (ST_ACTIVE, 30, 20, 10, 20, CROSSED | REST_MISMATCH),
        *((status, 10, 20, 10, 20, NOT_OPEN) for status in range(7) if status != ST_ACTIVE),
    ],
)
def test_what_the_book_itself_shows(
    status: int, bid: int, ask: int, claim_bid: int, claim_ask: int, wanted: int
) -> None:
    assert word(0, status, bid, ask, claim_bid, claim_ask) == wanted


@pytest.mark.parametrize("bit", [NO_SNAPSHOT, GAP, LINK_SILENT, DRIFT, TICK_EPOCH])
def test_what_is_remembered_stays_in_the_word(bit: int) -> None:
    assert word(bit, ST_ACTIVE, 10, 20, NO_CLAIM, NO_CLAIM) == bit
    assert word(bit, 0, 20, 10, NO_CLAIM, NO_CLAIM) == bit | CROSSED | NOT_OPEN


def test_a_link_is_silent_only_after_its_time_and_says_so_once() -> None:
    link = LinkWatch(silent_ns=2, dead_ns=10)
    link.opened(100)
    assert not link.fell_silent(102)
    assert link.fell_silent(103)
    assert not link.fell_silent(104)


def test_any_word_ends_the_silence() -> None:
    link = LinkWatch(silent_ns=2, dead_ns=10)
    link.opened(100)
    assert not link.spoke(101)
    assert link.fell_silent(104)
    assert link.spoke(105) and not link.is_silent
    assert not link.fell_silent(107) and link.fell_silent(108)


def test_a_dead_link_needs_a_new_connection() -> None:
    link = LinkWatch(silent_ns=2, dead_ns=10)
    link.opened(100)
    assert not link.is_dead(110) and link.is_dead(111)
    link.closed()
    assert not link.is_dead(500) and not link.fell_silent(500)
