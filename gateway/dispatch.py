"""From an intent to bytes at its venues: judge, sign, journal, write, stamp. And from their answers
to the ledger.

Order of things, each finished for all legs before the next begins: the last look, one kernel call
that reads all slots again and judges every rule; a free connection for each leg (none waits for
another's answer, on one venue either); signatures (what is signed on demand first; if one is
missing, what the others took goes back); one journal record with every order, which also looks at
the kill word; then the writes, back to back. Whatever is missing before the record means that
nothing was sent. All else (orders as objects, ledger, reports, budgets) comes after them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from gateway.accounts import Accounts
from gateway.facts import FACTS_FROM, FACTS_TO, facts_of
from gateway.health import ORDERS
from gateway.intent import Intent, from_cells, to_cells
from gateway.journal import Journal
from gateway.ledger import Ledger, Work
from gateway.line import VenueLine
from gateway.memory import (
    F_FLAGS,
    F_ID,
    F_LEGS,
    FOUND_AT,
    FOUND_CELLS,
    IDS_AT,
    INTENT_AT,
    K_COST,
    K_HASH,
    LEG_CELLS,
    LOOK_CELLS,
    LOOKS_AT,
    N_LEG,
    Q_ASKS,
    Q_BIDS,
    Memory,
)
from gateway.order import E_LOSE, E_REJECT, E_SEND, Order
from gateway.order_record import HASH_CELLS, ID_BYTES
from gateway.ports import (
    Facts,
    Fill,
    LastLook,
    Outcome,
    Placing,
    Request,
    Stopped,
    Update,
    VenueError,
)
from gateway.reports import Reports
from gateway.sights import Sights
from gateway.transport import Answer, Link
from shm_layout import (
    BODY,
    BUY,
    E6,
    FLAG_REDUCE,
    FLAG_TIMER,
    FLAG_UNWIND,
    KILL_AT,
    LEGS_MAX,
    LINE,
    P_REJECTED,
    Words,
    reason,
    word_load,
)

NO_SIGNATURE, NO_CONNECTION = reason("no_signature"), reason("no_connection")
JOURNAL, UNKNOWN, KILLED = reason("journal"), reason("unknown_outcome"), reason("killed")
CIRCUIT = reason("circuit")
NOT_SENT = "not sent"
_new = tuple.__new__  # a named tuple without the call of its constructor
_ROWS = tuple(tuple(FOUND_CELLS * (leg + 1) for leg in range(legs)) for legs in range(LEGS_MAX + 1))
_PLACES = tuple(tuple(reversed(range(legs))) for legs in range(LEGS_MAX + 1))  # the last leg first
_LOOKS = tuple(LOOKS_AT + leg * LOOK_CELLS for leg in range(LEGS_MAX))
_HASHES = tuple(slice(8 * (at + K_HASH), 8 * (at + K_HASH + HASH_CELLS)) for at in _LOOKS)
_ID_AT = range(IDS_AT, IDS_AT + LEGS_MAX * LINE, LINE)
_IDS = tuple(slice(8 * at, 8 * at + ID_BYTES) for at in _ID_AT)
MISSED_MAX = 256  # intents that wait for a signature, remembered so that each is counted once
ROW = 7  # cells of a leg that was found: venue, instrument, token, side, price, size, tick epoch


@dataclass(slots=True, kw_only=True)
class Dispatcher:
    """The hot path of the gateway. `fire` sends what the last look let through; `send` judges and
    sends an intent of the desk's own.
    """

    words: Words
    memory: Memory
    accounts: Accounts
    ledger: Ledger
    reports: Reports
    journal: Journal
    lines: Mapping[int, VenueLine]
    last_look: LastLook
    clock: Callable[[], int]
    run_id: int
    on_journal: Callable[[], None]
    soon: Callable[[], None]
    on_stopped: Callable[[str], None]
    facts: dict[int, tuple[list[int], Facts]] = field(default_factory=dict)
    missed: dict[int, None] = field(default_factory=dict)
    sights: Sights = field(init=False)
    _found: memoryview = field(init=False)
    _found_all: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self.sights = Sights(
            words=self.words, memory=self.memory, accounts=self.accounts, append=self._append
        )
        self._found_all = self.memory.cells[FOUND_AT : FOUND_AT + FOUND_CELLS * (1 + LEGS_MAX)]
        self._found = self._found_all[: FOUND_CELLS * 3]  # of two legs

    def send(self, intent: Intent, taken_ns: int) -> tuple[Work | None, int]:
        """Judge an intent and send all its legs or none. (work, 0), or (None, reason)."""
        self.memory.intent(to_cells(intent))
        why = self.last_look(self.words, self.memory.words, taken_ns)
        assert why >= 0, intent
        return (None, why) if why else self.fire(taken_ns)

    def fire(self, taken_ns: int) -> tuple[Work | None, int]:
        """Send all legs of the intent that the last look let through, or none."""
        found = self._found.tolist()
        if found[F_LEGS] > 2:
            found = self._found_all.tolist()
        rows = [found[at : at + ROW] for at in _ROWS[found[F_LEGS]]]
        if not found[F_FLAGS] & (FLAG_UNWIND | FLAG_REDUCE) and not self._are_well(rows, taken_ns):
            return None, CIRCUIT
        links = self._links(rows)
        if links is None:
            return None, NO_CONNECTION
        requests = self._sign(found, rows, taken_ns)
        why = NO_SIGNATURE if requests is None else self._journal(requests, taken_ns)
        if requests is None or why:
            self._give(rows, links)
            return None, why
        put_ns = self.clock()
        works: list[Work] = []  # the one that is made once the bytes have left
        replied, words, stamps = self._replied, self.words, []
        for place, link in enumerate(links):
            if place and word_load(words, KILL_AT):  # frozen between the legs, and killed meanwhile
                break
            stamps.append(link.send(requests[place].wire, partial(replied, works, place)))
        work = self._work(rows, requests, taken_ns)
        works.append(work)
        self._sent(work, requests, stamps)
        self.sights.keep(work.intent, put_ns, stamps)
        if len(stamps) < len(links):
            self._held_back(work, links, len(stamps))
        self._count_pool(rows, found)
        return work, 0

    def _are_well(self, rows: Sequence[Sequence[int]], now_ns: int) -> bool:
        """Whether the circuit of every leg's venue lets an opening order through."""
        return all(self.lines[row[0]].health.allows(ORDERS, now_ns) for row in rows)

    def _held_back(self, work: Work, links: Sequence[Link], sent: int) -> None:
        """The kill word came between the legs: those behind the first have not left."""
        for order, link in zip(work.orders[sent:], links[sent:], strict=True):
            self.lines[order.venue].pool.give(link)
            self.ledger.learn(work, order, Outcome(E_REJECT, KILLED, 0, 0, 0, True, text=NOT_SENT))

    def _links(self, rows: Sequence[Sequence[int]]) -> list[Link] | None:
        """A free connection for each leg."""
        lines = self.lines
        links: list[Link] = []
        for row in rows:
            link = lines[row[0]].pool.take()
            if link is None:
                self._give(rows, links)
                return None
            links.append(link)
        return links

    def _give(self, rows: Sequence[Sequence[int]], links: Sequence[Link]) -> None:
        """Connections back that were taken for the first legs, or for all."""
        for row, link in zip(rows, links, strict=False):
            self.lines[row[0]].pool.give(link)

    def _sign(
        self, found: Sequence[int], rows: Sequence[Sequence[int]], now_ns: int
    ) -> list[Request] | None:
        """Ready bytes of every leg; None: one has no signature."""
        lines, markets, raw = self.lines, self.accounts.markets, self.memory.raw
        urgent = found[F_FLAGS] & FLAG_UNWIND != 0
        requests: list[Request] = []
        places = _PLACES[len(rows)]
        if lines[rows[0][0]].venue.on_demand:
            places = places[::-1]
        for place in places:  # what is signed on demand comes before what is used up
            row = rows[place]
            venue, placing = lines[row[0]].venue, _new(Placing, row[2:5])
            order_id = str(raw[_IDS[place]], "ascii") if venue.names_orders else ""
            request = venue.prepare(
                markets[row[1]], placing, row[5], order_id, row[6], now_ns, urgent
            )
            if request is None:
                self._missing(rows, requests, places, found)
                return None
            requests.append(request)
        if places[0]:
            requests.reverse()
        return requests

    def _missing(
        self, rows: Sequence[Sequence[int]], made: Sequence[Request], places: Sequence[int],
        found: Sequence[int],
    ) -> None:  # fmt: skip
        """A leg has no signature: nothing of the others is used up. An order that was not signed
        ahead is counted, once for an intent.
        """
        for place, request in zip(places, made, strict=False):
            self.lines[rows[place][0]].venue.unsent(request.key)
        place = places[len(made)]
        if not self.lines[rows[place][0]].venue.on_demand or found[F_ID] in self.missed:
            return
        if len(self.missed) >= MISSED_MAX:
            del self.missed[next(iter(self.missed))]
        self.missed[found[F_ID]] = None
        if not found[F_FLAGS] & FLAG_UNWIND:
            self.reports.count("pool_walks" if self._walks(rows, place) else "pool_misses")

    def _walks(self, rows: Sequence[Sequence[int]], place: int) -> bool:
        """A BUY of a token beyond its touch, as the last look read it: more than one level."""
        _, _, token, side, price_e6, _, _ = rows[place]
        quote, cells = _LOOKS[place], self.memory.cells
        if side != BUY:
            return False
        return E6 - price_e6 < cells[quote + Q_BIDS] if token else price_e6 > cells[quote + Q_ASKS]

    def _journal(self, requests: Sequence[Request], taken_ns: int) -> int:
        """The record of every order; 0: it stands, and the kill word does not."""
        memory = self.memory
        for place, (_, _, digest) in enumerate(requests):
            if digest:
                memory.raw[_HASHES[place]] = digest
        why = self.journal.put_order(self.words, memory.words, taken_ns)
        if not why:
            return 0
        if why == JOURNAL:
            self.on_journal()
        elif why == KILLED:
            self._unsent(requests)
        return why

    def _append(self, record: dict[str, Any]) -> bool:
        is_there = self.journal.append(record)
        if not is_there:
            self.on_journal()
        return is_there

    def _unsent(self, requests: Sequence[Request]) -> None:
        """The kill word came between the last look and the record: a successor must not look for
        these orders.
        """
        for request in requests:
            self.journal.append({
                "k": "out", "key": request.key, "placed": P_REJECTED, "why": KILLED, "cum": None,
                "exact": False, "vid": "", "text": NOT_SENT,
            })  # fmt: skip
        intent = self.memory.cells[FOUND_AT + F_ID]
        self.journal.append({"k": "end", "intent": intent, "why": KILLED})

    # ---- after the bytes

    def _work(
        self, rows: Sequence[Sequence[int]], requests: Sequence[Request], taken_ns: int
    ) -> Work:
        """The intent and its orders as objects, from the cells they were judged in."""
        cells = self.memory.cells
        intent = from_cells(cells[INTENT_AT : INTENT_AT + BODY].tolist())
        orders, costs, facts = [], [], []
        for place, (row, leg) in enumerate(zip(rows, intent.legs, strict=True)):
            at = _LOOKS[place]
            costs.append(cells[at + K_COST])
            facts.append(self._facts(leg.instrument, cells[at : at + BODY].tolist()))
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
                    placing=Placing(row[2], row[3], row[4]),
                    key=requests[place].key,
                )
            )
        return Work(intent, orders, costs, facts, taken_ns)

    def _facts(self, instrument: int, quote: list[int]) -> Facts:
        """The facts of a quote, made anew only when its cells changed."""
        cells = quote[FACTS_FROM:FACTS_TO]
        known = self.facts.get(instrument)
        if known is None or known[0] != cells:
            known = self.facts[instrument] = (cells, facts_of(quote))
        return known[1]

    def _sent(self, work: Work, requests: Sequence[Request], stamps: Sequence[int]) -> None:
        """Ledger, budgets, stamps, the first report of each leg."""
        intent, last_ns, memory = work.intent, max(stamps), self.memory
        for order in work.orders:
            order.move(E_SEND)
        for order, stamp_ns in zip(work.orders, stamps, strict=False):
            order.send_ns = stamp_ns
            line = self.lines[order.venue]
            line.bucket.take(line.venue.order_cost, last_ns)
            line.health.sent(ORDERS)
            memory.bucket(order.venue, line.bucket)
        memory.rate.add(len(stamps), last_ns)
        self.ledger.add(work)
        self.journal.link()
        for order in work.orders:
            self.reports.leg(intent, order, self.accounts, work.taken_ns, last_ns)
        self.reports.count("journal_records")
        self.reports.count("orders", len(stamps))
        self.reports.count("sent_bytes", sum(len(request.wire) for request in requests))
        if intent.flags & FLAG_UNWIND:
            self.reports.count("unwinds")
            return
        first = INTENT_AT + N_LEG
        legs = memory.cells[first : first + len(stamps) * LEG_CELLS].tolist()
        memory.sent(intent.pair, intent.direction, legs, len(stamps), last_ns)
        self.reports.observe("take_to_send", last_ns - work.taken_ns)
        if not intent.flags & FLAG_TIMER:
            self.reports.observe("tick_to_order", last_ns - intent.recv_ns)

    def _count_pool(self, rows: Sequence[Sequence[int]], found: Sequence[int]) -> None:
        """Orders that were signed ahead: one level, or walking. Not those of unwinds."""
        if found[F_ID] in self.missed:
            del self.missed[found[F_ID]]
        elif not found[F_FLAGS] & FLAG_UNWIND:
            for place, row in enumerate(rows):
                if self.lines[row[0]].venue.on_demand:
                    self.reports.count("pool_walks" if self._walks(rows, place) else "pool_hits")

    # ---- what comes back

    def _replied(self, works: Sequence[Work], place: int, answer: Answer) -> None:
        """The one answer to an order, whole or not."""
        work = works[0]
        order = work.orders[place]
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
            self._told_limits(order.venue, answer)
        self.lines[order.venue].health.heard(ORDERS, answer)
        self.ledger.learn(work, order, outcome)
        if work.intent.flags & FLAG_UNWIND:
            self.soon()  # the next try of an unwind does not wait for the poll

    def _told_limits(self, venue: int, answer: Answer) -> None:
        """What an answer says of the venue's rate bucket."""
        line = self.lines[venue]
        left = line.venue.orders_left(answer.headers) if answer.headers else None
        if answer.status == 429:
            line.bucket.empty(answer.ack_ns, answer.retry_after_ns)
        elif left is not None:
            line.bucket.told(left, answer.ack_ns)
        else:
            return
        self.memory.bucket(venue, line.bucket)

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
            elif isinstance(event, Stopped):
                self.on_stopped(event.text)
