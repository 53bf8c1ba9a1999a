"""What an operator asks the gateway for (gateway/commands.py): flatten, reconcile. Answers go to
the reports ring.

Neither believes our own books: both end with what the venues say, read once their figures must have
our newest fills in them. A difference found raises a HALT, as one found at the start would, and is
named as one that was found while trading (gateway/drift.py): who resumes takes it over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.accounts import Accounts
from gateway.commands import FLATTEN, RECONCILE, End, Row
from gateway.flatten import Flattener
from gateway.gate import Gate
from gateway.ledger import Ledger
from gateway.params import DeskParams
from gateway.ports import PlanLone, Snapshot
from gateway.reconcile import Resolver, snapshots
from gateway.reports import Reports
from gateway.restart import Books
from shm_layout import VENUES, reason

if TYPE_CHECKING:
    from gateway.desk import Desk

UNKNOWN, PAUSED = reason("unknown_outcome"), reason("paused_pair")
NOT_ANSWERED = reason("no_connection")
QUIET_NS = 5_000_000_000  # so long what is on the wire is waited for
ASK_S = 5.0  # for both venues to answer
READS = 3  # figures that moved while they were read are read again
WAIT_S = 0.02
CASH_SLACK_E6 = 50_000  # dollars: rounding of what no fill has told yet
log = logging.getLogger("gateway")


def differences(
    accounts: Accounts | Books,
    ledger: Ledger,
    numbers: Sequence[int],
    found: Sequence[Snapshot],
) -> list[Row]:
    """Where our books and the venues' differ; `numbers`: of the venue of each snapshot. An open
    order of theirs that we never sent is one.
    """
    rows = []
    for venue, snapshot in zip(numbers, found, strict=True):
        for account, theirs_e6 in sorted(snapshot.cash_e6.items()):
            ours_e6 = accounts.cash[account].cash_e6
            if ours_e6 != theirs_e6:
                rows.append(Row(venue, account=account, ours=(ours_e6, 0), theirs=(theirs_e6, 0)))
        held = {each.instrument: (each.yes_e6, each.no_e6) for each in snapshot.held}
        for number, market in sorted(accounts.markets.items()):
            if VENUES.index(market.venue) != venue:
                continue
            position = accounts.positions.get(number)
            ours = (position.yes_e6, position.no_e6) if position is not None else (0, 0)
            theirs = held.get(number, (0, 0))
            if ours != theirs:
                rows.append(Row(venue, number, ours=ours, theirs=theirs))
        rows += [
            Row(venue, key=order.name) for order in snapshot.open
            if not any(map(ledger.is_ours, order.keys))
        ]  # fmt: skip
    return rows


@dataclass(slots=True, kw_only=True)
class Operator:
    """One at a time of each kind; what comes meanwhile is answered with `paused_pair`. `told`: the
    venues' figures that differ from ours.
    """

    accounts: Accounts
    ledger: Ledger
    resolver: Resolver
    reports: Reports
    gate: Gate
    flattener: Flattener
    clock: Callable[[], int]
    told: Callable[[Sequence[Snapshot]], None]
    is_asking: bool = field(default=False)

    def take(self, command: int, number: int, now_ns: int, *, is_open: bool) -> None:
        """A command from the ring. `is_open`: both venues have answered what we hold."""
        if command not in (FLATTEN, RECONCILE):
            return
        if self.is_asking or self.flattener.number or not is_open:
            self._end(number, [], PAUSED)
        elif command == FLATTEN:
            self.flattener.start(number, now_ns)
        else:
            self._begin(number, 0, is_flatten=False)

    def flattened(self, number: int, why: int) -> None:
        """No order is left to send: now the venues say what is held."""
        self._begin(number, why, is_flatten=True)

    def _begin(self, number: int, why: int, *, is_flatten: bool) -> None:
        self.is_asking = True
        self.resolver.spawn(self._asked(number, why, is_flatten=is_flatten))

    async def _asked(self, number: int, why: int, *, is_flatten: bool) -> None:
        try:
            found = await asyncio.wait_for(self._figures(), 2 * ASK_S + QUIET_NS / 1e9)
        except TimeoutError:
            found = None
        finally:
            self.is_asking = False
        if found is None:
            self._end(number, [], NOT_ANSWERED)
            return
        rows = differences(self.accounts, self.ledger, list(self.resolver.venues), found)
        if rows:
            for row in rows:
                log.warning("differs: %s", row.text)
            self.told(found)
            self.gate.halt(UNKNOWN, f"our books and the venues' differ in {len(rows)} places")
        if is_flatten:
            self._end(number, self._left(found), why)
        else:
            self._end(number, rows, 0)

    def _left(self, found: Sequence[Snapshot]) -> list[Row]:
        """What the venues say is still held."""
        return [
            Row(
                VENUES.index(self.accounts.markets[held.instrument].venue), held.instrument,
                ours=self._ours(held.instrument), theirs=(held.yes_e6, held.no_e6),
            )
            for snapshot in found for held in snapshot.held if held.yes_e6 or held.no_e6
        ]  # fmt: skip

    def _ours(self, instrument: int) -> tuple[int, int]:
        position = self.accounts.position(instrument)
        return position.yes_e6, position.no_e6

    async def _figures(self) -> list[Snapshot] | None:
        """What the venues say, with nothing of ours moving meanwhile, nor within their read lag
        before. None: it never stood still."""
        for _ in range(READS):
            moved = await self._quiet()
            found = await asyncio.wait_for(
                snapshots(
                    self.resolver.venues, self.resolver.readers, self.accounts.known, self._late
                ),
                ASK_S,
            )
            if self._moved() == moved:
                return found
        return None

    async def _quiet(self) -> tuple[int, ...]:
        """Until nothing is on the wire, and then past the venues' read lag. `_moved` before it."""
        until_ns = self.clock() + QUIET_NS
        while self.accounts.flights and self.clock() < until_ns:
            await asyncio.sleep(WAIT_S)
        lags_ns = [venue.query_delay_ns for venue in self.resolver.venues.values()]
        moved, after_ns = self._moved(), self.clock() + max(lags_ns, default=0)
        while self.clock() < after_ns:
            await asyncio.sleep(WAIT_S)
        return moved

    def _moved(self) -> tuple[int, ...]:
        counts = [self.reports.counted(name) for name in ("orders", "fills", "replies")]
        return *counts, max((row.paid_ns for row in self.accounts.cash.values()), default=0)

    def _late(self, text: str) -> None:
        log.warning("ask: %s", text)
        self.reports.count("bad_replies")

    def _end(self, number: int, rows: Sequence[Row], why: int) -> None:
        for place, row in enumerate(rows):
            self.reports.answer(number, row, self.clock(), place)
        self.reports.answer(number, End(len(rows), why), self.clock())


def operator_of(
    desk: Desk, params: DeskParams, plan: PlanLone, epoch: int, clock: Callable[[], int]
) -> Operator:
    """Of a desk that has all else."""
    flattener = Flattener(
        params, plan, epoch, desk.intake.quote,
        lambda intent: desk.dispatcher.send(intent, clock()), desk.accounts,
        lambda: bool(desk.accounts.flights or desk.unwinder.cases),
        lambda number, why: desk.operator.flattened(number, why),
    )  # fmt: skip
    return Operator(
        accounts=desk.accounts, ledger=desk.ledger, resolver=desk.resolver, reports=desk.reports,
        gate=desk.gate, flattener=flattener, clock=clock, told=lambda found: desk.drift.told(found),
    )  # fmt: skip
