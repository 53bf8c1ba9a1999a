"""Questions about an order that is unknown, in time moved by hand: none too early, none too late
after the venue is well again.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.ledger import Work
from gateway.order import E_FINISH, E_LOSE, E_SEND, REFINES_MAX, Order
from gateway.params import DeskParams
from gateway.ports import Fill, Outcome, Placing, VenueError
from gateway.reconcile import RELEASE_NS, Resolver
from gateway.recovery import _NO_FACTS as FACTS
from shm_layout import P_DELAYED, P_DONE, P_REJECTED, S_MATCHED

STEP_NS = 50_000_000
S_NS = 1_000_000_000
LAG_NS = 1_500_000_000


class Stand:
    """One order whose answer was lost at 0, and a venue that never got it. `ill_ns`: until when
    every read fails; `slow_ns`: how long that takes.
    """

    def __init__(self, ill_ns: int, slow_ns: int = 0) -> None:
        self.now_ns, self.ill_ns, self.slow_ns = 1, ill_ns, slow_ns
        self.asked_ns: list[int] = []
        self.rows: list[list[Fill]] = []  # what the next reads find, the last one for ever
        self.lost = 0
        order = Order(
            intent=1, leg=0, venue=0, instrument=0, generation=1, side=0, limit_e6=400_000,
            size_e6=10_000_000, placing=Placing(0, 0, 400_000), key="k",
        )  # fmt: skip
        order.move(E_SEND)
        order.move(E_LOSE)
        order.send_ns = 1
        self.order = order
        intent: Any = SimpleNamespace(id=1)
        self.work = Work(intent, [order], [0], [FACTS], 1)
        ledger: Any = SimpleNamespace(
            askable={1: self.work}, learn=self._learn, trade=self.trade,
            accounts=SimpleNamespace(markets={0: SimpleNamespace()}),
            reports=SimpleNamespace(count=lambda _: None),
        )  # fmt: skip
        venue: Any = SimpleNamespace(query=self._query, query_delay_ns=LAG_NS)
        reader: Any = None
        self.resolver = Resolver(
            ledger, {0: venue}, {0: reader}, DeskParams(), lambda: self.now_ns, lambda ns: ns,
            self._lost, {},
        )  # fmt: skip

    def _learn(self, work: Work, order: Order, outcome: Outcome) -> None:
        order.learn(outcome)

    def trade(self, fill: Fill) -> None:
        if self.order.trade(fill):
            self.order.booked_ns = self.now_ns

    def _lost(self, work: Work) -> None:
        self.lost += 1
        work.ended = True

    async def _query(self, reader: object, query: object) -> tuple[Outcome | None, list[Fill]]:
        self.asked_ns.append(self.now_ns)
        began_ns = self.now_ns
        if began_ns >= self.ill_ns and self.rows:
            found = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
            return (Outcome(E_FINISH) if found else None), found
        if began_ns >= self.ill_ns:
            return None, []
        while self.now_ns < began_ns + self.slow_ns:
            await asyncio.sleep(0)
        raise VenueError("not well")

    async def play(self, seconds: float) -> int:
        """When its outcome was known, in ns."""
        while not self.order.is_final:
            assert self.now_ns < seconds * S_NS, f"not known after {seconds} s"
            await self.turn()
        self.resolver.close()
        return self.now_ns

    async def turn(self) -> None:
        """One look at the time."""
        self.now_ns += STEP_NS
        self.resolver.step(self.now_ns)
        for _ in range(3):
            await asyncio.sleep(0)


def test_an_order_that_never_arrived_is_known_after_two_reads_past_the_lag() -> None:
    stand = Stand(ill_ns=0)
    known_ns = asyncio.run(stand.play(10))
    assert stand.order.placed == P_REJECTED and not stand.lost
    assert stand.asked_ns[0] >= LAG_NS and len(stand.asked_ns) == 2
    assert known_ns < 4 * S_NS


def test_an_order_that_is_held_back_is_zero_only_past_the_lag_and_is_looked_for_before() -> None:
    """Its fill may be read as soon as its delay is over; that it has none may not."""
    stand = Stand(ill_ns=0)
    stand.order.placed, stand.order.ack_ns = P_DELAYED, 1
    grace_ns = DeskParams().delay_grace_ns
    known_ns = asyncio.run(stand.play(10))
    assert stand.order.placed == P_DONE and not stand.order.booked().filled_e6
    assert RELEASE_NS < stand.asked_ns[0] < grace_ns < LAG_NS + grace_ns < known_ns
    assert sum(ns > LAG_NS + grace_ns for ns in stand.asked_ns) == 2


def fill(trade: str, size_e6: int) -> Fill:
    return Fill("k", trade, size_e6, size_e6 * 2 // 5, 0, S_MATCHED)


@pytest.mark.parametrize("is_heard", [False, True])
def test_one_that_filled_in_part_is_asked_about_at_once_and_known_when_no_more_is_told(
    is_heard: bool,
) -> None:
    """Trades come one by one, and reads lag: four of ten are not seven."""

    async def story() -> None:
        stand = Stand(ill_ns=0)
        stand.order.placed, stand.order.ack_ns = P_DELAYED, 1
        first, second = fill("a", 4_000_000), fill("b", 3_000_000)
        stand.rows = [[first, second]] if is_heard else [[first], [first, second]]
        if is_heard:
            stand.trade(first)
        known_ns = await stand.play(10)
        assert stand.order.booked().filled_e6 == 7_000_000
        assert known_ns <= 4 * STEP_NS and len(stand.asked_ns) == (2 if is_heard else 3)

    asyncio.run(story())


def test_one_whose_trades_all_were_heard_is_known_after_one_question() -> None:
    async def story() -> None:
        stand = Stand(ill_ns=0)
        stand.order.placed, stand.order.ack_ns = P_DELAYED, 1
        stand.rows = [[fill("a", 4_000_000)]]
        stand.trade(fill("a", 4_000_000))
        await stand.play(10)
        assert stand.order.booked().filled_e6 == 4_000_000 and len(stand.asked_ns) == 1

    asyncio.run(story())


def test_rows_past_the_lag_are_the_whole_at_the_first_read() -> None:
    async def story() -> None:
        stand = Stand(ill_ns=0)
        stand.order.placed, stand.order.ack_ns = P_DELAYED, 1
        stand.now_ns = 5 * S_NS
        stand.rows = [[fill("a", 4_000_000)]]
        await stand.play(10)
        assert len(stand.asked_ns) == 1

    asyncio.run(story())


@pytest.mark.parametrize("slow_ns", [0, 4 * S_NS])
@pytest.mark.parametrize("ill_s", [3, 9, 11, 14, 30, 61, 62, 63, 64, 65])
def test_it_is_known_within_10_s_of_the_venues_health(ill_s: int, slow_ns: int) -> None:
    stand = Stand(ill_s * S_NS, slow_ns)
    known_ns = asyncio.run(stand.play(200))
    assert known_ns - stand.ill_ns < 8 * S_NS, "with room for a slow connection"


@pytest.mark.parametrize("ill_s", [0, 4, 20])
def test_what_a_filled_order_paid_is_asked_for_until_the_venue_tells(ill_s: int) -> None:
    """Else cash stays wrong by the rounding of an average."""

    async def story() -> None:
        stand = Stand(ill_s * S_NS)
        order = stand.order
        order.learn(Outcome(E_FINISH, 0, 10_000_000, 3_800_000, 165_000))
        assert order.wants_refining
        while order.wants_refining and stand.now_ns < 60 * S_NS:
            await stand.turn()
        answered = [ns for ns in stand.asked_ns if ns >= stand.ill_ns]
        assert len(answered) == REFINES_MAX, "and no oftener, where it does not"
        assert answered[0] - stand.ill_ns < 5 * S_NS
        stand.resolver.close()

    asyncio.run(story())


def test_questions_have_a_bound_and_their_end_is_told_once() -> None:
    stand = Stand(ill_ns=60 * S_NS)
    asyncio.run(stand.play(80))
    assert stand.lost == 1
    tries = DeskParams().query_tries_max
    assert len(stand.asked_ns) < tries + 30, "it goes on seldom"
