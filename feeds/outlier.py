# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""A price that jumps is not believed before it is confirmed: OUTLIER.

A jump is a best price further from the last confirmed one of its side than the band, which is the
larger of a number of ticks and a share of the price (of the dollar, for a contract). It is
confirmed by so many further frames of that market which leave it where it is, or by standing for a
time; it is over at once when the price is back. An empty side says nothing: absent is harmless.
"""

from __future__ import annotations

from numba import njit

from feeds.levels import (
    BAND_E6,
    BAND_TICKS,
    CONFIRM_FRAMES,
    CONFIRM_NS,
    GRID_AT,
    N_OUTLIERS,
    NEW_ASK,
    NEW_BID,
    NEW_FRAMES,
    NEW_NS,
    PENDING,
    PRICE_STEP_E6,
    PRICES,
    SURE_ASK,
    SURE_BID,
)


@njit(cache=True)
def beyond(price, sure, band):
    """True if both are there (above 0) and further apart than the band."""
    return price > 0 and sure > 0 and abs(price - sure) > band


@njit(cache=True)
def contract_band(state, book, price):
    """The band of a binary contract at a price; both as indices (1e-4 dollars)."""
    step_e6 = PRICE_STEP_E6
    for place in range(0, 6, 2):
        end_e6 = state[book + GRID_AT + place]
        if end_e6 > 0 and (place == 0 or price * PRICE_STEP_E6 > state[book + GRID_AT + place - 2]):
            step_e6 = state[book + GRID_AT + place + 1]
    return max(state[BAND_TICKS] * step_e6 // PRICE_STEP_E6, state[BAND_E6] * PRICES // 1_000_000)


@njit(cache=True)
def _calm(state, book):
    """Nothing is waiting to be confirmed."""
    if state[book + NEW_NS] != 0:
        state[book + NEW_NS] = 0
        state[PENDING] -= 1


@njit(cache=True)
def forget(state, book):
    """Of a lost link nothing is sure: the next whole book is taken as it comes."""
    state[book + SURE_BID] = state[book + SURE_ASK] = 0
    _calm(state, book)


@njit(cache=True)
def _accept(state, book, bid, ask):
    if bid > 0:
        state[book + SURE_BID] = bid
    if ask > 0:
        state[book + SURE_ASK] = ask
    _calm(state, book)


@njit(cache=True)
def is_outlier(state, book, bid, ask, bid_band, ask_band, now_ns):
    """Take the best prices as they stand (0: none). True while they are not to be believed."""
    sure_bid, sure_ask = state[book + SURE_BID], state[book + SURE_ASK]
    if not beyond(bid, sure_bid, bid_band) and not beyond(ask, sure_ask, ask_band):
        _accept(state, book, bid, ask)
        return False
    if state[book + NEW_NS] == 0:
        state[PENDING] += 1
        state[N_OUTLIERS] += 1
    elif not (
        beyond(bid, state[book + NEW_BID], bid_band) or beyond(ask, state[book + NEW_ASK], ask_band)
    ):
        is_old = now_ns - state[book + NEW_NS] >= state[CONFIRM_NS]
        if is_old or state[book + NEW_FRAMES] >= state[CONFIRM_FRAMES]:
            _accept(state, book, bid, ask)
            return False
        return True
    state[book + NEW_BID], state[book + NEW_ASK] = bid, ask
    state[book + NEW_NS], state[book + NEW_FRAMES] = max(now_ns, 1), 0
    return True
