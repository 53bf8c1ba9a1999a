"""Convexity fade: near the strike quotes move more than spot deserves; back towards fair value,
unless spot trends.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, chance_of, judge_both
from engine.strategies.table import (
    G_DISTANCE,
    G_REGIME,
    G_TIME,
    G_TRIGGER,
    G_UNKNOWN,
    own_places,
)
from engine.strategies.view import (
    TRIGGER_QUOTE,
    V_DISTANCE,
    V_DOMINANT,
    V_LEFT,
    V_TRIGGER,
    V_Z,
    Floats,
    is_by,
)
from shm_layout import BUY, LAYOUT_HASH, Words

P_DISTANCE, P_LEFT, P_TREND, P_CONFIDENCE = own_places("convexity_fade")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def convexity_fade(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ(z)."""
    if not is_by(view[V_TRIGGER], TRIGGER_QUOTE):
        return blocked(G_TRIGGER)
    if not abs(view[V_DISTANCE]) >= 0.0:
        return blocked(G_UNKNOWN)
    if not view[V_LEFT] >= params[at + P_LEFT] * 1e-9:
        return blocked(G_TIME)
    if not abs(view[V_DISTANCE]) <= params[at + P_DISTANCE] * 1e-9:
        return blocked(G_DISTANCE)
    if not view[V_DOMINANT] < params[at + P_TREND] * 1e-6:
        return blocked(G_REGIME)
    yes = chance_of(view, params, at, BUY, normal_cdf(view[V_Z]))
    return judge_both(rows, quote, yes, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
