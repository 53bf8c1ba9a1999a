"""The last gate's rules for a bet: one leg on one market, worth more than it costs by the model.

Nothing hedges it, so what justifies it is judged again on our own reading: the fair value it was
told to have against exact fees at the limit, and the price that value came from, which must be
trusted, written by a feed that lives, fresh, and still where it was. It may have moved neither way:
which way helps is the model's to say, and it decides anew in a moment. At last that fair value
against the one that the model's own last terms, read by us, make of that price, with the share in
it that the market's middle has by our reading: the model behind it may flatter the bet by no more
than a newer round of terms or a newer stamp explains. Where the strategy is set to count with a
formula of its own, by no more than such a formula may be off. Compiled and pure.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from gateway import memory as m
from shm_layout import BUY, E6, LAYOUT_HASH, NO_ASK_E6, REASONS, Words

PRICE_AHEAD_NS = 1_000_000_000  # as of a quote: further ahead no clock is right
PRICE_MAX_NS = 3_000_000_000  # an older price says nothing of now; an index ticks once a second
R_STALE, R_UNTRUSTED, R_MOVED, R_EPOCH, R_EDGE = (
    REASONS.index(name) for name in ("stale", "untrusted", "moved", "epoch", "edge_gone")
)
R_GENERATION, R_OFF_MODEL = REASONS.index("generation"), REASONS.index("off_model")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def check_bet(mem: Words, cost: int, now: int) -> int:
    """One leg in the one market of its row that leaves enough of its fair value after `cost` (exact
    fees at the limit), rounded against us; then the price behind it."""
    row, leg = m.PAIRS_AT + mem[m.INTENT_AT + m.N_PAIR] * m.PAIR_CELLS, m.INTENT_AT + m.N_LEG
    if mem[m.INTENT_AT + m.N_LEGS] != 1 or mem[row + m.PR_LEGS] != 1:
        return R_EDGE
    if mem[row + m.PR_LEG] != mem[leg + m.L_INSTRUMENT]:
        return R_EDGE
    if mem[row + m.PR_LEG + 1] != mem[leg + m.L_GENERATION]:
        return R_EDGE
    fair, size = mem[m.INTENT_AT + m.B_FAIR], mem[leg + m.L_SIZE]
    if not 0 < fair < E6:
        return R_EDGE
    pays = fair if mem[leg + m.L_SIDE] == BUY else E6 - fair
    left = pays * size // E6 - cost
    if not (left > 0 and left >= mem[m.P_EDGE] * size // E6):
        return R_EDGE
    why = check_price(mem, mem[leg + m.L_INSTRUMENT], now)
    return why if why != 0 else check_fair(mem, leg, now)


@njit(cache=True)
def at_risk(mem: Words) -> int:
    """Dollars that may be gone by the day's end beside this bet: what was lost, what stands alone
    or may, what bets have at risk in any market, and what else its own holds. What is hedged in
    other markets is not among it."""
    instrument = mem[m.INTENT_AT + m.N_LEG + m.L_INSTRUMENT]
    own = mem[m.STAKED_AT + instrument]
    here = max(own, mem[m.INSTRUMENTS_AT + instrument * m.INSTRUMENT_CELLS + m.I_EXPOSURE])
    return mem[m.M_DAY_LOSS] + mem[m.M_UNHEDGED] + mem[m.M_STAKED] - own + here


@njit(cache=True)
def price_now(mem: Words, is_index: bool) -> int:
    """The price in the slot as it was read: an index value, else the middle of bid and ask, or the
    last trade where there are not both."""
    if is_index:
        return mem[m.PRICE_AT + m.X_VALUE]
    bid, ask = mem[m.PRICE_AT + m.X_BID], mem[m.PRICE_AT + m.X_ASK]
    return (bid + ask) // 2 if 0 < bid < ask < NO_ASK_E6 else mem[m.PRICE_AT + m.X_LAST]


@njit(cache=True)
def check_price(mem: Words, instrument: int, now: int) -> int:
    """The slot as it is now against the price decided on. It must be one of the two that the
    market's own row names."""
    known = m.INSTRUMENTS_AT + instrument * m.INSTRUMENT_CELLS
    slot, told = mem[m.INTENT_AT + m.B_SLOT], mem[m.INTENT_AT + m.B_PRICE]
    is_index = slot == mem[known + m.I_INDEX_SLOT]
    if slot < 0 or not (is_index or slot == mem[known + m.I_SPOT_SLOT]):
        return R_UNTRUSTED
    if not mem[m.PRICE_AT + m.KP_READ]:
        return R_STALE
    alive = mem[m.PRICE_AT + m.KP_ALIVE]
    if alive == 0 or alive != mem[m.PRICE_AT + m.X_EPOCH] or alive != mem[m.INTENT_AT + m.B_EPOCH]:
        return R_EPOCH
    price = price_now(mem, is_index)
    if mem[m.PRICE_AT + m.X_TRUST] != 0 or price <= 0:
        return R_UNTRUSTED
    if not -PRICE_AHEAD_NS <= now - mem[m.PRICE_AT + m.X_RECV] <= PRICE_MAX_NS:
        return R_STALE
    if told <= 0 or abs(price - told) > told // E6 * mem[m.P_MOVE]:
        return R_MOVED
    return 0


@njit(cache=True)
def check_fair(mem: Words, leg: int, now: int) -> int:
    """The model speaks of this very market now, of the price the bet was valued with, and by what
    it says the bet is worth nearly what it claims. Where the market has a share, what the model is
    off by counts for the rest, and so does what it may be."""
    at, told = m.TERMS_AT, mem[m.INTENT_AT + m.B_FAIR]
    if not mem[at + m.KT_READ] or not mem[at + m.MT_VALID] >= now:
        return R_STALE
    if mem[at + m.MT_INSTRUMENT] != mem[leg + m.L_INSTRUMENT]:
        return R_GENERATION
    if mem[at + m.MT_GENERATION] != mem[leg + m.L_GENERATION]:
        return R_GENERATION
    if mem[at + m.MT_SLOT] != mem[m.INTENT_AT + m.B_SLOT]:
        return R_UNTRUSTED
    ours = mem[at + m.KT_FAIR]
    if not 0 < ours < E6:
        return R_OFF_MODEL
    flatters = told - ours if mem[leg + m.L_SIDE] == BUY else ours - told
    most = mem[m.P_FORMULA_OFF] if mem[at + m.KT_FORMULA] else mem[m.P_FAIR_OFF]
    most = most * (E6 - mem[at + m.MT_MARKET]) // E6
    return 0 if flatters <= most else R_OFF_MODEL
