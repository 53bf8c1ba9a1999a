"""The simulated Binance Spot market data: raw and combined streams (spot.md 1, docs of
2026-07-21). The REST twin lies beside it (`binance_rest.py`).

A US address is refused everywhere with HTTP 451. What the documents leave open is ours: a client
over its limits is closed with 1008.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
from websockets.frames import Opcode
from websockets.http11 import Request

from ops.venues.exchanges import Exchange
from ops.venues.numerals import MS_NS, SECOND_NS, spot8
from ops.venues.script import ASK, ConnectionCut, Event, ExchangeTrade
from ops.venues.session import Later, RunClock, VenueLog
from ops.venues.spot_book import Level, SpotBook, Window, book_after, changes
from ops.venues.wire import Link, Refusal, WsServer

VENUE = "binance"
BLOCKED = {
    "code": 0,
    "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in"
    " https://www.binance.com/en/terms. Please contact customer service if you believe you"
    " received this message in error.",
}
METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
SERVER_PING_NS, PONG_NS = 20 * SECOND_NS, 60 * SECOND_NS
LIFE_NS, NOTICE_NS = 86_400 * SECOND_NS, 10 * SECOND_NS
MESSAGES_PER_S, STREAMS_MAX = 5, 1024
ATTEMPTS_MAX, ATTEMPTS_NS = 300, 300 * SECOND_NS
POLICY_VIOLATION, SERVICE_RESTART = 1008, 1012
DEPTH_NS = {"depth": SECOND_NS, "depth@100ms": SECOND_NS // 10}
STREAMS = frozenset({"trade", "aggTrade", "bookTicker", *DEPTH_NS}) | {
    f"depth{count}{speed}" for count in (5, 10, 20) for speed in ("", "@100ms")
}


@dataclass(slots=True)
class Client:
    """One connection: its streams in the order subscribed, and how it wants them."""

    streams: dict[str, None] = field(default_factory=dict)
    is_combined: bool = False
    in_us: bool = False
    window: Window = field(default_factory=lambda: Window(MESSAGES_PER_S))
    pong_ns: int = 0


class Product:
    """One market: its last trade, the book after it and the book that diffs were told from."""

    def __init__(self, symbol: str, tick_e8: int) -> None:
        self.symbol = symbol
        self.lower = symbol.lower()
        self.tick_e8 = tick_e8
        self.last: ExchangeTrade | None = None
        self.book = SpotBook()
        self.told = {name: SpotBook() for name in DEPTH_NS}

    def traded(self, trade: ExchangeTrade) -> bool:
        """Take a trade; True if best bid or ask became another."""
        before, self.last = self.book, trade
        self.book = book_after(
            trade.price_e8,
            trade.taker_side,
            trade.trade_id,
            tick_e8=self.tick_e8,
            update_id=before.update_id + 1,
        )
        return (before.bids[:1], before.asks[:1]) != (self.book.bids[:1], self.book.asks[:1])


class Binance:
    """Subscriptions and frames of one process's clients."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
        is_us_address: bool = False,
        ping_ns: int = SERVER_PING_NS,
        life_ns: int = LIFE_NS,
    ) -> None:
        self.products = {
            symbol.lower(): Product(symbol, tick_e8) for symbol, tick_e8 in exchange.listed.values()
        }
        self.clock = clock
        self.log = log
        self.is_us_address = is_us_address
        self._later = later
        self._on_subscribed = on_subscribed
        self._ping_ns = ping_ns
        self._life_ns = life_ns
        self._clients: dict[Link, Client] = {}
        self._attempts = Window(ATTEMPTS_MAX, ATTEMPTS_NS)
        self.server = WsServer(venue=VENUE, hub=self, log=log)

    # ---- a venue

    def flush(self) -> None:
        self.server.flush()

    async def listen(self, context: ssl.SSLContext) -> int:
        port = await self.server.listen(context)
        self._later(self._ping_ns, self._ping)
        for name, every_ns in DEPTH_NS.items():
            self._tell_depth(name, every_ns)
        return port

    def close(self) -> None:
        self.server.close()

    def apply(self, event: Event) -> None:
        """A trade: trade, aggTrade and bookTicker at once; depth waits for its turn."""
        if isinstance(event, ExchangeTrade):
            product = self.products[event.symbol.lower()]
            is_moved = product.traded(event)
            self._publish(product, "trade", partial(_trade, event))
            self._publish(product, "aggTrade", partial(_agg_trade, event))
            if is_moved:
                self._publish(product, "bookTicker", lambda _: _book_ticker(product))
        elif isinstance(event, ConnectionCut):
            self.server.cut()

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        if self.is_us_address:
            self.log.count(VENUE, "refused_451")
            body = orjson.dumps(BLOCKED).decode()
            raise Refusal(HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS, body)
        now_ns = self.clock.mono_ns()
        if not self._attempts.admits(now_ns):
            self.log.count(VENUE, "refused_attempts")
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "{}")
        url = urlsplit(request.path)
        query = parse_qs(url.query)
        client = Client(pong_ns=now_ns)
        client.in_us = query.get("timeUnit", [""])[0].upper() == "MICROSECOND"
        names: list[str] = []
        if url.path == "/stream":
            client.is_combined = True
            names = [name for text in query.get("streams", []) for name in text.split("/")]
        elif url.path.startswith("/ws"):
            names = url.path.removeprefix("/ws").strip("/").split("/")
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, "{}")
        self._clients[link] = client
        link.on_control = lambda opcode, _: self._control(link, opcode)
        self._subscribe(link, client, [name for name in names if name])
        self._later(max(self._life_ns - NOTICE_NS, self._life_ns // 2), lambda: self._notice(link))
        self._later(self._life_ns, lambda: self._end(link))

    def on_close(self, link: Link) -> None:
        self._clients.pop(link, None)

    def on_text(self, link: Link, text: str) -> None:
        client = self._clients[link]
        if self._is_within_limit(link, client):
            link.queue(orjson.dumps(self._answer(link, client, text)))

    def _control(self, link: Link, opcode: Opcode) -> None:
        """Pings and pongs of a client count as messages."""
        client = self._clients.get(link)
        if client is None or opcode is Opcode.CLOSE:
            return
        if opcode is Opcode.PONG:
            client.pong_ns = self.clock.mono_ns()
            self.log.count(VENUE, "pongs")
        self._is_within_limit(link, client)

    def _is_within_limit(self, link: Link, client: Client) -> bool:
        if client.window.admits(self.clock.mono_ns()):
            return True
        self.log.count(VENUE, "closed_messages")
        link.close(POLICY_VIOLATION, "Too many requests")
        return False

    # ---- requests

    def _answer(self, link: Link, client: Client, text: str) -> dict[str, Any]:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            return _error(3, "Invalid JSON: expected value at line 1 column 1")
        if not isinstance(message, dict) or "method" not in message:
            return _error(2, "Invalid request: missing field `method` at line 1 column 2")
        method, params, number = message["method"], message.get("params"), message.get("id")
        if method not in METHODS:
            wanted = ", ".join(f"`{name}`" for name in METHODS)
            variant = f"unknown variant `{method}`, expected one of {wanted}"
            return _error(2, f"Invalid request: {variant} at line 1 column 28")
        if not _is_id(number):
            return _error(2, "Invalid request: request ID must be an unsigned integer")
        if method == "LIST_SUBSCRIPTIONS":
            return {"result": list(client.streams), "id": number}
        if method.endswith("PROPERTY"):
            return _property(client, method, params, number)
        if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
            return _error(2, "Invalid request: params must be an array of strings")
        if method == "SUBSCRIBE":
            self._subscribe(link, client, params)
        else:
            for name in params:
                client.streams.pop(name, None)
        return {"result": None, "id": number}

    def _subscribe(self, link: Link, client: Client, names: list[str]) -> None:
        """Names that are no stream are taken too, and stay silent (so the venue does)."""
        client.streams.update(dict.fromkeys(names))
        if len(client.streams) > STREAMS_MAX:
            self.log.count(VENUE, "closed_streams")
            link.close(POLICY_VIOLATION, "Too many streams")
        elif any(self._is_stream(name) for name in names):
            self._on_subscribed()

    def _is_stream(self, name: str) -> bool:
        symbol, _, stream = name.partition("@")
        return symbol in self.products and stream in STREAMS

    # ---- frames

    def _publish(self, product: Product, stream: str, make: Callable[[bool], Any]) -> None:
        """One stream of one market to who has it, in each client's own form."""
        name, made = f"{product.lower}@{stream}", {}
        for link, client in self._clients.items():
            if name in client.streams:
                form = (client.is_combined, client.in_us)
                if form not in made:
                    made[form] = _framed(name, make(client.in_us), client.is_combined)
                link.queue(made[form])

    def _tell_depth(self, name: str, every_ns: int) -> None:
        """Diffs since the last time, then the partial books of the same rhythm."""
        self._later(every_ns, lambda: self._tell_depth(name, every_ns))
        speed = name.removeprefix("depth")
        for product in self.products.values():
            told, book = product.told[name], product.book
            if told.update_id == book.update_id:
                continue
            product.told[name] = book
            if not self._clients or not told.update_id:
                continue
            self._publish(product, name, partial(self._diff, product, told, book))
            for count in (5, 10, 20):
                self._publish(product, f"depth{count}{speed}", partial(_partial, book, count))

    def _diff(self, product: Product, told: SpotBook, book: SpotBook, in_us: bool) -> Any:
        return {
            "e": "depthUpdate",
            "E": self.clock.run_ns() // (1_000 if in_us else MS_NS),
            "s": product.symbol,
            "U": told.update_id + 1,
            "u": book.update_id,
            "b": rows(changes(told.bids, book.bids)),
            "a": rows(changes(told.asks, book.asks)),
        }

    def _ping(self) -> None:
        self._later(self._ping_ns, self._ping)
        now_ns = self.clock.mono_ns()
        for link in self.server.open_links():
            if now_ns - self._clients[link].pong_ns > PONG_NS:
                self.log.count(VENUE, "closed_pong")
                link.abort()
            else:
                link.ping(str(now_ns // MS_NS).encode())

    def _notice(self, link: Link) -> None:
        client = self._clients.get(link)
        if client is not None:
            event = {"e": "serverShutdown", "E": self.clock.run_ns() // MS_NS}
            link.queue(_framed("!serverShutdown", event, client.is_combined))
            self.log.count(VENUE, "shutdown_notices")

    def _end(self, link: Link) -> None:
        if link in self._clients:
            self.log.count(VENUE, "closed_age")
            link.close(SERVICE_RESTART, "")


def _framed(name: str, data: Any, is_combined: bool) -> bytes:
    return orjson.dumps({"stream": name, "data": data} if is_combined else data)


def _error(code: int, msg: str) -> dict[str, Any]:
    return {"code": code, "msg": msg}


def _is_id(number: object) -> bool:
    """int64, alphanumeric text of at most 36, or null."""
    if isinstance(number, str):
        return number.isascii() and number.isalnum() and len(number) <= 36
    return number is None or (isinstance(number, int) and not isinstance(number, bool))


def _property(client: Client, method: str, params: Any, number: Any) -> dict[str, Any]:
    name = params[0] if isinstance(params, list) and params else None
    if not isinstance(name, str):
        return _error(2, "Invalid request: property name must be a string")
    if name != "combined":
        return {**_error(0, "Unknown property"), "id": number}
    if method == "GET_PROPERTY":
        return {"result": client.is_combined, "id": number}
    if len(params) != 2 or not isinstance(params[1], bool):
        return _error(1, "Invalid value type: expected Boolean")
    client.is_combined = params[1]
    return {"result": None, "id": number}


def rows(levels: list[Level] | tuple[Level, ...]) -> list[list[str]]:
    """Levels as Binance writes them: eight decimals each."""
    return [[spot8(price, 8), spot8(size, 8)] for price, size in levels]


def depth(book: SpotBook, count: int) -> dict[str, Any]:
    """The best `count` levels a side, as REST and the partial streams show them."""
    return {
        "lastUpdateId": book.update_id,
        "bids": rows(book.bids[:count]),
        "asks": rows(book.asks[:count]),
    }


def _partial(book: SpotBook, count: int, _: bool) -> dict[str, Any]:
    """No time in it, so the unit does not matter."""
    return depth(book, count)


def _trade(trade: ExchangeTrade, in_us: bool) -> dict[str, Any]:
    """`m`: the buyer is the maker, so the taker sold. `M` is to be ignored."""
    stamp = trade.at_epoch_ns // (1_000 if in_us else MS_NS)
    price, size = spot8(trade.price_e8, 8), spot8(trade.size_e8, 8)
    is_maker = trade.taker_side == ASK
    return {"e": "trade", "E": stamp, "s": trade.symbol, "t": trade.trade_id, "p": price,
            "q": size, "T": stamp, "m": is_maker, "M": True}  # fmt: skip


def _agg_trade(trade: ExchangeTrade, in_us: bool) -> dict[str, Any]:
    """Each of the script's trades is one taker order."""
    one = _trade(trade, in_us)
    return {"e": "aggTrade", "E": one["E"], "s": one["s"], "a": one["t"], "p": one["p"],
            "q": one["q"], "f": one["t"], "l": one["t"], "T": one["T"], "m": one["m"],
            "M": True}  # fmt: skip


def _book_ticker(product: Product) -> dict[str, Any]:
    """No event type and no time."""
    book = product.book
    ((bid, bid_size),), ((ask, ask_size),) = rows(book.bids[:1]), rows(book.asks[:1])
    return {"u": book.update_id, "s": product.symbol, "b": bid, "B": bid_size, "a": ask,
            "A": ask_size}  # fmt: skip
