"""One Polymarket account: pUSD, tokens, open orders and trades as its REST and user channel
show them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ops.venues.book import Resting, cost_up_e6
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, plain
from ops.venues.polymarket_order import Posted
from ops.venues.polymarket_rows import Counterparty


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

    def party(self, price_e6: int, size_e6: int) -> Counterparty:
        """This order as one end of a match."""
        posted = self.posted
        return Counterparty(
            order_id=self.order_id,
            owner=posted.owner,
            address=posted.maker,
            is_buy=posted.is_buy,
            outcome=posted.outcome,
            outcome_name=posted.outcome_name,
            token=posted.token,
            price_e6=price_e6,
            size_e6=size_e6,
        )

    def rest_json(self) -> dict[str, Any]:
        """A row of GET /data/orders."""
        posted = self.posted
        return {
            "id": self.order_id,
            "status": self.status,
            "owner": posted.owner,
            "maker_address": posted.maker,
            "market": posted.market.condition_id,
            "asset_id": posted.token,
            "side": "BUY" if posted.is_buy else "SELL",
            "original_size": plain(posted.shares_e6),
            "size_matched": plain(self.matched_e6),
            "price": plain(posted.price_e6),
            "outcome": posted.outcome_name,
            "expiration": str(posted.expiration_s),
            "order_type": posted.order_type,
            "associate_trades": self.trades,
            "created_at": self.created_ns // SECOND_NS,
        }

    def event_json(self, kind: str, run_ns: int) -> dict[str, Any]:
        """An `order` event of the user channel: PLACEMENT, UPDATE or CANCELLATION."""
        row = self.rest_json()
        return {
            "event_type": "order",
            "id": row["id"],
            "owner": row["owner"],
            "market": row["market"],
            "asset_id": row["asset_id"],
            "side": row["side"],
            "order_owner": row["owner"],
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


class PolymarketAccount:
    """pUSD, tokens, orders and trades of one wallet owner. `address`: its EOA, lower case.

    `allowance_e6`: how much pUSD its wallet lets the exchange take, None: any amount. `state`: ""
    or "banned" or "closed_only". `is_new`: it came after May 2026 and must use a deposit wallet.
    """

    def __init__(
        self,
        *,
        cash_e6: int,
        address: str,
        allowance_e6: int | None = None,
        state: str = "",
        is_new: bool = False,
    ) -> None:
        assert state in ("", "banned", "closed_only"), f"account state {state!r}"
        self.cash_e6 = cash_e6
        self.start_e6 = cash_e6
        self.address = address
        self.allowance_e6 = allowance_e6
        self.state = state
        self.is_new = is_new
        self.tokens_e6: dict[str, int] = {}
        self.cost_e6: dict[str, int] = {}  # what the tokens held were bought for
        self.fees_e6 = 0
        self.seen: set[str] = set()
        self.open: dict[str, PolymarketOrder] = {}
        self.trades: dict[str, dict[str, Any]] = {}
        self.owners: dict[str, str] = {}  # the API key of our order in each trade
        self.redeemed: list[tuple[int, str, int, int]] = []  # run ns, token, shares, paid
        self.settled_e6: dict[str, int] = {}  # what a token of a settled market paid
        self.amounts_e6: dict[str, tuple[int, int]] = {}  # of each order: price x size, fee

    def free_cash_e6(self) -> int:
        """pUSD that no open order binds."""
        return self.cash_e6 - sum(order.reserved_e6 for order in self.open.values())

    def free_allowance_e6(self) -> int | None:
        """What the exchange may still take besides what open orders bind, None: any amount."""
        if self.allowance_e6 is None:
            return None
        return self.allowance_e6 - sum(order.reserved_e6 for order in self.open.values())

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
        held_e6, cost_e6 = self.tokens_e6.get(token, 0), self.cost_e6.get(token, 0)
        if shares_e6 > 0:
            self.cost_e6[token] = cost_e6 - cash_e6
        elif held_e6:
            self.cost_e6[token] = cost_e6 * (held_e6 + shares_e6) // held_e6
        self.tokens_e6[token] = held_e6 + shares_e6
        self.cash_e6 += cash_e6 - fee_e6
        self.fees_e6 += fee_e6
        assert self.tokens_e6[token] >= 0, f"sold {token[:12]} short"

    def matched(self, order_id: str, *, notional_e6: int, fee_e6: int) -> None:
        """One match of an order of ours; negative: it failed."""
        before_e6, fees_e6 = self.amounts_e6.get(order_id, (0, 0))
        self.amounts_e6[order_id] = before_e6 + notional_e6, fees_e6 + fee_e6

    def redeem(self, token: str, unit_e6: int, run_ns: int) -> tuple[int, int]:
        """Pay out one token of a resolved market: (shares, pUSD paid)."""
        shares_e6 = self.tokens_e6.pop(token, 0)
        self.settled_e6[token] = unit_e6
        paid_e6 = shares_e6 * unit_e6 // ONE_E6
        self.cash_e6 += paid_e6
        if shares_e6:
            self.redeemed.append((run_ns, token, shares_e6, paid_e6))
        return shares_e6, paid_e6
