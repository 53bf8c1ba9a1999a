"""Kalshi's WebSocket: signed handshake, connections, and the frames of every channel.

A frame is made once per event; only the head (type, sid, seq) differs per subscription. Text
frames end with a newline. What a client asks for is `kalshi_commands`'s; what makes an index value
calls `topic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from websockets.http11 import Request

from ops.venues.book import Change
from ops.venues.kalshi_auth import KalshiGate
from ops.venues.kalshi_commands import KalshiCommands
from ops.venues.kalshi_frames import delta_body, snapshot_body, ticker_body
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_subscription import (
    CHANNELS,
    FILTERED,
    MARKET_CHANNELS,
    TERMINAL,
    TOPICS,
    Subscription,
    terminal_frame,
)
from ops.venues.numerals import MS_NS, dollars4
from ops.venues.script import BID
from ops.venues.session import RunClock
from ops.venues.wire import Link, Refusal, WsServer

WS_PATH = "/trade-api/ws/v2"
COMBOS = "KXMVE"  # market_lifecycle_v2 leaves out the multivariate ones
BACKLOG_MAX_BYTES = 4 << 20  # then code 25; the venue's own limit is unpublished
OVERFLOW = 25
HELD_ONE_IN = 50


@dataclass(frozen=True, slots=True)
class Held:
    """The frame of a touch that went, kept back."""

    market: KalshiMarket
    change: Change
    run_ns: int

    def is_met_by(
        self, market: KalshiMarket, side: int, price_e6: int, delta_e6: int, run_ns: int
    ) -> bool:
        """Whether a change of the same engine time puts the other side where this one was."""
        if market is not self.market or run_ns != self.run_ns:
            return False
        if side == self.change.side or delta_e6 <= 0:
            return False
        at = self.change.price_e6
        return price_e6 >= at if side == BID else price_e6 <= at


class KalshiHub:
    """All connections and subscriptions of the simulated Kalshi."""

    def __init__(
        self,
        *,
        gate: KalshiGate,
        markets: dict[str, KalshiMarket],
        clock: RunClock,
        on_subscribed: Callable[[], None],
    ) -> None:
        self._gate = gate
        self._clock = clock
        self._subs: dict[str, list[Subscription]] = {channel: [] for channel in CHANNELS}
        self._by_link: dict[Link, dict[int, Subscription]] = {}
        self._touched: dict[KalshiMarket, None] = {}  # in the order of their changes
        self._tickers_sent: dict[str, tuple[str, ...]] = {}
        self._held: Held | None = None
        self._gone = 0
        self._commands = KalshiCommands(
            book=self, markets=markets, clock=clock, on_subscribed=on_subscribed
        )

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path != WS_PATH:
            raise Refusal(HTTPStatus.NOT_FOUND, '{"code":"not_found"}')
        if self._gate.refusal("GET", path, request.headers):
            body = '{"code":"token_authentication_failure"}'
            raise Refusal(HTTPStatus.UNAUTHORIZED, body)
        self._by_link[link] = {}

    def on_close(self, link: Link) -> None:
        for sub in self._by_link.pop(link, {}).values():
            self._subs[sub.channel].remove(sub)
        self._commands.forget(link)

    def on_text(self, link: Link, text: str) -> None:
        self.let_go()
        self._commands.text(link, text)

    # ---- the subscriptions

    def add(self, sub: Subscription) -> None:
        """A new subscription of a connection."""
        self._by_link[sub.link][sub.sid] = sub
        self._subs[sub.channel].append(sub)

    def remove(self, sub: Subscription) -> None:
        """It gets no more frames."""
        del self._by_link[sub.link][sub.sid]
        self._subs[sub.channel].remove(sub)

    def of(self, link: Link) -> dict[int, Subscription]:
        """Subscriptions of one connection by sid."""
        return self._by_link[link]

    def send(self, sub: Subscription, kind: str, body: bytes) -> None:
        """One frame to one subscription."""
        sub.link.queue(sub.head(kind, self._clock.run_ns()) + body + b"}\n")

    def end(self, sub: Subscription, code: int) -> None:
        """The venue ends a subscription with a terminal error (10 channel error, 25 overflow)."""
        assert code in TERMINAL
        sub.link.queue(orjson.dumps(terminal_frame(sub, code)) + b"\n")
        self.remove(sub)

    def end_channel(self, channel: str, code: int) -> int:
        """`end` for everyone on a channel; how many they were."""
        subs = list(self._subs[channel])
        for sub in subs:
            self.end(sub, code)
        return len(subs)

    def drop_slow(self) -> int:
        """End the subscriptions to numbered market data of who reads too slowly (code 25)."""
        dropped = 0
        for link, subs in self._by_link.items():
            if link.backlog_bytes() > BACKLOG_MAX_BYTES:
                for sub in [sub for sub in subs.values() if sub.channel in MARKET_CHANNELS]:
                    self.end(sub, OVERFLOW)
                    dropped += 1
        return dropped

    # ---- the book

    def book(self, market: KalshiMarket, *, step: int = 1) -> None:
        """The whole book goes to everyone subscribed. `step`: by how much a recorded number
        grew.
        """
        self.let_go()
        self._touched[market] = None
        bodies: dict[bool, bytes] = {}
        for sub in self._subs["orderbook_delta"]:
            if sub.wants(market.ticker):
                yes = sub.use_yes_price
                if yes not in bodies:
                    bodies[yes] = snapshot_body(market, yes)
                _step(sub, market, step)
                self.send(sub, "orderbook_snapshot", bodies[yes])

    def delta(
        self,
        market: KalshiMarket,
        side: int,
        price_e6: int,
        delta_e6: int,
        run_ns: int,
        *,
        step: int = 1,
        client_order_id: str = "",
    ) -> None:
        """One level changed by `delta_e6`."""
        self._touched[market] = None
        if self._held and not self._held.is_met_by(market, side, price_e6, delta_e6, run_ns):
            self.let_go()
        bodies: dict[bool, bytes] = {}
        for sub in self._subs["orderbook_delta"]:
            if sub.wants(market.ticker):
                yes = sub.use_yes_price
                if yes not in bodies:
                    bodies[yes] = delta_body(
                        market, side, price_e6, delta_e6, run_ns,
                        use_yes_price=yes, client_order_id=client_order_id,
                    )  # fmt: skip
                _step(sub, market, step)
                self.send(sub, "orderbook_delta", bodies[yes])
        self.let_go()

    def hold(self, market: KalshiMarket, change: Change, run_ns: int) -> bool:
        """Keep the frame of a level that went back until the frame that comes to its place was
        sent: one engine event, several frames of one `ts_ms`, and the book locked in between (24
        times in the 258,473 deltas of May 2026, resolved within 1-2 frames). Now and then only.
        """
        went = change.new_e6 == 0 and market.venue_seq is None
        best = market.book.best_e6(change.side)
        was_best = best is None or (change.price_e6 > best) == (change.side == BID)
        if not went or not was_best or self._held:
            return False
        self._gone += 1
        if self._gone % HELD_ONE_IN:
            return False
        self._held = Held(market, change, run_ns)
        return True

    def let_go(self) -> None:
        """Send what was held back."""
        held, self._held = self._held, None
        if held:
            change = held.change
            self.delta(
                held.market, change.side, change.price_e6, change.new_e6 - change.old_e6,
                held.run_ns,
            )  # fmt: skip

    # ---- other channels

    def publish(self, channel: str, kind: str, ticker: str, message: dict[str, Any]) -> None:
        """One message to everyone subscribed to `channel` for this market. Channels without a
        filter of markets go to everyone on them.
        """
        body = b""
        if channel == "market_lifecycle_v2" and ticker.startswith(COMBOS):
            channel = "multivariate_market_lifecycle"
        for sub in self._subs[channel]:
            if channel not in FILTERED or sub.wants(ticker):
                body = body or orjson.dumps(message)
                self.send(sub, kind, body)

    def offer(self, channel: str, names: tuple[str, ...]) -> None:
        """What the list action of a channel of named values tells."""
        assert channel in TOPICS
        self._commands.topics[channel] = names

    def topic(
        self, channel: str, name: str, message: dict[str, Any], *, is_stamped: bool = False
    ) -> None:
        """One named value (an index) to everyone who asked `channel` for it. `is_stamped`: with the
        time of sending behind it.
        """
        subs = [sub for sub in self._subs[channel] if sub.wants(name)]
        if not subs:
            return
        body = orjson.dumps(message)
        if is_stamped:
            body += b',"sending_ts_ms":%d' % (self._clock.run_ns() // MS_NS)
        for sub in subs:
            self.send(sub, channel, body)

    def flush_tickers(self) -> None:
        """A ticker for each market whose touch or last trade changed, where the script has none of
        its own.
        """
        self.let_go()
        if self._touched:
            touched, self._touched = self._touched, {}
            if self._subs["ticker"]:
                for market in touched:
                    if not market.has_tickers:
                        self._touch_ticker(market)

    def _touch_ticker(self, market: KalshiMarket) -> None:
        shown = (*market.quotes().values(), dollars4(market.last_e6))
        if self._tickers_sent.get(market.ticker) != shown:
            self._tickers_sent[market.ticker] = shown
            body = ticker_body(market, self._clock.run_ns())
            for sub in self._subs["ticker"]:
                if sub.wants(market.ticker):
                    self.send(sub, "ticker", body)

    def cut(self, server: WsServer) -> None:
        """Drop every connection that has market data."""
        for link in list(server.open_links()):
            subs = self._by_link.get(link, {}).values()
            if any(sub.channel in MARKET_CHANNELS for sub in subs):
                link.abort()


def _step(sub: Subscription, market: KalshiMarket, step: int) -> None:
    """Prepare `seq` so that the next head carries the recorded number (or keeps a recorded gap
    visible).
    """
    if market.venue_seq is not None:
        sub.seq = market.venue_seq - 1 if sub.seq == 0 else sub.seq + step - 1
