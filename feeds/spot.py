# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator,call-arg,var-annotated"
"""Spot: last trade, best bid and offer of a product, into its slot and the feed's ring.

Every trade is a ring entry of its own: the detector's trade buffer reads them. An entry whose
`trade_id` is not newer than the one before is a change of bid or ask, not a trade.
"""

from __future__ import annotations

from numba import njit

from feeds.book import send
from feeds.levels import (
    AT_TRUST,
    BELL_AT,
    BOOKS_AT,
    COUNT,
    N_CHANGES,
    SHOWN,
    SPOT_BID,
    SPOT_CELLS,
    SPOT_EVENT,
    SPOT_LAST,
    SPOT_PUBLISH,
    SPOT_RECV,
    SPOT_TRADE,
    TRUST,
    TURN_AT,
)
from shm_layout import NO_SNAPSHOT, bell_ring, histogram_add


@njit(cache=True)
def _send_spot(words, state, book):
    state[book + AT_TRUST] = state[book + TRUST]
    state[book + SHOWN] = 1
    stamp = send(words, state, book, SPOT_EVENT, SPOT_RECV, SPOT_PUBLISH)
    histogram_add(words, state[TURN_AT], max(stamp - state[book + SPOT_RECV], 0))
    bell_ring(words, state[BELL_AT], -1)


@njit(cache=True)
def spot_trade(words, state, local, price_e8, size_e8, side, trade_id, event_epoch_ns, recv_ns):
    """One trade: the slot and a ring entry with its content. It ends NO_SNAPSHOT."""
    book = BOOKS_AT + local * SPOT_CELLS
    state[N_CHANGES] += 1
    state[book + TRUST] &= ~NO_SNAPSHOT
    state[book + SPOT_LAST], state[book + SPOT_LAST + 1] = price_e8, size_e8
    state[book + SPOT_LAST + 2], state[book + SPOT_TRADE] = side, trade_id
    state[book + SPOT_EVENT], state[book + SPOT_RECV] = event_epoch_ns, recv_ns
    _send_spot(words, state, book)


@njit(cache=True)
def spot_quote(words, state, local, bid_e8, bid_size_e8, ask_e8, ask_size_e8, event_epoch_ns,
               recv_ns):  # fmt: skip
    """Best bid and offer changed. The entry repeats the last trade: its trade_id is not newer."""
    book = BOOKS_AT + local * SPOT_CELLS
    state[N_CHANGES] += 1
    at = book + SPOT_BID
    state[at], state[at + 1] = bid_e8, bid_size_e8
    state[at + 2], state[at + 3] = ask_e8, ask_size_e8
    state[book + SPOT_EVENT], state[book + SPOT_RECV] = event_epoch_ns, recv_ns
    _send_spot(words, state, book)


@njit(cache=True)
def spot_mark(words, state, raised, lowered, recv_ns):
    """Change trust bits of all products; a product whose word changes is published."""
    for i in range(state[COUNT]):
        book = BOOKS_AT + i * SPOT_CELLS
        trust = (state[book + TRUST] | raised) & ~lowered
        if trust != state[book + TRUST] or state[book + SHOWN] == 0:
            state[book + TRUST] = trust
            state[book + SPOT_RECV] = recv_ns
            _send_spot(words, state, book)
