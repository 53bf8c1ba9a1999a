# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator,call-arg,var-annotated"
"""Spot: last trade, best bid and offer of a product, into its slot and the feed's ring.

Every trade is a ring entry of its own: the detector's trade buffer reads them. An entry whose
`trade_id` is not newer than the one before is a change of bid or ask, not a trade.
"""

from __future__ import annotations

from numba import njit

from feeds.levels import (
    AT_TRUST,
    BAND_E6,
    BELL_AT,
    BOOKS_AT,
    CONFIRM_NS,
    COUNT,
    KIND,
    LEAD,
    LEAD_BEFORE,
    N_CHANGES,
    N_LAGGARDS,
    NEW_FRAMES,
    NEW_NS,
    SEATS,
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
from feeds.outlier import forget, is_outlier
from feeds.publish import send
from feeds.race import HANDED, LAGS, OURS, TAKEN, line_of, record_of, turn
from feeds.skew import stamp
from shm_layout import (
    CROSSED,
    K_SPOT,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    OUTLIER,
    bell_ring,
    histogram_add,
)


@njit(cache=True)
def _jumped(state, book):
    """True while the last trade, or the middle of bid and ask, is too far from where it was last
    confirmed to be believed."""
    if state[CONFIRM_NS] == 0:
        return False
    if state[book + TRUST] & NO_SNAPSHOT:
        forget(state, book)
        return False
    last, bid, ask = state[book + SPOT_LAST], state[book + SPOT_BID], state[book + SPOT_BID + 2]
    middle = (bid + ask) // 2 if 0 < bid < ask < NO_ASK_E6 else 0
    share = state[BAND_E6]
    bands = last // 1_000_000 * share, middle // 1_000_000 * share
    return is_outlier(state, book, last, middle, bands[0], bands[1], state[book + SPOT_RECV])


@njit(cache=True)
def _frame(words, state, book, event_epoch_ns, recv_ns):
    """The stamps of a frame: one that cannot be, or that it has not (0), never becomes the event's
    and leaves the one before."""
    state[N_CHANGES] += 1
    if stamp(words, state, book, event_epoch_ns, recv_ns, False) and event_epoch_ns > 0:
        state[book + SPOT_EVENT] = event_epoch_ns
    state[book + SPOT_RECV] = recv_ns
    if state[book + NEW_NS] != 0:
        state[book + NEW_FRAMES] += 1


@njit(cache=True)
def _keep_trade(state, local, book):
    """After TAKEN: the newest trade stays, whoever told it."""
    before = record_of(state, local, state[line_of(state, local) + LEAD_BEFORE])
    if state[before + SPOT_TRADE] > state[book + SPOT_TRADE]:
        for i in range(3):
            state[book + SPOT_LAST + i] = state[before + SPOT_LAST + i]
        state[book + SPOT_TRADE] = state[before + SPOT_TRADE]


@njit(cache=True)
def _is_crossed(state, book):
    """Bid and ask are both there and not in their order: a venue that was misread, or is ill."""
    bid, ask = state[book + SPOT_BID], state[book + SPOT_BID + 2]
    return state[KIND] == K_SPOT and 0 < ask <= bid


@njit(cache=True)
def _send_spot(words, state, local, book):
    word = state[book + TRUST]
    if _is_crossed(state, book):
        word |= CROSSED
    if _jumped(state, book):
        word |= OUTLIER
    state[book + AT_TRUST] = word
    state[book + SHOWN] = 1
    if state[SEATS] > 1:
        whose = turn(state, local, book, SPOT_EVENT, SPOT_RECV)
        if whose == HANDED:
            book = record_of(state, local, state[line_of(state, local) + LEAD])
        elif whose == TAKEN:
            _keep_trade(state, local, book)
        elif whose != OURS:
            state[N_LAGGARDS] += whose == LAGS
            return
    published_ns = send(words, state, local, book, SPOT_RECV, SPOT_PUBLISH)
    histogram_add(words, state[TURN_AT], max(published_ns - state[book + SPOT_RECV], 0))
    bell_ring(words, state[BELL_AT], -1)


@njit(cache=True)
def spot_trade(words, state, local, price_e8, size_e8, side, trade_id, event_epoch_ns, recv_ns):
    """One trade: the slot and a ring entry with its content. It ends NO_SNAPSHOT."""
    book = BOOKS_AT + local * SPOT_CELLS
    state[book + TRUST] &= ~NO_SNAPSHOT
    state[book + SPOT_LAST], state[book + SPOT_LAST + 1] = price_e8, size_e8
    state[book + SPOT_LAST + 2], state[book + SPOT_TRADE] = side, trade_id
    _frame(words, state, book, event_epoch_ns, recv_ns)
    _send_spot(words, state, local, book)


@njit(cache=True)
def spot_quote(words, state, local, bid_e8, bid_size_e8, ask_e8, ask_size_e8, event_epoch_ns,
               recv_ns):  # fmt: skip
    """Best bid and offer changed. The entry repeats the last trade: its trade_id is not newer."""
    book = BOOKS_AT + local * SPOT_CELLS
    at = book + SPOT_BID
    state[at], state[at + 1] = bid_e8, bid_size_e8
    state[at + 2], state[at + 3] = ask_e8, ask_size_e8
    _frame(words, state, book, event_epoch_ns, recv_ns)
    _send_spot(words, state, local, book)


@njit(cache=True)
def spot_mark(words, state, local, raised, lowered, recv_ns):
    """Change trust bits of one product (-1: of all); one whose word changes is published."""
    first, end = (0, state[COUNT]) if local < 0 else (local, local + 1)
    for i in range(first, end):
        book = BOOKS_AT + i * SPOT_CELLS
        trust = (state[book + TRUST] | raised) & ~lowered
        since_ns = state[book + NEW_NS]
        is_due = since_ns != 0 and recv_ns - since_ns >= state[CONFIRM_NS]
        if trust != state[book + TRUST] or state[book + SHOWN] == 0 or is_due:
            state[book + TRUST] = trust
            if raised & NO_SNAPSHOT and state[KIND] == K_SPOT:  # a touch of before says nothing
                at = book + SPOT_BID
                state[at], state[at + 1], state[at + 2], state[at + 3] = NO_BID_E6, 0, NO_ASK_E6, 0
            state[book + SPOT_RECV] = recv_ns
            _send_spot(words, state, i, book)
