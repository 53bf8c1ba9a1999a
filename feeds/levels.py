# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""Every level of every instrument of one feed, in one private array, and one change to it.

A feed has one array, in it a part per seat (a connection's place, feeds/race.py) and the board that
they share. What a kernel gets as `state` begins at its seat and goes on to the end of the array, so
that the board can be reached from each. A seat: a head (places in the segment, counters, the list
of instruments touched since the last publish), then per instrument a fixed stretch:

    trust, touch, claims | QUOTE body | occupied bids | occupied asks | bid sizes | ask sizes

Sizes are indexed by price in 1e-4 dollars, in YES terms on both sides: the finest tick of either
venue is 0.0001 (kalshi.md 4, polymarket.md 5, autumn 2026), so a change is one store and never a
search. A bit per price says which levels stand, 32 to a cell (an int64 never turns negative): the
next level is found by looking at bits, not at 9,999 sizes.

Ruled out: sorted arrays (moving half of them at each insert), a dict per side (five best levels
then cost a sort), clearing by fill (80 KB a side: the occupied bits say what to clear).
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Sequence
from typing import Final

import numpy as np
from numba import njit

from shm_layout import (
    ASK,
    BID,
    BODY,
    COUNTERS,
    COUNTERS_MAX,
    GAP,
    INSTRUMENTS_MAX,
    K_QUOTE,
    K_SPOT,
    NO_SNAPSHOT,
    POLLED,
    QUOTE,
    SPOT,
    Words,
    cell,
)

# ------------------------------------------------------------------------------------ the places
PRICE_STEP_E6 = 100  # one index step, the finest tick of any venue
PRICES = 10_000  # prices are indices 1..9,999: strictly between 0 and 1 dollar
NO_BID, NO_ASK = 0, PRICES  # touch of an empty side
NO_CLAIM = -1  # the venue did not say what it takes for the best price
SIZE_MAX_E6 = 10**15  # a level of a thousand million contracts: beyond it, the text is wrong

(COUNT, SLOTS_AT, RING_AT, RING_ENTRIES, BELL_AT, AGE_AT, LATENCY_AT, TURN_AT, DIRTY, TURN_NS,
 KIND, MARK_AT) = range(12)  # fmt: skip
# What feeds/judge.py sets and reads: the clock offset's floor with its bands (run time), what was
# seen since its last look; the outlier band (ticks, share of the price in 1e-6) and what confirms.
(JUDGED, SPEED_E6, FLOOR, EARLY, LATE, OFFSET_MAX, GOOD_LOW, GOODS, BAD_LOW, BADS, BAD_AT_NS,
 BAND_TICKS, BAND_E6, CONFIRM_NS, CONFIRM_FRAMES, PENDING) = range(12, 28)  # fmt: skip
# The next seat's head, the first line, cells of a line, number and count of the seats of one shard;
# places count from this head.
NEXT, BOARD, STRIDE, SEAT, SEATS = range(28, 33)
COUNTS_AT = 40
NO_SAMPLE = 1 << 62  # of FLOOR, GOOD_LOW and BAD_LOW: nothing seen yet
DIRTY_AT = COUNTS_AT + COUNTERS_MAX
BOOKS_AT = DIRTY_AT + INSTRUMENTS_MAX

(TRUST, IS_DIRTY, BEST_BID, BEST_ASK, CLAIM_BID, CLAIM_ASK, SHOWN, SURE_BID, SURE_ASK, NEW_BID,
 NEW_ASK, NEW_NS, NEW_FRAMES, CAUGHT_UP, DOUBT) = range(15)  # fmt: skip
BODY_AT = 16
BITS = 320  # bits of 10,000 prices, 32 to a cell, to whole lines
BITS_AT = BODY_AT + BODY  # bids, then asks
SIZES_AT = BITS_AT + 2 * BITS
BOOK_CELLS = SIZES_AT + 2 * PRICES
SPOT_CELLS = BODY_AT + BODY
# The board: a line per instrument (the seat whose record was published last and the one before, the
# quote number, its trust word, 1 once published), then what each seat would publish. KNOWN is the
# newest engine time that was published healthy; CAUGHT_UP of a book what it was at its whole book.
LEAD, LEAD_BEFORE, NUMBER, SHOWN_TRUST, IS_SHOWN = range(5)
SERIES, SERIES_MAX = 5, 2  # of an index: the newest stamp of each series that was published
KNOWN = 7
LINE_CELLS = 8
RECORD_CELLS = BODY_AT + BODY  # places as in a book: its trust, its body

# What a call has to tell; 0: nothing. IDLE: a change by nothing, UNSTAMPED: no time of the event,
# STALE: older than what the book knows. LOST: a change before this one never came. Bits 6 and 9 are
# the scanners', for Polymarket, whose changes are never UNSTAMPED, 5 as well.
NEGATIVE, BAD_LEVEL, MISMATCH, OFF_GRID, IDLE, UNSTAMPED = (1 << i for i in range(6))
STALE, LOST = 1 << 7, 1 << 8
BROKEN = NEGATIVE | BAD_LEVEL | OFF_GRID | STALE | LOST  # the book is no longer the venue's

AT_INSTRUMENT, AT_NUMBER = BODY_AT + cell(QUOTE, "instrument"), BODY_AT + cell(QUOTE, "number")
AT_TRUST = BODY_AT + cell(QUOTE, "trust")
AT_STATUS, AT_SEQ = BODY_AT + cell(QUOTE, "status"), BODY_AT + cell(QUOTE, "venue_seq")
AT_EVENT, AT_RECV = BODY_AT + cell(QUOTE, "event_epoch_ns"), BODY_AT + cell(QUOTE, "recv_ns")
AT_PUBLISH = BODY_AT + cell(QUOTE, "publish_ns")
GRID_AT = BODY_AT + cell(QUOTE, "grid")  # (end_e6, step_e6) of up to three ranges
AT_BIDS, AT_ASKS = BODY_AT + cell(QUOTE, "bids"), BODY_AT + cell(QUOTE, "asks")
assert (cell(QUOTE, "number"), cell(QUOTE, "trust")) == (cell(SPOT, "number"), cell(SPOT, "trust"))
SPOT_EVENT, SPOT_RECV = BODY_AT + cell(SPOT, "event_epoch_ns"), BODY_AT + cell(SPOT, "recv_ns")
SPOT_PUBLISH, SPOT_LAST = BODY_AT + cell(SPOT, "publish_ns"), BODY_AT + cell(SPOT, "last_e8")
SPOT_BID = BODY_AT + cell(SPOT, "bid_e8")
SPOT_TRADE = BODY_AT + cell(SPOT, "trade_id")
assert cell(SPOT, "size_e8") == cell(SPOT, "last_e8") + 1
assert cell(SPOT, "taker_side") == cell(SPOT, "last_e8") + 2
assert cell(SPOT, "ask_size_e8") == cell(SPOT, "bid_e8") + 3

COUNTER: Final = {name: COUNTS_AT + i for i, name in enumerate(COUNTERS["feed"])}
N_CHANGES, N_PUBLISHED = COUNTER["changes"], COUNTER["published"]
N_NEGATIVE, N_CROSSED = COUNTER["negative"], COUNTER["crossed"]
N_MISMATCH, N_BAD = COUNTER["mismatch"], COUNTER["bad_frames"]
N_SKEWED, N_OUTLIERS = COUNTER["skewed"], COUNTER["outliers"]
N_LAGGARDS = COUNTER["laggards"]
N_TRUSTED_NS, N_INSTRUMENT_NS = COUNTER["trusted_ns"], COUNTER["instrument_ns"]


def _pages(cells: int) -> Words:
    """Zeros that take memory only where they are written: huge pages would take 2 MB for each book
    that is touched anywhere (measured: 160 MB instead of 7 for 1,000 markets nobody quotes)."""
    memory = mmap.mmap(-1, 8 * max(cells, 1))
    with contextlib.suppress(OSError):  # a kernel without huge pages
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, np.int64)


def new_states(
    counts: Sequence[int],
    seats: int,
    *,
    is_spot: bool,
    has_poll: bool = False,
    rooms: Sequence[int] = (),
) -> list[list[Words]]:
    """Private memory: for each shard (`counts`: its instruments or products; `rooms`: how many it
    may come to have) its seats' states; the caller fills the heads' places. The last seat is the
    poll's if there is one.

    Pages of levels that no venue ever quotes are never touched, so a feed of 100 markets takes a
    few MB of the 16 it asks for, and a seat that nobody takes none.
    """
    rooms = rooms or counts
    total, cells = sum(rooms), SPOT_CELLS if is_spot else BOOK_CELLS
    assert 0 <= total <= INSTRUMENTS_MAX, total
    stride = LINE_CELLS + seats * RECORD_CELLS
    heads = [BOOKS_AT + room * cells for room in rooms for _ in range(seats)]
    whole = _pages(sum(heads) + total * stride)
    board, at, found = sum(heads), 0, []
    for count, room in zip(counts, rooms, strict=True):
        shard = []
        for seat in range(seats):
            state, size = whole[at:], BOOKS_AT + room * cells
            state[COUNT], state[KIND] = count, K_SPOT if is_spot else K_QUOTE
            state[SEAT], state[SEATS] = seat, seats
            state[BOARD], state[STRIDE] = board - at, stride
            state[FLOOR] = state[GOOD_LOW] = state[BAD_LOW] = NO_SAMPLE
            at += size
            state[NEXT] = size if at < sum(heads) else 0
            polled = POLLED if has_poll and seat == seats - 1 else 0
            for local in range(room):
                book = BOOKS_AT + local * cells
                record = state[BOARD] + local * stride + LINE_CELLS + seat * RECORD_CELLS
                state[book + TRUST] = state[record + TRUST] = NO_SNAPSHOT | polled
                if not is_spot:
                    state[book + BEST_ASK] = PRICES
                    state[book + CLAIM_BID] = state[book + CLAIM_ASK] = NO_CLAIM
            shard.append(state)
        found.append(shard)
        board += room * stride
    return found


# ------------------------------------------------------------------------------------- the levels


@njit(cache=True)
def _high_bit(word):
    """Place of the highest set bit of 1..2**32-1."""
    bit = 0
    if word >= 1 << 16:
        bit, word = 16, word >> 16
    if word >= 1 << 8:
        bit, word = bit + 8, word >> 8
    if word >= 1 << 4:
        bit, word = bit + 4, word >> 4
    if word >= 1 << 2:
        bit, word = bit + 2, word >> 2
    return bit + (word >> 1)


@njit(cache=True)
def at_or_below(state, bits, index):
    """The highest occupied price at or below `index`, or NO_BID."""
    at = index >> 5
    word = state[bits + at] & ((2 << (index & 31)) - 1)
    while word == 0:
        if at == 0:
            return NO_BID
        at -= 1
        word = state[bits + at]
    return (at << 5) + _high_bit(word)


@njit(cache=True)
def at_or_above(state, bits, index):
    """The lowest occupied price at or above `index`, or NO_ASK."""
    if index >= PRICES:
        return NO_ASK
    at = index >> 5
    word = state[bits + at] >> (index & 31) << (index & 31)
    while word == 0:
        at += 1
        if at << 5 >= PRICES:
            return NO_ASK
        word = state[bits + at]
    return (at << 5) + _high_bit(word & -word)


@njit(cache=True)
def _set_level(state, book, side, index, size_e6):
    """Store one level's size and keep the touch."""
    state[book + SIZES_AT + side * PRICES + index] = size_e6
    bits = book + BITS_AT + side * BITS
    at, bit = bits + (index >> 5), 1 << (index & 31)
    if size_e6 > 0:
        state[at] |= bit
        if side == BID:
            state[book + BEST_BID] = max(state[book + BEST_BID], index)
        else:
            state[book + BEST_ASK] = min(state[book + BEST_ASK], index)
        return
    state[at] &= ~bit
    if side == BID and state[book + BEST_BID] == index:
        state[book + BEST_BID] = at_or_below(state, bits, index)
    elif side == ASK and state[book + BEST_ASK] == index:
        state[book + BEST_ASK] = at_or_above(state, bits, index)


@njit(cache=True)
def is_on_grid(state, book, price_e6):
    """True if the market's grid has that price, as far as its grid is known."""
    begin_e6 = 0
    for at in range(book + GRID_AT, book + GRID_AT + 6, 2):
        end_e6, step_e6 = state[at], state[at + 1]
        if end_e6 == 0 or step_e6 <= 0:
            return begin_e6 == 0
        if price_e6 <= end_e6:
            return (price_e6 - begin_e6) % step_e6 == 0
        begin_e6 = end_e6
    return False


@njit(cache=True)
def apply_level(state, book, side, price_e6, size_e6, is_delta):
    """One change. Returns 0, NEGATIVE (level emptied), BAD_LEVEL or OFF_GRID (nothing applied); any
    is a book that no longer is the venue's, so the trust word gets GAP. IDLE: it changes nothing.
    A level that stands may be changed although a new grid no longer has it."""
    state[N_CHANGES] += 1
    index = price_e6 // PRICE_STEP_E6
    if price_e6 % PRICE_STEP_E6 != 0 or index <= 0 or index >= PRICES or abs(size_e6) > SIZE_MAX_E6:
        state[N_BAD] += 1
        state[book + TRUST] |= GAP
        return BAD_LEVEL
    if state[book + SIZES_AT + side * PRICES + index] == 0 and not is_on_grid(
        state, book, price_e6
    ):
        state[N_BAD] += 1
        state[book + TRUST] |= GAP
        return OFF_GRID
    if is_delta and size_e6 == 0:
        return IDLE
    told = 0
    if is_delta:
        size_e6 += state[book + SIZES_AT + side * PRICES + index]
    if size_e6 < 0:
        state[N_NEGATIVE] += 1
        state[book + TRUST] |= GAP
        size_e6, told = 0, NEGATIVE
    elif size_e6 > SIZE_MAX_E6:  # only sums get here: each change is within it
        state[N_BAD] += 1
        state[book + TRUST] |= GAP
        size_e6, told = SIZE_MAX_E6, BAD_LEVEL
    _set_level(state, book, side, index, size_e6)
    return told


@njit(cache=True)
def empty(state, book):
    """Empty both sides: only what is occupied is touched."""
    for side in range(2):
        sizes = book + SIZES_AT + side * PRICES
        bits = book + BITS_AT + side * BITS
        for at in range(BITS):
            word = state[bits + at]
            while word != 0:
                bit = _high_bit(word)
                state[sizes + (at << 5) + bit] = 0
                word ^= 1 << bit
            state[bits + at] = 0
    state[book + BEST_BID], state[book + BEST_ASK] = NO_BID, NO_ASK
    state[book + CLAIM_BID] = state[book + CLAIM_ASK] = NO_CLAIM
    state[book + DOUBT] = 0
