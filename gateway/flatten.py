"""Everything we hold is given back by order of an operator: it reduces, and nothing else.

Each order is an intent of its own (origin operator) that names the command's number as its parent.
It waits until nothing else of ours is on the wire, sells each token no further than what is held of
it, at stepped prices no worse than the loss cap from the first trusted touch, and gives up on what
the caps do not cover. The kill word stops it as it stops everything; HALTED does not. What is left
is not for us to say: the venues are asked (gateway/operator.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gateway.accounts import Accounts
from gateway.facts import facts_of, levels_of
from gateway.intent import Intent, Leg
from gateway.ledger import Work, yes_price_e6
from gateway.params import DeskParams
from gateway.ports import NO, YES, Lone, PlanLone
from shm_layout import (
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_UNWIND,
    ORIGIN_OPERATOR,
    QUOTE,
    SELL,
    VENUES,
    cell,
    intent_id,
    reason,
)

_NUMBER, _EPOCH, _TICK_EPOCH, _GENERATION, _TRUST = (
    cell(QUOTE, name) for name in ("number", "epoch", "tick_epoch", "generation", "trust")
)
KILLED, STALE, PARTIAL, JOURNAL = (reason(n) for n in ("killed", "stale", "partial", "journal"))
QUIET_NS = 5_000_000_000  # so long what is on the wire is waited for
LIMIT_NS = 15_000_000_000  # then so long is tried
PLAN_NS = 100_000_000  # a plan waits so long for its signature
GAP_NS = 20_000_000  # between tries that could not be sent
HALT = "halt"  # of a plan: no price within the cap


def lone_of(
    token: int, size_e6: int, quote: Sequence[int], *, touch_e6: int, cap_e6: int,
    spent_e6: int = 0, attempt: int = 0,
) -> Lone:  # fmt: skip
    """Held contracts as the planner of unwinds knows them: as if bought at the touch they are now
    sold at. `cap_e6`: dollars all of it may lose against that, fees included.
    """
    side = BUY if token == YES else SELL
    return Lone(
        side=side, size_e6=size_e6, price_e6=touch_e6, levels=levels_of(quote, back(token)),
        loss_cap_e6=cap_e6, spent_e6=spent_e6, attempt=attempt, is_blind=False,
        facts=facts_of(quote),
    )  # fmt: skip


def back(token: int) -> int:
    """The side, in YES terms, that sells a token: a NO is sold by a BUY."""
    return SELL if token == YES else BUY


@dataclass(slots=True)
class Target:
    """One token that is held, until it is sold or given up."""

    instrument: int
    token: int
    left_e6: int
    touch_e6: int = 0  # the first trusted one
    cap_e6: int = 0
    spent_e6: int = 0
    tries: int = 0
    plan: tuple[int, int] | None = None
    plan_ns: int = 0
    next_ns: int = 0
    child: Work | None = None
    why: int = -1  # a reason once it is over, 0: nothing is left of it


@dataclass(slots=True)
class Flattener:
    """`start` begins, `step` goes on; `on_end(number, why)` when no order is left to send."""

    params: DeskParams
    plan: PlanLone
    epoch: int
    quote: Callable[[int], list[int] | None]
    send: Callable[[Intent], tuple[Work | None, int]]
    accounts: Accounts
    is_busy: Callable[[], bool]
    on_end: Callable[[int, int], None]
    number: int = 0  # of the command under way; 0: none
    counter: int = 0
    began_ns: int = 0
    targets: list[Target] | None = field(default=None)

    def start(self, number: int, now_ns: int) -> None:
        """Flatten, unless that is under way."""
        if not self.number:
            self.number, self.began_ns, self.targets = number, now_ns, None

    def step(self, now_ns: int) -> int:
        """Send what can be sent. Returns work done."""
        if not self.number:
            return 0
        if self.targets is None:
            if self.is_busy() and now_ns - self.began_ns < QUIET_NS:
                return 0
            self.targets, self.began_ns = self._held(), now_ns
        done = sum(self._advance(target, now_ns) for target in self.targets if target.why < 0)
        if all(target.why >= 0 for target in self.targets):
            number, self.number = self.number, 0
            self.on_end(number, max((target.why for target in self.targets), default=0))
        return done

    def _held(self) -> list[Target]:
        return [
            Target(instrument, token, size_e6)
            for instrument, position in sorted(self.accounts.positions.items())
            for token, size_e6 in ((YES, position.yes_e6), (NO, position.no_e6))
            if size_e6 > 0
        ]

    def _advance(self, target: Target, now_ns: int) -> int:
        child = target.child
        is_over = now_ns - self.began_ns > LIMIT_NS
        if child is not None:
            if not child.ended:
                target.why = STALE if is_over else -1
                return 0
            self._account(target, child)
        quote = self.quote(target.instrument)
        if target.left_e6 <= 0:
            target.why = 0
        elif is_over or target.tries >= self.params.unwind_tries_max:
            target.why = PARTIAL
        elif quote is not None and target.left_e6 < max(facts_of(quote).size_min_e6, 1):
            target.why = 0  # dust: too little for an order
        elif quote is not None and now_ns >= target.next_ns:
            return self._try(target, quote, now_ns)
        return int(child is not None)

    def _account(self, target: Target, child: Work) -> None:
        """What a try sold and what it lost against the touch."""
        order, target.child = child.orders[0], None
        filled_e6 = order.folded.filled_e6
        got_e6 = yes_price_e6(order)
        worse_e6 = target.touch_e6 - got_e6 if target.token == YES else got_e6 - target.touch_e6
        target.spent_e6 += max(-(-worse_e6 * filled_e6 // E6), 0) + order.folded.fee_e6
        target.left_e6 -= filled_e6

    def _try(self, target: Target, quote: list[int], now_ns: int) -> int:
        target.next_ns = now_ns + GAP_NS
        levels = levels_of(quote, back(target.token))
        if quote[_TRUST] or not levels:
            return 0  # nothing to go by: looked at again until the time is over
        if not target.touch_e6:
            target.touch_e6 = levels[0][0]
            target.cap_e6 = self.params.loss_cap_e6 * target.left_e6 // E6
        if target.plan is None or now_ns - target.plan_ns > PLAN_NS:
            target.plan, target.plan_ns = self._planned(target, quote), now_ns
        if target.plan is None:
            return 0
        size_e6, limit_e6 = target.plan
        free_e6 = self.accounts.free_tokens(target.instrument)[target.token]
        if not 0 < size_e6 <= min(target.left_e6, free_e6):
            target.why, target.plan = PARTIAL, None  # it would not only reduce
            return 0
        work, why = self.send(self._intent(target, quote, size_e6, limit_e6, now_ns))
        if work is None:
            if why in (KILLED, JOURNAL):
                target.why = why
            return 0
        target.child, target.plan = work, None
        target.tries += 1
        return 1

    def _planned(self, target: Target, quote: list[int]) -> tuple[int, int] | None:
        lone = lone_of(
            target.token, target.left_e6, quote, touch_e6=target.touch_e6,
            cap_e6=target.cap_e6, spent_e6=target.spent_e6, attempt=target.tries,
        )  # fmt: skip
        plan = self.plan(lone, None)
        return None if plan.action == HALT else (plan.size_e6, plan.limit_e6)

    def _intent(
        self, target: Target, quote: list[int], size_e6: int, limit_e6: int, now_ns: int
    ) -> Intent:
        market = self.accounts.markets[target.instrument]
        self.counter += 1
        leg = Leg(
            venue=VENUES.index(market.venue), instrument=target.instrument,
            generation=quote[_GENERATION], side=back(target.token), limit_e6=limit_e6,
            size_e6=size_e6, cash_e6=0, quote_number=quote[_NUMBER], quote_epoch=quote[_EPOCH],
            tick_epoch=quote[_TICK_EPOCH],
        )  # fmt: skip
        return Intent(
            id=intent_id(ORIGIN_OPERATOR, self.epoch, self.counter), parent=self.number, kind=0,
            pair=-1, direction=0, flags=FLAG_UNWIND | FLAG_REDUCE, trigger=target.instrument,
            decide_ns=now_ns, recv_ns=now_ns, event_epoch_ns=-1,
            expires_ns=now_ns + self.params.signal_age_max_ns, edge_e6=0, publish_ns=now_ns,
            legs=(leg,),
        )  # fmt: skip
