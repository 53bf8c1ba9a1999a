"""What happens in the seeded world, one thing after the other, for ever.

Spot moves as much as it does in life: over a year by half (BTC) and by seven tenths (ETH), a third
of the variance in jumps of a few basis points, once a minute. Trades come in bursts, some of them
behind a jump. Nothing leads the price home within a window. Each play has a fair value: Φ of the
distance to its strike, or a slow walk. Every maker follows it with its own lag. Besides, now and
then there is news about one play: its fair value jumps just far enough that one venue pays 1 to 6
cents over both fees against the other, whose maker sleeps for 50 ms to 4 s. Quiet is the rule.

Times inside are ms since the beginning; memory is bounded by the number of markets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import heappop, heappush

from ops.venues.script import ASK, BID, Event, SpotTrade
from ops.venues.world_cast import BTC, ETH, SPOT_E8, Play
from ops.venues.world_chance import Chance, normal_cdf_e6
from ops.venues.world_maker import Maker

_MS_NS = 1_000_000
_CHUNK_MS = 4_000
# The first news of every world, so that no session waits: ms, play (one without spot), length
_FIRST_NEWS = ((400, 4, 1_500), (2_000, 6, 1_300), (3_500, 4, 1_300), (5_000, 6, 1_300))
_NEWS_MS = 5_000  # mean time between news
_HORIZON_BPS = 250  # one standard deviation of spot over the day until a market is decided
_FAIR_MIN_E6, _FAIR_MAX_E6 = 15_000, 985_000
_CENT_E8 = 1_000_000
_WHOLE = 10**8  # of 1e-4 basis points
_BURST_MS = 12_000
_JUMP_ONE_IN = 5  # bursts
_HOME_MS = 5 * 86_400_000  # the time in which spot finds back to its anchor: never far, for ever


@dataclass(frozen=True, slots=True)
class _Pace:
    """How one product trades. `step` and `jump` (least, most) in 1e-4 of a basis point."""

    wait_ms: int
    step: int
    jump: tuple[int, int]


YEAR_E6 = {BTC: 500_000, ETH: 700_000}  # volatility a year
# 37 trades a second of 0.116 bp and jumps of 4 bp are 0.9 bp in a second, 50 % in a year
_PACES = {
    BTC: _Pace(32, 1_160, (20_000, 60_000)),
    ETH: _Pace(75, 2_270, (28_000, 84_000)),
}


class _Spot:
    """One product of the reference exchange."""

    def __init__(self, product: str, pace: _Pace) -> None:
        self.product = product
        self.price_e8 = self.exact_e8 = self.anchor_e8 = SPOT_E8[product]
        self.wait_ms = pace.wait_ms
        self.burst_until_ms = 0
        self.trade_id = 1_000_000
        self.step_e8 = self.anchor_e8 * pace.step // _WHOLE
        self.jump_e8 = tuple(self.anchor_e8 * size // _WHOLE for size in pace.jump)
        self.fairs: list[_Fair] = []


class _Fair:
    """One play: its fair value and the two makers who follow it."""

    def __init__(self, play: Play, number: int) -> None:
        self.play = play
        self.strike_e8 = play.kalshi.strike_e8 or 0
        self.walk_e6 = play.home_e6
        self.news_e6 = 0  # what news added; fades
        self.makers = (
            Maker(2 * number, play.kalshi, play.kalshi_quoting),
            Maker(2 * number + 1, play.polymarket, play.polymarket_quoting),
        )
        self.value_e6 = 0

    def update(self, spot_e8: int) -> None:
        """A digital option on spot, or the walk, plus the news."""
        base = self.walk_e6
        if self.play.product is not None:
            away = (spot_e8 - self.strike_e8) * 10_000_000 // (self.strike_e8 * _HORIZON_BPS)
            base = normal_cdf_e6(away)
        self.value_e6 = min(max(base + self.news_e6, _FAIR_MIN_E6), _FAIR_MAX_E6)


class Motion:
    """The stream of one world. `events` may be called once."""

    def __init__(self, seed: int, plays: tuple[Play, ...], begin_epoch_ns: int) -> None:
        self._seed = seed
        self._begin_epoch_ns = begin_epoch_ns
        self._chance = Chance(seed, 0)
        self._spots = {product: _Spot(product, pace) for product, pace in _PACES.items()}
        self._fairs = [_Fair(play, number) for number, play in enumerate(plays)]
        self._heap: list[tuple[int, int, Callable[..., Iterator[Event]], object]] = []
        self._order = 0
        self._now_ms = 0

    def events(self) -> Iterator[Event]:
        """Ascending in time, without end."""
        yield from self._begin()
        chunk = 0
        while True:
            self._now_ms, _, action, subject = heappop(self._heap)
            if self._now_ms // _CHUNK_MS != chunk:
                chunk = self._now_ms // _CHUNK_MS
                self._chance = Chance(self._seed, chunk)
            yield from action(subject)

    def _begin(self) -> Iterator[Event]:
        for spot in self._spots.values():
            self._at(self._chance.wait(spot.wait_ms), self._trade, spot)
            self._at(self._chance.wait(_BURST_MS), self._burst, spot)
        for fair in self._fairs:
            if fair.play.product is not None:
                self._spots[fair.play.product].fairs.append(fair)
            self._update(fair)
            self._at(self._chance.between(1, fair.play.walk_ms), self._walk, fair)
            for maker in fair.makers:
                maker.seen_e6 = fair.value_e6
                yield maker.begin(self._epoch_ns(), fair.value_e6, self._chance)
                self._at(self._chance.wait(maker.quoting.churn_ms), self._churn, maker)
        for wait_ms, play, lasts_ms in _FIRST_NEWS:
            self._at(wait_ms, self._first_news, (self._fairs[play], lasts_ms))
        self._at(self._chance.between(6_000, 9_000), self._news, None)

    def _at(self, wait_ms: int, action: Callable[..., Iterator[Event]], subject: object) -> None:
        self._order += 1
        heappush(self._heap, (self._now_ms + wait_ms, self._order, action, subject))

    def _epoch_ns(self) -> int:
        return self._begin_epoch_ns + self._now_ms * _MS_NS

    def _update(self, fair: _Fair) -> None:
        product = fair.play.product
        fair.update(self._spots[product].price_e8 if product is not None else 0)

    def _trade(self, spot: _Spot) -> Iterator[Event]:
        chance = self._chance
        pull = (spot.anchor_e8 - spot.exact_e8) * spot.wait_ms // _HOME_MS
        spot.exact_e8 += chance.bell(spot.step_e8) + pull  # cut to cents it would sink
        price_e8 = spot.exact_e8 // _CENT_E8 * _CENT_E8
        side = BID if price_e8 >= spot.price_e8 else ASK
        spot.price_e8 = price_e8
        spot.trade_id += 1
        size_e8 = chance.wait(3_000) * 1_000
        yield SpotTrade(
            self._epoch_ns(), spot.product, price_e8, size_e8, side, spot.trade_id
        )  # fmt: skip
        is_burst = self._now_ms < spot.burst_until_ms
        self._at(chance.wait(6 if is_burst else spot.wait_ms), self._trade, spot)
        for fair in spot.fairs:
            self._moved(fair)

    def _burst(self, spot: _Spot) -> Iterator[Event]:
        """Many trades, now and then because the price is a few basis points elsewhere."""
        chance = self._chance
        if chance.below(_JUMP_ONE_IN) == 0:
            size_e8 = chance.between(*spot.jump_e8)
            spot.exact_e8 += size_e8 if chance.coin() else -size_e8
        spot.burst_until_ms = self._now_ms + chance.between(200, 700)
        self._at(chance.wait(_BURST_MS), self._burst, spot)
        yield from ()

    def _walk(self, fair: _Fair) -> Iterator[Event]:
        """News fades, inventories drift, and a play without spot takes a step of its walk."""
        chance, play = self._chance, fair.play
        fair.news_e6 -= fair.news_e6 // 64 if fair.news_e6 > 0 else -(-fair.news_e6 // 64)
        if play.product is None:
            fair.walk_e6 += chance.bell(play.step_e6) + (play.home_e6 - fair.walk_e6) // 128
        maker = fair.makers[chance.bits(1)]
        rung = maker.rung_e6(fair.value_e6)
        maker.lean_e6 += chance.bell(rung // 12) - maker.lean_e6 // 32
        maker.lean_e6 = min(max(maker.lean_e6, -rung // 3), rung // 3)
        self._at(play.walk_ms, self._walk, fair)
        self._moved(fair)
        yield from ()

    def _moved(self, fair: _Fair) -> None:
        self._update(fair)
        for maker in fair.makers:
            if not maker.is_due and maker.moves_for(fair.value_e6):
                self._follow(fair, maker, maker.quoting.lag_ms + self._chance.below(20))

    def _follow(self, fair: _Fair, maker: Maker, wait_ms: int) -> None:
        maker.is_due = True
        maker.seen_e6 = fair.value_e6
        self._at(max(wait_ms, maker.frozen_until_ms - self._now_ms), self._requote, (fair, maker))

    def _requote(self, subject: tuple[_Fair, Maker]) -> Iterator[Event]:
        fair, maker = subject
        if self._now_ms < maker.frozen_until_ms:
            self._follow(fair, maker, 0)
            return
        maker.is_due = False
        yield from maker.requote(self._epoch_ns(), maker.seen_e6, self._chance)
        self._moved(fair)

    def _churn(self, maker: Maker) -> Iterator[Event]:
        self._at(self._chance.wait(maker.quoting.churn_ms), self._churn, maker)
        return maker.churn(self._epoch_ns(), self._chance)

    def _first_news(self, subject: tuple[_Fair, int]) -> Iterator[Event]:
        self._break(*subject)
        yield from ()

    def _news(self, _: object) -> Iterator[Event]:
        chance = self._chance
        self._at(1_000 + chance.wait(_NEWS_MS - 1_000), self._news, None)
        lasts_ms = (50 << chance.below(6)) + chance.between(0, 50) * (1 << chance.below(6))
        self._break(self._fairs[chance.below(len(self._fairs))], lasts_ms)
        yield from ()

    def _break(self, fair: _Fair, lasts_ms: int) -> None:
        """One maker sleeps, the other follows the news at once: a gap of 1 to 6 cents over fees."""
        chance = self._chance
        quick, sleeper = fair.makers if chance.coin() else fair.makers[::-1]
        over_e6 = chance.between(10_000, 60_000)
        is_up = chance.coin()
        if not 250_000 < fair.value_e6 < 750_000:
            is_up = fair.value_e6 < 500_000
            over_e6 = 10_000 + over_e6 // 4
        sleeper.frozen_until_ms = max(sleeper.frozen_until_ms, self._now_ms + lasts_ms)
        stale_e6 = sleeper.price_e6(ASK if is_up else BID)
        far_e6 = over_e6 + _fee_e6(stale_e6, sleeper.fee_rate_e6)
        sign = 1 if is_up else -1
        for _ in range(3):  # the fee at the new price depends on the new price
            touch_e6 = stale_e6 + sign * far_e6
            fees = _fee_e6(stale_e6, sleeper.fee_rate_e6) + _fee_e6(touch_e6, quick.fee_rate_e6)
            far_e6 = over_e6 + fees
        away_e6 = quick.quoting.half_e6 + quick.rung_e6(stale_e6 + sign * far_e6)
        target_e6 = stale_e6 + sign * (far_e6 + away_e6) - quick.lean_e6
        self._update(fair)
        fair.news_e6 += target_e6 - fair.value_e6
        self._update(fair)
        self._follow(fair, quick, chance.between(3, 15))
        self._moved(fair)


def _fee_e6(price_e6: int, rate_e6: int) -> int:
    """Taker fee of one contract, rounded up."""
    return -(-rate_e6 * price_e6 * (1_000_000 - price_e6) // 10**12)
