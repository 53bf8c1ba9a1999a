"""Kalshi: frames of its WebSocket become books, statuses and trust (kalshi.md 12 to 14).

No I/O. Both sides arrive in YES prices because the subscription says so (`use_yes_price`: its
default is announced to flip), and that is checked: a snapshot that crosses, or tickers that name
the mirror of our ask, mean the other scale, and nothing is traded on it.

`seq` counts per subscription over all its markets. A hole makes every market of it untrusted until
a requested snapshot has come; an exact repeat of the frame before is dropped, any other number from
the past is a hole as well. `ok` and other answers consume numbers too.
"""

from __future__ import annotations

import msgspec
import numpy as np
import orjson

from feeds import book
from feeds.judge import CONTRACT, Judge
from feeds.kalshi_frames import (
    DECODER,
    HEAD_DECODER,
    KNOWN,
    Delta,
    Error,
    EventFee,
    EventLifecycle,
    Frame,
    Lifecycle,
    Numbered,
    Ok,
    Snapshot,
    Subscribed,
    Ticker,
    Trade,
    Unsubscribed,
    unknown_keys,
)
from feeds.kalshi_life import lifecycle
from feeds.levels import NO_CLAIM
from feeds.seat import Seat
from feeds.session import Lasting, Requests
from feeds.update import MS_NS, SECOND_NS, UNREADABLE, FeedError, Numbers
from shm_layout import (
    ASK,
    BID,
    DRIFT,
    E6,
    GAP,
    NO_SNAPSHOT,
    NONE_NS,
    ST_ACTIVE,
)

CHANNELS = ("orderbook_delta", "ticker", "trade", "market_lifecycle_v2")
ANSWER_NS = 2 * SECOND_NS  # a requested snapshot that has not come by then is asked for again
MISSING_NS = 5 * SECOND_NS  # the same for a market that never got its first one
TRIES_MAX = 3  # then only a new connection helps
LOOKS = 64  # first frames of a connection that are searched for unknown keys, then each 1,024th
LOOK_MASK = 1_023
MIRRORED_MAX = 3  # tickers in a row that name the mirror of our ask
DOUBT_NS = SECOND_NS  # crossed for longer than any engine event: not the venue's book
TERMINAL = (7, 9, 10, 25)  # errors after which the connection says nothing more


class Kalshi:
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, publisher: Seat) -> None:
        self.outbox: list[bytes] = []
        self.must_reconnect = False
        self._publisher = publisher
        self._words, self._state = publisher.words, publisher.state
        self._tickers = [each.ticker for each in publisher.instruments]
        self._locals = {ticker: local for local, ticker in enumerate(self._tickers)}
        self._prices, self._sizes = Numbers(6), Numbers(6)
        self._seen = self._counted = 0  # frames of this connection, and those in the counters
        self._next_id = 0
        self._wants_facts = False
        self._is_suspect = False  # tickers named the other scale: nothing counts until one agrees
        self._resyncs = Requests(answer_ns=ANSWER_NS, tries_max=TRIES_MAX)
        self._missing = Requests(answer_ns=MISSING_NS, tries_max=1 << 40)
        self._judge = Judge(publisher, "kalshi", jumps=CONTRACT)
        self._reset()

    def _reset(self) -> None:
        self._acked: dict[int, str] = {}  # sid to channel
        self._sid = 0  # the order book's
        self._seq = NONE_NS
        self._seqs: dict[int, int] = {}  # of the other numbered channels
        self._last: Frame | None = None
        self._is_dirty = False
        self._count_frames()
        self._seen = self._counted = 0
        self._mirrored = 0
        self._doubts = Lasting(DOUBT_NS)
        self._resyncs.clear()
        self._missing.clear()
        self.must_reconnect = False

    @property
    def is_subscribed(self) -> bool:
        """Every channel has its `sid`."""
        return len(self._acked) >= len(CHANNELS)

    @property
    def wants_facts(self) -> bool:
        """A frame said that facts changed without saying how."""
        wants, self._wants_facts = self._wants_facts, False
        return wants

    # ---- the life of the connection

    def opened(self, now_ns: int) -> None:
        """Subscribe: the market channels for our tickers, the life cycle (which has no filter)."""
        self._reset()
        self._judge.opened()
        for local in range(len(self._tickers)):
            self._missing.expect(local, now_ns)
        params: dict[str, object] = {"channels": list(CHANNELS[:3]), "use_yes_price": True}
        self._command("subscribe", {**params, "market_tickers": self._tickers})
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
        self.must_reconnect |= self._judge.wants_reconnect
        if self._sid:
            for local in self._doubts.overdue(self._publisher.doubtful(), now_ns):
                self._publisher.mark(local, raised=GAP, now_ns=now_ns)
            self._resync(now_ns)
            status, waiting = self._publisher.status, self._with(NO_SNAPSHOT)
            wanted = [local for local in waiting if status(local) == ST_ACTIVE]
            self._ask(self._missing.due(wanted, now_ns))

    def _count_frames(self) -> None:
        self._publisher.count("frames", self._seen - self._counted)
        self._counted = self._seen

    def _with(self, bits: int) -> list[int]:
        return [i for i in range(len(self._tickers)) if self._publisher.trust(i) & bits]

    def _resync(self, now_ns: int) -> None:
        """Ask for the books that are broken, unless the answer is on its way."""
        broken = self._with(GAP if self._is_suspect else GAP | DRIFT)
        if broken and self._sid:
            self._ask(self._resyncs.due(broken, now_ns))
            self.must_reconnect |= self._resyncs.is_hopeless

    def _ask(self, markets: list[int]) -> None:
        if markets:
            self._publisher.count("resyncs")
            tickers = [self._tickers[local] for local in markets]
            params: dict[str, object] = {"sids": [self._sid], "action": "get_snapshot"}
            self._command("update_subscription", {**params, "market_tickers": tickers})

    def _command(self, name: str, params: dict[str, object]) -> None:
        self._next_id += 1
        command = {"id": self._next_id, "cmd": name, "params": params}
        self.outbox.append(orjson.dumps(command))

    # ---- frames

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises: what cannot be read is counted, and shows as a hole."""
        self._seen += 1
        if self._seen <= LOOKS or not self._seen & LOOK_MASK:
            self._publisher.count("unknown_keys", unknown_keys(payload))
        try:
            frame = DECODER.decode(payload)
        except UNREADABLE:
            self._odd(payload, recv_ns)
        else:
            try:
                if type(frame) is Delta:
                    self._delta(frame, recv_ns, last)
                    return
                self._other(frame, recv_ns, last)
            except FeedError:
                self._bad(frame, recv_ns)
        self._end(last)

    def _delta(self, frame: Delta, recv_ns: int, last: bool) -> None:
        message, seq = frame.msg, frame.seq
        if frame.sid == self._sid and seq == self._seq + 1:
            self._seq, self._last = seq, frame
        elif not self._in_sequence(frame, recv_ns):
            self._end(last)
            return
        local = self._locals.get(message.market_ticker)
        if local is None:  # its number counted all the same
            self._end(last)
            return
        price_e6 = self._prices.get(message.price_dollars)
        if price_e6 is None:
            price_e6 = self._prices.parse(message.price_dollars)
        size_e6 = self._sizes.get(message.delta_fp)
        if size_e6 is None:
            size_e6 = self._sizes.parse(message.delta_fp)
        side = BID if message.side == "yes" else ASK
        told = book.change(
            self._words, self._state, local, side, price_e6, size_e6, True, seq,
            message.ts_ms * MS_NS, recv_ns, last,
        )  # fmt: skip
        self._is_dirty = not last
        if told:
            self._resync(recv_ns)

    def _end(self, last: bool) -> None:
        """The buffer may end with a frame that touched no book."""
        if last and self._is_dirty:
            self._is_dirty = False
            book.flush(self._words, self._state)

    def _other(self, frame: Frame, recv_ns: int, last: bool) -> None:
        if isinstance(frame, Snapshot):
            self._snapshot(frame, recv_ns, last)
        elif isinstance(frame, Ticker):
            self._ticker(frame, recv_ns)
        elif isinstance(frame, Subscribed):
            self._acked[frame.msg.sid] = frame.msg.channel
            if frame.msg.channel == CHANNELS[0]:
                self._sid = frame.msg.sid
        elif isinstance(frame, Error):
            if frame.msg.code in TERMINAL:  # what is shown is history from now on
                self.must_reconnect = True
                self._publisher.mark(raised=GAP, now_ns=recv_ns)
            self._publisher.count("bad_frames")
            if frame.seq and frame.sid == self._sid:
                self._in_sequence(Ok(sid=frame.sid, seq=frame.seq), recv_ns)
        else:
            self._numbered(frame, recv_ns)

    def _numbered(self, frame: Numbered, recv_ns: int) -> None:
        if frame.sid == self._sid:
            self._in_sequence(frame, recv_ns)
            return
        if isinstance(frame, Delta | Snapshot | Ok | Unsubscribed):
            return
        before, self._seqs[frame.sid] = self._seqs.get(frame.sid, NONE_NS), frame.seq
        if frame.seq and before != NONE_NS and frame.seq != before + 1:
            self._publisher.count("gaps")
            self._wants_facts |= not isinstance(frame, Trade)
        if isinstance(frame, Trade):
            if frame.msg.market_ticker in self._locals and not frame.msg.is_block_trade:
                self._publisher.count("trades")
        elif isinstance(frame, Lifecycle):
            local = self._locals.get(frame.msg.market_ticker)
            if local is not None:
                told = lifecycle(self._publisher, local, frame.msg, recv_ns)
                self._wants_facts |= not told
        elif isinstance(frame, EventFee):
            event = frame.msg.event_ticker + "-"
            self._wants_facts |= any(ticker.startswith(event) for ticker in self._tickers)
        else:
            assert isinstance(frame, EventLifecycle)

    def _in_sequence(self, frame: Numbered, recv_ns: int) -> bool:
        """Take the number of a frame of the book's subscription. False: a repeat, drop it."""
        if not self._sid and isinstance(frame, Snapshot):
            self._sid = frame.sid  # the answer to the subscription was lost: snapshots tell it too
        if frame.sid != self._sid:
            raise FeedError(f"sid: found {frame.sid}, wanted {self._sid}")
        if self._seq != NONE_NS and frame.seq != self._seq + 1:
            if frame == self._last:
                self._publisher.count("duplicates")
                return False
            self._gap(recv_ns)
        self._seq, self._last = frame.seq, frame
        return True

    def _gap(self, recv_ns: int) -> None:
        """Numbers were missed: every market of the subscription is untrusted until its snapshot."""
        self._publisher.count("gaps")
        self._publisher.mark(raised=GAP, now_ns=recv_ns)
        self._resync(recv_ns)

    def _snapshot(self, frame: Snapshot, recv_ns: int, last: bool) -> None:
        message = frame.msg
        if not self._in_sequence(frame, recv_ns):
            return
        local = self._locals.get(message.market_ticker)
        if local is None:
            return
        self._publisher.count("snapshots")
        if message.yes is not msgspec.UNSET or message.no is not msgspec.UNSET:
            self._publisher.mark(local, raised=DRIFT, now_ns=recv_ns)
            raise FeedError("snapshot: found cents, a form that ended on 2026-03-12")
        flat: list[int] = []
        price, size = self._prices.parse, self._sizes.parse
        for side, levels in ((BID, message.yes_dollars_fp), (ASK, message.no_dollars_fp)):
            for price_text, size_text in levels:
                flat += (side, price(price_text), size(size_text))
        told = book.replace(
            self._words, self._state, local, np.array(flat, np.int64), True, NO_CLAIM, NO_CLAIM,
            frame.seq, 0, recv_ns, last,
        )  # fmt: skip
        self._is_dirty = not last
        bid_e6, ask_e6 = self._publisher.touch(local)
        is_good = not told and bid_e6 < ask_e6
        self._resyncs.answered(local, is_good=is_good)
        self._missing.answered(local, is_good=is_good)
        if not is_good or self._is_suspect:
            self._publisher.mark(local, raised=DRIFT, now_ns=recv_ns)
        elif self._publisher.trust(local) & DRIFT:
            self._publisher.mark(local, lowered=DRIFT, now_ns=recv_ns)
        self._resync(recv_ns)

    def _ticker(self, frame: Ticker, recv_ns: int) -> None:
        """Compare the venue's touch with ours at this moment, where both have two sides."""
        local = self._locals.get(frame.msg.market_ticker)
        if local is None or self._publisher.trust(local) & (NO_SNAPSHOT | GAP):
            return
        bid_e6, ask_e6 = self._publisher.touch(local)
        if not frame.msg.yes_bid_dollars or not frame.msg.yes_ask_dollars:
            return
        if bid_e6 <= 0 or ask_e6 >= E6:
            return
        told_bid_e6 = self._prices.parse(frame.msg.yes_bid_dollars)
        told_ask_e6 = self._prices.parse(frame.msg.yes_ask_dollars)
        self._publisher.count("tickers_checked")
        if (told_bid_e6, told_ask_e6) == (bid_e6, ask_e6):
            self._publisher.count("tickers_agreed")
            self._mirrored = 0
            if self._is_suspect:
                self._is_suspect = False
                self._publisher.mark(lowered=DRIFT, now_ns=recv_ns)
        elif told_ask_e6 == E6 - ask_e6:
            self._mirrored += 1
            if self._mirrored == MIRRORED_MAX:
                self.must_reconnect |= not self._is_suspect  # once: more would not help
                self._is_suspect = True
                self._publisher.mark(raised=DRIFT, now_ns=recv_ns)
        else:
            self._mirrored = 0

    # ---- what is not as it should be

    def _bad(self, frame: Frame, recv_ns: int) -> None:
        """A frame whose content cannot be used. If it was of a book, that book is broken."""
        self._publisher.count("bad_frames")
        if isinstance(frame, Delta | Snapshot):
            local = self._locals.get(frame.msg.market_ticker)
            if local is not None:
                self._publisher.mark(local, raised=GAP, now_ns=recv_ns)
                if isinstance(frame, Snapshot):
                    self._resyncs.answered(local, is_good=False)
                self._resync(recv_ns)

    def _odd(self, payload: bytes | memoryview, recv_ns: int) -> None:
        """A frame the typed decoder refuses: of an unknown type (tolerated), or bad (counted).

        A bad one keeps its number unread, so the next frame of its subscription shows the hole.
        """
        try:
            head = HEAD_DECODER.decode(payload)
        except UNREADABLE:
            self._publisher.count("bad_frames")
            return
        if head.type in KNOWN:
            self._publisher.count("bad_frames")
            return
        self._publisher.count("unknown_keys")
        if head.sid == self._sid and head.seq:
            self._numbered(Ok(sid=head.sid, seq=head.seq), recv_ns)
