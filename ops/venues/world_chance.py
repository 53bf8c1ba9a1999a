"""Chance for the seeded world: whole numbers only, the same on every Python and every machine.

`random.Random` is used for `getrandbits` alone (the Mersenne Twister's own words, fixed for ever);
what the library computes from them in floats is not. Curves are tables of whole numbers, rounded
far coarser than any libm differs (a test shows how far each entry is from the next rounding).
"""

from __future__ import annotations

import hashlib
import math
import random

_BITS = 8
_STEPS = 1 << _BITS
_CURVE_STEP = 50  # 0.05 standard deviations
_CURVE_END = 4_000


def _exponential_raw() -> list[float]:
    """Quantiles of the exponential distribution of mean 1000, at the middle of each step."""
    return [-1000 * math.log((at + 0.5) / _STEPS) for at in range(_STEPS)]


def _normal_raw() -> list[float]:
    """Φ in 1e-6 at steps of 0.05."""
    steps = range(0, _CURVE_END + _CURVE_STEP, _CURVE_STEP)
    return [500_000 * (1 + math.erf(at / 1000 / math.sqrt(2))) for at in steps]


EXPONENTIAL = tuple(round(value) for value in _exponential_raw())
NORMAL = tuple(round(value) for value in _normal_raw())


def normal_cdf_e6(z_e3: int) -> int:
    """Φ(z) in 1e-6 for z in 1e-3, between table entries along a line; flat beyond ±4."""
    at = min(abs(z_e3), _CURVE_END)
    step, rest = divmod(at, _CURVE_STEP)
    low = NORMAL[step]
    high = NORMAL[min(step + 1, len(NORMAL) - 1)]
    value = low + (high - low) * rest // _CURVE_STEP
    return value if z_e3 >= 0 else 1_000_000 - value


class Chance:
    """Draws for one stretch of the script, named by seed and number."""

    def __init__(self, seed: int, chunk: int) -> None:
        name = hashlib.sha256(f"world {seed} {chunk}".encode()).digest()
        self.bits = random.Random(int.from_bytes(name, "big")).getrandbits

    def below(self, count: int) -> int:
        """0 … count − 1 (the bias of 2⁻³² × count is of no interest here)."""
        return self.bits(32) * count >> 32

    def between(self, low: int, high: int) -> int:
        """low … high, both included."""
        return low + self.below(high - low + 1)

    def wait(self, mean: int) -> int:
        """A waiting time of this mean, at least 1."""
        return max(1, EXPONENTIAL[self.bits(_BITS)] * mean // 1000)

    def bell(self, spread: int) -> int:
        """Bell-shaped around 0 with standard deviation `spread`, within ±3.4 of it."""
        word = self.bits(64)
        total = (word & 65535) + (word >> 16 & 65535) + (word >> 32 & 65535) + (word >> 48)
        return (total - 131_070) * spread // 37_837  # 65536 · sqrt(4 / 12)

    def coin(self) -> bool:
        """Heads or tails."""
        return bool(self.bits(1))
