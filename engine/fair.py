"""Fair value of YES under the settlement rule of that very market: pure functions, all floats.

Units: prices in dollars of the index, `sigma` per square root of a second, times in seconds from
the stamp of `spot` (not from now: what is known of the price is as old as its stamp). No drift and
no rate: below an hour both are far below the noise (reference spot 7). A chance is a float until
`fair_e6` rounds it against us; what cannot be known is NaN, and NaN never becomes a price.

One formula serves the average before and inside its window: with k ticks still to come, the first
in a seconds, of n in all, the variance of the average is (spot·sigma)²·V,
V = (k²·a + k(k−1)(2k−1)/6) / n². A tick that should have come and did not is not made up: it may
lie off by the whole way that spot has gone since, and all such ticks off the same way. What a
published TWAP is off the mean of its ticks (`LEAST`) stays when all of them are known.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from math import ceil, erfc, exp, floor, isnan, log, nan, sqrt

from numba import njit

from engine.basis import LEAST
from engine.fair_rules import (
    ABOVE,
    AT_LEAST,
    AT_MOST,
    BELOW,
    BETWEEN,
    MEAN,
    POINT,
    TIE_HALVES,
    TWAP,
)
from shm_layout import BUY, E6, LAYOUT_HASH, NO_ASK_E6, NO_BID_E6

YEAR_S = 31_536_000  # 365 days (reference spot 7.1)
CAP = 0.01  # no chance of ours is below it or above 1 − it
# How much wider than the Gaussian's the deviation must be, by seconds to the close, so that chances
# come true as often as they say (`python -m bench calibration`); between the points in proportion.
# So little with a volatility of 10 s samples: one of 1 s samples wants 1.3 to 1.5.
WIDEN_AT_S = (60.0, 240.0)
WIDEN = (1.0, 1.1)
_ROOT_HALF = sqrt(0.5)
_FAR_S = 10 * YEAR_S  # no market closes later


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def normal_cdf(z: float) -> float:
    """Chance that a standard normal is below z; exact in both tails."""
    return 0.5 * erfc(-z * _ROOT_HALF)


@njit(cache=True)
def per_root_second(sigma_annual: float) -> float:
    """A volatility per year (0.5: 50 %) as one per square root of a second. The only conversion."""
    return sigma_annual / sqrt(YEAR_S)


@njit(cache=True)
def step(distance: float) -> float:
    """The chance when nothing is left to chance: 1 above, 0 below, 0.5 on the line."""
    return 1.0 if distance > 0 else 0.0 if distance < 0 else 0.5


@njit(cache=True)
def digital(spot: float, strike: float, deviation: float) -> float:
    """Chance that spot ends above strike, N(d2), with `deviation` = sigma·√seconds left."""
    if deviation <= 0:
        return step(spot - strike)
    return normal_cdf(log(spot / strike) / deviation - 0.5 * deviation)


@njit(cache=True)
def average_variance(first_s: float, coming: int, n: int) -> float:
    """V of `coming` ticks a second apart, the first in `first_s`, in an average of n."""
    ramp = coming * (coming - 1) * (2 * coming - 1) / 6
    return (coming * coming * first_s + ramp) / (n * n)


@njit(cache=True)
def coming_ticks(last_s: float, known_count: int, n: int) -> int:
    """How many of n ticks, the last in `last_s` seconds, are unknown and stamped after spot."""
    return max(0, min(n - known_count, ceil(last_s)))


@njit(cache=True)
def average_terms(
    spot: float,
    sigma: float,
    last_s: float,
    known_sum: float,
    known_count: int,
    n: int,
    hole_age_s: float,
) -> tuple[float, float]:
    """Mean and standard deviation of an average of n ticks, the last of them in `last_s` seconds.

    `known_sum` holds the `known_count` ticks that came. Ticks stamped up to spot that did not come
    are expected at spot and off by what spot moves in `hole_age_s` (how old the oldest of them is;
    n if not known).
    """
    coming = coming_ticks(last_s, known_count, n)
    holes = n - known_count - coming
    mean = (known_sum + (n - known_count) * spot) / n
    variance = average_variance(last_s - coming + 1, coming, n)
    if holes > 0:
        variance += holes * holes * max(hole_age_s, 1.0) / (n * n)
    return mean, spot * sigma * sqrt(variance)


@njit(cache=True)
def chance_above(mean: float, strike: float, deviation: float) -> float:
    """Chance that a normal of this mean and deviation, all in dollars, ends above strike."""
    if deviation <= 0:
        return step(mean - strike)
    return normal_cdf((mean - strike) / deviation)


@njit(cache=True)
def effective_strike(strike: float, compare: int, half_tick: float) -> float:
    """K_eff: the unrounded value from which on the rounded one passes (or for BELOW and AT_MOST
    fails) the comparison. `half_tick`: half a unit of the settlement's last digit, 0: not rounded.
    """
    if compare in (AT_LEAST, BELOW):
        return strike - half_tick
    if compare in (ABOVE, AT_MOST):
        return strike + half_tick
    return strike


@njit(cache=True)
def fair_yes(
    kind: int,
    compare: int,
    half_tick: float,
    n: int,
    spot: float,
    sigma: float,
    seconds: float,
    strike: float,
    upper: float,
    known_sum: float,
    known_count: int,
    hole_age_s: float,
    proxy_count: int,
    error: float,
    widen: float,
    cap: float,
) -> float:
    """Chance that YES wins, in [cap, 1 − cap], or NaN where the rule or an input is not known.

    `kind`, `compare`, `half_tick` and `n` are the market's rule (`fair_rules`); `seconds` from the
    stamp of spot to the close; `upper` is the cap of a BETWEEN, else unused; the known ticks are
    those of the average (MEAN, TWAP), else 0, and `proxy_count` of them are a composite's, not the
    index's own; `error` is what spot or composite may be off the index by, as a share of it (1e-4:
    1 bp), added in quadrature; `widen` multiplies the deviation of what is still to come (1: the
    plain Gaussian, which is too sure; `widening`).
    """
    is_told = spot > 0 and sigma > 0 and strike > 0 and widen > 0 and -YEAR_S < seconds < _FAR_S
    if not (is_told and error >= 0 and half_tick >= 0 and known_sum >= 0 and hole_age_s >= 0):
        return nan
    low = effective_strike(strike, AT_LEAST if compare == BETWEEN else compare, half_tick)
    high = upper + half_tick
    if kind == POINT:
        way = widen * sigma
        deviation = sqrt(way * way * max(seconds, 0.0) + error * error)
        above = digital(spot, low, deviation)
        beyond = digital(spot, high, deviation) if compare == BETWEEN else 0.0
    elif (kind in (MEAN, TWAP)) and n > 0 and 0 <= known_count <= n:
        last_s = seconds - 1.0 if kind == MEAN else seconds
        mean, way = average_terms(spot, sigma, last_s, known_sum, known_count, n, hole_age_s)
        off = average_error(kind, spot, mean, error, n, known_count - proxy_count)
        deviation = sqrt(widen * widen * way * way + off * off)
        above = chance_above(mean, low, deviation)
        beyond = chance_above(mean, high, deviation) if compare == BETWEEN else 0.0
    else:
        return nan
    if compare in (AT_LEAST, ABOVE, TIE_HALVES):
        return capped(above, cap)
    if compare in (BELOW, AT_MOST):
        return capped(1.0 - above, cap)
    if compare == BETWEEN and upper >= strike:
        return capped(above - beyond, cap)
    return nan


@njit(cache=True, _nrt=False)
def average_error(
    kind: int, spot: float, mean: float, error: float, n: int, told_count: int
) -> float:
    """Dollars that an average may be off whatever the price does: `error` (a share of spot) of the
    ticks that the index did not tell, and what a published TWAP is off its own ticks."""
    off = error * spot * (n - told_count) / n
    never = LEAST * mean if kind == TWAP else 0.0
    return sqrt(off * off + never * never)


@njit(cache=True)
def widening(seconds: float) -> float:
    """`widen` for so many seconds to the close."""
    if seconds <= WIDEN_AT_S[0]:
        return WIDEN[0]
    for i in range(1, len(WIDEN)):
        if seconds < WIDEN_AT_S[i]:
            share = (seconds - WIDEN_AT_S[i - 1]) / (WIDEN_AT_S[i] - WIDEN_AT_S[i - 1])
            return WIDEN[i - 1] + share * (WIDEN[i] - WIDEN[i - 1])
    return WIDEN[-1]


@njit(cache=True)
def fair_before_start(
    spot: float,
    sigma: float,
    start_s: float,
    window_s: float,
    known_sum: float,
    known_count: int,
    n: int,
    half_tick: float,
    widen: float,
    cap: float,
) -> float:
    """Chance of Up before the strike is known: the average at the end, at least that at the start.

    `start_s`: seconds from the stamp of spot to the last tick of the average at the start, above −1
    (Kalshi's is stamped a second before the window opens); `window_s` from there to that of the
    average at the end (at least n: the two do not overlap).
    `known_*` are the ticks of the start's average that came. The strike moves with spot as well,
    so only what comes after it counts.
    """
    if not (spot > 0 and sigma > 0 and widen > 0 and window_s >= n > 0 and start_s > -1):
        return nan
    if not 0 <= known_count <= n:
        return nan
    coming = n - known_count
    first_s = max(start_s - coming + 1, 0.0)
    begin = average_variance(first_s, coming, n)
    end = average_variance(start_s + window_s - n + 1, n, n)
    shared = (coming * first_s + coming * (coming - 1) / 2) / n
    ahead = (known_count * spot - known_sum) / n
    deviation = widen * spot * sigma * sqrt(max(begin + end - 2 * shared, 0.0))
    return capped(chance_above(ahead, -half_tick, deviation), cap)


@njit(cache=True)
def capped(chance: float, cap: float) -> float:
    """The chance within [cap, 1 − cap]; NaN stays NaN."""
    if isnan(chance):
        return chance
    return min(max(chance, cap), 1.0 - cap)


@njit(cache=True)
def fair_e6(chance: float, side: int) -> int:
    """A chance as a price in 1e-6 for who takes YES on this side, rounded against him: down for a
    buyer, up for a seller. NaN: a price at which nobody trades.
    """
    if side == BUY:
        return NO_BID_E6 if isnan(chance) else floor(chance * E6)
    return NO_ASK_E6 if isnan(chance) else ceil(chance * E6)


@njit(cache=True)
def near_extremes(chance: float, spot: float, target: float, high: float, low: float) -> float:
    """For long-dated targets, if wanted: the chance of getting to `target`, made smaller beyond
    what was ever seen (all-time `high` and `low`; reference strategies). Else as it was.
    """
    if spot < target and target > high > 0:
        return chance / (1 + 2 * (target - high) / high)
    if spot > target and 0 < target < low:
        return chance / (1 + 2 * (low - target) / low)
    return chance


@njit(cache=True)
def time_counted_twice(chance: float, years: float, is_on: bool) -> float:
    """exp(−2·years) times a chance that contains time already. Earlier engines had it; it has no
    reason. The switch is off wherever nobody turned it on, and so named that nobody will.
    """
    return chance * exp(-2 * years) if is_on else chance
