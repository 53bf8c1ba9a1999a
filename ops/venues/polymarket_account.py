"""One Polymarket account: pUSD, tokens, open orders and trades as its REST and user channel
show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ops.venues.book import Resting, Take, cost_up_e6, unit_cost_e6
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, plain
from ops.venues.polymarket_market import OUTCOMES
from ops.venues.polymarket_order import Posted


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterparty:
    """Who stands at the other end of a match: a synthetic maker, or the taker of our resting
    order.
    """

    order_id: str
    owner: str
    address: str
    is_buy: bool
    outcome: int
    token: str
    price_e6: int
    size_e6: int

    def maker_row(self) -> dict[str, Any]:
        return {
            "order_id": self.order_id,
            "owner": self.owner,
            "maker_address": self.address,
            "matched_amount": plain(self.size_e6),
            "price": plain(self.price_e6),
            "fee_rate_bps": "",
            "asset_id": self.token,
            "outcome": OUTCOMES[self.outcome],
            "outcome_index": self.outcome,
            "side": "BUY" if self.is_buy else "SELL",
        }


@dataclass(slots=True, kw_only=True, eq=False)
class PolymarketOrder:
    """One accepted order. `leaves_e6`: shares still open; `held_e6`: pUSD held while delayed."""

    posted: Posted
    created_ns: int
    status: str = "LIVE"
    matched_e6: int = 0
    leaves_e6: int = 0
    held_e6: int = 0
    resting: Resting | None = None
    trades: list[str] = field(default_factory=list)

    @property
    def order_id(self) -> str:
        return self.posted.order_id

    @property
    def reserved_e6(self) -> int:
        """pUSD this order binds."""
        if not self.posted.is_buy:
            return 0
        return self.held_e6 or cost_up_e6(self.leaves_e6, self.posted.price_e6)

    def party(self, api_key: str, price_e6: int, size_e6: int) -> Counterparty:
        """This order as one end of a match."""
        posted = self.posted
        return Counterparty(
            order_id=self.order_id,
            owner=api_key,
            address=posted.maker,
            is_buy=posted.is_buy,
            outcome=posted.outcome,
            token=posted.token,
            price_e6=price_e6,
            size_e6=size_e6,
        )

    def rest_json(self, api_key: str) -> dict[str, Any]:
        """A row of GET /data/orders."""
        posted = self.posted
        return {
            "id": self.order_id,
            "status": self.status,
            "owner": api_key,
            "maker_address": posted.maker,
            "market": posted.market.condition_id,
            "asset_id": posted.token,
            "side": "BUY" if posted.is_buy else "SELL",
            "original_size": plain(posted.shares_e6),
            "size_matched": plain(self.matched_e6),
            "price": plain(posted.price_e6),
            "outcome": OUTCOMES[posted.outcome],
            "expiration": str(posted.expiration_s),
            "order_type": posted.order_type,
            "associate_trades": self.trades,
            "created_at": self.created_ns // SECOND_NS,
        }

    def event_json(self, api_key: str, kind: str, run_ns: int) -> dict[str, Any]:
        """An `order` event of the user channel: PLACEMENT, UPDATE or CANCELLATION."""
        row = self.rest_json(api_key)
        return {
            "event_type": "order",
            "id": row["id"],
            "owner": api_key,
            "market": row["market"],
            "asset_id": row["asset_id"],
            "side": row["side"],
            "order_owner": api_key,
            "original_size": row["original_size"],
            "size_matched": row["size_matched"],
            "price": row["price"],
            "associate_trades": self.trades or None,
            "outcome": row["outcome"],
            "type": kind,
            "created_at": str(row["created_at"]),
            "expiration": row["expiration"],
            "order_type": row["order_type"],
            "status": self.status,
            "maker_address": row["maker_address"],
            "timestamp": str(run_ns // MS_NS),
        }


def other_party(posted: Posted, take: Take, name: str) -> Counterparty:
    """Someone else in a match with us: on the same token, the other side. `name` is a UUID."""
    digits = name.replace("-", "")
    return Counterparty(
        order_id="0x" + digits * 2,
        owner=name,
        address="0x" + digits + "00000000",
        is_buy=not posted.is_buy,
        outcome=posted.outcome,
        token=posted.token,
        price_e6=unit_cost_e6(take.price_e6, posted.is_no),
        size_e6=take.size_e6,
    )


def trade_json(
    *,
    trade_id: str,
    taker: Counterparty,
    makers: list[Counterparty],
    market: str,
    trader_side: str,
    run_ns: int,
) -> dict[str, Any]:
    """A row of GET /data/trades. The top level is the taker, whoever we are."""
    seconds = str(run_ns // SECOND_NS)
    return {
        "id": trade_id,
        "taker_order_id": taker.order_id,
        "market": market,
        "asset_id": taker.token,
        "side": "BUY" if taker.is_buy else "SELL",
        "size": plain(taker.size_e6),
        "fee_rate_bps": "0",
        "price": plain(taker.price_e6),
        "status": "MATCHED",
        "match_time": seconds,
        "last_update": seconds,
        "outcome": OUTCOMES[taker.outcome],
        "bucket_index": 0,
        "owner": taker.owner,
        "maker_address": taker.address,
        "maker_orders": [maker.maker_row() for maker in makers],
        "transaction_hash": "",
        "trader_side": trader_side,
        "error_msg": None,
    }


class PolymarketAccount:
    """pUSD, tokens, orders and trades of one API key."""

    def __init__(self, *, cash_e6: int, api_key: str) -> None:
        self.cash_e6 = cash_e6
        self.api_key = api_key
        self.tokens_e6: dict[str, int] = {}
        self.fees_e6 = 0
        self.seen: set[str] = set()
        self.open: dict[str, PolymarketOrder] = {}
        self.trades: dict[str, dict[str, Any]] = {}

    def free_cash_e6(self) -> int:
        """pUSD that no open order binds."""
        return self.cash_e6 - sum(order.reserved_e6 for order in self.open.values())

    def free_tokens_e6(self, token: str) -> int:
        """Shares of a token that no open SELL binds."""
        bound_e6 = sum(
            order.leaves_e6
            for order in self.open.values()
            if order.posted.token == token and not order.posted.is_buy
        )
        return self.tokens_e6.get(token, 0) - bound_e6

    def move(self, token: str, *, shares_e6: int, cash_e6: int, fee_e6: int) -> None:
        """Book one match: what came in is positive."""
        self.tokens_e6[token] = self.tokens_e6.get(token, 0) + shares_e6
        self.cash_e6 += cash_e6 - fee_e6
        self.fees_e6 += fee_e6
        assert self.tokens_e6[token] >= 0, f"sold {token[:12]} short"

    def redeem(self, tokens: tuple[str, str], value_e6: int) -> int:
        """Pay out a resolved market; returns the pUSD paid."""
        paid_e6 = 0
        for token, unit_e6 in zip(tokens, (value_e6, ONE_E6 - value_e6), strict=True):
            paid_e6 += self.tokens_e6.pop(token, 0) * unit_e6 // ONE_E6
        self.cash_e6 += paid_e6
        return paid_e6
