"""The simulated Kraken spot WebSocket v2 (spot.md 3; docs.kraken.com, autumn 2026).

Numbers are JSON numbers with their trailing zeros, so frames of the book are written by hand. The
checksum is CRC32 over the text of the ten best asks, then bids: price and size as printed, without
the dot and leading zeros. The touch moves with trades only, so both triggers of a ticker are one.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.http11 import Request

from ops.venues.exchanges import Exchange
from ops.venues.faults_events import Server
from ops.venues.numerals import SECOND_NS, iso_us
from ops.venues.script import BID, ConnectionCut, Event, ExchangeTrade
from ops.venues.session import Later, RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.spot_book import Level, SpotBook, book_after, changes_within
from ops.venues.wire import Link, WsServer

VENUE = "kraken"
CHANNELS = ("ticker", "trade", "book")
DEPTHS = (10, 25, 100, 500, 1000)
CHECKED, QTY_DECIMALS = 10, 8
Wish = tuple[str, int]  # channel, depth (0: has none)


def text_of(value_e8: int, decimals: int) -> str:
    """The number as Kraken prints it: exactly so many decimals."""
    whole, rest = divmod(value_e8 // 10 ** (8 - decimals), 10**decimals)
    return f"{whole}.{rest:0{decimals}d}"


def checksum(bids: Sequence[Level], asks: Sequence[Level], decimals: int) -> int:
    """Over asks low to high, then bids high to low; a number without dot and leading zeros."""
    texts = (
        text_of(value, places)
        for side in (asks, bids)
        for level in side[:CHECKED]
        for value, places in zip(level, (decimals, QTY_DECIMALS), strict=True)
    )
    return zlib.crc32("".join(text.replace(".", "").lstrip("0") for text in texts).encode())


@dataclass(slots=True)
class Client:
    """What one connection hears: (symbol, channel) to the depth wanted."""

    wishes: dict[tuple[str, str], int] = field(default_factory=dict)
    is_busy: bool = False  # something was sent since the last heartbeat was due


class Product:
    """One market: day figures, its last trade, the book before and after it."""

    def __init__(self, symbol: str, tick_e8: int) -> None:
        self.symbol = symbol
        self.tick_e8 = tick_e8
        self.decimals = 8 - len(str(tick_e8)) + 1
        self.last: ExchangeTrade | None = None
        self.before = self.book = SpotBook()
        self.open_e8 = self.low_e8 = self.high_e8 = self.volume_e8 = self.quote_e8 = 0
        self.trades = 0

    def traded(self, trade: ExchangeTrade) -> None:
        """Take a trade."""
        price_e8 = trade.price_e8
        if self.last is None:
            self.open_e8 = self.low_e8 = price_e8
        self.low_e8, self.high_e8 = min(self.low_e8, price_e8), max(self.high_e8, price_e8)
        self.volume_e8 += trade.size_e8
        self.quote_e8 += price_e8 * trade.size_e8 // 10**8
        self.trades += 1
        self.before, self.last = self.book, trade
        self.book = book_after(
            price_e8, trade.taker_side, trade.trade_id, tick_e8=self.tick_e8,
            update_id=self.before.update_id + 1,
        )  # fmt: skip


class Kraken:
    """Subscriptions and frames."""

    def __init__(
        self,
        spec: VenuesSpec,
        exchange: Exchange,
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        self.products = {
            symbol: Product(symbol, tick_e8) for symbol, tick_e8 in exchange.listed.values()
        }
        self._clock = clock
        self._log = log
        self._later = later
        self._on_subscribed = on_subscribed
        self._clients: dict[Link, Client] = {}
        self._links = 0
        self.server = WsServer(venue=VENUE, hub=self, log=log)

    # ---- a venue

    @property
    def servers(self) -> Sequence[Server]:
        return (self.server,)

    def flush(self) -> None:
        self.server.flush()

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        port = await self.server.listen(context)
        self._later(SECOND_NS, self._beat)
        return {"ws": port}

    async def close(self) -> None:
        self.server.close()

    def apply(self, event: Event) -> None:
        """A trade: the trade, its ticker and what it does to the book."""
        if isinstance(event, ExchangeTrade):
            product = self.products[event.symbol]
            product.traded(event)
            self._publish(product)
        elif isinstance(event, ConnectionCut):
            self.server.cut()

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        self._clients[link] = Client()
        self._links += 1
        status = {"api_version": "v2", "connection_id": 10**18 + self._links,
                  "system": "online", "version": "2.0.10"}  # fmt: skip
        link.queue(orjson.dumps({"channel": "status", "type": "update", "data": [status]}))

    def on_close(self, link: Link) -> None:
        self._clients.pop(link, None)

    def on_text(self, link: Link, text: str) -> None:
        stamp = iso_us(self._clock.wall_ns())
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            link.queue(_reply("error", None, stamp, error="Malformed request"))
            return
        method, number, params = message.get("method"), message.get("req_id"), message.get("params")
        if method == "ping":
            reply = {"method": "pong", **_numbered(number), "time_in": stamp, "time_out": stamp}
            link.queue(orjson.dumps(reply))
        elif method not in ("subscribe", "unsubscribe"):
            link.queue(_reply(str(method), number, stamp, error="Unsupported method"))
        elif not isinstance(params, dict) or params.get("channel") not in CHANNELS:
            link.queue(_reply(method, number, stamp, error="Unsupported channel"))
        else:
            self._change(link, method, params, number, stamp)

    # ---- requests

    def _change(
        self, link: Link, method: str, params: dict[str, Any], number: Any, stamp: str
    ) -> None:
        """One answer a symbol."""
        channel, depth = params["channel"], params.get("depth", 10)
        is_book = channel == "book"
        symbols = params.get("symbol")
        if is_book and depth not in DEPTHS:
            link.queue(_reply(method, number, stamp, error="Subscription depth not supported"))
            return
        if not isinstance(symbols, list) or not symbols:
            link.queue(_reply(method, number, stamp, error="Symbol(s) not found"))
            return
        client = self._clients[link]
        for symbol in symbols:
            product = self.products.get(symbol) if isinstance(symbol, str) else None
            key = (symbol, channel)
            if product is None:
                error = f"Currency pair not supported {symbol}"
                link.queue(_reply(method, number, stamp, error=error, symbol=symbol))
            elif method == "subscribe" and key in client.wishes:
                link.queue(_reply(method, number, stamp, error="Already subscribed", symbol=symbol))
            elif method == "unsubscribe" and key not in client.wishes:
                error = "Subscription Not Found"
                link.queue(_reply(method, number, stamp, error=error, symbol=symbol))
            else:
                self._change_one(link, client, product, params, method, number, stamp)

    def _change_one(
        self, link: Link, client: Client, product: Product, params: dict[str, Any], method: str,
        number: Any, stamp: str,
    ) -> None:  # fmt: skip
        channel, depth = params["channel"], params.get("depth", 10)
        result: dict[str, Any] = {"channel": channel, "symbol": product.symbol}
        if channel == "book":
            result["depth"] = depth
        if method == "unsubscribe":
            del client.wishes[product.symbol, channel]
            link.queue(_reply(method, number, stamp, result=result))
            return
        has_snapshot = bool(params.get("snapshot", channel != "trade"))
        result["snapshot"] = has_snapshot
        client.wishes[product.symbol, channel] = depth if channel == "book" else 0
        link.queue(_reply(method, number, stamp, result=result))
        if has_snapshot and product.last is not None:
            link.queue(self._frame(product, channel, depth, "snapshot"))
        client.is_busy = True
        self._on_subscribed()

    # ---- frames

    def _publish(self, product: Product) -> None:
        made: dict[Wish, bytes] = {}
        symbol, is_first = product.symbol, product.trades == 1
        for link, client in self._clients.items():
            for channel in CHANNELS:
                depth = client.wishes.get((symbol, channel))
                if depth is None:
                    continue
                if (channel, depth) not in made:
                    kind = "snapshot" if is_first and channel == "book" else "update"
                    made[channel, depth] = self._frame(product, channel, depth, kind)
                if made[channel, depth]:
                    client.is_busy = True
                    link.queue(made[channel, depth])

    def _frame(self, product: Product, channel: str, depth: int, kind: str) -> bytes:
        """One frame of a channel; empty where nothing is to be told."""
        if channel == "book":
            return _book(product, depth, kind)
        make = _trade if channel == "trade" else _ticker
        row = make(product)
        return f'{{"channel":"{channel}","type":"{kind}","data":[{row}]}}'.encode()

    def _beat(self) -> None:
        """Once a second to those who heard nothing else since the last one."""
        self._later(SECOND_NS, self._beat)
        for link, client in self._clients.items():
            if client.wishes and not client.is_busy:
                link.queue(b'{"channel":"heartbeat"}')
            client.is_busy = False


def _numbered(number: Any) -> dict[str, Any]:
    return {} if number is None else {"req_id": number}


def _reply(
    method: str, number: Any, stamp: str, *, error: str = "", symbol: Any = None,
    result: dict[str, Any] | None = None,
) -> bytes:  # fmt: skip
    body: dict[str, Any] = {"method": method}
    if result is not None:
        body |= {"result": result, "success": True}
    else:
        body |= {"error": error, "success": False}
        if symbol is not None:
            body["symbol"] = symbol
    return orjson.dumps({**body, "time_in": stamp, "time_out": stamp, **_numbered(number)})


def _levels(levels: Sequence[Level], decimals: int) -> str:
    return ",".join(
        f'{{"price":{text_of(price, decimals)},"qty":{text_of(size, QTY_DECIMALS)}}}'
        for price, size in levels
    )


def _book(product: Product, depth: int, kind: str) -> bytes:
    """Snapshot, or what changed within the depth; the checksum is of the book after it."""
    before, book, decimals = product.before, product.book, product.decimals
    bids: Sequence[Level] = book.bids[:depth]
    asks: Sequence[Level] = book.asks[:depth]
    crc = checksum(bids, asks, decimals)
    if kind == "update":
        bids = changes_within(before.bids, book.bids, depth)
        asks = changes_within(before.asks, book.asks, depth)
        if not bids and not asks:
            return b""
    assert product.last is not None
    stamp = f',"timestamp":"{iso_us(product.last.at_epoch_ns)}"' if kind == "update" else ""
    return (
        f'{{"channel":"book","type":"{kind}","data":[{{"symbol":"{product.symbol}",'
        f'"bids":[{_levels(bids, decimals)}],"asks":[{_levels(asks, decimals)}],'
        f'"checksum":{crc}{stamp}}}]}}'
    ).encode()


def _trade(product: Product) -> str:
    trade = product.last
    assert trade is not None
    side = "buy" if trade.taker_side == BID else "sell"
    return (
        f'{{"symbol":"{product.symbol}","side":"{side}",'
        f'"price":{text_of(trade.price_e8, product.decimals)},'
        f'"qty":{text_of(trade.size_e8, QTY_DECIMALS)},"ord_type":"limit",'
        f'"trade_id":{trade.trade_id},"timestamp":"{iso_us(trade.at_epoch_ns)}"}}'
    )


def _ticker(product: Product) -> str:
    trade, book = product.last, product.book
    assert trade is not None

    def price(value_e8: int) -> str:
        return text_of(value_e8, product.decimals)

    (bid, bid_size), (ask, ask_size) = book.bids[0], book.asks[0]
    moved_e8 = trade.price_e8 - product.open_e8
    sign = "-" if moved_e8 < 0 else ""
    share_e8 = abs(moved_e8) * 100 * 10**8 // product.open_e8
    vwap_e8 = product.quote_e8 * 10**8 // max(product.volume_e8, 1)
    return (
        f'{{"symbol":"{product.symbol}","bid":{price(bid)},"bid_qty":{text_of(bid_size, 8)},'
        f'"ask":{price(ask)},"ask_qty":{text_of(ask_size, 8)},"last":{price(trade.price_e8)},'
        f'"volume":{text_of(product.volume_e8, 8)},"vwap":{price(vwap_e8)},'
        f'"low":{price(product.low_e8)},"high":{price(product.high_e8)},'
        f'"change":{sign}{price(abs(moved_e8))},"change_pct":{sign}{text_of(share_e8, 2)},'
        f'"trades":{product.trades},"timestamp":"{iso_us(trade.at_epoch_ns)}"}}'
    )
