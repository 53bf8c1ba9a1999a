"""One leg alone: its pair is completed (the other leg is bought after all) or it is given back on
the venue and market that filled, whichever loses less.

Each try is an order of its own: an intent of the desk that names its parent. The time cap counts
from the moment both outcomes were known, the loss cap over all tries. What the caps do not cover
halts trading and names leg, size and cost; what then still comes of a try corrects them. A try that
fills more than was alone leaves the rest alone on its own side: the same case goes on with it.

A market that is completed must show a book that is newer than the one its leg missed on: the old
one has just been proved wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gateway.facts import facts_of, levels_of
from gateway.intent import Intent, Leg
from gateway.ledger import Work, yes_price_e6
from gateway.order import Order
from gateway.params import DeskParams
from gateway.ports import Lone, LonePlan, Missing, PlanLone
from gateway.standing import Left
from shm_layout import (
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    ORIGIN_DESK,
    QUOTE,
    SELL,
    cell,
    intent_id,
    reason,
)

_NUMBER, _EPOCH, _TICK_EPOCH, _GENERATION, _TRUST, _DELAY = (
    cell(QUOTE, name)
    for name in ("number", "epoch", "tick_epoch", "generation", "trust", "taker_delay_ns")
)
ONE_LEGGED, KILLED = reason("one_legged"), reason("killed")
COMPLETE, HALT = "complete", "halt"  # of a plan
PLAN_NS = 50_000_000  # a plan waits so long for its signature, then the book is looked at again
GAP_NS = 5_000_000  # between tries that could not be sent
COMPLETES_MAX = 2  # tries to complete: books that are not there must not use up the others
ANSWER_NS = 50_000_000  # until a try is known, beside what its venue holds takers back


@dataclass(slots=True)
class Case:
    """One lone leg until its pair is complete, it is given back, or trading halts: place `leg` of
    the parent, filled on `side` at `price_e6` (YES terms). `missed`: epoch and number of the quote
    that the other leg missed on.
    """

    parent: Work
    leg: int
    side: int
    price_e6: int
    left_e6: int
    since_ns: int
    cap_e6: int
    missed: tuple[int, int] | None
    spent_e6: int = 0
    tries: int = 0
    completes: int = 0
    plan: LonePlan | None = None
    plan_ns: int = 0
    next_ns: int = 0
    child: Work | None = None

    @property
    def order(self) -> Order:
        """The leg that is alone."""
        return self.parent.orders[self.leg]

    @property
    def missing(self) -> Order:
        """The leg that it has no partner in."""
        return self.parent.orders[1 - self.leg]

    @property
    def missing_side(self) -> int:
        """The side that completes the pair in the other market."""
        side = self.missing.side
        return side if self.side == self.order.side else _other(side)

    @property
    def cost_e6(self) -> int:
        """What the contracts cost, rounded up."""
        return -(-_token_e6(self.price_e6, self.side) * self.left_e6 // E6)


@dataclass(slots=True)
class Unwinder:
    """All lone legs. `alive(instrument)`: live epoch of its feed; `send(intent)` sends or answers a
    reason; `lost(instrument, loss)`: a completion has locked in a loss; `left(instrument, Left)`:
    what stands there; `halt(reason, text)` lowers the gate. `stood`: given up, until `resume`.
    """

    params: DeskParams
    plan: PlanLone
    epoch: int
    quote: Callable[[int], list[int] | None]
    alive: Callable[[int], int]
    send: Callable[[Intent], tuple[Work | None, int]]
    halt: Callable[[int, str], None]
    named: Callable[[Intent, Order, int, int], None]
    lost: Callable[[int, int], None]
    left: Callable[[int, Left], None]
    counter: int = 0
    cases: list[Case] = field(default_factory=list)
    stood: list[Case] = field(default_factory=list)

    def add(self, work: Work, order: Order, size_e6: int, now_ns: int) -> None:
        """`order` filled `size_e6` contracts that its partner did not; both outcomes are known
        since `now_ns`.
        """
        assert len(work.orders) == 2, work.intent  # of one leg none is ever alone
        cap_e6 = self.params.loss_cap_e6 * size_e6 // E6
        legs = work.intent.legs  # none of a predecessor's intent
        other = legs[1 - order.leg] if legs else None
        missed = (other.quote_epoch, other.quote_number) if other else None
        price_e6 = yes_price_e6(order) if order.folded.filled_e6 else order.limit_e6
        self.cases.append(
            Case(work, order.leg, order.side, price_e6, size_e6, now_ns, cap_e6, missed)
        )

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

    def stand(
        self, work: Work, order: Order, size_e6: int, tries: Sequence[Work], now_ns: int
    ) -> None:
        """A leg that a predecessor gave up: it stays with the operator, and is still told."""
        known = len(self.cases)
        self.take_up(work, order, size_e6, tries, now_ns)
        self.cases, given_up = self.cases[:known], self.cases[known:]
        self.stood += given_up
        for case in given_up:
            self._tell(case.parent, case.order.instrument)

    def begin(self, now_ns: int) -> None:
        """Unwinding starts now: waiting for the venues' figures does not count."""
        for case in self.cases:
            case.since_ns = now_ns

    def resume(self, works: Iterable[Work]) -> None:
        """An operator has looked: legs that were given up are theirs, and their pairs go on."""
        self.stood.clear()
        busy = {id(case.parent) for case in self.cases}
        for work in works:
            if work.is_lone and id(work) not in busy:
                work.is_lone = False

    def step(self, now_ns: int) -> int:
        """Send what can be sent; end what is done or beyond its caps. Returns work done."""
        done = self._late()
        for case in list(self.cases):
            child = case.child
            if child is not None:
                if not child.ended:
                    if now_ns - case.since_ns > self.params.time_cap_ns:
                        self._give_up(case, "an unwind's outcome is not known")
                    continue
                self._account(case, child)
                done += 1
            if self._is_dust(case):
                self._finish(case)
            elif now_ns - case.since_ns > self.params.time_cap_ns:
                self._give_up(case, "the time cap is over")
            elif case.tries >= self.params.unwind_tries_max:
                self._give_up(case, f"{case.tries} tries")
            elif now_ns >= case.next_ns:
                done += self._try(case, now_ns)
        return done

    def _late(self) -> int:
        """What a try under way when its leg was given up has come to since."""
        done = 0
        for case in self.stood:
            if case.child is not None and case.child.ended:
                before = case.order.instrument
                self._account(case, case.child)
                for instrument in {before, case.order.instrument}:
                    self._tell(case.parent, instrument)
                done += 1
        return done

    def _is_dust(self, case: Case) -> bool:
        """Nothing that could be ordered, or worth an order (`dust_e6`): left and counted."""
        least_e6 = max(case.parent.facts[case.leg].size_min_e6, 1)
        return case.left_e6 < least_e6 or case.cost_e6 <= self.params.dust_e6

    def _account(self, case: Case, child: Work) -> None:
        """What a try gave back or completed, and what it lost. Beyond what was alone, its own
        contracts are.
        """
        order, case.child = child.orders[0], None
        filled_e6 = child.counted_e6 = order.folded.filled_e6
        if not filled_e6:
            return
        price_e6 = yes_price_e6(order)
        # both in the terms of what each bought: together they pay a dollar
        worse_e6 = _token_e6(case.price_e6, case.side) + _token_e6(price_e6, order.side) - E6
        lost_e6, fee_e6 = -(-worse_e6 * min(filled_e6, case.left_e6) // E6), order.folded.fee_e6
        case.spent_e6 += max(lost_e6, 0) + fee_e6
        if order.instrument != case.order.instrument and lost_e6 + fee_e6 > 0:
            self.lost(order.instrument, lost_e6 + fee_e6)
        case.left_e6 -= filled_e6
        if case.left_e6 < 0:
            case.leg = case.leg if order.instrument == case.order.instrument else 1 - case.leg
            case.side, case.price_e6, case.left_e6 = order.side, price_e6, -case.left_e6
            case.missed = None

    def _try(self, case: Case, now_ns: int) -> int:
        case.next_ns = now_ns + GAP_NS
        if case.plan is None or now_ns - case.plan_ns > PLAN_NS:
            case.plan, case.plan_ns = self._planned(case, now_ns), now_ns
        plan = case.plan
        if plan is None:
            return 0
        completes = plan.action == COMPLETE
        target = case.missing if completes else case.order
        quote = self.quote(target.instrument)
        if quote is None:
            return 0
        assert 0 < plan.size_e6 <= case.left_e6 and 0 < plan.limit_e6 < E6, plan
        work, why = self.send(self._intent(case, plan, target, quote, now_ns))
        if work is None:
            if why == KILLED:
                self._give_up(case, "the kill word is set")
            return 0
        case.child, case.plan = work, None
        case.tries += 1
        if completes:
            case.completes += 1
            case.missed = quote[_EPOCH], quote[_NUMBER]
        return 1

    def _planned(self, case: Case, now_ns: int) -> LonePlan | None:
        instrument = case.order.instrument
        quote = self.quote(instrument)
        if quote is None:
            return None
        back = _other(case.side)
        lone = Lone(
            side=case.side,
            size_e6=case.left_e6,
            price_e6=case.price_e6,
            levels=levels_of(quote, back),
            loss_cap_e6=case.cap_e6,
            spent_e6=case.spent_e6,
            attempt=case.tries,
            is_blind=not self._is_trusted(instrument, quote),
            facts=facts_of(quote),
        )
        plan = self.plan(lone, self._missing(case, now_ns))
        return None if plan.action == HALT else plan

    def _missing(self, case: Case, now_ns: int) -> Missing | None:
        """What the other market shows; None: nothing that could be trusted to be there, or that
        could be known before the time is up.
        """
        instrument = case.missing.instrument
        quote = self.quote(instrument)
        if quote is None or case.completes >= COMPLETES_MAX:
            return None
        left_ns = case.since_ns + self.params.time_cap_ns - now_ns
        if quote[_DELAY] > 0 and quote[_DELAY] + ANSWER_NS > left_ns:
            return None
        if not self._is_trusted(instrument, quote):
            return None
        if case.missed == (quote[_EPOCH], quote[_NUMBER]):
            return None
        side = case.missing_side
        return Missing(side=side, levels=levels_of(quote, side), facts=facts_of(quote))

    def _is_trusted(self, instrument: int, quote: list[int]) -> bool:
        return quote[_TRUST] == 0 and quote[_EPOCH] == self.alive(instrument) != 0

    def _intent(
        self, case: Case, plan: LonePlan, target: Order, quote: list[int], now_ns: int
    ) -> Intent:
        parent = case.parent.intent
        self.counter += 1
        leg = Leg(
            venue=target.venue,
            instrument=target.instrument,
            generation=quote[_GENERATION],
            side=plan.side,
            limit_e6=plan.limit_e6,
            size_e6=plan.size_e6,
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
            flags=FLAG_UNWIND | (FLAG_TRUE_UP if plan.action == COMPLETE else FLAG_REDUCE),
            trigger=target.instrument,
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
        if not any(other.parent is case.parent for other in self.cases + self.stood):
            case.parent.is_lone = False

    def _give_up(self, case: Case, why: str) -> None:
        """HALT, naming leg, size and cost. The position stays, counted, and the pair stays
        paused.
        """
        self.cases.remove(case)
        self.stood.append(case)
        self.counter += 1
        order, parent = case.order, case.parent.intent
        number = intent_id(ORIGIN_DESK, self.epoch, self.counter)
        last = Intent(
            id=number, parent=parent.id, kind=parent.kind, pair=parent.pair,
            direction=parent.direction, flags=FLAG_UNWIND, trigger=order.instrument,
            decide_ns=case.since_ns, recv_ns=0, event_epoch_ns=-1, expires_ns=0, edge_e6=0,
            publish_ns=0, legs=(),
        )  # fmt: skip
        self.named(last, order, case.left_e6, case.cost_e6)
        self._tell(case.parent, order.instrument)
        verb = "bought" if case.side == BUY else "sold"
        self.halt(
            ONE_LEGGED,
            f"one leg alone: instrument {order.instrument}, {verb} {case.left_e6}e-6 contracts "
            f"that cost {case.cost_e6}e-6, lost {case.spent_e6}e-6 so far: {why}",
        )

    def _tell(self, parent: Work, instrument: int) -> None:
        """What an intent left standing in a market: nothing, if that is dust."""
        standing = [
            case for case in self.stood
            if case.parent is parent and case.order.instrument == instrument
            and not self._is_dust(case)
        ]  # fmt: skip
        size_e6 = sum(x.left_e6 if x.side == BUY else -x.left_e6 for x in standing)
        cost_e6 = sum(x.cost_e6 for x in standing)
        self.left(instrument, Left(size_e6, cost_e6, parent.intent.id))


def _other(side: int) -> int:
    return SELL if side == BUY else BUY


def _token_e6(price_e6: int, side: int) -> int:
    """What a contract of a leg costs as a token: YES at p if bought, NO at 1−p if sold."""
    return price_e6 if side == BUY else E6 - price_e6
