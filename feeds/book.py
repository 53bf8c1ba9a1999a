# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator,call-arg,var-annotated"
"""The compiled book: changes applied, touch and top five derived, quotes published, in one call.

A frame is one call from Python (`change` or `replace`), because a call costs 0.2 to 0.4 us whatever
it does. Changes are always applied; what is published is conflated to the end of the received
buffer (`last`): several frames can carry one engine time and cross in between, and waiting for the
next engine time would cost a millisecond (kalshi.md 14). A book still crossed then is published as
untrusted. A quote that shows the same levels, trust and facts as the one before is not published
again: its stamps are those of the newest frame that changed what it shows.
"""

from __future__ import annotations

from numba import njit

from feeds import trust
from feeds.levels import (
    AT_ASKS,
    AT_BIDS,
    AT_EVENT,
    AT_INSTRUMENT,
    AT_NUMBER,
    AT_PUBLISH,
    AT_RECV,
    AT_SEQ,
    AT_STATUS,
    AT_TRUST,
    BELL_AT,
    BEST_ASK,
    BEST_BID,
    BITS,
    BITS_AT,
    BOARD,
    BODY_AT,
    BOOK_CELLS,
    BOOKS_AT,
    CLAIM_ASK,
    CLAIM_BID,
    CONFIRM_NS,
    COUNT,
    COUNTS_AT,
    DIRTY,
    DIRTY_AT,
    IS_DIRTY,
    IS_SHOWN,
    KIND,
    LATENCY_AT,
    LEAD,
    MISMATCH,
    N_CROSSED,
    N_INSTRUMENT_NS,
    N_LAGGARDS,
    N_MISMATCH,
    N_PUBLISHED,
    N_TRUSTED_NS,
    NEW_FRAMES,
    NEW_NS,
    NEXT,
    NO_ASK,
    NO_BID,
    NO_CLAIM,
    NUMBER,
    PRICE_STEP_E6,
    PRICES,
    RING_AT,
    RING_ENTRIES,
    SEAT,
    SEATS,
    SHOWN,
    SHOWN_TRUST,
    SIZES_AT,
    SLOTS_AT,
    SPOT_CELLS,
    STRIDE,
    TRUST,
    TURN_AT,
    TURN_NS,
    UNSTAMPED,
    apply_level,
    at_or_above,
    at_or_below,
    empty,
)
from feeds.outlier import contract_band, forget, is_outlier
from feeds.race import HANDED, LAGS, OURS, TAKEN, is_news, line_of, record_of, turn
from feeds.skew import stamp
from shm_layout import (
    BODY,
    COUNTERS_MAX,
    CROSSED,
    ENTRY,
    GAP,
    K_QUOTE,
    LEVELS,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    OUTLIER,
    ST_ACTIVE,
    bell_ring,
    histogram_add,
    now_ns,
    ring_append,
    slot_store,
    store_relaxed,
)

# ---------------------------------------------------------------------------------- publishing


PUBLISHED, LATE = 1, 2  # what `_publish` tells
_word = njit(cache=True)(trust.word)


@njit(cache=True)
def _put(state, at, value):
    """Store a cell of the quote's body; True if that changes it."""
    if state[at] == value:
        return False
    state[at] = value
    return True


@njit(cache=True)
def _top(state, book):
    """The five best levels of each side into the body; True if they differ from those there."""
    changed = False
    bids, asks = book + BITS_AT, book + BITS_AT + BITS
    sizes = book + SIZES_AT
    bid, ask = state[book + BEST_BID], state[book + BEST_ASK]
    for level in range(LEVELS):
        at = book + AT_BIDS + 2 * level
        if bid > NO_BID:
            changed |= _put(state, at, bid * PRICE_STEP_E6)
            changed |= _put(state, at + 1, state[sizes + bid])
            bid = at_or_below(state, bids, bid - 1)
        else:
            changed |= _put(state, at, NO_BID_E6)
            changed |= _put(state, at + 1, 0)
        at = book + AT_ASKS + 2 * level
        if ask < NO_ASK:
            changed |= _put(state, at, ask * PRICE_STEP_E6)
            changed |= _put(state, at + 1, state[sizes + PRICES + ask])
            ask = at_or_above(state, asks, ask + 1)
        else:
            changed |= _put(state, at, NO_ASK_E6)
            changed |= _put(state, at + 1, 0)
    return changed


@njit(cache=True)
def _disagrees(state, book):
    """True if the venue named another best price than the book has."""
    bid, ask = state[book + CLAIM_BID], state[book + CLAIM_ASK]
    return (bid != NO_CLAIM and bid != state[book + BEST_BID]) or (
        ask != NO_CLAIM and ask != state[book + BEST_ASK]
    )


@njit(cache=True)
def _trust_of(state, book):
    """The trust word as it stands: what is remembered, and what the book itself shows."""
    return _word(
        state[book + TRUST],
        state[book + AT_STATUS],
        state[book + BEST_BID],
        state[book + BEST_ASK],
        state[book + CLAIM_BID],
        state[book + CLAIM_ASK],
    )


@njit(cache=True)
def send(words, state, local, book, cells_recv, cells_publish):
    """A body (of a book or of a record) as it stands goes to its slot and to the ring."""
    body = state[book + BODY_AT : book + BODY_AT + BODY]
    line = line_of(state, local)
    state[line + NUMBER] += 1
    state[book + AT_NUMBER] = state[line + NUMBER]
    state[line + SHOWN_TRUST], state[line + IS_SHOWN] = state[book + AT_TRUST], 1
    recv = state[book + cells_recv]
    published_ns = now_ns()
    state[book + cells_publish] = published_ns
    slot_store(words, state[SLOTS_AT] + state[book + AT_INSTRUMENT] * ENTRY, body, BODY)
    ring_append(words, state[RING_AT], state[RING_ENTRIES], state[KIND], body, BODY)
    state[N_PUBLISHED] += 1
    histogram_add(words, state[LATENCY_AT], max(published_ns - recv, 0))
    return published_ns


@njit(cache=True)
def _jumped(state, book):
    """True while the touch is too far from the last confirmed one; without a snapshot: no past."""
    if state[CONFIRM_NS] == 0:
        return False
    if state[book + TRUST] & NO_SNAPSHOT:
        forget(state, book)
        return False
    bid, ask = state[book + BEST_BID], state[book + BEST_ASK]
    if bid >= ask:
        return state[book + NEW_NS] != 0
    if ask == NO_ASK:
        ask = 0
    bands = contract_band(state, book, bid), contract_band(state, book, ask)
    return is_outlier(state, book, bid, ask, bands[0], bands[1], state[book + AT_RECV])


@njit(cache=True)
def _publish(words, state, local, book, forced):
    """Publish the quote if it shows anything new and it is this seat's turn. PUBLISHED, LATE (it is
    healthy and not newer than what is published) or 0."""
    changed = _top(state, book)
    word = _trust_of(state, book)
    if _jumped(state, book):
        word |= OUTLIER
    if _put(state, book + AT_TRUST, word):
        changed = True
        if word & CROSSED:
            state[N_CROSSED] += 1
    if state[SEATS] > 1:
        whose = turn(state, local, book, AT_EVENT, AT_RECV)
        if whose == HANDED:
            heir = record_of(state, local, state[line_of(state, local) + LEAD])
            send(words, state, local, heir, AT_RECV, AT_PUBLISH)
            return PUBLISHED
        if whose == TAKEN:
            changed, forced = is_news(state, local, book), False
            state[book + SHOWN] = 1
        elif whose != OURS:
            return LATE if whose == LAGS else 0
    if not changed and not forced and state[book + SHOWN] == 1:
        return 0
    state[book + SHOWN] = 1
    send(words, state, local, book, AT_RECV, AT_PUBLISH)
    return PUBLISHED


@njit(cache=True)
def _flush(words, state):
    """End of the received buffer: publish what was touched, ring the detector's bell once."""
    published = False
    for i in range(state[DIRTY]):
        local = state[DIRTY_AT + i]
        book = BOOKS_AT + local * BOOK_CELLS
        state[book + IS_DIRTY] = 0
        told = _publish(words, state, local, book, False)
        published |= told == PUBLISHED
        state[N_LAGGARDS] += told == LATE
    state[DIRTY] = 0
    if published:
        bell_ring(words, state[BELL_AT], -1)
    if state[TURN_NS] != 0:
        histogram_add(words, state[TURN_AT], max(now_ns() - state[TURN_NS], 0))
        state[TURN_NS] = 0


@njit(cache=True)
def _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, judged):
    """The newest frame of this instrument: its stamps, and a place in the list to publish. A stamp
    that cannot be (`judged`: it is held against the venue's clock) never becomes the event's."""
    state[book + AT_SEQ] = seq
    is_sound = not judged or stamp(words, state, book, event_epoch_ns, recv_ns)
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
    was = _disagrees(state, book)
    if bid_e6 != NO_CLAIM:
        state[book + CLAIM_BID] = bid_e6 // PRICE_STEP_E6
    if ask_e6 != NO_CLAIM:
        state[book + CLAIM_ASK] = ask_e6 // PRICE_STEP_E6
    disagrees = _disagrees(state, book)
    if disagrees and not was:
        state[N_MISMATCH] += 1
    return disagrees


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
    _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, True)
    if last:
        _flush(words, state)
    return told


@njit(cache=True)
def replace(words, state, local, levels, clear, bid_e6, ask_e6, seq, event_epoch_ns, recv_ns, last):
    """Whole book (`clear`) or several new totals: `levels` is side, price, size, side, price, ...

    A whole book ends NO_SNAPSHOT and GAP. `bid_e6`, `ask_e6`: the venue's word for the touch after
    it (0 and 1e6: empty side) or NO_CLAIM. Returns BAD_LEVEL, OFF_GRID and MISMATCH as bits, or 0.
    """
    book = BOOKS_AT + local * BOOK_CELLS
    told = 0
    if clear:
        empty(state, book)
        state[book + TRUST] &= ~(NO_SNAPSHOT | GAP)
    for i in range(0, levels.shape[0], 3):
        told |= apply_level(state, book, levels[i], levels[i + 1], levels[i + 2], False)
    if _claim(state, book, bid_e6, ask_e6):
        told |= MISMATCH
    # A whole book may be stamped with its last change, long ago: that is not a skewed clock.
    _touch(words, state, local, book, seq, event_epoch_ns, recv_ns, not clear)
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
            state[book + AT_SEQ] = state[book + AT_EVENT] = 0
        state[book + AT_RECV] = recv_ns
        published |= _publish(words, state, i, book, False) == PUBLISHED
    if published:
        bell_ring(words, state[BELL_AT], -1)


@njit(cache=True)
def republish(words, state, local, recv_ns):
    """Publish after the facts of an instrument changed, whatever its levels show."""
    book = BOOKS_AT + local * BOOK_CELLS
    state[book + AT_RECV] = recv_ns
    _publish(words, state, local, book, True)
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
