"""Kalshi: frames of its WebSocket become books, statuses and trust (kalshi.md 12 to 14).

No I/O. Both sides arrive in YES prices because the subscription says so (`use_yes_price`: its
default is announced to flip), and that is checked: a snapshot that crosses, or tickers that name
the mirror of our ask, mean the other scale, and nothing is traded on it.

`seq` counts per subscription over all its markets. A hole makes every market of it untrusted until
a requested snapshot has come; an exact repeat of the frame before is dropped, any other number from
the past is a hole as well and of no use. `ok` and other answers consume numbers too.
"""

from __future__ import annotations

import msgspec
import numpy as np
import orjson

from feeds import book, kalshi_drift
from feeds.judge import CONTRACT, Judge
from feeds.kalshi_drift import Payload, Scale, touch_named
from feeds.kalshi_frames import (
    DECODER,
    HEAD_DECODER,
    KNOWN,
    Delta,
    Error,
    Frame,
    Head,
    Lifecycle,
    Numbered,
    Ok,
    Snapshot,
    Subscribed,
    Ticker,
    Unsubscribed,
    strange,
    triples,
)
from feeds.kalshi_life import Others
from feeds.kalshi_markets import Markets
from feeds.kalshi_scan import NOTHING, OUT_LOCAL, Subscription, scan
from feeds.levels import AT_EVENT, BAD_LEVEL, BOOK_CELLS, BOOKS_AT, BROKEN, NO_CLAIM, OFF_GRID
from feeds.scan import direct
from feeds.seat import Seat
from feeds.sentinel import LENGTHS, LOOK_MASK, Sentinel
from feeds.session import Lasting, Requests
from feeds.update import MS_NS, SECOND_NS, UNREADABLE, FeedError, Numbers, TextError
from shm_layout import ASK, BID, DRIFT, GAP, NO_SNAPSHOT, NONE_NS

CHANNELS = ("orderbook_delta", "ticker", "trade", "market_lifecycle_v2")
ANSWER_NS = 2 * SECOND_NS  # a requested snapshot that has not come by then is asked for again
MISSING_NS = 5 * SECOND_NS  # the same for a market that never got its first one
TRIES_MAX = 3  # then only a new connection helps
DOUBT_NS = SECOND_NS  # crossed for longer than any engine event: not the venue's book
TERMINAL = (7, 9, 10, 25)  # errors after which the connection says nothing more


class Kalshi:
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, publisher: Seat) -> None:
        self.outbox: list[bytes] = []
        self.must_reconnect = False
        self._publisher = publisher
        self._words, self._state = publisher.words, publisher.state
        self._markets = Markets(publisher)
        self._tickers, self._locals = self._markets.tickers, self._markets.locals
        self._prices, self._sizes = Numbers(6), Numbers(6)
        self._stream = Subscription(self._locals)
        self._memory = self._stream.memory
        self._read = direct(scan, self._words, self._state, self._memory, True)
        self._frames = self._seen = 0  # not in the counters yet; decoded
        self._next_id, self._wants_facts = 0, False
        self._scale = Scale(publisher)
        self._resyncs = Requests(answer_ns=ANSWER_NS, tries_max=TRIES_MAX)
        self._missing = Requests(answer_ns=MISSING_NS, tries_max=1 << 40)
        self._judge = Judge(publisher, "kalshi", jumps=CONTRACT)
        self._sentinel = Sentinel(publisher, "kalshi", strange)
        self._others = Others(publisher, self._locals)
        self._reset()
        self._rename()

    def _rename(self) -> None:
        """Markets may be others now: what was asked for at their places is forgotten."""
        if self._markets.changed(self._resyncs, self._missing):
            self._stream.rename(self._locals)
            self._memory = self._stream.memory

    def _reset(self) -> None:
        self._markets.forget()
        self._stream.forget()
        self._others.forget()
        self._is_dirty = False
        self._count_frames()
        self._seen = 0
        self._scale.forget()
        self._doubts = Lasting(DOUBT_NS)
        self._resyncs.clear()
        self._missing.clear()
        self.must_reconnect = False

    @property
    def is_subscribed(self) -> bool:
        """Every channel has its `sid`."""
        return len(self._markets.sids) == len(CHANNELS)

    @property
    def wants_facts(self) -> bool:
        """A frame said that facts changed without saying how."""
        wants, self._wants_facts = self._wants_facts, False
        return wants

    # ---- the life of the connection

    def opened(self, now_ns: int) -> None:
        """Subscribe: the market channels for our tickers, the life cycle (which has no filter)."""
        self._reset()
        self._rename()
        self._judge.opened()
        self._sentinel.opened(now_ns)
        self._publisher.listens()
        for local in self._tickers:
            self._missing.expect(local, now_ns)
        params: dict[str, object] = {"channels": list(CHANNELS[:3]), "use_yes_price": True}
        self._command("subscribe", {**params, "market_tickers": self._markets.named()})
        self._command("subscribe", {"channels": [CHANNELS[3]]})

    def closed(self, now_ns: int) -> None:
        """Subscriptions, numbers and snapshots end with the connection."""
        self._reset()
        self.outbox.clear()
        self._publisher.lose(now_ns)

    def tick(self, now_ns: int) -> None:
        """Ask again for snapshots that did not come; look at clock and jumps."""
        self._count_frames()
        self._judge.step(now_ns)
        self._sentinel.step(now_ns)
        self._scale.heed(now_ns, is_drifted=self._sentinel.is_drifted)
        self.must_reconnect |= self._judge.wants_reconnect or self._sentinel.wants_reconnect
        self._rename()
        updates, added = self._markets.updates(CHANNELS[:3])
        for update in updates:
            self._command("update_subscription", update)
        for local in added:
            self._missing.expect(local, now_ns)
        if self._stream.sid:
            for local in self._doubts.overdue(self._publisher.doubtful(), now_ns):
                self._publisher.mark(local, raised=GAP, now_ns=now_ns)
            self._resync(now_ns)
            wanted = self._publisher.open_having(NO_SNAPSHOT)
            self._ask(self._missing.due(wanted, now_ns))

    def _count_frames(self) -> None:
        self._publisher.count("frames", self._frames)
        self._frames = 0

    def _resync(self, now_ns: int) -> None:
        """Ask for the books that are broken, unless the answer is on its way."""
        is_whole = self._scale.is_suspect or self._sentinel.is_drifted  # no snapshot ends that
        broken = self._publisher.open_having(GAP if is_whole else GAP | DRIFT)
        if broken and self._stream.sid:
            self._ask(self._resyncs.due(broken, now_ns))
            self.must_reconnect |= self._resyncs.is_hopeless

    def _ask(self, markets: list[int]) -> None:
        if markets:
            self._publisher.count("resyncs")
            tickers = [self._tickers[local] for local in markets]
            params: dict[str, object] = {"sids": [self._stream.sid], "action": "get_snapshot"}
            self._command("update_subscription", {**params, "market_tickers": tickers})

    def _command(self, name: str, params: dict[str, object]) -> None:
        self._next_id += 1
        self.outbox.append(orjson.dumps({"id": self._next_id, "cmd": name, "params": params}))

    # ---- frames

    def frame(self, payload: Payload, recv_ns: int, last: bool) -> None:
        """One text message. Never raises: what cannot be read is counted, and shows as a hole."""
        self._frames += 1
        if type(payload) is memoryview:
            told = self._read(self._words, self._state, self._memory, payload, recv_ns, last)
            if told == 0 and not self._sentinel.is_drifted:
                self._is_dirty = not last
                return
            if told >= 0:
                self._changed(told, int(self._memory[OUT_LOCAL]), payload, recv_ns, last)
                return
        self._decoded(payload, recv_ns, last)

    def _changed(self, told: int, local: int, payload: Payload, recv_ns: int, last: bool) -> None:
        """A delta was applied, or (NOTHING) its number counted, its market being none of ours."""
        if told == NOTHING:
            self._end(last)
            return
        self._is_dirty = not last
        if told:
            self._doubt(told, local, payload, recv_ns)
        elif self._sentinel.is_drifted:
            self._sentinel.well("orderbook_delta")

    def _decoded(self, payload: Payload, recv_ns: int, last: bool) -> None:
        self._seen = seen = self._seen + 1
        size = len(payload)
        if (
            (size >= LENGTHS or not self._sentinel.lengths[size] or not seen & LOOK_MASK)
            and self._sentinel.wants(seen, size)
            and not self._sentinel.look(payload)
        ):
            self._publisher.count("bad_frames")
            self._end(last)
            return
        try:
            frame = DECODER.decode(payload)
            if type(frame) is Delta:
                self._delta(frame, payload, recv_ns, last)
                return
            self._other(frame, payload, recv_ns, last)
        except UNREADABLE as error:
            self._odd(payload, recv_ns, error)
        except FeedError as error:
            self._bad(frame, payload, recv_ns, error)
        self._end(last)

    def _delta(self, frame: Delta, payload: Payload, recv_ns: int, last: bool) -> None:
        message = frame.msg
        if not self._in_sequence(frame, recv_ns):
            self._end(last)
            return
        local, told = self._locals.get(message.market_ticker, -1), NOTHING
        if local >= 0:
            price_e6 = self._prices.parse(message.price_dollars)
            size_e6 = self._sizes.parse(message.delta_fp)
            side = BID if message.side == "yes" else ASK
            told = book.change(
                self._words, self._state, local, side, price_e6, size_e6, True, frame.seq,
                message.ts_ms * MS_NS, recv_ns, last,
            )  # fmt: skip
        self._changed(told, local, payload, recv_ns, last)

    def _doubt(self, told: int, local: int, payload: Payload, recv_ns: int) -> None:
        """What a delta did to the book is not what a delta does."""
        was_stamped = bool(self._state[BOOKS_AT + local * BOOK_CELLS + AT_EVENT] > 0)
        kalshi_drift.of_delta(
            self._sentinel, told, was_stamped=was_stamped, payload=payload, recv_ns=recv_ns
        )
        self._wants_facts |= bool(told & OFF_GRID)
        if told & BROKEN:
            self._resync(recv_ns)

    def _end(self, last: bool) -> None:
        """The buffer may end with a frame that touched no book."""
        if last and self._is_dirty:
            self._is_dirty = False
            book.flush(self._words, self._state)

    def _other(self, frame: Frame, payload: Payload, recv_ns: int, last: bool) -> None:
        kind = type(frame)
        if self._sentinel.is_first(kind):
            self._sentinel.look(payload)
        if self._sentinel.is_drifted:
            self._sentinel.well(str(kind.__struct_config__.tag))
        if isinstance(frame, Snapshot):
            self._snapshot(frame, payload, recv_ns, last)
        elif isinstance(frame, Ticker):
            self._ticker(frame, payload, recv_ns)
        elif isinstance(frame, Subscribed):
            if frame.msg.channel in CHANNELS:
                self._markets.sids[frame.msg.channel] = frame.msg.sid
            if frame.msg.channel == CHANNELS[0]:
                self._stream.sid = frame.msg.sid
        elif isinstance(frame, Error):
            if frame.msg.code in TERMINAL:
                self._ended(recv_ns)
            self._publisher.count("bad_frames")
            if frame.seq and frame.sid == self._stream.sid:
                self._in_sequence(Ok(sid=frame.sid, seq=frame.seq), recv_ns)
        elif isinstance(frame, Unsubscribed):  # nobody asked for it
            self._ended(recv_ns)
        else:
            self._numbered(frame, recv_ns)

    def _ended(self, recv_ns: int) -> None:
        """The venue tells no more: what is shown is history from now on."""
        self.must_reconnect = True
        self._publisher.mark(raised=GAP, now_ns=recv_ns)

    def _numbered(self, frame: Numbered, recv_ns: int) -> None:
        if frame.sid == self._stream.sid:
            self._in_sequence(frame, recv_ns)
        elif isinstance(frame, Ok):
            self._others.counted(frame.sid, frame.seq)
        elif not isinstance(frame, Delta | Snapshot | Unsubscribed):
            self._wants_facts |= self._others.heard(frame, recv_ns)

    def _in_sequence(self, frame: Numbered, recv_ns: int) -> bool:
        """Take the number of a frame of the book's subscription. False: not to be used."""
        stream = self._stream
        if not stream.sid and isinstance(frame, Snapshot):
            stream.sid = frame.sid  # the answer to the subscription was lost: snapshots tell it too
        if frame.sid != stream.sid:
            raise FeedError(f"sid: found {frame.sid}, wanted {stream.sid}")
        if stream.seq != NONE_NS and frame.seq != stream.seq + 1:
            if stream.is_repeat(frame, DECODER.decode):
                self._publisher.count("duplicates")
            else:
                self._gap(recv_ns)
            if frame.seq <= stream.seq:  # what was held back somewhere is older than our book
                return False
        stream.take(frame)
        return True

    def _gap(self, recv_ns: int) -> None:
        """Numbers were missed: every market of the subscription is untrusted until its snapshot."""
        self._publisher.count("gaps")
        if not self._publisher.have_all(GAP):  # else `tick` asks again
            self._publisher.mark(raised=GAP, now_ns=recv_ns)
            self._resync(recv_ns)

    def _snapshot(self, frame: Snapshot, payload: Payload, recv_ns: int, last: bool) -> None:
        message, local = frame.msg, self._locals.get(frame.msg.market_ticker)
        if not self._in_sequence(frame, recv_ns) or local is None:
            return
        self._publisher.count("snapshots")
        flat = triples(message, self._prices.parse, self._sizes.parse)
        if kalshi_drift.of_snapshot(self._sentinel, frame, flat[2::3], payload, recv_ns):
            raise FeedError("snapshot: found no book we can read")
        told = book.replace(
            self._words, self._state, local, np.array(flat, np.int64), True, NO_CLAIM, NO_CLAIM,
            frame.seq, 0, recv_ns, last,
        )  # fmt: skip
        self._is_dirty = not last
        bid_e6, ask_e6 = self._publisher.touch(local)
        if told & BAD_LEVEL:
            kalshi_drift.scaled(
                self._sentinel, "orderbook_snapshot", "msg.yes_dollars_fp", payload, recv_ns
            )
        self._wants_facts |= bool(told & OFF_GRID)
        is_good = not told and bid_e6 < ask_e6
        self._resyncs.answered(local, is_good=is_good)
        self._missing.answered(local, is_good=is_good)
        if not is_good or self._scale.is_suspect:
            self._publisher.mark(local, raised=DRIFT, now_ns=recv_ns)
        elif self._publisher.trust(local) & DRIFT and not self._sentinel.is_drifted:
            self._publisher.mark(local, lowered=DRIFT, now_ns=recv_ns)
        self._resync(recv_ns)

    def _ticker(self, frame: Ticker, payload: Payload, recv_ns: int) -> None:
        """Compare the venue's touch with ours at this moment, where both have two sides."""
        local = self._locals.get(frame.msg.market_ticker, -1)
        agreed = touch_named(frame, self._publisher, local, self._prices)
        if agreed is None:
            return
        if self._scale.heard(*agreed):
            self.must_reconnect = True  # once: more would not help
            kalshi_drift.unheeded(self._sentinel, payload)
        self._scale.heed(recv_ns, is_drifted=self._sentinel.is_drifted)

    # ---- what is not as it should be

    def _bad(self, frame: Frame, payload: Payload, recv_ns: int, error: FeedError) -> None:
        """A frame whose content cannot be used. If it was of a book, that book is broken."""
        self._publisher.count("bad_frames")
        if isinstance(error, TextError):
            kalshi_drift.of_text(self._sentinel, frame, error, payload, recv_ns)
        self._wants_facts |= isinstance(frame, Lifecycle)
        if isinstance(frame, Delta | Snapshot):
            local = self._locals.get(frame.msg.market_ticker)
            if local is not None:
                self._publisher.mark(local, raised=GAP, now_ns=recv_ns)
                if isinstance(frame, Snapshot):
                    self._resyncs.answered(local, is_good=False)
                self._resync(recv_ns)

    def _odd(self, payload: Payload, recv_ns: int, error: Exception) -> None:
        """A frame the typed decoder refuses: of an unknown type (tolerated, unless it is of the
        book's subscription: then it may be what a delta was), drifted, or bad.

        What is not decoded keeps its number unread, so the next frame of its subscription shows
        the hole.
        """
        is_drift = isinstance(error, msgspec.ValidationError)
        try:
            head = HEAD_DECODER.decode(payload)
        except UNREADABLE:
            head = Head()
        if head.type in KNOWN or not head.type:
            self._publisher.count("bad_frames")
            if is_drift:
                self._sentinel.refused(head.type or "a frame", str(error), payload, recv_ns)
            return
        self._sentinel.unknown(head.type, "type", payload)
        if head.sid == self._stream.sid and head.seq:
            self._sentinel.drift(head.type, "type", "unknown, of the book", payload, recv_ns)
            self._numbered(Ok(sid=head.sid, seq=head.seq), recv_ns)
