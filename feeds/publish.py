# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""What a book shows becomes a quote: touch and top five, trust word, slot and ring, in its turn.

A quote that shows the same levels, trust and facts as the one before is not published again: its
stamps are those of the newest frame that changed what it shows.
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
    AT_STATUS,
    AT_TRUST,
    BEST_ASK,
    BEST_BID,
    BITS,
    BITS_AT,
    BODY_AT,
    CLAIM_ASK,
    CLAIM_BID,
    CONFIRM_NS,
    IS_SHOWN,
    KIND,
    KNOWN,
    LATENCY_AT,
    LEAD,
    N_CROSSED,
    N_PUBLISHED,
    NEW_NS,
    NO_ASK,
    NO_BID,
    NO_CLAIM,
    NUMBER,
    PRICE_STEP_E6,
    PRICES,
    RING_AT,
    RING_ENTRIES,
    SEATS,
    SHOWN,
    SHOWN_TRUST,
    SIZES_AT,
    SLOTS_AT,
    TRUST,
    at_or_above,
    at_or_below,
)
from feeds.outlier import contract_band, forget, is_outlier
from feeds.race import (
    HANDED,
    HEALTHY,
    LAGS,
    OURS,
    TAKEN,
    is_behind,
    is_news,
    line_of,
    rank_of,
    record_of,
    turn,
)
from shm_layout import (
    BODY,
    CROSSED,
    ENTRY,
    GAP,
    LEVELS,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    OUTLIER,
    histogram_add,
    now_ns,
    ring_append,
    slot_store,
)

PUBLISHED, LATE = 1, 2  # what `publish` tells
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
def disagrees(state, book):
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
def publish(words, state, local, book, forced):
    """Publish the quote if it shows anything new and it is this seat's turn. PUBLISHED, LATE (it is
    healthy and not newer than what is published) or 0."""
    changed = _top(state, book)
    word = _trust_of(state, book)
    if _jumped(state, book):
        word |= OUTLIER
    is_late = state[SEATS] > 1 and is_behind(state, local, book, AT_EVENT)
    if is_late:
        word |= GAP
    if _put(state, book + AT_TRUST, word):
        changed = True
        if word & CROSSED:
            state[N_CROSSED] += 1
    if state[SEATS] > 1:
        whose = turn(state, local, book, AT_EVENT, AT_RECV)
        if whose == HANDED:
            heir = record_of(state, local, state[line_of(state, local) + LEAD])
            if is_behind(state, local, heir, AT_EVENT):
                state[heir + AT_TRUST] |= GAP
            send(words, state, local, heir, AT_RECV, AT_PUBLISH)
            return PUBLISHED
        if whose == TAKEN:
            changed = is_news(state, local, book)
            state[book + SHOWN] = 1
        elif whose != OURS:
            return LATE if whose == LAGS else 0
        if rank_of(state[book + TRUST]) == HEALTHY and not is_late:
            known = line_of(state, local) + KNOWN
            state[known] = max(state[known], state[book + AT_EVENT])
    if not changed and not forced and state[book + SHOWN] == 1:
        return 0
    state[book + SHOWN] = 1
    send(words, state, local, book, AT_RECV, AT_PUBLISH)
    return PUBLISHED
