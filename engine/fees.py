"""A taker's fees, exact: rate·C·(p·(1−p))**exponent dollars, rounded as the venue rounds an order.

Kalshi (reference kalshi 11, 2026-09): M·0.07·C·p·(1−p), summed over an order's fills; what the
order moves, cost and fee together, is rounded against the member to $0.0001 once. Polymarket
(reference polymarket 11, settled trades 2026): C·rate·(p·(1−p))**exponent at the average price of a
match, cut to 1e-5: one figure a transaction, never below the sum over its levels. All come with
each quote and are never assumed. A raw fee is a wide number: its value in 1e-6 dollars is
hi + lo/10**18.

Kalshi gives the rounding of single fills back from the next one, up to that one's own fee: where a
fill's fee is below $0.0001 (a few hundredths of a contract, off whole cents) up to $0.0001 a fill
more is charged than here (`engine.charge.OrderFees` has it fill by fill).
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.facts import Facts
from engine.wide import i64, parts, product, wide_add, wide_div_large, wide_scale
from shm_layout import (
    E6,
    FEE_HALF,
    FEE_NONE,
    FEE_QUADRATIC,
    LAYOUT_HASH,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    ROUND_UP,
)

SIZE_MAX_E6 = 10**12  # a million contracts: rate·size and price·size fit one cell up to here
FEE_REFUSED_E6 = 10**15  # what cannot be computed costs more than anything earns: no trade
UNIT_FEE_REFUSED_E18 = 2 * 10**18
WORST_RATE_E6 = 70_000  # the highest rate either venue charges (2026-11)
WORST_UNIT_E6 = 10_000  # the coarsest rounding: up to the next cent (Kalshi through a broker)
EXPONENT_MAX = 3
UNIT_MAX_E6 = E6
_HALF_WHOLE = 5 * 10**17


@njit(cache=True, error_model="numpy")
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, error_model="numpy")
def is_in_range(size_e6: int, rate_e6: int, exponent: int) -> bool:
    """What a fee can be computed for."""
    return (
        0 <= size_e6 <= SIZE_MAX_E6
        and 0 <= rate_e6 <= UNIT_MAX_E6
        and 0 <= exponent <= EXPONENT_MAX
    )


@njit(cache=True, error_model="numpy")
def raw_fee(price_e6: int, size_e6: int, rate_e6: int, exponent: int) -> tuple[int, int]:
    """Unrounded fee as (hi, lo): hi + lo/10**18 in 1e-6 dollars. (FEE_REFUSED_E6, 0) outside the
    limits.

    Exact for exponents 0 and 1 (all that either venue uses); above, each power of p·(1−p) is
    rounded up to 1e-24 dollars.
    """
    if price_e6 < 0 or price_e6 > E6 or not is_in_range(size_e6, rate_e6, exponent):
        return FEE_REFUSED_E6, 0
    if exponent != 1:
        return raw_fee_of_power(price_e6, size_e6, rate_e6, exponent)
    return product(rate_e6 * size_e6, price_e6 * (E6 - price_e6))


@njit(cache=True, error_model="numpy")
def raw_fee_of_power(
    price_e6: int, size_e6: int, rate_e6: int, exponent: int
) -> tuple[int, int]:
    """`raw_fee` within its limits, for the rare exponent that is not 1."""
    charged = rate_e6 * size_e6  # at most 10**18
    if exponent == 0:
        return charged // E6, charged % E6 * 10**12
    spread = price_e6 * (E6 - price_e6)
    hi, lo = product(charged, spread)
    for _ in range(exponent - 1):
        hi, lo = wide_scale(hi, lo, spread)
    return hi, lo


@njit(cache=True, error_model="numpy")
def raw_fee_of_one(price_e6: int, rate_e6: int, exponent: int) -> tuple[int, int]:
    """`raw_fee` of one contract: at the exponent that both venues use it fits one cell."""
    if exponent != 1 or price_e6 < 0 or price_e6 > E6 or rate_e6 < 0 or rate_e6 > E6:
        return raw_fee(price_e6, i64(E6), rate_e6, exponent)
    charged = rate_e6 * (price_e6 * (E6 - price_e6))  # at most 2.5·10**17
    hi, lo = parts(charged, i64(10**12))
    return hi, lo * E6


@njit(cache=True, error_model="numpy")
def raw_of_match(cost_e12: int, size_e6: int, rate_e6: int, exponent: int) -> tuple[int, int]:
    """Unrounded fee of `size_e6` contracts at their average price, rounded up to 1e-24 dollars: as
    `raw_fee` at one price, above the sum over levels at several (p·(1−p) is concave).
    """
    whole = size_e6 * E6
    if not is_in_range(size_e6, rate_e6, exponent) or cost_e12 < 0 or cost_e12 > whole:
        return FEE_REFUSED_E6, 0
    if exponent == 0 or size_e6 == 0:
        return raw_fee(i64(0), size_e6, rate_e6, exponent)
    hi, lo = product(cost_e12, whole - cost_e12)
    hi, lo, rest = wide_div_large(hi, lo, size_e6)  # size·p·(1−p)
    _, spread, more = wide_div_large(hi, lo, size_e6)
    up = (rate_e6 * rest + size_e6 - 1) // size_e6
    fee_hi, fee_lo = product(lo, rate_e6)
    fee_hi, fee_lo = wide_add(fee_hi + hi * rate_e6, fee_lo, i64(0), up)
    for _ in range(exponent - 1):
        fee_hi, fee_lo = wide_scale(fee_hi, fee_lo, spread + (1 if rest + more > 0 else 0))
    return fee_hi, fee_lo


@njit(cache=True, error_model="numpy")
def unit_fee_e18(price_e6: int, rate_e6: int, exponent: int) -> int:
    """Unrounded fee of one contract in 1e-18 dollars (rounded up from exponent 2 on), at most
    10**18; out of range more than any contract earns.
    """
    if price_e6 < 0 or price_e6 > E6 or not is_in_range(i64(0), rate_e6, exponent):
        return UNIT_FEE_REFUSED_E18
    if exponent == 1:
        return rate_e6 * (price_e6 * (E6 - price_e6))
    hi, lo = raw_fee_of_power(price_e6, i64(E6), rate_e6, exponent)
    return hi * 10**12 + (lo + E6 - 1) // E6


@njit(cache=True, error_model="numpy")
def round_fee(hi: int, lo: int, unit_e6: int, mode: int) -> int:
    """A raw fee in whole units. An unknown mode rounds up; a unit out of range is refused."""
    if unit_e6 < 1 or unit_e6 > UNIT_MAX_E6 or hi >= FEE_REFUSED_E6:
        return FEE_REFUSED_E6
    units, rest = parts(hi, unit_e6)
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


@njit(cache=True, error_model="numpy")
def charge(hi: int, lo: int, cost_e12: int, unit_e6: int, mode: int) -> int:
    """What an order with this raw fee is charged, in 1e-6 dollars (itself rounded up to those).

    `cost_e12`: what its fills cost as bought, in 1e-12 dollars. A fee that is rounded up fills cost
    and fee together to whole units (Kalshi); the other ways of rounding do not look at the cost.
    """
    if mode in (ROUND_DOWN, ROUND_HALF_EVEN) or unit_e6 < 1 or unit_e6 > UNIT_MAX_E6:
        return round_fee(hi, lo, unit_e6, mode)
    if hi >= FEE_REFUSED_E6:
        return FEE_REFUSED_E6
    _, over = parts(cost_e12, unit_e6 * E6)
    over_hi, over_lo = parts(over, i64(E6))
    hi, lo = wide_add(hi, lo, over_hi, over_lo * 10**12)
    return round_fee(hi, lo, unit_e6, mode) - over_hi


@njit(cache=True, error_model="numpy")
def fee_e6(
    price_e6: int, size_e6: int, rate_e6: int, exponent: int, unit_e6: int, mode: int
) -> int:
    """Fee of taking `size_e6` at one price, in 1e-6 dollars. `price_e6`: of the token in its bought
    form (BUY at p, SELL as NO at 1−p; what is sold moves the balance as buying the other would).
    """
    hi, lo = raw_fee(price_e6, size_e6, rate_e6, exponent)
    return charge(hi, lo, price_e6 * size_e6, unit_e6, mode)


@njit(cache=True, error_model="numpy")
def charged_as(
    kind: int, rate_e6: int, exponent: int, unit_e6: int, mode: int
) -> tuple[int, int, int, int]:
    """(rate, exponent, unit, mode) of a taker's fee: an unknown kind counts as the worst known
    one.
    """
    if FEE_QUADRATIC <= kind <= FEE_HALF:
        return rate_e6, exponent, unit_e6, mode
    if kind == FEE_NONE:
        return 0, 1, 1, ROUND_UP
    return max(rate_e6, WORST_RATE_E6), 1, max(unit_e6, WORST_UNIT_E6), ROUND_UP


@njit(cache=True, error_model="numpy")
def add_raw(
    hi: int, lo: int, price_e6: int, size_e6: int, rate_e6: int, exponent: int
) -> tuple[int, int]:
    """A running raw fee plus that of one more level; stays refused once it is."""
    more_hi, more_lo = raw_fee(price_e6, size_e6, rate_e6, exponent)
    return wide_add(hi, lo, more_hi, more_lo)


def fee(price_e6: int, size_e6: int, facts: Facts) -> int:
    """`fee_e6` for the desk, from a market's facts; the price is that of the bought form."""
    rate, exponent, unit, mode = charged_as(
        facts.fee_kind, facts.rate_e6, facts.exponent, facts.fee_unit_e6, facts.fee_mode
    )
    return int(fee_e6(price_e6, size_e6, rate, exponent, unit, mode))
