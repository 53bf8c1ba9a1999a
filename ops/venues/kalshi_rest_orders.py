"""Kalshi's writes: V2 orders, batches, order groups, transfers between shards; and what is left of
V1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_auth import error_body
from ops.venues.kalshi_changes import orders_of
from ops.venues.kalshi_desk import VENUE
from ops.venues.kalshi_groups import Group, limit_e6_of
from ops.venues.kalshi_limits import CHEAP, COST
from ops.venues.kalshi_order import KalshiOrder
from ops.venues.kalshi_order_body import flat
from ops.venues.kalshi_query import whole
from ops.venues.kalshi_reply import NOT_FOUND, Reply
from ops.venues.rest import Answer, Call, Handler

ORDERS = "/portfolio/events/orders"
GROUPS = "/portfolio/order_groups"
GONE = error_body(
    "deprecated_v1_order_endpoint",
    "Please switch to the V2 endpoints",
    "https://docs.kalshi.com/api-reference/orders/create-order-v2",
)
_V1 = (
    ("POST", "/portfolio/orders"),
    ("DELETE", "/portfolio/orders/{order_id}"),
    ("POST", "/portfolio/orders/{order_id}/amend"),
    ("POST", "/portfolio/orders/{order_id}/decrease"),
    ("POST", "/portfolio/orders/batched"),
    ("DELETE", "/portfolio/orders/batched"),
)
_EMPTY = ("order_id", "fill_count", "remaining_count", "ts_ms")  # null in the row of a refusal
_AVERAGES = ("average_fill_price", "average_fee_paid")
Cost = int | Callable[[Call], int]
Row = tuple[str, str, Handler, Cost]


class OrderCalls:
    """Handlers of the write bucket."""

    def __init__(self, venue: Kalshi) -> None:
        self._venue = venue

    def rows(self) -> Iterator[Row]:
        """(method, path, handler, tokens); fixed paths before those with a name in them."""
        yield "POST", ORDERS, self._create, COST
        yield "DELETE", ORDERS, self._cancel_all, COST
        yield "POST", f"{ORDERS}/batched", self._create_batch, _batch_cost(COST)
        yield "DELETE", f"{ORDERS}/batched", self._cancel_batch, _batch_cost(CHEAP)
        yield "DELETE", ORDERS + "/{order_id}", self._cancel, CHEAP
        yield "POST", ORDERS + "/{order_id}/amend", self._amend, COST
        yield "POST", ORDERS + "/{order_id}/decrease", self._decrease, COST
        yield "POST", f"{GROUPS}/create", self._create_group, COST
        yield "DELETE", GROUPS + "/{group_id}", self._delete_group, COST
        yield "PUT", GROUPS + "/{group_id}/reset", self._reset_group, COST
        yield "PUT", GROUPS + "/{group_id}/trigger", self._trigger_group, COST
        yield "PUT", GROUPS + "/{group_id}/limit", self._limit_group, COST
        yield "POST", "/portfolio/intra_exchange_instance_transfer", self._transfer, COST
        for method, path in _V1:
            yield method, path, lambda _: Answer(410, GONE), COST

    # ---- orders

    def _create(self, call: Call) -> Answer:
        return self._venue.answered(call.read_ns, self._venue.desk.create(call.json()))

    def _create_batch(self, call: Call) -> Answer:
        """201 with a row for each, in the order asked."""
        bodies = orders_of(call.json())
        if bodies is None:
            return Answer(400, flat("missing field orders"))
        return Answer(201, {"orders": [self._one(body, call) for body in bodies]}, is_order=True)

    def _one(self, body: Any, call: Call) -> dict[str, Any]:
        reply = self._venue.desk.create(body)
        self._venue.answered(call.read_ns, reply)
        assert reply.body is not None
        if reply.status == 201:
            return {**dict.fromkeys(_AVERAGES), **reply.body, "error": None}
        error = reply.body.get("error", reply.body)
        row = dict.fromkeys((*_EMPTY, *_AVERAGES))
        return {**row, "client_order_id": reply.key or None, "error": error}

    def _changed(self, reply: Reply, what: str) -> Answer:
        self._venue.log.count(VENUE, f"{what}_{reply.outcome}")
        return Answer(reply.status, reply.body)

    def _cancel(self, call: Call) -> Answer:
        shard = whole(call, "exchange_index", "CancelOrderV2")
        ticker = call.query.get("market_ticker")
        order_id = call.params["order_id"]
        return self._changed(self._venue.changes.cancel(order_id, shard, ticker), "cancel")

    def _cancel_batch(self, call: Call) -> Answer:
        return self._changed(self._venue.changes.cancel_batch(call.json()), "cancel")

    def _cancel_all(self, call: Call) -> Answer:
        reply = self._venue.changes.cancel_all()
        return Answer(reply.status, reply.body)

    def _amend(self, call: Call) -> Answer:
        order_id = call.params["order_id"]
        return self._changed(self._venue.changes.amend(order_id, call.json()), "amend")

    def _decrease(self, call: Call) -> Answer:
        order_id = call.params["order_id"]
        return self._changed(self._venue.changes.decrease(order_id, call.json()), "decrease")

    # ---- groups

    def _create_group(self, call: Call) -> Answer:
        reply = self._venue.groups.create(call.json())
        return Answer(reply.status, reply.body)

    def _group(self, call: Call, do: Callable[[Group], list[KalshiOrder]]) -> Answer:
        """Do something to a group of the shard named (none: 0), and cancel what it says."""
        shard = whole(call, "exchange_index", "OrderGroup")
        group = self._venue.groups.find(call.params["group_id"], shard)
        if group is None:
            return Answer(404, NOT_FOUND)
        run_ns = self._venue.clock.run_ns()
        for order in do(group):
            self._venue.desk.kill(order, run_ns, "")
        return Answer(200, {})

    def _delete_group(self, call: Call) -> Answer:
        return self._group(call, self._venue.groups.delete)

    def _reset_group(self, call: Call) -> Answer:
        return self._group(call, self._venue.groups.reset)

    def _trigger_group(self, call: Call) -> Answer:
        return self._group(call, self._venue.groups.trigger)

    def _limit_group(self, call: Call) -> Answer:
        limit_e6 = limit_e6_of(call.json())
        if limit_e6 is None:
            return Answer(400, flat("contracts_limit or contracts_limit_fp is needed"))
        return self._group(call, lambda group: self._venue.groups.limit(group, limit_e6))

    # ---- transfers

    def _transfer(self, call: Call) -> Answer:
        reply = self._venue.transfers.ask(call.json())
        return Answer(reply.status, reply.body)


def _batch_cost(each: int) -> Callable[[Call], int]:
    """A batch costs the sum of its items and is refused whole if the bucket cannot pay."""
    return lambda call: each * max(1, len(orders_of(call.json()) or ()))
