"""One decision on one pair: is there an edge, may it be taken, and the intent that takes it.

Everything read here came from ring entries or stands in the step (`now`, run time, state, alive
bits), so the same steps give the same intents, live and in replay. An edge is an episode: it starts
when a direction first pays after fees at a legal size, and ends when it no longer does; trading
state, limits and what is in flight do not end it.

A row of one market (no second) is decided by what the model says of it: engine/bet.py. A row whose
markets are all of one venue is a set: two to four legs through `engine.basket`.

An edge of a pair that nobody approved, or on a quote that proves nothing, is refused: told pair by
pair in `refusals` as one edge from when it first pays until it no longer does.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.accounts import feed_of, free_flight
from engine.bet import find_bet, open_bet
from engine.intent import open_intent
from engine.legs import count_of, generation_of, market_of
from engine.look import look
from engine.market import set_timer
from engine.pricing import are_terms_usable
from engine.risk import SECOND_NS, closed_until
from shm_layout import (
    ACTIVE,
    BODY,
    FEEDS_MAX,
    LAYOUT_HASH,
    MAIN,
    NO_INSTRUMENT,
    PAIRS_MAX,
    REFUSAL,
    ST_ACTIVE,
    Words,
    cell,
    load_relaxed,
    store_relaxed,
    word_add,
)

YEAR_S = 31_536_000  # 365 days, as in every rate and volatility here
REFUSALS_AT, REFUSAL_CELLS = MAIN.at["refusals"], MAIN.blocks["refusals"].cells_each
X_EDGES, X_UNTRUSTED, X_TRUST, X_BEST, X_LAST, X_PAYS = (
    cell(REFUSAL, name)
    for name in ("edges", "untrusted", "trust", "best_e6", "last_epoch_ns", "pays")
)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def why_not(mem: Words, instrument: int, generation: int) -> int:
    """0 if the instrument's quote may be traded on, else the counter of the reason. A window that
    has not begun, or is over, is no matter of trust: it counts by its clock, whatever its venue
    still takes.
    """
    quote, row = m.QUOTE_AT + instrument * BODY, m.INSTRUMENT_AT + instrument * BODY
    feed, known = feed_of(mem, instrument), mem[row + c.I_GENERATION]
    if mem[row + c.I_RULE] != 0 and generation == known:
        run, is_its = mem[m.META + m.M_RUN], mem[quote + c.Q_GENERATION] == known
        close = mem[quote + c.Q_CLOSE] if is_its else 0
        if run < mem[row + c.I_OPEN] or 0 < close <= run:
            return m.C_WINDOW
    if (
        mem[quote + c.Q_NUMBER] == 0
        or mem[quote + c.Q_TRUST] != 0
        or mem[quote + c.Q_STATUS] != ST_ACTIVE
    ):
        return m.C_TRUST
    if mem[quote + c.Q_GENERATION] != known or generation != known or mem[row + c.I_LIVE] != 1:
        return m.C_TRUST
    if mem[quote + c.Q_BIDS] >= mem[quote + c.Q_ASKS]:
        return m.C_TRUST
    if feed < 0 or feed >= FEEDS_MAX or mem[m.META + m.M_ALIVE] >> feed & 1 == 0:
        return m.C_ALIVE
    return 0 if mem[quote + c.Q_EPOCH] == mem[m.FEED_EPOCH + feed] else m.C_ALIVE


@njit(cache=True)
def time_hurdle(mem: Words, close_a: int, close_b: int) -> int:
    """What a dollar locked until both markets have closed must earn, by the year's rate, rounded
    up. -1: a rate is wanted and nobody has said when they close.
    """
    if mem[c.A_HURDLE_YEAR] == 0:
        return 0
    if close_a <= 0 or close_b <= 0:
        return -1
    left_ns = max(max(close_a, close_b) - mem[m.META + m.M_RUN], 0)
    seconds = (left_ns + SECOND_NS - 1) // SECOND_NS
    return (mem[c.A_HURDLE_YEAR] * seconds + YEAR_S - 1) // YEAR_S


@njit(cache=True)
def among_more(
    mem: Words, pair: int, delay: int, close_a: int, close_b: int
) -> tuple[int, int, int]:
    """(longest taker delay, first close, last close) with the third and fourth leg of a set."""
    first, last = min(close_a, close_b), max(close_a, close_b)
    for leg in range(2, count_of(mem, pair)):
        quote = m.QUOTE_AT + market_of(mem, pair, m.i64(leg)) * BODY
        delay = max(delay, mem[quote + c.Q_DELAY])
        first, last = min(first, mem[quote + c.Q_CLOSE]), max(last, mem[quote + c.Q_CLOSE])
    return delay, first, last


@njit(cache=True)
def take_off(mem: Words, pair: int, direction: int) -> int:
    """What comes off each contract beside fees: hurdle, cost of capital until settlement (of n−1
    dollars, where the n outcomes of a set are sold), dead zone of this direction, risk of a taker
    delay. Below 0: not to be traded now, as the market holds takers back too long (-1) or the terms
    that it needs are not there or have expired (-2). Any pair whose takers are held back needs
    them: without, nobody knows what that costs. A row of one market has no dead zone, and needs
    that market's terms.
    """
    row, terms = m.PAIR_AT + pair * BODY, m.TERMS_AT + pair * BODY
    a, b = mem[row + c.P_A], mem[row + c.P_B]
    is_pair = b != NO_INSTRUMENT
    quote_a, quote_b = m.QUOTE_AT + a * BODY, m.QUOTE_AT + (b if is_pair else a) * BODY
    delay = max(mem[quote_a + c.Q_DELAY], mem[quote_b + c.Q_DELAY])
    close_a, close_b = mem[quote_a + c.Q_CLOSE], mem[quote_b + c.Q_CLOSE]
    if mem[row + c.P_MORE] > 0:
        delay, close_a, close_b = among_more(mem, pair, delay, close_a, close_b)
    if delay > min(mem[c.A_DELAY], mem[row + c.P_DELAY]):
        return -1
    waits = time_hurdle(mem, close_a, close_b)
    if waits < 0:
        return -2
    own = mem[row + c.P_HURDLE]
    off = waits + (own if own >= 0 else mem[c.A_HURDLE])
    off *= 1 + direction * mem[row + c.P_MORE]
    if not is_pair:
        return off if mem[row + c.P_NEEDS] == 0 or are_terms_usable(mem, a) else -2
    has_terms = mem[terms + c.T_NUMBER] > 0
    has_terms = has_terms and mem[terms + c.T_GENERATION] == mem[row + c.P_GENERATION]
    if not has_terms:
        return -2 if mem[row + c.P_NEEDS] != 0 or delay > 0 else off
    if mem[terms + c.T_VALID] < mem[m.META + m.M_NOW]:
        return -2
    off += mem[terms + c.T_DEAD_ZONE + direction]
    return off + (mem[terms + c.T_DELAY_COST] if delay > 0 else 0)


@njit(cache=True)
def is_any_taken(mem: Words, pair: int) -> bool:
    """Whether an intent of another row is in flight in one of its markets: what that book shows
    may be gone to it."""
    for leg in range(count_of(mem, pair)):
        place = m.POSITION_AT + market_of(mem, pair, leg) * m.POSITION_CELLS
        if mem[place + m.PO_RESERVED] > 0:
            return True
    return False


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
    elif is_any_taken(mem, pair):
        mem[m.COUNTS + m.C_IN_FLIGHT] += 1
        mem[state + m.PS_LIMITED] = 1
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
        counter, opens = closed_until(mem, pair)
        if opens == 0:
            return True
        mem[m.COUNTS + counter] += 1
        set_timer(mem, pair, opens)
    return False


@njit(cache=True)
def trust_of(mem: Words, pair: int) -> int:
    """The trust words of all its quotes together."""
    trust = 0
    for leg in range(count_of(mem, pair)):
        trust |= mem[m.QUOTE_AT + market_of(mem, pair, leg) * BODY + c.Q_TRUST]
    return trust


@njit(cache=True)
def refuse_pair(words: Words, mem: Words, pair: int, reason: int) -> None:
    """Tell of the edges that a pair would have, were it not for `reason` (a counter). A reason that
    is no refusal of the pair or its quotes ends what was told.
    """
    row, told = m.PAIR_AT + pair * BODY, REFUSALS_AT + pair * REFUSAL_CELLS
    edge_min = max(mem[c.A_EDGE_MIN], mem[row + c.P_EDGE_MIN])
    is_pair = reason == m.C_PAIR
    is_told = is_pair or reason == m.C_TRUST or reason == m.C_ALIVE
    for direction in range(2):
        before = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_REFUSED + direction
        off = take_off(mem, pair, m.i64(direction)) if is_told else -1
        found = look(mem, pair, m.i64(direction), off, edge_min)
        if found[0] <= 0:
            mem[before] = 0
            continue
        if mem[before] != reason:
            mem[before] = reason
            mem[m.COUNTS + (m.C_EDGES_OF_PAIR if is_pair else m.C_EDGES_UNTRUSTED)] += 1
            word_add(words, told + (X_EDGES if is_pair else X_UNTRUSTED), m.i64(1))
            store_relaxed(words, told + X_LAST, mem[m.META + m.M_RUN])
        if not is_pair:
            trust = load_relaxed(words, told + X_TRUST) | trust_of(mem, pair)
            store_relaxed(words, told + X_TRUST, trust)
        if found[1] > load_relaxed(words, told + X_BEST):
            store_relaxed(words, told + X_BEST, found[1])


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
    edge_min = max(mem[c.A_EDGE_MIN], mem[row + c.P_EDGE_MIN])
    found = look(mem, pair, direction, off, edge_min)
    if found[0] <= 0:
        mem[since_at] = 0
        mem[m.COUNTS + m.C_SIZE] += found[0] == 0
        return False
    if mem[since_at] == 0:
        mem[since_at] = mem[m.META + m.M_RUN] + 1
        mem[m.COUNTS + m.C_EDGES] += 1
    if not may_open(mem, pair, direction, mem[since_at] - 1):
        return False
    return open_intent(words, mem, body, pair, direction, off, edge_min, touched, found)


@njit(cache=True)
def decide_bet(
    words: Words, mem: Words, body: Words, pair: int, off: int, reason: int, touched: int
) -> int:
    """Follow the episode of the side that the model takes in one market, end that of the other,
    and open if it may. `reason`: why the market is not to be traded now. Returns intents written.
    """
    since = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_SINCE
    side = -1
    if reason != 0:
        mem[m.COUNTS + reason] += 1
    else:
        side = find_bet(words, mem, pair, off)
    for direction in range(2):
        if direction != side:
            mem[since + direction] = 0
    if side < 0:
        return 0
    if mem[since + side] == 0:
        mem[since + side] = mem[m.META + m.M_RUN] + 1
        mem[m.COUNTS + m.C_MODEL_EDGES] += 1
    if not may_open(mem, pair, side, mem[since + side] - 1):
        return 0
    return 1 if open_bet(words, mem, body, pair, touched) else 0


@njit(cache=True)
def tell_pays(words: Words, mem: Words, pair: int) -> None:
    """Show which directions of a row pay now: bit 0 for direction 0, bit 1 for 1. An edge that is
    refused does not pay."""
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    pays = m.i64(mem[state + m.PS_SINCE] != 0) | m.i64(mem[state + m.PS_SINCE_1] != 0) << 1
    if mem[state + m.PS_PAYS] != pays:
        mem[state + m.PS_PAYS] = pays
        store_relaxed(words, REFUSALS_AT + pair * REFUSAL_CELLS + X_PAYS, pays)


@njit(cache=True)
def decide_pair(words: Words, mem: Words, body: Words, pair: int, touched: int) -> int:
    """Decide both directions of a pair. Returns intents written."""
    mem[m.COUNTS + m.C_DECISIONS] += 1
    row = m.PAIR_AT + pair * BODY
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    is_pair = mem[row + c.P_B] != NO_INSTRUMENT
    mem[state + m.PS_LIMITED] = 0
    reason = why_not(mem, mem[row + c.P_A], mem[row + c.P_A_GENERATION])
    if reason == 0 and is_pair:
        reason = why_not(mem, mem[row + c.P_B], mem[row + c.P_B_GENERATION])
    for leg in range(2, 2 + mem[row + c.P_MORE]):
        if reason == 0:
            reason = why_not(mem, market_of(mem, pair, leg), generation_of(mem, pair, leg))
    if reason == 0 and mem[row + c.P_APPROVED] != 1:
        reason = m.C_PAIR
    off = take_off(mem, pair, m.i64(0))
    if reason == 0 and off < 0:
        reason = m.C_DELAY if off == -1 else m.C_TERMS
    if not is_pair:
        return decide_bet(words, mem, body, pair, off, reason, touched)
    if reason != 0:
        mem[m.COUNTS + reason] += 1
        refuse_pair(words, mem, pair, reason)
    else:
        mem[state + m.PS_REFUSED] = mem[state + m.PS_REFUSED_1] = 0
    opened = 0
    for direction in range(2):
        off = take_off(mem, pair, m.i64(direction)) if reason == 0 else -1
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
    """Decide every touched pair once, in the order touched, what is sure before what is bet: they
    may want the same contracts. Returns intents appended to the ring in `words`.
    """
    retry_limited(mem)
    opened = 0
    for bets in range(2):
        for i in range(mem[m.META + m.M_TOUCHED]):
            pair = mem[m.TOUCHED + i]
            if (mem[m.PAIR_AT + pair * BODY + c.P_B] == NO_INSTRUMENT) != bets:
                continue
            place = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_TOUCHED
            touched = mem[place]
            mem[place] = 0
            opened += decide_pair(words, mem, body, pair, touched)
            tell_pays(words, mem, pair)
    mem[m.META + m.M_TOUCHED] = 0
    return opened
