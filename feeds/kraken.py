"""Kraken spot, WebSocket v2: trades, and the touch of a book that proves itself (spot.md 3).

No I/O. The venue sends a checksum with each change of the book: another one here means that a
change was lost or damaged, so the book is untrusted at once, counted, and subscribed anew. Numbers
are JSON numbers whose printed zeros count in the checksum: they are read as text, never as floats.
`trade_id` grows by one per product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from feeds.kraken_book import Book, Level, digits
from feeds.limits import NUMBER_MAX
from feeds.seat import Seat
from feeds.session import Requests
from feeds.spot_handler import WatchedSpot, stamp_ns
from feeds.update import SECOND_NS, UNREADABLE, FeedError
from shm_layout import (
    BUY,
    NO_ASK_E6,
    NO_BID_E6,
    NOT_OPEN,
    REST_MISMATCH,
    SELL,
)

PATH: Final = "/v2"
DEPTH: Final = 10
ANSWER_NS, TRIES_MAX = 2 * SECOND_NS, 3
LEVELS_MAX = 2_000  # of one message; the venue has at most 1000 a side
_CLOSED: Final = frozenset({"maintenance"})
TradeId = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Checksum = Annotated[int, Meta(ge=0, lt=1 << 32)]


class LevelRow(Struct):
    """Numbers as printed."""

    price: Raw
    qty: Raw


class BookRow(Struct):
    """A snapshot has no time."""

    symbol: str
    bids: Annotated[list[LevelRow], Meta(max_length=LEVELS_MAX)]
    asks: Annotated[list[LevelRow], Meta(max_length=LEVELS_MAX)]
    checksum: Checksum
    timestamp: str = ""


class TradeRow(Struct):
    """`side` is the taker's."""

    symbol: str
    side: Literal["buy", "sell"]
    price: Raw
    qty: Raw
    trade_id: TradeId
    timestamp: str = ""


class TickerRow(Struct):
    """Zero stands for no market."""

    symbol: str
    bid: Raw
    bid_qty: Raw
    ask: Raw
    ask_qty: Raw
    timestamp: str = ""


class StatusRow(Struct):
    """Of the whole exchange."""

    system: str


class Result(Struct):
    """What was subscribed."""

    channel: str = ""
    symbol: str = ""


class Frame(Struct):
    """A channel's frame, or the answer to a request."""

    channel: str = ""
    type: str = ""
    data: Raw = Raw(b"[]")
    method: str = ""
    success: bool | None = None
    result: Result | None = None
    error: str = ""


FRAME: Final = msgspec.json.Decoder(Frame)
BOOKS: Final = msgspec.json.Decoder(list[BookRow])
TRADES: Final = msgspec.json.Decoder(list[TradeRow])
TICKERS: Final = msgspec.json.Decoder(list[TickerRow])
STATUS: Final = msgspec.json.Decoder(list[StatusRow])
_KNOWN: Final = frozenset({"heartbeat", "ohlc", "instrument"})


_KEYS: Final = {
    "trade": frozenset(["symbol", "side", "price", "qty", "ord_type", "trade_id", "timestamp"]),
    "book": frozenset(["symbol", "bids", "asks", "checksum", "timestamp"]),
}


def strange(frame: object) -> tuple[str, list[str]]:
    """The channel of a decoded frame and the keys of its first row that nobody told us about."""
    if not isinstance(frame, dict):
        return "", []
    kind, rows = str(frame.get("channel", "")), frame.get("data")
    if kind not in _KEYS or not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return kind, []
    return kind, sorted(rows[0].keys() - _KEYS[kind])


class Kraken(WatchedSpot):
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, publisher: Seat, products: Sequence[str]) -> None:
        super().__init__(publisher, products, "kraken", strange)
        self._books = [Book(DEPTH) for _ in products]
        self._shown: list[tuple[object, object]] = [(None, None)] * len(products)
        self._unanswered: set[tuple[str, str]] = set()  # subscriptions of this connection
        self._broken: dict[int, None] = {}  # products whose checksum differed
        self._requests = Requests(answer_ns=ANSWER_NS, tries_max=TRIES_MAX)

    def opened(self, now_ns: int) -> None:
        """Both channels of every product; the newest trades come with the subscription."""
        super().opened(now_ns)
        self._unanswered = {(kind, name) for kind in ("trade", "book") for name in self._products}
        self.is_subscribed = not self._unanswered
        self._ask("subscribe", "trade", self._products, snapshot=True)
        self._ask("subscribe", "book", self._products, depth=DEPTH)

    def closed(self, now_ns: int) -> None:
        """Its books and subscriptions end with the link."""
        self._unanswered.clear()
        self._broken.clear()
        self._requests.clear()
        self._shown = [(None, None)] * len(self._products)
        for book in self._books:
            book.clear()
        super().closed(now_ns)

    def tick(self, now_ns: int) -> None:
        """Carry the counters over; look at clock and jumps; ask again for books that differ."""
        super().tick(now_ns)
        for local in self._requests.due(list(self._broken), now_ns):
            self._publisher.count("resyncs")
            self._ask("unsubscribe", "book", [self._products[local]], depth=DEPTH)
            self._ask("subscribe", "book", [self._products[local]], depth=DEPTH)
        self.must_reconnect = self.must_reconnect or self._requests.is_hopeless

    def _ask(self, method: str, channel: str, symbols: list[str], **more: object) -> None:
        params = {"channel": channel, "symbol": symbols, **more}
        self.outbox.append(orjson.dumps({"method": method, "params": params}))

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises. Every trade is published, so `last` does not matter."""
        self._frames += 1
        self._seen += 1
        sentinel, kind = self._sentinel, "a frame"
        try:
            frame = FRAME.decode(payload)
            kind = frame.channel or kind
            is_looked_at = kind in _KEYS and sentinel.wants(self._seen, len(payload))
            if is_looked_at and not sentinel.look(payload):  # a connection's id goes beyond 2**53
                self._publisher.count("bad_frames")
                return
            self._take(frame, recv_ns)
        except (FeedError, *UNREADABLE) as error:
            self._misread(kind, error, payload, recv_ns)
        else:
            if sentinel.is_drifted:
                sentinel.well(kind)

    def _take(self, frame: Frame, recv_ns: int) -> None:
        if frame.channel == "book":
            for row in BOOKS.decode(frame.data):
                self._book(row, frame.type == "snapshot", recv_ns)
        elif frame.channel == "trade":
            self._trades(TRADES.decode(frame.data), frame.type == "snapshot", recv_ns)
        elif frame.channel == "ticker":
            for ticker in TICKERS.decode(frame.data):
                self._ticker(ticker, recv_ns)
        elif frame.channel == "status":
            self._status(STATUS.decode(frame.data), recv_ns)
        elif frame.method:
            self._answer(frame)
        elif frame.channel not in _KNOWN:
            self._publisher.count("unknown_keys" if frame.channel else "bad_frames")

    def _answer(self, frame: Frame) -> None:
        """A refused subscription stays unanswered, and the session starts anew."""
        if frame.error or frame.success is False:
            self._publisher.count("bad_frames")
        elif frame.method == "subscribe" and frame.result is not None:
            asked = (frame.result.channel, frame.result.symbol)
            if asked in self._unanswered:
                self._unanswered.remove(asked)
                self.is_subscribed = not self._unanswered

    def _status(self, rows: list[StatusRow], recv_ns: int) -> None:
        for row in rows:
            closed = row.system in _CLOSED
            raised, lowered = (NOT_OPEN, 0) if closed else (0, NOT_OPEN)
            self._publisher.mark(raised=raised, lowered=lowered, now_ns=recv_ns)

    # ---- numbers and times

    def _printed(self, raw: Raw) -> tuple[int, str]:
        return self._number(bytes(raw).decode())

    def _levels(self, rows: list[LevelRow]) -> list[Level]:
        levels = []
        for row in rows:
            (price_e8, price), (size_e8, size) = self._printed(row.price), self._printed(row.qty)
            if price_e8 <= 0 or size_e8 < 0:
                raise FeedError(f"book: found {price} x {size}, wanted more than 0")
            levels.append((price_e8, size_e8, digits(price, size)))
        return levels

    # ---- trades and books

    def _trades(self, rows: list[TradeRow], is_snapshot: bool, recv_ns: int) -> None:
        """Of a snapshot only the newest of each product: the others happened before we listened."""
        if is_snapshot:
            rows = list({row.symbol: row for row in sorted(rows, key=_trade_id)}.values())
        for row in rows:
            local = self._locals.get(row.symbol)
            if local is not None:
                self._trade(local, row, is_snapshot, recv_ns)

    def _trade(self, local: int, row: TradeRow, is_snapshot: bool, recv_ns: int) -> None:
        if row.trade_id <= self._trade_ids[local] and not is_snapshot:
            self._publisher.count("duplicates")
            return
        price, size = self._printed(row.price), self._printed(row.qty)
        self._accept(local, row.trade_id, price, size)
        self._publisher.trade(
            local,
            price_e8=price[0],
            size_e8=size[0],
            side=BUY if row.side == "buy" else SELL,
            trade_id=row.trade_id,
            event_epoch_ns=stamp_ns(row.timestamp),
            recv_ns=recv_ns,
        )

    def _book(self, row: BookRow, is_snapshot: bool, recv_ns: int) -> None:
        local = self._locals.get(row.symbol)
        if local is None:
            return
        book, was_broken = self._books[local], local in self._broken
        if not is_snapshot and (was_broken or not book.has_snapshot):
            return  # until the snapshot that was asked for
        bids, asks = self._levels(row.bids), self._levels(row.asks)
        event_ns = stamp_ns(row.timestamp)
        if is_snapshot:
            book.clear()
            book.has_snapshot = True
            self._publisher.count("snapshots")
        book.bids.apply(bids)
        book.asks.apply(asks)
        self._publisher.count("tickers_checked")
        is_good = book.checksum() == row.checksum
        if was_broken:
            self._requests.answered(local, is_good=is_good)
        if not is_good:
            self._differs(local, recv_ns)
            return
        self._publisher.count("tickers_agreed")
        if was_broken:
            del self._broken[local]
            self._publisher.mark(local, lowered=REST_MISMATCH, now_ns=recv_ns)
        self._show(local, event_ns, recv_ns)

    def _differs(self, local: int, recv_ns: int) -> None:
        """The book is not the venue's: nothing of it is shown until a snapshot that agrees."""
        self._publisher.count("mismatch")
        self._broken[local] = None
        self._books[local].clear()
        self._shown[local] = (None, None)
        self._publisher.mark(local, raised=REST_MISMATCH, now_ns=recv_ns)

    def _show(self, local: int, event_ns: int, recv_ns: int) -> None:
        """The touch, where it changed."""
        book = self._books[local]
        touch = (book.bids.best, book.asks.best)
        if touch == self._shown[local]:
            return
        self._shown[local] = touch
        self._publisher.quote(
            local,
            bid=touch[0] or (NO_BID_E6, 0),
            ask=touch[1] or (NO_ASK_E6, 0),
            event_epoch_ns=event_ns,
            recv_ns=recv_ns,
        )

    def _ticker(self, row: TickerRow, recv_ns: int) -> None:
        """Not subscribed to: shown only where no book stands."""
        local = self._locals.get(row.symbol)
        if local is None or self._books[local].has_snapshot or local in self._broken:
            return
        bid, bid_size, ask, ask_size = (
            self._printed(raw)[0] for raw in (row.bid, row.bid_qty, row.ask, row.ask_qty)
        )
        event_ns = stamp_ns(row.timestamp)
        self._touch(local, (bid, bid_size), (ask, ask_size), event_ns, recv_ns)


def _trade_id(row: TradeRow) -> int:
    return row.trade_id
