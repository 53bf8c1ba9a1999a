"""Fees in plain Python integers: what the compiled ones are held against."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor

E6 = 10**6


def raw(price_e6: int, size_e6: int, rate_e6: int, exponent: int) -> Fraction:
    """Unrounded fee in 1e-6 dollars, exact for every exponent."""
    spread = Fraction(price_e6 * (E6 - price_e6), 10**12)
    return Fraction(rate_e6, E6) * size_e6 * spread**exponent


def rounded(fee: Fraction, unit_e6: int, mode: int) -> int:
    """Whole units: 0 up, 1 down, 2 half to even."""
    units = fee / unit_e6
    return (ceil(units), floor(units), round(units))[mode] * unit_e6


def order(
    fills: Sequence[tuple[int, int]], rate_e6: int, exponent: int, unit_e6: int, mode: int
) -> int:
    """Fee of an order over its fills, (token price, size) each. Rounded up: cost and fee together,
    what is charged then in 1e-6 dollars upwards; cut off: at the average price of all.
    """
    cost = Fraction(sum(price * size for price, size in fills), E6)
    exact = sum((raw(price, size, rate_e6, exponent) for price, size in fills), Fraction(0))
    whole = sum(size for _, size in fills)
    if mode == 1 and whole:
        price = cost / whole
        exact = Fraction(rate_e6, E6) * whole * (price * (1 - price)) ** exponent
    if mode == 0:
        return ceil(rounded(cost + exact, unit_e6, mode) - cost)
    return rounded(exact, unit_e6, mode)


def fee(price_e6: int, size_e6: int, rate_e6: int, exponent: int, unit_e6: int, mode: int) -> int:
    """Fee at one price of the token that is bought."""
    return order([(price_e6, size_e6)], rate_e6, exponent, unit_e6, mode)
