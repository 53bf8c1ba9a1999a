"""What happens to Kalshi's resting orders at the client's wish: cancel, decrease, amend, batches of
cancels.

Without `exchange_index` or `market_ticker` a cancel looks on shard 0 only: on a crypto market that
is the same 404 as an unknown order, while the order rests (incident of 2026-09-14; rule of SDK
3.34.0). Queue position survives only a smaller size or another expiry (kalshi.md 6).
"""

from __future__ import annotations

from typing import Any

from ops.venues.book import Change
from ops.venues.kalshi_desk import POST_ONLY_CROSS, TAKER_AT_CROSS, KalshiDesk
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_order import KalshiOrder
from ops.venues.kalshi_order_body import Amend, Decrease, flat, read_amend, read_decrease
from ops.venues.kalshi_reply import INVALID_ORDER, Reply, missing, refuse
from ops.venues.numerals import MS_NS, count2

LIVE = ("active", "inactive")  # market states in which a cancel is taken


def is_here(market: KalshiMarket, shard: int | None, ticker: str | None) -> bool:
    """Whether a call routed like this reaches the market's shard. -1 or a ticker alone: wherever
    the ticker is; nothing: shard 0.
    """
    if shard is None or shard == -1:
        if ticker:
            return ticker == market.ticker
        return shard is None and market.spec.exchange_index == 0
    return shard == market.spec.exchange_index


class KalshiChanges:
    """Changes orders that rest."""

    def __init__(self, desk: KalshiDesk) -> None:
        self._desk = desk

    # ---- cancel

    def cancel(self, order_id: str, shard: int | None, ticker: str | None) -> Reply:
        """DELETE one order."""
        found = self._find(order_id, shard, ticker)
        if isinstance(found, Reply):
            return found
        run_ns = self._desk.clock.run_ns()
        reduced_e6 = self._desk.kill(found, run_ns, "")
        body = {
            "order_id": order_id,
            "client_order_id": found.client_order_id,
            "reduced_by": count2(reduced_e6),
            "ts_ms": run_ns // MS_NS,
        }
        return Reply(200, body, "canceled", order_id)

    def cancel_batch(self, body: Any) -> Reply:
        """DELETE …/batched: 200 with a row for each, in the order asked; a row that failed has no
        stamp.
        """
        rows = orders_of(body)
        if rows is None:
            return Reply(400, flat("missing field orders"), "bad_request")
        return Reply(200, {"orders": [self._one_of_batch(row) for row in rows]}, "batch")

    def _one_of_batch(self, row: Any) -> dict[str, Any]:
        order_id = row.get("order_id") if isinstance(row, dict) else None
        shard = row.get("exchange_index") if isinstance(row, dict) else None
        if not isinstance(order_id, str) or type(shard) not in (int, type(None)):
            error = flat("missing field order_id")
            return {"order_id": "", "client_order_id": None, "reduced_by": "0.00", "error": error}
        reply = self.cancel(order_id, shard, row.get("market_ticker"))
        assert reply.body is not None
        if reply.status == 200:
            return {**reply.body, "error": None}
        order = self._desk.account.orders.get(order_id)
        return {
            "order_id": order_id,
            "client_order_id": order.client_order_id if order else None,
            "reduced_by": "0.00",
            "error": reply.body["error"],
        }

    def cancel_all(self) -> Reply:
        """DELETE /portfolio/events/orders: every shard."""
        for order in list(self._desk.account.open.values()):
            self._desk.kill(order, self._desk.clock.run_ns(), "")
        return Reply(204, None, "canceled_all")

    def _find(self, order_id: str, shard: int | None, ticker: str | None) -> KalshiOrder | Reply:
        order = self._desk.account.open.get(order_id)
        if order is None:
            return missing(order_id)
        if not is_here(order.market, shard, ticker):
            return missing(order_id, "wrong_shard")
        if order.market.status not in LIVE:
            return refuse(409, "market_inactive", key=order_id)
        return order

    # ---- decrease

    def decrease(self, order_id: str, body: Any) -> Reply:
        """POST …/decrease: what rests shrinks in its place; nothing left is a cancel."""
        wanted = read_decrease(body)
        if not isinstance(wanted, Decrease):
            return Reply(400, wanted, "bad_request", order_id)
        order = self._find(order_id, wanted.exchange_index, wanted.market_ticker)
        if isinstance(order, Reply):
            return order
        if wanted.to_e6 is None:
            left_e6 = max(0, order.leaves_e6 - (wanted.by_e6 or 0))
        else:
            left_e6 = min(wanted.to_e6, order.leaves_e6)
        run_ns = self._desk.clock.run_ns()
        if left_e6 == 0:
            self._desk.kill(order, run_ns, "Decrease")
        else:
            order.reason = "Decrease"
            order.count_e6 = order.filled_e6 + left_e6
            self._shrink(order, left_e6, run_ns)
        body = {
            "order_id": order_id,
            "client_order_id": order.client_order_id,
            "remaining_count": count2(left_e6),
            "ts_ms": run_ns // MS_NS,
        }
        return Reply(200, body, "decreased", order_id)

    def _shrink(self, order: KalshiOrder, left_e6: int, run_ns: int) -> None:
        changes: list[Change] = order.market.book.shrink(order.order_id, left_e6)
        order.leaves_e6 = left_e6
        order.updated_ns = run_ns
        self._desk.account.cover_again(order.market)
        self._desk.tape.deltas(order.market, changes, run_ns, order.client_order_id)
        self._desk.tape.order_changed(order)

    # ---- amend

    def amend(self, order_id: str, body: Any) -> Reply:
        """POST …/amend: price, size or expiry of an order that rests."""
        amend = read_amend(body)
        if not isinstance(amend, Amend):
            return Reply(400, amend, "bad_request", order_id)
        order = self._find(order_id, amend.exchange_index, amend.ticker)
        if isinstance(order, Reply):
            return order
        refused = self._wrong(order, amend)
        if refused:
            return Reply(refused.status, refused.body, refused.outcome, order_id)
        run_ns = self._desk.clock.run_ns()
        left_e6 = amend.count_e6 - order.filled_e6
        if amend.price_e6 == order.price_e6 and left_e6 <= order.leaves_e6:
            self._renamed(order, amend)
            order.count_e6 = amend.count_e6
            self._shrink(order, left_e6, run_ns)
        else:
            refused = self._replaced(order, amend, left_e6, run_ns)
            if refused:
                return Reply(refused.status, refused.body, refused.outcome, order_id)
        return Reply(200, order.reply_json(run_ns), "amended", order_id)

    def _wrong(self, order: KalshiOrder, amend: Amend) -> Reply | None:
        """What forbids an amend. What a wrong ticker or side is told is not documented."""
        refused = self._desk.refusal(order.market, amend.price_e6)
        if refused:
            return refused
        if (amend.ticker, amend.side) != (order.market.ticker, order.side):
            return refuse(400, INVALID_ORDER, details="ticker and side cannot be amended")
        if amend.client_order_id and amend.client_order_id != order.client_order_id:
            return refuse(400, INVALID_ORDER, details="client_order_id is another order's")
        if amend.count_e6 <= order.filled_e6:
            return refuse(400, INVALID_ORDER, details="count is filled already")
        changed = amend.new_client_id not in ("", order.client_order_id)
        if changed and amend.new_client_id in self._desk.account.client_ids:
            return refuse(409, "order_already_exists")
        return None

    def _renamed(self, order: KalshiOrder, amend: Amend) -> None:
        order.reason = "Amend"
        if amend.new_client_id:
            order.client_order_id = amend.new_client_id
            self._desk.account.client_ids.add(amend.new_client_id)
        if amend.expires_s is not None:
            order.expires_s = amend.expires_s
            self._desk.expires(order)

    def _replaced(
        self, order: KalshiOrder, amend: Amend, left_e6: int, run_ns: int
    ) -> Reply | None:
        """Another price or more of it: to the back of the queue, through the book on the way."""
        book = order.market.book
        plan = book.plan(
            order.side,
            amend.price_e6,
            left_e6,
            cancel_own=order.prevention != TAKER_AT_CROSS,
        )
        if order.post_only and (plan.takes or plan.own):
            return refuse(400, INVALID_ORDER, details=POST_ONLY_CROSS)
        rests_e6 = 0 if plan.stopped else left_e6 - plan.size_e6
        deal = self._desk.deal(order, amend.price_e6, plan, rests_e6)
        if deal is None:
            return refuse(400, "insufficient_balance")
        del self._desk.account.open[order.order_id]
        self._desk.tape.deltas(
            order.market, book.cancel(order.order_id), run_ns, order.client_order_id
        )
        self._renamed(order, amend)
        order.price_e6, order.count_e6, order.updated_ns = amend.price_e6, amend.count_e6, run_ns
        self._desk.carry_out(order, deal, run_ns)
        return None


def orders_of(body: Any) -> list[Any] | None:
    """The rows of a batch. None: there are none."""
    rows = body.get("orders") if isinstance(body, dict) else None
    return rows if isinstance(rows, list) and rows else None
