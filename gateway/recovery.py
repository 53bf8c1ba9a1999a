"""Journal records of orders, and back: what a predecessor of this run had under way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.balance import lone_of
from gateway.facts import facts_of
from gateway.intent import Intent
from gateway.ledger import Ledger, Work
from gateway.order import E_LOSE, E_SEND, Amounts, Order
from gateway.ports import Facts, Fill, Placing
from gateway.restart import Place, Start
from gateway.run_times import Mapping
from shm_layout import P_DELAYED, P_LIVE, P_NEW, reason

_ORDER = ("leg", "venue", "instrument", "generation", "side", "limit_e6", "size_e6", "key")


ONE_LEGGED = reason("one_legged")


class TakeUp(Protocol):
    """Go on unwinding what each leg has alone; `tries`: the unwinds so far."""

    def __call__(
        self, work: Work, alone: Sequence[int], tries: Sequence[Work], now_ns: int
    ) -> None: ...


@dataclass(slots=True)
class Past:
    """What the journal says of this run. `newest_ns`: machine time of its newest record; `given_up`
    says what each leg had alone of intents that a predecessor left to an operator; `mismatched`
    the intents that ended with a leg alone since an operator looked last; `last_end`: the intent
    that ended last, and why; `start`: the last reconciliation and what settled since; None: there
    was none. `settled`: each event's market that settled last, and its result so far, 0 once
    nothing of it was held; `paid`: (YES, NO, dollars paid) of each market that settled.
    """

    works: dict[int, Work] = field(default_factory=dict)
    given_up: dict[int, list[int]] = field(default_factory=dict)
    mismatched: list[int] = field(default_factory=list)
    run_times: list[Mapping] = field(default_factory=list)
    newest_ns: int = 0
    last_end: tuple[int, int] = (0, 0)
    start: Start | None = None
    settled: dict[int, tuple[Place, int]] = field(default_factory=dict)
    paid: dict[Place, tuple[int, int, int]] = field(default_factory=dict)


def past_of(
    records: Iterable[dict[str, Any]], run_id: int, quote: Callable[[int], list[int] | None]
) -> Past:
    """Read the journal. Nothing is booked, nothing asked."""
    past = Past()
    by_key: dict[str, Order] = {}
    for record in records:
        kind = record.get("k")
        if kind == "order" and record["run"] == run_id:
            work = _work(record, quote)
            past.works[work.intent.id] = work
            by_key |= {order.key: order for order in work.orders}
            past.newest_ns = max(past.newest_ns, work.taken_ns)
        elif kind in ("out", "trade") and record["key"] in by_key:
            _evidence(kind, record, by_key[record["key"]])
            past.newest_ns = max(past.newest_ns, record.get("ns", 0))
        elif kind == "end" and record["intent"] in past.works:
            past.works[record["intent"]].ended = True
            past.last_end = record["intent"], record["why"]
            if record["why"] == ONE_LEGGED:
                past.mismatched.append(record["intent"])
        elif kind == "left" and record["intent"] in past.works:
            past.given_up[record["intent"]] = _left(record["e6"])
            past.works[record["intent"]].is_lone = True
        elif kind == "resume" and record["run"] == run_id:
            for number in past.given_up:
                past.works[number].is_lone = False
            past.mismatched.clear()
        elif kind == "start" and record["run"] == run_id:
            held = {(number, told): (yes, no) for number, yes, no, told in record["held"]}
            past.start = Start(dict(record["cash"]), held)
            past.start.folded = {key: order.booked() for key, order in by_key.items()}
        elif kind == "settle" and past.start is not None:
            place = record["instrument"], record["generation"]
            past.start.paid.append((place, record["value"]))
            past.paid[place] = record["yes"], record["no"], record["paid"]
            past.settled[record.get("event", -1)] = place, record.get("event_e6", 0)
        elif kind == "clock" and record["run"] == run_id:
            past.run_times.append(tuple(record["part"]))
    return past


def recover(past: Past, ledger: Ledger, take_up: TakeUp, stand: TakeUp, now_ns: int) -> None:
    """Rebuild this run's intents. What was on its way is lost until it is found; nothing is
    booked: the venues' own figures are read after everything is final. Ended intents stay ended;
    a leg of theirs that is still alone is taken up where the predecessor stopped; one that it gave
    up stands until an operator resumes. Of markets that are gone nothing is alone any more, and
    what went wrong there blocks nobody who has their number now.
    """
    is_gone = ledger.accounts.is_gone
    for number in past.mismatched:
        orders = past.works[number].orders
        there = [order.instrument for order in orders if not is_gone(order)]
        ledger.accounts.standing.mismatch(there)
    ended = [work for work in past.works.values() if work.ended]
    for work in past.works.values():
        for order in work.orders:
            if order.placed == P_NEW:
                order.move(E_SEND)
            if not order.is_final and order.placed not in (P_LIVE, P_DELAYED):
                order.move(E_LOSE)
            order.folded = order.booked()
        ledger.restore(work)
    for work in ended:
        given_up = past.given_up.get(work.intent.id)
        tries = [child for child in past.works.values() if child.parent is work]
        if given_up is None and not work.is_known and not tries:
            continue  # handed on when its last outcome is known; with tries it was, once
        work.handed_e6 = work.alone_e6 if given_up is None else given_up
        alone = lone_of(work, work.handed_e6, ledger.dust_e6)
        if any(map(is_gone, work.orders)):
            work.is_lone = False
        elif not any(alone):
            continue
        elif given_up is None:
            work.is_lone = True
            take_up(work, alone, tries, now_ns)
        elif work.is_lone:
            stand(work, alone, tries, now_ns)


def _left(told: int | list[int]) -> list[int]:
    """What each leg had alone; runs before 2026-11-21 told what the first of two had more."""
    return told if isinstance(told, list) else [max(told, 0), max(-told, 0)]


def _work(record: dict[str, Any], quote: Callable[[int], list[int] | None]) -> Work:
    orders, facts = [], []
    for row, placing in zip(record["orders"], record["placings"], strict=True):
        fields = dict(zip(_ORDER, row, strict=True))
        number = record["intent"][0]
        orders.append(Order(intent=number, placing=Placing(*placing), **fields))
        cells = quote(fields["instrument"])
        facts.append(_NO_FACTS if cells is None else facts_of(cells))
    intent = Intent._make((*record["intent"], (), 0, 0, ()))
    return Work(intent, orders, record["costs"], facts, record["taken_ns"])


def _evidence(kind: str, record: dict[str, Any], order: Order) -> None:
    if kind == "out":
        order.placed, order.reason = record["placed"], record["why"]
        order.venue_id, order.is_exact = record["vid"], record["exact"]
        order.cumulative = Amounts(*record["cum"]) if record["cum"] else None
        return
    order.venue_id = record.get("vid", order.venue_id)  # runs before 2026-11-21 lack it
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
