"""Journal records of orders, and back: what a predecessor of this run had under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gateway.guard import facts_of
from gateway.intent import Intent
from gateway.ledger import Ledger, Work
from gateway.order import E_LOSE, E_SEND, Amounts, Order
from gateway.ports import Facts, Fill, Placing
from shm_layout import P_DELAYED, P_LIVE, P_NEW

_INTENT = ("id", "parent", "kind", "pair", "direction", "flags", "trigger", "decide_ns", "recv_ns",
           "event_epoch_ns", "expires_ns", "edge_e6", "publish_ns")  # fmt: skip
_ORDER = ("leg", "venue", "instrument", "generation", "side", "limit_e6", "size_e6", "key")


def order_record(work: Work, run_id: int) -> dict[str, Any]:
    """What stands in the journal before the first byte of an intent's orders leaves: with the
    mapping and the key.
    """
    orders = [
        {name: getattr(order, name) for name in _ORDER}
        | {
            "token": order.placing.token,
            "token_side": order.placing.side,
            "token_price_e6": order.placing.price_e6,
            "cost_e6": cost_e6,
        }
        for order, cost_e6 in zip(work.orders, work.costs_e6, strict=True)
    ]
    intent = {name: getattr(work.intent, name) for name in _INTENT}
    return {
        "k": "order",
        "run": run_id,
        "taken_ns": work.taken_ns,
        "intent": intent,
        "orders": orders,
    }


def recover(
    records: Iterable[dict[str, Any]],
    run_id: int,
    ledger: Ledger,
    quote: Callable[[int], list[int] | None],
    now_ns: int,
) -> None:
    """Rebuild this run's intents. What was on its way is lost until it is found; nothing is
    booked: the venues' own figures are read after everything is final. Ended intents stay ended."""
    works: dict[int, Work] = {}
    by_key: dict[str, tuple[Work, Order]] = {}
    for record in records:
        kind = record.get("k")
        if kind == "order" and record["run"] == run_id:
            work = _work(record, quote)
            works[work.intent.id] = work
            by_key |= {order.key: (work, order) for order in work.orders}
        elif kind in ("out", "trade") and record["key"] in by_key:
            _evidence(kind, record, by_key[record["key"]][1])
        elif kind == "end" and record["intent"] in works:
            works[record["intent"]].ended = True
    for work in works.values():
        for order in work.orders:
            if order.placed == P_NEW:
                order.move(E_SEND)
            if not order.is_final and order.placed not in (P_LIVE, P_DELAYED):
                order.move(E_LOSE)
            order.folded = order.booked()
            order.next_query_ns = now_ns
        work.handed_e6 = work.excess_e6 if work.ended else 0
        ledger.restore(work)


def _work(record: dict[str, Any], quote: Callable[[int], list[int] | None]) -> Work:
    orders, costs, facts = [], [], []
    for row in record["orders"]:
        placing = Placing(row["token"], row["token_side"], row["token_price_e6"])
        fields = {name: row[name] for name in _ORDER}
        orders.append(Order(intent=record["intent"]["id"], placing=placing, **fields))
        costs.append(row["cost_e6"])
        cells = quote(row["instrument"])
        facts.append(_NO_FACTS if cells is None else facts_of(cells))
    intent = Intent(legs=(), **record["intent"])
    return Work(intent, orders, costs, facts, record["taken_ns"])


def _evidence(kind: str, record: dict[str, Any], order: Order) -> None:
    if kind == "out":
        order.placed, order.reason = record["placed"], record["why"]
        order.venue_id, order.is_exact = record["vid"], record["exact"]
        order.cumulative = Amounts(*record["cum"]) if record["cum"] else None
        return
    order.trades[record["trade"]] = Fill(
        order.key,
        record["trade"],
        record["size"],
        record["notional"],
        record["fee"],
        record["settled"],
    )


_NO_FACTS = Facts(
    rate_e6=70_000,
    exponent=1,
    fee_kind=0,  # unknown: the worst known fee
    fee_unit_e6=10_000,
    fee_mode=0,
    size_min_e6=10_000,
    size_step_e6=10_000,
    notional_min_e6=0,
    notional_step_e6=0,
    grid=(),
)
