"""Writing an intent: an edge is cut to what cash and limits leave, reserved, and appended with all
its legs, the two of a pair as the two to four of a set.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.accounts import reserve
from engine.basket import (
    B_FEE,
    B_INSTRUMENT,
    B_LIMIT,
    B_QUOTE,
    B_SIDE,
    B_UNIT,
    BASKET_CELLS,
    LEG_CELLS,
    basket,
)
from engine.complement import lay
from engine.edge import fee_terms
from engine.fees import fee_e6
from engine.legs import count_of, is_set, market_of
from engine.risk import (
    PRICE_LEAST_E6,
    calm_size,
    count_in_market,
    count_orders,
    is_calm,
    limit_size,
    lower,
    refusal,
    shared_size,
    touch_refusal,
)
from engine.sizes import token_price
from shm_layout import (
    BODY,
    E6,
    FLAG_TIMER,
    K_INTENT,
    KIND_COMPLEMENT,
    KIND_CROSS_VENUE,
    LAYOUT_HASH,
    MAIN,
    ORIGIN_DETECTOR,
    ROUND_UP,
    Words,
    ring_append,
)

INTENTS_RING, INTENTS_ENTRIES = MAIN.at["intents"], MAIN.blocks["intents"].count
SWITCH_WALK_BUDGET = 1  # PARAMETERS.switches: budget orders may take more than the touch


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def worst_fee(mem: Words, quote: int, price: int, size: int, cost: int) -> int:
    """Highest fee of a leg that takes `size` of a token at `price` or better for `cost` dollars.

    Where a BUY spends a budget (a notional step says so) a better price p brings more contracts,
    budget/p of them: rate·budget·(1−p), and less for higher exponents, stay below rate·budget;
    without an exponent only the finest tick bounds the contracts. Elsewhere the size is fixed, and
    a better price saves more than its fee can grow (no rate is above 1): the limit is the worst.
    """
    rate, exponent, unit, mode = fee_terms(mem, quote)
    charged = fee_e6(price, size, rate, exponent, unit, mode)
    if mem[quote + c.Q_NOTIONAL_STEP] == 0:
        return charged
    most = cost if exponent > 0 else cost * (E6 // PRICE_LEAST_E6)
    return max(charged, fee_e6(price, most, rate, m.i64(0), m.i64(1), m.i64(ROUND_UP)))


@njit(cache=True)
def leg_cash(mem: Words, quote: int, side: int, limit: int, size: int) -> int:
    """Most a leg can cost with fees, in the dearer form: a BUY at its limit, a SELL bought as NO at
    1−limit.

    The unit on top covers a fee that is rounded up at a better price than the limit.
    """
    price = token_price(limit, side)
    cost = (price * size + E6 - 1) // E6
    return cost + worst_fee(mem, quote, price, size, cost) + fee_terms(mem, quote)[2]


@njit(cache=True)
def unit_cost(mem: Words, quote: int, side: int, limit: int) -> int:
    """Dollars a contract takes from a limit, the highest fee included, rounded up."""
    rate, exponent, _, _ = fee_terms(mem, quote)
    price = token_price(limit, side)
    charged = fee_e6(price, m.i64(E6), rate, exponent, m.i64(1), m.i64(ROUND_UP))
    return price + max(charged, worst_fee(mem, quote, price, m.i64(E6), price))


@njit(cache=True)
def is_in_band(mem: Words, limit: int) -> bool:
    """The limit price is one the parameters allow."""
    return mem[c.A_LOW] <= limit <= mem[c.A_HIGH]


@njit(cache=True)
def lay_legs(mem: Words, pair: int, direction: int, legs: Words) -> tuple[int, int]:
    """Markets and sides of one direction of a row; (legs, what a contract of each pays)."""
    count = count_of(mem, pair)
    for leg in range(count):
        instrument = market_of(mem, pair, leg)
        legs[leg * LEG_CELLS + B_INSTRUMENT] = instrument
        legs[leg * LEG_CELLS + B_QUOTE] = m.QUOTE_AT + instrument * BODY
    same = mem[m.PAIR_AT + pair * BODY + c.P_SAME]
    return count, lay(legs, count, same, direction)


@njit(cache=True)
def legs_refusal(mem: Words, legs: Words, count: int) -> int:
    """0, or the counter of why these legs are not to be opened: a limit is outside the band, or a
    book is too wide or too thin.
    """
    for leg in range(count):
        limit = legs[leg * LEG_CELLS + B_LIMIT]
        if not mem[c.A_LOW] <= limit <= mem[c.A_HIGH]:
            return m.C_BAND
    for leg in range(count):
        row = leg * LEG_CELLS
        counter = touch_refusal(mem, legs[row + B_QUOTE], legs[row + B_SIDE])
        if counter != 0:
            return counter
    return 0


@njit(cache=True)
def spent_e6(legs: Words, count: int, size: int) -> int:
    """Dollars that all legs cost at their limits, fees aside, rounded down."""
    prices = 0
    for leg in range(count):
        row = leg * LEG_CELLS
        prices += token_price(legs[row + B_LIMIT], legs[row + B_SIDE])
    return prices * size // E6


@njit(cache=True)
def put_leg(
    mem: Words, body: Words, at: int, instrument: int, side: int, limit: int, size: int
) -> None:
    """One leg of an intent."""
    quote = m.QUOTE_AT + instrument * BODY
    body[at + c.L_VENUE] = mem[m.INSTRUMENT_AT + instrument * BODY + c.I_VENUE]
    body[at + c.L_INSTRUMENT] = instrument
    body[at + c.L_GENERATION] = mem[quote + c.Q_GENERATION]
    body[at + c.L_SIDE] = side
    body[at + c.L_LIMIT] = limit
    body[at + c.L_SIZE] = size
    body[at + c.L_CASH] = leg_cash(mem, quote, side, limit, size)
    body[at + c.L_NUMBER] = mem[quote + c.Q_NUMBER]
    body[at + c.L_EPOCH] = mem[quote + c.Q_EPOCH]
    body[at + c.L_TICK_EPOCH] = mem[quote + c.Q_TICK_EPOCH]


@njit(cache=True)
def put_head(
    mem: Words,
    body: Words,
    kind: int,
    pair: int,
    direction: int,
    legs: int,
    trigger: int,
    touched: int,
) -> None:
    """Names, stamps and trigger of an intent; the trigger is the instrument whose frame came
    last."""
    for i in range(BODY):
        body[i] = 0
    now, quote = mem[m.META + m.M_NOW], m.QUOTE_AT + trigger * BODY
    mem[m.META + m.M_COUNTER] += 1
    body[c.N_ID] = ORIGIN_DETECTOR << 60 | mem[m.META + m.M_EPOCH] << 40 | mem[m.META + m.M_COUNTER]
    body[c.N_KIND] = kind
    body[c.N_PAIR] = pair
    body[c.N_DIRECTION] = direction
    body[c.N_LEGS] = legs
    body[c.N_FLAGS] = FLAG_TIMER if touched == m.TOUCHED_TIMER else 0
    body[c.N_TRIGGER] = trigger
    body[c.N_DECIDE] = now
    body[c.N_RECV] = mem[quote + c.Q_RECV]
    body[c.N_EVENT] = mem[quote + c.Q_EVENT]
    body[c.N_EXPIRES] = now + mem[c.A_AGE]
    body[c.N_PUBLISH] = mem[quote + c.Q_PUBLISH]


@njit(cache=True)
def send_off(words: Words, mem: Words, body: Words) -> None:
    """Reserve an intent that is written, count its orders, start its cooldown, append it."""
    state = m.PAIR_STATE + body[c.N_PAIR] * m.PAIR_STATE_CELLS
    assert reserve(mem, body)
    count_orders(mem, body[c.N_LEGS])
    mem[state + m.PS_COOL + body[c.N_DIRECTION]] = mem[m.META + m.M_RUN] + mem[c.A_COOLDOWN]
    ring_append(words, INTENTS_RING, INTENTS_ENTRIES, K_INTENT, body, BODY)
    mem[m.META + m.M_INTENTS] += 1
    mem[m.COUNTS + m.C_INTENTS] += 1


@njit(cache=True)
def cut(
    mem: Words,
    legs: Words,
    count: int,
    pays: int,
    off: int,
    edge_min: int,
    found: tuple[int, int, int],
) -> tuple[int, int, int]:
    """An edge (as `basket` says it, limits in `legs`) in a size that cash, limits and volatility
    leave; which of them bound is counted. Size 0: nothing is left, and that too is counted.
    """
    unit, calm = 0, True
    for leg in range(count):
        row = leg * LEG_CELLS
        quote, side = legs[row + B_QUOTE], legs[row + B_SIDE]
        legs[row + B_UNIT] = unit_cost(mem, quote, side, legs[row + B_LIMIT])
        unit = max(unit, fee_terms(mem, quote)[2])
        calm = calm and is_calm(mem, legs[row + B_INSTRUMENT])
    spare = 2 * unit + 2
    by_cash = shared_size(mem, legs, count, m.i64(c.I_ACCOUNT), spare)
    by_limits = limit_size(mem, legs, count, spare)
    left = calm_size(mem, calm, found[0])
    if left < found[0]:
        by_limits = lower(mem, by_limits, left, m.i64(m.C_CUT_VOLATILITY))
    cap = min(by_cash, by_limits)
    if cap < found[0]:
        if by_limits <= by_cash:
            mem[m.COUNTS + mem[m.META + m.M_BINDING]] += 1
        walks = mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET
        found = basket(mem, legs, count, pays, edge_min, off, cap, walks)
        mem[m.COUNTS + refusal(by_cash, by_limits)] += found[0] == 0
    return found


@njit(cache=True)
def open_intent(
    words: Words,
    mem: Words,
    body: Words,
    pair: int,
    direction: int,
    off: int,
    edge_min: int,
    touched: int,
    found: tuple[int, int, int],
) -> bool:
    """Cut the edge whose limits and fees stand in LEGS_AT to what the limits leave and write the
    intent. False: refused and counted.
    """
    legs = mem[m.LEGS_AT : m.LEGS_AT + BASKET_CELLS]
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    count, pays = lay_legs(mem, pair, direction, legs)
    counter = legs_refusal(mem, legs, count)
    if counter != 0:
        mem[m.COUNTS + counter] += 1
        return False
    size, edge, profit = cut(mem, legs, count, pays, off, edge_min, found)
    is_small = size > 0 and spent_e6(legs, count, size) < mem[c.A_INTENT_MIN]
    if size == 0 or is_small:
        mem[m.COUNTS + m.C_SMALL] += is_small
        mem[state + m.PS_LIMITED] = 1
        return False
    trigger = legs[B_INSTRUMENT]
    for leg in range(1, count):
        quote, newest = legs[leg * LEG_CELLS + B_QUOTE], m.QUOTE_AT + trigger * BODY
        if mem[quote + c.Q_RECV] > mem[newest + c.Q_RECV]:
            trigger = legs[leg * LEG_CELLS + B_INSTRUMENT]
    kind = m.i64(KIND_COMPLEMENT) if is_set(mem, pair) else m.i64(KIND_CROSS_VENUE)
    put_head(mem, body, kind, pair, direction, count, trigger, touched)
    body[c.N_EDGE], body[c.N_PROFIT] = edge, profit
    for leg in range(count):
        row, at = leg * LEG_CELLS, c.N_LEG + leg * c.LEG_CELLS
        instrument = legs[row + B_INSTRUMENT]
        put_leg(mem, body, at, instrument, legs[row + B_SIDE], legs[row + B_LIMIT], size)
        body[c.N_FEES] += legs[row + B_FEE]
        count_in_market(mem, instrument)
    send_off(words, mem, body)
    return True
