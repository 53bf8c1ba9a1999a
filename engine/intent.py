"""Writing an intent: an edge is cut to what cash and limits leave, reserved, and appended with both
legs.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.accounts import reserve
from engine.edge import cross_venue, fee_terms, side_of_b
from engine.fees import fee_e6
from engine.risk import (
    PRICE_LEAST_E6,
    calm_size,
    cash_size,
    count_in_market,
    count_orders,
    limit_size,
    lower,
    refusal,
    touch_refusal,
)
from engine.sizes import token_price
from shm_layout import (
    BODY,
    BUY,
    E6,
    FLAG_TIMER,
    K_INTENT,
    KIND_CROSS_VENUE,
    LAYOUT_HASH,
    MAIN,
    ORIGIN_DETECTOR,
    ROUND_UP,
    SELL,
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
def spent_e6(side_a: int, limit_a: int, side_b: int, limit_b: int, size: int) -> int:
    """Dollars that both legs of an intent cost at their limits, fees aside, rounded down."""
    return (token_price(limit_a, side_a) + token_price(limit_b, side_b)) * size // E6


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
    pair: int,
    direction: int,
    off: int,
    edge_min: int,
    found: tuple[int, int, int, int, int, int, int],
) -> tuple[int, int, int, int, int, int, int]:
    """An edge (as `cross_venue` says it) in a size that cash, limits and volatility leave; which of
    them bound is counted. Size 0: nothing is left, and that too is counted.
    """
    row = m.PAIR_AT + pair * BODY
    a, b, same = mem[row + c.P_A], mem[row + c.P_B], mem[row + c.P_SAME]
    quote_a, quote_b = m.QUOTE_AT + a * BODY, m.QUOTE_AT + b * BODY
    side_a, side_b = BUY if direction == 0 else SELL, side_of_b(direction, same)
    unit_a = unit_cost(mem, quote_a, side_a, found[1])
    unit_b = unit_cost(mem, quote_b, side_b, found[2])
    spare = 2 * max(fee_terms(mem, quote_a)[2], fee_terms(mem, quote_b)[2]) + 2
    by_cash = cash_size(mem, a, unit_a, b, unit_b, spare)
    by_limits = limit_size(mem, a, unit_a, b, unit_b, same, spare)
    calm = calm_size(mem, a, b, found[0])
    if calm < found[0]:
        by_limits = lower(mem, by_limits, calm, m.i64(m.C_CUT_VOLATILITY))
    if min(by_cash, by_limits) < found[0]:
        if by_limits <= by_cash:
            mem[m.COUNTS + mem[m.META + m.M_BINDING]] += 1
        found = cross_venue(
            mem,
            quote_a,
            quote_b,
            same,
            direction,
            edge_min,
            off,
            min(by_cash, by_limits),
            mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET,
        )
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
    found: tuple[int, int, int, int, int, int, int],
) -> bool:
    """Cut the edge to what the limits leave and write the intent. False: refused and counted."""
    row, state = m.PAIR_AT + pair * BODY, m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    a, b = mem[row + c.P_A], mem[row + c.P_B]
    side_a, side_b = BUY if direction == 0 else SELL, side_of_b(direction, mem[row + c.P_SAME])
    if not is_in_band(mem, found[1]) or not is_in_band(mem, found[2]):
        mem[m.COUNTS + m.C_BAND] += 1
        return False
    counter = touch_refusal(mem, m.QUOTE_AT + a * BODY, side_a)
    if counter == 0:
        counter = touch_refusal(mem, m.QUOTE_AT + b * BODY, side_b)
    if counter != 0:
        mem[m.COUNTS + counter] += 1
        return False
    size, limit_a, limit_b, fee_a, fee_b, edge, profit = cut(
        mem, pair, direction, off, edge_min, found
    )
    if size == 0:
        mem[state + m.PS_LIMITED] = 1
        return False
    if spent_e6(side_a, limit_a, side_b, limit_b, size) < mem[c.A_INTENT_MIN]:
        mem[m.COUNTS + m.C_SMALL] += 1
        mem[state + m.PS_LIMITED] = 1
        return False
    trigger = a
    if mem[m.QUOTE_AT + b * BODY + c.Q_RECV] > mem[m.QUOTE_AT + a * BODY + c.Q_RECV]:
        trigger = b
    put_head(mem, body, m.i64(KIND_CROSS_VENUE), pair, direction, m.i64(2), trigger, touched)
    put_leg(mem, body, m.i64(c.N_LEG), a, side_a, limit_a, size)
    put_leg(mem, body, c.N_LEG + c.LEG_CELLS, b, side_b, limit_b, size)
    body[c.N_EDGE], body[c.N_PROFIT], body[c.N_FEES] = edge, profit, fee_a + fee_b
    count_in_market(mem, a)
    count_in_market(mem, b)
    send_off(words, mem, body)
    return True
