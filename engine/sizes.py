"""Which sizes and prices a venue takes: one pure rule, given to the detector, the pool and the
desk.

Polymarket FAK (reference polymarket 5): a BUY needs price × size in whole cents and at least $1, so
the legal step depends on the price: 0.45 → 0.2 shares, 0.37 → 1, 0.973 → 10. A leg SELL in YES
terms
may go out as BUY NO at 1−p, so it is judged there. Everything rounds down: never more than wanted.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

import numpy as np
from numba import njit

from engine.facts import Facts
from engine.fees import SIZE_MAX_E6
from engine.wide import i64, parts, u64
from shm_layout import BUY, E6, LAYOUT_HASH

SOLD_STEP_E6 = 100  # proceeds of a sold token: four decimals
BUCKETS_OF_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
_KEPT = np.array([max((kept for kept in BUCKETS_OF_STEPS if kept <= count), default=0)
                  for count in range(100)], np.int64)  # fmt: skip
STEP_MAX_E6 = SIZE_MAX_E6  # a coarser step admits no size at all


@njit(cache=True, error_model="numpy")
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, error_model="numpy")
def gcd(a: int, b: int) -> int:
    """Greatest common divisor of two numbers that are not negative."""
    one, other = u64(a), u64(b)
    while other:
        one, other = other, one % other
    return i64(one)


@njit(cache=True, error_model="numpy")
def common_step(a_e6: int, b_e6: int) -> int:
    """Smallest step that is a multiple of both, or 0 if that is coarser than any size."""
    if a_e6 < 1 or b_e6 < 1 or a_e6 > STEP_MAX_E6 or b_e6 > STEP_MAX_E6:
        return 0
    if parts(b_e6, a_e6)[1] == 0:  # nearly always
        return b_e6
    part, _ = parts(a_e6, gcd(a_e6, b_e6))
    return part * b_e6 if part <= STEP_MAX_E6 // b_e6 else 0


@njit(cache=True, error_model="numpy")
def token_price(price_e6: int, side: int) -> int:
    """The price at which a leg in YES terms may be bought as a token: BUY at p, SELL as BUY NO at
    1−p.
    """
    return price_e6 if side == BUY else E6 - price_e6


@njit(cache=True, error_model="numpy")
def step_at(token_price_e6: int, size_step_e6: int, notional_step_e6: int) -> int:
    """Step of a size at a token price: whole lots, and price × size in whole notional steps. 0: no
    size is legal.
    """
    if token_price_e6 < 1 or token_price_e6 >= E6 or size_step_e6 < 1 or notional_step_e6 < 0:
        return 0
    if notional_step_e6 == 0:
        return size_step_e6 if size_step_e6 <= STEP_MAX_E6 else 0
    if notional_step_e6 > STEP_MAX_E6:
        return 0
    whole = notional_step_e6 * E6
    return common_step(size_step_e6, parts(whole, gcd(whole, token_price_e6))[0])


@njit(cache=True, error_model="numpy")
def bucket(count: int) -> int:
    """Largest kept number of steps at most `count`: 1 2 3 4 5 6 8, then 10 12 15 20 25 30 40 50 60
    80 and their tenfolds. At most a quarter is left to the next order; the pool of signed orders
    keeps exactly these.
    """
    scale = 1
    while count >= 100 * scale:
        scale *= 10
    return _KEPT[count // scale] * scale if count > 0 else 0


@njit(cache=True, error_model="numpy")
def is_enough(size_e6: int, token_price_e6: int, size_min_e6: int, notional_min_e6: int) -> bool:
    """Not below the venue's smallest size nor its smallest notional."""
    return (
        size_e6 > 0 and size_e6 >= size_min_e6 and size_e6 * token_price_e6 >= notional_min_e6 * E6
    )


@njit(cache=True, error_model="numpy")
def legal_size_e6(
    wanted_e6: int,
    token_price_e6: int,
    size_step_e6: int,
    notional_step_e6: int,
    size_min_e6: int,
    notional_min_e6: int,
) -> int:
    """Largest legal size at most `wanted_e6` for one leg; 0: none."""
    step = step_at(token_price_e6, size_step_e6, notional_step_e6)
    if step == 0 or wanted_e6 < 0:
        return 0
    size = min(wanted_e6, SIZE_MAX_E6) // step * step
    return size if is_enough(size, token_price_e6, size_min_e6, notional_min_e6) else 0


@njit(cache=True, error_model="numpy")
def tick_at(
    price_e6: int, end_0: int, step_0: int, end_1: int, step_1: int, end_2: int, step_2: int
) -> int:
    """Tick at a price on a grid of up to three (end, step) ranges; on a border the finer of both.
    0: off the grid.
    """
    if price_e6 < 1 or price_e6 >= E6:
        return 0
    start = 0
    best = 0
    for end, step in ((end_0, step_0), (end_1, step_1), (end_2, step_2)):
        if end <= start or step < 1:
            break
        if (
            start <= price_e6 <= end
            and (price_e6 - start) % step == 0
            and (best == 0 or step < best)
        ):
            best = step
        start = end
    return best


@njit(cache=True, error_model="numpy")
def legal_limit(
    price_e6: int,
    side: int,
    end_0: int,
    step_0: int,
    end_1: int,
    step_1: int,
    end_2: int,
    step_2: int,
) -> int:
    """Nearest legal price that is no worse for us: a BUY rounds down, a SELL up. 0: none."""
    price = min(max(price_e6, 0), E6 - 1) if side == BUY else min(max(price_e6, 1), E6)
    start = 0
    last = 0  # last legal price at or below `price`
    for end, step in ((end_0, step_0), (end_1, step_1), (end_2, step_2)):
        if end <= start or step < 1:
            break
        if price <= end:
            down = start + (price - start) // step * step
            if down == price and 0 < price < E6:
                return price
            if side == BUY:
                return down if 0 < down < E6 else last
            up = min(down + step, end)
            return up if 0 < up < E6 else 0
        last = end
        start = end
    return last if side == BUY else 0


@njit(cache=True, error_model="numpy")
def token_size_e6(
    wanted_e6: int,
    price_e6: int,
    is_buy: bool,
    size_step_e6: int,
    notional_step_e6: int,
    size_min_e6: int,
    notional_min_e6: int,
) -> int:
    """Largest legal size at most `wanted_e6` of a token that is bought or sold; 0: none.

    A token that is sold has no smallest notional (a $0.54 taker SELL settled on 2026-08-29), and
    its proceeds may have four decimals where a purchase has two (reference polymarket 5).
    """
    step = notional_step_e6 if is_buy else min(notional_step_e6, SOLD_STEP_E6)
    least = notional_min_e6 if is_buy else 0
    return legal_size_e6(wanted_e6, price_e6, size_step_e6, step, size_min_e6, least)


def legal_size(wanted_e6: int, price_e6: int, is_buy: bool, facts: Facts) -> int:
    """`token_size_e6` from a market's facts."""
    found = token_size_e6(
        wanted_e6,
        price_e6,
        is_buy,
        facts.size_step_e6,
        facts.notional_step_e6,
        facts.size_min_e6,
        facts.notional_min_e6,
    )
    return int(found)
