# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator,call-arg,var-annotated"
"""The compiled book: changes applied and (publish.py) quotes published, in one call.

A frame is one call from Python (`change` or `replace`), because a call costs 0.2 to 0.4 us whatever
it does. Changes are always applied; what is published is conflated to the end of the received
buffer (`last`): several frames can carry one engine time and cross in between, and waiting for the
next engine time would cost a millisecond (kalshi.md 14). A book still crossed then is published as
untrusted.
"""

from __future__ import annotations

from numba import njit

from feeds.levels import (
    AT_EVENT,
    AT_RECV,
    AT_SEQ,
    AT_STATUS,
    BELL_AT,
    BOARD,
    BOOK_CELLS,
    BOOKS_AT,
    CAUGHT_UP,
    CLAIM_ASK,
    CLAIM_BID,
    COUNT,
    COUNTS_AT,
    DIRTY,
    DIRTY_AT,
    DOUBT,
    IS_DIRTY,
    IS_SHOWN,
    KIND,
    KNOWN,
    LOST,
    MISMATCH,
    N_INSTRUMENT_NS,
    N_LAGGARDS,
    N_MISMATCH,
    N_TRUSTED_NS,
    NEW_FRAMES,
    NEW_NS,
    NEXT,
    NO_CLAIM,
    PRICE_STEP_E6,
    SEAT,
    SHOWN_TRUST,
    SPOT_CELLS,
    STALE,
    STRIDE,
    TRUST,
    TURN_AT,
    TURN_NS,
    UNSTAMPED,
    apply_level,
    empty,
)
from feeds.publish import LATE, PUBLISHED, disagrees, publish
from feeds.race import line_of
from feeds.skew import stamp
from shm_layout import (
    COUNTERS_MAX,
    GAP,
    K_QUOTE,
    NO_SNAPSHOT,
    POLLED,
    ST_ACTIVE,
    bell_ring,
    histogram_add,
    now_ns,
    store_relaxed,
)


@njit(cache=True)
def _flush(words, state):
    """End of the received buffer: publish what was touched, ring the detector's bell once."""
    published = False
    for i in range(state[DIRTY]):
        local = state[DIRTY_AT + i]
        book = BOOKS_AT + local * BOOK_CELLS
        state[book + IS_DIRTY] = 0
        told = publish(words, state, local, book, False)
        published |= told == PUBLISHED
        state[N_LAGGARDS] += told == LATE
    state[DIRTY] = 0
    if published:
        bell_ring(words, state[BELL_AT], -1)
    if state[TURN_NS] != 0:
        histogram_add(words, state[TURN_AT], max(now_ns() - state[TURN_NS], 0))
        state[TURN_NS] = 0


@njit(cache=True)
def _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, is_whole):
    """The newest frame of this instrument: its stamps, and a place in the list to publish. A stamp
    that cannot be never becomes the event's."""
    state[book + AT_SEQ] = seq
    is_sound = stamp(words, state, book, event_epoch_ns, recv_ns, is_whole)
    if is_sound and event_epoch_ns > state[book + AT_EVENT]:
        state[book + AT_EVENT] = event_epoch_ns
    state[book + AT_RECV] = recv_ns
    if state[TURN_NS] == 0:
        state[TURN_NS] = recv_ns
    if state[book + NEW_NS] != 0:
        state[book + NEW_FRAMES] += 1
    if state[book + IS_DIRTY] == 0:
        state[book + IS_DIRTY] = 1
        state[DIRTY_AT + state[DIRTY]] = local
        state[DIRTY] += 1


@njit(cache=True)
def _claim(state, book, bid_e6, ask_e6):
    """What the venue says its touch is, in 1e-6; NO_CLAIM: it did not say. True: it is not ours."""
    was = disagrees(state, book)
    if bid_e6 != NO_CLAIM:
        state[book + CLAIM_BID] = bid_e6 // PRICE_STEP_E6
    if ask_e6 != NO_CLAIM:
        state[book + CLAIM_ASK] = ask_e6 // PRICE_STEP_E6
    is_other = disagrees(state, book)
    if is_other and not was:
        state[N_MISMATCH] += 1
    return is_other


@njit(cache=True)
def _is_lost(state, book, event_epoch_ns):
    """After a change. An earlier one's own word for the touch was not ours, and the venue has gone
    on since: what made them differ never came, even if the touch agrees again. (In 19,943 moments
    of recorded Polymarket books the two never differed, 2025-12 to 2026-01.)"""
    doubt_ns = state[book + DOUBT]
    if 0 < doubt_ns < event_epoch_ns:
        state[book + TRUST] |= GAP
        return True
    state[book + DOUBT] = event_epoch_ns if disagrees(state, book) else 0
    return False


# ------------------------------------------------------------------------------ calls from Python


@njit(cache=True)
def change(words, state, local, side, price_e6, size_e6, is_delta, seq, event_epoch_ns, recv_ns,
           last):  # fmt: skip
    """One level of instrument `local`, a signed change or the new total; at the end of the buffer
    publish. Returns what apply_level does, and UNSTAMPED where the venue named no time."""
    book = BOOKS_AT + local * BOOK_CELLS
    told = apply_level(state, book, side, price_e6, size_e6, is_delta)
    if event_epoch_ns <= 0:
        told |= UNSTAMPED
    _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, False)
    if last:
        _flush(words, state)
    return told


@njit(cache=True)
def _begin_whole(state, local, book, is_stale):
    """A whole book comes. STALE: it was asked for, yet is older than what was in. It may have been
    on its way before, so it must be asked for again; its time holds from now on."""
    is_asked = is_stale and state[book + TRUST] & (GAP | POLLED) == GAP
    if is_stale:
        state[book + AT_EVENT] = 0
    empty(state, book)
    state[book + TRUST] &= ~NO_SNAPSHOT if is_asked else ~(NO_SNAPSHOT | GAP)
    state[book + CAUGHT_UP] = state[line_of(state, local) + KNOWN]
    return STALE if is_asked else 0


@njit(cache=True)
def replace(words, state, local, levels, clear, bid_e6, ask_e6, seq, event_epoch_ns, recv_ns, last):
    """Whole book (`clear`) or several new totals: `levels` is side, price, size, side, price, ...

    A whole book ends NO_SNAPSHOT and GAP. `bid_e6`, `ask_e6`: the venue's word for the touch after
    it (0 and 1e6: empty side) or NO_CLAIM. Returns BAD_LEVEL, OFF_GRID, MISMATCH, STALE and LOST
    as bits, or 0. What is stamped before the newest event is not used (recorded: 4 of 11,243
    changes, by 1 or 2 ms, Polymarket 2026-01): a level or a whole book of then means GAP, for the
    order or the clock is not the venue's; a touch means nothing.
    """
    book, told = BOOKS_AT + local * BOOK_CELLS, 0
    count = levels.shape[0]
    is_stale = 0 < event_epoch_ns < state[book + AT_EVENT]
    if is_stale and not (clear and state[book + TRUST] & (NO_SNAPSHOT | GAP | POLLED)):
        told = STALE if clear or count > 0 else 0
        if told != 0:
            state[book + TRUST] |= GAP
            _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, False)
        if last:
            _flush(words, state)
        return told
    if clear:
        told = _begin_whole(state, local, book, is_stale)
    for i in range(0, count, 3):
        told |= apply_level(state, book, levels[i], levels[i + 1], levels[i + 2], False)
    if _claim(state, book, bid_e6, ask_e6):
        told |= MISMATCH
    if count > 0 and not clear and _is_lost(state, book, event_epoch_ns):
        told |= LOST
    if count == 0 and not clear:  # a touch alone: it comes beside the changes, not in their order
        event_epoch_ns = 0
    _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, clear)
    if last:
        _flush(words, state)
    return told


@njit(cache=True)
def flush(words, state):
    """The buffer ended with a frame that touched no book."""
    _flush(words, state)


@njit(cache=True)
def mark(words, state, local, raised, lowered, clear, recv_ns):
    """Change remembered trust bits of one instrument (-1: of all), empty the book if told to, and
    publish at once what that changes."""
    first, end = (0, state[COUNT]) if local < 0 else (local, local + 1)
    published = False
    for i in range(first, end):
        book = BOOKS_AT + i * BOOK_CELLS
        state[book + TRUST] = (state[book + TRUST] | raised) & ~lowered
        if clear:
            empty(state, book)
            state[book + AT_SEQ] = state[book + AT_EVENT] = state[book + CAUGHT_UP] = 0
        state[book + AT_RECV] = recv_ns
        published |= publish(words, state, i, book, False) == PUBLISHED
    if published:
        bell_ring(words, state[BELL_AT], -1)


@njit(cache=True)
def republish(words, state, local, recv_ns):
    """Publish after the facts of an instrument changed, whatever its levels show."""
    book = BOOKS_AT + local * BOOK_CELLS
    state[book + AT_RECV] = recv_ns
    publish(words, state, local, book, True)
    bell_ring(words, state[BELL_AT], -1)


@njit(cache=True)
def waiting(state):
    """How many instruments of a seat are not ready: open, yet without a snapshot."""
    is_book, found = state[KIND] == K_QUOTE, 0
    for i in range(state[COUNT]):
        book = BOOKS_AT + i * (BOOK_CELLS if is_book else SPOT_CELLS)
        if is_book and state[book + AT_STATUS] != ST_ACTIVE:
            continue
        found += state[book + TRUST] & NO_SNAPSHOT != 0
    return found


@njit(cache=True)
def account(words, state, counters_at, elapsed_ns):
    """Every step, on the first seat: open and trusted time of each instrument, and the counters of
    all seats into the role's line."""
    head, is_book = 0, state[KIND] == K_QUOTE
    cells = BOOK_CELLS if is_book else SPOT_CELLS
    while True:
        if state[head + SEAT] == 0:
            board = head + state[head + BOARD]
            for i in range(state[head + COUNT]):
                if is_book and state[head + BOOKS_AT + i * cells + AT_STATUS] != ST_ACTIVE:
                    continue
                line = board + i * state[head + STRIDE]
                state[N_INSTRUMENT_NS] += elapsed_ns
                if state[line + IS_SHOWN] == 1 and state[line + SHOWN_TRUST] == 0:
                    state[N_TRUSTED_NS] += elapsed_ns
        if state[head + NEXT] == 0:
            break
        head += state[head + NEXT]
    for i in range(COUNTERS_MAX):
        head, total = 0, state[COUNTS_AT + i]
        while state[head + NEXT] != 0:
            head += state[head + NEXT]
            total += state[head + COUNTS_AT + i]
        store_relaxed(words, counters_at + i, total)
