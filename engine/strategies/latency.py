"""Latency: spot has just traded and the quotes have not followed; either side."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, is_ours, judge_both
from engine.strategies.table import G_TIME, G_TRIGGER, own_places
from engine.strategies.view import TRIGGER_SPOT, V_FAIR, V_LEFT, V_TRIGGER, V_Z, Floats, is_by
from shm_layout import LAYOUT_HASH, Words

(P_CONFIDENCE,) = own_places("latency")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def latency(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ(z)."""
    if not is_by(view[V_TRIGGER], TRIGGER_SPOT):
        return blocked(G_TRIGGER)
    if not view[V_LEFT] > 0.0:
        return blocked(G_TIME)
    yes = view[V_FAIR] if is_ours(params, at) else normal_cdf(view[V_Z])
    return judge_both(rows, quote, yes, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
