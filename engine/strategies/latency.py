"""Latency: spot has just traded, quotes have not followed; the side that this made worth more.

A touch that was priced before our probability moved is late; one that was priced since, or that
only disagrees with us, is not. In Kalshi's recorded sessions the market's middle went 4.7 cents
(±0.7) our way within 2 s where our probability had moved by 2 cents since the touch was priced, and
where it had moved by less than one it went nowhere.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, chance_of, judge, side_of, token_of
from engine.strategies.table import G_LAG, G_TIME, G_TRIGGER, G_UNKNOWN, own_places
from engine.strategies.view import (
    TRIGGER_SPOT,
    V_LEFT,
    V_MOVED,
    V_TRIGGER,
    V_Z,
    Floats,
    is_by,
)
from shm_layout import LAYOUT_HASH, Words

P_CONFIDENCE, P_MOVED = own_places("latency")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def latency(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ(z)."""
    moved = view[V_MOVED]
    if not is_by(view[V_TRIGGER], TRIGGER_SPOT):
        return blocked(G_TRIGGER)
    if not view[V_LEFT] > 0.0:
        return blocked(G_TIME)
    if not abs(moved) >= 0.0:
        return blocked(G_UNKNOWN)
    if not abs(moved) >= params[at + P_MOVED] * 1e-6:
        return blocked(G_LAG)
    side = side_of(moved)
    token = chance_of(view, params, at, side, token_of(side, normal_cdf(view[V_Z])))
    return judge(rows, quote, side, token, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
