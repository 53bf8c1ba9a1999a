"""Taker fees, exact: rate·C·(p·(1−p))**exponent dollars, rounded as the venue rounds an order.

Kalshi (reference kalshi 11, 2026-09): M·0.07·C·p·(1−p), an order's fee is its raw fees rounded up
once to $0.0001. Polymarket (reference polymarket 11, settled trades 2026): C·rate·p·(1−p) cut to
1e-5. Both figures come with each quote and are never assumed. A raw fee is a wide number: its value
in 1e-6 dollars is hi + lo/10**18. An order that walks levels sums raw fees and rounds once: exact
at
Kalshi, and at Polymarket (which cuts each match) never below what is charged.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.facts import Facts
from engine.memory import i64
from engine.wide import product, wide_add
from shm_layout import (
    E6,
    FEE_NONE,
    FEE_QUADRATIC,
    LAYOUT_HASH,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_UP,
)

SIZE_MAX_E6 = 10**12  # a million contracts: rate·size and price·size fit one cell up to here
FEE_REFUSED_E6 = 10**15  # what cannot be computed costs more than anything earns: no trade
WORST_RATE_E6 = 70_000  # the highest rate either venue charges (2026-11)
WORST_UNIT_E6 = 10_000  # the coarsest rounding: up to the next cent (Kalshi through a broker)
EXPONENT_MAX = 3
UNIT_MAX_E6 = E6
_HALF_WHOLE = 5 * 10**17


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def raw_fee(price_e6: int, size_e6: int, rate_e6: int, exponent: int) -> tuple[int, int]:
    """Unrounded fee as (hi, lo): hi + lo/10**18 in 1e-6 dollars. (FEE_REFUSED_E6, 0) outside the
    limits.

    Exact for exponents 0 and 1 (all that either venue uses); for 2 and 3 the power of p·(1−p) is
    rounded up to 1e-12, against us.
    """
    if (
        price_e6 < 0
        or price_e6 > E6
        or size_e6 < 0
        or size_e6 > SIZE_MAX_E6
        or rate_e6 < 0
        or rate_e6 > E6
        or exponent < 0
        or exponent > EXPONENT_MAX
    ):
        return FEE_REFUSED_E6, 0
    charged = rate_e6 * size_e6  # at most 10**18
    if exponent == 0:
        return charged // E6, charged % E6 * 10**12
    spread = price_e6 * (E6 - price_e6)
    power = spread
    for _ in range(exponent - 1):
        hi, lo = product(power, spread)
        power = hi * E6 + (lo + 10**12 - 1) // 10**12
    return product(charged, power)


@njit(cache=True)
def raw_fee_of_one(price_e6: int, rate_e6: int, exponent: int) -> tuple[int, int]:
    """`raw_fee` of one contract: at the exponent that both venues use it fits one cell."""
    if exponent != 1 or price_e6 < 0 or price_e6 > E6 or rate_e6 < 0 or rate_e6 > E6:
        return raw_fee(price_e6, i64(E6), rate_e6, exponent)
    charged = rate_e6 * (price_e6 * (E6 - price_e6))  # at most 2.5·10**17
    return charged // 10**12, charged % 10**12 * E6


@njit(cache=True)
def round_fee(hi: int, lo: int, unit_e6: int, mode: int) -> int:
    """A raw fee in whole units. An unknown mode rounds up; a unit out of range is refused."""
    if unit_e6 < 1 or unit_e6 > UNIT_MAX_E6 or hi >= FEE_REFUSED_E6:
        return FEE_REFUSED_E6
    units, rest = hi // unit_e6, hi % unit_e6
    if mode == ROUND_DOWN:
        up = False
    elif mode == ROUND_HALF_EVEN:
        doubled = 2 * rest + (
            1 if lo >= _HALF_WHOLE else 0
        )  # the rest doubled, without its fraction
        exact = lo == 0 or lo == _HALF_WHOLE
        up = doubled > unit_e6 or (doubled == unit_e6 and (not exact or units % 2 == 1))
    else:
        up = rest > 0 or lo > 0
    return (units + 1 if up else units) * unit_e6


@njit(cache=True)
def fee_e6(
    price_e6: int, size_e6: int, rate_e6: int, exponent: int, unit_e6: int, mode: int
) -> int:
    """Fee of taking `size_e6` at one price (YES or NO terms: p·(1−p) is the same), in 1e-6
    dollars."""
    hi, lo = raw_fee(price_e6, size_e6, rate_e6, exponent)
    return round_fee(hi, lo, unit_e6, mode)


@njit(cache=True)
def charged_as(
    kind: int, rate_e6: int, exponent: int, unit_e6: int, mode: int
) -> tuple[int, int, int, int]:
    """(rate, exponent, unit, mode) to compute with: an unknown kind of fee counts as the worst
    known one.
    """
    if kind == FEE_QUADRATIC:
        return rate_e6, exponent, unit_e6, mode
    if kind == FEE_NONE:
        return 0, 1, 1, ROUND_UP
    return max(rate_e6, WORST_RATE_E6), 1, max(unit_e6, WORST_UNIT_E6), ROUND_UP


@njit(cache=True)
def add_raw(
    hi: int, lo: int, price_e6: int, size_e6: int, rate_e6: int, exponent: int
) -> tuple[int, int]:
    """A running raw fee plus that of one more level; stays refused once it is."""
    more_hi, more_lo = raw_fee(price_e6, size_e6, rate_e6, exponent)
    return wide_add(hi, lo, more_hi, more_lo)


def fee(price_e6: int, size_e6: int, facts: Facts) -> int:
    """`fee_e6` for the desk, from a market's facts."""
    rate, exponent, unit, mode = charged_as(
        facts.fee_kind, facts.rate_e6, facts.exponent, facts.fee_unit_e6, facts.fee_mode
    )
    return int(fee_e6(price_e6, size_e6, rate, exponent, unit, mode))
