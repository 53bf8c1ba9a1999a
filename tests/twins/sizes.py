"""The step-and-size rule in plain Python: tries steps until one fits."""

from __future__ import annotations

from math import gcd, lcm

E6 = 10**6
SIZE_MAX_E6 = 10**12


def step_at(token_price_e6: int, size_step_e6: int, notional_step_e6: int) -> int:
    """Smallest whole number of lots whose price × size is whole notional steps; 0: none fits a
    size."""
    if not 0 < token_price_e6 < E6 or size_step_e6 < 1 or size_step_e6 > SIZE_MAX_E6:
        return 0
    if notional_step_e6 == 0:
        return size_step_e6
    whole = notional_step_e6 * E6
    step = lcm(size_step_e6, whole // gcd(whole, token_price_e6))
    return step if step <= SIZE_MAX_E6 else 0


def bucket(count: int) -> int:
    """Largest kept number of steps: two digits of the ladder, then zeros."""
    ladder = [1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80]
    kept = {step * 10**zeros for step in ladder for zeros in range(13)}
    return max((step for step in kept if step <= count), default=0)


def both(
    wanted_e6: int, legs: tuple[tuple[int, int, int, int, int], tuple[int, int, int, int, int]]
) -> int:
    """Largest size at most `wanted_e6` legal for both (price, step, notional step, min, notional
    min)."""
    steps = [step_at(price, step, notional) for price, step, notional, _, _ in legs]
    if 0 in steps or lcm(*steps) > SIZE_MAX_E6:
        return 0
    count = wanted_e6 // lcm(*steps)
    if any(notional for _, _, notional, _, _ in legs):
        count = bucket(count)
    size = count * lcm(*steps)
    for price, _, _, least, least_notional in legs:
        if size <= 0 or size < least or size * price < least_notional * E6:
            return 0
    return size


def one(wanted_e6: int, price_e6: int, is_buy: bool, facts: tuple[int, int, int, int]) -> int:
    """Largest legal size of a token bought or sold; facts: lot, notional step, size minimum,
    notional minimum. What is sold brings four decimals and has no notional minimum."""
    lot, notional_step, least, least_notional = facts
    if wanted_e6 < 0:
        return 0
    step = step_at(price_e6, lot, notional_step if is_buy else min(notional_step, 100))
    size = min(wanted_e6, SIZE_MAX_E6) // step * step if step else 0
    enough = size > 0 and size >= least
    return size if enough and (not is_buy or size * price_e6 >= least_notional * E6) else 0


def legal_prices(grid: tuple[int, ...]) -> set[int]:
    """Every price on a grid of (end, step) pairs, one by one."""
    found: set[int] = set()
    start = 0
    for end, step in zip(grid[::2], grid[1::2], strict=True):
        if end <= start or step < 1:
            break
        found |= set(range(start, end + 1, step))
        start = end
    return {price for price in found if 0 < price < E6}
