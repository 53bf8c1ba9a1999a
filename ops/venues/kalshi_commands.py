"""What Kalshi's WebSocket answers to commands: subscribe, unsubscribe, update_subscription,
list_subscriptions.

`ok`, `unsubscribed` and requested snapshots take numbers of their subscription; `subscribed` and
the list do not (AsyncAPI of autumn 2026; public live probe 2026-08-22). An unknown market is no
error (code 16 retired on 2026-09-10).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import orjson

from ops.venues.kalshi_frames import snapshot_body, ticker_body
from ops.venues.kalshi_market import KalshiMarket
from ops.venues.kalshi_subscription import (
    CHANNELS,
    FILTERED,
    MARKET_CHANNELS,
    TOPICS,
    CommandError,
    Subscription,
    Topics,
    error_frame,
    numbered,
)
from ops.venues.session import Bucket, RunClock
from ops.venues.wire import Link

# Unpublished at the venue (codes 26 and 27): numbers of ours.
SUBSCRIPTIONS_MAX = 200
SUBSCRIPTION_MARKETS_MAX = 5_000
UPDATES_PER_S = 50
UPDATES_BURST = 200
SHARD_FACTOR_MAX = 100


class Book(Protocol):
    """The subscriptions of all connections, as the hub keeps them."""

    def add(self, sub: Subscription) -> None: ...

    def remove(self, sub: Subscription) -> None: ...

    def of(self, link: Link) -> dict[int, Subscription]: ...

    def send(self, sub: Subscription, kind: str, body: bytes) -> None: ...


class KalshiCommands:
    """Carries out the commands of every connection. `topics`: names to be had by channel."""

    def __init__(
        self,
        *,
        book: Book,
        markets: dict[str, KalshiMarket],
        clock: RunClock,
        on_subscribed: Callable[[], None],
    ) -> None:
        self._book = book
        self._markets = markets
        self._clock = clock
        self._on_subscribed = on_subscribed
        self._next_sid: dict[Link, int] = {}
        self.topics: dict[str, tuple[str, ...]] = {}

    def forget(self, link: Link) -> None:
        """The connection is gone."""
        self._next_sid.pop(link, None)

    def text(self, link: Link, text: str) -> None:
        """One message of a client; whatever is wrong with it is answered."""
        number = 0
        try:
            command = orjson.loads(text)
            if not isinstance(command, dict):
                raise CommandError(1)
            found = command.get("id", 0)
            number = found if type(found) is int else 0
            self._command(link, number, command)
        except orjson.JSONDecodeError:
            self._say(link, error_frame(number, 1))
        except CommandError as error:
            self._say(link, error_frame(number, error.code))

    def _command(self, link: Link, number: int, command: dict[str, Any]) -> None:
        name = command.get("cmd")
        if name == "list_subscriptions":
            subs = self._book.of(link).values()
            rows = [{"channel": sub.channel, "sid": sub.sid} for sub in subs]
            self._say(link, {**numbered(number), "type": "ok", "msg": rows})
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

    def _say(self, link: Link, reply: dict[str, Any]) -> None:
        link.queue(orjson.dumps(reply) + b"\n")

    # ---- subscribe

    def _subscribe(self, link: Link, number: int, params: dict[str, Any]) -> None:
        channels = params.get("channels")
        if not isinstance(channels, list) or not channels:
            raise CommandError(3)
        if any(channel not in CHANNELS for channel in channels):
            raise CommandError(8)
        tickers = self._tickers(params, by_id=channels == ["ticker"])
        if "orderbook_delta" in channels and not tickers:
            raise CommandError(14)
        if len(self._book.of(link)) + len(channels) > SUBSCRIPTIONS_MAX:
            raise CommandError(26)
        if len(tickers) > SUBSCRIPTION_MARKETS_MAX:
            raise CommandError(26)
        if "communications" in channels:
            _check_shards(params)
        topics = {name: _names(params, TOPICS[name]) for name in channels if name in TOPICS}
        for channel in channels:
            sub = self._made(link, channel, params, tickers, topics.get(channel, []))
            reply = {"channel": channel, "sid": sub.sid}
            self._say(link, {"type": "subscribed", **numbered(number), "msg": reply})
            self._begin(sub, tickers, params)

    def _made(
        self,
        link: Link,
        channel: str,
        params: dict[str, Any],
        tickers: list[str],
        topics: list[str],
    ) -> Subscription:
        names = set(topics if channel in TOPICS else tickers if channel in FILTERED else ())
        sid = self._next_sid.get(link, 1)
        self._next_sid[link] = sid + 1
        now_ns = self._clock.mono_ns()
        sub = Subscription(
            sid=sid,
            channel=channel,
            link=link,
            names=names - {"all"} if channel in TOPICS else names,
            commands=Bucket(tokens_per_s=UPDATES_PER_S, burst=UPDATES_BURST, now_ns=now_ns),
            is_all="all" in names if channel in TOPICS else not names,
            use_yes_price=params.get("use_yes_price") is True,
            skips_list=params.get("skip_ticker_ack") is True,
        )
        self._book.add(sub)
        return sub

    def _begin(self, sub: Subscription, tickers: list[str], params: dict[str, Any]) -> None:
        if sub.channel == "orderbook_delta":
            self._snapshots(sub, tickers)
        elif sub.channel == "ticker" and params.get("send_initial_snapshot") is True:
            self._ticker_snapshots(sub, tickers or list(self._markets))
        if sub.channel in MARKET_CHANNELS:
            self._on_subscribed()

    def _snapshots(self, sub: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            market = self._markets.get(ticker)
            if market and market.is_known:
                if sub.seq == 0 and market.venue_seq is not None:
                    sub.seq = market.venue_seq - 1
                body = snapshot_body(market, sub.use_yes_price)
                self._book.send(sub, "orderbook_snapshot", body)

    def _ticker_snapshots(self, sub: Subscription, tickers: list[str]) -> None:
        for ticker in tickers:
            market = self._markets.get(ticker)
            if market:
                self._book.send(sub, "ticker", ticker_body(market, self._clock.run_ns()))

    # ---- unsubscribe, update

    def _unsubscribe(self, link: Link, number: int, params: dict[str, Any]) -> None:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(4)
        for sub in [self._find(link, sid) for sid in sids]:
            self._say(link, {**self._numbers(sub, number), "type": "unsubscribed"})
            self._book.remove(sub)

    def _update(self, link: Link, number: int, params: dict[str, Any]) -> None:
        if "sid" in params and "sids" in params:
            raise CommandError(12)
        given = [params["sid"]] if "sid" in params else params.get("sids", [])
        if not isinstance(given, list) or len(given) != 1:
            raise CommandError(12)
        sub = self._find(link, given[0])
        if not sub.commands.pay(1, self._clock.mono_ns()):
            raise CommandError(27)
        action = params.get("action")
        if action is None:
            raise CommandError(15)
        if sub.channel in TOPICS:
            self._update_topics(sub, number, action, params)
        else:
            self._update_markets(sub, number, action, params)

    def _update_markets(
        self, sub: Subscription, number: int, action: object, params: dict[str, Any]
    ) -> None:
        actions = ("add_markets", "delete_markets", "get_snapshot")
        if action not in actions or sub.channel not in FILTERED:
            raise CommandError(13)
        if action == "get_snapshot" and sub.channel != "orderbook_delta":
            raise CommandError(13)
        tickers = self._tickers(params, by_id=sub.channel == "ticker")
        if not tickers:
            raise CommandError(14)
        shown = tickers
        if action == "add_markets":
            shown = [ticker for ticker in tickers if not sub.wants(ticker)]
            if len(sub.names | set(shown)) > SUBSCRIPTION_MARKETS_MAX:
                raise CommandError(26)
            sub.names.update(() if sub.is_all else shown)
        elif action == "delete_markets":
            if sub.is_all:
                sub.is_all, sub.names = False, set(self._markets)
            sub.names -= set(tickers)
            shown = []
        body = {} if sub.skips_list else {"market_tickers": sorted(sub.names)}
        self._say(sub.link, {**self._numbers(sub, number), "type": "ok", "msg": body})
        if sub.channel == "orderbook_delta":
            self._snapshots(sub, shown)
        elif sub.channel == "ticker" and params.get("send_initial_snapshot") is True:
            self._ticker_snapshots(sub, shown)

    def _update_topics(
        self, sub: Subscription, number: int, action: object, params: dict[str, Any]
    ) -> None:
        topics = TOPICS[sub.channel]
        if action == topics.listing:
            body = {topics.parameter: list(self.topics.get(sub.channel, ()))}
            row = {"type": topics.list_type, **self._numbers(sub, number)}
            self._say(sub.link, {**row, "msg": body})
            return
        if action not in (topics.add, topics.remove):
            raise CommandError(13)
        names = _names(params, topics)
        if not names:
            raise CommandError(topics.missing)
        if action == topics.add:
            sub.is_all = sub.is_all or "all" in names
            sub.names |= set(names) - {"all"}
        else:
            sub.is_all = sub.is_all and "all" not in names
            sub.names -= set(names)
        body = {topics.parameter: ["all"] if sub.is_all else sorted(sub.names)}
        self._say(sub.link, {**self._numbers(sub, number), "type": "ok", "msg": body})

    def _numbers(self, sub: Subscription, number: int) -> dict[str, Any]:
        """id, sid and the next number of an answer about one subscription."""
        sub.seq += 1
        return {**numbered(number), "sid": sub.sid, "seq": sub.seq}

    def _find(self, link: Link, sid: object) -> Subscription:
        sub = self._book.of(link).get(sid) if type(sid) is int else None
        if sub is None:
            raise CommandError(7)
        return sub

    def _tickers(self, params: dict[str, Any], *, by_id: bool) -> list[str]:
        """The markets named, by ticker or (ticker channel only) by id; one form at a time."""
        forms = ("market_ticker", "market_tickers", "market_id", "market_ids")
        given = [form for form in forms if params.get(form) is not None]
        if not given:
            return []
        if len(given) > 1:
            raise CommandError(11)
        found = params[given[0]]
        names = found if given[0].endswith("s") else [found]
        if not isinstance(names, list) or not all(isinstance(text, str) for text in names):
            raise CommandError(11)
        if "market_id" not in given[0]:
            return names
        if not by_id:
            raise CommandError(14)
        tickers = {market.market_id: market.ticker for market in self._markets.values()}
        return [tickers.get(str(name), str(name)) for name in names]


def _names(params: dict[str, Any], topics: Topics) -> list[str]:
    found = params.get(topics.parameter, [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise CommandError(11)
    return found


def _check_shards(params: dict[str, Any]) -> None:
    """`shard_factor` and `shard_key` of the communications channel (codes 19 to 22)."""
    factor, key = params.get("shard_factor"), params.get("shard_key")
    if factor is None:
        if key is not None:
            raise CommandError(20)
        return
    if type(factor) is not int or factor <= 0:
        raise CommandError(19)
    if factor > SHARD_FACTOR_MAX:
        raise CommandError(22)
    if key is not None and (type(key) is not int or not 0 <= key < factor):
        raise CommandError(21)
