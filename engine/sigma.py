"""How much one product moves, for slow terms: from its past, then from what is seen.

Mids are sampled once a second (engine/volatility.py has the estimators). EWMA over returns of ten
seconds follows the market, as the calibration of engine/fair.py's widening was taken; a return
beyond what a smooth path makes (Lee and Mykland's bound on MedRV's deviation) is cut there, and its
excess kept apart with a longer memory, for jumps come again; two scales say how much of the
ten-second variance is bid-ask noise. Until enough was seen the start-up value holds, in proportion
to time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import isnan, log, nan, sqrt

import numpy as np

from engine import volatility as v

SECOND_NS = 10**9
STEP_S = 10
WINDOW_S = 600  # of the samples that jumps and noise are judged by
HALF_LIFE_S = 600.0
JUMP_HALF_LIFE_S = 3_600.0
JUMP_CHANCE = 0.01
HOLE_S = 15  # no sample for longer: the path in between is not known
JUDGED_FROM = 60  # returns, before which no jump and no noise is judged
NOISE_LEAST = 0.25  # two scales leave at least this of the variance
NOISE_SLACK = 0.15  # they are a deviation off themselves: against us
SIGMA_DEFAULT = 0.8  # a year, if no history can be had (reference strategies)
SIGMA_LEAST, SIGMA_MOST = 0.1, 5.0  # a year: outside of it the data is ill


@dataclass(slots=True)
class Sigma:
    """One product's volatility. `start`: variance a second from history (None: the default)."""

    start: float = SIGMA_DEFAULT**2 / v.YEAR_S
    is_from_history: bool = False
    jumps: int = 0
    _seen_s: float = 0.0
    _variance: float = nan
    _jump: float = 0.0
    _last: tuple[int, float] | None = None  # newest price, by second
    _coarse: tuple[int, float] | None = None  # newest ten-second sample
    _returns: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_S))
    _steps: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW_S // STEP_S))

    def history(self, sigma_annual: float) -> None:
        """A start-up value, once per run and product."""
        self.start = min(max(sigma_annual, SIGMA_LEAST), SIGMA_MOST) ** 2 / v.YEAR_S
        self.is_from_history = True

    def take(self, price: float, at_ns: int) -> None:
        """A mid with its stamp. The first price after a second has ended stands for its end."""
        second = at_ns // SECOND_NS
        if not price > 0 or (self._last is not None and second <= self._last[0]):
            return
        before, self._last = self._last, (second, price)
        if before is None or second - before[0] > HOLE_S:
            self._coarse = (second, price)
            self._returns.clear()
            self._steps.clear()
            return
        if second - before[0] == 1:
            self._returns.append(log(price / before[1]))
        assert self._coarse is not None
        since, was = self._coarse
        if second - since >= STEP_S:
            self._coarse = (second, price)
            self._step(log(price / was), float(second - since))

    def _step(self, change: float, seconds: float) -> None:
        self._steps.append(change / sqrt(seconds / STEP_S))
        self._seen_s += seconds
        bound = self._bound() * sqrt(seconds / STEP_S)
        excess = 0.0
        if abs(change) > bound:
            self.jumps += 1
            excess = change * change - bound * bound
            change = bound
        self._variance = v.ewma_step(self._variance, change, seconds, HALF_LIFE_S)
        weight = 2.0 ** (-seconds / JUMP_HALF_LIFE_S)
        self._jump = weight * self._jump + (1 - weight) * excess / seconds

    def _bound(self) -> float:
        """The largest ten-second return that is no jump."""
        n = len(self._steps)
        if n < JUDGED_FROM:
            return float("inf")
        usual = v.median_of_three(np.array(self._steps))
        return float(v.jump_bound(n, JUMP_CHANCE)) * sqrt(usual) if usual > 0 else float("inf")

    def _noise_free(self) -> float:
        """Share of the ten-second variance that is no noise."""
        n = len(self._returns)
        if n < 2 * JUDGED_FROM:
            return 1.0
        returns = np.array(self._returns)
        steps = returns[: n // STEP_S * STEP_S].reshape(-1, STEP_S).sum(axis=1)
        coarse = v.realised(steps) / STEP_S
        fine = v.two_scales(returns, float(n), STEP_S)
        if isnan(fine) or not coarse > 0:
            return 1.0
        return float(min(max(fine / coarse + NOISE_SLACK, NOISE_LEAST), 1.0))

    @property
    def per_root_second(self) -> float:
        """σ now."""
        seen = nan
        if not isnan(self._variance):
            seen = self._variance * self._noise_free() + self._jump
        found = float(v.blended(seen, self.start, self._seen_s, HALF_LIFE_S))
        least, most = SIGMA_LEAST**2 / v.YEAR_S, SIGMA_MOST**2 / v.YEAR_S
        return sqrt(min(max(found, least), most))
