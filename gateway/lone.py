"""What one leg holds alone is given back: on the venue and market that filled, on the side
opposite to what was filled.

Each try is an order of its own: an intent of the desk that names its parent. The time cap counts
from the moment both outcomes were known, the loss cap over all tries. What the caps do not cover
halts trading and names leg, size and cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.facts import facts_of, levels_of
from gateway.intent import Intent, Leg
from gateway.ledger import Work, yes_price_e6
from gateway.order import Order
from gateway.params import DeskParams
from gateway.ports import Lone, PlanUnwind
from shm_layout import (
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_UNWIND,
    ORIGIN_DESK,
    QUOTE,
    SELL,
    cell,
    intent_id,
    reason,
)

_NUMBER, _EPOCH, _TICK_EPOCH, _GENERATION = (
    cell(QUOTE, name) for name in ("number", "epoch", "tick_epoch", "generation")
)
ONE_LEGGED, KILLED = reason("one_legged"), reason("killed")
PLAN_NS = 100_000_000  # a plan waits so long for its signature, then the book is looked at again
GAP_NS = 20_000_000  # between tries that could not be sent


@dataclass(slots=True)
class Case:
    """One lone leg until it is given back or trading halts."""

    parent: Work
    order: Order
    left_e6: int
    since_ns: int
    cap_e6: int
    spent_e6: int = 0
    tries: int = 0
    plan: tuple[int, int] | None = None
    plan_ns: int = 0
    next_ns: int = 0
    child: Work | None = None

    @property
    def side(self) -> int:
        """The side that gives it back."""
        return SELL if self.order.side == BUY else BUY


@dataclass(slots=True)
class Unwinder:
    """All lone legs. `send(intent)` sends or answers a reason; `halt(reason, text)` lowers the
    gate.
    """

    params: DeskParams
    plan: PlanUnwind
    epoch: int
    quote: Callable[[int], list[int] | None]
    send: Callable[[Intent], tuple[Work | None, int]]
    halt: Callable[[int, str], None]
    named: Callable[[Intent, Order, int, int], None]
    counter: int = 0
    cases: list[Case] = field(default_factory=list)

    def add(self, work: Work, order: Order, size_e6: int, now_ns: int) -> None:
        """`order` filled `size_e6` contracts that its partner did not; both outcomes are known
        since `now_ns`.
        """
        cap_e6 = self.params.loss_cap_e6 * size_e6 // E6
        self.cases.append(Case(work, order, size_e6, now_ns, cap_e6))

    def take_up(
        self, work: Work, order: Order, size_e6: int, tries: Sequence[Work], now_ns: int
    ) -> None:
        """Go on where a predecessor stopped: its tries count, those under way are waited for."""
        self.add(work, order, size_e6, now_ns)
        case = self.cases[-1]
        for child in tries:
            case.tries += 1
            if child.ended:
                self._account(case, child)
            elif case.child is None:
                case.child = child
            else:  # the leg had become alone in parts
                part_e6 = child.orders[0].size_e6
                case.left_e6 -= part_e6
                self.add(work, order, part_e6, now_ns)
                self.cases[-1].child = child

    def begin(self, now_ns: int) -> None:
        """Unwinding starts now: waiting for the venues' figures does not count."""
        for case in self.cases:
            case.since_ns = now_ns

    def step(self, now_ns: int) -> int:
        """Send what can be sent; end what is done or beyond its caps. Returns work done."""
        done = 0
        for case in list(self.cases):
            child = case.child
            if child is not None:
                if not child.ended:
                    if now_ns - case.since_ns > self.params.time_cap_ns:
                        self._give_up(case, "an unwind's outcome is not known")
                    continue
                self._account(case, child)
                done += 1
            if case.left_e6 < self._least(case):
                self._finish(case)
            elif now_ns - case.since_ns > self.params.time_cap_ns:
                self._give_up(case, "the time cap is over")
            elif case.tries >= self.params.unwind_tries_max:
                self._give_up(case, f"{case.tries} tries")
            elif now_ns >= case.next_ns:
                done += self._try(case, now_ns)
        return done

    def _least(self, case: Case) -> int:
        """Below this size nothing can be ordered: it is dust."""
        return max(case.parent.facts[case.order.leg].size_min_e6, 1)

    def _account(self, case: Case, child: Work) -> None:
        """What a try gave back and what it lost."""
        order, case.child = child.orders[0], None
        filled_e6 = child.counted_e6 = order.folded.filled_e6
        paid, got = yes_price_e6(case.order), yes_price_e6(order)
        worse_e6 = paid - got if case.side == SELL else got - paid
        case.spent_e6 += max(-(-worse_e6 * filled_e6 // E6), 0) + order.folded.fee_e6
        case.left_e6 -= filled_e6

    def _try(self, case: Case, now_ns: int) -> int:
        instrument = case.order.instrument
        quote = self.quote(instrument)
        case.next_ns = now_ns + GAP_NS
        if quote is None:
            return 0
        if case.plan is None or now_ns - case.plan_ns > PLAN_NS:
            case.plan, case.plan_ns = self._planned(case, quote), now_ns
        if case.plan is None:
            return 0
        size_e6, limit_e6 = case.plan
        assert 0 < size_e6 <= case.left_e6 and 0 < limit_e6 < E6, case.plan
        work, why = self.send(self._intent(case, quote, size_e6, limit_e6, now_ns))
        if work is None:
            if why == KILLED:
                self._give_up(case, "the kill word is set")
            return 0
        case.child, case.plan = work, None
        case.tries += 1
        return 1

    def _planned(self, case: Case, quote: list[int]) -> tuple[int, int] | None:
        lone = Lone(
            side=case.order.side,
            size_e6=case.left_e6,
            price_e6=yes_price_e6(case.order),
            levels=levels_of(quote, case.side),
            loss_cap_e6=case.cap_e6,
            spent_e6=case.spent_e6,
            attempt=case.tries,
            facts=facts_of(quote),
        )
        return self.plan(lone)

    def _intent(
        self, case: Case, quote: list[int], size_e6: int, limit_e6: int, now_ns: int
    ) -> Intent:
        parent, order = case.parent.intent, case.order
        self.counter += 1
        leg = Leg(
            venue=order.venue,
            instrument=order.instrument,
            generation=quote[_GENERATION],
            side=case.side,
            limit_e6=limit_e6,
            size_e6=size_e6,
            cash_e6=0,
            quote_number=quote[_NUMBER],
            quote_epoch=quote[_EPOCH],
            tick_epoch=quote[_TICK_EPOCH],
        )
        return Intent(
            id=intent_id(ORIGIN_DESK, self.epoch, self.counter),
            parent=parent.id,
            kind=parent.kind,
            pair=parent.pair,
            direction=parent.direction,
            flags=FLAG_UNWIND | FLAG_REDUCE,
            trigger=order.instrument,
            decide_ns=now_ns,
            recv_ns=now_ns,
            event_epoch_ns=-1,
            expires_ns=now_ns + self.params.signal_age_max_ns,
            edge_e6=0,
            publish_ns=now_ns,
            legs=(leg,),
        )

    def _finish(self, case: Case) -> None:
        self.cases.remove(case)
        if not any(other.parent is case.parent for other in self.cases):
            case.parent.is_lone = False

    def _give_up(self, case: Case, why: str) -> None:
        """HALT, naming leg, size and cost. The position stays, counted, and the pair stays
        paused.
        """
        self.cases.remove(case)
        order = case.order
        price_e6 = yes_price_e6(order)
        unit_e6 = price_e6 if order.side == BUY else E6 - price_e6
        cost_e6 = -(-unit_e6 * case.left_e6 // E6)
        self.counter += 1
        number = intent_id(ORIGIN_DESK, self.epoch, self.counter)
        last = Intent(
            id=number, parent=case.parent.intent.id, kind=case.parent.intent.kind,
            pair=case.parent.intent.pair, direction=case.parent.intent.direction,
            flags=FLAG_UNWIND, trigger=order.instrument, decide_ns=case.since_ns, recv_ns=0,
            event_epoch_ns=-1, expires_ns=0, edge_e6=0, publish_ns=0, legs=(),
        )  # fmt: skip
        self.named(last, order, case.left_e6, cost_e6)
        verb = "bought" if order.side == BUY else "sold"
        self.halt(
            ONE_LEGGED,
            f"one leg alone: instrument {order.instrument}, {verb} {case.left_e6}e-6 contracts "
            f"that cost {cost_e6}e-6, lost {case.spent_e6}e-6 so far: {why}",
        )
