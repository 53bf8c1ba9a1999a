"""Legs alone: the pair is completed (the missing leg is bought after all) or they are given back on
the venue and market that filled, whichever loses less.

Each try is an order of its own: an intent of the desk that names its parent. The time cap counts
from the moment all outcomes were known, the loss cap over all tries of all legs of an intent. What
the caps do not cover halts trading and names leg, size and cost; what then still comes of a try
corrects them. A try that fills more than was alone leaves the rest alone: the same goes on with it.

Of a set of three or four legs only what every leg has is whole. Where exactly one has less than all
others, completing it is weighed against giving back all others; once one of them has gone back, or
where more than one is short, each goes back on its own market, all at the same time. Some outcomes
sold are a sure set too, with a smaller sum: what is alone of them is given back all the same.

A market that is completed must show a book that is newer than the one its leg missed on: the old
one has just been proved wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gateway.facts import facts_of, levels_of
from gateway.intent import Intent, Leg
from gateway.ledger import Work, yes_price_e6
from gateway.lone_case import Case, Purse, missing_side, other_side, token_e6
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

    def add(self, work: Work, alone: Sequence[int], now_ns: int) -> Purse:
        """`alone`: contracts of each leg of `work` that not all others filled; every outcome is
        known since `now_ns`.
        """
        assert len(work.orders) > 1, work.intent  # of one leg none is ever alone
        purse = Purse(work, now_ns, self.params.loss_cap_e6 * max(alone) // E6)
        for order, size_e6 in zip(work.orders, alone, strict=True):
            if size_e6:
                price_e6 = yes_price_e6(order) if order.folded.filled_e6 else order.limit_e6
                self._put(self.cases, Case(purse, order.leg, order.side, price_e6, size_e6))
        missing = purse.missing
        if missing is not None and work.intent.legs:  # none of a predecessor's intent
            leg = work.intent.legs[missing.leg]
            purse.missed = leg.quote_epoch, leg.quote_number
        return purse

    @staticmethod
    def _put(cases: list[Case], case: Case) -> None:
        cases.append(case)
        case.purse.cases.append(case)

    def take_up(
        self, work: Work, alone: Sequence[int], tries: Sequence[Work], now_ns: int
    ) -> None:
        """Go on where a predecessor stopped: its tries count, those under way are waited for."""
        purse = self.add(work, alone, now_ns)
        for child in tries:
            case = purse.of(child)
            case.tries += 1
            purse.gives_back |= not child.intent.flags & FLAG_TRUE_UP
            if child.ended:
                self._account(case, child)
            elif case.child is None:
                case.child = child
            else:  # the leg had become alone in parts
                part_e6 = child.orders[0].size_e6
                case.left_e6 -= part_e6
                part = [part_e6 if x is case.order else 0 for x in work.orders]
                self.add(work, part, now_ns).cases[0].child = child

    def stand(self, work: Work, alone: Sequence[int], tries: Sequence[Work], now_ns: int) -> None:
        """Legs that a predecessor gave up: they stay with the operator, and are still told."""
        known = len(self.cases)
        self.take_up(work, alone, tries, now_ns)
        self.cases, given_up = self.cases[:known], self.cases[known:]
        self.stood += given_up
        for case in given_up:
            self._tell(case.parent, case.order.instrument)

    def begin(self, now_ns: int) -> None:
        """Unwinding starts now: waiting for the venues' figures does not count."""
        for case in self.cases:
            case.purse.since_ns = now_ns

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
            child, is_late = case.child, now_ns - case.purse.since_ns > self.params.time_cap_ns
            if child is not None and child.ended:
                self._account(case, child)
                done += 1
            elif child is not None or case.purse.is_completing:
                if is_late:
                    self._give_up(case, "an unwind's outcome is not known")
                continue
            if self._is_dust(case):
                self._finish(case)
            elif is_late:
                self._give_up(case, "the time cap is over")
            elif case.tries >= self.params.unwind_tries_max:
                self._give_up(case, f"{case.tries} tries")
            elif now_ns >= case.next_ns:
                done += self._try(case, now_ns)
        return done

    def _late(self) -> int:
        """What a try under way when its leg was given up has come to since."""
        done = 0
        for case in list(self.stood):
            if case.child is not None and case.child.ended:
                self._account(case, case.child)
                for order in case.parent.orders:
                    self._tell(case.parent, order.instrument)
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
        order, purse, case.child, case.risk_e6 = child.orders[0], case.purse, None, 0
        for each in purse.cases:
            each.plan = None  # it was made for what was alone then, and for what could be lost
        filled_e6 = child.counted_e6 = order.folded.filled_e6
        if not filled_e6:
            return
        completes = order.instrument != case.order.instrument
        closed = purse.holding if completes else [case]
        price_e6, pays_e6 = yes_price_e6(order), purse.parent.pays_e6 if completes else E6
        # all in the terms of what each bought: together they pay that
        worse_e6 = sum(x.token_e6 for x in closed) + token_e6(price_e6, order.side) - pays_e6
        least_e6 = min(x.left_e6 for x in closed)
        lost_e6, fee_e6 = -(-worse_e6 * min(filled_e6, least_e6) // E6), order.folded.fee_e6
        purse.spent_e6 += max(lost_e6, 0) + fee_e6
        if completes and lost_e6 + fee_e6 > 0:
            self.lost(order.instrument, lost_e6 + fee_e6)
        over_e6 = max(filled_e6 - least_e6, 0)
        for each in closed:
            each.left_e6 -= min(filled_e6, least_e6)
        if over_e6:
            purse.missed = None
        if over_e6 and not completes:
            case.side, case.price_e6, case.left_e6 = order.side, price_e6, over_e6
        elif over_e6:
            (leg,) = [x.leg for x in case.parent.orders if x.instrument == order.instrument]
            more = Case(purse, leg, order.side, price_e6, over_e6, tries=case.tries)
            self._put(self.stood if case in self.stood else self.cases, more)

    def _try(self, case: Case, now_ns: int) -> int:
        case.next_ns = now_ns + GAP_NS
        if case.plan is None or now_ns - case.plan_ns > PLAN_NS:
            case.plan, case.plan_ns = self._planned(case, now_ns), now_ns
        plan, purse = case.plan, case.purse
        if plan is None:
            return 0
        completes, missing = plan.action == COMPLETE, purse.missing
        if completes and purse.is_set and purse.gives_back:
            case.plan = None  # another leg went back while this waited for its signature
            return 0
        target = missing if completes else case.order
        quote = self.quote(target.instrument) if target is not None else None
        if quote is None or target is None:
            return 0
        assert 0 < plan.size_e6 <= case.left_e6 and 0 < plan.limit_e6 < E6, plan
        work, why = self.send(self._intent(case, plan, target, quote, now_ns))
        if work is None:
            if why == KILLED:
                self._give_up(case, "the kill word is set")
            return 0
        case.child, case.plan, case.risk_e6 = work, None, max(plan.loss_e6, 0)
        case.tries += 1
        if completes:
            purse.completes += 1
            purse.missed = quote[_EPOCH], quote[_NUMBER]
        else:
            purse.gives_back = True
        return 1

    def _planned(self, case: Case, now_ns: int) -> LonePlan | None:
        """The next order about a case. Of a set the first case plans for all, until one goes
        back.
        """
        if not case.purse.is_set:
            return self._back(case, case.left_e6, self._missing(case.purse, now_ns))
        alone = case.purse.holding
        if len(alone) < 2 or case.purse.gives_back:
            return self._back(case, case.left_e6)
        size_e6 = min(each.left_e6 for each in alone)
        whole = self._whole(case.purse, size_e6, now_ns)
        backs = [self._back(each, size_e6) for each in alone]
        known = [plan for plan in backs if plan is not None]
        if whole is not None:
            lost_e6 = sum(plan.loss_e6 * E6 // plan.size_e6 for plan in known)
            if len(known) < len(backs) or whole.loss_e6 * E6 // whole.size_e6 <= lost_e6:
                return whole if case is alone[0] else None
        return self._back(case, case.left_e6)

    def _back(
        self, case: Case, size_e6: int, missing: Missing | None = None
    ) -> LonePlan | None:  # fmt: skip
        """Give back, or for a pair complete, what is left of one leg."""
        instrument, purse = case.order.instrument, case.purse
        quote = self.quote(instrument)
        if quote is None:
            return None
        lone = Lone(
            side=case.side,
            size_e6=size_e6,
            price_e6=case.price_e6,
            levels=levels_of(quote, other_side(case.side)),
            loss_cap_e6=purse.spent_e6 + purse.room_e6(case),
            spent_e6=purse.spent_e6,
            attempt=case.tries,
            is_blind=not self._is_trusted(instrument, quote),
            facts=facts_of(quote),
        )
        plan = self.plan(lone, missing)
        return None if plan.action == HALT else plan

    def _whole(self, purse: Purse, size_e6: int, now_ns: int) -> LonePlan | None:
        """Complete a set: what its other legs cost beyond all but a dollar of what it pays is the
        price of one leg alone, whose partner is the missing one.
        """
        missing = self._missing(purse, now_ns)
        if missing is None:
            return None
        paid_e6 = sum(case.token_e6 for case in purse.holding) - (purse.parent.pays_e6 - E6)
        lone = Lone(
            side=BUY, size_e6=size_e6, price_e6=paid_e6, levels=(), loss_cap_e6=purse.cap_e6,
            spent_e6=purse.spent_e6, attempt=0, is_blind=False, facts=missing.facts,
        )  # fmt: skip
        plan = self.plan(lone, missing)
        return plan if plan.action == COMPLETE else None

    def _missing(self, purse: Purse, now_ns: int) -> Missing | None:
        """What the missing leg's market shows; None: there is no one such leg, or nothing that
        could be trusted to be there, or that could be known before the time is up.
        """
        order = purse.missing
        quote = self.quote(order.instrument) if order is not None else None
        if order is None or quote is None or purse.completes >= COMPLETES_MAX:
            return None
        left_ns = purse.since_ns + self.params.time_cap_ns - now_ns
        if quote[_DELAY] > 0 and quote[_DELAY] + ANSWER_NS > left_ns:
            return None
        if not self._is_trusted(order.instrument, quote):
            return None
        if purse.missed == (quote[_EPOCH], quote[_NUMBER]):
            return None
        side = missing_side(purse.holding, order)
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
        case.purse.cases.remove(case)
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
            decide_ns=case.purse.since_ns, recv_ns=0, event_epoch_ns=-1, expires_ns=0, edge_e6=0,
            publish_ns=0, legs=(),
        )  # fmt: skip
        self.named(last, order, case.left_e6, case.cost_e6)
        self._tell(case.parent, order.instrument)
        verb = "bought" if case.side == BUY else "sold"
        self.halt(
            ONE_LEGGED,
            f"one leg alone: instrument {order.instrument}, {verb} {case.left_e6}e-6 contracts "
            f"that cost {case.cost_e6}e-6, lost {case.purse.spent_e6}e-6 so far: {why}",
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
