"""Polymarket: its market channel becomes books of the YES token (polymarket.md 12).

No I/O. Both tokens of a market are one book and every feed shows it twice: only the YES token's
rows are applied, the NO token's are their mirror. There is no sequence number. The book proves
itself by the `best_bid` and `best_ask` of every change: while they are not ours the quote is
untrusted, and if that lasts, the tokens are subscribed anew, which brings a whole book in order on
the same link. What the touch does not show is found by polymarket_check.py.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import orjson
from msgspec import Raw

from feeds import book
from feeds.judge import CONTRACT, Judge
from feeds.levels import BAD_LEVEL, BROKEN, NO_CLAIM, OFF_GRID, STALE
from feeds.polymarket_drift import Payload, bare, empty, of_text, scaled
from feeds.polymarket_frames import (
    DECODER,
    EVENT_DECODER,
    HEAD_DECODER,
    KNOWN,
    BestBidAsk,
    Book,
    Event,
    LastTrade,
    PriceChange,
    assets_of,
    grouped,
    mirrored,
    stamp_ns_of,
    strange,
    triples,
)
from feeds.polymarket_life import life
from feeds.polymarket_markets import Tokens
from feeds.polymarket_scan import BOOK, NOTHING, OUT_LOCAL, OUT_TICK, PLAIN, memory_of, scan
from feeds.scan import direct
from feeds.seat import Seat
from feeds.sentinel import LENGTHS, LOOK_MASK, Sentinel
from feeds.session import Lasting, Requests
from feeds.update import MS_NS, SECOND_NS, UNREADABLE, FeedError, Numbers, TextError
from shm_layout import (
    ASK,
    BID,
    E6,
    GAP,
    NO_SNAPSHOT,
    REST_MISMATCH,
    Words,
)

ASSETS_MAX = 500  # above it the venue stops sending first books without a word
EVENTS_MAX = 2 * ASSETS_MAX  # of one array: the first books come as one
PING_NS = 10 * SECOND_NS  # a text, not a protocol ping
DOUBT_NS = 300 * MS_NS  # a touch may be named a frame or two before its rows have come
ANSWER_NS = 2 * SECOND_NS
MISSING_NS = 5 * SECOND_NS  # the same for a market that never got its first book
TRIES_MAX = 3
NEVER_DRESSED = -(1 << 40)  # of a connection that never had them
BARE_MAX = 3  # changes in a row without touch or time, of a connection on which they had both
_BOOKS: Final = ("book", "price_change", "")
TEXTS: Final = (b"PONG", b"NO NEW ASSETS")


class Polymarket:
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    is_subscribed = True  # there is no acknowledgement: the books themselves are it

    def __init__(self, publisher: Seat) -> None:
        if 2 * publisher.room > ASSETS_MAX:
            raise FeedError(f"instruments: found {publisher.room}, wanted at most 250 a feed")
        self.outbox: list[bytes] = []
        self.must_reconnect = False
        self._publisher = publisher
        self._words, self._state = publisher.words, publisher.state
        tokens = self._markets = Tokens(publisher)
        self._tokens, self._yes, self._no = tokens.pairs, tokens.yes, tokens.no
        self._prices, self._sizes = Numbers(6), Numbers(6)
        self._one = np.zeros(3, np.int64)
        self._scan = memory_of(self._tokens)
        self._read = direct(scan, self._words, self._state, self._scan, True)
        self._frames = self._seen = 0
        self._wants_facts = False
        self._resyncs = Requests(answer_ns=ANSWER_NS, tries_max=TRIES_MAX)
        self._missing = Requests(answer_ns=MISSING_NS, tries_max=1 << 40)
        self._judge = Judge(publisher, "polymarket", jumps=CONTRACT)
        self._sentinel = Sentinel(publisher, "polymarket", strange)
        self._reset()
        self._rename()

    def _rename(self) -> None:
        """Markets may be others now: what was asked for at their places is forgotten."""
        if self._markets.changed(self._resyncs, self._missing):
            self._scan = memory_of(self._tokens, self._scan)

    def _reset(self) -> None:
        self._is_open = False
        self._is_dirty = False
        self._pinged_ns = 0
        self._bare = NEVER_DRESSED
        self._doubts = Lasting(DOUBT_NS)
        self._resyncs.clear()
        self._missing.clear()
        self.must_reconnect = False

    @property
    def wants_facts(self) -> bool:
        """A frame said that facts changed without saying how."""
        wants, self._wants_facts = self._wants_facts, False
        return wants

    # ---- the life of the connection

    def opened(self, now_ns: int) -> None:
        """Subscribe at once: idle sockets are closed."""
        self._reset()
        self._judge.opened()
        self._sentinel.opened(now_ns)
        self._is_open = True
        self._pinged_ns = now_ns
        self._rename()
        for local in self._tokens:
            self._missing.expect(local, now_ns)
        self._say({"type": "market"}, self._markets.named())

    def closed(self, now_ns: int) -> None:
        """Nothing survives a reconnect."""
        self._count_frames()
        self._reset()
        self.outbox.clear()
        self._publisher.lose(now_ns)

    def tick(self, now_ns: int) -> None:
        """The text heartbeat, and books that are missing or not the venue's."""
        self._count_frames()
        if not self._is_open:
            return
        self._judge.step(now_ns)
        self._sentinel.step(now_ns)
        self.must_reconnect |= self._judge.wants_reconnect or self._sentinel.wants_reconnect
        if now_ns - self._pinged_ns >= PING_NS:
            self._pinged_ns = now_ns
            self.outbox.append(b"PING")
        self._rename()
        operations, added = self._markets.updates()
        for operation in operations:
            self._say(*operation)
        for local in added:
            self._missing.expect(local, now_ns)
        for local in self._doubts.overdue(self._publisher.doubtful(), now_ns):
            self._publisher.mark(local, raised=GAP, now_ns=now_ns)
        self._resync(now_ns)
        self._ask(self._missing.due(self._publisher.open_having(NO_SNAPSHOT), now_ns))

    def _count_frames(self) -> None:
        self._publisher.count("frames", self._frames)
        self._frames = 0

    def _resync(self, now_ns: int) -> None:
        broken = self._publisher.open_having(GAP)
        if broken:
            self._ask(self._resyncs.due(broken, now_ns))
            self.must_reconnect |= self._resyncs.is_hopeless

    def _ask(self, markets: list[int]) -> None:
        """A whole book comes only with a subscription: leave and come back."""
        if markets:
            self._publisher.count("resyncs")
            assets = [token for local in markets for token in self._tokens[local]]
            for operation in ("unsubscribe", "subscribe"):
                self._say({"operation": operation}, assets)

    def _say(self, what: dict[str, str], assets: list[str]) -> None:
        told = {**what, "assets_ids": assets, "custom_feature_enabled": True}
        self.outbox.append(orjson.dumps(told))

    # ---- frames

    def frame(self, payload: Payload, recv_ns: int, last: bool) -> None:
        """One text message. Never raises: what cannot be read is counted."""
        self._frames += 1
        if type(payload) is memoryview:
            told = self._read(self._words, self._state, self._scan, payload, recv_ns, last)
            if told == 0 and not self._sentinel.is_drifted:
                self._is_dirty, self._bare = not last, 0
                return
            if told >= 0:
                self._scanned(told, payload, recv_ns, last)
                return
        self._decoded(payload, recv_ns, last)

    def _scanned(self, told: int, payload: Payload, recv_ns: int, last: bool) -> None:
        """What is left to do for a frame that the scanner took."""
        if told & BOOK:
            self._is_dirty = True
            local, tick_e6 = int(self._scan[OUT_LOCAL]), int(self._scan[OUT_TICK])
            self._booked(local, told & ~BOOK, tick_e6, payload, recv_ns)
        elif told != NOTHING:
            self._is_dirty = not last
            self._bare = self._bare if told == PLAIN else 0
            if told & BAD_LEVEL:
                scaled(self._sentinel, "price_change", "price_changes.price", payload, recv_ns)
            if told & BROKEN:
                self._resync(recv_ns)
        self._wants_facts |= bool(told & OFF_GRID)
        if self._sentinel.is_drifted and told != NOTHING and not told & BROKEN:
            self._sentinel.well("book" if told & (BOOK | PLAIN) else "price_change")
        self._end(last)

    def _decoded(self, payload: Payload, recv_ns: int, last: bool) -> None:
        if payload[:1] not in (b"{", b"["):
            if bytes(payload[:32]).strip() not in TEXTS:
                self._publisher.count("bad_frames")
            self._end(last)
            return
        self._seen = seen = self._seen + 1
        size = len(payload)
        if (
            (size >= LENGTHS or not self._sentinel.lengths[size] or not seen & LOOK_MASK)
            and self._sentinel.wants(seen, size)
            and not self._sentinel.look(payload)
        ):
            self._publisher.count("bad_frames")
            self._broken(recv_ns)
            self._end(last)
            return
        try:
            event = DECODER.decode(payload)
        except UNREADABLE as error:
            if self._odd(payload, recv_ns, error):
                self._broken(recv_ns)
        else:
            if type(event) is PriceChange:
                self._guarded(event, payload, recv_ns, last)
            elif isinstance(event, list):
                self._array(event, recv_ns)
            else:
                if self._sentinel.is_first(type(event)):
                    self._sentinel.look(payload)
                self._guarded(event, payload, recv_ns, False)
        self._end(last)

    def _array(self, events: list[Raw], recv_ns: int) -> None:
        """One event that cannot be read does not spoil the others, unless it was of a book."""
        is_broken = len(events) > EVENTS_MAX
        self._publisher.count("oversize", int(is_broken))
        for raw in events[:EVENTS_MAX]:
            try:
                event = EVENT_DECODER.decode(raw)
            except UNREADABLE as error:
                is_broken |= self._odd(bytes(raw), recv_ns, error)
            else:
                self._guarded(event, bytes(raw), recv_ns, False)
        if is_broken:
            self._broken(recv_ns)

    def _end(self, last: bool) -> None:
        if last and self._is_dirty:
            self._is_dirty = False
            book.flush(self._words, self._state)

    def _guarded(self, event: Event, payload: Payload, recv_ns: int, last: bool) -> None:
        sentinel = self._sentinel
        try:
            if type(event) is PriceChange:
                self._changes(event, payload, recv_ns, last)
            else:
                self._other(event, payload, recv_ns)
        except FeedError as error:
            if isinstance(error, TextError):
                of_text(sentinel, event, error, payload, recv_ns)
            self._bad(event, recv_ns)
        else:
            if sentinel.is_drifted:
                sentinel.well(str(type(event).__struct_config__.tag))

    def _changes(self, event: PriceChange, payload: Payload, recv_ns: int, last: bool) -> None:
        rows = [each for each in event.price_changes if each.asset_id in self._yes]
        if len(rows) < len(event.price_changes):
            rows += mirrored(event, rows, self._no, self._tokens)
        if not rows:
            return
        stamp_ns = stamp_ns_of(event.timestamp)
        prices, sizes = self._prices.parse, self._sizes.parse
        told = 0
        if len(rows) == 1:
            levels, row = self._one, rows[0]
            levels[0] = BID if row.side == "BUY" else ASK
            levels[1], levels[2] = prices(row.price), sizes(row.size)
            told = self._put(self._yes[row.asset_id], levels, False, stamp_ns, recv_ns, last,
                             row.best_bid, row.best_ask)  # fmt: skip
        else:
            for asset, (flat, touch) in grouped(rows, prices, sizes).items():
                told |= self._put(self._yes[asset], np.array(flat, np.int64), False, stamp_ns,
                                  recv_ns, False, *touch)  # fmt: skip
        if told & BAD_LEVEL:
            scaled(self._sentinel, "price_change", "price_changes.price", payload, recv_ns)
        if not rows[0].best_bid or not rows[0].best_ask or not stamp_ns:
            self._bare += 1
            if self._bare == BARE_MAX:
                bare(self._sentinel, rows[0], payload, recv_ns)
        else:
            self._bare = 0

    def _put(
        self, local: int, levels: Words, whole: bool,
        stamp_ns: int, recv_ns: int, last: bool, best_bid: str = "", best_ask: str = "",
    ) -> int:  # fmt: skip
        bid_e6 = self._prices.parse(best_bid) if best_bid else NO_CLAIM
        ask_e6 = self._prices.parse(best_ask) if best_ask else NO_CLAIM
        told = int(book.replace(self._words, self._state, local, levels, whole, bid_e6, ask_e6, 0,
                                stamp_ns, recv_ns, last))  # fmt: skip
        self._is_dirty = not last
        self._wants_facts |= bool(told & OFF_GRID)
        if told & BROKEN and not whole:  # of a whole book `_booked` decides
            self._resync(recv_ns)
        return told

    def _other(self, event: Event, payload: Payload, recv_ns: int) -> None:
        if isinstance(event, Book):
            self._book(event, payload, recv_ns)
        elif isinstance(event, BestBidAsk):
            local = self._yes.get(event.asset_id)
            if local is not None:
                self._put(local, self._one[:0], False, stamp_ns_of(event.timestamp), recv_ns, False,
                          event.best_bid, event.best_ask)  # fmt: skip
        elif isinstance(event, LastTrade):
            if event.asset_id in self._yes or event.asset_id in self._no:
                self._publisher.count("trades")
        else:
            seat, prices = self._publisher, self._prices
            self._wants_facts |= life(seat, event, self._yes, self._no, prices, recv_ns)

    def _book(self, event: Book, payload: Payload, recv_ns: int) -> None:
        local = self._yes.get(event.asset_id)
        if local is None:
            return
        flat = triples(event, self._prices.parse, self._sizes.parse)
        stamp_ns = stamp_ns_of(event.timestamp)
        empty(self._sentinel, flat[2::3], payload, recv_ns)
        tick_e6 = self._prices.parse(event.tick_size) if event.tick_size else 0
        told = self._put(local, np.array(flat, np.int64), True, stamp_ns, recv_ns, False)
        self._booked(local, told, tick_e6, payload, recv_ns)

    def _booked(self, local: int, told: int, tick_e6: int, payload: Payload, recv_ns: int) -> None:
        """A whole book is in, not yet published: whether it is good, and its tick (0: unsaid)."""
        self._publisher.count("snapshots")
        if told & STALE:  # of before: not taken, or asked for once more
            self._resyncs.answered(local, is_good=True)
            self._resync(recv_ns)
            return
        if told & BAD_LEVEL:
            scaled(self._sentinel, "book", "bids.price", payload, recv_ns)
        bid_e6, ask_e6 = self._publisher.touch(local)
        is_good = not told and bid_e6 < ask_e6
        self._resyncs.answered(local, is_good=is_good)
        self._missing.answered(local, is_good=is_good)
        if not is_good:
            self._publisher.mark(local, raised=GAP, now_ns=recv_ns)
            self._resync(recv_ns)
        elif self._publisher.trust(local) & REST_MISMATCH:
            self._publisher.mark(local, lowered=REST_MISMATCH, now_ns=recv_ns)
        if tick_e6:
            self._publisher.set_grid(local, ((E6, tick_e6),), recv_ns)

    # ---- what is not as it should be

    def _bad(self, event: Event, recv_ns: int) -> None:
        """An event whose content cannot be used: the books it was of are broken."""
        self._publisher.count("bad_frames")
        for local in {self._yes[asset] for asset in assets_of(event) if asset in self._yes}:
            self._publisher.mark(local, raised=GAP, now_ns=recv_ns)
            self._resyncs.answered(local, is_good=False)
        self._resync(recv_ns)

    def _odd(self, payload: Payload, recv_ns: int, error: Exception) -> bool:
        """An event the typed decoder refuses. Of an unknown type: tolerated. True if it may have
        been of a book: no one can say of which, so all are broken."""
        try:
            kind = HEAD_DECODER.decode(payload).event_type
        except UNREADABLE:
            kind = ""
        if kind and kind not in KNOWN and kind != "new_market":
            self._sentinel.unknown(kind, "event_type", payload)
            return False
        self._publisher.count("bad_frames")
        if isinstance(error, msgspec.ValidationError):
            self._sentinel.refused(kind or "an event", str(error), payload, recv_ns)
        return kind in _BOOKS

    def _broken(self, recv_ns: int) -> None:
        self._publisher.mark(raised=GAP, now_ns=recv_ns)
        self._resync(recv_ns)
