"""The one view every strategy sees: a float64 row of a market's cells, beside its QUOTE row.

Floats are for gates and probabilities; money stays in integers: a probability becomes `_e6`,
rounded against us, before it meets a price (`judge.py`). NaN is unknown: each comparison with it
is false, so a strategy that forgets to ask does not fire. What decides is how the market settles:
distance and z are those of the expected settlement value, which is spot before the averaging
window and nearly fixed at its end, not of the newest price.

Cells are odd or even in YES and NO: distance, z, velocity, net volume, the distance of the 60 s
mean and what fair moved by change their sign for the mirrored market, fair and the middle become
their complement, all else stays.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from engine.flow import F_NET, NEAR_NS, dominant_share, expire, mean_price, trades_near, velocity
from shm_layout import E6, LAYOUT_HASH, Words

Floats = npt.NDArray[np.float64]

(
    V_SPOT,  # dollars: the newest price or index value
    V_STRIKE,  # dollars
    V_DISTANCE,  # (expected settlement value − strike) / strike
    V_Z,  # ln(expected settlement value / strike) in standard deviations of the settlement value,
    # what it may be off whatever the price does among them
    V_SECONDS,  # variance of the settlement value's logarithm in σ²: τ for a point, less for a mean
    V_LEFT,  # τ, seconds to the close
    V_ELAPSED,  # seconds since the window opened
    V_FRACTION,  # of the window still left
    V_SIGMA,  # volatility per √second
    V_FAIR,  # our model's probability of YES, calibrated and capped; the market's share is in it
    V_VELOCITY,  # of spot, fractions of strike per second over 30 s
    V_NET,  # taker bought − sold over 30 s, coins
    V_TRADES,  # trades of 30 s
    V_RATE,  # trades per second, over the whole 30 s
    V_DOMINANT,  # share of the dominant direction of 30 s of price changes
    V_MEAN_DISTANCE,  # ln(60 s volume-weighted price / strike in that product's money)
    V_TRIGGER,  # what made us look: bits of TRIGGER_*
    V_SIGMA_IMPLIED,  # what the market's own middle implies, per √second
    V_SIGMA_FITTED,  # what the windows of other lengths imply for this one
    V_MIDDLE,  # of the market's own quote
    V_SHARE,  # of it in a chance that is bet on
    V_MOVED,  # of our model's probability alone, since the touch last changed its price
    V_ERROR,  # share of itself that the settlement value may be off whatever the price does
) = range(23)
VIEW_CELLS = 24
TRIGGER_SPOT, TRIGGER_QUOTE, TRIGGER_MODEL = 1, 2, 4
UNKNOWN = math.nan


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def density(x: float) -> float:
    """Density of the normal law."""
    return math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


@njit(cache=True, _nrt=False)
def clear(view: Floats) -> None:
    """Everything unknown."""
    for i in range(VIEW_CELLS):
        view[i] = UNKNOWN


@njit(cache=True, _nrt=False)
def show_market(
    view: Floats,
    spot: float,
    strike: float,
    settles_at: float,
    seconds: float,
    left: float,
    length: float,
    sigma: float,
    error: float,
    fair: float,
    trigger: int,
) -> None:
    """Fill what the model knows; the rest stays unknown until `show_flow`.

    `settles_at`: expected settlement value (spot before the averaging window; inside it (sum of the
    known ticks + ticks to come × spot) / n). `seconds`: variance of its logarithm over σ² (spot
    reference 7: τ for a point, τ − 40.5 before a mean of 60, m(m+1)(2m+1)/6n² inside). `left`,
    `length`: seconds. `error`: share of it that the settlement value may be off whatever the price
    does (basis, a published average). `fair`: NaN where the model has none.
    """
    clear(view)
    view[V_SPOT], view[V_STRIKE], view[V_SIGMA] = spot, strike, sigma
    view[V_SECONDS], view[V_LEFT], view[V_FAIR] = seconds, left, fair
    view[V_TRIGGER], view[V_ERROR] = trigger, error
    if length > 0.0:
        view[V_ELAPSED], view[V_FRACTION] = length - left, left / length
    if strike > 0.0 and settles_at > 0.0:
        view[V_DISTANCE] = (settles_at - strike) / strike
        if sigma > 0.0 and seconds > 0.0:
            view[V_Z] = math.log(settles_at / strike) / spread(view, sigma)


@njit(cache=True, _nrt=False)
def spread(view: Floats, sigma: float) -> float:
    """Standard deviation of the settlement value's logarithm at this σ per √second."""
    return math.sqrt(sigma * sigma * view[V_SECONDS] + view[V_ERROR] * view[V_ERROR])


@njit(cache=True)
def middle_of(bid: int, ask: int) -> float:
    """A market's own chance of YES. A side that nobody offers stands at the end of the scale."""
    return (max(bid, 0) + min(ask, E6)) / (2.0 * E6)


@njit(cache=True)
def with_market(chance: float, share: float, middle: float) -> float:
    """A chance in which the market's middle has this share; NaN stays NaN."""
    return chance + share * (middle - chance)


@njit(cache=True, _nrt=False)
def show_flow(
    view: Floats, flow: Words, at: int, now_ns: int, strike_e8: int, level_e8: int
) -> None:
    """Fill what the trades of the last 30 and 60 s say, after those that are older have left; of
    too few to say it, velocity and dominant share stay unknown. `level_e8`: where this product
    stands while the index is at the strike; 0: not known, so neither is its mean's distance."""
    expire(flow, at, now_ns)
    count = trades_near(flow, at)
    view[V_TRADES], view[V_RATE] = count, count / (NEAR_NS / 1e9)
    if strike_e8 < 1:
        return
    view[V_NET] = flow[at + F_NET] / 1e8
    if count >= 2:
        view[V_VELOCITY] = velocity(flow, at, strike_e8)
    share = dominant_share(flow, at)
    if share > 0.0:
        view[V_DOMINANT] = share
    mean = mean_price(flow, at)
    if mean > 0.0 and level_e8 > 0:
        view[V_MEAN_DISTANCE] = math.log(mean / (level_e8 / 1e8))


@njit(cache=True)
def is_by(trigger: float, what: int) -> bool:
    """The update that made us look is (also) of this kind."""
    return trigger >= 0.0 and int(trigger) & what != 0
