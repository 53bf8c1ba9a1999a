"""Strike misalignment: the tick that became the strike was off the mean price around it; early,
fair value is that of the mean.

|φ(z)·ε/(VWAP·σ√τ)| is what the misalignment ε moves the probability by; ε/VWAP is taken as
−ln(VWAP/K): the same to the second order of a small number, and odd.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, chance_of, judge_both
from engine.strategies.table import G_MISALIGNMENT, G_TIME, G_TRIGGER, G_UNKNOWN, own_places
from engine.strategies.view import (
    TRIGGER_SPOT,
    V_ELAPSED,
    V_MEAN_DISTANCE,
    V_SECONDS,
    V_SIGMA,
    V_TRIGGER,
    V_Z,
    Floats,
    density,
    is_by,
    spread,
)
from shm_layout import BUY, LAYOUT_HASH, Words

P_ELAPSED, P_SHIFT, P_CONFIDENCE = own_places("misalignment")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def misalignment(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ of the mean's distance."""
    if not is_by(view[V_TRIGGER], TRIGGER_SPOT):
        return blocked(G_TRIGGER)
    if not 0.0 <= view[V_ELAPSED] <= params[at + P_ELAPSED] * 1e-9:
        return blocked(G_TIME)
    if not (view[V_SIGMA] > 0.0 and view[V_SECONDS] > 0.0):
        return blocked(G_UNKNOWN)
    z = view[V_MEAN_DISTANCE] / spread(view, view[V_SIGMA])
    if not abs(z) >= 0.0:
        return blocked(G_UNKNOWN)
    if not density(view[V_Z]) * abs(z) >= params[at + P_SHIFT] * 1e-6:
        return blocked(G_MISALIGNMENT)
    yes = chance_of(view, params, at, BUY, normal_cdf(z))
    return judge_both(rows, quote, yes, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
