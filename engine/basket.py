"""One to LEGS_MAX legs taken together: ladders walked, one legal size for all, then what that
leaves.

The general form of `engine.edge.cross_venue`, whose two legs pay exactly $1 together. Here what a
set of contracts pays at least is told: $1 for two outcomes of which one wins, n − 1 dollars for the
NO of n outcomes of which at most one wins, our own fair value for a single leg. Everything rounds
against us; each leg holds the same number of contracts. Pure.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

import numpy as np
from numba import njit

from engine import cells as c
from engine.edge import depth_of, fee_terms, is_on_grid
from engine.fees import FEE_REFUSED_E6, SIZE_MAX_E6, add_raw, raw_fee_of_one, round_fee
from engine.memory import i64
from engine.sizes import bucket, common_step, is_enough, step_at, token_price
from engine.wide import wide_add
from shm_layout import BUY, E6, LAYOUT_HASH, LEGS_MAX, Words

(
    B_QUOTE,  # in: first cell of the leg's QUOTE record
    B_SIDE,  # in: BUY or SELL in YES terms
    B_LIMIT,  # out: worst price taken
    B_FEE,  # out: taker fee of the leg
    B_AT,  # the rest is work: the level we are at
    B_END,
    B_LEFT,  # contracts left there
    B_HI,  # raw fee so far
    B_LO,
    B_FOUND,  # the limit at which the legal size was found
) = range(10)
LEG_CELLS = 16
BASKET_CELLS = LEGS_MAX * LEG_CELLS


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


def fresh() -> Words:
    """Legs of one basket; fill B_QUOTE and B_SIDE of the first n."""
    return np.zeros(BASKET_CELLS, np.int64)


@njit(cache=True)
def put_leg(legs: Words, leg: int, quote: int, side: int) -> None:
    """Name a leg."""
    legs[leg * LEG_CELLS + B_QUOTE] = quote
    legs[leg * LEG_CELLS + B_SIDE] = side


@njit(cache=True)
def begin(rows: Words, legs: Words, count: int, walk_budget: int) -> bool:
    """Each leg at its touch. False: one has nothing there."""
    for leg in range(count):
        row = leg * LEG_CELLS
        quote = legs[row + B_QUOTE]
        at = quote + (c.Q_ASKS if legs[row + B_SIDE] == BUY else c.Q_BIDS)
        legs[row + B_AT] = at
        legs[row + B_END] = at + 2 * depth_of(rows, quote, walk_budget)
        legs[row + B_LEFT] = rows[at + 1]
        legs[row + B_HI] = legs[row + B_LO] = legs[row + B_LIMIT] = legs[row + B_FEE] = 0
        if rows[at + 1] <= 0:
            return False
    return True


@njit(cache=True)
def unit_now(rows: Words, legs: Words, count: int, pays_e6: int) -> tuple[int, int, int]:
    """One contract of each leg at the levels they are at: what it leaves before fees, and its raw
    fees rounded down and up."""
    gross, hi, lo = pays_e6, i64(0), i64(0)
    for leg in range(count):
        row = leg * LEG_CELLS
        price = rows[legs[row + B_AT]]
        gross -= token_price(price, legs[row + B_SIDE])
        rate, exponent, _, _ = fee_terms(rows, legs[row + B_QUOTE])
        more_hi, more_lo = raw_fee_of_one(price, rate, exponent)
        hi, lo = wide_add(hi, lo, more_hi, more_lo)
    return gross, hi, hi + (1 if lo > 0 else 0)


@njit(cache=True)
def take(rows: Words, legs: Words, count: int, size: int) -> None:
    """Take `size` of each leg at its level; a leg that is through goes on to the next."""
    for leg in range(count):
        row = leg * LEG_CELLS
        price = rows[legs[row + B_AT]]
        rate, exponent, _, _ = fee_terms(rows, legs[row + B_QUOTE])
        legs[row + B_HI], legs[row + B_LO] = add_raw(
            legs[row + B_HI], legs[row + B_LO], price, size, rate, exponent
        )
        legs[row + B_LIMIT] = price
        legs[row + B_LEFT] -= size
        if legs[row + B_LEFT] == 0:
            legs[row + B_AT] += 2
            at = legs[row + B_AT]
            legs[row + B_LEFT] = rows[at + 1] if at < legs[row + B_END] else 0


@njit(cache=True)
def walk_legs(
    rows: Words,
    legs: Words,
    count: int,
    pays_e6: int,
    floor_e6: int,
    cap_e6: int,
    walk_budget: int,
) -> tuple[int, int]:
    """Level by level, the smallest of all legs, while a set leaves `floor_e6` (and more than
    nothing) after raw fees: (contracts, cost in 1e-12 dollars); limits and fees into `legs`."""
    size, cost = 0, 0
    cap = min(cap_e6, SIZE_MAX_E6)
    if not begin(rows, legs, count, walk_budget):
        return 0, 0
    while size < cap:
        gross, fee_low, fee_high = unit_now(rows, legs, count, pays_e6)
        if gross <= fee_low or gross - fee_high < floor_e6:
            break
        step = cap - size
        for leg in range(count):
            step = min(step, legs[leg * LEG_CELLS + B_LEFT])
        if step <= 0:
            break
        size += step
        cost += step * (pays_e6 - gross)
        take(rows, legs, count, step)
    return size, cost


@njit(cache=True)
def legal_size(rows: Words, legs: Words, count: int, wanted_e6: int) -> int:
    """Largest size at most `wanted_e6` that every leg's venue takes at the limits in `legs`; 0:
    none."""
    step, is_kept = i64(1), False
    for leg in range(count):
        row = leg * LEG_CELLS
        quote, limit = legs[row + B_QUOTE], legs[row + B_LIMIT]
        if not is_on_grid(rows, quote, limit):
            return 0
        token = token_price(limit, legs[row + B_SIDE])
        one = step_at(token, rows[quote + c.Q_SIZE_STEP], rows[quote + c.Q_NOTIONAL_STEP])
        step = common_step(step, one)
        if step == 0:
            return 0
        is_kept = is_kept or rows[quote + c.Q_NOTIONAL_STEP] > 0
    steps = wanted_e6 // step
    size = (bucket(steps) if is_kept else steps) * step
    for leg in range(count):
        row = leg * LEG_CELLS
        quote = legs[row + B_QUOTE]
        token = token_price(legs[row + B_LIMIT], legs[row + B_SIDE])
        if not is_enough(size, token, rows[quote + c.Q_SIZE_MIN], rows[quote + c.Q_NOTIONAL_MIN]):
            return 0
    return size


@njit(cache=True)
def basket(
    rows: Words,
    legs: Words,
    count: int,
    pays_e6: int,
    edge_min_e6: int,
    take_off_e6: int,
    cap_e6: int,
    walk_budget: int,
) -> tuple[int, int, int]:
    """(size, edge a contract, profit) of the best size now; size 0: no trade.

    `pays_e6`: what a contract of each leg pays together, at least. `take_off_e6` comes off each set
    before it is held against `edge_min_e6`; `edge` is what then remains, `profit` what the whole
    leaves after fees alone, both rounded down. Limits and fees stand in `legs`. The caller has
    checked trust, epoch and heartbeat of every leg.
    """
    if not 1 <= count <= LEGS_MAX:
        return 0, 0, 0
    floor_e6 = edge_min_e6 + take_off_e6
    wanted, _ = walk_legs(rows, legs, count, pays_e6, floor_e6, cap_e6, walk_budget)
    if wanted == 0:
        return 0, 0, 0
    size = legal_size(rows, legs, count, wanted)
    if size == 0:
        return 0, 0, 0
    for leg in range(count):
        legs[leg * LEG_CELLS + B_FOUND] = legs[leg * LEG_CELLS + B_LIMIT]
    _, cost = walk_legs(rows, legs, count, pays_e6, floor_e6, size, walk_budget)
    fees = 0
    for leg in range(count):
        row = leg * LEG_CELLS
        quote = legs[row + B_QUOTE]
        if rows[quote + c.Q_NOTIONAL_STEP] > 0:  # its legal size hangs on the limit it was found at
            legs[row + B_LIMIT] = legs[row + B_FOUND]
        _, _, unit, mode = fee_terms(rows, quote)
        legs[row + B_FEE] = round_fee(legs[row + B_HI], legs[row + B_LO], unit, mode)
        fees += legs[row + B_FEE]
    if fees >= FEE_REFUSED_E6:
        return 0, 0, 0
    left = pays_e6 * size - cost - fees * E6
    edge = left // size - take_off_e6
    if left <= 0 or edge < edge_min_e6:
        return 0, 0, 0
    return size, edge, left // E6
