"""What a contract loses because a venue holds a taker's order back: one rule for pairs and for
orders that stand alone.

While the order waits, fair value moves by a normal whose deviation is φ(z)·way, with z and `way`
(what the settling value is expected to move by) in deviations of the settling value; the size of
such a move is √(2/π) deviations on average. Makers may cancel meanwhile (reference polymarket 8),
so the order is filled at its limit when the market moved against what it buys, and misses when it
moved towards it.

ALONE, an order pays the move whenever it is filled: each contract it gets carries the whole of it.
In a pair the move against one leg is the other's gain: filled, the pair pays as planned; what costs
is the leg that missed, bought dearer by the move, and that is half of the time: HEDGED.
"""

# mypy: disable-error-code="no-any-return, return-value"
from __future__ import annotations

from math import ceil, exp, pi, sqrt

from numba import njit

from engine.memory import i64
from shm_layout import E6, LAYOUT_HASH

ALONE, HEDGED = 1.0, 0.5  # share of the move that each contract carries
_ROOT_TWO_PI = sqrt(2 * pi)
_AVERAGE = sqrt(2 / pi)  # size of a normal in deviations


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def delay_cost_e6(z: float, way: float, share: float) -> int:
    """The loss of a contract, rounded up, at most `share` of a dollar; -1: not known (NaN)."""
    if not (abs(z) >= 0.0 and way >= 0.0):
        return i64(-1)
    if way == 0.0:
        return i64(0)
    lost = _AVERAGE * exp(-0.5 * z * z) / _ROOT_TWO_PI * way
    return i64(ceil(share * min(lost, 1.0) * E6))
