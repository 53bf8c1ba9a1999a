"""Kalshi's WebSocket: signed handshake, commands, subscriptions with a `seq` each, and the frames
of every channel.

A frame is made once per event; only the head (type, sid, seq) differs per subscription. Text
frames end with a newline.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from websockets.http11 import Request

from ops.venues.kalshi_auth import KalshiGate
from ops.venues.kalshi_market import KalshiMarket, ascending
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, count2, dollars4, iso_us
from ops.venues.script import ASK, BID
from ops.venues.session import RunClock
from ops.venues.wire import Link, Refusal, WsServer

WS_PATH = "/trade-api/ws/v2"
SUBSCRIPTIONS_MAX = 200
MARKET_CHANNELS = frozenset({"orderbook_delta", "ticker", "trade"})
CHANNELS = MARKET_CHANNELS | {
    "market_lifecycle_v2",
    "fill",
    "user_orders",
    "market_positions",
}
# Channels whose messages carry `seq`; the private ones and ticker do not.
_NUMBERED = frozenset({"orderbook_delta", "trade", "market_lifecycle_v2"})
ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    26: "Subscription market limit exceeded",
}


class CommandError(Exception):
    """A command is answered with an error frame of this code."""

    def __init__(self, code: int) -> None:
        super().__init__(ERRORS[code])
        self.code = code


@dataclass(slots=True, eq=False)
class Subscription:
    """One channel on one connection. `tickers` None: all markets. `seq`: the last number sent."""

    sid: int
    channel: str
    link: Link
    tickers: set[str] | None
    use_yes_price: bool = False
    seq: int = 0

    def wants(self, ticker: str) -> bool:
        return self.tickers is None or ticker in self.tickers

    def head(self, kind: str, run_ns: int) -> bytes:
        """The start of a frame up to `"msg":`, with the next number where the channel counts.

        The others carry `sending_ts_ms`, which the venue puts on some frames (seen 2026-10-05).
        """
        if self.channel in _NUMBERED:
            self.seq += 1
            return b'{"type":"%b","sid":%d,"seq":%d,"msg":' % (kind.encode(), self.sid, self.seq)
        stamp = run_ns // MS_NS
        return b'{"type":"%b","sending_ts_ms":%d,"sid":%d,"msg":' % (kind.encode(), stamp, self.sid)


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
        self._markets = markets
        self._clock = clock
        self._on_subscribed = on_subscribed
        self._subs: dict[str, list[Subscription]] = {channel: [] for channel in CHANNELS}
        self._by_link: dict[Link, dict[int, Subscription]] = {}
        self._next_sid: dict[Link, int] = {}
        self._touched: set[KalshiMarket] = set()
        self._tickers_sent: dict[str, tuple[str, ...]] = {}

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        path = request.path.partition("?")[0]
        if path != WS_PATH:
            raise Refusal(HTTPStatus.NOT_FOUND, '{"code":"not_found"}')
        if self._gate.refusal("GET", path, request.headers):
            body = '{"code":"token_authentication_failure"}'
            raise Refusal(HTTPStatus.UNAUTHORIZED, body)
        self._by_link[link] = {}
        self._next_sid[link] = 1

    def on_close(self, link: Link) -> None:
        for sub in self._by_link.pop(link, {}).values():
            self._subs[sub.channel].remove(sub)
        self._next_sid.pop(link, None)

    def on_text(self, link: Link, text: str) -> None:
        number = 0
        try:
            command = orjson.loads(text)
            if not isinstance(command, dict):
                raise CommandError(1)
            found = command.get("id", 0)
            number = found if isinstance(found, int) else 0
            self._command(link, number, command)
        except orjson.JSONDecodeError:
            self._say(link, _error(number, 1))
        except CommandError as error:
            self._say(link, _error(number, error.code))

    # ---- commands

    def _command(self, link: Link, number: int, command: dict[str, Any]) -> None:
        name = command.get("cmd")
        if name == "list_subscriptions":
            subs = self._by_link[link].values()
            rows = [{"channel": sub.channel, "sid": sub.sid} for sub in subs]
            self._say(link, {"id": number, "type": "ok", "msg": rows})
            return
        handlers = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
        }
        handler = handlers.get(name) if isinstance(name, str) else None
        if handler is None:
            raise CommandError(5)
        params = command.get("params")
        if not isinstance(params, dict) or not params:
            raise CommandError(2)
        handler(link, number, params)

    def _subscribe(self, link: Link, number: int, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandError(3)
        if any(channel not in CHANNELS for channel in channels):
            raise CommandError(8)
        tickers = _tickers(params)
        if "orderbook_delta" in channels and not tickers:
            raise CommandError(14)
        if len(self._by_link[link]) + len(channels) > SUBSCRIPTIONS_MAX:
            raise CommandError(26)
        for channel in channels:
            sub = Subscription(
                sid=self._next_sid[link],
                channel=channel,
                link=link,
                tickers=set(tickers) if tickers else None,
                use_yes_price=params.get("use_yes_price") is True,
            )
            self._next_sid[link] += 1
            self._by_link[link][sub.sid] = sub
            self._subs[channel].append(sub)
            reply = {"channel": channel, "sid": sub.sid}
            self._say(link, {"type": "subscribed", "id": number, "msg": reply})
            if channel == "orderbook_delta":
                self._snapshots(sub, tickers)
            elif channel == "ticker" and params.get("send_initial_snapshot") is True:
                for ticker in tickers or list(self._markets):
                    market = self._markets.get(ticker)
                    if market:
                        self._send(sub, "ticker", self._ticker(market))
            if channel in MARKET_CHANNELS:
                self._on_subscribed()

    def _unsubscribe(self, link: Link, number: int, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(4)
        subs = [self._find(link, sid) for sid in sids]
        for sub in subs:
            sub.seq += 1
            row = {"id": number, "sid": sub.sid, "seq": sub.seq, "type": "unsubscribed"}
            del self._by_link[link][sub.sid]
            self._subs[sub.channel].remove(sub)
            self._say(link, row)

    def _update(self, link: Link, number: int, params: dict[str, Any]) -> None:
        given = [params["sid"]] if "sid" in params else params.get("sids", [])
        if not isinstance(given, list) or len(given) != 1:
            raise CommandError(12)
        sub = self._find(link, given[0])
        action = params.get("action")
        if action is None:
            raise CommandError(15)
        if action not in ("add_markets", "delete_markets", "get_snapshot"):
            raise CommandError(13)
        tickers = _tickers(params)
        if not tickers:
            raise CommandError(14)
        added = tickers
        if action == "add_markets":
            added = [ticker for ticker in tickers if sub.tickers and ticker not in sub.tickers]
            sub.tickers = (sub.tickers or set()) | set(tickers)
        elif action == "delete_markets":
            sub.tickers = (sub.tickers or set(self._markets)) - set(tickers)
            added = []
        sub.seq += 1
        row = {"id": number, "sid": sub.sid, "seq": sub.seq, "type": "ok"}
        listed = sorted(sub.tickers or ())
        self._say(link, {**row, "msg": {"market_tickers": listed}})
        if sub.channel == "orderbook_delta":
            self._snapshots(sub, added)

    def _find(self, link: Link, sid: object) -> Subscription:
        sub = self._by_link[link].get(sid) if isinstance(sid, int) else None
        if sub is None:
            raise CommandError(7)
        return sub

    def _say(self, link: Link, reply: dict[str, Any]) -> None:
        link.queue(orjson.dumps(reply) + b"\n")

    # ---- the book

    def _snapshots(self, sub: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            market = self._markets.get(ticker)
            if market and market.is_known:
                if sub.seq == 0 and market.venue_seq is not None:
                    sub.seq = market.venue_seq - 1
                self._send(sub, "orderbook_snapshot", _snapshot(market, sub.use_yes_price))

    def book(self, market: KalshiMarket, *, step: int = 1) -> None:
        """The whole book goes to everyone subscribed. `step`: by how much a recorded number
        grew.
        """
        self._touched.add(market)
        bodies: dict[bool, bytes] = {}
        for sub in self._subs["orderbook_delta"]:
            if sub.wants(market.ticker):
                yes = sub.use_yes_price
                if yes not in bodies:
                    bodies[yes] = _snapshot(market, yes)
                _step(sub, market, step)
                self._send(sub, "orderbook_snapshot", bodies[yes])

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
        self._touched.add(market)
        bodies: dict[bool, bytes] = {}
        for sub in self._subs["orderbook_delta"]:
            if sub.wants(market.ticker):
                yes = sub.use_yes_price
                if yes not in bodies:
                    shown_e6 = price_e6 if side == BID or yes else ONE_E6 - price_e6
                    own = ""
                    if client_order_id:
                        name = orjson.dumps(client_order_id).decode()
                        own = f',"client_order_id":{name},"subaccount":0'
                    bodies[yes] = (
                        f'{{"market_ticker":"{market.ticker}","market_id":"{market.market_id}",'
                        f'"price_dollars":"{dollars4(shown_e6)}",'
                        f'"delta_fp":"{count2(delta_e6)}",'
                        f'"side":"{"no" if side == ASK else "yes"}"{own},'
                        f'"ts":"{iso_us(run_ns)}","ts_ms":{run_ns // MS_NS}}}'
                    ).encode()
                _step(sub, market, step)
                self._send(sub, "orderbook_delta", bodies[yes])

    # ---- other channels

    def publish(self, channel: str, kind: str, ticker: str, message: dict[str, Any]) -> None:
        """One message to everyone subscribed to `channel` for this market (the life cycle has no
        filter).
        """
        body = b""
        for sub in self._subs[channel]:
            if sub.wants(ticker) or channel == "market_lifecycle_v2":
                body = body or orjson.dumps(message)
                self._send(sub, kind, body)

    def flush_tickers(self) -> None:
        """A ticker for each market whose touch or last trade changed, where the script has none of
        its own.
        """
        if self._touched:
            touched, self._touched = self._touched, set()
            if self._subs["ticker"]:
                for market in touched:
                    if not market.has_tickers:
                        self._touch_ticker(market)

    def _touch_ticker(self, market: KalshiMarket) -> None:
        shown = (*market.quotes().values(), dollars4(market.last_e6))
        if self._tickers_sent.get(market.ticker) != shown:
            self._tickers_sent[market.ticker] = shown
            body = self._ticker(market)
            for sub in self._subs["ticker"]:
                if sub.wants(market.ticker):
                    self._send(sub, "ticker", body)

    def _ticker(self, market: KalshiMarket) -> bytes:
        quotes = market.quotes()
        run_ns = self._clock.run_ns()
        return orjson.dumps(
            {
                "market_id": market.market_id,
                "market_ticker": market.ticker,
                "price_dollars": dollars4(market.last_e6),
                "yes_bid_dollars": quotes["yes_bid_dollars"],
                "yes_ask_dollars": quotes["yes_ask_dollars"],
                "volume_fp": count2(market.volume_e6),
                "open_interest_fp": "0.00",
                "dollar_volume": 0,
                "dollar_open_interest": 0,
                "yes_bid_size_fp": quotes["yes_bid_size_fp"],
                "yes_ask_size_fp": quotes["yes_ask_size_fp"],
                "last_trade_size_fp": count2(market.last_size_e6),
                "ts": run_ns // SECOND_NS,
                "ts_ms": run_ns // MS_NS,
                "time": iso_us(run_ns),
            }
        )

    def _send(self, sub: Subscription, kind: str, body: bytes) -> None:
        sub.link.queue(sub.head(kind, self._clock.run_ns()) + body + b"}\n")

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


def _snapshot(market: KalshiMarket, use_yes_price: bool) -> bytes:
    message: dict[str, Any] = {
        "market_ticker": market.ticker,
        "market_id": market.market_id,
    }
    yes, no = market.book.levels(BID), market.no_bids()
    if yes:
        message["yes_dollars_fp"] = ascending(yes)
    if no:
        asks = market.book.levels(ASK)[::-1] if use_yes_price else no
        message["no_dollars_fp"] = ascending(asks)
    return orjson.dumps(message)


def _tickers(params: dict[str, Any]) -> list[str]:
    one, many = params.get("market_ticker"), params.get("market_tickers")
    if one is not None and many is not None:
        raise CommandError(11)
    tickers = [one] if one is not None else many if many is not None else []
    if not isinstance(tickers, list) or not all(isinstance(text, str) for text in tickers):
        raise CommandError(11)
    return tickers


def _error(number: int, code: int) -> dict[str, Any]:
    return {"id": number, "type": "error", "msg": {"code": code, "msg": ERRORS[code]}}
