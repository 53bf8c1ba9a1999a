"""Extreme-probability buyer: the losing side, cheap, with time left and no trend against it."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, chance_of, judge, side_of, token_touch
from engine.strategies.table import (
    G_NO_QUOTE,
    G_PRICE,
    G_REGIME,
    G_TIME,
    G_UNKNOWN,
    G_Z,
    own_places,
)
from engine.strategies.view import V_DOMINANT, V_LEFT, V_Z, Floats
from shm_layout import LAYOUT_HASH, Words

P_Z, P_LEFT, P_PRICE, P_TREND, P_CONFIDENCE = own_places("extreme_buyer")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def extreme_buyer(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ(−|z|)."""
    z = view[V_Z]
    if not abs(z) >= 0.0:
        return blocked(G_UNKNOWN)
    if not view[V_LEFT] >= params[at + P_LEFT] * 1e-9:
        return blocked(G_TIME)
    if not abs(z) >= params[at + P_Z] * 1e-6:
        return blocked(G_Z)
    if not view[V_DOMINANT] < params[at + P_TREND] * 1e-6:
        return blocked(G_REGIME)
    side = side_of(-z)
    price = token_touch(rows, quote, side)
    if price < 0:
        return blocked(G_NO_QUOTE)
    if price >= params[at + P_PRICE]:
        return blocked(G_PRICE)
    token = chance_of(view, params, at, side, normal_cdf(-abs(z)))
    return judge(rows, quote, side, token, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
