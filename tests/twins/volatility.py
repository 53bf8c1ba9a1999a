"""Volatility in plain Python: lists, `statistics`, and the formulas as printed (reference spot
7.1).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import fsum, log, pi, sqrt
from statistics import mean, median, variance

Bars = Sequence[tuple[float, float, float, float]]  # open, high, low, close


def returns(prices: Sequence[float]) -> list[float]:
    """Log returns."""
    return [log(b / a) for a, b in itertools.pairwise(prices)]


def rv(r: Sequence[float]) -> float:
    """Σ r²."""
    return fsum(x * x for x in r)


def bv(r: Sequence[float]) -> float:
    """(π/2)(n/(n−1)) Σ |r_i||r_(i−1)|."""
    n = len(r)
    return pi / 2 * n / (n - 1) * fsum(abs(a) * abs(b) for a, b in itertools.pairwise(r))


def med_rv(r: Sequence[float]) -> float:
    """π/(6−4√3+π) · n/(n−2) Σ med²."""
    n = len(r)
    sizes = [abs(x) for x in r]
    squares = fsum(median(sizes[i - 1 : i + 2]) ** 2 for i in range(1, n - 1))
    return pi / (6 - 4 * sqrt(3) + pi) * n / (n - 2) * squares


def min_rv(r: Sequence[float]) -> float:
    """π/(π−2) · n/(n−1) Σ min²."""
    n = len(r)
    least = fsum(min(abs(a), abs(b)) ** 2 for a, b in itertools.pairwise(r))
    return pi / (pi - 2) * n / (n - 1) * least


def ewma(r: Sequence[float], decay: float) -> float:
    """Per bar, from the first squared return."""
    value = r[0] ** 2
    for x in r[1:]:
        value = decay * value + (1 - decay) * x * x
    return value


def ewma_ticks(r: Sequence[float], seconds: Sequence[float], half_life: float) -> float:
    """Per second, w = 2^(−dt/H), from the first r²/dt."""
    value = r[0] ** 2 / seconds[0]
    for x, dt in zip(r[1:], seconds[1:], strict=True):
        w = 2 ** (-dt / half_life)
        value = w * value + (1 - w) * x * x / dt
    return value


def two_scales(r: Sequence[float], scale: int) -> float:
    """The integral, from the prices themselves: mean of the sub-grids less the noise's share."""
    path = [0.0]
    for x in r:
        path.append(path[-1] + x)
    n = len(r)
    grids = [
        fsum((b - a) ** 2 for a, b in zip(path[k::scale], path[k + scale :: scale], strict=False))
        for k in range(scale)
    ]
    share = (n - scale + 1) / scale / n
    return (fsum(grids) / scale - share * rv(r)) / (1 - share)


def parkinson(bars: Bars) -> float:
    """Mean of ln(H/L)²/(4 ln 2)."""
    return mean(log(h / lo) ** 2 / (4 * log(2)) for _, h, lo, _ in bars)


def garman_klass(bars: Bars) -> float:
    """Mean of 0.5 ln(H/L)² − (2 ln 2 − 1) ln(C/O)²."""
    return mean(0.5 * log(h / lo) ** 2 - (2 * log(2) - 1) * log(c / o) ** 2 for o, h, lo, c in bars)


def rogers_satchell(bars: Bars) -> float:
    """Mean of ln(H/O)ln(H/C) + ln(L/O)ln(L/C)."""
    return mean(log(h / o) * log(h / c) + log(lo / o) * log(lo / c) for o, h, lo, c in bars)


def yang_zhang(bars: Bars) -> float:
    """Over bars 2…N, sample variances."""
    gaps = [log(bar[0] / before[3]) for before, bar in itertools.pairwise(bars)]
    bodies = [log(c / o) for o, _, _, c in bars[1:]]
    n = len(gaps)
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return variance(gaps) + k * variance(bodies) + (1 - k) * rogers_satchell(bars[1:])
