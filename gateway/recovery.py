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

_ORDER = ("leg", "venue", "instrument", "generation", "side", "limit_e6", "size_e6", "key")


def order_record(work: Work, run_id: int) -> dict[str, Any]:
    """What stands in the journal before the first byte of an intent's orders leaves: with the
    mapping and the key.
    """
    orders = [
        (o.leg, o.venue, o.instrument, o.generation, o.side, o.limit_e6, o.size_e6, o.key)
        for o in work.orders
    ]
    return {
        "k": "order",
        "run": run_id,
        "taken_ns": work.taken_ns,
        "intent": tuple(work.intent)[:-1],
        "orders": orders,
        "placings": [tuple(order.placing) for order in work.orders],
        "costs": work.costs_e6,
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
        elif kind == "lone" and record["intent"] in works:
            works[record["intent"]].given_up_e6 += record["size"]
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
    orders, facts = [], []
    for row, placing in zip(record["orders"], record["placings"], strict=True):
        fields = dict(zip(_ORDER, row, strict=True))
        number = record["intent"][0]
        orders.append(Order(intent=number, placing=Placing(*placing), **fields))
        cells = quote(fields["instrument"])
        facts.append(_NO_FACTS if cells is None else facts_of(cells))
    intent = Intent._make((*record["intent"], ()))
    return Work(intent, orders, record["costs"], facts, record["taken_ns"])


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
