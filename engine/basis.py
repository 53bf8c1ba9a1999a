"""The difference between two prices of one thing, in dollars: its level and how far it strays.

An index against the exchange that leads it, or the indices that two legs settle on. The level is an
EWMA; the deviation that of what was seen around it, never less than a share of the price, for two
sources that agreed for a minute are not one. Averaging over a window is not taken off: how long a
difference lasts is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

SECOND_NS = 10**9
HALF_LIFE_S = 300.0
LEAST = 0.35e-4  # of the price: what Chainlink's TWAP is off its own ticks (reference spot 5.3)
AT_FIRST = 3e-4  # before anything was seen
SEEN_FROM = 30  # differences


@dataclass(slots=True)
class Basis:
    """`level` and `sd` in dollars."""

    level: float = 0.0
    _variance: float = 0.0
    _count: int = 0
    _at_ns: int = 0

    def take(self, one: float, other: float, at_ns: int) -> None:
        """`one` − `other` at a stamp; a stamp that is not newer tells nothing."""
        if at_ns <= self._at_ns or not (one > 0 and other > 0):
            return
        found, self._count = one - other, self._count + 1
        seconds = min((at_ns - self._at_ns) / SECOND_NS, 60.0) if self._at_ns else 0.0
        self._at_ns = at_ns
        if self._count == 1:
            self.level = found
            return
        # a plain mean at first, then an EWMA
        weight = max(1 - 2.0 ** (-seconds / HALF_LIFE_S), 1.0 / self._count)
        away = found - self.level
        self.level += weight * away
        self._variance = (1 - weight) * (self._variance + weight * away * away)

    def sd(self, price: float) -> float:
        """How far the difference may be off its level at this price."""
        least = price * (LEAST if self._count >= SEEN_FROM else AT_FIRST)
        return sqrt(self._variance + least * least)

    @property
    def is_known(self) -> bool:
        """Whether any difference was seen."""
        return self._count > 0
