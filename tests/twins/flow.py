"""The trade buffer in plain Python: a list of trades, everything computed anew each time it is
asked."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

SECOND = 10**9
KEPT = 8192


class Flow:
    """Trades of 60 seconds as (stamp, price, size, sign); exact."""

    def __init__(self) -> None:
        self.trades: list[tuple[int, int, int, int]] = []
        self.last_id = self.stamp = self.early = self.odd = self.now = 0

    def add(self, trade_id: int, stamp: int, price: int, size: int, side: int, now: int) -> bool:
        """As `engine.flow.add_trade`."""
        if trade_id <= self.last_id:
            return False
        self.last_id = trade_id
        if not 1 <= price <= 10**18 or not 0 <= size <= 10**15:
            self.odd += 1
            return False
        self.expire(now)
        if len(self.trades) == KEPT:
            self.trades.pop(0)
            self.early += 1
        self.stamp = max(self.stamp, min(stamp, now))
        self.trades.append((self.stamp, price, size, {0: 1, 1: -1}.get(side, 0)))
        return True

    def expire(self, now: int) -> None:
        """Time only moves on."""
        self.now = max(self.now, now)
        self.trades = [trade for trade in self.trades if trade[0] >= self.now - 60 * SECOND]

    @property
    def near(self) -> list[tuple[int, int, int, int]]:
        """Trades within 30 s."""
        return [trade for trade in self.trades if trade[0] >= self.now - 30 * SECOND]

    @property
    def net_e8(self) -> int:
        """Taker bought minus sold."""
        return sum(size * sign for _, _, size, sign in self.near)

    @property
    def mean(self) -> Fraction:
        """Volume-weighted price of 60 s in 1e-8 dollars; 0 without volume."""
        size = sum(trade[2] for trade in self.trades)
        paid = sum(trade[1] * trade[2] for trade in self.trades)
        return Fraction(paid, size) if size else Fraction(0)

    @property
    def share(self) -> Fraction:
        """Of the more frequent direction."""
        prices = [trade[1] for trade in self.near]
        steps = [after - before for before, after in pairwise(prices)]
        ups, downs = sum(step > 0 for step in steps), sum(step < 0 for step in steps)
        return Fraction(max(ups, downs), ups + downs) if ups + downs else Fraction(0)

    def velocity(self, strike: int) -> Fraction:
        """Fractions of strike per second."""
        if len(self.near) < 2:
            return Fraction(0)
        (begun, first, *_), (ended, last, *_) = self.near[0], self.near[-1]
        return Fraction(last - first, strike) / Fraction(max(ended - begun, SECOND), SECOND)
