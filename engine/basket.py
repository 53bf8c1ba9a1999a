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
from engine.edge import depth_of, fee_at, fee_terms, is_on_grid, take_leg
from engine.fees import FEE_REFUSED_E6, SIZE_MAX_E6, UNIT_FEE_REFUSED_E18, unit_fee_e18
from engine.memory import i64
from engine.sizes import bucket, common_step, is_enough, step_at, token_price
from shm_layout import BUY, E6, LAYOUT_HASH, LEGS_MAX, LEVELS, Words

(
    B_QUOTE,  # in: first cell of the leg's QUOTE record
    B_SIDE,  # in: BUY or SELL in YES terms
    B_LIMIT,  # out: worst price taken
    B_FEE,  # out: taker fee of the leg
    B_AT,  # the rest is work: the level we are at
    B_END,
    B_LEFT,  # contracts left there
    B_BEST_LIMIT,  # of the best size so far
    B_BEST_FEE,
    B_INSTRUMENT,  # the caller's own: which market it is, and what a contract takes from a limit
    B_UNIT,
) = range(11)
LEG_CELLS = 16
BASKET_CELLS = LEGS_MAX * LEG_CELLS


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


def fresh() -> Words:
    """Legs of one basket; fill B_QUOTE and B_SIDE of the first n."""
    return np.zeros(BASKET_CELLS, np.int64)


@njit(cache=True, _nrt=False)
def put_leg(legs: Words, leg: int, quote: int, side: int) -> None:
    """Name a leg."""
    legs[leg * LEG_CELLS + B_QUOTE] = quote
    legs[leg * LEG_CELLS + B_SIDE] = side


@njit(cache=True, _nrt=False)
def begin(rows: Words, legs: Words, count: int, walk_budget: int) -> bool:
    """Each leg at its touch. False: one has nothing there."""
    for leg in range(count):
        row = leg * LEG_CELLS
        quote = legs[row + B_QUOTE]
        at = quote + (c.Q_ASKS if legs[row + B_SIDE] == BUY else c.Q_BIDS)
        legs[row + B_AT] = at
        legs[row + B_END] = at + 2 * depth_of(rows, quote, walk_budget)
        legs[row + B_LEFT] = rows[at + 1]
        legs[row + B_LIMIT] = legs[row + B_FEE] = 0
        if rows[at + 1] <= 0:
            return False
    return True


@njit(cache=True, _nrt=False)
def margin_now(rows: Words, legs: Words, count: int, pays_e6: int) -> int:
    """What one contract of each leg leaves after raw fees at the levels they are at, in 1e-18
    dollars; 0 if that is nothing."""
    gross, fees = pays_e6, i64(0)
    for leg in range(count):
        row = leg * LEG_CELLS
        price = rows[legs[row + B_AT]]
        rate, exponent, _, _ = fee_terms(rows, legs[row + B_QUOTE])
        gross -= token_price(price, legs[row + B_SIDE])
        unit = unit_fee_e18(price, rate, exponent)
        if gross <= 0 or unit >= UNIT_FEE_REFUSED_E18:
            return 0
        fees += unit
    return max(gross * 10**12 - fees, 0)


@njit(cache=True, _nrt=False)
def pass_level(rows: Words, legs: Words, count: int, size: int) -> None:
    """Take `size` of each leg at its level; a leg that is through goes on to the next."""
    for leg in range(count):
        row = leg * LEG_CELLS
        legs[row + B_LIMIT] = rows[legs[row + B_AT]]
        legs[row + B_LEFT] -= size
        if legs[row + B_LEFT] == 0:
            legs[row + B_AT] += 2
            at = legs[row + B_AT]
            legs[row + B_LEFT] = rows[at + 1] if at < legs[row + B_END] else 0


@njit(cache=True, _nrt=False)
def reach_legs(
    rows: Words,
    legs: Words,
    count: int,
    pays_e6: int,
    floor_e6: int,
    above_e18: int,
    cap_e6: int,
    walk_budget: int,
) -> tuple[int, int]:
    """(contracts, what a set leaves at the worst levels in 1e-18 dollars): level by level, the
    smallest of all legs, while a set leaves at least `floor_e6` and more than `above_e18` after raw
    fees; limits into `legs`."""
    size, least_e18 = 0, 0
    cap, floor_e18 = min(cap_e6, SIZE_MAX_E6), min(floor_e6, LEGS_MAX * E6) * 10**12
    if not begin(rows, legs, count, walk_budget):
        return 0, 0
    while size < cap:
        margin_e18 = margin_now(rows, legs, count, pays_e6)
        if margin_e18 < floor_e18 or margin_e18 <= above_e18:
            break
        step = cap - size
        for leg in range(count):
            step = min(step, legs[leg * LEG_CELLS + B_LEFT])
        if step <= 0:
            break
        size += step
        least_e18 = margin_e18
        pass_level(rows, legs, count, step)
    return size, least_e18


@njit(cache=True, _nrt=False)
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


@njit(cache=True, _nrt=False)
def at_limits(
    rows: Words,
    legs: Words,
    count: int,
    pays_e6: int,
    edge_min_e6: int,
    take_off_e6: int,
    wanted: int,
) -> tuple[int, int, int]:
    """`basket` at the limits in `legs`. What fills at the limits alone must not lose either."""
    size = legal_size(rows, legs, count, wanted)
    if size == 0:
        return 0, 0, 0
    cost, fees, worst_cost, worst_fees = i64(0), i64(0), i64(0), i64(0)
    for leg in range(count):
        row = leg * LEG_CELLS
        quote, side = legs[row + B_QUOTE], legs[row + B_SIDE]
        paid, charged, worst = take_leg(rows, quote, side, size)
        if rows[quote + c.Q_NOTIONAL_STEP] == 0:  # else its legal size hangs on the limit
            legs[row + B_LIMIT] = worst
        legs[row + B_FEE] = charged
        token = token_price(legs[row + B_LIMIT], side)
        cost, fees = cost + paid, fees + charged
        worst_cost += token * size
        worst_fees += fee_at(rows, quote, token, size)
    if fees >= FEE_REFUSED_E6 or worst_fees >= FEE_REFUSED_E6:
        return 0, 0, 0
    left = pays_e6 * size - cost - fees * E6
    edge = left // size - take_off_e6
    if left <= 0 or edge < edge_min_e6 or pays_e6 * size - worst_cost - worst_fees * E6 < 0:
        return 0, 0, 0
    return size, edge, left // E6


@njit(cache=True, _nrt=False)
def keep(legs: Words, count: int, put: int, got: int) -> None:
    """Copy one work cell of each leg into another."""
    for leg in range(count):
        legs[leg * LEG_CELLS + put] = legs[leg * LEG_CELLS + got]


@njit(cache=True, _nrt=False)
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
    if not (1 <= count <= LEGS_MAX and pays_e6 <= LEGS_MAX * E6):
        return 0, 0, 0
    floor_e6 = edge_min_e6 + take_off_e6
    best, above_e18 = (0, 0, 0), 0
    for _ in range(LEVELS * count):
        wanted, least_e18 = reach_legs(
            rows, legs, count, pays_e6, floor_e6, above_e18, cap_e6, walk_budget
        )
        if wanted == 0:
            break
        found = at_limits(rows, legs, count, pays_e6, edge_min_e6, take_off_e6, wanted)
        if found[0] > 0 and (best[0] == 0 or found[2] > best[2]):
            best = found
            keep(legs, count, i64(B_BEST_LIMIT), i64(B_LIMIT))
            keep(legs, count, i64(B_BEST_FEE), i64(B_FEE))
        if best[0] > 0 and walk_budget == 0:
            break
        above_e18 = least_e18  # nothing, or maybe too much: without the worst level
    if best[0] > 0:
        keep(legs, count, i64(B_LIMIT), i64(B_BEST_LIMIT))
        keep(legs, count, i64(B_FEE), i64(B_BEST_FEE))
    return best
