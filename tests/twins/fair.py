"""Fair values in plain Python, from the definitions: every tick's time, every pair of ticks."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, log, sqrt
from statistics import NormalDist

_NORMAL = NormalDist()
AT_LEAST, ABOVE, BELOW, AT_MOST, BETWEEN, TIE_HALVES = range(1, 7)
TWAP_OFF = 0.35e-4  # of the price: a published TWAP off the mean of its ticks (reference spot 5.3)


def chance_above(mean: float, strike: float, deviation: float) -> float:
    """N((mean − strike)/deviation), by the smaller tail."""
    if deviation <= 0:
        return 1.0 if mean > strike else 0.0 if mean < strike else 0.5
    z = (mean - strike) / deviation
    return 1 - _NORMAL.cdf(-z) if z > 0 else _NORMAL.cdf(z)


def variance(offsets: Sequence[float], n: int) -> float:
    """V = (1/n²) Σ_ij min(u_i, u_j)."""
    return sum(min(a, b) for a in offsets for b in offsets) / n**2


def offsets(last_s: float, known_count: int, n: int) -> list[float]:
    """Seconds from spot to each tick that is stamped after it and not known."""
    ahead = [last_s - k for k in range(n) if last_s - k > 0]
    return sorted(ahead)[-(n - known_count) :] if known_count < n else []


def average_terms(
    spot: float,
    sigma: float,
    last_s: float,
    known_sum: float,
    known_count: int,
    n: int,
    hole_age_s: float,
) -> tuple[float, float]:
    """Mean and deviation of the average."""
    ahead = offsets(last_s, known_count, n)
    holes = n - known_count - len(ahead)
    mean = (known_sum + (n - known_count) * spot) / n
    v = variance(ahead, n) + holes**2 * max(hole_age_s, 1.0) / n**2
    return mean, spot * sigma * sqrt(v)


def bounds(compare: int, strike: float, upper: float, half: float) -> tuple[float, float]:
    """The unrounded values between which YES wins."""
    return {
        AT_LEAST: (strike - half, inf),
        ABOVE: (strike + half, inf),
        TIE_HALVES: (strike, inf),
        BELOW: (-inf, strike - half),
        AT_MOST: (-inf, strike + half),
        BETWEEN: (strike - half, upper + half),
    }[compare]


def digital(spot: float, strike: float, deviation: float) -> float:
    """N(d2)."""
    if deviation <= 0:
        return chance_above(spot, strike, 0)
    return _NORMAL.cdf((log(spot / strike) - deviation**2 / 2) / deviation)


def lognormal_sum(spot: float, sigma: float, ahead: Sequence[float], needed_sum: float) -> float:
    """Chance that ticks at these offsets add up to more, by the two moments of their exact sum."""
    first = len(ahead) * spot
    second = spot**2 * sum(exp(sigma**2 * min(a, b)) for a in ahead for b in ahead)
    w2 = log(second / first**2)
    return _NORMAL.cdf((log(first / needed_sum) - w2 / 2) / sqrt(w2))


def at_a_point(spot: float, sigma: float, seconds: float, strike: float, off: float) -> float:
    """What the product makes of a market that settles on a point, at least the strike: widened up
    to a tenth between one and four minutes before the close, `off` dollars of error beside it, and
    never surer than 1 in 100."""
    way = sigma * (1 + 0.1 * min(max((seconds - 60) / 180, 0), 1))
    return min(max(digital(spot, strike, sqrt(way**2 * seconds + (off / spot) ** 2)), 0.01), 0.99)


def rolling_terms(
    spot: float, sigma: float, seconds: float, twap: float, leaving_mean: float, n: int
) -> tuple[float, float]:
    """Mean and deviation at its end, `seconds` <= n from now, of a published TWAP over n seconds:
    what is published, less the seconds that leave it, plus spot in their place. Continuous form.
    """
    mean = twap + seconds / n * (spot - leaving_mean)
    return mean, spot * sigma * sqrt(seconds**3 / 3) / n
