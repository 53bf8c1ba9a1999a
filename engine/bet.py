"""A bet: the model against one market, an intent of one leg.

It can lose all it costs, so it is cut to what cash and every limit leave for that, and has no
partner: nothing of it is ever hedged, completed or given back. What it was decided on (fair value,
strategy, the price it was valued with) goes with it, in the cells of the legs it has not.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.basket import B_FEE, B_LIMIT, BASKET_CELLS, basket
from engine.basket import put_leg as put_side
from engine.edge import fee_terms
from engine.house import choose_bet, note_bet, tell_gates
from engine.intent import (
    SWITCH_WALK_BUDGET,
    is_in_band,
    put_head,
    put_leg,
    send_off,
    unit_cost,
)
from engine.risk import (
    bet_size,
    calm_size,
    cash_room,
    count_in_market,
    is_calm,
    lower,
    refusal,
    size_in,
    touch_refusal,
)
from engine.sizes import token_price
from engine.strategies.select import (
    OUT_CELLS,
    X_CONFIDENCE,
    X_EDGE,
    X_FAIR,
    X_FEE,
    X_LIMIT,
    X_OFF,
    X_PROFIT,
    X_SIDE,
    X_SIZE,
    X_STRATEGY,
)
from shm_layout import BODY, E6, KIND_MODEL, LAYOUT_HASH, Words

assert OUT_CELLS <= m.BET_CELLS and BASKET_CELLS <= m.LEGS_CELLS


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def edge_min(mem: Words, pair: int) -> int:
    """Dollars a contract that must be left whatever a strategy asks for."""
    return max(mem[c.A_EDGE_MIN], mem[m.PAIR_AT + pair * BODY + c.P_EDGE_MIN])


@njit(cache=True)
def find_bet(words: Words, mem: Words, pair: int, off: int) -> int:
    """The side (YES terms) that the model takes in the one market of this row now, -1: none; the
    choice stands in the cells BET_AT. `off` comes off each contract beside fees.
    """
    out = mem[m.BET_AT : m.BET_AT + OUT_CELLS]
    which = choose_bet(mem, pair, off, edge_min(mem, pair), mem[c.A_SIZE], out)
    tell_gates(words, mem, pair, out)
    return out[X_SIDE] if which >= 0 else -1


@njit(cache=True)
def cut_bet(mem: Words, pair: int) -> int:
    """The size of the choice in BET_AT that cash, limits and volatility leave; its limit, edge, fee
    and profit follow. Which of them bound is counted. 0: nothing is left, and that too is counted.
    """
    out = mem[m.BET_AT : m.BET_AT + OUT_CELLS]
    instrument = mem[m.PAIR_AT + pair * BODY + c.P_A]
    quote, side = m.QUOTE_AT + instrument * BODY, out[X_SIDE]
    unit, spare = unit_cost(mem, quote, side, out[X_LIMIT]), 2 * fee_terms(mem, quote)[2] + 2
    by_cash = size_in(cash_room(mem, instrument), unit, spare)
    by_limits = bet_size(mem, instrument, unit, spare)
    calm = calm_size(mem, is_calm(mem, instrument), out[X_SIZE])
    if calm < out[X_SIZE]:
        by_limits = lower(mem, by_limits, calm, m.i64(m.C_CUT_VOLATILITY))
    cap = min(by_cash, by_limits)
    if cap >= out[X_SIZE]:
        return out[X_SIZE]
    if by_limits <= by_cash:
        mem[m.COUNTS + mem[m.META + m.M_BINDING]] += 1
    legs = mem[m.LEGS_AT : m.LEGS_AT + BASKET_CELLS]
    put_side(legs, m.i64(0), quote, side)
    pays, walks = token_price(out[X_FAIR], side), mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET
    size, edge, profit = basket(
        mem, legs, m.i64(1), pays, edge_min(mem, pair), out[X_OFF], cap, walks
    )
    out[X_SIZE], out[X_EDGE], out[X_PROFIT] = size, edge, profit
    out[X_LIMIT], out[X_FEE] = legs[B_LIMIT], legs[B_FEE]
    mem[m.COUNTS + refusal(by_cash, by_limits)] += size == 0
    return size


@njit(cache=True)
def put_reasons(mem: Words, body: Words, instrument: int) -> None:
    """What the bet was decided on. If the price came after the book, it is what made us look."""
    out = mem[m.BET_AT : m.BET_AT + OUT_CELLS]
    body[c.BET_STRATEGY], body[c.BET_FAIR] = out[X_STRATEGY], out[X_FAIR]
    body[c.BET_SURE], body[c.BET_OFF] = out[X_CONFIDENCE], out[X_OFF]
    slot = mem[m.MARKET_AT + instrument * BODY + c.MT_SPOT_SLOT]
    spot = m.SPOT_AT + slot * m.SPOT_CELLS
    body[c.BET_SLOT], body[c.BET_NUMBER] = slot, mem[spot + m.SP_NUMBER]
    body[c.BET_EPOCH], body[c.BET_PRICE] = mem[spot + m.SP_EPOCH], mem[spot + m.SP_VALUE]
    if mem[spot + m.SP_RECV] > body[c.N_RECV]:
        body[c.N_RECV], body[c.N_PUBLISH] = mem[spot + m.SP_RECV], mem[spot + m.SP_PUBLISH]
        body[c.N_EVENT] = mem[spot + m.SP_EVENT]


@njit(cache=True)
def open_bet(words: Words, mem: Words, body: Words, pair: int, touched: int) -> bool:
    """Cut the choice in BET_AT to what the limits leave and write the intent. False: refused and
    counted."""
    state = m.PAIR_STATE + pair * m.PAIR_STATE_CELLS
    instrument = mem[m.PAIR_AT + pair * BODY + c.P_A]
    out = mem[m.BET_AT : m.BET_AT + OUT_CELLS]
    side = out[X_SIDE]
    counter = m.C_BAND
    if is_in_band(mem, out[X_LIMIT]):
        counter = touch_refusal(mem, m.QUOTE_AT + instrument * BODY, side)
    if counter != 0:
        mem[m.COUNTS + counter] += 1
        return False
    size = cut_bet(mem, pair)
    if size == 0:
        mem[state + m.PS_LIMITED] = 1
        return False
    limit = out[X_LIMIT]
    spent = token_price(limit, side) * size // E6
    if spent < mem[c.A_INTENT_MIN]:
        mem[m.COUNTS + m.C_SMALL] += 1
        mem[state + m.PS_LIMITED] = 1
        return False
    put_head(mem, body, m.i64(KIND_MODEL), pair, side, m.i64(1), instrument, touched)
    put_leg(mem, body, m.i64(c.N_LEG), instrument, side, limit, size)
    put_reasons(mem, body, instrument)
    body[c.N_EDGE], body[c.N_PROFIT], body[c.N_FEES] = out[X_EDGE], out[X_PROFIT], out[X_FEE]
    count_in_market(mem, instrument)
    send_off(words, mem, body)
    cash = body[c.N_LEG + c.L_CASH]
    note_bet(words, mem, instrument, out[X_STRATEGY], cash, out[X_PROFIT])
    mem[m.COUNTS + m.C_BETS] += 1
    return True
