"""What the venues charge, in Decimal: independent of the engine's integer kernels.

Kalshi (direct members, reference of autumn 2026): taker raw = M x rate x C x P x (1 - P); the
balance moves on a grid of $0.0001, against the member; an accumulator per order gives the rounding
back, so that an order in the end pays its raw fee rounded up to $0.0001. Polymarket: C x rate x (P
x (1 - P))^exponent, takers only, cut off at 1e-5.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, Decimal, localcontext

_E6 = Decimal(1_000_000)
_GRID = Decimal("0.0001")
_CENT_MILLI = Decimal("0.00001")
_DIGITS = 120
_MAKER_SHARE = {
    "quadratic": Decimal(0),
    "quadratic_with_maker_fees": Decimal("0.25"),
    "quadratic_with_combo_maker_fees": Decimal("0.5"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KalshiFeeTerms:
    """`fee_type`, rate (0.07 = 70_000) and `fee_multiplier` of a series. An unknown type makes
    makers pay the whole.
    """

    kind: str = "quadratic"
    rate_e6: int = 70_000
    multiplier_e6: int = 1_000_000

    def raw(self, price_e6: int, size_e6: int, *, is_taker: bool) -> Decimal:
        """The unrounded fee of one fill in dollars."""
        price = Decimal(price_e6) / _E6
        factor = Decimal(self.rate_e6) / _E6 * Decimal(self.multiplier_e6) / _E6
        whole = factor * (Decimal(size_e6) / _E6) * price * (1 - price)
        return whole if is_taker else whole * _MAKER_SHARE.get(self.kind, Decimal(1))


class KalshiOrderFee:
    """The fee accumulator of one order, over its taker and maker fills."""

    __slots__ = ("_overpaid", "_terms")

    def __init__(self, terms: KalshiFeeTerms) -> None:
        self._terms = terms
        self._overpaid = Decimal(0)

    def charge_e6(self, price_e6: int, size_e6: int, value_e6: int, *, is_taker: bool) -> int:
        """The fee of the next fill, in 1e-6 dollars; never negative. `value_e6`: what the fill
        itself moves, signed.
        """
        raw = self._terms.raw(price_e6, size_e6, is_taker=is_taker)
        value = Decimal(value_e6) / _E6
        exact = value - raw
        moved = -((-exact / _GRID).to_integral_value(ROUND_CEILING) * _GRID)
        fee = value - moved
        self._overpaid += fee - raw
        if self._overpaid >= _GRID and fee >= _GRID:
            fee -= _GRID
            self._overpaid -= _GRID
        return int(fee * _E6)


def polymarket_fee_e6(
    *, shares_e6: int, cost_e6: int, rate_e6: int, exponent: int, is_taker: bool = True
) -> int:
    """The fee of one match in 1e-6 pUSD. The price is the taker's own, averaged over the match:
    one figure a transaction.
    """
    if not is_taker or shares_e6 == 0 or rate_e6 == 0:
        return 0
    shares, cost = Decimal(shares_e6), Decimal(cost_e6)
    with localcontext(prec=_DIGITS):  # divided last: a third of a share must not cost a unit
        whole = shares * Decimal(rate_e6) * (cost * (shares - cost)) ** exponent
        fee = whole / (_E6 * _E6 * shares ** (2 * exponent))
        return int(fee.quantize(_CENT_MILLI, ROUND_DOWN) * _E6)
