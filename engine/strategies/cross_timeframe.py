"""Cross-timeframe: what 5m, 15m and 1h markets imply for σ should lie on a·τ**b; trade the outlier.

`implied_sigma` and `fit` run in the model, off the hot path; the outlier's view alone is given a
fitted σ, the others keep NaN.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

from numba import njit

from engine.fair import normal_cdf
from engine.strategies.judge import blocked, chance_of, judge_both
from engine.strategies.table import G_OUTLIER, G_TIME, G_TRIGGER, G_UNKNOWN, own_places
from engine.strategies.view import (
    TRIGGER_MODEL,
    V_LEFT,
    V_SIGMA,
    V_SIGMA_FITTED,
    V_SIGMA_IMPLIED,
    V_TRIGGER,
    V_Z,
    Floats,
    is_by,
    spread,
)
from shm_layout import BUY, LAYOUT_HASH, Words

P_OUTLIER, P_CONFIDENCE = own_places("cross_timeframe")
_HALVINGS = 60


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def quantile(probability: float) -> float:
    """Inverse of the normal distribution function by halving; NaN outside (0, 1)."""
    if not 0.0 < probability < 1.0:
        return math.nan
    low, high = -9.0, 9.0
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        if normal_cdf(middle) < probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(cache=True)
def implied_sigma(middle: float, log_distance: float, seconds: float) -> float:
    """σ per √second at which a market's middle price is right; NaN if none is (the price is on the
    other side of a half than the expected settlement value is of the strike).
    """
    q = quantile(middle)
    if not seconds > 0.0 or not q * log_distance > 0.0:
        return math.nan
    return log_distance / (q * math.sqrt(seconds))


@njit(cache=True, _nrt=False)
def fit(seconds: Floats, sigmas: Floats) -> tuple[int, float, float]:
    """(place of the outlier, its fitted σ, ln(its σ / fitted)) of a·τ**b through all by least
    squares in logarithms; (-1, NaN, NaN) with fewer than three, or one unknown.
    """
    count = len(seconds)
    if count < 3:
        return -1, math.nan, math.nan
    mean_x, mean_y = 0.0, 0.0
    for i in range(count):
        if not (seconds[i] > 0.0 and sigmas[i] > 0.0):
            return -1, math.nan, math.nan
        mean_x += math.log(seconds[i]) / count
        mean_y += math.log(sigmas[i]) / count
    above, below = 0.0, 0.0
    for i in range(count):
        x = math.log(seconds[i]) - mean_x
        above += x * (math.log(sigmas[i]) - mean_y)
        below += x * x
    if not below > 0.0:
        return -1, math.nan, math.nan
    worst, fitted, most = -1, math.nan, -1.0
    for i in range(count):
        line = mean_y + above / below * (math.log(seconds[i]) - mean_x)
        if abs(math.log(sigmas[i]) - line) > most:
            worst, fitted, most = i, math.exp(line), abs(math.log(sigmas[i]) - line)
    return worst, fitted, math.log(sigmas[worst] / fitted)


@njit(cache=True, _nrt=False)
def cross_timeframe(
    view: Floats, rows: Words, quote: int, off_e6: int, params: Words, at: int
) -> tuple[int, int, int, int, int]:
    """Answer as in `engine.strategies`; their figure is Φ(z) at the fitted σ."""
    if not is_by(view[V_TRIGGER], TRIGGER_MODEL):
        return blocked(G_TRIGGER)
    if not view[V_LEFT] > 0.0:
        return blocked(G_TIME)
    implied, fitted = view[V_SIGMA_IMPLIED], view[V_SIGMA_FITTED]
    if not (implied > 0.0 and fitted > 0.0):
        return blocked(G_UNKNOWN)
    if not abs(math.log(implied / fitted)) >= params[at + P_OUTLIER] * 1e-6:
        return blocked(G_OUTLIER)
    theirs = normal_cdf(view[V_Z] * spread(view, view[V_SIGMA]) / spread(view, fitted))
    yes = chance_of(view, params, at, BUY, theirs)
    return judge_both(rows, quote, yes, params[at + P_CONFIDENCE] * 1e-6, off_e6, params, at)
