"""One Kalshi account: cash per shard, one signed net position per market, orders and the ids that
are used up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import KalshiOrder, money_e6
from ops.venues.numerals import ONE_E6
from ops.venues.script import ASK, BID


@dataclass(slots=True)
class Position:
    """`net_e6` is signed: + YES, - NO. `cost_e6` is what the open part cost."""

    net_e6: int = 0
    cost_e6: int = 0
    realized_e6: int = 0
    fees_e6: int = 0
    traded_e6: int = 0
    shares_e6: int = 0
    updated_ns: int = 0

    def closing_e6(self, side: int, size_e6: int) -> int:
        """How much of a trade on `side` closes what is held."""
        held_e6 = -self.net_e6 if side == BID else self.net_e6
        return min(size_e6, max(0, held_e6))

    def moved_e6(self, side: int, price_e6: int, size_e6: int) -> int:
        """The cash one fill moves before fees: closing brings money in, opening costs p or 1 -
        p.
        """
        closing_e6 = self.closing_e6(side, size_e6)
        unit_e6 = price_e6 if side == BID else ONE_E6 - price_e6
        return money_e6(ONE_E6 - unit_e6, closing_e6) - money_e6(unit_e6, size_e6 - closing_e6)

    def book(self, side: int, price_e6: int, size_e6: int, fee_e6: int, run_ns: int) -> int:
        """Apply one fill; returns the cash it moves before the fee."""
        moved_e6 = self.moved_e6(side, price_e6, size_e6)
        closing_e6 = self.closing_e6(side, size_e6)
        unit_e6 = price_e6 if side == BID else ONE_E6 - price_e6
        if closing_e6:
            released_e6 = self.cost_e6 * closing_e6 // abs(self.net_e6)
            self.cost_e6 -= released_e6
            self.realized_e6 += money_e6(ONE_E6 - unit_e6, closing_e6) - released_e6
        self.cost_e6 += money_e6(unit_e6, size_e6 - closing_e6)
        self.net_e6 += size_e6 if side == BID else -size_e6
        self.fees_e6 += fee_e6
        self.traded_e6 += money_e6(unit_e6, size_e6)
        self.shares_e6 += size_e6
        self.updated_ns = run_ns
        return moved_e6

    def settle(self, value_e6: int, run_ns: int) -> int:
        """The payout; the position is gone."""
        unit_e6 = value_e6 if self.net_e6 > 0 else ONE_E6 - value_e6
        paid_e6 = money_e6(unit_e6, abs(self.net_e6))
        self.realized_e6 += paid_e6 - self.cost_e6
        self.net_e6 = self.cost_e6 = 0
        self.updated_ns = run_ns
        return paid_e6


class KalshiAccount:
    """Cash, positions and orders as the engine has them; what is read lags (`kalshi_reads`)."""

    def __init__(self, cash_e6: Mapping[int, int]) -> None:
        self.cash_e6 = dict(cash_e6)
        self.start_e6 = dict(cash_e6)
        self.settled_e6: dict[str, int] = {}  # what a YES of a settled market paid
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, KalshiOrder] = {}
        self.open: dict[str, KalshiOrder] = {}
        self.client_ids: set[str] = set()
        self.worth_e6: dict[int, int] = {}  # cost of open positions by shard

    def position(self, ticker: str) -> Position:
        return self.positions.setdefault(ticker, Position())

    def free_e6(self, shard: int) -> int:
        """Cash of a shard that no resting order holds."""
        held_e6 = sum(
            order.reserved_e6
            for order in self.open.values()
            if order.market.spec.exchange_index == shard
        )
        return self.cash_e6.get(shard, 0) - held_e6

    def book(
        self, market: KalshiMarket, side: int, price_e6: int, size_e6: int, fee_e6: int, run_ns: int
    ) -> None:
        """One fill: position, cash and worth."""
        position, shard = self.position(market.ticker), market.spec.exchange_index
        cost_e6 = position.cost_e6
        moved_e6 = position.book(side, price_e6, size_e6, fee_e6, run_ns)
        self._move(shard, moved_e6 - fee_e6, position.cost_e6 - cost_e6)

    def settle(self, market: KalshiMarket, value_e6: int, run_ns: int) -> int:
        """The payout of a market's position, which is then gone."""
        position = self.position(market.ticker)
        cost_e6 = position.cost_e6
        paid_e6 = position.settle(value_e6, run_ns)
        self.settled_e6[market.ticker] = value_e6
        self._move(market.spec.exchange_index, paid_e6, -cost_e6)
        return paid_e6

    def transfer(self, source: int, destination: int, amount_e6: int) -> bool:
        """Move free cash between shards; False: there is not that much."""
        if amount_e6 > self.free_e6(source):
            return False
        self._move(source, -amount_e6, 0)
        self._move(destination, amount_e6, 0)
        return True

    def _move(self, shard: int, cash_e6: int, worth_e6: int) -> None:
        self.cash_e6[shard] = self.cash_e6.get(shard, 0) + cash_e6
        self.worth_e6[shard] = self.worth_e6.get(shard, 0) + worth_e6

    def cover_e6(
        self, ticker: str, side: int, net_e6: int, *, without: KalshiOrder | None = None
    ) -> int:
        """How much of `net_e6` an order on `side` could close that no resting order (but
        `without`) already does.
        """
        held_e6 = max(0, -net_e6 if side == BID else net_e6)
        taken_e6 = sum(
            min(order.cover_e6, order.leaves_e6)
            for order in self._resting(ticker, side)
            if order is not without
        )
        return max(0, held_e6 - taken_e6)

    def cover_again(self, market: KalshiMarket) -> None:
        """Give what the position covers to the oldest resting orders that close it."""
        net_e6 = self.position(market.ticker).net_e6
        for side, held_e6 in ((BID, max(0, -net_e6)), (ASK, max(0, net_e6))):
            for order in self._resting(market.ticker, side):
                order.cover_e6 = min(held_e6, order.leaves_e6)
                held_e6 -= order.cover_e6

    def _resting(self, ticker: str, side: int) -> list[KalshiOrder]:
        return [
            order
            for order in self.open.values()
            if order.market.ticker == ticker and order.side == side
        ]
