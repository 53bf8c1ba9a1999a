"""Binance Spot: trades and touch of USDT products over one combined stream (spot.md 1, docs of
2026-07-21).

No I/O. `m` says that the buyer was the maker, so the taker sold. `bookTicker` carries no type and
no time, and is known by its stream's name. A price in USDT is not one in
dollars: who mixes them must take off the basis. What we send is counted by the venue, pings and
pongs too, and 5 messages a second are its limit: one subscription, a ping a second and the answer
to a ping every 20 s stay below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from feeds import spot_scan
from feeds.judge import SPOT, Judge
from feeds.limits import NUMBER_MAX
from feeds.scan import direct
from feeds.seat import Seat
from feeds.sentinel import Sentinel
from feeds.update import MS_NS, STAMP_MAX_MS, UNREADABLE, FeedError, Numbers
from shm_layout import BUY, NO_ASK_E6, NO_BID_E6, SELL

PATH: Final = "/stream"  # combined: each frame names its stream
STREAMS: Final = ("trade", "bookTicker")
SHUTDOWN: Final = "!serverShutdown"  # this connection ends soon: open another
Number = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
StampMs = Annotated[int, Meta(ge=0, le=STAMP_MAX_MS)]


class Trade(Struct):
    """`t` grows by one per product."""

    s: str
    t: Number
    p: str
    q: str
    T: StampMs
    m: bool


class BookTicker(Struct):
    """`u` grows with each change of the book."""

    u: Number
    s: str
    b: str
    B: str
    a: str
    A: str


class Frame(Struct):
    """A wrapped frame, the answer to a request, an error, or the head of a raw frame."""

    stream: str = ""
    data: Raw = Raw(b"")
    id: int | str | None = None
    code: int | None = None
    e: str = ""
    u: Number = 0


FRAME: Final = msgspec.json.Decoder(Frame)
TRADE: Final = msgspec.json.Decoder(Trade)
BOOK_TICKER: Final = msgspec.json.Decoder(BookTicker)
_KEYS: Final = {
    # a and b: order ids in old frames
    "trade": frozenset(["e", "E", "s", "t", "p", "q", "T", "m", "M", "a", "b"]),
    "bookTicker": frozenset(["u", "s", "b", "B", "a", "A"]),
}
_KNOWN: Final = frozenset({"trade", "aggTrade", "depthUpdate", "bookTicker", "serverShutdown"})


def strange(frame: object) -> tuple[str, list[str]]:
    """The type of a decoded frame and its keys that nobody told us about."""
    if not isinstance(frame, dict):
        return "", []
    data = frame.get("data", frame)
    kind = str(frame.get("stream", "")).partition("@")[2]
    if not isinstance(data, dict) or kind not in _KEYS:
        return kind, []
    return kind, sorted(data.keys() - _KEYS[kind])


class Binance:
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    wants_facts = False  # a spot product has none

    def __init__(self, publisher: Seat, products: Sequence[str]) -> None:
        self.outbox: list[bytes] = []
        self.must_reconnect = False
        self.is_subscribed = False
        self._publisher = publisher
        self._locals = {product: local for local, product in enumerate(products)}
        self._streams = [f"{name.lower()}@{kind}" for name in products for kind in STREAMS]
        self._numbers = Numbers(8)
        self._judge = Judge(publisher, "binance", jumps=SPOT)
        self._sentinel = Sentinel(publisher, "binance", strange)
        self._frames = self._ticked = self._seen = 0
        self._asked = 0  # number of the newest subscription
        self._words, self._state = publisher.words, publisher.state
        self._scan = spot_scan.memory_of(products)
        self._read = direct(spot_scan.binance, self._words, self._state, self._scan)
        self._trade_ids = self._scan[spot_scan.TRADES : spot_scan.TRADES + len(products)]
        self._book_ids = self._scan[spot_scan.BOOKS : spot_scan.BOOKS + len(products)]

    def opened(self, now_ns: int) -> None:
        """One message subscribes to everything."""
        self._judge.opened()
        self._sentinel.opened(now_ns)
        self.must_reconnect = self.is_subscribed = False
        self._asked += 1
        self._book_ids[:] = 0
        message = {"method": "SUBSCRIBE", "params": self._streams, "id": self._asked}
        self.outbox.append(orjson.dumps(message))

    def closed(self, now_ns: int) -> None:
        """Spot of a lost link may not be used; trades missed meanwhile are counted on return."""
        self.must_reconnect = self.is_subscribed = False
        self.outbox.clear()
        self._publisher.lose(now_ns)
        self.tick(now_ns)

    def tick(self, now_ns: int) -> None:
        """Carry the counters over; look at clock and jumps."""
        self._judge.step(now_ns)
        self._sentinel.step(now_ns)
        self.must_reconnect |= self._judge.wants_reconnect or self._sentinel.wants_reconnect
        self._publisher.count("frames", self._frames)
        self._ticked += self._frames
        self._frames = 0

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises. Every trade is published, so `last` does not matter."""
        self._frames += 1
        words, state, memory = self._words, self._state, self._scan
        is_view = type(payload) is memoryview
        if is_view and self._read(words, state, memory, payload, recv_ns) >= 0:
            return
        self._seen += 1
        sentinel, kind = self._sentinel, ""
        if sentinel.wants(self._seen, len(payload)) and not sentinel.look(payload):
            self._publisher.count("bad_frames")
            return
        try:
            frame = FRAME.decode(payload)
            kind = frame.stream.partition("@")[2] or frame.stream
            if frame.stream:
                self._data(kind, frame.data, recv_ns)
            elif frame.e or frame.u:
                kind = frame.e or "bookTicker"
                self._data(kind, payload, recv_ns)
            else:
                self._answer(frame)
        except FeedError as error:
            self._publisher.count("bad_frames")
            if sentinel.lasts(self._ticked + self._frames):
                sentinel.drift(kind, "data", str(error), payload, recv_ns)
        except UNREADABLE as error:
            self._publisher.count("bad_frames")
            is_typed = isinstance(error, msgspec.ValidationError)
            if is_typed and sentinel.lasts(self._ticked + self._frames):
                sentinel.refused(kind or "a frame", str(error), payload, recv_ns)
        else:
            if sentinel.is_drifted:
                sentinel.well(kind)

    def _answer(self, frame: Frame) -> None:
        if frame.code is not None:
            self.must_reconnect = True
            self._publisher.count("bad_frames")
        elif frame.id == self._asked:
            self.is_subscribed = True

    def _data(self, kind: str, data: bytes | memoryview | Raw, recv_ns: int) -> None:
        if kind == "trade":
            self._trade(TRADE.decode(data), recv_ns)
        elif kind == "bookTicker":
            self._book_ticker(BOOK_TICKER.decode(data), recv_ns)
        elif kind in ("serverShutdown", SHUTDOWN):
            self.must_reconnect = True
        elif kind not in _KNOWN and not kind.startswith("depth"):
            self._publisher.count("unknown_keys")

    def _trade(self, trade: Trade, recv_ns: int) -> None:
        local = self._locals.get(trade.s)
        if local is None:
            return
        before = self._trade_ids[local]
        if not spot_scan.is_new(self._scan, local, trade.t):
            self._publisher.count("duplicates")
            return
        price_e8, size_e8 = self._numbers.parse(trade.p), self._numbers.parse(trade.q)
        if price_e8 <= 0 or size_e8 <= 0:
            raise FeedError(f"trade: found {trade.p} x {trade.q}, wanted more than 0")
        if before and trade.t > before + 1:
            self._publisher.count("gaps")
        self._trade_ids[local] = trade.t
        self._publisher.count("trades")
        self._publisher.trade(
            local,
            price_e8=price_e8,
            size_e8=size_e8,
            side=SELL if trade.m else BUY,
            trade_id=trade.t,
            event_epoch_ns=trade.T * MS_NS,
            recv_ns=recv_ns,
        )

    def _book_ticker(self, ticker: BookTicker, recv_ns: int) -> None:
        local = self._locals.get(ticker.s)
        if local is None:
            return
        if ticker.u <= self._book_ids[local]:
            self._publisher.count("duplicates")
            return
        number = self._numbers.parse
        bid_e8, ask_e8 = number(ticker.b), number(ticker.a)
        bid_size_e8, ask_size_e8 = number(ticker.B), number(ticker.A)
        if min(bid_e8, ask_e8, bid_size_e8, ask_size_e8) < 0:
            raise FeedError(f"bookTicker: found {ticker.b} and {ticker.a}, wanted none below 0")
        self._book_ids[local] = ticker.u
        self._publisher.quote(
            local,
            bid=(bid_e8, bid_size_e8) if bid_e8 else (NO_BID_E6, 0),
            ask=(ask_e8, ask_size_e8) if ask_e8 else (NO_ASK_E6, 0),
            event_epoch_ns=0,
            recv_ns=recv_ns,
        )
