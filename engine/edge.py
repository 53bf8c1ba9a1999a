"""What a pair earns now: both ladders walked, sizes quantised first, then the edge of that size,
rounded against us.

Both legs always hold the same number of contracts and together pay exactly $1 each at settlement. A
leg costs p per contract as a BUY and 1−p as a SELL (bought as NO), so one rule serves both
directions
and both polarities: BUY YES here and SELL YES there where YES means the same, two BUYs or two SELLs
where YES of one is NO of the other. Pure; rows are QUOTE records in one int64 array.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine.fees import FEE_REFUSED_E6, SIZE_MAX_E6, add_raw, charged_as, raw_fee_of_one, round_fee
from engine.memory import i64
from engine.sizes import bucket, common_step, is_enough, step_at, tick_at, token_price
from engine.wide import wide_add
from shm_layout import BUY, E6, LAYOUT_HASH, LEVELS, SELL, Words

KIND_CROSS_VENUE = 1  # INTENT.kind


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def side_of_b(direction: int, same: int) -> int:
    """Side of leg b. Direction 0 buys YES of a, direction 1 sells it; b holds the other outcome."""
    if same:
        return SELL if direction == 0 else BUY
    return BUY if direction == 0 else SELL


@njit(cache=True)
def touch_gross(rows: Words, a: int, side_a: int, b: int, side_b: int) -> int:
    """What a contract leaves at both touches before fees. An absent side makes it hugely
    negative."""
    price_a = rows[a + (c.Q_ASKS if side_a == BUY else c.Q_BIDS)]
    price_b = rows[b + (c.Q_ASKS if side_b == BUY else c.Q_BIDS)]
    return E6 - token_price(price_a, side_a) - token_price(price_b, side_b)


@njit(cache=True)
def fee_terms(rows: Words, at: int) -> tuple[int, int, int, int]:
    """(rate, exponent, unit, mode) of the quote at `at`, an unknown kind as the worst known."""
    return charged_as(
        rows[at + c.Q_FEE_KIND],
        rows[at + c.Q_FEE_RATE],
        rows[at + c.Q_FEE_EXPONENT],
        rows[at + c.Q_FEE_UNIT],
        rows[at + c.Q_FEE_MODE],
    )


@njit(cache=True)
def depth_of(rows: Words, at: int, walk_budget: int) -> int:
    """Levels one order may take. A FAK BUY spends a budget, so below its limit it fills more than
    was asked:
    where the venue has that rule only the touch is used, unless `walk_budget` allows it (fills are
    trued up)."""
    return LEVELS if walk_budget or rows[at + c.Q_NOTIONAL_STEP] == 0 else 1


@njit(cache=True)
def walk(
    rows: Words,
    a: int,
    side_a: int,
    b: int,
    side_b: int,
    floor_e6: int,
    cap_e6: int,
    walk_budget: int,
) -> tuple[int, int, int, int, int, int, int, int]:
    """Take level by level, the smaller of both, while a contract leaves `floor_e6` (and more than
    nothing)
    after its raw fees. Returns size, cost in 1e-12 dollars, raw fee of a (hi, lo), of b (hi, lo),
    both limits."""
    at_a = a + (c.Q_ASKS if side_a == BUY else c.Q_BIDS)
    at_b = b + (c.Q_ASKS if side_b == BUY else c.Q_BIDS)
    end_a = at_a + 2 * depth_of(rows, a, walk_budget)
    end_b = at_b + 2 * depth_of(rows, b, walk_budget)
    rate_a, exponent_a, _, _ = fee_terms(rows, a)
    rate_b, exponent_b, _, _ = fee_terms(rows, b)
    left_a, left_b = rows[at_a + 1], rows[at_b + 1]
    cap = min(cap_e6, SIZE_MAX_E6)
    size, cost, limit_a, limit_b = 0, 0, 0, 0
    a_hi, a_lo, b_hi, b_lo = i64(0), i64(0), i64(0), i64(0)
    while size < cap and left_a > 0 and left_b > 0:
        price_a, price_b = rows[at_a], rows[at_b]
        gross = E6 - token_price(price_a, side_a) - token_price(price_b, side_b)
        if gross <= 0 or gross < floor_e6:
            break
        one_hi, one_lo = raw_fee_of_one(price_a, rate_a, exponent_a)
        more_hi, more_lo = raw_fee_of_one(price_b, rate_b, exponent_b)
        one_hi, one_lo = wide_add(one_hi, one_lo, more_hi, more_lo)
        if one_hi >= gross or one_hi + (1 if one_lo > 0 else 0) > gross - floor_e6:
            break
        take = min(min(left_a, left_b), cap - size)
        size += take
        cost += take * (E6 - gross)
        a_hi, a_lo = add_raw(a_hi, a_lo, price_a, take, rate_a, exponent_a)
        b_hi, b_lo = add_raw(b_hi, b_lo, price_b, take, rate_b, exponent_b)
        limit_a, limit_b = price_a, price_b
        left_a -= take
        left_b -= take
        if left_a == 0:
            at_a += 2
            left_a = rows[at_a + 1] if at_a < end_a else 0
        if left_b == 0:
            at_b += 2
            left_b = rows[at_b + 1] if at_b < end_b else 0
    return size, cost, a_hi, a_lo, b_hi, b_lo, limit_a, limit_b


@njit(cache=True)
def is_on_grid(rows: Words, at: int, price_e6: int) -> bool:
    """The price may be a limit in the market of the quote at `at`."""
    g = at + c.Q_GRID
    return (
        tick_at(price_e6, rows[g], rows[g + 1], rows[g + 2], rows[g + 3], rows[g + 4], rows[g + 5])
        > 0
    )


@njit(cache=True)
def legal_both(rows: Words, a: int, token_a: int, b: int, token_b: int, wanted_e6: int) -> int:
    """Largest size at most `wanted_e6` that both venues take at these token prices; 0: none. With a
    leg that is signed ahead (its venue has a notional step) a kept number of steps."""
    step_a = step_at(token_a, rows[a + c.Q_SIZE_STEP], rows[a + c.Q_NOTIONAL_STEP])
    step_b = step_at(token_b, rows[b + c.Q_SIZE_STEP], rows[b + c.Q_NOTIONAL_STEP])
    step = common_step(step_a, step_b)
    if step == 0:
        return 0
    count = wanted_e6 // step
    if rows[a + c.Q_NOTIONAL_STEP] > 0 or rows[b + c.Q_NOTIONAL_STEP] > 0:
        count = bucket(count)
    size = count * step
    if is_enough(size, token_a, rows[a + c.Q_SIZE_MIN], rows[a + c.Q_NOTIONAL_MIN]) and is_enough(
        size, token_b, rows[b + c.Q_SIZE_MIN], rows[b + c.Q_NOTIONAL_MIN]
    ):
        return size
    return 0


@njit(cache=True)
def left_after(size: int, cost_e12: int, fees_e6: int) -> int:
    """What `size` contracts leave after cost and fees, in 1e-12 dollars."""
    return E6 * size - cost_e12 - fees_e6 * E6 if fees_e6 < FEE_REFUSED_E6 else -(10**18)


@njit(cache=True)
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
    both
    rounded down. `cap_e6`: contracts at most. The caller has checked trust, epoch and heartbeat.
    """
    side_a = BUY if direction == 0 else SELL
    side_b = side_of_b(direction, same)
    floor_e6 = edge_min_e6 + take_off_e6
    found = walk(rows, a, side_a, b, side_b, floor_e6, cap_e6, walk_budget)
    wanted, limit_a, limit_b = found[0], found[6], found[7]
    if wanted == 0 or not is_on_grid(rows, a, limit_a) or not is_on_grid(rows, b, limit_b):
        return 0, 0, 0, 0, 0, 0, 0
    token_a, token_b = token_price(limit_a, side_a), token_price(limit_b, side_b)
    size = legal_both(rows, a, token_a, b, token_b, wanted)
    if size == 0:
        return 0, 0, 0, 0, 0, 0, 0
    _, cost, a_hi, a_lo, b_hi, b_lo, worst_a, worst_b = walk(
        rows, a, side_a, b, side_b, floor_e6, size, walk_budget
    )
    if (
        rows[a + c.Q_NOTIONAL_STEP] == 0
    ):  # its size does not hang on the limit: the worst level still used
        limit_a = worst_a
    if rows[b + c.Q_NOTIONAL_STEP] == 0:
        limit_b = worst_b
    _, _, unit_a, mode_a = fee_terms(rows, a)
    _, _, unit_b, mode_b = fee_terms(rows, b)
    fee_a, fee_b = round_fee(a_hi, a_lo, unit_a, mode_a), round_fee(b_hi, b_lo, unit_b, mode_b)
    left = left_after(size, cost, fee_a + fee_b)
    edge = left // size - take_off_e6
    if left <= 0 or edge < edge_min_e6:
        return 0, 0, 0, 0, 0, 0, 0
    return size, limit_a, limit_b, fee_a, fee_b, edge, left // E6
