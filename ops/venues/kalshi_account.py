"""One Kalshi account: cash per shard, one signed net position per market, orders and fills as its
REST shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ops.venues.book import Resting
from ops.venues.fees import KalshiOrderFee
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.numerals import (
    MS_NS,
    ONE_E6,
    SECOND_NS,
    count2,
    dollars4,
    dollars6,
    iso_us,
)
from ops.venues.script import BID

USER_ID = "00000000-0000-4000-8000-000000000001"


def money_e6(price_e6: int, size_e6: int) -> int:
    """price x size; exact on Kalshi's grids (1e-4 dollars, 1e-2 contracts)."""
    return price_e6 * size_e6 // ONE_E6


@dataclass(slots=True)
class Position:
    """`net_e6` is signed: + YES, - NO. `cost_e6` is what the open part cost."""

    net_e6: int = 0
    cost_e6: int = 0
    realized_e6: int = 0
    fees_e6: int = 0
    traded_e6: int = 0
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


@dataclass(slots=True, kw_only=True)
class KalshiOrder:
    """One order. `cover_e6`: how much of what rests would close a position, so needs no
    collateral.
    """

    order_id: str
    client_order_id: str
    market: KalshiMarket
    side: int
    price_e6: int
    count_e6: int
    time_in_force: str
    prevention: str
    created_ns: int
    fee: KalshiOrderFee
    expires_s: int = 0
    updated_ns: int = 0
    filled_e6: int = 0
    leaves_e6: int = 0
    cover_e6: int = 0
    status: str = "resting"
    cost_e6: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    fees_e6: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    value_e6: int = 0
    resting: Resting | None = None

    @property
    def reserved_e6(self) -> int:
        unit_e6 = self.price_e6 if self.side == BID else ONE_E6 - self.price_e6
        return money_e6(unit_e6, max(0, self.leaves_e6 - self.cover_e6))

    def direction(self) -> dict[str, str]:
        return direction(self.side)

    def rest_json(self) -> dict[str, Any]:
        """The order object of GET /portfolio/orders."""
        order = {
            "order_id": self.order_id,
            "user_id": USER_ID,
            "client_order_id": self.client_order_id,
            "ticker": self.market.ticker,
            **self.direction(),
            "type": "limit",
            "status": self.status,
            "yes_price_dollars": dollars4(self.price_e6),
            "no_price_dollars": dollars4(ONE_E6 - self.price_e6),
            **self.amounts(),
            "created_time": iso_us(self.created_ns),
            "last_update_time": iso_us(self.updated_ns),
            "self_trade_prevention_type": self.prevention,
            "subaccount_number": 0,
            "exchange_index": self.market.spec.exchange_index,
        }
        if self.expires_s:
            order["expiration_time"] = iso_us(self.expires_s * SECOND_NS)
        return order

    def created_json(self) -> dict[str, Any]:
        """The 201 body of a create; the averages only when something filled."""
        body = {
            "order_id": self.order_id,
            "client_order_id": self.client_order_id,
            "fill_count": count2(self.filled_e6),
            "remaining_count": count2(self.leaves_e6),
            "ts_ms": self.created_ns // MS_NS,
        }
        if self.filled_e6:
            average_e6 = self.value_e6 * ONE_E6 // self.filled_e6
            body["average_fill_price"] = dollars4(average_e6)
            body["average_fee_paid"] = dollars4(self.fees_e6[True] * ONE_E6 // self.filled_e6)
        return body

    def amounts(self) -> dict[str, str]:
        """Counts, costs and fees."""
        return {
            "fill_count_fp": count2(self.filled_e6),
            "remaining_count_fp": count2(self.leaves_e6),
            "initial_count_fp": count2(self.count_e6),
            "taker_fill_cost_dollars": dollars6(self.cost_e6[True]),
            "maker_fill_cost_dollars": dollars6(self.cost_e6[False]),
            "taker_fees_dollars": dollars6(self.fees_e6[True]),
            "maker_fees_dollars": dollars6(self.fees_e6[False]),
        }

    def channel_json(self) -> dict[str, Any]:
        """The `msg` of a user_order frame."""
        direction = self.direction()
        return {
            "order_id": self.order_id,
            "user_id": USER_ID,
            "ticker": self.market.ticker,
            "exchange_index": self.market.spec.exchange_index,
            "status": self.status,
            "side": direction["side"],
            "is_yes": direction["side"] == "yes",
            "outcome_side": direction["outcome_side"],
            "book_side": direction["book_side"],
            "yes_price_dollars": dollars4(self.price_e6),
            **self.amounts(),
            "client_order_id": self.client_order_id,
            "self_trade_prevention_type": self.prevention,
            "created_time": iso_us(self.created_ns),
            "created_ts_ms": self.created_ns // MS_NS,
            "last_updated_ts_ms": self.updated_ns // MS_NS,
            "subaccount_number": 0,
        }


def direction(side: int) -> dict[str, str]:
    """The direction words of a book side: a bid buys YES, an ask buys NO."""
    if side == BID:
        return {"outcome_side": "yes", "book_side": "bid", "side": "yes", "action": "buy"}
    return {"outcome_side": "no", "book_side": "ask", "side": "no", "action": "buy"}


class KalshiAccount:
    """Cash, positions, orders and fills."""

    def __init__(self, cash_e6: Mapping[int, int]) -> None:
        self.cash_e6 = dict(cash_e6)
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, KalshiOrder] = {}
        self.open: dict[str, KalshiOrder] = {}
        self.client_ids: set[str] = set()
        self.fills: list[dict[str, Any]] = []
        self.settlements: list[dict[str, Any]] = []

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

    def cover_e6(self, ticker: str, side: int, net_e6: int) -> int:
        """How much of `net_e6` an order on `side` could close that no resting order already
        does.
        """
        held_e6 = max(0, -net_e6 if side == BID else net_e6)
        taken_e6 = sum(
            min(order.cover_e6, order.leaves_e6)
            for order in self.open.values()
            if order.market.ticker == ticker and order.side == side
        )
        return max(0, held_e6 - taken_e6)

    def balance_json(self, run_ns: int) -> dict[str, Any]:
        """GET /portfolio/balance: free cash, and what positions cost."""
        free = {shard: self.free_e6(shard) for shard in sorted(self.cash_e6)}
        total_e6 = sum(free.values())
        worth_e6 = sum(position.cost_e6 for position in self.positions.values())
        return {
            "balance": total_e6 // 10_000,
            "balance_dollars": dollars4(total_e6),
            "portfolio_value": worth_e6 // 10_000,
            "updated_ts": run_ns // SECOND_NS,
            "balance_breakdown": [
                {"exchange_index": shard, "balance": dollars4(cash_e6)}
                for shard, cash_e6 in free.items()
            ],
        }

    def positions_json(self, shards: Mapping[str, int]) -> dict[str, Any]:
        """GET /portfolio/positions. `shards`: exchange index by ticker."""
        rows = [
            {
                "ticker": ticker,
                "exchange_index": shards.get(ticker, 0),
                "position_fp": count2(position.net_e6),
                "market_exposure_dollars": dollars6(position.cost_e6),
                "realized_pnl_dollars": dollars6(position.realized_e6),
                "fees_paid_dollars": dollars6(position.fees_e6),
                "total_traded_dollars": dollars6(position.traded_e6),
                "last_updated_ts": iso_us(position.updated_ns),
            }
            for ticker, position in self.positions.items()
            if position.traded_e6
        ]
        return {"cursor": "", "event_positions": [], "market_positions": rows}
