"""What a pair earns now: both ladders walked, sizes quantised first, then the edge of that size,
rounded against us.

Both legs always hold the same number of contracts and together pay exactly $1 each at settlement. A
leg costs p per contract as a BUY and 1−p as a SELL (bought as NO), so one rule serves both
directions and both polarities: BUY YES here and SELL YES there where YES means the same, two BUYs
or two SELLs where YES of one is NO of the other. Pure; rows are QUOTE records in one int64 array.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine.fees import (
    FEE_REFUSED_E6,
    SIZE_MAX_E6,
    UNIT_FEE_REFUSED_E18,
    add_raw,
    charge,
    charged_as,
    fee_e6,
    raw_of_match,
    unit_fee_e18,
)
from engine.sizes import bucket, common_step, is_enough, step_at, tick_at, token_price
from engine.wide import parts
from shm_layout import BUY, E6, LAYOUT_HASH, LEVELS, ROUND_DOWN, SELL, Words


@njit(cache=True, error_model="numpy")
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, error_model="numpy")
def side_of_b(direction: int, same: int) -> int:
    """Side of leg b. Direction 0 buys YES of a, direction 1 sells it; b holds the other outcome."""
    if same:
        return SELL if direction == 0 else BUY
    return BUY if direction == 0 else SELL


@njit(cache=True, error_model="numpy", _nrt=False)
def touch_gross(rows: Words, a: int, side_a: int, b: int, side_b: int) -> int:
    """What a contract leaves at both touches before fees. An absent side makes it hugely
    negative."""
    price_a = rows[a + (c.Q_ASKS if side_a == BUY else c.Q_BIDS)]
    price_b = rows[b + (c.Q_ASKS if side_b == BUY else c.Q_BIDS)]
    return E6 - token_price(price_a, side_a) - token_price(price_b, side_b)


@njit(cache=True, error_model="numpy", _nrt=False)
def fee_terms(rows: Words, at: int) -> tuple[int, int, int, int]:
    """(rate, exponent, unit, mode) of the quote at `at`, an unknown kind as the worst known."""
    return charged_as(
        rows[at + c.Q_FEE_KIND],
        rows[at + c.Q_FEE_RATE],
        rows[at + c.Q_FEE_EXPONENT],
        rows[at + c.Q_FEE_UNIT],
        rows[at + c.Q_FEE_MODE],
    )


@njit(cache=True, error_model="numpy", _nrt=False)
def depth_of(rows: Words, at: int, walk_budget: int) -> int:
    """Levels one order may take. A FAK BUY spends a budget, so below its limit it fills more than
    was asked: where the venue has that rule only the touch is used, unless `walk_budget` allows it
    (fills are trued up)."""
    return LEVELS if walk_budget or rows[at + c.Q_NOTIONAL_STEP] == 0 else 1


@njit(cache=True, error_model="numpy", forceinline=True, _nrt=False)
def reach(
    rows: Words,
    a: int,
    side_a: int,
    b: int,
    side_b: int,
    floor_e6: int,
    above_e18: int,
    cap_e6: int,
    walk_budget: int,
) -> tuple[int, int, int, int]:
    """Contracts to take, level by level, the smaller of both, while one leaves at least `floor_e6`
    and more than `above_e18` (in 1e-18 dollars) after its raw fees; both limits, and what a
    contract leaves at them (in 1e-18 dollars)."""
    at_a = a + (c.Q_ASKS if side_a == BUY else c.Q_BIDS)
    at_b = b + (c.Q_ASKS if side_b == BUY else c.Q_BIDS)
    end_a = at_a + 2 * depth_of(rows, a, walk_budget)
    end_b = at_b + 2 * depth_of(rows, b, walk_budget)
    rate_a, exponent_a, _, _ = fee_terms(rows, a)
    rate_b, exponent_b, _, _ = fee_terms(rows, b)
    floor_e18 = min(floor_e6, 2 * E6) * 10**12
    cap = min(cap_e6, SIZE_MAX_E6)
    size, limit_a, limit_b, least_e18 = 0, 0, 0, 0
    price_a, left_a = rows[at_a], rows[at_a + 1]
    price_b, left_b = rows[at_b], rows[at_b + 1]
    unit_a = unit_fee_e18(price_a, rate_a, exponent_a)
    unit_b = unit_fee_e18(price_b, rate_b, exponent_b)
    while size < cap and left_a > 0 and left_b > 0:
        gross = E6 - token_price(price_a, side_a) - token_price(price_b, side_b)
        if gross <= 0 or unit_a + unit_b >= UNIT_FEE_REFUSED_E18:
            break
        margin_e18 = gross * 10**12 - unit_a - unit_b
        if margin_e18 < floor_e18 or margin_e18 <= above_e18:
            break
        take = min(left_a, left_b)
        size += take
        limit_a, limit_b, least_e18 = price_a, price_b, margin_e18
        left_a -= take
        left_b -= take
        if left_a == 0:
            at_a += 2
            if at_a < end_a:
                price_a, left_a = rows[at_a], rows[at_a + 1]
                unit_a = unit_fee_e18(price_a, rate_a, exponent_a)
        if left_b == 0:
            at_b += 2
            if at_b < end_b:
                price_b, left_b = rows[at_b], rows[at_b + 1]
                unit_b = unit_fee_e18(price_b, rate_b, exponent_b)
    return min(size, cap), limit_a, limit_b, least_e18


@njit(cache=True, error_model="numpy", _nrt=False)
def take_leg(rows: Words, quote: int, side: int, size_e6: int) -> tuple[int, int, int]:
    """(cost in 1e-12 dollars, fee, worst price) of taking `size_e6` from one ladder, which shows as
    much."""
    rate, exponent, unit, mode = fee_terms(rows, quote)
    at = quote + (c.Q_ASKS if side == BUY else c.Q_BIDS)
    touch, cost, left, hi, lo = at, 0, size_e6, 0, 0
    while True:
        price, take = rows[at], min(rows[at + 1], left)
        cost += token_price(price, side) * take
        hi, lo = add_raw(hi, lo, price, take, rate, exponent)
        left -= take
        if left <= 0:
            break
        at += 2
    if at > touch and mode == ROUND_DOWN:  # one figure for all of it
        hi, lo = raw_of_match(cost, size_e6, rate, exponent)
    return cost, charge(hi, lo, cost, unit, mode), price


@njit(cache=True, error_model="numpy", _nrt=False)
def is_on_grid(rows: Words, at: int, price_e6: int) -> bool:
    """The price may be a limit in the market of the quote at `at`."""
    g = at + c.Q_GRID
    return (
        tick_at(price_e6, rows[g], rows[g + 1], rows[g + 2], rows[g + 3], rows[g + 4], rows[g + 5])
        > 0
    )


@njit(cache=True, error_model="numpy", _nrt=False)
def legal_both(rows: Words, a: int, token_a: int, b: int, token_b: int, wanted_e6: int) -> int:
    """Largest size at most `wanted_e6` that both venues take at these token prices; 0: none. With a
    leg that is signed ahead (its venue has a notional step) a kept number of steps."""
    step_a = step_at(token_a, rows[a + c.Q_SIZE_STEP], rows[a + c.Q_NOTIONAL_STEP])
    step_b = step_at(token_b, rows[b + c.Q_SIZE_STEP], rows[b + c.Q_NOTIONAL_STEP])
    step = common_step(step_a, step_b)
    if step == 0:
        return 0
    count, _ = parts(wanted_e6, step)
    if rows[a + c.Q_NOTIONAL_STEP] > 0 or rows[b + c.Q_NOTIONAL_STEP] > 0:
        count = bucket(count)
    size = count * step
    if is_enough(size, token_a, rows[a + c.Q_SIZE_MIN], rows[a + c.Q_NOTIONAL_MIN]) and is_enough(
        size, token_b, rows[b + c.Q_SIZE_MIN], rows[b + c.Q_NOTIONAL_MIN]
    ):
        return size
    return 0


@njit(cache=True, error_model="numpy")
def left_after(size: int, cost_e12: int, fees_e6: int) -> int:
    """What `size` contracts leave after cost and fees, in 1e-12 dollars."""
    return E6 * size - cost_e12 - fees_e6 * E6 if fees_e6 < FEE_REFUSED_E6 else -(10**18)


@njit(cache=True, error_model="numpy", _nrt=False)
def fee_at(rows: Words, quote: int, token: int, size: int) -> int:
    """Fee of a whole order at one price."""
    rate, exponent, unit, mode = fee_terms(rows, quote)
    return fee_e6(token, size, rate, exponent, unit, mode)


@njit(cache=True, error_model="numpy", forceinline=True, _nrt=False)
def cross_at(
    rows: Words,
    a: int,
    side_a: int,
    b: int,
    side_b: int,
    edge_min_e6: int,
    take_off_e6: int,
    wanted: int,
    limit_a: int,
    limit_b: int,
) -> tuple[int, int, int, int, int, int, int]:
    """`cross_venue` at these limits. What fills at the limits alone must not lose either."""
    if not is_on_grid(rows, a, limit_a) or not is_on_grid(rows, b, limit_b):
        return 0, 0, 0, 0, 0, 0, 0
    token_a, token_b = token_price(limit_a, side_a), token_price(limit_b, side_b)
    size = legal_both(rows, a, token_a, b, token_b, wanted)
    if size == 0:
        return 0, 0, 0, 0, 0, 0, 0
    cost_a, fee_a, worst_a = take_leg(rows, a, side_a, size)
    cost_b, fee_b, worst_b = take_leg(rows, b, side_b, size)
    # where its size does not hang on the limit: the worst level still used
    if rows[a + c.Q_NOTIONAL_STEP] == 0:
        limit_a, token_a = worst_a, token_price(worst_a, side_a)
    if rows[b + c.Q_NOTIONAL_STEP] == 0:
        limit_b, token_b = worst_b, token_price(worst_b, side_b)
    left = left_after(size, cost_a + cost_b, fee_a + fee_b)
    edge = left // size - take_off_e6
    if left <= 0 or edge < edge_min_e6:
        return 0, 0, 0, 0, 0, 0, 0
    cost = size * (token_a + token_b)
    if cost != cost_a + cost_b:
        fees = fee_at(rows, a, token_a, size) + fee_at(rows, b, token_b, size)
        if left_after(size, cost, fees) < 0:
            return 0, 0, 0, 0, 0, 0, 0
    return size, limit_a, limit_b, fee_a, fee_b, edge, left // E6


@njit(cache=True, error_model="numpy", _nrt=False)
def cross_venue(
    rows: Words,
    a: int,
    b: int,
    same: int,
    direction: int,
    edge_min_e6: int,
    take_off_e6: int,
    cap_e6: int,
    walk_budget: int,
) -> tuple[int, int, int, int, int, int, int]:
    """(size, limit of a, limit of b, fee of a, fee of b, edge a contract, profit) of one direction
    now; size 0: no trade.

    `take_off_e6` (hurdle, dead zone, delay) comes off each contract before it is held against
    `edge_min_e6`; `edge` is what then remains, `profit` what the whole leaves after fees alone,
    both rounded down. `cap_e6`: contracts at most. The caller has checked trust, epoch and
    heartbeat.
    """
    side_a = BUY if direction == 0 else SELL
    side_b = side_of_b(direction, same)
    floor_e6 = edge_min_e6 + take_off_e6
    best, above_e18 = (0, 0, 0, 0, 0, 0, 0), 0
    for _ in range(2 * LEVELS):
        wanted, limit_a, limit_b, least_e18 = reach(
            rows, a, side_a, b, side_b, floor_e6, above_e18, cap_e6, walk_budget
        )
        if wanted == 0:
            break
        found = cross_at(
            rows, a, side_a, b, side_b, edge_min_e6, take_off_e6, wanted, limit_a, limit_b
        )
        if found[0] > 0 and (best[0] == 0 or found[6] > best[6]):
            best = found
        if best[0] > 0 and walk_budget == 0:
            break
        above_e18 = least_e18  # nothing, or maybe too much: without the worst level
    return best
