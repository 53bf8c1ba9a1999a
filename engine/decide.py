"""One decision on one pair: is there an edge, may it be taken, and the intent that takes it.

Everything read here came from ring entries or stands in the step (`now`, run time, state, alive
bits), so the same steps give the same intents, live and in replay. An edge is an episode: it starts
when a direction first pays after fees at a legal size, and ends when it no longer does; trading
state, limits and what is in flight do not end it.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.accounts import feed_of, free_flight
from engine.edge import cross_venue, side_of_b, touch_gross
from engine.intent import SWITCH_WALK_BUDGET, open_intent
from engine.market import set_timer
from engine.risk import rate_opens_at
from shm_layout import (
    ACTIVE,
    BODY,
    BUY,
    FEEDS_MAX,
    LAYOUT_HASH,
    PAIRS_MAX,
    SELL,
    ST_ACTIVE,
    Words,
)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def why_not(mem: Words, instrument: int, generation: int) -> int:
    """0 if the instrument's quote may be traded on, else the counter of the reason."""
    quote, row = m.QUOTE_AT + instrument * BODY, m.INSTRUMENT_AT + instrument * BODY
    feed = feed_of(mem, instrument)
    if (
        mem[quote + c.Q_NUMBER] == 0
        or mem[quote + c.Q_TRUST] != 0
        or mem[quote + c.Q_STATUS] != ST_ACTIVE
    ):
        return m.C_TRUST
    known = mem[row + c.I_GENERATION]
    if mem[quote + c.Q_GENERATION] != known or generation != known or mem[row + c.I_LIVE] != 1:
        return m.C_TRUST
    if mem[quote + c.Q_BIDS] >= mem[quote + c.Q_ASKS]:
        return m.C_TRUST
    if feed < 0 or feed >= FEEDS_MAX or mem[m.META + m.M_ALIVE] >> feed & 1 == 0:
        return m.C_ALIVE
    return 0 if mem[quote + c.Q_EPOCH] == mem[m.FEED_EPOCH + feed] else m.C_ALIVE


@njit(cache=True)
def take_off(mem: Words, pair: int) -> int:
    """What comes off each contract beside fees: hurdle, dead zone, risk of a taker delay. -1: not
    to be traded now.
    """
    row, terms = m.PAIR_AT + pair * BODY, m.TERMS_AT + pair * BODY
    quote_a, quote_b = m.QUOTE_AT + mem[row + c.P_A] * BODY, m.QUOTE_AT + mem[row + c.P_B] * BODY
    delay = max(mem[quote_a + c.Q_DELAY], mem[quote_b + c.Q_DELAY])
    if delay > min(mem[c.A_DELAY], mem[row + c.P_DELAY]):
        return -1
    off = mem[row + c.P_HURDLE]
    if mem[terms + c.T_NUMBER] > 0:
        if mem[terms + c.T_VALID] < mem[m.META + m.M_NOW]:
            return -1
        off += mem[terms + c.T_DEAD_ZONE]
        if delay > 0:
            off += mem[terms + c.T_DELAY_COST]
    return off


@njit(cache=True)
def may_open(mem: Words, pair: int, direction: int, since: int) -> bool:
    """State, pause, flight, debounce, cooldown and rate allow an intent now; what passes by itself
    gets a timer.
    """
    state, run = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS, mem[m.META + m.M_RUN]
    if mem[m.META + m.M_STATE] < ACTIVE:
        mem[m.COUNTS + m.C_STATE] += 1
    elif mem[state + m.PS_PAUSED] != 0:
        mem[m.COUNTS + m.C_PAUSED] += 1
    elif mem[state + m.PS_FLYING] > 0:
        mem[m.COUNTS + m.C_IN_FLIGHT] += 1
    elif free_flight(mem) < 0:
        mem[m.COUNTS + m.C_SLOT_BUSY] += 1
        mem[state + m.PS_LIMITED] = 1
    elif run - since < mem[c.A_DEBOUNCE]:
        mem[m.COUNTS + m.C_DEBOUNCED] += 1
        set_timer(mem, pair, since + mem[c.A_DEBOUNCE])
    elif run < mem[state + m.PS_COOL + direction]:
        mem[m.COUNTS + m.C_COOLDOWN] += 1
        set_timer(mem, pair, mem[state + m.PS_COOL + direction])
    else:
        opens = rate_opens_at(mem, 2)
        if opens == 0:
            return True
        mem[m.COUNTS + m.C_RATE] += 1
        set_timer(mem, pair, opens)
    return False


@njit(cache=True)
def decide_direction(
    words: Words, mem: Words, body: Words, pair: int, direction: int, off: int, touched: int
) -> bool:
    """Follow the episode of one direction and open if it may. `off` < 0: the pair is not to be
    traded now.
    """
    row, since_at = (
        m.PAIR_AT + pair * BODY,
        m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_SINCE + direction,
    )
    same, edge_min = mem[row + c.P_SAME], max(mem[c.A_EDGE_MIN], mem[row + c.P_EDGE_MIN])
    quote_a, quote_b = m.QUOTE_AT + mem[row + c.P_A] * BODY, m.QUOTE_AT + mem[row + c.P_B] * BODY
    side_a = BUY if direction == 0 else SELL
    gross = touch_gross(mem, quote_a, side_a, quote_b, side_of_b(direction, same))
    if (
        off < 0 or gross <= 0 or gross < edge_min + off
    ):  # before fees already too little: nearly always
        mem[since_at] = 0
        return False
    found = cross_venue(
        mem,
        quote_a,
        quote_b,
        same,
        direction,
        edge_min,
        off,
        mem[c.A_SIZE],
        mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET,
    )
    if found[0] == 0:
        mem[since_at] = 0
        mem[m.COUNTS + m.C_SIZE] += 1
        return False
    if mem[since_at] == 0:
        mem[since_at] = mem[m.META + m.M_RUN] + 1
        mem[m.COUNTS + m.C_EDGES] += 1
    if not may_open(mem, pair, direction, mem[since_at] - 1):
        return False
    return open_intent(words, mem, body, pair, direction, off, edge_min, touched, found)


@njit(cache=True)
def decide_pair(words: Words, mem: Words, body: Words, pair: int, touched: int) -> int:
    """Decide both directions of a pair. Returns intents written."""
    mem[m.COUNTS + m.C_DECISIONS] += 1
    row = m.PAIR_AT + pair * BODY
    mem[m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_LIMITED] = 0
    reason = 0 if mem[row + c.P_APPROVED] == 1 else m.C_STATE
    if reason == 0:
        reason = why_not(mem, mem[row + c.P_A], mem[row + c.P_A_GENERATION])
    if reason == 0:
        reason = why_not(mem, mem[row + c.P_B], mem[row + c.P_B_GENERATION])
    off = -1
    if reason == 0:
        off = take_off(mem, pair)
        reason = m.C_DELAY if off < 0 else 0
    if reason != 0:
        mem[m.COUNTS + reason] += 1
    opened = 0
    for direction in range(2):
        if decide_direction(words, mem, body, pair, direction, off, touched):
            opened += 1
    return opened


@njit(cache=True)
def retry_limited(mem: Words) -> None:
    """Money came free: pairs that were refused for it are decided again. Follows reports, not
    quotes.
    """
    if mem[m.META + m.M_RETRY] == 0:
        return
    mem[m.META + m.M_RETRY] = 0
    for pair in range(PAIRS_MAX):
        state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
        if mem[state + m.PS_LIMITED] and mem[state + m.PS_TOUCHED] == 0:
            mem[m.TOUCHED + mem[m.META + m.M_TOUCHED]] = pair
            mem[m.META + m.M_TOUCHED] += 1
            mem[state + m.PS_TOUCHED] = m.TOUCHED_TIMER


@njit(cache=True)
def decide_touched(words: Words, mem: Words, body: Words) -> int:
    """Decide every touched pair once, in the order touched. Returns intents appended to the ring in
    `words`.
    """
    retry_limited(mem)
    opened = 0
    for i in range(mem[m.META + m.M_TOUCHED]):
        pair = mem[m.TOUCHED + i]
        place = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_TOUCHED
        touched = mem[place]
        mem[place] = 0
        opened += decide_pair(words, mem, body, pair, touched)
    mem[m.META + m.M_TOUCHED] = 0
    return opened
