"""The simulated Coinbase Exchange feed: matches, ticker, heartbeat and level2_batch of the script's
spot trades (spot.md 2.1).

`level2`, `level3` and `full` want a signature, and nobody has an account here.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from websockets.http11 import Request

from ops.venues.faults_events import Server
from ops.venues.numerals import SECOND_NS, iso_us, spot8
from ops.venues.script import BID, ConnectionCut, Event, SpotTrade
from ops.venues.session import Ids, Later, RunClock, VenueLog
from ops.venues.spot_book import SpotBook, Window, book_after, changes
from ops.venues.wire import Link, WsServer

VENUE = "coinbase"
CHANNELS = frozenset({"matches", "ticker", "ticker_batch", "heartbeat", "level2_batch"})
SIGNED = frozenset({"level2", "level3", "full", "user", "balance"})
POLICY_VIOLATION = 1008
CENT_E8 = 1_000_000
BATCH_NS, TICKER_BATCH_NS = 50_000_000, 5_000_000_000
MESSAGES_PER_S = 100
NEEDS_SIGNATURE = (
    "level2, level3, and full channels now require authentication."
    " https://docs.cloud.coinbase.com/exchange/docs/websocket-auth"
)


class _Product:
    """Running figures of one product: `sequence` counts every frame made of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sequence = 0
        self.last: SpotTrade | None = None
        self.open_e8 = self.low_e8 = self.high_e8 = 0
        self.volume_e8 = 0
        self.book = self.told = SpotBook()  # now, and as the last batch left it
        self.tickers_told = 0

    def traded(self, trade: SpotTrade) -> None:
        self.sequence += 1
        if self.last is None:
            self.open_e8 = self.low_e8 = trade.price_e8
        self.low_e8 = min(self.low_e8, trade.price_e8)
        self.high_e8 = max(self.high_e8, trade.price_e8)
        self.volume_e8 += trade.size_e8
        self.last = trade
        self.book = book_after(
            trade.price_e8, trade.taker_side, trade.trade_id, tick_e8=CENT_E8,
            update_id=self.book.update_id + 1,
        )  # fmt: skip


class Coinbase:
    """Subscriptions and frames. A connection that has not subscribed in time is closed."""

    def __init__(
        self,
        products: tuple[str, ...],
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
        subscribe_ns: int,
    ) -> None:
        self._products = {name: _Product(name) for name in products}
        self._clock = clock
        self._log = log
        self._later = later
        self._on_subscribed = on_subscribed
        self._subscribe_ns = subscribe_ns
        self._subs: dict[Link, dict[str, dict[str, None]]] = {}
        self._windows: dict[Link, Window] = {}
        self._ids = Ids(VENUE)
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
        self._later(BATCH_NS, self._batch)
        self._later(TICKER_BATCH_NS, self._batch_tickers)
        return {"ws": port}

    async def close(self) -> None:
        self.server.close()

    def apply(self, event: Event) -> None:
        """A spot trade becomes a match and a ticker; a cut drops everyone."""
        if isinstance(event, SpotTrade):
            product = self._products[event.product]
            product.traded(event)
            self._publish("matches", product.name, lambda: self._match(product, "match"))
            self._publish("ticker", product.name, lambda: self._ticker(product))
        elif isinstance(event, ConnectionCut):
            self.server.cut()

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        self._subs[link] = {}
        self._windows[link] = Window(MESSAGES_PER_S)
        self._later(self._subscribe_ns, lambda: self._late(link))

    def on_close(self, link: Link) -> None:
        self._subs.pop(link, None)
        self._windows.pop(link, None)

    def on_text(self, link: Link, text: str) -> None:
        if not self._windows[link].admits(self._clock.mono_ns()):
            self._log.count(VENUE, "closed_messages")
            link.close(POLICY_VIOLATION, "rate limit exceeded")
            return
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(message, dict) or kind not in ("subscribe", "unsubscribe"):
            self._fail(link, "Malformed JSON" if message is None else "Type has to be subscribe")
            return
        wanted = self._wanted(message)
        signed = [name for name in wanted if name in SIGNED]
        if signed and "signature" in message:
            self._tell_error(link, "Authentication Failed", '{"message":"Invalid API Key"}')
            return
        if signed:
            self._fail(link, NEEDS_SIGNATURE)
            return
        unknown = [name for name in wanted if name not in CHANNELS]
        if unknown:
            self._fail(link, f"{unknown[0]} is not a valid channel")
            return
        products = {name for names in wanted.values() for name in names}
        strange = products - self._products.keys()
        if strange:
            self._fail(link, f"{min(strange)} is not a valid product")
            return
        self._change(link, wanted, is_on=kind == "subscribe")

    def _change(self, link: Link, wanted: dict[str, list[str]], *, is_on: bool) -> None:
        subs = self._subs[link]
        new: list[tuple[str, str]] = []
        for channel, names in wanted.items():
            held = subs.setdefault(channel, {})
            for name in names:
                if is_on and name not in held:
                    held[name] = None
                    new.append((channel, name))
                elif not is_on:
                    held.pop(name, None)
        rows = [{"name": name, "product_ids": list(held)} for name, held in subs.items() if held]
        link.queue(orjson.dumps({"type": "subscriptions", "channels": rows}))
        for channel, name in new:
            product = self._products[name]
            if channel == "matches" and product.last:
                link.queue(self._match(product, "last_match"))
            elif channel.startswith("ticker") and product.last:
                link.queue(self._ticker(product))
            elif channel == "level2_batch" and product.last:
                self._tell_batch(product)  # to those who have the book already
                link.queue(self._snapshot(product))
        if new:
            self._on_subscribed()

    def _wanted(self, message: dict[str, Any]) -> dict[str, list[str]]:
        """Products by channel; channels are names, or objects with products of their own."""
        common = message.get("product_ids") or []
        wanted: dict[str, list[str]] = {}
        for channel in message.get("channels") or []:
            if isinstance(channel, str):
                wanted[channel] = list(common)
            elif isinstance(channel, dict) and isinstance(channel.get("name"), str):
                wanted[channel["name"]] = list(channel.get("product_ids") or common)
        return wanted

    def _fail(self, link: Link, reason: str) -> None:
        self._tell_error(link, "Failed to subscribe", reason)

    def _tell_error(self, link: Link, message: str, reason: str) -> None:
        self._log.count(VENUE, "errors")
        link.queue(orjson.dumps({"type": "error", "message": message, "reason": reason}))

    def _late(self, link: Link) -> None:
        subs = self._subs.get(link)
        if subs is not None and not any(subs.values()):
            link.close(POLICY_VIOLATION, "subscribe timeout")

    # ---- frames

    def _publish(self, channel: str, product: str, make: Callable[[], bytes]) -> None:
        frame = b""
        for link, subs in self._subs.items():
            if product in subs.get(channel, ()):
                frame = frame or make()
                link.queue(frame)

    def _match(self, product: _Product, kind: str) -> bytes:
        """`side` is the maker's: "sell" means the taker bought."""
        trade = product.last
        assert trade is not None
        return orjson.dumps(
            {
                "type": kind,
                "trade_id": trade.trade_id,
                "maker_order_id": self._ids.named(f"maker/{trade.trade_id}"),
                "taker_order_id": self._ids.named(f"taker/{trade.trade_id}"),
                "side": "sell" if trade.taker_side == BID else "buy",
                "size": spot8(trade.size_e8, 8),
                "price": spot8(trade.price_e8, 2),
                "product_id": product.name,
                "sequence": product.sequence,
                "time": iso_us(trade.at_epoch_ns),
            }
        )

    def _ticker(self, product: _Product) -> bytes:
        """`side` is the taker's here. The script has no spot book: the touch is a cent around
        the trade.
        """
        trade = product.last
        assert trade is not None
        taker_bought = trade.taker_side == BID
        ask_e8 = trade.price_e8 if taker_bought else trade.price_e8 + CENT_E8
        size = spot8(trade.size_e8, 8)
        return orjson.dumps(
            {
                "type": "ticker",
                "sequence": product.sequence,
                "product_id": product.name,
                "price": spot8(trade.price_e8, 2),
                "open_24h": spot8(product.open_e8, 2),
                "volume_24h": spot8(product.volume_e8, 8),
                "low_24h": spot8(product.low_e8, 2),
                "high_24h": spot8(product.high_e8, 2),
                "volume_30d": spot8(product.volume_e8, 8),
                "best_bid": spot8(ask_e8 - CENT_E8, 2),
                "best_bid_size": size,
                "best_ask": spot8(ask_e8, 2),
                "best_ask_size": size,
                "side": "buy" if taker_bought else "sell",
                "time": iso_us(trade.at_epoch_ns),
                "trade_id": trade.trade_id,
                "last_size": size,
            }
        )

    def _snapshot(self, product: _Product) -> bytes:
        return orjson.dumps(
            {
                "type": "snapshot",
                "product_id": product.name,
                "asks": [[spot8(price, 2), spot8(size, 8)] for price, size in product.book.asks],
                "bids": [[spot8(price, 2), spot8(size, 8)] for price, size in product.book.bids],
            }
        )

    def _batch(self) -> None:
        """What 50 ms changed; without a reader only the place is kept."""
        self._later(BATCH_NS, self._batch)
        for product in self._products.values():
            self._tell_batch(product)

    def _tell_batch(self, product: _Product) -> None:
        told, product.told = product.told, product.book
        if told is product.book or not told.update_id or product.last is None:
            return
        sides = (("buy", told.bids, product.book.bids), ("sell", told.asks, product.book.asks))
        stamp = iso_us(product.last.at_epoch_ns)

        def make() -> bytes:
            rows = [
                [side, spot8(price, 2), spot8(size, 8) if size else "0"]
                for side, before, after in sides
                for price, size in changes(before, after)
            ]
            message = {"type": "l2update", "product_id": product.name, "changes": rows}
            return orjson.dumps({**message, "time": stamp})

        self._publish("level2_batch", product.name, make)

    def _batch_tickers(self) -> None:
        self._later(TICKER_BATCH_NS, self._batch_tickers)
        for product in self._products.values():
            if product.last and product.tickers_told != product.last.trade_id:
                product.tickers_told = product.last.trade_id
                self._publish("ticker_batch", product.name, partial(self._ticker, product))

    def _beat(self) -> None:
        self._later(SECOND_NS, self._beat)
        stamp = iso_us(self._clock.run_ns())
        for product in self._products.values():
            message = {
                "type": "heartbeat",
                "sequence": product.sequence,
                "last_trade_id": product.last.trade_id if product.last else 0,
                "product_id": product.name,
                "time": stamp,
            }
            for link, subs in self._subs.items():
                if product.name in subs.get("heartbeat", ()):
                    link.queue(orjson.dumps(message))
