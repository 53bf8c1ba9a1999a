"""Model against market: buy or sell where our fair value beats the executable price by enough, and
by enough of its own error.

Confidence is the probability that the edge is above nothing if fair value errs normally: by what a
relative error of σ moves it (φ(z)·|z|·error), and by a floor for all else (calibration).
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, edge_of, judge, worth_e6
from engine.strategies.table import G_TIME, G_UNKNOWN, own_places
from engine.strategies.view import V_FAIR, V_LEFT, V_Z, Floats, density
from shm_layout import BUY, E6, LAYOUT_HASH, SELL, Words

P_SIGMA_ERROR, P_FAIR_ERROR = own_places("model_edge")


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def fair_error(z: float, sigma_error: float, floor: float) -> float:
    """Standard error of a fair value at z."""
    by_sigma = density(z) * abs(z) * sigma_error
    return math.sqrt(by_sigma * by_sigma + floor * floor)


@njit(cache=True, _nrt=False)
def model_edge(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; there is no figure but ours."""
    if not view[V_LEFT] > 0.0:
        return blocked(G_TIME)
    yes = view[V_FAIR]
    error = fair_error(
        view[V_Z], params[at + P_SIGMA_ERROR] * 1e-6, params[at + P_FAIR_ERROR] * 1e-6
    )
    if not (0.0 <= yes <= 1.0 and error > 0.0):
        return blocked(G_UNKNOWN)
    buy = edge_of(rows, quote, BUY, worth_e6(yes), off_e6)
    sell = edge_of(rows, quote, SELL, worth_e6(1.0 - yes), off_e6)
    side = BUY if buy >= sell else SELL
    confidence = normal_cdf(max(buy, sell) / E6 / error)
    token = yes if side == BUY else 1.0 - yes
    return judge(rows, quote, side, token, confidence, off_e6, params, at)
