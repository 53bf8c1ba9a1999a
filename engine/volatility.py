"""How much a price moves, from its past: pure estimators (reference spot 7.1).

Returns are logarithmic, of mids, around zero. An estimator yields a variance: per second from
irregular ticks, per bar from bars; `annual` and `per_second` are the only conversions. A year has
365 days. What has too few returns is NaN: unknown is not guessed.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from math import exp, log, nan, pi, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from shm_layout import LAYOUT_HASH

YEAR_S = 31_536_000
YEAR_BARS = {"1s": YEAR_S, "1m": 525_600, "5m": 105_120, "1h": 8_760, "1d": 365}
# Seconds between the ticks that are looked at, and until one counts half. Chainlink's BTC/USD of
# 2026-06-08 moved by 0.37 a year from one second to the next, by 0.53 over 10 s, 0.55 over 60 s:
# most of what makes a Gaussian "too sure" is a volatility from one-second returns.
SAMPLE_S = 10.0
HALF_LIFE_S = 600.0
_BIPOWER = pi / 2
_MEDIAN = pi / (6 - 4 * sqrt(3) + pi)
_LEAST = pi / (pi - 2)
_GK = 2 * log(2) - 1
FLOATS = NDArray[np.float64]


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def annual(variance: float, in_a_year: float) -> float:
    """Volatility a year (0.5: 50 %) from a variance of which the year has `in_a_year` parts."""
    return sqrt(variance * in_a_year)


@njit(cache=True)
def log_returns(prices: FLOATS) -> FLOATS:
    """ln of each price over the one before."""
    found = np.empty(max(len(prices) - 1, 0))
    for i in range(len(found)):
        found[i] = log(prices[i + 1] / prices[i])
    return found


# ---- ticks at any times: variance per second


@njit(cache=True)
def irregular(returns: FLOATS, seconds: FLOATS) -> float:
    """Σ r² / Σ dt."""
    squares, time = 0.0, 0.0
    for i in range(len(returns)):
        squares += returns[i] * returns[i]
        time += seconds[i]
    return squares / time if time > 0 else nan


@njit(cache=True)
def ewma_step(variance: float, change: float, seconds: float, half_life_s: float) -> float:
    """One more return after `seconds` > 0. A variance that is NaN or below 0 is none yet: the first
    return seeds it.
    """
    newest = change * change / seconds
    if not variance >= 0:
        return newest
    weight = 2.0 ** (-seconds / half_life_s)
    return weight * variance + (1 - weight) * newest


@njit(cache=True)
def ewma_tick(
    state: FLOATS, price: float, at_s: float, sample_s: float, half_life_s: float
) -> float:
    """Take one tick into `state` (variance, price and stamp of the last one taken; NaN three times:
    none yet) and return the volatility per root second, NaN before the second one taken.

    A tick less than `sample_s` after the last one taken is left out: an index is smooth from second
    to second, a trade jumps between bid and ask, and neither is what the price will do.
    """
    if not at_s < state[2] + sample_s:
        if state[1] > 0:
            change = log(price / state[1])
            state[0] = ewma_step(state[0], change, at_s - state[2], half_life_s)
        state[1], state[2] = price, at_s
    return sqrt(state[0])


@njit(cache=True)
def ewma(returns: FLOATS, seconds: FLOATS, half_life_s: float) -> float:
    """`ewma_step` over all of them."""
    variance = nan
    for i in range(len(returns)):
        variance = ewma_step(variance, returns[i], seconds[i], half_life_s)
    return variance


@njit(cache=True)
def two_scales(returns: FLOATS, total_s: float, scale: int) -> float:
    """Two-scale realised variance per second (Zhang, Mykland, Ait-Sahalia 2005), unbiased in small
    samples: the mean over the `scale` sub-grids less what noise adds to it. NaN where noise is all.
    """
    n = len(returns)
    if scale < 2 or n < 2 * scale or not total_s > 0:
        return nan
    quick, slow, span = 0.0, 0.0, 0.0
    for i in range(n):
        quick += returns[i] * returns[i]
        span += returns[i]
        if i >= scale:
            span -= returns[i - scale]
        if i >= scale - 1:
            slow += span * span
    mean_count = (n - scale + 1) / scale
    share = mean_count / n
    variance = (slow / scale - share * quick) / (1 - share) / total_s
    return variance if variance > 0 else nan


# ---- bars of one length: variance per bar


@njit(cache=True)
def realised(returns: FLOATS) -> float:
    """Mean of r²."""
    n, total = len(returns), 0.0
    for i in range(n):
        total += returns[i] * returns[i]
    return total / n if n > 0 else nan


@njit(cache=True)
def ewma_bars(returns: FLOATS, decay: float) -> float:
    """v = decay·v + (1 − decay)·r², from the first r² (RiskMetrics: 0.94 for days)."""
    if len(returns) == 0:
        return nan
    variance = returns[0] * returns[0]
    for i in range(1, len(returns)):
        variance = decay * variance + (1 - decay) * returns[i] * returns[i]
    return variance


@njit(cache=True)
def bipower(returns: FLOATS) -> float:
    """From products of neighbours: a single jump hardly counts (Barndorff-Nielsen, Shephard)."""
    n, total = len(returns), 0.0
    if n < 2:
        return nan
    for i in range(1, n):
        total += abs(returns[i]) * abs(returns[i - 1])
    return _BIPOWER * total / (n - 1)


@njit(cache=True)
def least_of_two(returns: FLOATS) -> float:
    """MinRV: of each two neighbours the smaller (Andersen, Dobrev, Schaumburg 2012)."""
    n, total = len(returns), 0.0
    if n < 2:
        return nan
    for i in range(1, n):
        least = min(abs(returns[i]), abs(returns[i - 1]))
        total += least * least
    return _LEAST * total / (n - 1)


@njit(cache=True)
def median_of_three(returns: FLOATS) -> float:
    """MedRV: of each three neighbours the middle one. Two jumps in a row hardly count either."""
    n, total = len(returns), 0.0
    if n < 3:
        return nan
    for i in range(1, n - 1):
        a, b, c = abs(returns[i - 1]), abs(returns[i]), abs(returns[i + 1])
        middle = max(min(a, b), min(max(a, b), c))
        total += middle * middle
    return _MEDIAN * total / (n - 2)


@njit(cache=True)
def jump_share(returns: FLOATS) -> float:
    """Share of the whole variation (the sums, not the means) that bipower variation leaves out."""
    n, squares = len(returns), 0.0
    for i in range(n):
        squares += returns[i] * returns[i]
    if n < 2 or squares <= 0:
        return nan
    return max(0.0, 1 - n * bipower(returns) / squares)


@njit(cache=True)
def jump_bound(n: int, significance: float) -> float:
    """The |r|/σ that the largest of n returns without a jump exceeds with this chance (Gumbel; Lee
    and Mykland 2008). σ is that of a return by `bipower`.
    """
    if n < 3 or not 0 < significance < 1:
        return nan
    root = sqrt(2 * log(n))
    centre = root - (log(pi) + log(log(n))) / (2 * root)
    return centre - log(-log(1 - significance)) / root


# ---- bars with open, high, low and close: variance per bar


@njit(cache=True)
def parkinson(high: FLOATS, low: FLOATS) -> float:
    """From the range alone."""
    n, total = len(high), 0.0
    for i in range(n):
        span = log(high[i] / low[i])
        total += span * span
    return total / (4 * log(2)) / n if n > 0 else nan


@njit(cache=True)
def garman_klass(open_: FLOATS, high: FLOATS, low: FLOATS, close: FLOATS) -> float:
    """From range and body."""
    n, total = len(open_), 0.0
    for i in range(n):
        span, body = log(high[i] / low[i]), log(close[i] / open_[i])
        total += 0.5 * span * span - _GK * body * body
    return total / n if n > 0 else nan


@njit(cache=True)
def rogers_satchell(open_: FLOATS, high: FLOATS, low: FLOATS, close: FLOATS) -> float:
    """From range and body, right also with a trend."""
    n, total = len(open_), 0.0
    for i in range(n):
        total += log(high[i] / open_[i]) * log(high[i] / close[i])
        total += log(low[i] / open_[i]) * log(low[i] / close[i])
    return total / n if n > 0 else nan


@njit(cache=True)
def _sample_variance(values: FLOATS) -> float:
    """Around their mean, over one less than their number."""
    mean, total = 0.0, 0.0
    for value in values:
        mean += value
    mean /= len(values)
    for value in values:
        total += (value - mean) * (value - mean)
    return total / (len(values) - 1)


@njit(cache=True)
def yang_zhang(open_: FLOATS, high: FLOATS, low: FLOATS, close: FLOATS) -> float:
    """From gaps, bodies and ranges, over the second bar to the last: the first has no gap."""
    n = len(open_) - 1
    if n < 2:
        return nan
    gaps, bodies = np.empty(n), np.empty(n)
    for i in range(n):
        gaps[i] = log(open_[i + 1] / close[i])
        bodies[i] = log(close[i + 1] / open_[i + 1])
    share = 0.34 / (1.34 + (n + 1) / (n - 1))
    ranges = rogers_satchell(open_[1:], high[1:], low[1:], close[1:])
    return _sample_variance(gaps) + share * _sample_variance(bodies) + (1 - share) * ranges


@njit(cache=True)
def blended(variance: float, start: float, seconds: float, half_life_s: float) -> float:
    """A start-up variance (from history) and the one seen since, by how long that is: all of the
    start at first, half after a half-life. NaN seen: the start alone.
    """
    if not variance >= 0:
        return start
    weight = exp(-log(2.0) * seconds / half_life_s)
    return weight * start + (1 - weight) * variance
