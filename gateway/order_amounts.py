"""Sizes, prices and amounts of a Polymarket order. Pure, plain ints; nothing is ever rounded up."""

from __future__ import annotations

import math

from shm_layout import E6

SIZE_STEPS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
SIZES_MAX = 64  # at one price


def amounts_e6(side: int, price_e6: int, size_e6: int) -> tuple[int, int] | None:
    """(makerAmount, takerAmount) of `size_e6` shares at exactly `price_e6`. None: the venue would
    refuse it as FAK.

    FAK and FOK: pUSD of a BUY in whole cents, shares of a SELL in hundredths, the other amount at
    most 4 decimals (venue's error text, 2026); nothing is ever rounded here. `side` 0 BUY, 1 SELL
    of the token.
    """
    product = price_e6 * size_e6
    if product <= 0 or product % 1_000_000 or size_e6 <= 0:
        return None
    notional_e6 = product // 1_000_000
    maker_e6, taker_e6 = (notional_e6, size_e6) if side == 0 else (size_e6, notional_e6)
    if maker_e6 % 10_000 or taker_e6 % 100:
        return None
    return maker_e6, taker_e6


def bucket(count: int) -> int:
    """Largest kept number of steps at most `count`: 1 2 3 4 5 6 8, then the ladder 10 12 15 20 25
    30 40 50 60 80 and its tenfolds, so at most a quarter is lost. 0 for less than one.

    The same lines compile as a kernel: whoever chooses a size can call this very rule.
    """
    scale = 1
    while count >= 100 * scale:
        scale *= 10
    best = 0
    for step in SIZE_STEPS:
        if step * scale <= count:
            best = step * scale
    return best


def pool_size_e6(price_e6: int, size_e6: int, notional_step_e6: int, size_step_e6: int) -> int:
    """Largest kept size at most `size_e6` at a token's price; 0: none.

    Whole lots with price × size in whole notional steps (0.45 → 0.2 shares, 0.37 → 1, 0.973 → 10
    with lots and cents of 0.01), and of those a bucket. `notional_step_e6` 0: no such rule.
    """
    if not 0 < price_e6 < E6 or size_e6 <= 0 or size_step_e6 <= 0 or notional_step_e6 < 0:
        return 0
    step = size_step_e6
    if notional_step_e6 > 0:
        whole = notional_step_e6 * E6
        step = math.lcm(step, whole // math.gcd(whole, price_e6))
    return bucket(size_e6 // step) * step


def next_up(price_e6: int, grid: list[int]) -> int:
    """The next tick above on a grid of (end, step) pairs from 0 up; 0: none below a dollar."""
    start = 0
    for end, step in zip(grid[::2], grid[1::2], strict=True):
        if end <= start or step < 1:
            break
        if start <= price_e6 < end:
            found = min(start + ((price_e6 - start) // step + 1) * step, end)
            return found if found < E6 else 0
        start = end
    return 0


def next_down(price_e6: int, grid: list[int]) -> int:
    """The next tick below; 0: none above nothing."""
    start = 0
    for end, step in zip(grid[::2], grid[1::2], strict=True):
        if end <= start or step < 1:
            break
        if start < price_e6 <= end:
            return start + (price_e6 - 1 - start) // step * step
        start = end
    return 0
