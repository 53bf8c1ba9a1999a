"""Distance fade: spot is clearly off the strike and quotes lag; buy the side spot is on."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

from numba import njit

from engine.strategies.judge import blocked, chance_of, judge, side_of
from engine.strategies.table import G_DISTANCE, G_TIME, G_UNKNOWN, own_places
from engine.strategies.view import V_DISTANCE, V_FRACTION, V_LEFT, Floats
from shm_layout import LAYOUT_HASH, Words

P_DISTANCE, P_SCALE, P_CONFIDENT = own_places("distance_fade")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def their_fair(off_strike: float, fraction_left: float, scale: float) -> float:
    """The token on spot's side by their formula; `off_strike` is |d|."""
    grown = 0.5 + 0.4 * math.tanh(off_strike / scale) + 0.15 * (1.0 - fraction_left)
    return min(max(grown, 0.02), 0.98)


@njit(cache=True, _nrt=False)
def distance_fade(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`: the whole window, |d| above the gate."""
    off_strike = abs(view[V_DISTANCE])
    if not off_strike >= 0.0:
        return blocked(G_UNKNOWN)
    if not view[V_LEFT] > 0.0:
        return blocked(G_TIME)
    if not off_strike > params[at + P_DISTANCE] * 1e-9:
        return blocked(G_DISTANCE)
    side = side_of(view[V_DISTANCE])
    theirs = their_fair(off_strike, view[V_FRACTION], params[at + P_SCALE] * 1e-9)
    token = chance_of(view, params, at, side, theirs)
    confidence = min(max(off_strike / (params[at + P_CONFIDENT] * 1e-9), 0.3), 1.0)
    return judge(rows, quote, side, token, confidence, off_e6, params, at)
