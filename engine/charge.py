"""What a venue charges for fills, exact and from their amounts: an average price cut to 1e-6 can be
a unit off.

Polymarket charges one figure a transaction, at the taker's own price averaged over the match, cut
to 1e-5 (polymarket reference 11): 164.297297 shares for $59.57 cost $2.65800, at 0.362574 they
would $2.65799; makers pay nothing. Kalshi moves the balance in steps of $0.0001, against the
member, and gives an order's rounding back from its later fills (kalshi reference 11). Pure.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor

from engine.facts import Facts
from engine.fees import charged_as
from shm_layout import (
    E6,
    FEE_HALF,
    FEE_NONE,
    FEE_QUADRATIC,
    FEE_QUARTER,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
)

# of a taker's fee, by kind; of an unknown kind a maker pays the whole
MAKER_SHARES = {
    FEE_NONE: Fraction(0),
    FEE_QUADRATIC: Fraction(0),
    FEE_QUARTER: Fraction(1, 4),
    FEE_HALF: Fraction(1, 2),
}


def raw_of(notional_e6: int, size_e6: int, facts: Facts, *, is_taker: bool = True) -> Fraction:
    """rate·C·(p·(1−p))**exponent in 1e-6 dollars, unrounded, at the average price; a maker's share
    of it for a maker. 0 for no contracts.
    """
    if size_e6 <= 0:
        return Fraction(0)
    rate_e6, exponent, _, _ = _terms(facts)
    price = min(Fraction(notional_e6, size_e6), Fraction(1))
    whole = Fraction(rate_e6, E6) * size_e6 * (price * (1 - price)) ** exponent
    return whole if is_taker else whole * MAKER_SHARES.get(facts.fee_kind, Fraction(1))


def fee_of(notional_e6: int, size_e6: int, facts: Facts) -> int:
    """A taker's fee of `size_e6` contracts for `notional_e6` dollars, as bought, in 1e-6 dollars as
    the market rounds it; 0 for no contracts. As `engine.fees.charge` rounds it.
    """
    return OrderFees(facts).next(-notional_e6, notional_e6, size_e6)


class OrderFees:
    """The fees of one order, fill by fill: what rounding took beyond the raw fees comes back."""

    __slots__ = ("_facts", "_over")

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._over = Fraction(0)

    def next(self, moved_e6: int, notional_e6: int, size_e6: int, *, is_taker: bool = True) -> int:
        """The fee of the next fill in 1e-6 dollars, never negative. `moved_e6`: what the fill
        itself moves the balance by (paid: below 0); `notional_e6`: its price × size.
        """
        unit_e6, mode = _terms(self._facts)[2:]
        raw = raw_of(notional_e6, size_e6, self._facts, is_taker=is_taker)
        if mode == ROUND_DOWN:
            return floor(raw / unit_e6) * unit_e6
        if mode == ROUND_HALF_EVEN:
            return round(raw / unit_e6) * unit_e6
        charged = moved_e6 - floor((moved_e6 - raw) / unit_e6) * unit_e6
        self._over += charged - raw
        if self._over >= unit_e6 and charged >= unit_e6:
            self._over -= unit_e6
            charged -= unit_e6
        return charged


def _terms(facts: Facts) -> tuple[int, int, int, int]:
    rate_e6, exponent, unit_e6, mode = charged_as(
        facts.fee_kind, facts.rate_e6, facts.exponent, facts.fee_unit_e6, facts.fee_mode
    )
    return int(rate_e6), int(exponent), int(unit_e6), int(mode)
