"""The fee of a match from its amounts, exact: an average price cut to 1e-6 can be a unit off.

Polymarket charges one figure a transaction, at the taker's own price averaged over the match, cut
to 1e-5 (polymarket reference 11): 164.297297 shares for $59.57 cost $2.65800, at 0.362574 they
would $2.65799. Pure.
"""

from __future__ import annotations

from engine.facts import Facts
from engine.fees import charged_as
from shm_layout import E6, ROUND_DOWN, ROUND_HALF_EVEN


def fee_of(notional_e6: int, size_e6: int, facts: Facts) -> int:
    """rate·C·(p·(1−p))**exponent of `size_e6` contracts for `notional_e6` dollars, in 1e-6 dollars
    as the market rounds it; 0 for no contracts.
    """
    if size_e6 <= 0:
        return 0
    rate_e6, exponent, unit_e6, mode = charged_as(
        facts.fee_kind, facts.rate_e6, facts.exponent, facts.fee_unit_e6, facts.fee_mode
    )
    spread = notional_e6 * max(size_e6 - notional_e6, 0)
    whole = E6 * size_e6 ** (2 * exponent) * unit_e6
    units, rest = divmod(rate_e6 * size_e6 * spread**exponent, whole)
    if mode == ROUND_DOWN:
        up = False
    elif mode == ROUND_HALF_EVEN:
        up = 2 * rest > whole or (2 * rest == whole and units % 2 == 1)
    else:
        up = rest > 0
    charged_e6: int = (units + up) * unit_e6
    return charged_e6
