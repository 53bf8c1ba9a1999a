"""The desk: takes intents, asks the guard, journals, sends all legs in one turn, folds what comes
back, reports.

One turn (`step`): commands, intents, the signer's answers, lone legs, questions, time. Socket
callbacks run between turns and end in the same ledger. All legs' bytes are ready before the first
is written; the journal has them before that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.accounts import Accounts
from gateway.commands import RESUME
from gateway.deadman import deadman_of
from gateway.dispatch import Dispatcher
from gateway.drift import drift_of
from gateway.gate import Gate
from gateway.intake import Intake, adopted, market_of, pair_of
from gateway.intent import Intent
from gateway.journal import Journal
from gateway.ledger import FeeOf, Ledger, Work
from gateway.line import VenueLine
from gateway.lone import Unwinder
from gateway.look import CONTROL, NOTHING, SKIPPED
from gateway.memory import ENTRY_AT, Memory
from gateway.opening import Opening
from gateway.operator import operator_of
from gateway.order import Order
from gateway.params import DeskParams
from gateway.ports import LastLook, PlanLone, Reader
from gateway.reception import Reception
from gateway.reconcile import Resolver, VenueReader
from gateway.reports import Reports
from gateway.run_times import RunTimes
from gateway.settlement import settle
from gateway.standing import Left
from gateway.vitals import Vitals
from shm_layout import (
    COMMAND,
    ENTRY,
    K_COMMAND,
    K_INSTRUMENT,
    K_PAIR,
    K_PARAMETERS,
    LINE,
    VENUES,
    Segment,
    cell,
    reason,
)

__all__ = ["Desk", "DeskParams", "VenueLine"]
POLL_S = 0.05
UNWIND_S = 0.005  # while a leg is alone
STEPS_MAX = 8  # steps of one turn
DRAIN_MAX = 64  # entries of the rings taken in one step
TICK_NS = 10_000_000
ASK_NS = 50_000_000  # while no leg is alone
SETTLE_NS = 1_000_000_000
UNKNOWN, ONE_LEGGED, JOURNAL, RATE = (
    reason(n) for n in ("unknown_outcome", "one_legged", "journal", "limit_rate")
)
_COMMAND, _COMMAND_NUMBER = cell(COMMAND, "command"), cell(COMMAND, "number")
log = logging.getLogger("gateway")


class Desk:
    """The gateway's role. `lines` by venue number. Built in ops/roles.py; tests call `step` by
    hand."""

    def __init__(
        self,
        segment: Segment,
        params: DeskParams,
        *,
        eventfd: int,
        clock: Callable[[], int],
        journal: Journal,
        lines: Mapping[int, VenueLine],
        pump: Callable[[int], int],
        fee: FeeOf,
        take: LastLook,
        last_look: LastLook,
        plan_lone: PlanLone,
        epoch: int | None = None,
    ) -> None:
        self._words, self._clock, self._pump = segment.words, clock, pump
        self._journal, self.lines = journal, dict(lines)
        self._take, self.memory = take, Memory(params)
        self.intake, self.reports = Intake(segment, eventfd, self.memory), Reports(segment)
        self._params = params = self.intake.newest(params)
        self.gate, self.run_times = Gate(self.reports, clock), RunTimes(segment)
        markets = [m for m in self.intake.markets() if VENUES.index(m.venue) in self.lines]
        nets = {line.venue.name: line.venue.nets for line in self.lines.values()}
        self.accounts = Accounts(markets, nets, self.memory)
        self._tell_run()
        self.ledger = Ledger(
            self.accounts, self.reports, journal, fee, clock, params.dust_e6,
            self._on_lone, self._on_journal, self._on_done, self.gate.gone,
        )  # fmt: skip
        epoch = self.intake.epoch if epoch is None else epoch
        self.unwinder = Unwinder(
            params, plan_lone, epoch, self.intake.quote, self._alive, self._send_unwind,
            self.gate.halt, self._named, self.accounts.lose_ahead, self._left,
        )  # fmt: skip
        self.resolver = self._resolver()
        self.dispatcher = Dispatcher(
            words=segment.words, memory=self.memory, accounts=self.accounts, ledger=self.ledger,
            reports=self.reports, journal=journal, lines=self.lines, last_look=last_look,
            clock=clock, run_id=self.intake.run_id, on_journal=self._on_journal, soon=self._soon,
            on_stopped=lambda text: self.gate.halt(RATE, text),
        )  # fmt: skip
        self.reception = Reception(
            self.dispatcher, self.reports, clock, self.intake.before,
            self.reports.answered_through(),
        )  # fmt: skip
        self.opening = Opening(
            journal=journal, intake=self.intake, accounts=self.accounts, reports=self.reports,
            gate=self.gate, run_times=self.run_times, resolver=self.resolver,
            reception=self.reception, unwinder=self.unwinder, clock=clock,
        )  # fmt: skip
        self.operator = operator_of(self, params, plan_lone, epoch, clock)
        self.deadman = deadman_of(self)
        self.drift = drift_of(self, params.drift_ns, clock)
        self.vitals = Vitals(lines=self.lines, journal=journal, reports=self.reports)
        self._ticked_ns = self._settled_ns = self._asked_ns = 0
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        for line in self.lines.values():
            self._wire(line)

    def _resolver(self) -> Resolver:
        venues = {number: line.venue for number, line in self.lines.items()}
        readers: dict[int, Reader] = {
            number: VenueReader(line.venue, line.pool, self._clock, line.health)
            for number, line in self.lines.items()
        }
        return Resolver(
            self.ledger, venues, readers, self._params, self._clock, self.run_times.at,
            self._on_lost, self.lines,
        )  # fmt: skip

    def _wire(self, line: VenueLine) -> None:
        if line.channel is not None:
            number = VENUES.index(line.venue.name)
            line.channel.on_frame = lambda frame, _ns: self.dispatcher.take_frame(number, frame)
            line.channel.on_open = lambda: self.resolver.ask_all_again(number)

    # ---- the role

    async def main(self, stop: asyncio.Event | None = None) -> None:
        """Run until `stop`: reconcile, then trade. Closes everything it opened."""
        self._stop = stop or self._stop
        loop = self._loop = asyncio.get_running_loop()
        self._journal.start()
        if self.intake.eventfd >= 0:
            loop.add_reader(self.intake.eventfd, self._rung)
        tasks = [loop.create_task(self._open())]
        tasks += [
            loop.create_task(line.channel.run()) for line in self.lines.values() if line.channel
        ]
        tasks += [loop.create_task(self.deadman.run(number)) for number in self.lines]
        try:
            while not self._stop.is_set():
                _raise_broken(tasks + self.resolver.broken)
                self._turn()
                try:
                    poll_s = UNWIND_S if self.unwinder.cases else POLL_S
                    await asyncio.wait_for(self._stop.wait(), poll_s)
                except TimeoutError:
                    continue
        finally:
            if self.intake.eventfd >= 0:
                loop.remove_reader(self.intake.eventfd)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for line in self.lines.values():
                line.pool.tick(self._clock())
            await self.opening.audit()
            self.close()

    def stop(self) -> None:
        """Ask `main` to end."""
        self._stop.set()

    def close(self) -> None:
        """Drop connections, sync and close the journal. Nothing is cancelled: IOC orders die by
        themselves."""
        self.resolver.close()
        for line in self.lines.values():
            line.pool.close()
        self._journal.close()

    def _rung(self) -> None:
        self.step(self._clock())  # the bell's own business comes after what it rang for
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self.intake.eventfd)
        self._turn()

    def _turn(self) -> None:
        """Steps until nothing is there, spinning 10 µs before the bell is armed; answers get their
        turn in between.
        """
        self.intake.awake()
        for _ in range(STEPS_MAX):
            self.step(self._clock())
            if not self.intake.spin():
                return
        self._soon()

    def _soon(self) -> None:
        """A turn right after this callback."""
        if self._loop is not None:
            self._loop.call_soon(self._turn)

    def step(self, now_ns: int) -> int:
        """One turn. Returns work done."""
        done = self._take_all(now_ns)
        done += self._pump(now_ns)  # refills never stand before an intent
        self.reception.retry()
        if self.opening.is_done:  # before, it is not known which tokens are held
            done += self.unwinder.step(now_ns)
            done += self.operator.flattener.step(now_ns)
        if done:
            self.ledger.tell()
        self.dispatcher.sights.write()  # nothing waits any more
        if now_ns - self._ticked_ns >= TICK_NS:
            self._tick(now_ns)
        return done

    def _take_all(self, now_ns: int) -> int:
        """Everything in the two rings, commands first: what is an intent is judged as it is
        taken."""
        words, memory = self._words, self.memory
        for done in range(DRAIN_MAX):
            found = self._take(words, memory.words, now_ns)
            if found >= 0:
                self.reception.take(found, now_ns)
            elif found == NOTHING:
                return done
            elif found == CONTROL:
                entry = memory.cells[ENTRY_AT : ENTRY_AT + ENTRY].tolist()
                self._control(entry[0], entry[LINE:], now_ns)
            else:
                assert found == SKIPPED, found
            now_ns = self._clock()
        return DRAIN_MAX

    def _tell_run(self) -> None:
        """What the last look must know of this run beside the accounts."""
        self.memory.run(self.intake.run_id)
        for pair in self.intake.pairs():
            self.memory.pair(*pair)
        self._tell_venues()

    def _tell_venues(self) -> None:
        """What each venue lets us send: also of a bucket that was put in another's place."""
        for number, line in self.lines.items():
            venue = line.venue
            self.memory.venue(
                number, nets=venue.nets, order_cost=venue.order_cost, bucket=line.bucket
            )

    def _tick(self, now_ns: int) -> None:
        """Time passes: connections, questions, the day, counts."""
        self._ticked_ns = now_ns
        self._tell_venues()
        for line in self.lines.values():
            line.pool.tick(now_ns)
            line.venue.tick()
        if now_ns - self._asked_ns >= (TICK_NS if self.unwinder.cases else ASK_NS):
            self._asked_ns = now_ns
            self.resolver.step(now_ns)
            self.drift.step(now_ns, is_open=self.opening.is_done)
            self.ledger.prune()
        if now_ns - self._settled_ns >= SETTLE_NS:
            self._settled_ns = now_ns
            if self.opening.is_done:
                settle(self.accounts, self.intake, self.reports, self._note, now_ns)
            self.ledger.forget()
        if (part := self.run_times.look()) is not None:
            self._note({"k": "clock", "run": self.intake.run_id, "part": part})
        if self.run_times.parts:
            self.accounts.roll_day(self.run_times.at(now_ns))
        self.vitals.tick(now_ns)
        if self._journal.failed:
            self._on_journal()

    def _control(self, kind: int, body: list[int], now_ns: int) -> None:
        if kind == K_COMMAND and body[_COMMAND] == RESUME:
            self.resume(now_ns)
        elif kind == K_COMMAND:
            self.operator.take(
                body[_COMMAND], body[_COMMAND_NUMBER], now_ns, is_open=self.opening.is_done
            )
        elif kind == K_INSTRUMENT:
            market = market_of(body)
            if VENUES.index(market.venue) in self.lines:
                self.accounts.add_market(market)
        elif kind == K_PAIR:
            pair = pair_of(body)
            self.memory.pair(*pair)
        elif kind == K_PARAMETERS:
            self._adopt(adopted(self._params, body))

    def _adopt(self, params: DeskParams) -> None:
        """Other limits hold from the next order on."""
        self._params = self.unwinder.params = self.operator.flattener.params = params
        self.memory.adopt(params)
        log.warning("alert: gateway: limits: new ones from the supervisor")

    # ---- gate

    def resume(self, now_ns: int) -> None:
        """An operator has looked: lone legs that were given up are theirs. Never without a journal
        or a reconciliation."""
        why = "" if self.opening.is_done else "orders are not found yet"
        if not why and not self._journal.again():
            why = f"journal: {self._journal.failed}"
        if why:
            log.warning("alert: gateway: resume: refused: %s", why)
            return
        self.memory.journal(failed=False)
        self.unwinder.resume(self.ledger.works.values())
        for instrument in self.accounts.standing.clear():
            self.reports.publish(instrument, self.accounts, now_ns)
        self.ledger.tell()
        self._note({"k": "resume", "run": self.intake.run_id})
        self.deadman.renew()
        if self.drift.resume(now_ns):
            self.opening.note_start()
        self.gate.resume(now_ns)

    def _note(self, record: dict[str, Any]) -> None:
        if not self._journal.append(record):
            self._on_journal()

    def _on_journal(self) -> None:
        """It takes no more records: nothing is sent, not even what would end a lone leg."""
        self.memory.journal(failed=True)
        if self.gate.held != JOURNAL:  # asked for it many times a second
            self.gate.halt(JOURNAL, f"journal: {self._journal.failed}")

    async def _open(self) -> None:
        if self._journal.failed:  # the records behind the damage are not known
            self._on_journal()
        self.resolver.ask_budgets(self._clock())
        await self.deadman.armed()
        await self.opening.open()
        self.ledger.tell()
        self._turn()

    # ---- lone legs and lost orders

    def _send_unwind(self, intent: Intent) -> tuple[Work | None, int]:
        return self.dispatcher.send(intent, self._clock())

    def _on_lone(self, work: Work, alone: Sequence[int]) -> None:
        self.unwinder.add(work, alone, self._clock())
        self._soon()

    def _alive(self, instrument: int) -> int:
        feed = self.accounts.markets[instrument].feed
        return self.intake.alive(feed, self._clock(), self._params.beat_max_ns)

    def _left(self, instrument: int, left: Left) -> None:
        self.accounts.standing.leave(instrument, left)
        self.reports.publish(instrument, self.accounts, self._clock())

    def _named(self, intent: Intent, order: Order, size_e6: int, cost_e6: int) -> None:
        """A leg is left to an operator: a successor must know."""
        parent = self.ledger.works.get(intent.parent)
        alone = parent.alone_e6 if parent is not None else []
        self._note({"k": "left", "intent": intent.parent, "e6": alone, "as": intent.id})
        self.reports.abandoned(intent, order, size_e6, cost_e6, ONE_LEGGED, self._clock())

    def _on_done(self, order: Order) -> None:
        self.lines[order.venue].venue.spent(order.key)

    def _on_lost(self, work: Work) -> None:
        """The questions are used up: the intent's last word; its unknown order counts as filled,
        its pair stops.
        """
        self.ledger.end(work, UNKNOWN, self._clock())
        self.gate.halt(UNKNOWN, f"intent {work.intent.id}: an order's outcome is not found")


def _raise_broken(tasks: list[asyncio.Task[None]]) -> None:
    """A task that died of an error takes the process with it: the supervisor's table decides."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error
