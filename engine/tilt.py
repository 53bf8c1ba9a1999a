"""What an operator may lay over our chances, all of it off unless asked for (reference strategies).

Two habits of earlier engines: targets beyond all that was ever seen count as less likely in markets
that close late, and time is counted once more though every chance contains it. Both are straight
lines of the chance, so two numbers a market carry them to the detector.

And what the market knows: of a chance that is bet on, a share may be its own middle
(engine/strategies/view.py). That moves with every quote, so the detector lays it over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.fair import YEAR_S, near_extremes, time_counted_twice
from engine.fair_rules import ABOVE, AT_LEAST, AT_MOST, BELOW, BETWEEN

_UPWARD, _DOWNWARD = (AT_LEAST, ABOVE), (BELOW, AT_MOST)


class Tilt(NamedTuple):
    """The chance of YES becomes slope × chance + lift."""

    slope: float = 1.0
    lift: float = 0.0


PLAIN = Tilt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What is wanted. `extremes`: all-time (low, high) in dollars by slot of the index; they hold
    for markets with at least `late_s` seconds left; `market`: the market's share in a chance."""

    is_time_twice: bool = False
    market: float = 0.0
    extremes: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    late_s: float = 0.0

    def tilt(
        self, compare: int, index: int, spot: float, strike: float, upper: float, seconds: float
    ) -> Tilt:
        """Of a market with this comparison (engine/fair_rules.py); a range has `strike` to `upper`.
        """
        slope, lift = 1.0, 0.0
        if index in self.extremes and seconds >= self.late_s:
            low, high = self.extremes[index]
            slope, lift = _beyond(compare, spot, strike, upper, low, high)
        if self.is_time_twice:
            less = float(time_counted_twice(1.0, max(seconds, 0.0) / YEAR_S, True))
            slope, lift = slope * less, lift * less
        return Tilt(slope, lift)


def _beyond(
    compare: int, spot: float, strike: float, upper: float, low: float, high: float
) -> Tilt:
    """Getting to a target beyond the extremes is less likely; so not getting there is more."""
    if compare == BETWEEN:  # its nearer bound must be reached, unless spot is there already
        target = min(max(spot, strike), upper)
        return Tilt(float(near_extremes(1.0, spot, target, high, low)))
    less = float(near_extremes(1.0, spot, strike, high, low))
    if compare not in (*_UPWARD, *_DOWNWARD):
        return PLAIN
    is_yes = (spot < strike) == (compare in _UPWARD)
    return Tilt(less) if is_yes else Tilt(less, 1.0 - less)


NO_HABITS = Habits()
