"""How the gateway begins and ends: the journal first, then what both venues say, then where the
two differ, by name; only then trade. At a planned end the venues are asked once more.

Nothing is read off the venues while an order of before is not found: its fill would be in their
figures and be booked again when it is found. Their figures may also be older than our last fills
(the references' read lag), so they are read that much later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass

from gateway import settlement
from gateway.accounts import DAY_NS, Accounts
from gateway.gate import Gate
from gateway.holding import Position
from gateway.intake import Intake
from gateway.journal import Journal
from gateway.lone import Unwinder
from gateway.operator import CASH_SLACK_E6, differences
from gateway.ports import Snapshot
from gateway.reception import Reception
from gateway.reconcile import Resolver, drift, snapshots
from gateway.recovery import Past, past_of, recover
from gateway.reports import Reports
from gateway.restart import books_of, staked_of
from gateway.run_times import RunTimes
from shm_layout import VENUES, reason

RECONCILE_NS = 10_000_000_000
AUDIT_S = 1.0
STOCK_NS = 500_000_000
WAIT_S = 0.02
UNKNOWN = reason("unknown_outcome")
log = logging.getLogger("gateway")


@dataclass(slots=True, kw_only=True)
class Opening:
    """`is_done`: both venues have answered what we hold. `on_found`: every order of before is."""

    journal: Journal
    intake: Intake
    accounts: Accounts
    reports: Reports
    gate: Gate
    run_times: RunTimes
    resolver: Resolver
    reception: Reception
    unwinder: Unwinder
    clock: Callable[[], int]
    on_found: Callable[[], None] = lambda: None
    is_done: bool = False

    async def open(self) -> None:
        """Tried again until it holds."""
        left, loss_e6, left_ns = self.reports.left(self.accounts)
        past = past_of(self.journal.recovered, self.intake.run_id, self.intake.quote)
        for part in past.run_times:
            self.run_times.know(part)
        recover(
            past, self.resolver.ledger, self.unwinder.take_up, self.unwinder.stand, self.clock()
        )
        self.reception.answer_gone(past.last_end)
        found_ns = await self._find_orders()
        self.on_found()
        await self._read_lag(past, found_ns)
        found = await self._snapshots()
        now_ns = self.clock()
        self._name_differences(past, found)
        starts, accounts = self.reports.starts(self.accounts), self.accounts
        paid = self._paid(past)
        bets = staked_of(past.works.values(), accounts.markets, accounts.nets)
        bets = {number: row for number, row in bets.items() if number not in paid}
        for snapshot in found:
            accounts.start(snapshot.cash_e6, snapshot.held, starts, left | paid, bets)
        today, then = (self.run_times.at(at_ns) // DAY_NS for at_ns in (now_ns, left_ns))
        lost_e6, gone = loss_e6 if today == then else 0, self._gone(left, paid)
        settled = {e: e6 for e, (place, e6) in past.settled.items() if self._is_there(*place)}
        accounts.take_day(self.run_times.at(now_ns), lost_e6, settled, left, gone)
        accounts.cover({number: row for number, row in bets.items() if number not in gone})
        for number, value_e6 in gone.items():
            self.journal.append(settlement.record(accounts, number, left[number], value_e6, now_ns))
        self.reports.opened()
        for instrument in self.accounts.markets:
            self.reports.account(instrument, self.accounts, now_ns)
        for account in self.accounts.cash:
            self.reports.cash(account, self.accounts, now_ns)
        self._note(now_ns)
        self.note_start()
        self.reports.reconciled(now_ns)
        self.is_done = True
        self.unwinder.begin(now_ns)
        await self._stocked(now_ns + STOCK_NS)
        self.gate.open(self.clock())

    def _note(self, now_ns: int) -> None:
        """What the venues say the run begins with, for whoever explains it: [account, venue, shard,
        cash], [instrument, YES, NO]. Once: a successor goes on, and says who is who.
        """
        sights = self.reception.dispatcher.sights
        for work in self.resolver.ledger.works.values():
            for order in work.orders:
                sights.name(order.instrument)
        if any(record.get("k") == "opened" for record in self.journal.recovered):
            return
        held = [
            [instrument, position.yes_e6, position.no_e6]
            for instrument, position in self.accounts.positions.items()
            if position.yes_e6 or position.no_e6
        ]
        for instrument, _, _ in held:
            sights.name(instrument)
        self.journal.append({
            "k": "opened", "run": self.intake.run_id, "ns": now_ns,
            "cash": [
                [row.account, row.venue, row.exchange_index, row.cash_e6]
                for row in self.accounts.cash.values()
            ],
            "held": held,
        })  # fmt: skip

    def _name_differences(self, past: Past, found: Sequence[Snapshot]) -> None:
        """Where the venues' figures are not what the journal would have them be. They count."""
        if past.start is None:
            return
        accounts, ledger = self.accounts, self.resolver.ledger
        books = books_of(past.start, past.works.values(), accounts.markets, accounts.nets)
        for row in differences(books, ledger, list(self.resolver.venues), found):
            is_rounding = row.instrument < 0 and not row.key
            is_rounding &= abs(row.ours[0] - row.theirs[0]) <= CASH_SLACK_E6
            if not is_rounding:
                market = accounts.markets.get(row.instrument)
                name = f"{VENUES[row.venue]} {market.ticker if market else ''}".rstrip()
                log.warning("alert: gateway: at the start: %s: %s", name, row.text)

    def _paid(self, past: Past) -> dict[int, Position]:
        """Markets that settled, whose tokens a venue may still show. Their result is known: they
        are worth what they paid, and bring no second one.
        """
        return {
            number: Position(yes_e6, no_e6, paid_e6 if yes_e6 else 0, 0 if yes_e6 else paid_e6)
            for (number, generation), (yes_e6, no_e6, paid_e6) in past.paid.items()
            if self._is_there(number, generation)
        }

    def _gone(self, left: Mapping[int, Position], paid: Container[int]) -> dict[int, int]:
        """What YES pays of markets that a predecessor held and did not book as `paid`, and that
        their venue has settled and paid while nobody was here."""
        found: dict[int, int] = {}
        for number, row in left.items():
            now = self.accounts.positions.get(number) or Position()
            generation = self.accounts.markets[number].generation
            value_e6 = self.intake.settlement_e6(number, generation)
            is_gone = row.cost_e6 > 0 and number not in paid and not (now.yes_e6 or now.no_e6)
            if is_gone and value_e6 is not None:
                found[number] = value_e6
        return found

    def _is_there(self, number: int, generation: int) -> bool:
        """Whether a number is still the same market's."""
        market = self.accounts.markets.get(number)
        return market is not None and market.generation == generation

    def note_start(self) -> None:
        """What a successor counts from."""
        markets = self.accounts.markets
        held = [
            [number, position.yes_e6, position.no_e6, markets[number].generation]
            for number, position in self.accounts.positions.items()
            if position.yes_e6 or position.no_e6
        ]
        cash = [[account, row.cash_e6] for account, row in self.accounts.cash.items()]
        record = {"k": "start", "run": self.intake.run_id, "cash": cash, "held": held}
        if not self.journal.append(record):
            log.error("journal %s", self.journal.failed)

    async def _find_orders(self) -> int:
        """Ask until every order of before is final. When the last was found; 0: none was open."""
        ledger = self.resolver.ledger
        if not any(True for _ in ledger.unresolved()):
            return 0
        await self.resolver.settle_unknown(
            self.clock() + RECONCILE_NS,
            lambda: self.gate.halt(UNKNOWN, "orders of before the restart are not found yet"),
        )
        return self.clock()

    async def _read_lag(self, past: Past, found_ns: int) -> None:
        """Wait until what the venues say has our newest fills in it."""
        newest_ns = max(past.newest_ns, found_ns)
        lags_ns = [venue.query_delay_ns for venue in self.resolver.venues.values()]
        while newest_ns and self.clock() < newest_ns + max(lags_ns, default=0):
            await asyncio.sleep(WAIT_S)

    async def _stocked(self, until_ns: int) -> None:
        """Wait until what the prices of now may ask for is signed: the first order is no miss."""
        venues = self.resolver.venues.values()
        while self.clock() < until_ns and not all(venue.is_stocked for venue in venues):
            await asyncio.sleep(WAIT_S)

    async def _snapshots(self) -> list[Snapshot]:
        resolver = self.resolver
        return await snapshots(
            resolver.venues, resolver.readers, self.accounts.known, self._not_reconciled
        )

    async def audit(self) -> None:
        """At a planned end, with nothing on the wire: compare with the venues once more and say
        where we differ.
        """
        if not self.is_done or self.accounts.flights:
            return
        try:
            found = await asyncio.wait_for(self._snapshots(), AUDIT_S)
        except TimeoutError:
            log.warning("drift: not known, the venues did not answer within %s s", AUDIT_S)
            return
        for text in drift(self.accounts, found):
            log.warning("drift: %s", text)

    def _not_reconciled(self, text: str) -> None:
        log.warning("reconcile: %s", text)
        self.reports.count("bad_replies")
