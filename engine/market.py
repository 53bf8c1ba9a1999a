"""What the detector knows of markets: newest quotes, identities, pairs, parameters; which pairs an
entry touches.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.had import quote_less_had
from engine.house import keep_trade
from engine.legs import count_of, market_of
from shm_layout import (
    BODY,
    E6,
    FEEDS_MAX,
    INSTRUMENTS_MAX,
    K_INDEX,
    LAYOUT_HASH,
    NO_ASK_E6,
    NO_INSTRUMENT,
    PAIRS_MAX,
    PRODUCTS_MAX,
    Words,
)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def touch(mem: Words, pair: int, how: int) -> None:
    """Have a pair decided in this step, once, however often it is touched."""
    place = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_TOUCHED
    if mem[place] == 0:
        mem[m.TOUCHED + mem[m.META + m.M_TOUCHED]] = pair
        mem[m.META + m.M_TOUCHED] += 1
    mem[place] = max(mem[place], how)


@njit(cache=True, _nrt=False)
def touch_all(mem: Words) -> None:
    """Have every known pair decided: parameters or the trading state changed. Not on the path of a
    quote.
    """
    for pair in range(PAIRS_MAX):
        if mem[m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_KNOWN]:
            touch(mem, pair, m.i64(m.TOUCHED_TIMER))


@njit(cache=True, _nrt=False)
def link(mem: Words, head: int, pair: int, leg: int) -> None:
    """Put a leg of a row in front of a list."""
    at = m.LINKS * pair + leg
    mem[m.NEXT + at] = mem[head]
    mem[head] = at + 1


@njit(cache=True, _nrt=False)
def link_pairs(mem: Words) -> None:
    """Rebuild the lists from an instrument to its pairs, so that a quote costs only the pairs it is
    in; the second link of a row of one market goes from the price it is valued with.
    """
    mem[m.META + m.M_DIRTY] = 0
    for i in range(INSTRUMENTS_MAX):
        mem[m.HEAD + i] = 0
    for i in range(PRODUCTS_MAX):
        mem[m.SPOT_HEAD + i] = 0
    for pair in range(PAIRS_MAX):
        row = m.PAIR_AT + pair * BODY
        if mem[m.PAIR_STATE + pair * m.PAIR_STATE_CELLS + m.PS_KNOWN] == 0:
            continue
        for leg in range(count_of(mem, pair)):
            link(mem, m.HEAD + market_of(mem, pair, leg), pair, leg)
        slot = mem[m.MARKET_AT + mem[row + c.P_A] * BODY + c.MT_SPOT_SLOT]
        if mem[row + c.P_B] == NO_INSTRUMENT and 0 <= slot < PRODUCTS_MAX:
            link(mem, m.SPOT_HEAD + slot, pair, m.i64(1))


@njit(cache=True, _nrt=False)
def touch_pairs_of(mem: Words, instrument: int, how: int) -> None:
    """Touch the pairs an instrument is in."""
    touch_list(mem, m.HEAD + instrument, how)


@njit(cache=True, _nrt=False)
def touch_list(mem: Words, head: int, how: int) -> None:
    """Touch every pair of one list."""
    if mem[m.META + m.M_DIRTY]:
        link_pairs(mem)
    at = mem[head]
    while at:
        touch(mem, (at - 1) // m.LINKS, how)
        at = mem[m.NEXT + at - 1]


@njit(cache=True, _nrt=False)
def copy_row(mem: Words, to: int, row: Words) -> None:
    """One record into private memory."""
    for i in range(BODY):
        mem[to + i] = row[i]


@njit(cache=True, _nrt=False)
def apply_quote(mem: Words, row: Words, feed: int) -> None:
    """Keep a quote if it is newer than the one held. `feed` < 0: taken from a slot, its feed is
    that of its identity.
    """
    instrument = row[c.Q_INSTRUMENT]
    if instrument < 0 or instrument >= INSTRUMENTS_MAX:
        return
    epoch = row[c.Q_EPOCH]
    if feed >= 0:
        mem[m.FEED_EPOCH + feed] = epoch
        mem[m.COUNTS + m.C_QUOTES] += 1
    else:
        feed = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_FEED]
        mem[m.COUNTS + m.C_TAKEN] += 1
        if 0 <= feed < FEEDS_MAX and epoch > mem[m.FEED_EPOCH + feed]:
            mem[m.FEED_EPOCH + feed] = epoch
    mem[m.META + m.M_PUBLISH] = row[c.Q_PUBLISH]
    held = m.QUOTE_AT + instrument * BODY
    generation, known = row[c.Q_GENERATION], mem[held + c.Q_GENERATION]
    if generation < known or (generation == known and row[c.Q_NUMBER] <= mem[held + c.Q_NUMBER]):
        return
    copy_row(mem, held, row)
    quote_less_had(mem, instrument)
    touch_pairs_of(mem, instrument, m.i64(m.TOUCHED_QUOTE))


@njit(cache=True, _nrt=False)
def is_sound_pair(row: Words) -> bool:
    """Its legs are existing places, each another."""
    a, b, third, fourth = row[c.P_A], row[c.P_B], row[c.P_C], row[c.P_D]
    more = row[c.P_MORE]
    if not 0 <= a < INSTRUMENTS_MAX or a == b:
        return False
    if b == NO_INSTRUMENT or more == 0:
        return more == 0 and NO_INSTRUMENT <= b < INSTRUMENTS_MAX
    inside = 0 <= b < INSTRUMENTS_MAX and 0 <= third < INSTRUMENTS_MAX
    if not (1 <= more <= m.LINKS - 2 and inside) or third in (a, b):
        return False
    return more == 1 or (0 <= fourth < INSTRUMENTS_MAX and fourth not in (a, b, third))


@njit(cache=True, _nrt=False)
def apply_pair(mem: Words, row: Words) -> None:
    """A pair's row, that of a set, or that of one market (no second): it is decided anew. If an
    operator publishes it again, that ends its pause. Of another generation it is another pair:
    nothing of the one before holds for it.
    """
    pair = row[c.P_INDEX]
    if pair < 0 or pair >= PAIRS_MAX or not is_sound_pair(row):
        return
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    if mem[m.PAIR_AT + pair * BODY + c.P_GENERATION] not in (0, row[c.P_GENERATION]):
        mem[state + m.PS_SINCE] = mem[state + m.PS_SINCE_1] = 0
        mem[state + m.PS_COOL] = mem[state + m.PS_COOL_1] = 0
        mem[state + m.PS_REFUSED] = mem[state + m.PS_REFUSED_1] = 0
    copy_row(mem, m.PAIR_AT + pair * BODY, row)
    if mem[state + m.PS_KNOWN] == 0:
        mem[state + m.PS_KNOWN], mem[state + m.PS_PAYS] = 1, -1  # not yet told
    mem[state + m.PS_PAUSED] = 0
    mem[m.META + m.M_DIRTY] = 1
    touch(mem, pair, m.i64(m.TOUCHED_TIMER))


@njit(cache=True, _nrt=False)
def apply_terms(mem: Words, row: Words) -> None:
    """A pair's slow terms."""
    pair = row[c.T_PAIR]
    if 0 <= pair < PAIRS_MAX:
        copy_row(mem, m.TERMS_AT + pair * BODY, row)
        touch(mem, pair, m.i64(m.TOUCHED_TIMER))


@njit(cache=True, _nrt=False)
def apply_market_terms(mem: Words, row: Words) -> None:
    """A market's slow terms: its fair value is another now. Without a strike it has none that
    trades.
    """
    instrument = row[c.MT_INSTRUMENT]
    if 0 <= instrument < INSTRUMENTS_MAX:
        held = m.MARKET_AT + instrument * BODY
        if mem[held + c.MT_SPOT_SLOT] != row[c.MT_SPOT_SLOT]:
            mem[m.META + m.M_DIRTY] = 1
        copy_row(mem, held, row)
        mem[m.COUNTS + m.C_MARKET_TERMS] += 1
        if row[c.MT_STRIKE] > 0:
            touch_bets_of(mem, instrument)


@njit(cache=True, _nrt=False)
def touch_bets_of(mem: Words, instrument: int) -> None:
    """Touch the rows of this market alone."""
    if mem[m.META + m.M_DIRTY]:
        link_pairs(mem)
    at = mem[m.HEAD + instrument]
    while at:
        pair = (at - 1) // m.LINKS
        if mem[m.PAIR_AT + pair * BODY + c.P_B] == NO_INSTRUMENT:
            touch(mem, pair, m.i64(m.TOUCHED_TIMER))
        at = mem[m.NEXT + at - 1]


@njit(cache=True, _nrt=False)
def apply_spot(mem: Words, row: Words, feed: int, kind: int) -> None:
    """Keep the newest price of a product or index: the middle of bid and ask, else the last trade.
    Markets valued with it are decided anew once it has moved by more than the parameters' share,
    or their time has passed.
    """
    product, value = row[c.X_PRODUCT], row[c.X_LAST]
    if not 0 <= product < PRODUCTS_MAX or not 0 <= feed < FEEDS_MAX:
        return
    if kind == K_INDEX:
        value = row[c.X_VALUE]
        mem[m.COUNTS + m.C_INDICES] += 1
    else:
        mem[m.COUNTS + m.C_SPOTS] += 1
        if 0 < row[c.X_BID] < row[c.X_ASK] < NO_ASK_E6:
            value = (row[c.X_BID] + row[c.X_ASK]) // 2
    mem[m.FEED_EPOCH + feed] = row[c.X_EPOCH]
    at = m.SPOT_AT + product * m.SPOT_CELLS
    if kind != K_INDEX:
        keep_trade(mem, row, mem[at + m.SP_FEED] == feed and mem[at + m.SP_EPOCH] == row[c.X_EPOCH])
    mem[at + m.SP_VALUE], mem[at + m.SP_FEED], mem[at + m.SP_EPOCH] = value, feed, row[c.X_EPOCH]
    mem[at + m.SP_TRUST], mem[at + m.SP_RECV] = row[c.X_TRUST], row[c.X_RECV]
    mem[at + m.SP_EVENT], mem[at + m.SP_NUMBER] = row[c.X_EVENT], row[c.X_NUMBER]
    mem[at + m.SP_PUBLISH] = row[c.X_PUBLISH]
    told = mem[at + m.SP_TOLD]
    every = mem[c.A_FAIR_EVERY]
    is_time = every > 0 and row[c.X_RECV] - mem[at + m.SP_TOLD_AT] >= every
    if is_time or abs(value - told) > told // E6 * mem[c.A_FAIR_MOVE]:
        mem[at + m.SP_TOLD], mem[at + m.SP_TOLD_AT] = value, row[c.X_RECV]
        touch_list(mem, m.SPOT_HEAD + product, m.i64(m.TOUCHED_QUOTE))
        if mem[m.SPOT_HEAD + product] != 0:
            mem[m.META + m.M_PUBLISH] = row[c.X_PUBLISH]


@njit(cache=True, _nrt=False)
def apply_parameters(mem: Words, row: Words) -> None:
    """New parameters hold for every pair at once."""
    copy_row(mem, m.PARAMETERS_AT, row)
    touch_all(mem)


@njit(cache=True, _nrt=False)
def set_timer(mem: Words, pair: int, due: int) -> None:
    """Have a pair decided again at run time `due` even if no quote comes (debounce, cooldown, rate
    window).
    """
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    if mem[state + m.PS_TIMER] == 0:
        mem[m.TIMERS + mem[m.META + m.M_TIMERS]] = pair
        mem[m.META + m.M_TIMERS] += 1
        mem[state + m.PS_TIMER] = 1
        mem[state + m.PS_DUE] = due
    elif due < mem[state + m.PS_DUE]:
        mem[state + m.PS_DUE] = due
    if mem[m.META + m.M_TIMERS] == 1 or due < mem[m.META + m.M_NEXT_DUE]:
        mem[m.META + m.M_NEXT_DUE] = due


@njit(cache=True, _nrt=False)
def fire_timers(mem: Words) -> int:
    """Touch the pairs whose timer is due. Looks at waiting pairs only. Returns how many."""
    fired, kept, soonest = 0, 0, 0
    for i in range(mem[m.META + m.M_TIMERS]):
        pair = mem[m.TIMERS + i]
        state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
        due = mem[state + m.PS_DUE]
        if due <= mem[m.META + m.M_RUN]:
            mem[state + m.PS_TIMER] = 0
            touch(mem, pair, m.i64(m.TOUCHED_TIMER))
            fired += 1
            continue
        mem[m.TIMERS + kept] = pair
        kept += 1
        if kept == 1 or due < soonest:
            soonest = due
    mem[m.META + m.M_TIMERS] = kept
    mem[m.META + m.M_NEXT_DUE] = soonest
    return fired


@njit(cache=True, _nrt=False)
def timer_is_due(mem: Words) -> bool:
    """A pair waits for a moment that has come."""
    return mem[m.META + m.M_TIMERS] > 0 and mem[m.META + m.M_NEXT_DUE] <= mem[m.META + m.M_RUN]
