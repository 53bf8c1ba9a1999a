"""The gateway's last look, put together: its own reading and rules, with the engine's exact fees
and legal sizes. The one kernel that knows both rooms, which never import each other.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import numpy as np
from numba import njit

from engine.cells import D_ASKS, D_BIDS, D_GENERATION
from engine.fair import fair_e6
from engine.fees import charged_as, fee_e6
from engine.had import had_of
from engine.pricing import O_FAIR, OUT_CELLS, value_market
from engine.sizes import token_price, token_size_e6
from engine.strategies.table import FAIR_THEIRS, S_FAIR
from engine.strategies.view import middle_of, with_market
from gateway import memory as m
from gateway.frame import direct
from gateway.guard import judge
from gateway.look import BROKEN, INTENT, look, next_entry
from gateway.ports import LastLook
from shm_layout import (
    BODY,
    BUY,
    E6,
    ENTRY,
    FLAG_UNWIND,
    KIND_MODEL,
    LAYOUT_HASH,
    LEVELS,
    MAIN,
    NO_ASK_E6,
    NO_BID_E6,
    REASONS,
    ROUND_UP,
    STRATEGIES_MAX,
    STRATEGY,
    Segment,
    Words,
    cell,
    slot_load,
)

STRATEGIES_AT, VALUES = MAIN.at["strategies"], cell(STRATEGY, "values")
HAD_AT = MAIN.at["had"]
assert OUT_CELLS <= BODY <= m.TERMS_CELLS - m.KT_WORK
REDUCE_ONLY = REASONS.index("reduce_only")
PRICE_LEAST_E6 = 100  # finest tick either venue has


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def worst_fee(
    mem: Words, at: int, price: int, size: int, rate: int, exponent: int, unit: int, mode: int
) -> int:
    """Highest fee of a leg that takes its size at `price` (of its dearer form) or better, and what
    rounding may add.

    Where a BUY spends a budget (a notional step says so) a better price p brings budget/p
    contracts: rate·budget·(1−p), and less for higher exponents, stay below rate·budget; without an
    exponent the finest tick bounds the contracts. Elsewhere the size is fixed, and a better price
    saves more than its fee can grow (no rate is above 1).
    """
    charged = fee_e6(price, size, rate, exponent, unit, mode)
    if mem[at + m.Q_NOTIONAL_STEP] > 0 and mem[at + m.K_SIDE] == BUY:
        budget = (mem[at + m.K_PRICE] * size + E6 - 1) // E6
        most = budget if exponent > 0 else budget * (E6 // PRICE_LEAST_E6)
        charged = max(charged, fee_e6(price, most, rate, 0, 1, ROUND_UP))
    return charged + unit


@njit(cache=True)
def touch_left(words: Words, mem: Words, row: Words, levels: int, had: int) -> int:
    """Best price on a side of a bet's quote, as we read it, of which paper orders have not had all:
    `levels` and `had` are the first cells of the side in QUOTE and in HAD. `row` is work.
    """
    at, instrument = m.LOOKS_AT, mem[m.INTENT_AT + m.N_LEG + m.L_INSTRUMENT]
    is_had = slot_load(words, HAD_AT + instrument * ENTRY, row, BODY) > 0
    is_had = is_had and row[D_GENERATION] == mem[at + m.Q_GENERATION]
    for level in range(LEVELS):
        price, size = mem[at + levels + 2 * level], mem[at + levels + 2 * level + 1]
        if size > (had_of(row, had, price) if is_had else 0):
            return price
    return NO_BID_E6 if levels == m.Q_BIDS else NO_ASK_E6


@njit(cache=True)
def value_bet(words: Words, mem: Words) -> None:
    """What the model's terms, as we read them, make of the price that a bet was decided on; its
    stamp is that of our own reading, and the market's middle, as we read it, has its share in it.
    And whether its strategy is set to count with the model's chance or with a formula of its own.
    """
    leg = m.INTENT_AT + m.N_LEG
    instrument = mem[leg + m.L_INSTRUMENT]
    if not (mem[m.TERMS_AT + m.KT_READ] and mem[m.PRICE_AT + m.KP_READ]):
        return
    known, price = m.INSTRUMENTS_AT + instrument * m.INSTRUMENT_CELLS, mem[m.INTENT_AT + m.B_PRICE]
    rule, cap, stamp = mem[known + m.I_RULE], mem[known + m.I_CAP], mem[m.PRICE_AT + m.X_EVENT]
    at, which = m.TERMS_AT + m.KT_WORK, mem[m.INTENT_AT + m.B_STRATEGY]
    row, slot = mem[at : at + BODY], STRATEGIES_AT + which * ENTRY
    if 0 <= which < STRATEGIES_MAX and slot_load(words, slot, row, BODY) > 0:
        mem[m.TERMS_AT + m.KT_FORMULA] = row[VALUES + S_FAIR] == FAIR_THEIRS
    out = mem[at : at + OUT_CELLS].view(np.float64)
    if value_market(mem, np.int64(m.TERMS_AT), rule, cap, price, stamp, out):
        chance, share = out[O_FAIR], mem[m.TERMS_AT + m.MT_MARKET] / E6
        bid = touch_left(words, mem, row, m.Q_BIDS, D_BIDS)
        middle = middle_of(bid, touch_left(words, mem, row, m.Q_ASKS, D_ASKS))
        chance = with_market(chance, share, middle)
        mem[m.TERMS_AT + m.KT_FAIR] = fair_e6(chance, mem[leg + m.L_SIDE])


@njit(cache=True)
def last_look(words: Words, mem: Words, now: int) -> int:
    """Judge the intent in the entry cells: 0 or an index of REASONS; BROKEN: it has no legs."""
    if not look(words, mem, now):
        return BROKEN
    if mem[m.INTENT_AT + m.N_KIND] == KIND_MODEL:
        value_bet(words, mem)
    for leg in range(mem[m.INTENT_AT + m.N_LEGS]):
        at = m.LOOKS_AT + leg * m.LOOK_CELLS
        if mem[at + m.K_PRICED]:
            row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
            rate, exponent, unit, mode = charged_as(
                mem[at + m.Q_FEE_KIND],
                mem[at + m.Q_FEE_RATE],
                mem[at + m.Q_FEE_EXPONENT],
                mem[at + m.Q_FEE_UNIT],
                mem[at + m.Q_FEE_MODE],
            )
            size = mem[row + m.L_SIZE]
            price = token_price(mem[row + m.L_LIMIT], mem[row + m.L_SIDE])
            mem[at + m.K_FEE] = fee_e6(price, size, rate, exponent, unit, mode)
            mem[at + m.K_WORST] = worst_fee(mem, at, price, size, rate, exponent, unit, mode)
            mem[at + m.K_LEGAL] = token_size_e6(
                size,
                mem[at + m.K_PRICE],
                mem[at + m.K_SIDE] == BUY,
                mem[at + m.Q_SIZE_STEP],
                mem[at + m.Q_NOTIONAL_STEP],
                mem[at + m.Q_SIZE_MIN],
                mem[at + m.Q_NOTIONAL_MIN],
            )
    return judge(mem, now)


@njit(cache=True)
def take(words: Words, mem: Words, now: int) -> int:
    """Take the next entry for the gateway, and judge it if it is an intent: 0 or an index of
    REASONS, else what was found (gateway/look.py). Unwinds are the desk's own: one in the ring
    would pass every limit, so it is refused."""
    found = next_entry(words, mem)
    if found != INTENT:
        return found
    why = last_look(words, mem, now)
    return REDUCE_ONLY if why == 0 and mem[m.INTENT_AT + m.N_FLAGS] & FLAG_UNWIND else why


def entries() -> tuple[LastLook, LastLook]:
    """`take` and `last_look` for a desk's memory, without numba's look at their arguments."""
    mem = m.Memory().words
    return direct(take, mem, mem, 0), direct(last_look, mem, mem, 0)


def warm(segment: Segment) -> None:
    """Compile or load both."""
    mem = m.Memory().words
    assert layout_hash() == LAYOUT_HASH
    last_look(segment.words, mem, 0)
    take(segment.words, mem, 0)
