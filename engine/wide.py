"""Products of two numbers up to 10**18, exact, in two int64 cells: value = hi·10**18 + lo.

p·(1−p)·size in 1e-6 overflows int64 at 37 contracts, so fees and limits are computed here. Decimal
halves (not binary) because nearly every divisor of money in 1e-6 is a power of ten: dividing by
10**18 is taking `hi`. Out of range is refused (`REFUSED`), never wrapped.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from shm_layout import LAYOUT_HASH

WIDE_MAX = 10**18  # largest factor
DIVISOR_MAX = 10**9  # largest divisor of `wide_div`
REFUSED = -1
_HALF = 10**9
_WHOLE = 10**18


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def product(a: int, b: int) -> tuple[int, int]:
    """(hi, lo) of a·b for both in [0, WIDE_MAX]; (REFUSED, REFUSED) outside."""
    if a < 0 or b < 0 or a > WIDE_MAX or b > WIDE_MAX:
        return REFUSED, REFUSED
    a_hi, a_lo = a // _HALF, a % _HALF
    b_hi, b_lo = b // _HALF, b % _HALF
    low = a_lo * b_lo
    cross = a_hi * b_lo + a_lo * b_hi + low // _HALF  # at most 2·10**18 + 10**9: fits
    return a_hi * b_hi + cross // _HALF, cross % _HALF * _HALF + low % _HALF


@njit(cache=True)
def wide_add(a_hi: int, a_lo: int, b_hi: int, b_lo: int) -> tuple[int, int]:
    """Sum of two wide numbers, neither refused; the halves stay far below int64."""
    low = a_lo + b_lo
    if low >= _WHOLE:
        return a_hi + b_hi + 1, low - _WHOLE
    return a_hi + b_hi, low


@njit(cache=True)
def wide_div(hi: int, lo: int, divisor: int) -> tuple[int, int]:
    """(quotient, remainder) for a divisor in [1, DIVISOR_MAX] and a quotient below 10**18; else
    REFUSED twice.
    """
    if divisor < 1 or divisor > DIVISOR_MAX or hi < 0 or lo < 0 or hi >= divisor:
        return REFUSED, REFUSED
    first = hi * _HALF + lo // _HALF  # hi < divisor <= 10**9: fits
    second = first % divisor * _HALF + lo % _HALF
    return first // divisor * _HALF + second // divisor, second % divisor


@njit(cache=True)
def mul_div_floor(a: int, b: int, divisor: int) -> int:
    """Floor of a·b / divisor, or REFUSED."""
    hi, lo = product(a, b)
    return wide_div(hi, lo, divisor)[0]


@njit(cache=True)
def mul_div_ceil(a: int, b: int, divisor: int) -> int:
    """Ceiling of a·b / divisor, or REFUSED."""
    hi, lo = product(a, b)
    quotient, rest = wide_div(hi, lo, divisor)
    return quotient + 1 if rest > 0 else quotient
