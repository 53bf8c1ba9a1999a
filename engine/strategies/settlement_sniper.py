"""Settlement sniper: late, far from the strike and not coming back: nearly decided.

Distance is that of the expected settlement value: spot on one side of the strike decides nothing
once most of the settlement's ticks are known to be on the other.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

from numba import njit

from engine.strategies.judge import blocked, chance_of, judge, side_of
from engine.strategies.table import (
    FAIR_THEIRS,
    G_DISTANCE,
    G_REVERSAL,
    G_TABLE,
    G_TIME,
    G_UNKNOWN,
    S_FAIR,
    own_places,
)
from engine.strategies.view import V_DISTANCE, V_LEFT, V_VELOCITY, Floats
from shm_layout import LAYOUT_HASH, Words

P_LEFT_MIN, P_LEFT_MAX, P_DISTANCE, P_REVERSAL, P_CONFIDENCE = own_places("settlement_sniper")
FAR, MIDDLE, NEAR = 0.001471, 0.000735, 0.000588  # |d|: $100, $50, $40 at BTC 68,000


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def their_fair(off_strike: float, left: float) -> float:
    """Their table; NaN where it has no entry (the nearest distance, 30 to 60 s before the
    close)."""
    if left >= 90.0:
        return math.nan
    column = 0 if left < 30.0 else 1 if left < 60.0 else 2
    if off_strike > FAR:
        return (0.97, 0.95, 0.93)[column]
    if off_strike > MIDDLE:
        return (0.95, 0.92, 0.88)[column]
    if off_strike > NEAR:
        return (0.90, math.nan, 0.85)[column]
    return math.nan


@njit(cache=True, _nrt=False)
def settlement_sniper(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`."""
    distance, left = view[V_DISTANCE], view[V_LEFT]
    if not abs(distance) >= 0.0:
        return blocked(G_UNKNOWN)
    if not params[at + P_LEFT_MIN] * 1e-9 < left < params[at + P_LEFT_MAX] * 1e-9:
        return blocked(G_TIME)
    if not abs(distance) > params[at + P_DISTANCE] * 1e-9:
        return blocked(G_DISTANCE)
    sign = 1.0 if distance > 0.0 else -1.0
    if not -view[V_VELOCITY] * sign < params[at + P_REVERSAL] * 1e-12:
        return blocked(G_REVERSAL)
    side, theirs = side_of(distance), their_fair(abs(distance), left)
    if params[at + S_FAIR] == FAIR_THEIRS and not theirs >= 0.0:
        return blocked(G_TABLE)
    token = chance_of(view, params, at, side, theirs)
    return judge(rows, quote, side, token, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
