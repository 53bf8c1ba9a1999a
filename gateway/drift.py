"""While trading: are our books still the venues'? Now and then they are asked for cash, holdings,
open orders and fills.

Their figures lag behind ours, and ours behind theirs, so a difference counts only if it stands the
same in two looks that are further apart than the read lag. That alone is no proof: orders are often
of one size, and two of them, each booked here a moment before a look, differ by the same (seen
2026-11-21). So what we booked less than the read lag before the question is not judged either, nor
what an order that is not yet settled could still explain, nor a market that is not open: what it
pays comes at another moment there than here. Only where that is fetched with tokens, and known, is
the cash judged meanwhile: as long as they are there, so much of ours is not, and then it is.

What a second look could not judge is looked at again soon, a bounded number of times.

An order or a fill that is not ours, and a difference that stands, halt and are named. It is looked
at until an operator resumes, who has looked too: what still differs then is part of our books.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.accounts import Accounts
from gateway.commands import Row
from gateway.gate import Gate
from gateway.intake import Intake
from gateway.ledger import Ledger
from gateway.operator import CASH_SLACK_E6, differences
from gateway.order import Order
from gateway.ports import Market, Sighting, Snapshot, VenueError
from gateway.reconcile import Resolver, snapshots
from gateway.reports import Reports
from gateway.run_times import RunTimes
from shm_layout import E6, QUOTE, S_CONFIRMED, S_FAILED, ST_ACTIVE, VENUES, cell, reason

if TYPE_CHECKING:
    from gateway.desk import Desk

FOREIGN, UNKNOWN = reason("foreign"), reason("unknown_outcome")
LOOK_S = 20.0  # for both venues to answer
SECOND_NS = 1_000_000_000
APART_NS = SECOND_NS  # beyond the read lag, from a look that found something to the next
AGAIN_MAX = 10  # looks in a row for what could not be judged again
FILLS_NS = 120 * SECOND_NS  # back to here fills are looked at, at least
UNCLEAR_NS = 60 * SECOND_NS  # an order may be unsettled at its venue for so long
NAMED_MAX = 20
_STATUS, _CLOSE = cell(QUOTE, "status"), cell(QUOTE, "close_epoch_ns")
Place = tuple[int, int, int]  # venue, instrument or -1, account
Delta = tuple[int, int]  # (YES, NO), or (cash, 0): theirs less ours
log = logging.getLogger("gateway")


@dataclass(frozen=True, slots=True)
class Found:
    """One look: what differs, and what is not ours, by its name there. `same`: places that were
    judged and do not differ."""

    deltas: Mapping[Place, Delta] = field(default_factory=dict)
    strangers: Mapping[str, str] = field(default_factory=dict)
    same: frozenset[Place] = frozenset()


@dataclass(slots=True, kw_only=True)
class Drift:
    """`since_ns`: when the venues' figures became ours. One look at a time."""

    accounts: Accounts
    ledger: Ledger
    resolver: Resolver
    reports: Reports
    gate: Gate
    intake: Intake
    run_times: RunTimes
    clock: Callable[[], int]
    every_ns: int
    since_ns: int = 0
    is_looking: bool = False
    _due_ns: int = 0
    _again: int = 0  # looks in a row so far for what could not be judged again
    _last: Found = field(default_factory=Found)
    _named: Found = field(default_factory=Found)
    _accepted: set[str] = field(default_factory=set)

    def step(self, now_ns: int, *, is_open: bool) -> None:
        """Look if it is time. `is_open`: both venues have answered what we hold."""
        is_named = bool(self._named.deltas)
        if not is_open or self.is_looking or (self.gate.held and not is_named):
            return
        if not self.since_ns:
            self.since_ns, self._due_ns = now_ns, now_ns + self.every_ns
        if now_ns >= self._due_ns:
            self.is_looking = True
            self.resolver.spawn(self._look())

    def resume(self, now_ns: int) -> bool:
        """An operator has looked at what was named: it is part of our books from now on. Whether
        they changed."""
        is_changed = bool(self._named.deltas)
        for (_, instrument, account), (one_e6, other_e6) in self._named.deltas.items():
            if instrument < 0:
                self.accounts.cash[account].cash_e6 += one_e6
                self.accounts.refresh()
                self.reports.cash(account, self.accounts, now_ns)
                continue
            position = self.accounts.position(instrument)
            position.yes_e6, position.no_e6 = position.yes_e6 + one_e6, position.no_e6 + other_e6
            position.cost_yes_e6 = max(position.cost_yes_e6 + one_e6, 0)  # at worst a dollar each
            position.cost_no_e6 = max(position.cost_no_e6 + other_e6, 0)
            self.accounts.refresh(instrument)
            self.reports.account(instrument, self.accounts, now_ns)
        self._accepted |= self._named.strangers.keys()
        self._last = self._named = Found()
        self._due_ns = now_ns
        return is_changed

    def told(self, found: Sequence[Snapshot]) -> None:
        """What an operator was told to differ is named too: resuming takes it over. `found`: every
        market's figures, asked for when nothing had moved for the read lag.
        """
        now_ns, named = self.clock(), self._named
        looked = self._found(self.accounts.known, found, [], set(), now_ns)
        self._named = Found(
            {**named.deltas, **looked.deltas}, {**named.strangers, **looked.strangers}
        )
        self._soon(now_ns)

    async def _look(self) -> None:
        try:
            found = await asyncio.wait_for(self._ask(), LOOK_S)
        except (TimeoutError, VenueError) as error:
            log.warning("drift: not known: %s", str(error) or f"no answer within {LOOK_S} s")
            self.reports.count("bad_replies")
            self._due_ns = self.clock() + self.every_ns
            return
        finally:
            self.is_looking = False
        self.reports.count("looks")
        now_ns, last = self.clock(), self._last
        is_second = bool(last.deltas or last.strangers)
        open_deltas = self._open(last, found)
        self._last = Found(open_deltas) if is_second else found
        is_first = bool(found.deltas or found.strangers) and not is_second
        if self._named.deltas or open_deltas or is_first:
            self._soon(now_ns)
        else:
            self._due_ns = now_ns + self.every_ns
        deltas = {place: x for place, x in found.deltas.items() if last.deltas.get(place) == x}
        strangers = {key: x for key, x in found.strangers.items() if key in last.strangers}
        if not deltas and not strangers and not open_deltas and (is_second or not found.deltas):
            self.reports.looked(now_ns)
        if self.gate.held:
            self._anew(found, deltas)
        elif deltas or strangers:
            self._named = Found(deltas, strangers)
            self._halt()

    def _soon(self, now_ns: int) -> None:
        """The next look is just beyond the read lag."""
        lags_ns = [venue.query_delay_ns for venue in self.resolver.venues.values()]
        self._due_ns = now_ns + max(lags_ns, default=0) + APART_NS

    def _open(self, last: Found, found: Found) -> dict[Place, Delta]:
        """What differed and could not be judged again, for a few looks: no answer to it yet."""
        known = found.deltas.keys() | found.same
        deltas = {place: x for place, x in last.deltas.items() if place not in known}
        self._again = self._again + 1 if deltas else 0
        return deltas if self._again < AGAIN_MAX else {}

    def _anew(self, found: Found, deltas: Mapping[Place, Delta]) -> None:
        """What was named and differs no more is forgotten, what differs otherwise is named anew:
        who resumes takes over what was told and is there. Anything else has a HALT of its own.
        """
        kept = {}
        for place, was in self._named.deltas.items():
            now = deltas.get(place, was)
            if place in found.same:
                log.warning("drift: no more: %s", self._text(place, was))
                continue
            kept[place] = now
            if now != was:
                log.warning("drift: by now: %s", self._text(place, now))
        self._named = Found(kept, self._named.strangers)

    def _halt(self) -> None:
        named = [f"foreign {text}" for text in self._named.strangers.values()]
        named += [self._text(place, x) for place, x in self._named.deltas.items()]
        more = f"; {len(named) - NAMED_MAX} more" if len(named) > NAMED_MAX else ""
        self.gate.halt(
            FOREIGN if self._named.strangers else UNKNOWN, "; ".join(named[:NAMED_MAX]) + more
        )

    def _text(self, place: Place, delta: Delta) -> str:
        venue, instrument, account = place
        if instrument < 0:
            return f"{VENUES[venue]}: {delta[0]}e-6 dollars that we do not know (account {account})"
        market = self.accounts.markets[instrument].ticker
        return f"{VENUES[venue]} {market}: {delta}e-6 (YES, NO) contracts that we do not know"

    async def _ask(self) -> Found:
        """What the venues say now, less what is explained."""
        resolver, asked_ns = self.resolver, self.clock()
        unsettled = self._unsettled(asked_ns)
        back_ns = max(FILLS_NS, 4 * self.every_ns)
        since_ns = max(self.since_ns, asked_ns - back_ns)
        asked = self._touched()
        found = await snapshots(resolver.venues, resolver.readers, asked, self._late)
        seen: list[Sighting] = []
        for number, venue in resolver.venues.items():
            since_s = self.run_times.at(since_ns) // SECOND_NS
            seen += await venue.fills(resolver.readers[number], self.accounts.known, since_s)
        return self._found(asked, found, seen, unsettled, asked_ns)

    def _found(
        self, asked: Sequence[Market], found: Sequence[Snapshot], seen: Sequence[Sighting],
        unsettled: set[int], asked_ns: int,
    ) -> Found:  # fmt: skip
        """What differs in the figures of `asked`, less what is explained; `unsettled`: markets that
        were so when they were asked for.
        """
        self._fetched(found, {market.instrument for market in asked})
        waits = self._waits(asked, found)
        unsettled = unsettled | self._unsettled(asked_ns)
        judged = self._judged(asked, found, waits, unsettled, asked_ns)
        deltas = {place: x for place, x in self._deltas(found, waits).items() if place in judged}
        return Found(deltas, self._strangers(found, seen), judged - deltas.keys())

    def _touched(self) -> list[Market]:
        """Markets in which we have had anything, the second time those that differed; and one of
        each account: in the others a fill tells, and a venue may not be asked for hundreds of
        balances again and again.
        """
        known = self.accounts.known
        wanted = self.accounts.positions.keys() | self.accounts.redeem_e6.keys()
        if self._last.deltas or self._last.strangers or self._named.deltas:
            differed = self._last.deltas.keys() | self._named.deltas.keys()
            wanted = {instrument for _, instrument, _ in differed}
            accounts = {account for _, instrument, account in differed if instrument < 0}
            unpaid = self.accounts.redeem_e6
            wanted |= {n for n in unpaid if self.accounts.markets[n].account in accounts}
        wanted |= set({market.account: market.instrument for market in reversed(known)}.values())
        return [market for market in known if market.instrument in wanted]

    def _fetched(self, found: Sequence[Snapshot], asked: set[int]) -> None:
        """What settled markets have paid is fetched once their tokens are gone: now, at their
        venue.
        """
        accounts, now_ns = self.accounts, self.clock()
        for instrument in (accounts.redeem_e6.keys() & asked) - _held(found).keys():
            del accounts.redeem_e6[instrument]
            accounts.cash[accounts.markets[instrument].account].paid_ns = now_ns
            self.reports.publish(instrument, accounts, now_ns)

    def _waits(self, asked: Sequence[Market], found: Sequence[Snapshot]) -> dict[int, int]:
        """By instrument what our cash has and the venue's has not, in markets that settled here and
        are paid by fetching: what the tokens bring that are still there. The others are not known.
        """
        accounts, held, waits = self.accounts, _held(found), {}
        shown = {market.instrument for market in asked}
        for number, market in accounts.markets.items():
            value_e6 = self.intake.settlement_e6(number, market.generation)
            ours = accounts.positions.get(number)
            is_ours = ours is not None and (ours.yes_e6 or ours.no_e6)
            unpaid_e6 = accounts.redeem_e6.get(number, 0)
            is_hidden = unpaid_e6 and number not in shown
            if value_e6 is None or is_ours or is_hidden or accounts.nets[market.venue]:
                continue
            yes_e6, no_e6 = held.get(number, (0, 0))
            waits[number] = min((yes_e6 * value_e6 + no_e6 * (E6 - value_e6)) // E6, unpaid_e6)
        return waits

    def _judged(
        self, asked: Sequence[Market], found: Sequence[Snapshot], waits: Mapping[int, int],
        unsettled: set[int], asked_ns: int,
    ) -> frozenset[Place]:  # fmt: skip
        """Places of which nothing explains a difference."""
        shut, known, venues = self._shut(), self.accounts.markets, self.resolver.venues
        named = {instrument for _, instrument, _ in self._named.deltas}
        paying = shut & (_held(found).keys() | named | self.accounts.positions.keys())
        paying = (paying | self.accounts.redeem_e6.keys()) - waits.keys()
        open_accounts = {known[number].account for number in unsettled | paying}
        judged = {
            _place(Row(VENUES.index(market.venue), market.instrument))
            for market in asked if market.instrument not in unsettled | shut
        }  # fmt: skip
        for row in self.accounts.cash.values():
            venue = VENUES.index(row.venue)
            is_fresh = row.paid_ns > asked_ns - venues[venue].query_delay_ns
            if row.account not in open_accounts and not is_fresh:
                judged.add(_place(Row(venue, account=row.account)))
        return frozenset(judged)

    def _deltas(
        self, found: Sequence[Snapshot], waits: Mapping[int, int]
    ) -> dict[Place, Delta]:  # fmt: skip
        """Where the venues' figures are not ours; `waits`: what of ours they cannot have yet."""
        accounts, deltas = self.accounts, {}
        numbers = list(self.resolver.venues)
        for row in differences(accounts, self.ledger, numbers, found):
            if row.instrument >= 0:
                delta = row.theirs[0] - row.ours[0], row.theirs[1] - row.ours[1]
                deltas[_place(row)] = delta
        less_e6: Counter[int] = Counter()
        for instrument, amount_e6 in waits.items():
            less_e6[accounts.markets[instrument].account] += amount_e6
        for venue, snapshot in zip(numbers, found, strict=True):
            for account, theirs_e6 in snapshot.cash_e6.items():
                more_e6 = theirs_e6 + less_e6[account] - accounts.cash[account].cash_e6
                if abs(more_e6) > CASH_SLACK_E6:
                    deltas[_place(Row(venue, account=account))] = more_e6, 0
        return deltas

    def _strangers(self, found: Sequence[Snapshot], seen: Sequence[Sighting]) -> dict[str, str]:
        """Orders and fills of the account that we never sent. A fill names its order by the
        venue's name: one that we do not know yet may be that of an order whose answer is lost.
        """
        nameless = {
            order.instrument
            for work in self.ledger.works.values()
            for order in work.orders
            if not order.venue_id and not order.is_final
        }
        rows = [row for snapshot in found for row in snapshot.open]
        rows += [row for row in seen if row.instrument not in nameless]
        return {
            row.name: row.text for row in rows
            if row.name not in self._accepted and not any(map(self.ledger.is_ours, row.keys))
        }  # fmt: skip

    def _unsettled(self, asked_ns: int) -> set[int]:
        """Markets whose figures may yet move for what we have sent, or did so late that a read
        asked for at `asked_ns` need not show it.
        """
        now_ns, venues, found = self.clock(), self.resolver.venues, set()
        for work in self.ledger.works.values():
            for order in work.orders:
                is_fresh = order.booked_ns > asked_ns - venues[order.venue].query_delay_ns
                if is_fresh or _is_unclear(order, now_ns):
                    found.add(order.instrument)
        return found

    def _shut(self) -> set[int]:
        """Markets that are not open, or not surely."""
        run_ns, found = self.run_times.at(self.clock()), set()
        for instrument in self.accounts.markets:
            quote = self.intake.quote(instrument)
            is_open = quote is not None and quote[_STATUS] == ST_ACTIVE
            if quote is None or not is_open or 0 < quote[_CLOSE] <= run_ns:
                found.add(instrument)
        return found

    def _late(self, text: str) -> None:
        log.warning("drift: %s", text)
        self.reports.count("bad_replies")


def _is_unclear(order: Order, now_ns: int) -> bool:
    """Whether its venue may yet book more of it, or we."""
    if not order.is_final or order.recheck or order.wants_refining:
        return True
    is_sure = not order.folded.filled_e6 or order.settled in (S_CONFIRMED, S_FAILED)
    return not is_sure and now_ns - order.send_ns < UNCLEAR_NS


def _held(found: Sequence[Snapshot]) -> dict[int, tuple[int, int]]:
    """(YES, NO) of what the venues say is held."""
    rows = [row for shot in found for row in shot.held if row.yes_e6 or row.no_e6]
    return {row.instrument: (row.yes_e6, row.no_e6) for row in rows}


def _place(row: Row) -> Place:
    return row.venue, row.instrument, row.account


def drift_of(desk: Desk, every_ns: int, clock: Callable[[], int]) -> Drift:
    """Of a desk that has all else."""
    return Drift(
        accounts=desk.accounts, ledger=desk.ledger, resolver=desk.resolver, reports=desk.reports,
        gate=desk.gate, intake=desk.intake, run_times=desk.run_times, clock=clock,
        every_ns=every_ns,
    )  # fmt: skip
