"""The maker of one market of the seeded world: a ladder of levels on the market's grid."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import cache

from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    Event,
    Level,
    LevelSet,
    MarketSpec,
    MarketTrade,
)
from ops.venues.world_cast import Quoting
from ops.venues.world_chance import Chance

_WHOLE_E6 = 1_000_000
_TRADE_ONE_IN = 24  # size changes that are a trade at the touch
_FRACTION_ONE_IN = 7  # sizes with hundredths, as 13-16 % of Kalshi's are


@cache  # a few grids for thousands of makers
def grid_of(ranges: tuple[tuple[int, int, int], ...]) -> tuple[int, ...]:
    """All legal prices, ascending, without 0 and 1."""
    prices = {price for start, end, step in ranges for price in range(start, end + 1, step)}
    return tuple(sorted(prices - {0, 1_000_000}))


class Maker:
    """Quotes `levels` a side around a target, never crossed. Places are indexes into the grid."""

    def __init__(self, market: int, spec: MarketSpec, quoting: Quoting) -> None:
        self.market = market
        self.quoting = quoting
        self.fee_rate_e6 = spec.fee_rate_e6
        self.seen_e6 = -1  # the fair value the quotes are about to follow
        self.is_due = False  # a new quote is on its way
        self.frozen_until_ms = 0
        self.lean_e6 = 0  # what inventory adds to the target
        self.half_e6 = quoting.half_e6  # these two may change from quote to quote
        self.size_e6 = quoting.size_e6
        self._grid = grid_of(spec.price_ranges)
        self._target_e6 = 0
        self._sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._best = [-1, -1]
        self._reach_e6 = 0  # how far the fair value may go before the quotes follow

    def price_e6(self, side: int) -> int:
        """The touch of one side."""
        return self._grid[self._best[side]]

    def rung_e6(self, price_e6: int) -> int:
        """Distance between levels near a price."""
        at = min(bisect_left(self._grid, price_e6), len(self._grid) - 2)
        return (self._grid[at + 1] - self._grid[at]) * self.quoting.spacing

    def moves_for(self, fair_e6: int) -> bool:
        """Whether `fair_e6` is far enough from the last target to quote anew."""
        return abs(fair_e6 + self.lean_e6 - self._target_e6) >= self._reach_e6

    def begin(self, at_epoch_ns: int, fair_e6: int, chance: Chance) -> BookSet:
        """The first book."""
        for _ in self.requote(at_epoch_ns, fair_e6, chance):
            pass
        return BookSet(at_epoch_ns, self.market, self._levels(BID), self._levels(ASK))

    def _levels(self, side: int) -> tuple[Level, ...]:
        levels = ((self._grid[at], size) for at, size in self._sides[side].items())
        return tuple(sorted(levels, reverse=side == BID))

    def requote(self, at_epoch_ns: int, fair_e6: int, chance: Chance) -> Iterator[Event]:
        """What changes when the ladder moves to a new fair value: first what is in the way goes."""
        self._target_e6 = target_e6 = fair_e6 + self.lean_e6
        grid, spacing, count = self._grid, self.quoting.spacing, self.quoting.levels
        last = len(grid) - 1
        bid = bisect_right(grid, target_e6 - self.half_e6) - 1
        bid = min(max(bid - bid % spacing, 0), last - 1)
        ask = bisect_left(grid, target_e6 + self.half_e6)
        ask = max(min(ask + -ask % spacing, last), bid + 1)
        self._reach_e6 = (grid[bid + 1] - grid[bid]) * spacing * 3 // 5
        if self._best == [bid, ask]:
            return  # no level ever vanishes but here
        self._best = [bid, ask]
        wanted = (
            [at for at in range(bid, bid - spacing * count, -spacing) if at >= 0],
            [at for at in range(ask, ask + spacing * count, spacing) if at <= last],
        )
        for side, in_way in ((ASK, ask), (BID, -bid)):
            for at in sorted(self._sides[side]):
                if (at if side == ASK else -at) < in_way:
                    yield self._set(at_epoch_ns, side, at, 0)
        for side in (BID, ASK):
            there = self._sides[side]
            for depth, at in enumerate(wanted[side]):
                if at not in there:
                    yield self._set(at_epoch_ns, side, at, self._size_e6(depth, chance))
            for at in [at for at in there if at not in wanted[side]]:
                yield self._set(at_epoch_ns, side, at, 0)

    def churn(self, at_epoch_ns: int, chance: Chance) -> Iterator[Event]:
        """One level changes its size, now and then because somebody traded there."""
        side = chance.bits(1)
        if chance.below(_TRADE_ONE_IN) == 0:
            at = self._best[side]
            before = self._sides[side][at]
            size = before * chance.between(1, 6) // 8 // 10_000 * 10_000
            if size:
                taker = ASK if side == BID else BID
                yield MarketTrade(at_epoch_ns, self.market, self._grid[at], size, taker)
                yield self._set(at_epoch_ns, side, at, before - size)
            return
        depth = chance.below(len(self._sides[side]))
        at = sorted(self._sides[side], reverse=side == BID)[depth]
        yield self._set(at_epoch_ns, side, at, self._size_e6(depth, chance))

    def leave(self, at_epoch_ns: int) -> Iterator[Event]:
        """Every level goes."""
        for side in (BID, ASK):
            for at in list(self._sides[side]):
                yield self._set(at_epoch_ns, side, at, 0)
        self._best = [-1, -1]

    def _set(self, at_epoch_ns: int, side: int, at: int, size_e6: int) -> LevelSet:
        if size_e6:
            self._sides[side][at] = size_e6
        else:
            del self._sides[side][at]
        return LevelSet(at_epoch_ns, self.market, side, self._grid[at], size_e6)

    def _size_e6(self, depth: int, chance: Chance) -> int:
        size = self.size_e6 * (4 + depth) * chance.between(40, 160) // 400
        size = size // _WHOLE_E6 * _WHOLE_E6
        if chance.below(_FRACTION_ONE_IN) == 0:
            size += chance.between(1, 99) * 10_000
        return size + _WHOLE_E6
