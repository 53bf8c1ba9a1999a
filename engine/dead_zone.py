"""What a pair of two indices can lose beside its price: the dead zone in which both legs lose.

Each leg settles on an average of its own index against its own strike. The averages are taken as
two normals: the first with its mean and deviation, the second as the first plus a difference that
is independent of it (the basis between the indices at its own volatility, and what one window has
left to come that the other has not). A pair that pays $1 whatever happens pays nothing where both
legs lose, so the chance of that times $1 comes off each contract. That both legs may as well win is
not counted: it is no reason to trade. Dollars are floats here; only the results are money.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

from math import ceil, erfc, exp, pi, sqrt

from numba import njit

from engine.memory import i64
from shm_layout import BUY, E6, LAYOUT_HASH

_ROOT_HALF, _ROOT_TWO_PI = sqrt(0.5), sqrt(2 * pi)
_FAR = 8.5  # deviations: beyond it a normal holds less than 1e-16
# Gauss-Legendre of 8 points: exact to 1e-12 on the pieces below, where the integrand is smooth
_AT = (0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363)
_WEIGHT = (0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763)
_PIECES = 24
DEAD_ZONE_MAX_E6 = E6  # a contract loses no more than the dollar it would have paid


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def below(z: float) -> float:
    """Chance that a standard normal is below z."""
    return 0.5 * erfc(-z * _ROOT_HALF)


@njit(cache=True)
def chance_below(gap: float, sd: float) -> float:
    """Chance that a normal ends below what lies `gap` above its mean; on the line it is not."""
    if sd <= 0:
        return 1.0 if gap > 0 else 0.0
    return below(gap / sd)


@njit(cache=True)
def _piece(low: float, high: float, z: float, slope: float, spread: float) -> float:
    """∫ φ(u) · P(slope·u + spread·v >= z) over [low, high], v another standard normal."""
    total, width = 0.0, (high - low) / _PIECES
    if width <= 0:
        return 0.0
    for i in range(_PIECES):
        middle = low + (i + 0.5) * width
        for k in range(len(_AT)):
            for sign in (-1.0, 1.0):
                u = middle + sign * _AT[k] * width / 2
                chance = below((slope * u - z) / spread)
                total += _WEIGHT[k] * width / 2 * exp(-u * u / 2) / _ROOT_TWO_PI * chance
    return total


@njit(cache=True)
def low_then_high(gap_a: float, sd_a: float, gap_b: float, sd_more: float) -> float:
    """Chance that the first average ends below its strike and the second at or above its own.

    `gap_a`, `gap_b`: strike less expected average of each, `sd_a`: deviation of the first,
    `sd_more`: of the difference of the second from it; all in dollars.
    """
    if sd_a <= 0 and sd_more <= 0:
        return 1.0 if gap_a > 0 and gap_b <= 0 else 0.0
    if sd_a <= 0:
        return below(-gap_b / sd_more) if gap_a > 0 else 0.0
    edge = min(max(gap_a / sd_a, -_FAR), _FAR)  # below it the first leg is below its strike
    turn = min(max(gap_b / sd_a, -_FAR), _FAR)  # about here the second comes to its own
    if sd_more <= 0:
        return max(below(edge) - below(gap_b / sd_a), 0.0)
    width = 8.0 * sd_more / sd_a
    first, last = max(turn - width, -_FAR), min(turn + width, edge)
    found = _piece(-_FAR, min(first, edge), gap_b, sd_a, sd_more)
    found += _piece(first, last, gap_b, sd_a, sd_more)
    found += _piece(max(last, first), edge, gap_b, sd_a, sd_more)
    return min(found, 1.0)


@njit(cache=True)
def both_lose(
    side_a: int,
    is_above_a: bool,
    gap_a: float,
    sd_a: float,
    side_b: int,
    is_above_b: bool,
    gap_b: float,
    sd_more: float,
) -> float:
    """Chance that both legs lose. `side`: BUY or SELL of YES; `is_above`: YES wins at or above the
    strike, else below it; gaps and deviations as in `low_then_high`.
    """
    a_low = (side_a == BUY) == is_above_a  # the leg loses below its strike
    b_low = (side_b == BUY) == is_above_b
    if a_low and not b_low:
        return low_then_high(gap_a, sd_a, gap_b, sd_more)
    if b_low and not a_low:  # the mirrored question
        return low_then_high(-gap_a, sd_a, -gap_b, sd_more)
    b_below = chance_below(gap_b, sqrt(sd_a * sd_a + sd_more * sd_more))
    if a_low:  # both lose low: B is low, less what of it has A high
        return max(b_below - low_then_high(-gap_a, sd_a, -gap_b, sd_more), 0.0)
    return max(1.0 - b_below - low_then_high(gap_a, sd_a, gap_b, sd_more), 0.0)


@njit(cache=True)
def dead_zone_e6(chance: float) -> int:
    """What comes off a contract for this chance that both legs lose: times $1, rounded up. A chance
    that is none (NaN) takes everything."""
    if not 0.0 <= chance <= 1.0:
        return i64(DEAD_ZONE_MAX_E6)
    return i64(ceil(chance * E6))
