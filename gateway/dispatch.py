"""From an intent to bytes at two venues: look, judge, sign, journal, write, stamp. And from their
answers to the ledger.

Order of things, each finished for all legs before the next begins: own reading of the slots;
guard; signatures (what is signed on demand first, so that nothing is used up if it is not there);
one journal record with every order; then the writes, back to back. Whatever is missing before the
record means that nothing was sent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.accounts import Accounts
from gateway.guard import FACTS_FROM, FACTS_TO, Look, Standing, check, cost_e6, facts_of
from gateway.intake import Intake, PairRow
from gateway.intent import Intent, Leg
from gateway.journal import Journal
from gateway.ledger import Ledger, Work
from gateway.order import E_LOSE, E_SEND, Order
from gateway.params import DeskParams
from gateway.ports import Facts, Fee, Fill, LegalSize, Outcome, Request, Update, Venue, VenueError
from gateway.recovery import order_record
from gateway.reports import Reports
from gateway.throttle import Bucket, OrderRate
from gateway.transport import Answer, Channel, Link, Pool
from shm_layout import FLAG_TIMER, FLAG_UNWIND, feed_alive, reason, state_of

NO_SIGNATURE, NO_CONNECTION = reason("no_signature"), reason("no_connection")
JOURNAL, UNKNOWN, RATE = reason("journal"), reason("unknown_outcome"), reason("limit_rate")


@dataclass(slots=True, kw_only=True)
class VenueLine:
    """One venue as the desk uses it: its file, its connections, its rate bucket, its private
    channel.
    """

    venue: Venue
    pool: Pool
    bucket: Bucket
    channel: Channel | None = None


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """The hot path of the gateway. `send` is called for intents of the detector and of the desk
    alike.
    """

    intake: Intake
    accounts: Accounts
    ledger: Ledger
    reports: Reports
    journal: Journal
    params: DeskParams
    lines: Mapping[int, VenueLine]
    pairs: Mapping[int, PairRow]
    fee: Fee
    legal_size: LegalSize
    rate: OrderRate
    clock: Callable[[], int]
    run_id: int
    on_journal: Callable[[], None]
    soon: Callable[[], None]
    facts: dict[int, tuple[list[int], Facts]] = field(default_factory=dict)
    recent: dict[int, tuple[int, tuple[Leg, ...]]] = field(default_factory=dict)

    def send(self, intent: Intent, taken_ns: int) -> tuple[Work | None, int]:
        """Send all legs or none. (work, 0), or (None, reason)."""
        looks = [self._look(leg, taken_ns) for leg in intent.legs]
        why = check(
            intent,
            looks,
            self._standing(intent, taken_ns),
            self.accounts,
            self.rate,
            self.params,
            self.legal_size,
            taken_ns,
        )
        if why:
            return None, why
        requests = self._sign(intent, looks, taken_ns)
        if requests is None:
            return None, NO_SIGNATURE
        work = self._work(intent, looks, requests, taken_ns)
        links = self._links(looks)
        if links is None:
            return None, NO_CONNECTION
        if not self.journal.append(order_record(work, self.run_id)):
            self.on_journal()
            return None, JOURNAL
        self.reports.count("journal_records")
        self.ledger.add(work)
        self._write(work, requests, links)
        self._sent(work)
        return work, 0

    def _look(self, leg: Leg, now_ns: int) -> Look:
        """A leg as it stands: our own reading of its slot, its feed, its venue."""
        market = self.accounts.markets.get(leg.instrument)
        line = self.lines.get(leg.venue)
        quote = self.intake.quote(leg.instrument)
        if market is None or line is None or quote is None or market.venue != line.venue.name:
            return Look(leg, None, quote, 0, None, 0, None, 0, None, 0)
        yes_e6, no_e6 = self.accounts.free_tokens(leg.instrument)
        placing = line.venue.place(leg.side, leg.limit_e6, leg.size_e6, yes_e6, no_e6)
        words = self.intake.segment.words
        alive = int(feed_alive(words, market.feed, now_ns, self.params.beat_max_ns))
        facts = self._facts(leg.instrument, quote)
        return Look(
            leg,
            market,
            quote,
            alive,
            placing,
            line.pool.free_count,
            line.bucket,
            line.venue.order_cost,
            facts,
            cost_e6(leg, self.fee, facts),
        )

    def _facts(self, instrument: int, quote: list[int]) -> Facts:
        """The facts of a quote, made anew only when its cells changed."""
        cells = quote[FACTS_FROM:FACTS_TO]
        known = self.facts.get(instrument)
        if known is None or known[0] != cells:
            known = self.facts[instrument] = (cells, facts_of(quote))
        return known[1]

    def _standing(self, intent: Intent, now_ns: int) -> Standing:
        sent_ns, legs = self.recent.get(intent.pair, (0, ()))
        again = bool(legs) and legs == intent.legs and now_ns - sent_ns < self.params.duplicate_ns
        return Standing(
            state=int(state_of(self.intake.segment.words)),
            is_paused=self.ledger.is_paused(intent.pair),
            pair=self.pairs.get(intent.pair),
            unhedged_e6=self.ledger.unhedged_e6(),
            open_intents=len(self.ledger.open),
            is_duplicate=again,
            journal_failed=bool(self.journal.failed),
        )

    def _sign(
        self, intent: Intent, looks: Sequence[Look], now_ns: int
    ) -> dict[int, Request] | None:
        """Ready bytes of every leg by its place; None: one has no signature."""
        places = range(len(looks))
        if len(looks) > 1 and not self.lines[looks[0].leg.venue].venue.on_demand:
            places = places[::-1]  # of two legs, the one that is signed on demand first
        requests: dict[int, Request] = {}
        for place in places:
            look = looks[place]
            assert look.market is not None and look.placing is not None
            request = self.lines[look.leg.venue].venue.prepare(
                market=look.market,
                placing=look.placing,
                size_e6=look.leg.size_e6,
                order_id=order_id(self.run_id, intent.id, place),
                tick_epoch=look.leg.tick_epoch,
                now_ns=now_ns,
                urgent=bool(intent.flags & FLAG_UNWIND),
            )
            self.reports.count("pool_misses" if request is None else "pool_hits")
            if request is None:
                return None
            requests[place] = request
        return requests

    def _work(
        self, intent: Intent, looks: Sequence[Look], requests: Mapping[int, Request], taken_ns: int
    ) -> Work:
        orders, costs, facts = [], [], []
        for place, look in enumerate(looks):
            leg = look.leg
            assert look.placing is not None and look.facts is not None
            facts.append(look.facts)
            costs.append(look.cost_e6)
            orders.append(
                Order(
                    intent=intent.id,
                    leg=place,
                    venue=leg.venue,
                    instrument=leg.instrument,
                    generation=leg.generation,
                    side=leg.side,
                    limit_e6=leg.limit_e6,
                    size_e6=leg.size_e6,
                    placing=look.placing,
                    key=requests[place].key,
                )
            )
        return Work(intent, orders, costs, facts, taken_ns)

    def _links(self, looks: Sequence[Look]) -> list[Link] | None:
        """A free connection for each leg."""
        needed: dict[int, int] = {}
        for look in looks:
            needed[look.leg.venue] = needed.get(look.leg.venue, 0) + 1
        free = {venue: self.lines[venue].pool.free(count) for venue, count in needed.items()}
        if any(len(free[venue]) < count for venue, count in needed.items()):
            return None
        return [free[look.leg.venue].pop() for look in looks]

    def _write(self, work: Work, requests: Mapping[int, Request], links: Sequence[Link]) -> None:
        """Both legs' bytes, back to back, in this turn. Nothing between the two that can wait."""
        replies = [functools.partial(self._replied, work, order) for order in work.orders]
        stamps = []
        for place, link in enumerate(links):
            work.orders[place].move(E_SEND)
            stamps.append(link.send(requests[place].wire, replies[place]))
        for order, stamp_ns in zip(work.orders, stamps, strict=True):
            order.send_ns = stamp_ns
        self.reports.count("sent_bytes", sum(len(request.wire) for request in requests.values()))

    def _sent(self, work: Work) -> None:
        """After the bytes: budgets, stamps, the first report of each leg."""
        intent = work.intent
        last_ns = max(order.send_ns for order in work.orders)
        for order in work.orders:
            line = self.lines[order.venue]
            line.bucket.take(line.venue.order_cost, last_ns)
            self.reports.leg(intent, order, self.accounts, work.taken_ns, last_ns)
        self.rate.add(len(work.orders), last_ns)
        self.reports.count("orders", len(work.orders))
        if intent.flags & FLAG_UNWIND:
            self.reports.count("unwinds")
            return
        self.recent[intent.pair] = (last_ns, intent.legs)
        self.reports.observe("take_to_send", last_ns - work.taken_ns)
        if not intent.flags & FLAG_TIMER:
            self.reports.observe("tick_to_order", last_ns - intent.recv_ns)

    # ---- what comes back

    def _replied(self, work: Work, order: Order, answer: Answer) -> None:
        """The one answer to an order, whole or not."""
        order.ack_ns = answer.ack_ns
        self.reports.count("replies")
        if answer.error:
            outcome = Outcome(E_LOSE, UNKNOWN, text=answer.error)
        else:
            self.reports.observe("send_to_ack", answer.ack_ns - order.send_ns)
            venue = self.lines[order.venue].venue
            outcome = venue.outcome(
                answer.status, answer.body, order.placing, order.size_e6, order.key
            )
            if outcome.event == E_LOSE:
                self.reports.count("bad_replies")
            if answer.status == 429:
                self.lines[order.venue].bucket.empty(answer.ack_ns)
        self.ledger.learn(work, order, outcome)
        if work.intent.flags & FLAG_UNWIND:
            self.soon()  # the next try of an unwind does not wait for the poll

    def take_frame(self, venue: int, frame: bytes) -> None:
        """One frame of a user channel. What is not understood is counted, and changes nothing."""
        self.reports.count("user_frames")
        try:
            events = self.lines[venue].venue.events(frame, self.accounts.known)
        except VenueError:
            self.reports.count("bad_replies")
            return
        for event in events:
            if isinstance(event, Fill):
                self.ledger.trade(event)
            elif isinstance(event, Update):
                found = self.ledger.find(event.key)
                if found is not None:
                    self.ledger.learn(*found, event.outcome)


def order_id(run_id: int, intent: int, leg: int) -> str:
    """The client's id of an order: a pure function of run, intent and leg."""
    return f"{run_id:016x}-{intent:016x}-{leg}"
