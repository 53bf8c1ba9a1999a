"""One Kalshi order, as the desk keeps it and as REST and the user_orders channel show it (field set
of SDK 3.34.0 and of the AsyncAPI document of autumn 2026).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ops.venues.book import Resting
from ops.venues.fees import KalshiOrderFee
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, count2, dollars4, dollars6, iso_us
from ops.venues.script import BID

USER_ID = "00000000-0000-4000-8000-000000000001"
RESTING, CANCELED, EXECUTED = "resting", "canceled", "executed"


def money_e6(price_e6: int, size_e6: int) -> int:
    """price x size; exact on Kalshi's grids (1e-4 dollars, 1e-2 contracts)."""
    return price_e6 * size_e6 // ONE_E6


def direction(side: int) -> dict[str, str]:
    """The direction words of a book side: a bid buys YES, an ask buys NO."""
    if side == BID:
        return {"outcome_side": "yes", "book_side": "bid", "side": "yes", "action": "buy"}
    return {"outcome_side": "no", "book_side": "ask", "side": "no", "action": "buy"}


@dataclass(slots=True, kw_only=True, eq=False)
class KalshiOrder:
    """`count_e6`: the most it may ever fill. `cover_e6`: how much of what rests would close a
    position, so needs no collateral. `reason`: why it changed last (last_update_reason; "": it has
    not, or for nothing that has a word).
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
    post_only: bool = False
    dies_in_pause: bool = False
    group_id: str = ""
    updated_ns: int = 0
    filled_e6: int = 0
    leaves_e6: int = 0
    cover_e6: int = 0
    status: str = RESTING
    reason: str = ""
    cost_e6: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    fees_e6: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})
    value_e6: int = 0
    resting: Resting | None = None

    @property
    def shard(self) -> int:
        """The exchange index it lives on."""
        return self.market.spec.exchange_index

    @property
    def unit_e6(self) -> int:
        """What opening one contract costs at the limit."""
        return self.price_e6 if self.side == BID else ONE_E6 - self.price_e6

    @property
    def reserved_e6(self) -> int:
        """Collateral of what rests."""
        return money_e6(self.unit_e6, max(0, self.leaves_e6 - self.cover_e6))

    def rest_json(self) -> dict[str, Any]:
        """The order object of GET /portfolio/orders. time_in_force is not echoed."""
        order = {
            "order_id": self.order_id,
            "user_id": USER_ID,
            "client_order_id": self.client_order_id,
            "ticker": self.market.ticker,
            **direction(self.side),
            "type": "limit",
            "status": self.status,
            "yes_price_dollars": dollars4(self.price_e6),
            "no_price_dollars": dollars4(ONE_E6 - self.price_e6),
            **self.amounts(),
            "created_time": iso_us(self.created_ns),
            "last_update_time": iso_us(self.updated_ns),
            "self_trade_prevention_type": self.prevention,
            "subaccount_number": 0,
            "exchange_index": self.shard,
        }
        if self.expires_s:
            order["expiration_time"] = iso_us(self.expires_s * SECOND_NS)
        if self.group_id:
            order["order_group_id"] = self.group_id
        if self.dies_in_pause:
            order["cancel_order_on_pause"] = True
        return order

    def reply_json(self, run_ns: int) -> dict[str, Any]:
        """The body of a create (201) or an amend (200); the averages only when something filled."""
        body = {
            "order_id": self.order_id,
            "client_order_id": self.client_order_id,
            "fill_count": count2(self.filled_e6),
            "remaining_count": count2(self.leaves_e6),
            "ts_ms": run_ns // MS_NS,
        }
        if self.filled_e6:
            fees_e6 = sum(self.fees_e6.values())
            body["average_fill_price"] = dollars4(self.value_e6 * ONE_E6 // self.filled_e6)
            body["average_fee_paid"] = dollars4(fees_e6 * ONE_E6 // self.filled_e6)
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
        words = direction(self.side)
        message = {
            "order_id": self.order_id,
            "user_id": USER_ID,
            "ticker": self.market.ticker,
            "exchange_index": self.shard,
            "status": self.status,
            "side": words["side"],
            "is_yes": words["side"] == "yes",
            "outcome_side": words["outcome_side"],
            "book_side": words["book_side"],
            "yes_price_dollars": dollars4(self.price_e6),
            **self.amounts(),
            "client_order_id": self.client_order_id,
            "self_trade_prevention_type": self.prevention,
            "created_time": iso_us(self.created_ns),
            "created_ts_ms": self.created_ns // MS_NS,
            "last_updated_ts_ms": self.updated_ns // MS_NS,
            "subaccount_number": 0,
        }
        if self.expires_s:
            message["expiration_time"] = iso_us(self.expires_s * SECOND_NS)
            message["expiration_ts_ms"] = self.expires_s * 1_000
        if self.group_id:
            message["order_group_id"] = self.group_id
        if self.reason:
            message["last_update_reason"] = self.reason
        return message
