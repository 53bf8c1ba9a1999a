"""A plain venue of one market: it matches in Fractions on a book of its own, charges by the
simulated venues' Decimal code and knows nothing of gateway/ (but what a connection hands on) and
engine/.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import orjson

from gateway.transport import Answer
from ops.venues.fees import KalshiFeeTerms, KalshiOrderFee, polymarket_fee_e6
from shm_layout import BUY, E6, SELL
from tests.gateway.scene import KALSHI

MS = 1_000_000
REPLY_NS, DELAY_NS = 2 * MS, 150 * MS
LOST, NEVER = "lost", "never"  # an answer that does not come: found by asking, or not even so
# a held order's end: a frame of its cancelled rest; one of what it matched; its trade alone; only
# who asks is told: by the order's own row, or by the trades' alone
CANCELED, MATCHED, TRADE, ROW, ROWS = TELLS = ("canceled", "matched", "trade", "row", "rows")
Levels = list[tuple[int, int]]  # (price_e6, size_e6) in YES terms, best first


@dataclass(slots=True)
class Trade:
    """What one order did at a venue: `side` and `paid` in YES terms, dollars."""

    key: str
    side: int
    size_e6: int
    price: Fraction
    fee_e6: int
    at_ns: int


@dataclass(slots=True)
class Order:
    """An order as it was read off the wire. `budget_e6` 0: it asks for a size."""

    key: str
    side: int
    limit_e6: int
    size_e6: int
    is_no: bool
    budget_e6: int
    at_ns: int
    what: dict[str, Any]


@dataclass(slots=True)
class PlainVenue:
    """One market. `asks`, `bids`: what is really there; `answers`: what happens to the answers of
    the next orders (LOST, NEVER, else as it should be); `delays`: orders are held for DELAY_NS;
    `tells`: how it is told what became of those (TELLS).
    """

    number: int
    clock: Callable[[], int]
    asks: Levels = field(default_factory=list)
    bids: Levels = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    delays: bool = False
    tells: str = CANCELED
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    released: dict[str, Order] = field(default_factory=dict)
    is_mute: bool = False
    due: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    frame: Callable[[bytes], None] = lambda _frame: None
    connects: int = 0
    free_count: int = 3

    @property
    def net_e6(self) -> int:
        """Contracts held, in YES terms."""
        return sum(t.size_e6 if t.side == BUY else -t.size_e6 for t in self.trades)

    def step(self) -> None:
        """What is due now."""
        now_ns = self.clock()
        for item in [item for item in self.due if item[0] <= now_ns]:
            self.due.remove(item)
            item[1]()

    # ---- as the desk's pool and link

    def take(self) -> PlainVenue:
        return self

    def give(self, _link: object) -> None: ...

    def tick(self, _now_ns: int) -> None: ...

    def close(self) -> None: ...

    def send(self, wire: bytes, then: Callable[[Answer], None]) -> int:
        """An order: matched after the delay, answered a little later."""
        now_ns = self.clock()
        order = self._read(orjson.loads(wire.split(b"\r\n\r\n", 1)[1]))
        self.orders.append(order)
        how = self.answers.pop(0) if self.answers else ""
        self.is_mute = self.is_mute or how == NEVER

        def reply() -> None:
            if how:
                self.match(order)
                then(Answer(error="reset", ack_ns=self.clock()))
            elif self.delays:
                self.due.append((now_ns + DELAY_NS, lambda: self._released(order)))
                told = {"success": True, "errorMsg": "", "orderID": order.key, "status": "delayed"}
                then(Answer(200, orjson.dumps(told), ack_ns=self.clock()))
            else:
                status, told = self._told(order, self.match(order))
                then(Answer(status, orjson.dumps(told), ack_ns=self.clock()))

        self.due.append((now_ns + REPLY_NS, reply))
        return now_ns

    async def request(self, wire: bytes) -> Answer:
        """A read: what became of an order."""
        if self.is_mute:
            return Answer(error="timeout", ack_ns=self.clock())
        path = wire.split(b" ", 2)[1].decode().split("?")[0]
        status, told = self._read_of(path)
        return Answer(status, orjson.dumps(told), ack_ns=self.clock())

    # ---- the market

    def _read(self, found: dict[str, Any]) -> Order:
        now_ns = self.clock()
        if self.number == KALSHI:
            side = BUY if found["side"] == "bid" else SELL
            size_e6, limit_e6 = (int(Fraction(found[name]) * E6) for name in ("count", "price"))
            key = found["client_order_id"]
            return Order(key, side, limit_e6, size_e6, False, 0, now_ns, found)
        is_no, price_e6, size_e6 = found["token"] == 1, found["price"], found["size"]
        side = found["side"] if not is_no else 1 - found["side"]
        limit_e6 = E6 - price_e6 if is_no else price_e6
        budget_e6 = price_e6 * size_e6 // E6 if found["side"] == BUY else 0
        return Order(found["hash"], side, limit_e6, size_e6, is_no, budget_e6, now_ns, found)

    def match(self, order: Order) -> Trade | None:
        """Walk the book: a budget buys as many as it pays for."""
        levels = self.asks if order.side == BUY else self.bids
        size, paid, money = 0, Fraction(0), Fraction(order.budget_e6)
        while levels:
            price_e6, depth = levels[0]
            if price_e6 > order.limit_e6 if order.side == BUY else price_e6 < order.limit_e6:
                break
            unit = Fraction(E6 - price_e6 if order.is_no else price_e6, E6)
            want = int(money / unit) if order.budget_e6 else order.size_e6 - size
            part = min(want, depth)
            if part <= 0:
                break
            size, paid, money = (
                size + part,
                paid + part * Fraction(price_e6, E6),
                money - part * unit,
            )
            levels[0] = (price_e6, depth - part)
            if part == depth:
                levels.pop(0)
        if not size:
            return None
        price = paid / size
        found = Trade(order.key, order.side, size, price, self._fee_e6(size, price), self.clock())
        self.trades.append(found)
        return found

    def _fee_e6(self, size_e6: int, price: Fraction) -> int:
        price_e6 = int(price * E6)
        if self.number == KALSHI:
            cost_e6 = -(-size_e6 * price_e6 // E6)
            return KalshiOrderFee(KalshiFeeTerms()).charge_e6(
                price_e6, size_e6, -cost_e6, is_taker=True
            )
        return polymarket_fee_e6(
            shares_e6=size_e6, cost_e6=size_e6 * price_e6 // E6, rate_e6=50_000, exponent=1
        )

    def _released(self, order: Order) -> None:
        """A held order is matched against the book as it is now, and the user channel says so."""
        trade = self.match(order)
        self.released[order.key] = order
        if trade is not None and self.tells in (CANCELED, MATCHED, TRADE):
            self.frame(orjson.dumps({"event_type": "trade", **self._row(order, trade)}))
        if self.tells == CANCELED or (trade is not None and self.tells == MATCHED):
            self.frame(orjson.dumps({"event_type": "order", **self._ended(order, trade)}))

    def _ended(self, order: Order, trade: Trade | None) -> dict[str, Any]:
        """An order's own row when it is over."""
        is_cut = self.tells == CANCELED or trade is None
        return {
            "id": order.key, "type": "CANCELLATION" if is_cut else "UPDATE",
            "status": "CANCELED" if is_cut else "MATCHED", "original_size": text(order.size_e6),
            "size_matched": text(trade.size_e6) if trade else "",
        }  # fmt: skip

    def _told(self, order: Order, trade: Trade | None) -> tuple[int, object]:
        if self.number == KALSHI:
            told = {
                "order_id": f"v{order.key}", "client_order_id": order.key,
                "remaining_count": "0.00", "fill_count": text(trade.size_e6 if trade else 0),
            }  # fmt: skip
            if trade is not None:
                each_e6 = -(-trade.fee_e6 * E6 // trade.size_e6)
                told["average_fill_price"] = text(int(trade.price * E6))
                told["average_fee_paid"] = text(each_e6)
            return 201, told
        if trade is None:
            return 400, {"error": "no orders found to match with FAK order."}
        unit = 1 - trade.price if order.is_no else trade.price
        money, shares = text(int(unit * trade.size_e6)), text(trade.size_e6)
        making, taking = (money, shares) if order.budget_e6 else (shares, money)
        return 200, {
            "success": True, "errorMsg": "", "orderID": order.key, "status": "matched",
            "makingAmount": making, "takingAmount": taking, "tradeIDs": ["t"],
        }  # fmt: skip

    def _row(self, order: Order, trade: Trade) -> dict[str, Any]:
        unit = 1 - trade.price if order.is_no else trade.price
        return {
            "id": f"t-{order.key}", "taker_order_id": order.key, "status": "CONFIRMED",
            "size": text(trade.size_e6), "price": text(int(unit * E6)), "maker_orders": [],
            "asset_id": "1", "side": "BUY" if order.budget_e6 else "SELL",
        }  # fmt: skip

    def _read_of(self, path: str) -> tuple[int, object]:
        done = {trade.key: trade for trade in self.trades}
        if path.startswith("/data/order/"):
            order = self.released.get(path.rsplit("/", 1)[1])
            if order is None or self.tells != ROW:
                return 404, {}
            return 200, self._ended(order, done.get(order.key))
        if path == "/data/trades":
            rows = [self._row(order, done[order.key]) for order in self.orders if order.key in done]
            return 200, {"data": rows, "next_cursor": "LTE="}
        if path.endswith("/orders"):
            return 200, {"orders": [self._kalshi_row(x, done.get(x.key)) for x in self.orders]}
        return 200, {"fills": []}

    def _kalshi_row(self, order: Order, trade: Trade | None) -> dict[str, Any]:
        size_e6 = trade.size_e6 if trade else 0
        unit = Fraction(0) if trade is None else trade.price
        unit = 1 - unit if order.side == SELL else unit
        return {
            "order_id": f"v{order.key}", "client_order_id": order.key, "status": "executed",
            "book_side": "bid" if order.side == BUY else "ask", "fill_count_fp": text(size_e6),
            "taker_fill_cost_dollars": text(int(unit * size_e6)),
            "taker_fees_dollars": text(trade.fee_e6 if trade else 0),
        }  # fmt: skip


def text(amount_e6: int) -> str:
    """Decimal text of a 1e-6 amount."""
    return f"{amount_e6 // E6}.{amount_e6 % E6:06d}"
