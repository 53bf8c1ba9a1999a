"""Our own reading of an intent and of what it stands on: the next entry, both slots, the state,
each leg as its venue will see it. Compiled; `ops/last_look.py` puts it together with the engine's
rules and the guard, so that one call from Python takes and judges an intent.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from gateway import memory as m
from shm_layout import (
    BODY,
    BUY,
    E6,
    ENTRY,
    INSTRUMENTS_MAX,
    K_INTENT,
    KIND_MODEL,
    LAYOUT_HASH,
    LEGS_MAX,
    MAIN,
    PRODUCTS_MAX,
    READ,
    SELL,
    Words,
    feed_alive,
    load_acquire,
    ring_read,
    ring_tail,
    slot_load,
    state_of,
)

NOTHING, CONTROL, INTENT, SKIPPED, BROKEN = -1, -2, -3, -4, -5  # what was found; reasons are >= 0
SIZE_MAX_E6 = 10**12  # a million contracts: up to here price × size fits one cell
INTENTS_RING, INTENTS_ENTRIES = MAIN.at["intents"], MAIN.blocks["intents"].count
CONTROL_RING, CONTROL_ENTRIES = MAIN.at["control_ring"], MAIN.blocks["control_ring"].count
QUOTES_AT, SPOTS_AT, TERMS_AT = (MAIN.at[name] for name in ("quotes", "spot", "market_terms"))


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def next_entry(words: Words, mem: Words) -> int:
    """Take the next control entry, else the next intent, to the entry cells. CONTROL, INTENT,
    NOTHING, or SKIPPED: look again (a lap, counted; or another kind of entry)."""
    out = mem[m.ENTRY_AT : m.ENTRY_AT + ENTRY]
    for ring, entries, cursor, found in (
        (CONTROL_RING, CONTROL_ENTRIES, m.M_CONTROL, CONTROL),
        (INTENTS_RING, INTENTS_ENTRIES, m.M_INTENTS, INTENT),
    ):
        got = ring_read(words, ring, entries, mem[cursor], out, BODY)
        if got == READ:
            mem[cursor] += 1
            if found == INTENT and out[0] != K_INTENT:
                return SKIPPED
            return found
        if got < 0:  # lapped: on to the oldest entry that is safe to read
            mem[m.M_LAPS] += 1
            mem[cursor] = max(ring_tail(words, ring) - entries // 2, mem[cursor] + 1)
            return SKIPPED
    return NOTHING


@njit(cache=True)
def place(
    nets: int, side: int, limit: int, size: int, yes_free: int, no_free: int
) -> tuple[int, int, int]:
    """A leg as its venue will see it: (token, side, price in that token's terms). A venue that
    nets takes the YES price; elsewhere what is held whole and not being sold is sold, else the
    other token is bought; never split."""
    if nets:
        return 0, side, limit
    if side == SELL:
        return (0, SELL, limit) if yes_free >= size else (1, BUY, E6 - limit)
    return (1, SELL, E6 - limit) if no_free >= size else (0, BUY, limit)


@njit(cache=True)
def look_price(words: Words, mem: Words, now: int) -> None:
    """Our own reading of the price that a bet was valued with, and of the feed that writes it."""
    for cell in range(BODY, m.PRICE_CELLS):
        mem[m.PRICE_AT + cell] = 0
    slot = mem[m.INTENT_AT + m.B_SLOT]
    feed = mem[m.SLOTS_AT + slot] - 1 if 0 <= slot < PRODUCTS_MAX else -1
    if feed < 0:
        return
    price = mem[m.PRICE_AT : m.PRICE_AT + BODY]
    if slot_load(words, SPOTS_AT + slot * ENTRY, price, BODY) > 0:
        mem[m.PRICE_AT + m.KP_READ] = 1
        mem[m.PRICE_AT + m.KP_ALIVE] = feed_alive(words, feed, now, mem[m.P_BEAT])


@njit(cache=True)
def look_terms(words: Words, mem: Words) -> None:
    """Our own reading of what the model last said of a bet's market."""
    for cell in range(BODY, m.TERMS_CELLS):
        mem[m.TERMS_AT + cell] = 0
    instrument = mem[m.INTENT_AT + m.N_LEG + m.L_INSTRUMENT]
    if 0 <= instrument < INSTRUMENTS_MAX:
        terms = mem[m.TERMS_AT : m.TERMS_AT + BODY]
        found = slot_load(words, TERMS_AT + instrument * ENTRY, terms, BODY)
        mem[m.TERMS_AT + m.KT_READ] = found > 0


@njit(cache=True)
def look(words: Words, mem: Words, now: int) -> bool:
    """Our own reading of the state and of every leg's slot, feed and place. False: no intent has
    so many legs."""
    mem[m.M_STATE] = state_of(words)
    legs = mem[m.INTENT_AT + m.N_LEGS]
    if legs < 1 or legs > LEGS_MAX:
        return False
    if mem[m.INTENT_AT + m.N_KIND] == KIND_MODEL:
        look_price(words, mem, now)
        look_terms(words, mem)
    for leg in range(legs):
        at = m.LOOKS_AT + leg * m.LOOK_CELLS
        row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
        instrument, venue = mem[row + m.L_INSTRUMENT], mem[row + m.L_VENUE]
        for cell in range(BODY, m.LOOK_CELLS):
            mem[at + cell] = 0
        if not (0 <= instrument < INSTRUMENTS_MAX and 0 <= venue < m.VENUES_MAX):
            continue
        known, line = m.INSTRUMENTS_AT + instrument * m.INSTRUMENT_CELLS, m.VENUES_AT
        line += venue * m.VENUE_CELLS
        if not mem[known + m.I_KNOWN] or not mem[line + m.V_KNOWN]:
            continue
        if mem[known + m.I_VENUE] != venue:
            continue
        mem[at + m.K_KNOWN] = 1
        quote = mem[at : at + BODY]
        if slot_load(words, QUOTES_AT + instrument * ENTRY, quote, BODY) <= 0:
            continue
        mem[at + m.K_READ] = 1
        mem[at + m.K_ALIVE] = feed_alive(words, mem[known + m.I_FEED], now, mem[m.P_BEAT])
        side, limit, size = mem[row + m.L_SIDE], mem[row + m.L_LIMIT], mem[row + m.L_SIZE]
        if not (0 < limit < E6 and 0 < size <= SIZE_MAX_E6):
            continue
        mem[at + m.K_TOKEN], mem[at + m.K_SIDE], mem[at + m.K_PRICE] = place(
            mem[line + m.V_NETS],
            side,
            limit,
            size,
            mem[known + m.I_YES_FREE],
            mem[known + m.I_NO_FREE],
        )
        mem[at + m.K_PRICED] = 1
    return True


@njit(cache=True)
def next_written(words: Words, slots: Words, seen: Words, start: int, most: int) -> int:
    """Place of the first slot, from `start` on and round, that was written since its place was
    last returned; -1: none of `most`. One that is being written now is left for the next call.
    """
    count = len(slots)
    for step in range(min(most, count)):
        place = (start + step) % count
        sequence = load_acquire(words, slots[place])
        if sequence != seen[place] and sequence & 1 == 0:
            seen[place] = sequence
            return place
    return -1
