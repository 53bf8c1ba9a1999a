"""Certainty capture: the settlement is many standard deviations off the strike and the likely side
still costs less than that is worth. The surer, the more may be staked.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, chance_of, judge, side_of
from engine.strategies.table import G_TIME, G_TRIGGER, G_UNKNOWN, G_Z, S_CAP, own_places
from engine.strategies.view import TRIGGER_QUOTE, V_LEFT, V_TRIGGER, V_Z, Floats, is_by
from shm_layout import LAYOUT_HASH, Words

P_LOW, P_MIDDLE, P_HIGH, P_CAP_LOW, P_CAP_MIDDLE, P_CONFIDENCE = own_places("certainty")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def tier_cap_e6(view: Floats, params: Words, at: int) -> int:
    """Share of the bankroll that one order may take at this |z|."""
    off = abs(view[V_Z])
    if off > params[at + P_HIGH] * 1e-6:
        return params[at + S_CAP]
    return params[at + (P_CAP_MIDDLE if off > params[at + P_MIDDLE] * 1e-6 else P_CAP_LOW)]


@njit(cache=True, _nrt=False)
def certainty(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ(|z|)."""
    z = view[V_Z]
    if not is_by(view[V_TRIGGER], TRIGGER_QUOTE):
        return blocked(G_TRIGGER)
    if not abs(z) >= 0.0:
        return blocked(G_UNKNOWN)
    if not view[V_LEFT] > 0.0:
        return blocked(G_TIME)
    if not abs(z) >= params[at + P_LOW] * 1e-6:
        return blocked(G_Z)
    side = side_of(z)
    token = chance_of(view, params, at, side, normal_cdf(abs(z)))
    return judge(rows, quote, side, token, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
