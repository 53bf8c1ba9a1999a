"""What one direction of a row pays now. A pair of two venues is walked by `engine.edge`, a set by
the general form in `engine.basket`; of two legs that pay a dollar both say the same.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from engine.basket import (
    B_FEE,
    B_LIMIT,
    B_QUOTE,
    B_SIDE,
    BASKET_CELLS,
    LEG_CELLS,
    basket,
)
from engine.complement import is_in_order
from engine.edge import cross_venue, side_of_b, touch_gross
from engine.intent import SWITCH_WALK_BUDGET, lay_legs
from engine.legs import is_set
from engine.sizes import token_price
from shm_layout import BODY, BUY, LAYOUT_HASH, SELL, Words


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def look_set(
    mem: Words, pair: int, direction: int, off: int, edge_min: int
) -> tuple[int, int, int]:
    """`look` at a set."""
    legs = mem[m.LEGS_AT : m.LEGS_AT + BASKET_CELLS]
    count, pays = lay_legs(mem, pair, direction, legs)
    if mem[m.PAIR_AT + pair * BODY + c.P_SAME] and not is_in_order(mem, legs):
        return -1, 0, 0
    gross = pays
    for leg in range(count):
        row = leg * LEG_CELLS
        touch = legs[row + B_QUOTE] + (c.Q_ASKS if legs[row + B_SIDE] == BUY else c.Q_BIDS)
        gross -= token_price(mem[touch], legs[row + B_SIDE])
    if gross <= 0 or gross < edge_min + off:
        return -1, 0, 0
    walks = mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET
    return basket(mem, legs, count, pays, edge_min, off, mem[c.A_SIZE], walks)


@njit(cache=True, _nrt=False)
def look(mem: Words, pair: int, direction: int, off: int, edge_min: int) -> tuple[int, int, int]:
    """(size, edge a contract, profit), limits and fees of each leg in LEGS_AT. Size 0: no trade,
    −1: already too little before fees, or not to be looked at: `off` is below 0, or the row bars
    the direction.
    """
    row = m.PAIR_AT + pair * BODY
    if off < 0 or mem[row + c.P_BARRED] >> direction & 1:
        return -1, 0, 0
    if is_set(mem, pair):
        return look_set(mem, pair, direction, off, edge_min)
    same = mem[row + c.P_SAME]
    quote_a, quote_b = m.QUOTE_AT + mem[row + c.P_A] * BODY, m.QUOTE_AT + mem[row + c.P_B] * BODY
    side_a = BUY if direction == 0 else SELL
    gross = touch_gross(mem, quote_a, side_a, quote_b, side_of_b(direction, same))
    if gross <= 0 or gross < edge_min + off:  # nearly always
        return -1, 0, 0
    size, limit_a, limit_b, fee_a, fee_b, edge, profit = cross_venue(
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
    one, other = m.LEGS_AT, m.LEGS_AT + LEG_CELLS
    mem[one + B_LIMIT], mem[other + B_LIMIT] = limit_a, limit_b
    mem[one + B_FEE], mem[other + B_FEE] = fee_a, fee_b
    return size, edge, profit
