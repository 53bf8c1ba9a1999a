"""Fees in plain Python integers: what the compiled ones are held against."""

from __future__ import annotations

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


def fee(price_e6: int, size_e6: int, rate_e6: int, exponent: int, unit_e6: int, mode: int) -> int:
    """Fee of one price, rounded once."""
    return rounded(raw(price_e6, size_e6, rate_e6, exponent), unit_e6, mode)
