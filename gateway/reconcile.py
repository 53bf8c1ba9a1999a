"""What a venue is asked when an answer is missing: orders by id, hash and trades; and everything,
at the start.

Nothing is sent again. An order that is in no list in two reads past the read lag never arrived, or
was killed in its delay (polymarket reference, section 8). One that is told to have filled in part
is asked about soon; before the lag is over, rows of trades are all it filled only if nobody has
told more for a moment. Reads fail and are tried again with a bound; what stays unknown counts as
filled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.accounts import Accounts
from gateway.health import Health, endpoint_of
from gateway.ledger import Ledger, Work
from gateway.line import VenueLine
from gateway.order import E_ABSENT, Order
from gateway.params import DeskParams
from gateway.ports import Market, Outcome, Query, Reader, Snapshot, Venue, VenueError
from gateway.transport import Answer, Pool
from shm_layout import P_ACKED, P_DELAYED, P_LIVE, P_NEW, P_SENT, S_MATCHED, S_MINED, VENUES

ABSENT_READS = 2
RELEASE_NS = 20_000_000  # from the end of a delay until reads may have what was matched
QUIET_NS = 20_000_000  # from the last trade told until others of the same match would be
HELD = frozenset((P_ACKED, P_LIVE, P_DELAYED))  # the venue has it, and its end is not told
REFINE_NS = 2_000_000_000
SLOW_FACTOR = 4
TASKS_MAX = 16
BUDGETS_NS = 300_000_000_000  # between two questions for the venues' rate limits
RETRY_S, RETRY_MAX_S = 0.05, 0.8
log = logging.getLogger("gateway")


class VenueReader:
    """The cold path of one venue: its file makes the bytes, its pool carries them. A read waits
    while the venue wants to be left alone; at an endpoint whose circuit is open it fails at once.
    """

    def __init__(
        self,
        venue: Venue,
        pool: Pool,
        clock: Callable[[], int],
        health: Health | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._venue, self._pool, self._clock = venue, pool, clock
        self._health, self._sleep = health or Health(), sleep

    async def get(self, path: str, query: str = "") -> Answer:
        """One GET; no signature counts as no answer."""
        health, endpoint = self._health, endpoint_of(path)
        while wait_ns := health.wait_ns(self._venue.read_cost, self._clock()):
            await self._sleep(wait_ns / 1e9)
        if not health.allows(endpoint, self._clock()):
            return Answer(error=f"circuit of {endpoint} is open", ack_ns=self._clock())
        try:
            wire = await self._venue.read(path, query)
        except OSError as error:
            return Answer(error=f"no signature: {error}"[:200], ack_ns=self._clock())
        health.sent(endpoint)
        answer = Answer(error="given up", ack_ns=self._clock())
        try:
            answer = await self._pool.request(wire)
        finally:
            health.heard(endpoint, answer)  # also of one that is cancelled: it may be a probe
        return answer


async def budgets(lines: Mapping[int, VenueLine], readers: Mapping[int, Reader]) -> None:
    """Each venue's token buckets as it reports them; one that does not answer keeps ours."""
    for number, line in lines.items():
        try:
            told = await line.venue.budget(readers[number])
        except VenueError as error:
            log.warning("rate limits: %s: kept as set", error)
            continue
        if told is not None:
            line.bucket = line.bucket.replaced(told.write_rate, told.write_burst)
            if line.health.reads is not None:
                reads = line.health.reads.replaced(told.read_rate, told.read_burst)
                line.health.reads = reads


@dataclass(slots=True)
class Resolver:
    """Asks about orders that are not final, in tasks of its own."""

    ledger: Ledger
    venues: Mapping[int, Venue]
    readers: Mapping[int, Reader]
    params: DeskParams
    clock: Callable[[], int]
    run_time_of: Callable[[int], int]
    on_lost: Callable[[Work], None]
    lines: Mapping[int, VenueLine]
    asked_ns: int = 0  # when the venues were last asked for their rate limits
    asking: set[tuple[int, int]] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    broken: list[asyncio.Task[None]] = field(default_factory=list)

    def step(self, now_ns: int) -> int:
        """Start the questions that are due. Returns how many."""
        started = 0
        if self.asked_ns and now_ns - self.asked_ns >= BUDGETS_NS:
            self.ask_budgets(now_ns)
        for work in list(self.ledger.askable.values()):
            for order in work.orders:
                if len(self.tasks) >= TASKS_MAX or (order.intent, order.leg) in self.asking:
                    continue
                if self._is_due(work, order, now_ns):
                    self.asking.add((order.intent, order.leg))
                    self.spawn(self._ask(work, order))
                    started += 1
        return started

    def ask_budgets(self, now_ns: int) -> None:
        """What the venues let us send: asked at the start, and now and then, for they change it."""
        self.asked_ns = now_ns
        self.spawn(budgets(self.lines, self.readers))

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a task of ours; one that dies of an error ends the process."""
        task = asyncio.get_running_loop().create_task(job)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        """Forget a question; one that died of an error is kept: the desk raises it."""
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.broken.append(task)

    def _is_due(self, work: Work, order: Order, now_ns: int) -> bool:
        if order.placed in (P_NEW, P_SENT):
            return False
        if not order.is_final and order.absence_ns == 0:
            order.absence_ns = self._absence_ns(work, order, now_ns)
        if order.next_query_ns == 0:
            order.next_query_ns = self._first_ns(order, now_ns)
        told_ns = self._told_in_part_ns(order)
        if now_ns < order.next_query_ns and not order.asked_ns < told_ns <= now_ns:
            return False
        return not order.is_final or order.recheck or order.wants_refining

    @staticmethod
    def _told_in_part_ns(order: Order) -> int:
        """From when on a read has the whole of one that was told to have filled, and that is over
        therefore, for it cannot rest; 0: nothing was told, or all.
        """
        return order.booked_ns + QUIET_NS if order.booked_ns and order.placed in HELD else 0

    def _absence_ns(self, work: Work, order: Order, now_ns: int) -> int:
        """From when on the venue's reads must have what became of it: past the taker delay, a grace
        and the read lag.
        """
        delay_ns = work.facts[order.leg].taker_delay_ns + self.params.delay_grace_ns
        since_ns = max(order.ack_ns, order.send_ns) or now_ns  # now: a predecessor's order
        return since_ns + delay_ns + self.venues[order.venue].query_delay_ns

    def _first_ns(self, order: Order, now_ns: int) -> int:
        """When to ask first. One that is held back has an answer: its fill may be seen as soon as
        it is let go.
        """
        if order.is_final:
            return now_ns + REFINE_NS
        if order.placed == P_DELAYED:
            lag_ns = self.venues[order.venue].query_delay_ns + self.params.delay_grace_ns
            return order.absence_ns - lag_ns + RELEASE_NS
        return order.absence_ns

    async def _ask(self, work: Work, order: Order) -> None:
        try:
            await self._ask_once(work, order)
        except VenueError:
            self.ledger.reports.count("bad_replies")
            self._later(work, order)
        finally:
            self.asking.discard((order.intent, order.leg))

    async def _ask_once(self, work: Work, order: Order) -> None:
        market = self.ledger.accounts.markets[order.instrument]
        query = Query(
            key=order.key,
            venue_id=order.venue_id,
            market=market,
            token=order.placing.token,
            side=order.placing.side,
            sent_epoch_s=self.run_time_of(order.send_ns or work.taken_ns) // 10**9,
        )
        asked_ns = order.asked_ns = self.clock()
        outcome, fills = await self.venues[order.venue].query(self.readers[order.venue], query)
        for fill in fills:
            self.ledger.trade(fill)
        if outcome is not None:
            order.absent_count = 0
            is_early = asked_ns < min(self._told_in_part_ns(order), order.absence_ns)
            if not is_early or outcome.filled_e6 is not None:
                self.ledger.learn(work, order, outcome)
        elif not order.is_final and asked_ns >= order.absence_ns:  # a channel's opening asks sooner
            order.absent_count += 1
            if order.absent_count >= ABSENT_READS:
                self.ledger.learn(work, order, Outcome(E_ABSENT, 0, 0, 0, 0, is_exact=True))
        order.recheck = False
        order.refines += order.is_final
        self._later(work, order)

    def _later(self, work: Work, order: Order) -> None:
        """Ask again, slower once the tries are used up: then the intent gets its last word and
        counts as filled.
        """
        order.queries += 1
        gap_ns = self.params.query_gap_ns
        if order.queries >= self.params.query_tries_max:
            if order.is_final or not order.absent_count:  # else the second read is near
                gap_ns *= SLOW_FACTOR
            if not order.is_final and not work.ended:
                self.on_lost(work)
        order.next_query_ns = self.clock() + gap_ns

    def ask_all_again(self, venue: int) -> None:
        """A user channel came (back): what it may have missed is asked for."""
        now_ns = self.clock()
        for number, work in self.ledger.works.items():
            for order in work.orders:
                pending = not order.is_final or order.settled in (S_MATCHED, S_MINED)
                if order.venue == venue and pending:
                    order.recheck, order.next_query_ns = True, now_ns
                    self.ledger.askable[number] = work

    async def settle_unknown(self, until_ns: int, on_late: Callable[[], None]) -> None:
        """After a restart: ask until everything is final. `on_late` once, when the time is over."""
        is_late = False
        while any(True for _ in self.ledger.unresolved()):
            now_ns = self.clock()
            if now_ns > until_ns and not is_late:
                is_late = True
                on_late()
            self.step(now_ns)
            if self.tasks:
                await asyncio.wait(self.tasks, timeout=0.05)
            else:
                await asyncio.sleep(0.02)

    def close(self) -> None:
        """Stop asking."""
        for task in self.tasks:
            task.cancel()


async def snapshots(
    venues: Mapping[int, Venue],
    readers: Mapping[int, Reader],
    markets: Sequence[Market],
    on_error: Callable[[str], None],
) -> list[Snapshot]:
    """What each venue says we have, asked until every one has answered: nothing may be traded
    before. The caller cancels it.
    """
    found = []
    for number, venue in venues.items():
        own = [market for market in markets if VENUES.index(market.venue) == number]
        pause_s = RETRY_S
        while own:
            try:
                found.append(await venue.snapshot(readers[number], own))
                break
            except VenueError as error:
                on_error(f"{venue.name}: {error}")
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_MAX_S)
    return found


def drift(accounts: Accounts, found: Sequence[Snapshot]) -> list[str]:
    """Where our own numbers differ from what the venues say, one line each; empty: nowhere."""
    lines = []
    for snapshot in found:
        for account, cash_e6 in snapshot.cash_e6.items():
            ours_e6 = accounts.cash[account].cash_e6
            if ours_e6 != cash_e6:
                lines.append(
                    f"cash of account {account}: ours {ours_e6}e-6, the venue's {cash_e6}e-6"
                )
        for held in snapshot.held:
            position = accounts.position(held.instrument)
            ours, theirs = (position.yes_e6, position.no_e6), (held.yes_e6, held.no_e6)
            if ours != theirs:
                lines.append(
                    f"instrument {held.instrument}: ours {ours}e-6, the venue's {theirs}e-6"
                )
    return lines
