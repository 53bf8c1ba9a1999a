"""Why a direction of a pair or set is not opened now, as far as the segment shows it: in the order
in which the detector asks (engine/decide.py, engine/intent.py).

What it does not see is the engine's own business: limits, cooldowns, what is under way (counters of
the detector), and trading state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

import shm_layout as shm
from engine.sizes import token_price
from shm_layout import int_to_text

LEGS = "abcd"
Leg = tuple[np.void | None, np.void | None, Sequence[str], int]  # as `unfit` takes it
ABSENT = "a side is absent"
NO_SIZE = "no legal size"
NOT_APPROVED = "not approved"


def first_unfit(legs: Iterable[Leg]) -> str:
    """Why the first of a row's legs that may not be opened in may not; empty: all may."""
    told = (unfit(name, *leg) for name, leg in zip(LEGS, legs, strict=False))
    return next((why for why in told if why), "")


def unfit(
    name: str,
    identity: np.void | None,
    quote: np.void | None,
    trust: Sequence[str],
    run_ns: int,
) -> str:
    """Why a leg's market may not be opened in now; empty: it may. `trust`: why its quote proves
    nothing."""
    if quote is None or identity is None:
        return f"{name}: no quote"
    if identity["settlement_rule"]:
        if run_ns < identity["open_epoch_ns"]:
            return f"{name}: not begun"
        if 0 < quote["close_epoch_ns"] <= run_ns:
            return f"{name}: over"
    if trust:
        return f"{name}: {', '.join(trust)}"
    if quote["status"] != shm.ST_ACTIVE:
        status = int(quote["status"])
        known = shm.MARKET_STATUS[status] if 0 <= status < len(shm.MARKET_STATUS) else str(status)
        return f"{name}: {known}"
    return f"{name}: crossed" if quote["bids"][0] >= quote["asks"][0] else ""


def left_out(wanted_e6: int, left_e6: int | None, pays_e6: int) -> str:
    """Why what is left of an edge is not taken; empty: it is."""
    if left_e6 is None:
        return ABSENT
    if left_e6 < wanted_e6:
        return f"below {int_to_text(wanted_e6 // 100, 2)}c"
    return "" if pays_e6 else NO_SIZE


def touch_out(quotes: Sequence[np.void], sides: Sequence[int], parameters: np.void) -> str:
    """Why these touches are not taken whatever they leave (band, spread, too little there); empty:
    they may be. A limit may lie deeper than the touch."""
    for name, quote, side in zip(LEGS, quotes, sides, strict=False):
        bid, ask = int(quote["bids"][0]), int(quote["asks"][0])
        price, size = (int(x) for x in quote["asks" if side == shm.BUY else "bids"][:2])
        if not parameters["price_low_e6"] <= price <= parameters["price_high_e6"]:
            return f"{name}: beyond the band"
        if min(ask - bid, shm.E6) > parameters["spread_max_e6"]:
            return f"{name}: wide spread"
        if int(token_price(price, side)) * size // shm.E6 < parameters["liquidity_min_e6"]:
            return f"{name}: thin touch"
    return ""
