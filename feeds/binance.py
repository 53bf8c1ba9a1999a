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
from feeds.limits import NUMBER_MAX
from feeds.seat import Seat
from feeds.spot_handler import ScannedSpot
from feeds.update import MS_NS, STAMP_MAX_MS, UNREADABLE, FeedError
from shm_layout import BUY, SELL

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


class Binance(ScannedSpot):
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, publisher: Seat, products: Sequence[str]) -> None:
        super().__init__(publisher, products, "binance", strange, spot_scan.binance)
        self._streams = [f"{name.lower()}@{kind}" for name in products for kind in STREAMS]
        self._asked = 0  # number of the newest subscription
        self._book_ids = self._of_products(spot_scan.BOOKS)

    def opened(self, now_ns: int) -> None:
        """One message subscribes to everything."""
        super().opened(now_ns)
        self._asked += 1
        self._book_ids[:] = 0
        message = {"method": "SUBSCRIBE", "params": self._streams, "id": self._asked}
        self.outbox.append(orjson.dumps(message))

    def _decoded(self, payload: bytes | memoryview, recv_ns: int) -> None:
        kind = ""
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
        except (FeedError, *UNREADABLE) as error:
            self._misread(kind, error, payload, recv_ns)
        else:
            if self._sentinel.is_drifted:
                self._sentinel.well(kind)

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
        if not spot_scan.is_new(self._scan, local, trade.t):
            self._publisher.count("duplicates")
            return
        price, size = self._number(trade.p), self._number(trade.q)
        self._accept(local, trade.t, price, size)
        self._publisher.trade(
            local,
            price_e8=price[0],
            size_e8=size[0],
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
        self._touch(local, (bid_e8, bid_size_e8), (ask_e8, ask_size_e8), 0, recv_ns)
