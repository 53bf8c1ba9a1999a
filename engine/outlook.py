"""What one market settles on as it is expected now, and what two of them mean for a pair.

Pure: the rule (engine/fair_rules.py), the price, the ticks that came, the deviation of what is yet
to come; then engine/dead_zone.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot, inf, isnan, nan, sqrt
from typing import NamedTuple

from engine import dead_zone as z
from engine.basis import LEAST
from engine.delay import HEDGED, delay_cost_e6
from engine.edge import side_of_b
from engine.fair import (
    CAP,
    average_terms,
    capped,
    coming_ticks,
    effective_strike,
    fair_before_start,
    fair_yes,
    widening,
)
from engine.fair_rules import ABOVE, AT_LEAST, AT_MOST, BELOW, MEAN, POINT, TWAP, Rule
from engine.tilt import PLAIN, Tilt
from shm_layout import BUY, SELL

SECOND_NS = 10**9
_ABOVE, _BELOW = (AT_LEAST, ABOVE), (BELOW, AT_MOST)


class Start(NamedTuple):
    """The beginning of a window that is yet to come, where its strike is taken: seconds from the
    price's stamp to the last tick of it, from there to that of the end, what is known (sum in 1e-8,
    ticks)."""

    seconds: float
    window_s: float
    sum_e8: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Dollars and seconds. `mean` and `sd`: of the settling value, `left`: the share of it that is
    still to come; `error`: how far the price may be off the index, of which `own` is that of a
    composite in its place; `strike` 0: not known; `upper`: the upper bound of a range; `start`:
    the window is not open yet; `tilt`: what is laid over its chance."""

    instrument: int
    generation: int
    rule: Rule
    index: int
    slot: int
    price: float
    close_ns: int
    seconds: float  # from the price's stamp to the close
    known: tuple[int, int, int]  # sum in 1e-8, count, second up to which none is missing
    hole_s: float
    basis: float
    error: float
    sigma: float
    strike: float
    delay_ns: int
    mean: float
    sd: float
    left: float
    own: float = 0.0
    upper: float = 0.0
    start: Start | None = None
    tilt: Tilt = PLAIN

    @property
    def is_priced(self) -> bool:
        """Whether a pair of it can be judged."""
        is_plain = self.rule.compare in (*_ABOVE, *_BELOW)
        return is_plain and self.strike > 0 and self.price > 0 and self.sigma > 0

    @property
    def gap(self) -> float:
        """Strike, as the rounding moves it, less the expected settling value."""
        half_tick = self.rule.half_tick
        return float(effective_strike(self.strike, self.rule.compare, half_tick)) - self.mean

    def chance(self, cap: float = CAP) -> float:
        """That YES wins, in [cap, 1 − cap]; NaN: not known."""
        rule, (known_e8, count, _) = self.rule, self.known
        if self.start is not None:
            begin = self.start
            return float(fair_before_start(
                self.price, self.sigma, begin.seconds, begin.window_s, begin.sum_e8 / 1e8,
                begin.known, rule.n, rule.half_tick, float(widening(self.seconds)), cap,
            ))  # fmt: skip
        if not self.strike > 0:
            return nan
        return float(fair_yes(
            rule.kind, rule.compare, rule.half_tick, rule.n, self.price, self.sigma, self.seconds,
            self.strike, self.upper, known_e8 / 1e8, count, self.hole_s, 0,
            self.error / self.price, widening(self.seconds), cap,
        ))  # fmt: skip

    @property
    def tilted(self) -> float:
        """The chance with what is laid over it, capped again; NaN: not known."""
        chance, (slope, lift) = self.chance(), self.tilt
        return chance if isnan(chance) else float(capped(slope * chance + lift, CAP))


def outlook_of(
    instrument: int,
    generation: int,
    rule: Rule,
    *,
    index: int,
    slot: int,
    price: float,
    at_ns: int,
    close_ns: int,
    known: tuple[int, int, int],
    basis: float,
    error: float,
    sigma: float,
    strike: float,
    delay_ns: int,
    own: float = 0.0,
    upper: float = 0.0,
    start: Start | None = None,
    tilt: Tilt = PLAIN,
) -> Outlook:
    """Mean and deviation of the settling value from what is known; `at_ns` is the price's stamp."""
    seconds = max((close_ns - at_ns) / SECOND_NS, 0.0)
    known_e8, count, whole_s = known
    hole_s = max(at_ns / SECOND_NS - whole_s, 1.0)
    mean, sd, left = price, price * sigma * sqrt(seconds), 1.0
    if rule.kind in (MEAN, TWAP):
        last_s = seconds - 1.0 if rule.kind == MEAN else seconds
        mean, sd = average_terms(price, sigma, last_s, known_e8 / 1e8, count, rule.n, hole_s)
        left = max(coming_ticks(last_s, count, rule.n), rule.n - count) / rule.n
    else:
        assert rule.kind == POINT, rule
    return Outlook(
        instrument=instrument, generation=generation, rule=rule, index=index, slot=slot,
        price=price, close_ns=close_ns, seconds=seconds, known=known, hole_s=hole_s, basis=basis,
        error=error, sigma=sigma, strike=strike, delay_ns=delay_ns, mean=float(mean),
        sd=hypot(float(sd) * float(widening(seconds)), own * left), left=left, own=own, upper=upper,
        start=start, tilt=tilt,
    )  # fmt: skip


def pair_terms(
    a: Outlook, b: Outlook, basis_sd: float, *, is_same: bool
) -> tuple[tuple[int, int], int]:
    """(dead zone of both directions, delay cost), a contract in 1e-6. `basis_sd`: how far the two
    indices may stray from the difference they have now.
    """
    first, second = (a, b) if a.sd <= b.sd else (b, a)
    strays = basis_sd * max(a.left, b.left)
    never = LEAST * a.price if TWAP in (a.rule.kind, b.rule.kind) and basis_sd > 0 else 0.0
    more = sqrt(second.sd**2 - first.sd**2 + strays**2 + never**2)
    zones = []
    for direction in (0, 1):
        sides = BUY if direction == 0 else SELL, int(side_of_b(direction, int(is_same)))
        one, other = sides if first is a else sides[::-1]
        chance = z.both_lose(
            one, first.rule.compare in _ABOVE, first.gap, first.sd,
            other, second.rule.compare in _ABOVE, second.gap, more,
        )  # fmt: skip
        zones.append(int(z.dead_zone_e6(chance)))
    cost = 0
    for leg in (a, b):
        if leg.delay_ns > 0:
            way = leg.price * leg.sigma * sqrt(leg.delay_ns / SECOND_NS) * leg.left
            sd = sqrt(leg.sd**2 + strays**2)
            terms = (leg.gap / sd, way / sd) if sd > 0 else (0.0, inf)
            cost += int(delay_cost_e6(*terms, HEDGED))
    return (zones[0], zones[1]), cost
