"""Who quotes a windowed market of the seeded world: what the chances are to its maker, and what it
asks for being late.

A maker knows its venue's rule (the mean of sixty seconds), sees its coin's index some tenths of a
second late, and has an opinion: a volatility a little off, a lean of a tick or two. It asks for
half a spread and for what the index may move before it has seen it, more in the last minute, with
less behind it, and it leaves seconds before the end. Now and then one sleeps for seconds, and its
quotes stand while the index goes: that, and its lag when the index jumps, is what there is to find.

All of it in whole numbers, and a second opinion to the engine's model: nothing is shared with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isqrt

from ops.venues.indices import WINDOW_S
from ops.venues.numerals import ONE_E6, SECOND_NS
from ops.venues.script import BookSet, Event, MarketSpec
from ops.venues.world_cast import Quoting
from ops.venues.world_chance import Chance, normal_cdf_e6
from ops.venues.world_maker import Maker

STEPS = 5  # looks at the index in a second
SEEN_STEPS = 8  # of an index that a maker may still be looking at
_LAG_STEPS = (1, 4)  # 0.2 to 0.8 s, and what is left of the step a change falls into
_SLEEP_ONE_IN = 450  # looks: every minute and a half
_SLEEP_STEPS = (15, 40)  # 3 to 8 s
_LEAVE_S = (3, 9)  # before the close
_SIGMA_PERCENT = (92, 108)  # of the index's own volatility
_LEAN_LESS = 32  # looks until a lean has faded
_CHURN_ONE_IN = 6  # looks that change nothing but a size
_RISK_PERCENT = 60  # of what the index may move by unseen
_LATE_E6 = 12_000  # half of the spread widens by so much over the last minute
_HALF_STEP_E6 = 4_000  # and is asked anew when it is so far off
_HALF_MAX_E6 = 60_000
_THIN_S = 20  # sizes shrink over the last hundred seconds, to a fifth
_FAIR_MIN_E6, _FAIR_MAX_E6 = 15_000, 985_000
_MAKERS = -(10**12)  # its draws of before the first quote
_QUOTING = Quoting(lag_ms=0, half_e6=4_000, levels=6, spacing=1, size_e6=80_000_000, churn_ms=0)


def fair_e6(strike_e8: int, spot_e8: int, sigma_e9: int, known: Sequence[int], wait_s: int) -> int:
    """The chance that the mean of sixty seconds ends at or above the strike: `known` of them there
    are, the next one is `wait_s` after the spot that was seen. `sigma_e9`: share of the price that
    one second moves it by.
    """
    missing = WINDOW_S - len(known)
    mean_e8 = (sum(known) + missing * spot_e8) // WINDOW_S
    # of the seconds until the first that is missing each counts in full, of those after it less
    variance_e6 = missing * missing * (wait_s - 1) * ONE_E6 // WINDOW_S**2
    variance_e6 += missing * (missing + 1) * (2 * missing + 1) * ONE_E6 // (6 * WINDOW_S**2)
    sd_e8 = spot_e8 * sigma_e9 // 10**9 * isqrt(variance_e6) // 1_000
    return normal_cdf_e6((mean_e8 - strike_e8) * 1_000 // max(sd_e8, 1))


class WindowMaker:
    """The maker of one window, from its first quote until it leaves. What it sees and what that is
    worth by the window's rule is told to it."""

    def __init__(self, seed: int, market: int, spec: MarketSpec, sigma_e9: int) -> None:
        chance = Chance(seed, _MAKERS - market)
        self.lag_steps = chance.between(*_LAG_STEPS)
        self.sigma_e9 = sigma_e9 * chance.between(*_SIGMA_PERCENT) // 100
        self.close_s = spec.close_epoch_ns // SECOND_NS
        self.leave_s = self.close_s - chance.between(*_LEAVE_S)
        self.is_there = False
        self._maker = Maker(market, spec, _QUOTING)
        self._asleep = 0  # looks that it misses yet
        self._reach_e6 = isqrt((self.lag_steps + 1) * ONE_E6**2 // STEPS)  # seconds, their root

    def unseen_e8(self, spot_e8: int) -> int:
        """How far the index may well have gone since what the maker sees of it."""
        return spot_e8 * self.sigma_e9 // 10**9 * self._reach_e6 // ONE_E6

    def begin(self, at_epoch_ns: int, fair_e6: int, moved_e6: int, chance: Chance) -> BookSet:
        """The first book. `moved_e6`: what a move by `unseen_e8` makes of `fair_e6`."""
        self.is_there = True
        self._ask_for(at_epoch_ns, moved_e6)
        return self._maker.begin(at_epoch_ns, _within(fair_e6), chance)

    def is_awake(self, chance: Chance) -> bool:
        """Whether it looks this time. Once a step."""
        if not self._asleep and chance.below(_SLEEP_ONE_IN) == 0:
            self._asleep = chance.between(*_SLEEP_STEPS)
        self._asleep = max(self._asleep - 1, 0)
        return not self._asleep

    def follow(
        self, at_epoch_ns: int, fair_e6: int, moved_e6: int, chance: Chance
    ) -> Iterator[Event]:
        """Quotes for a new look, or nothing but a size."""
        maker, fair = self._maker, _within(fair_e6)
        rung = maker.rung_e6(fair)
        maker.lean_e6 += chance.bell(rung // 6) - maker.lean_e6 // _LEAN_LESS
        maker.lean_e6 = min(max(maker.lean_e6, -2 * rung), 2 * rung)
        if self._ask_for(at_epoch_ns, moved_e6) or maker.moves_for(fair):
            yield from maker.requote(at_epoch_ns, fair, chance)
        elif chance.below(_CHURN_ONE_IN) == 0:
            yield from maker.churn(at_epoch_ns, chance)

    def leave(self, at_epoch_ns: int) -> Iterator[Event]:
        """Nothing is quoted any more."""
        self.is_there = False
        return self._maker.leave(at_epoch_ns)

    def _ask_for(self, at_epoch_ns: int, moved_e6: int) -> bool:
        """Half of the spread and the size behind it; True if that is another spread."""
        maker, left_s = self._maker, self.close_s - at_epoch_ns // SECOND_NS
        late_s = max(WINDOW_S - left_s, 0)
        half_e6 = _QUOTING.half_e6 + moved_e6 * _RISK_PERCENT // 100 + _LATE_E6 * late_s // WINDOW_S
        half_e6 = min(half_e6, _HALF_MAX_E6)
        maker.size_e6 = _QUOTING.size_e6 * min(left_s + _THIN_S, 2 * WINDOW_S) // (2 * WINDOW_S)
        is_other = abs(half_e6 - maker.half_e6) >= _HALF_STEP_E6
        if is_other:
            maker.half_e6 = half_e6
        return is_other


def _within(fair_e6: int) -> int:
    return min(max(fair_e6, _FAIR_MIN_E6), _FAIR_MAX_E6)
