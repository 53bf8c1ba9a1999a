"""The dead zone in plain Python: the plane summed cell by cell, no formula of the kernels."""

from __future__ import annotations

from math import erf, sqrt


def phi(z: float) -> float:
    """Chance that a standard normal is below z."""
    return 0.5 * (1 + erf(z / sqrt(2)))


def low_then_high(gap_a: float, sd_a: float, gap_b: float, sd_more: float) -> float:
    """In 2,000 strips of equal width over eight deviations of the first average."""
    if sd_a == 0:
        chance = float(gap_b <= 0) if sd_more == 0 else 1 - phi(gap_b / sd_more)
        return chance if gap_a > 0 else 0.0
    total, strips = 0.0, 2_000
    low, high = -8.0 * sd_a, min(8.0 * sd_a, gap_a)
    width = (high - low) / strips
    for i in range(strips if width > 0 else 0):
        left, right = low + i * width, low + (i + 1) * width
        middle = (left + right) / 2
        chance = 1 - phi((gap_b - middle) / sd_more) if sd_more else float(middle >= gap_b)
        total += (phi(right / sd_a) - phi(left / sd_a)) * chance
    return total
