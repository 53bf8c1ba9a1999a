"""How much one product moves, for slow terms: from its past, then from what is seen.

Mids are sampled once a second (engine/volatility.py has the estimators one by one). Each second
tells R² − r² over the time by which R is longer: R the return of the last ten seconds, r that of
the last one. Quotes that bounce or an index that is smooth add the same to both, and it falls out:
two scales, with the ten-second returns overlapping, which wastes none. An EWMA of that begins with
history and forgets it in its own time. A return beyond what a smooth path makes (Lee and Mykland's
bound on MedRV's deviation) is cut there, and its excess kept apart with a longer memory, for jumps
come again.

Half-lives: on Chainlink's BTC/USD of 2026-06-08 (real volatility of the next five minutes, QLIKE)
20 minutes came out at 0.214, 10 at 0.216, 30 at 0.219 to 0.220; not cutting jumps 0.217. How much
the next five minutes really move is off this by a third, either way: markets are like that.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import log, sqrt

import numpy as np

from engine import volatility as v

SECOND_NS = 10**9
FAR_S = 10  # the longer of the two scales; the shorter is a second
HALF_LIFE_S = 1_200.0
JUMP_HALF_LIFE_S = 3_600.0
JUMP_SHARE = 0.07  # of the variance, before any was seen: that of the day above
JUMP_CHANCE = 0.01
HOLE_S = 15  # no sample for longer: the path in between is not known
JUDGED_FROM = 60  # returns of ten seconds, before which jumps are not judged by them
UNJUDGED = 2.0  # but so much beyond what history makes: a price gone and back would hide the rest
SIGMA_DEFAULT = 0.8  # a year, if no history can be had (reference strategies)
# a year; outside of it the data is ill. No floor of 0.3 as others have it (reference strategies):
# bitcoin is below it on quiet days, and a σ that is too high finds edges that are not there
SIGMA_LEAST, SIGMA_MOST = 0.1, 5.0


@dataclass(slots=True)
class Sigma:
    """One product's volatility. `start`: variance a second from history (until told: the default),
    which holds in proportion as it is not forgotten yet."""

    start: float = SIGMA_DEFAULT**2 / v.YEAR_S
    is_from_history: bool = False
    jumps: int = 0
    _past: float = 1.0  # shares of the start-up value in what is seen
    _past_jump: float = 1.0
    _variance: float = 0.0  # what was seen since, and the jumps in it
    _jump: float = 0.0
    _prices: deque[tuple[int, float]] = field(default_factory=deque)  # of FAR_S, by second
    _stepped: int = 0  # the second at which the newest of these ended
    _steps: deque[float] = field(default_factory=lambda: deque(maxlen=JUDGED_FROM))

    def history(self, sigma_annual: float) -> None:
        """A start-up value, once per run and product."""
        self.start = min(max(sigma_annual, SIGMA_LEAST), SIGMA_MOST) ** 2 / v.YEAR_S
        self.is_from_history = True

    def begin_as(self, other: Sigma) -> None:
        """Start from the history of another product of the same coin, if this one has none."""
        if other.is_from_history and not self.is_from_history:
            self.start, self.is_from_history = other.start, True

    def take(self, price: float, at_ns: int) -> None:
        """A mid with its stamp. The first price after a second has ended stands for its end."""
        second, prices = at_ns // SECOND_NS, self._prices
        if not price > 0 or (prices and second <= prices[-1][0]):
            return
        if prices and second - prices[-1][0] > HOLE_S:
            prices.clear()
            self._steps.clear()
        prices.append((second, log(price)))
        while len(prices) > 2 and second - prices[1][0] >= FAR_S:
            prices.popleft()
        if second - prices[0][0] >= FAR_S and len(prices) > 2:
            self._see()

    def _see(self) -> None:
        """The newest second, from the prices of the last ten."""
        (first, begun), (before, was), (second, now) = (self._prices[at] for at in (0, -2, -1))
        far_s, near_s = second - first, second - before
        far, near = now - begun, now - was
        if second - self._stepped >= FAR_S:
            self._stepped = second
            self._steps.append(far / sqrt(far_s / FAR_S))
        bound = self._bound() * sqrt(far_s / FAR_S)
        self.jumps += abs(near) > bound
        told = (far * far - near * near) / (far_s - near_s)
        far, near = min(abs(far), bound), min(abs(near), bound)
        smooth = (far * far - near * near) / (far_s - near_s)
        weight = 2.0 ** (-near_s / HALF_LIFE_S)
        self._past *= weight
        self._variance = weight * self._variance + (1 - weight) * smooth
        weight = 2.0 ** (-near_s / JUMP_HALF_LIFE_S)
        self._past_jump *= weight
        self._jump = weight * self._jump + (1 - weight) * (told - smooth)

    def _bound(self) -> float:
        """The largest ten-second return that is no jump."""
        bound = float(v.jump_bound(JUDGED_FROM, JUMP_CHANCE))
        if len(self._steps) == JUDGED_FROM:
            usual = v.median_of_three(np.array(self._steps))
            if usual > 0:
                return bound * sqrt(usual)
        return UNJUDGED * bound * sqrt(FAR_S * self.start)

    @property
    def is_known(self) -> bool:
        """Whether σ is this product's own: from its history, or seen for one half-life. Before that
        it is more assumed than seen."""
        return self.is_from_history or self._past <= 0.5

    @property
    def usual(self) -> float:
        """σ of its history; 0: it has none."""
        return sqrt(self.start) if self.is_from_history else 0.0

    @property
    def per_root_second(self) -> float:
        """σ now."""
        past = (1 - JUMP_SHARE) * self._past + JUMP_SHARE * self._past_jump
        found = past * self.start + self._variance + max(self._jump, 0.0)
        least, most = SIGMA_LEAST**2 / v.YEAR_S, SIGMA_MOST**2 / v.YEAR_S
        return sqrt(min(max(found, least), most))
