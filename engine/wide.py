"""Products of two numbers up to 10**18, exact, in two int64 cells: value = hi·10**18 + lo.

p·(1−p)·size in 1e-6 overflows int64 at 37 contracts, so fees and limits are computed here. Decimal
halves (not binary) because nearly every divisor of money in 1e-6 is a power of ten: dividing by
10**18 is taking `hi`. Out of range is refused (`REFUSED`), never wrapped.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

import numpy as np
from numba import njit

from shm_layout import LAYOUT_HASH

WIDE_MAX = 10**18  # largest factor
DIVISOR_MAX = 10**9  # largest divisor of `wide_div`
DIVISOR_LARGE_MAX = 10**12  # and of `wide_div_large`, which takes three steps
REFUSED = -1
_HALF = 10**9
_THIRD = 10**6
_WHOLE = 10**18
i64, u64 = np.int64, np.uint64


@njit(cache=True, error_model="numpy")
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, error_model="numpy")
def parts(a: int, by: int) -> tuple[int, int]:
    """(quotient, rest) of a number that is not negative, by one above 0. Divided without a sign:
    rounding down to minus infinity costs a third more."""
    quotient = i64(u64(a) // u64(by))
    return quotient, a - quotient * by


@njit(cache=True, error_model="numpy")
def product(a: int, b: int) -> tuple[int, int]:
    """(hi, lo) of a·b for both in [0, WIDE_MAX]; (REFUSED, REFUSED) outside."""
    if a < 0 or b < 0 or a > WIDE_MAX or b > WIDE_MAX:
        return REFUSED, REFUSED
    a_hi, a_lo = parts(a, _HALF)
    b_hi, b_lo = parts(b, _HALF)
    low_hi, low_lo = parts(a_lo * b_lo, _HALF)
    # at most 2·10**18 + 10**9: fits
    cross_hi, cross_lo = parts(a_hi * b_lo + a_lo * b_hi + low_hi, _HALF)
    return a_hi * b_hi + cross_hi, cross_lo * _HALF + low_lo


@njit(cache=True, error_model="numpy")
def wide_add(a_hi: int, a_lo: int, b_hi: int, b_lo: int) -> tuple[int, int]:
    """Sum of two wide numbers, neither refused; the halves stay far below int64."""
    low = a_lo + b_lo
    if low >= _WHOLE:
        return a_hi + b_hi + 1, low - _WHOLE
    return a_hi + b_hi, low


@njit(cache=True, error_model="numpy")
def wide_div(hi: int, lo: int, divisor: int) -> tuple[int, int]:
    """(quotient, remainder) for a divisor in [1, DIVISOR_MAX] and a quotient below 10**18; else
    REFUSED twice.
    """
    if divisor < 1 or divisor > DIVISOR_MAX or hi < 0 or lo < 0 or hi >= divisor:
        return REFUSED, REFUSED
    up, down = parts(lo, _HALF)
    first, rest = parts(hi * _HALF + up, divisor)  # hi < divisor <= 10**9: fits
    second, rest = parts(rest * _HALF + down, divisor)
    return first * _HALF + second, rest


@njit(cache=True, error_model="numpy")
def wide_div_large(hi: int, lo: int, divisor: int) -> tuple[int, int, int]:
    """(quotient hi, quotient lo, remainder) of a number that is not negative, for a divisor in
    [1, DIVISOR_LARGE_MAX]; else REFUSED thrice.
    """
    if divisor < 1 or divisor > DIVISOR_LARGE_MAX or hi < 0 or lo < 0:
        return REFUSED, REFUSED, REFUSED
    whole, rest = parts(hi, divisor)
    up, down = parts(lo, _THIRD)
    up, middle = parts(up, _THIRD)
    first, rest = parts(rest * _THIRD + up, divisor)
    second, rest = parts(rest * _THIRD + middle, divisor)
    third, rest = parts(rest * _THIRD + down, divisor)
    return whole, (first * _THIRD + second) * _THIRD + third, rest


@njit(cache=True, error_model="numpy")
def wide_scale(hi: int, lo: int, factor_e12: int) -> tuple[int, int]:
    """hi·10**18 + lo, both in [0, WIDE_MAX], times a factor in [0, 1] in 1e-12, rounded up."""
    if factor_e12 < 0 or factor_e12 > 10**12:
        return REFUSED, REFUSED
    a_hi, a_lo = product(hi, factor_e12)
    b_hi, b_lo = product(lo, factor_e12)
    mid_hi, mid_lo = wide_add(a_hi, a_lo, i64(0), b_hi)
    up, down = mid_hi * 10**6 + mid_lo // 10**12, mid_lo % 10**12 * 10**6
    return wide_add(up, down, i64(0), (b_lo + 10**12 - 1) // 10**12)


@njit(cache=True, error_model="numpy")
def mul_div_floor(a: int, b: int, divisor: int) -> int:
    """Floor of a·b / divisor, or REFUSED."""
    hi, lo = product(a, b)
    return wide_div(hi, lo, divisor)[0]


@njit(cache=True, error_model="numpy")
def mul_div_ceil(a: int, b: int, divisor: int) -> int:
    """Ceiling of a·b / divisor, or REFUSED."""
    hi, lo = product(a, b)
    quotient, rest = wide_div(hi, lo, divisor)
    return quotient + 1 if rest > 0 else quotient
