"""Intents under way: evidence in (answers, frames, reads), accounts, journal and reports out, one
last word each.

Every piece of evidence about an order comes through `learn` or `trade`, in any order and any
number of times. An intent ends when all its orders are final; what a leg then holds that not all
others do is handed to `on_lone`. Evidence that comes later (a failed trade, exact amounts) is
booked the same way and can make a leg lone again. If it comes so late that another market has the
number of its market, nothing of it is held or given back: `on_gone` hears of it.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.accounts import Accounts
from gateway.balance import ONE_LEGGED, PARTIAL, beyond, lone_cost_e6, lone_of, verdict
from gateway.intent import Intent
from gateway.journal import Journal
from gateway.order import E_FINISH, Order, average_e6, worst_notional_e6
from gateway.ports import NO, Facts, Fill, Outcome
from gateway.reports import Reports
from gateway.standing import tell
from shm_layout import (
    E6,
    FLAG_TRUE_UP,
    FLAG_UNWIND,
    KIND_MODEL,
    P_DONE,
    P_REJECTED,
    P_UNKNOWN,
    S_CONFIRMED,
    S_FAILED,
    SELL,
)

KEPT_MAX = 1024  # intents kept at least, for late evidence
EVIDENCE_MAX = 16 * KEPT_MAX  # also with trades the venue has not yet settled
FORGOTTEN_MAX = 64 * KEPT_MAX  # names of orders that were dropped
EARLY_MAX = 256  # trades that came before we knew their order's venue id


class FeeOf(Protocol):
    """Fee in 1e-6 dollars of `size_e6` contracts taken for `notional_e6` dollars."""

    def __call__(self, notional_e6: int, size_e6: int, facts: Facts) -> int: ...


@dataclass(slots=True)
class Work:
    """One intent under way. `costs_e6`: worst cost of each leg. `handed_e6`: contracts of each leg
    already handed on as alone; empty: none. Of an unwind: `parent` is the intent whose leg it gives
    back, `counted_e6` how many of its fills were counted there.
    """

    intent: Intent
    orders: list[Order]
    costs_e6: list[int]
    facts: list[Facts]
    taken_ns: int
    ended: bool = False
    is_lone: bool = False
    handed_e6: Sequence[int] = ()
    trigger_ns: int = 0
    parent: Work | None = None
    counted_e6: int = 0

    @property
    def is_known(self) -> bool:
        """Every order is final."""
        return all(order.is_final for order in self.orders)

    @property
    def is_unknown(self) -> bool:
        """Some order's outcome is not known."""
        return any(order.placed == P_UNKNOWN for order in self.orders)

    @property
    def alone_e6(self) -> list[int]:
        """Contracts that each leg filled beyond the one that filled least."""
        return beyond([order.folded.filled_e6 for order in self.orders])

    @property
    def pays_e6(self) -> int:
        """What a contract of every leg pays together: of n outcomes of which at most one can win,
        all sold, n−1 dollars; else one.
        """
        are_sold = all(order.side == SELL for order in self.orders)
        return max(len(self.orders) - 1, 1) * E6 if are_sold else E6


def yes_price_e6(order: Order) -> int:
    """Average fill in YES terms, down to 1e-6."""
    price = average_e6(order.folded)
    return E6 - price if order.placing.token == NO else price


@dataclass(slots=True)
class Ledger:
    """All intents of this gateway, their orders by key, and what follows from evidence."""

    accounts: Accounts
    reports: Reports
    journal: Journal
    fee: FeeOf
    clock: Callable[[], int]
    dust_e6: int
    on_lone: Callable[[Work, Sequence[int]], None]
    on_journal: Callable[[], None]
    on_done: Callable[[Order], None]
    on_gone: Callable[[Order, int], None]  # contracts more (or less) of a market that is gone
    works: OrderedDict[int, Work] = field(default_factory=OrderedDict)
    open: dict[int, Work] = field(default_factory=dict)
    # ended, but lone or with an order that is not final
    uneasy: dict[int, Work] = field(default_factory=dict)
    # what the venues may be asked about
    askable: dict[int, Work] = field(default_factory=dict)
    by_key: dict[str, tuple[Work, Order]] = field(default_factory=dict)
    forgotten: dict[str, None] = field(default_factory=dict)
    early: deque[Fill] = field(default_factory=lambda: deque(maxlen=EARLY_MAX))

    # ---- intents

    def add(self, work: Work) -> None:
        """Know an intent and its orders, and count them at their worst. Before the first byte
        leaves.
        """
        intent = work.intent
        self.works[intent.id] = self.open[intent.id] = self.askable[intent.id] = work
        ours = bool(intent.flags & FLAG_UNWIND)
        work.parent = self.works.get(intent.parent) if ours else None
        for order, cost_e6 in zip(work.orders, work.costs_e6, strict=True):
            self.by_key[order.key] = (work, order)
            order.is_bet = intent.kind == KIND_MODEL
            self.accounts.reserve(order, cost_e6, is_ours=ours)
        self.tell()

    def restore(self, work: Work) -> None:
        """Know an intent of a predecessor: its orders count until they are found."""
        was_ended = work.ended
        self.add(work)
        for order in work.orders:
            if order.venue_id:
                self.by_key[order.venue_id] = (work, order)
            if order.is_final:
                self.accounts.release(order)
        if was_ended:
            self.open.pop(work.intent.id, None)
            self.uneasy[work.intent.id] = work
        elif work.is_known:
            self._end(work, self.clock())

    def prune(self) -> None:
        """Forget to ask about what has ended and is clear. Now and then, off the hot path."""
        for number, work in list(self.askable.items()):
            if work.ended and all(_is_settled(order) for order in work.orders):
                del self.askable[number]
        for number, work in list(self.uneasy.items()):
            if not work.is_lone and work.is_known:
                del self.uneasy[number]

    def forget(self) -> None:
        """Drop the oldest intents beyond KEPT_MAX of which nothing can come any more; beyond
        EVIDENCE_MAX any that has ended. Now and then, off the hot path.
        """
        left = len(self.works) - KEPT_MAX
        if left <= 0:
            return
        is_full = len(self.works) > EVIDENCE_MAX
        for number, work in list(self.works.items()):
            if left <= 0:
                break
            if not work.ended or number in self.uneasy:
                continue
            if not is_full and not all(_is_closed(order) for order in work.orders):
                continue
            left -= 1
            del self.works[number]
            self.askable.pop(number, None)
            for order in work.orders:
                for key in (order.key, order.venue_id):
                    self.by_key.pop(key, None)
                    self.forgotten[key] = None
        while len(self.forgotten) > FORGOTTEN_MAX:
            del self.forgotten[next(iter(self.forgotten))]

    def _under_way(self) -> Iterator[Work]:
        """Intents not ended, and those ended that are still uneasy: a handful."""
        yield from self.open.values()
        yield from self.uneasy.values()

    def unresolved(self) -> Iterator[tuple[Work, Order]]:
        """Orders that are not final."""
        for work in self._under_way():
            for order in work.orders:
                if not order.is_final:
                    yield work, order

    def is_paused(self, pair: int) -> bool:
        """Whether an outcome of this pair is unknown, or a leg of it alone."""
        return self.accounts.memory.is_paused(pair)

    def tell(self) -> None:
        """The last look must know what stands alone; whoever changes a work says so."""
        tell(self.accounts.memory, list(self._under_way()), len(self.open))

    # ---- evidence

    def is_ours(self, key: str) -> bool:
        """Whether an order of ours goes, or went, by this name."""
        return key in self.by_key or key in self.forgotten

    def find(self, key: str) -> tuple[Work, Order] | None:
        """The order known by a client id, hash or venue id."""
        return self.by_key.get(key)

    def learn(self, work: Work, order: Order, outcome: Outcome) -> None:
        """A cumulative answer about an order."""
        if outcome.filled_e6 and outcome.fee_e6 is None:
            notional_e6 = outcome.notional_e6
            if notional_e6 is None:
                notional_e6 = worst_notional_e6(order.placing, outcome.filled_e6)
            fee_e6 = self._fee(work, order, outcome.filled_e6, notional_e6)
            outcome = dataclasses.replace(outcome, fee_e6=fee_e6)
        was = order.placed
        if not order.learn(outcome):
            self.reports.count("late")
        self._name(work, order, order.venue_id)
        if was != P_REJECTED and order.placed == P_REJECTED:
            self.reports.count("rejected")
        if was != P_UNKNOWN and order.placed == P_UNKNOWN:
            self.reports.count("unknown")
        self._note(
            {
                "k": "out", "key": order.key, "placed": order.placed, "why": order.reason,
                "cum": list(order.cumulative) if order.cumulative else None,
                "exact": order.is_exact, "vid": order.venue_id, "text": outcome.text,
                "ack": order.ack_ns,
            }
        )  # fmt: skip
        self._after(work, order)

    def trade(self, fill: Fill) -> None:
        """A trade, or its next settled state. Of an order we do not know (yet): kept a while."""
        found = self.find(fill.key)
        if found is None:
            self.early.append(fill)
            return
        work, order = found
        self._name(work, order, order.venue_id or fill.venue_id)
        known = order.trades.get(fill.trade)
        if fill.fee_e6 is None:
            fee_e6 = (
                known.fee_e6
                if known is not None and known.size_e6 == fill.size_e6
                else self._fee(work, order, fill.size_e6, fill.notional_e6)
            )
            fill = dataclasses.replace(fill, fee_e6=fee_e6)
        if not order.trade(fill):
            return
        if known is None:
            self.reports.count("fills")
        self._note(
            {
                "k": "trade", "key": order.key, "vid": order.venue_id, "trade": fill.trade,
                "size": fill.size_e6, "notional": fill.notional_e6, "fee": fill.fee_e6,
                "settled": fill.settled,
            }
        )  # fmt: skip
        if not order.is_final and order.booked().filled_e6 >= order.size_e6:
            order.move(E_FINISH)
        elif order.placed == P_REJECTED and order.booked().filled_e6:
            order.move(E_FINISH)  # the venue traded what it had refused
        self._after(work, order)

    def _name(self, work: Work, order: Order, venue_id: str) -> None:
        """Know an order by its venue's name too: a fill may tell it when every answer was lost."""
        order.venue_id = venue_id
        if venue_id and venue_id not in self.by_key:
            self.by_key[venue_id] = (work, order)
            for fill in [fill for fill in self.early if fill.key == venue_id]:
                self.early.remove(fill)
                self.trade(fill)

    def _fee(self, work: Work, order: Order, filled_e6: int, notional_e6: int) -> int:
        """Fee by the handed-in rule, at the average price, for venues whose answers carry none."""
        return self.fee(notional_e6, filled_e6, work.facts[order.leg])

    def _note(self, record: dict[str, Any]) -> None:
        record["ns"] = self.clock()
        if not self.journal.append(record):
            self.on_journal()

    def _after(self, work: Work, order: Order) -> None:
        """Book, release, report, and end the intent if that was the last it waited for."""
        now_ns, before = self.clock(), order.folded
        order.cash_e6 += self.accounts.fold(order)
        if order.folded != before:
            order.booked_ns = now_ns
        more_e6 = order.folded.filled_e6 - before.filled_e6
        if more_e6 and self.accounts.is_gone(order):
            self.on_gone(order, more_e6)
        if order.is_final and self.accounts.release(order) and order.placed == P_DONE:
            self.on_done(order)
        self.reports.leg(work.intent, order, self.accounts, work.taken_ns, now_ns)
        if not work.ended:
            if work.is_known:
                self._end(work, now_ns)
        elif work.is_known:
            self._rebalance(work)
        self.tell()

    def _end(self, work: Work, now_ns: int) -> None:
        """The last word, once, and then what is lone."""
        why = verdict(work, self.dust_e6)
        self.end(work, why, now_ns)
        if why == ONE_LEGGED:
            self.reports.count("one_legged")
            markets = [order.instrument for order in work.orders]
            self.accounts.standing.mismatch(markets)
            for instrument in markets:
                self.reports.publish(instrument, self.accounts, now_ns)
        if why == PARTIAL:
            self.reports.count("partial")
        self._rebalance(work)

    def end(self, work: Work, why: int, now_ns: int) -> None:
        """The terminal report, journalled first."""
        assert not work.ended
        work.ended = True
        self.open.pop(work.intent.id, None)
        if not work.is_known:
            self.uneasy[work.intent.id] = work
        self._note({"k": "end", "intent": work.intent.id, "why": why})
        filled = [order.folded.filled_e6 for order in work.orders]
        self.reports.terminal(
            work.intent,
            why,
            matched_e6=min(filled),
            worst_e6=lone_cost_e6(work),
            send_ns=max(order.send_ns for order in work.orders),
            ack_ns=max(order.ack_ns for order in work.orders),
            taken_ns=work.taken_ns,
            now_ns=now_ns,
        )
        self.tell()

    def _rebalance(self, work: Work) -> None:
        """Hand on what is newly lone, beyond what was handed on before."""
        if work.parent is not None:
            self._reopen(work.parent, work)
            return
        handed = work.handed_e6 or [0] * len(work.orders)
        filled = [order.folded.filled_e6 for order in work.orders]
        fresh = beyond([now - told for now, told in zip(filled, handed, strict=True)])
        alone = lone_of(work, fresh, self.dust_e6)
        work.handed_e6 = [told + size for told, size in zip(handed, alone, strict=True)]
        self._hand_on(work, alone)

    def _hand_on(self, work: Work, alone: Sequence[int]) -> None:
        """Contracts of each leg that are alone now, 0 of those that have none."""
        if any(alone) and any(self.accounts.is_gone(order) for order in work.orders):
            for order, size_e6 in zip(work.orders, alone, strict=True):
                if size_e6 and not self.accounts.is_gone(order):
                    self.on_gone(order, size_e6)
        elif any(alone):
            work.is_lone = True
            self.uneasy[work.intent.id] = work
            self.on_lone(work, alone)

    def _reopen(self, work: Work, child: Work) -> None:
        """An unwind lost fills that were counted (a trade failed): what it gave back or completed
        is alone again.
        """
        back = child.orders[0]
        lost_e6 = child.counted_e6 - back.folded.filled_e6
        completed = bool(child.intent.flags & FLAG_TRUE_UP)  # then its partners are alone again
        again = [(x.instrument == back.instrument) != completed for x in work.orders]
        alone = lone_of(work, [max(lost_e6, 0) if is_it else 0 for is_it in again], self.dust_e6)
        if any(alone):
            child.counted_e6 -= lost_e6
            self._hand_on(work, alone)


def _is_settled(order: Order) -> bool:
    """Final, and nothing about it is worth a question."""
    return order.is_final and not order.recheck and not order.wants_refining


def _is_closed(order: Order) -> bool:
    """Final, and what it filled the venue has settled for good: no trade of it can fail."""
    is_sure = not order.folded.filled_e6 or order.settled in (S_CONFIRMED, S_FAILED)
    return order.is_final and not order.recheck and is_sure
