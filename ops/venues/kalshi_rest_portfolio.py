"""Kalshi's portfolio reads: signed, from the read bucket, as far behind as `kalshi_reads` is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_limits import CHEAP, COST
from ops.venues.kalshi_query import (
    BadQuery,
    cut_page,
    listed,
    one_of,
    page,
    told_between,
    whole,
)
from ops.venues.kalshi_reads import event_position, market_position
from ops.venues.kalshi_reply import NOT_FOUND
from ops.venues.numerals import count2
from ops.venues.rest import Answer, Call, Handler

GROUPS = "/portfolio/order_groups"
TRANSFERS = "/portfolio/intra_exchange_instance_transfers"
STATUSES = ("resting", "canceled", "executed")
SETTLED = "finalized"
TICKERS_MAX = 100
EVENTS_MAX = 10
Row = tuple[str, Handler, int]


class PortfolioCalls:
    """Handlers of the read bucket."""

    def __init__(self, venue: Kalshi) -> None:
        self._venue = venue
        self._reads = venue.reads

    def rows(self) -> Iterator[Row]:
        """(path, handler, tokens); fixed paths before those with a name in them."""
        yield "/portfolio/balance", self._balance, COST
        yield "/portfolio/orders", self._orders, COST
        yield "/portfolio/orders/queue_positions", self._queue_positions, COST
        yield "/portfolio/orders/{order_id}", self._order, CHEAP
        yield "/portfolio/orders/{order_id}/queue_position", self._queue_position, COST
        yield "/portfolio/fills", self._fills, COST
        yield "/portfolio/positions", self._positions, COST
        yield "/portfolio/settlements", self._settlements, COST
        yield "/portfolio/summary/total_resting_order_value", self._resting_value, COST
        yield GROUPS, self._groups, COST
        yield GROUPS + "/{group_id}", self._group, COST
        yield TRANSFERS, self._transfers, COST
        yield TRANSFERS + "/{transfer_id}", self._one_transfer, COST

    def _balance(self, call: Call) -> Answer:
        return Answer(200, self._reads.balance_json(whole(call, "exchange_index", "GetBalance")))

    def _resting_value(self, call: Call) -> Answer:
        return Answer(200, self._reads.resting_value_json())

    # ---- orders and fills

    def _wants(self, call: Call, operation: str) -> Callable[[dict[str, Any]], bool]:
        """The filters that orders, fills and settlements share."""
        tickers = listed(call, "ticker", operation, TICKERS_MAX)
        events = listed(call, "event_ticker", operation, EVENTS_MAX)
        shard = whole(call, "exchange_index", operation)

        def wants(row: dict[str, Any]) -> bool:
            ticker = row["ticker"]
            if tickers is not None and ticker not in tickers:
                return False
            if events is not None and self._venue.markets[ticker].event_ticker not in events:
                return False
            return shard in (None, row["exchange_index"])

        return wants

    def _orders(self, call: Call) -> Answer:
        operation = "GetOrders"
        wants, is_told = self._wants(call, operation), told_between(call, operation)
        status = one_of(call, "status", operation, STATUSES)
        rows = [
            row
            for row in self._reads.orders()
            if wants(row) and status in (None, row["status"]) and is_told(row["created_time"])
        ]
        return page(call, "orders", rows, operation)

    def _order(self, call: Call) -> Answer:
        row = self._reads.one_order(call.params["order_id"])
        return Answer(404, NOT_FOUND) if row is None else Answer(200, {"order": row})

    def _fills(self, call: Call) -> Answer:
        operation, order_id = "GetFills", call.query.get("order_id")
        wants, is_told = self._wants(call, operation), told_between(call, operation)
        rows = [
            row
            for row in self._reads.fills()
            if wants(row) and order_id in (None, row["order_id"]) and is_told(row["created_time"])
        ]
        return page(call, "fills", rows, operation)

    def _settlements(self, call: Call) -> Answer:
        operation = "GetSettlements"
        wants, is_told = self._wants(call, operation), told_between(call, operation)
        rows = [
            row for row in self._reads.settlements() if wants(row) and is_told(row["settled_time"])
        ]
        return page(call, "settlements", rows, operation)

    # ---- the queue: from the engine itself

    def _queue_position(self, call: Call) -> Answer:
        order = self._venue.account.open.get(call.params["order_id"])
        if order is None:
            return Answer(404, NOT_FOUND)
        queue_e6 = order.market.book.queue_e6(order.order_id)
        return Answer(200, {"queue_position_fp": count2(queue_e6)})

    def _queue_positions(self, call: Call) -> Answer:
        operation = "GetOrderQueuePositions"
        tickers = listed(call, "market_tickers", operation, TICKERS_MAX)
        event = call.query.get("event_ticker")
        rows = [
            {
                "order_id": order.order_id,
                "market_ticker": order.market.ticker,
                "queue_position_fp": count2(order.market.book.queue_e6(order.order_id)),
            }
            for order in self._venue.account.open.values()
            if (tickers is None or order.market.ticker in tickers)
            and event in (None, order.market.event_ticker)
        ]
        return Answer(200, {"queue_positions": rows})

    # ---- positions

    def _positions(self, call: Call) -> Answer:
        """Markets not settled yet, unless `settlement_status` says otherwise."""
        operation = "GetPositions"
        tickers = listed(call, "ticker", operation, TICKERS_MAX)
        event = call.query.get("event_ticker")
        shard = whole(call, "exchange_index", operation)
        words = ("unsettled", "settled", "all")
        status = one_of(call, "settlement_status", operation, words) or "unsettled"
        counts = listed(call, "count_filter", operation, 2) or set()
        if not counts <= {"position", "total_traded"}:
            raise BadQuery(operation, "CountFilter", "oneof")
        found = [
            (market, position)
            for market, position in self._reads.positions()
            if (tickers is None or market.ticker in tickers)
            and event in (None, market.event_ticker)
            and shard in (None, market.spec.exchange_index)
            and status in ("all", "settled" if market.status == SETTLED else "unsettled")
            and (not counts or ("position" in counts and position.net_e6 != 0)
                 or ("total_traded" in counts and position.traded_e6 != 0))
        ]  # fmt: skip
        cut, cursor = cut_page(call, found, operation)
        by_event: dict[str, list[Any]] = {}
        for market, position in cut:
            by_event.setdefault(market.event_ticker, []).append(position)
        body = {
            "cursor": cursor,
            "event_positions": [event_position(name, rows) for name, rows in by_event.items()],
            "market_positions": [market_position(market, position) for market, position in cut],
        }
        return Answer(200, body)

    # ---- groups, transfers

    def _groups(self, call: Call) -> Answer:
        return Answer(200, self._venue.groups.list_json())

    def _group(self, call: Call) -> Answer:
        body = self._venue.groups.one_json(call.params["group_id"])
        return Answer(404, NOT_FOUND) if body is None else Answer(200, body)

    def _transfers(self, call: Call) -> Answer:
        return page(call, "transfers", self._reads.transfers(), "GetTransfers", 500)

    def _one_transfer(self, call: Call) -> Answer:
        wanted = call.params["transfer_id"]
        rows = [row for row in self._reads.transfers() if row["transfer_id"] == wanted]
        return Answer(200, {"transfer": rows[0]}) if rows else Answer(404, NOT_FOUND)
