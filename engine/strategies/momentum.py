"""Momentum: strong one-sided flow towards the side spot is on, and quotes lag."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.strategies.judge import blocked, chance_of, judge, side_of, token_touch
from engine.strategies.table import (
    G_DISTANCE,
    G_NET,
    G_NO_QUOTE,
    G_PRICE,
    G_TIME,
    G_TRADES,
    G_UNKNOWN,
    G_VELOCITY,
    own_places,
)
from engine.strategies.view import (
    V_DISTANCE,
    V_FRACTION,
    V_NET,
    V_RATE,
    V_TRADES,
    V_VELOCITY,
    Floats,
)
from shm_layout import LAYOUT_HASH, Words

P_FRACTION, P_DISTANCE, P_TRADES, P_VELOCITY, P_PRICE, P_THEIRS = own_places("momentum")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def gate_of(view: Floats, params: Words, at: int) -> int:
    """The first gate on time, distance and flow that blocks; 0: none."""
    distance = view[V_DISTANCE]
    if not abs(distance) >= 0.0:
        return G_UNKNOWN
    if not view[V_FRACTION] > params[at + P_FRACTION] * 1e-6:
        return G_TIME
    if not abs(distance) > params[at + P_DISTANCE] * 1e-9:
        return G_DISTANCE
    if not view[V_TRADES] >= params[at + P_TRADES]:
        return G_TRADES
    sign = 1.0 if distance > 0.0 else -1.0
    if not view[V_VELOCITY] * sign > params[at + P_VELOCITY] * 1e-12:
        return G_VELOCITY
    return 0 if view[V_NET] * sign > 0.0 else G_NET


@njit(cache=True, _nrt=False)
def momentum(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`: not in the last part of the window, the token still
    cheap."""
    gate = gate_of(view, params, at)
    if gate:
        return blocked(gate)
    side = side_of(view[V_DISTANCE])
    price = token_touch(rows, quote, side)
    if price < 0:
        return blocked(G_NO_QUOTE)
    if price >= params[at + P_PRICE]:
        return blocked(G_PRICE)
    token = chance_of(view, params, at, side, params[at + P_THEIRS] * 1e-6)
    confidence = min(max(view[V_RATE], 0.3), 0.8)
    return judge(rows, quote, side, token, confidence, off_e6, params, at)
