"""The compiled book against its twin, and the claims of its module one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from feeds import book, kalshi_scan, levels, polymarket_scan, publish, spot, spot_scan, trust
from feeds.levels import NO_CLAIM, SIZE_MAX_E6
from feeds.warm import warm
from shm_layout import (
    ASK,
    BID,
    CROSSED,
    GAP,
    LINK_SILENT,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    REST_MISMATCH,
    ST_ACTIVE,
    ST_CLOSED,
    Segment,
)
from tests.feeds.rig import Market, Rig, rig
from tests.twins.book import Published, TwinBooks

E6 = 1_000_000


def snapshot(made: Rig, *flat: int, local: int = 0, recv_ns: int = 1, last: bool = True) -> int:
    state = made.publisher.state
    body = np.array(flat, np.int64)
    words = made.publisher.words
    return int(book.replace(
        words, state, local, body, True, NO_CLAIM, NO_CLAIM, 1, 0, recv_ns, last
    ))  # fmt: skip


def delta(
    made: Rig, side: int, price_e6: int, size_e6: int, *, recv_ns: int = 2, last: bool = True
) -> int:
    state, words = made.publisher.state, made.publisher.words
    return int(book.change(
        words, state, 0, side, price_e6, size_e6, True, 2, 5, recv_ns, last
    ))  # fmt: skip


def as_published(made: Rig) -> list[Published]:
    return [
        Published(
            int(e["instrument"]), int(e["number"]), int(e["trust"]), int(e["venue_seq"]),
            int(e["event_epoch_ns"]), int(e["recv_ns"]),
            tuple(int(v) for v in e["bids"]), tuple(int(v) for v in e["asks"]),
        )
        for e in made.entries()
    ]  # fmt: skip


def a_size(draw: random.Random) -> int:
    return draw.choice([
        0, 1, E6, -E6, draw.randrange(-5 * E6, 20 * E6), SIZE_MAX_E6, SIZE_MAX_E6 + 1, -SIZE_MAX_E6,
    ])  # fmt: skip


def a_price(draw: random.Random) -> int:
    return draw.choice([
        draw.randrange(1, 100) * 10_000, draw.randrange(1, 1000) * 1_000, 100, 999_900,
        draw.randrange(-200, 1_000_300), draw.randrange(1, 10_000) * 100,
    ])  # fmt: skip


def a_claim(draw: random.Random) -> int:
    return draw.choice([NO_CLAIM, 0, E6, draw.randrange(1, 100) * 10_000])


def drive(made: Rig, twin: TwinBooks, draw: random.Random, steps: int) -> None:
    words, state = made.publisher.words, made.publisher.state
    for step in range(steps):
        local, last = draw.randrange(len(twin.books)), draw.random() < 0.5
        stamps = (step, draw.randrange(1000), step + 10)
        kind = draw.random()
        if kind < 0.8:
            is_delta = draw.random() < 0.7
            args = (draw.choice([BID, ASK]), a_price(draw), a_size(draw), is_delta, *stamps, last)
            book.change(words, state, local, *args)
            twin.change(local, *args)
        elif kind < 0.95:
            flat: list[int] = []
            for _ in range(draw.randrange(12)):
                flat += (draw.choice([BID, ASK]), a_price(draw), max(a_size(draw), 0))
            rest = (draw.random() < 0.5, a_claim(draw), a_claim(draw), *stamps, last)
            book.replace(words, state, local, np.array(flat, np.int64), *rest)
            twin.replace(local, flat, *rest)
        elif kind < 0.98:
            raised, lowered = draw.choice([0, GAP, LINK_SILENT]), draw.choice([0, GAP, NO_SNAPSHOT])
            marked = (draw.choice([-1, local]), raised, lowered, draw.random() < 0.3, step + 10)
            book.mark(words, state, *marked)
            twin.mark(*marked)
        else:
            book.flush(words, state)
            twin.flush()


@pytest.mark.parametrize("seed", range(12))
def test_the_kernels_publish_what_the_twin_publishes(seed: int) -> None:
    draw = random.Random(seed)
    made = rig(Market("A"), Market("B"), Market("C"), facts=None)
    twin = TwinBooks(3)
    for local, one in enumerate(twin.books):
        one.number, one.status = 1, draw.choice([ST_ACTIVE, ST_CLOSED])
        at = levels.BOOKS_AT + local * levels.BOOK_CELLS
        made.publisher.state[at + levels.AT_STATUS] = one.status
        one.shown = (int(made.trust(local)), one.top(BID), one.top(ASK))
    for chunk in range(8):
        drive(made, twin, draw, 150)
        found = as_published(made)
        assert found == twin.published, f"seed {seed}, chunk {chunk}"
        twin.published.clear()
    for name in ("changes", "negative", "bad_frames", "mismatch", "crossed"):
        assert made.counted(name) == twin.counts[name], name


def test_the_comparison_sees_a_kernel_that_forgets_a_level() -> None:
    made, twin = rig(Market("A"), facts=None), TwinBooks(1)
    words, state = made.publisher.words, made.publisher.state
    book.change(words, state, 0, BID, 500_000, E6, True, 1, 1, 1, True)
    twin.change(0, BID, 500_000, 2 * E6, True, 1, 1, 1, True)
    assert as_published(made)[-1].bids != twin.published[-1].bids


def test_five_levels_a_side_come_best_first_in_yes_terms() -> None:
    made = rig(Market("A"))
    bids = [(BID, 10_000 * p, p * E6) for p in range(40, 48)]
    asks = [(ASK, 10_000 * p, p * E6) for p in range(52, 60)]
    snapshot(made, *(cell for level in bids + asks for cell in level))
    found = made.levels(0)
    assert found[0] == [(p * 10_000, p * E6) for p in (47, 46, 45, 44, 43)]
    assert found[1] == [(p * 10_000, p * E6) for p in (52, 53, 54, 55, 56)]
    assert made.trust(0) == 0


def test_an_absent_level_can_never_be_traded_on() -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6)
    quote = made.quote(0)
    assert list(quote["asks"]) == [NO_ASK_E6, 0] * 5
    assert list(quote["bids"][2:]) == [NO_BID_E6, 0] * 4


@pytest.mark.parametrize("price_e6", [100, 999_900, 3_200, 3_199_00, 500_000])
@pytest.mark.parametrize("side", [BID, ASK])
def test_a_level_at_either_end_of_the_scale_is_found_again(side: int, price_e6: int) -> None:
    made = rig(Market("A"))
    snapshot(made, side, price_e6, 7)
    assert made.levels(0)[side] == [(price_e6, 7)]
    delta(made, side, price_e6, -7)
    assert made.levels(0)[side] == []


def test_a_change_below_zero_empties_the_level_and_costs_the_trust() -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6, BID, 290_000, E6)
    assert delta(made, BID, 300_000, -2 * E6) == levels.NEGATIVE
    assert made.levels(0)[0] == [(290_000, E6)]
    assert made.trust(0) == GAP and made.counted("negative") == 1


@pytest.mark.parametrize("price_e6", [0, E6, -100, 150, 1_000_100])
def test_a_price_off_the_scale_is_not_applied_and_costs_the_trust(price_e6: int) -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6)
    assert delta(made, BID, price_e6, E6) == levels.BAD_LEVEL
    assert made.levels(0)[0] == [(300_000, E6)]
    assert made.trust(0) == GAP and made.counted("bad_frames") == 1


def test_a_snapshot_replaces_everything_and_ends_the_gap() -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6, ASK, 400_000, E6)
    made.publisher.mark(0, raised=GAP, now_ns=3)
    assert made.trust(0) == GAP
    snapshot(made, BID, 310_000, E6)
    assert made.levels(0) == ([(310_000, E6)], []) and made.trust(0) == 0


def test_a_cross_inside_one_buffer_is_never_published() -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6, ASK, 310_000, E6)
    made.entries()
    delta(made, BID, 310_000, E6, last=False)
    delta(made, ASK, 310_000, -E6, last=False)
    delta(made, ASK, 320_000, E6, last=True)
    (entry,) = made.entries()
    assert int(entry["trust"]) == 0 and int(entry["bids"][0]) == 310_000


@pytest.mark.parametrize("bid_e6", [310_000, 320_000])
def test_a_book_still_crossed_or_locked_at_the_end_of_the_buffer_is_published_untrusted(
    bid_e6: int,
) -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6, ASK, 310_000, E6)
    delta(made, BID, bid_e6, E6)
    assert made.trust(0) == CROSSED and made.counted("crossed") == 1
    delta(made, BID, bid_e6, -E6)
    assert made.trust(0) == 0


def test_what_changes_nothing_shown_is_not_published_again() -> None:
    made = rig(Market("A"))
    snapshot(made, *(cell for p in range(40, 48) for cell in (BID, 10_000 * p, E6)))
    made.entries()
    delta(made, BID, 400_000, 5 * E6, recv_ns=99)  # the eighth level
    assert made.entries() == []
    delta(made, BID, 470_000, 5 * E6, recv_ns=100)
    (entry,) = made.entries()
    assert int(entry["recv_ns"]) == 100


def test_the_ring_entry_and_the_slot_carry_the_same_body() -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6)
    assert made.entries()[-1].tobytes() == made.quote(0).tobytes()


def test_a_touch_other_than_the_venues_is_untrusted_until_both_agree() -> None:
    made = rig(Market("A"))
    snapshot(made, BID, 300_000, E6, ASK, 400_000, E6)
    words, state = made.publisher.words, made.publisher.state
    nothing = np.zeros(0, np.int64)
    told = book.replace(words, state, 0, nothing, False, 310_000, 400_000, 0, 1, 2, True)
    assert told == levels.MISMATCH and made.trust(0) == REST_MISMATCH
    delta(made, BID, 310_000, E6)
    assert made.trust(0) == 0 and made.counted("mismatch") == 1


def test_several_markets_of_one_buffer_are_published_once_each() -> None:
    made = rig(Market("A"), Market("B"))
    for local in (0, 1, 0, 1):
        snapshot(made, BID, 300_000 + 10_000 * local, E6, local=local, last=False)
    book.flush(made.publisher.words, made.publisher.state)
    assert [int(entry["instrument"]) for entry in made.entries()] == [0, 1]


def test_each_kernel_is_compiled_for_one_set_of_types() -> None:
    """Another type at run time would compile for seconds on the hot path."""
    warm(Segment.private())
    kernels = (book.change, book.replace, book.flush, book.mark, book.republish, book.account,
               book.waiting, spot.spot_trade, spot.spot_quote, spot.spot_mark,
               kalshi_scan.scan, polymarket_scan.scan, spot_scan.binance,
               spot_scan.coinbase)  # fmt: skip
    assert {kernel.py_func.__name__: len(kernel.signatures) for kernel in kernels} == {
        kernel.py_func.__name__: 1 for kernel in kernels
    }


def test_the_compiled_trust_word_is_the_plain_one() -> None:
    for case in range(2**10):
        draw = random.Random(case)
        args = (draw.getrandbits(11), draw.randrange(7), draw.randrange(4), draw.randrange(4),
                draw.randrange(-1, 4), draw.randrange(-1, 4))  # fmt: skip
        assert publish._word(*args) == trust.word(*args), args
