"""Polymarket's two WebSocket channels on one port: /ws/market and /ws/user.

The market channel has no sequence number. The first snapshots come as one array; every change of a
level is shown on both tokens with the touch beside it. Keep-alive is the text PING, answered PONG.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from websockets.http11 import Request

from ops.venues.book import Change
from ops.venues.numerals import MS_NS, ONE_E6, plain
from ops.venues.polymarket_keys import Credential
from ops.venues.polymarket_market import NO, YES, PolymarketMarket
from ops.venues.script import BID
from ops.venues.session import Ids
from ops.venues.wire import Link, Refusal, WsServer

MARKET_PATH = "/ws/market"
USER_PATH = "/ws/user"
# Above this many assets on one connection the venue silently sends no first book (500 to 750, seen
# 2026-08-14): the surplus is subscribed and gets its changes.
SNAPSHOTS_MAX = 500
# A connection that asks for nothing is closed; the venue's patience is not documented.
IDLE_NS = 10_000_000_000


@dataclass(slots=True, eq=False)
class MarketListener:
    """One market connection: its tokens, and whether it asked for the custom events."""

    tokens: dict[str, None] = field(default_factory=dict)
    is_custom: bool = False


@dataclass(slots=True, eq=False)
class UserListener:
    """One user connection. `markets` None: the whole account; `address`: whose key it has shown,
    "" none yet.
    """

    markets: set[str] | None = None
    address: str = ""


class PolymarketHub:
    """All connections of both channels."""

    def __init__(
        self,
        *,
        markets: dict[str, PolymarketMarket],
        known: Callable[[object], Credential | None],
        later: Callable[[int, Callable[[], None]], None],
        on_subscribed: Callable[[], None],
    ) -> None:
        self._markets = markets  # by token
        self._known = known
        self._later = later
        self._on_subscribed = on_subscribed
        self._listeners: dict[Link, MarketListener] = {}
        self._users: dict[Link, UserListener] = {}
        self._touch_sent: dict[str, tuple[int, int]] = {}
        self._ids = Ids("polymarket/chain")

    # ---- the Hub protocol

    def on_open(self, link: Link, request: Request) -> None:
        path = request.path.partition("?")[0].rstrip("/")
        if path == MARKET_PATH:
            listener = self._listeners[link] = MarketListener()
            self._later(IDLE_NS, lambda: self._close_idle(link, bool(listener.tokens)))
        elif path == USER_PATH:
            user = self._users[link] = UserListener()
            self._later(IDLE_NS, lambda: self._close_idle(link, bool(user.address)))
        else:
            raise Refusal(HTTPStatus.NOT_FOUND, '{"error":"not found"}')

    def _close_idle(self, link: Link, has_asked: bool) -> None:
        if not has_asked and (link in self._listeners or link in self._users):
            link.close(1000, "no subscription")

    def on_close(self, link: Link) -> None:
        self._listeners.pop(link, None)
        self._users.pop(link, None)

    def on_text(self, link: Link, text: str) -> None:
        if text == "PING":
            link.queue(b"PONG")
            return
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            link.queue(b"INVALID OPERATION")
        elif link in self._users:
            self._user_command(link, self._users[link], message)
        else:
            self._market_command(link, self._listeners[link], message)

    # ---- commands

    def _market_command(
        self, link: Link, listener: MarketListener, message: dict[str, Any]
    ) -> None:
        given = message.get("assets_ids")
        tokens = [token for token in given if isinstance(token, str)] if given else []
        if message.get("operation") == "unsubscribe":
            for token in tokens:
                listener.tokens.pop(token, None)
            return
        listener.is_custom = listener.is_custom or message.get("custom_feature_enabled") is True
        new = [token for token in dict.fromkeys(tokens) if token not in listener.tokens]
        room = max(0, SNAPSHOTS_MAX - len(listener.tokens))
        listener.tokens.update(dict.fromkeys(new))
        if not new and message.get("operation") == "subscribe":
            link.queue(b"NO NEW ASSETS")  # as some of the venue's servers do
            return
        books = [
            market.frame(market.outcome_of(token), is_first=True)
            for token in new[:room]
            if (market := self._markets.get(token)) and market.is_known
        ]
        link.queue(orjson.dumps(books))
        self._on_subscribed()

    def _user_command(self, link: Link, listener: UserListener, message: dict[str, Any]) -> None:
        markets = message.get("markets")
        named = {name for name in markets if isinstance(name, str)} if markets else set()
        operation = message.get("operation")
        if operation is None:
            found = self._known(message.get("auth"))
            if found is None:
                link.close(1008, "invalid authentication")
                return
            listener.address = found.address
            listener.markets = named or None
        elif operation == "subscribe" and named:
            listener.markets = (listener.markets or set()) | named
        elif operation == "unsubscribe" and listener.markets is not None:
            listener.markets -= named

    # ---- market frames

    def _hearing(self, market: PolymarketMarket) -> list[Link]:
        yes, no = market.tokens
        return [
            link
            for link, listener in self._listeners.items()
            if yes in listener.tokens or no in listener.tokens
        ]

    def book(self, market: PolymarketMarket, *, is_first: bool) -> None:
        """Whole books of both tokens, to those that listen to them."""
        frames: dict[int, bytes] = {}
        for link, listener in self._listeners.items():
            for outcome in (YES, NO):
                if market.tokens[outcome] in listener.tokens:
                    if outcome not in frames:
                        frames[outcome] = orjson.dumps(market.frame(outcome, is_first=is_first))
                    link.queue(frames[outcome])
        self._touch(market)

    def changes(self, market: PolymarketMarket, changes: Sequence[Change], run_ns: int) -> None:
        """One price_change message with every changed level of one event, on both tokens."""
        if not changes:
            return
        market.touched(run_ns)
        links = self._hearing(market)
        if not links:
            return
        touches = [tuple(map(plain, market.touch(outcome))) for outcome in (YES, NO)]
        hashes = [market.frame_hash(outcome) for outcome in (YES, NO)]
        rows = []
        for change in changes:
            for outcome in (YES, NO):
                price_e6 = change.price_e6 if outcome == YES else ONE_E6 - change.price_e6
                is_bid = (change.side == BID) == (outcome == YES)
                bid, ask = touches[outcome]
                rows.append(
                    f'{{"asset_id":"{market.tokens[outcome]}","price":"{plain(price_e6)}",'
                    f'"size":"{plain(change.new_e6)}","side":"{"BUY" if is_bid else "SELL"}",'
                    f'"hash":"{hashes[outcome]}",'
                    f'"best_bid":"{bid}","best_ask":"{ask}"}}'
                )
        frame = (
            f'{{"market":"{market.condition_id}","price_changes":[{",".join(rows)}],'
            f'"timestamp":"{run_ns // MS_NS}","event_type":"price_change"}}'
        ).encode()
        for link in links:
            link.queue(frame)
        self._touch(market)

    def _touch(self, market: PolymarketMarket) -> None:
        """`best_bid_ask` for those who asked for the custom events."""
        for outcome in (YES, NO):
            token = market.tokens[outcome]
            bid, ask = market.touch(outcome)
            if self._touch_sent.get(token) == (bid, ask):
                continue
            self._touch_sent[token] = (bid, ask)
            frame = {
                "market": market.condition_id,
                "asset_id": token,
                "best_bid": plain(bid),
                "best_ask": plain(ask),
                "spread": plain(ask - bid),
                "timestamp": str(market.changed_ms),
                "event_type": "best_bid_ask",
            }
            self._custom(token, frame)

    def _custom(self, token: str, frame: dict[str, Any]) -> None:
        body = b""
        for link, listener in self._listeners.items():
            if listener.is_custom and token in listener.tokens:
                body = body or orjson.dumps(frame)
                link.queue(body)

    def last_trade(
        self,
        market: PolymarketMarket,
        outcome: int,
        price_e6: int,
        size_e6: int,
        side: str,
        run_ns: int,
    ) -> None:
        """One print, on the taker's token. `fee_rate_bps` is "0" whatever is charged, as at the
        venue.
        """
        market.last_e6 = price_e6 if outcome == YES else ONE_E6 - price_e6
        market.last_side = side if outcome == YES else {"BUY": "SELL", "SELL": "BUY"}[side]
        links = self._hearing(market)
        if not links:
            return
        digits = self._ids.new("transaction").replace("-", "")
        frame = {
            "market": market.condition_id,
            "asset_id": market.tokens[outcome],
            "price": plain(price_e6),
            "size": plain(size_e6),
            "fee_rate_bps": "0",
            "side": side,
            "timestamp": str(run_ns // MS_NS),
            "event_type": "last_trade_price",
            "transaction_hash": f"0x{digits}{digits}",
        }
        body = orjson.dumps(frame)
        for link in links:
            link.queue(body)

    def tick_size(self, market: PolymarketMarket, old: str, run_ns: int) -> None:
        """The tick of both tokens changed to what the market has now."""
        for token in market.tokens:
            frame = {
                "event_type": "tick_size_change",
                "asset_id": token,
                "market": market.condition_id,
                "old_tick_size": old,
                "new_tick_size": market.tick,
                "timestamp": str(run_ns // MS_NS),
            }
            body = orjson.dumps(frame)
            for link, listener in self._listeners.items():
                if token in listener.tokens:
                    link.queue(body)

    def resolved(self, market: PolymarketMarket, run_ns: int) -> None:
        """The market is settled; sent once a connection, with the custom events only."""
        winner = YES if market.settlement_e6 == ONE_E6 else NO
        frame = {
            "event_type": "market_resolved",
            "id": str(market.number),
            "market": market.condition_id,
            "assets_ids": list(market.tokens),
            "winning_asset_id": market.tokens[winner],
            "winning_outcome": market.outcomes[winner],
            "timestamp": str(run_ns // MS_NS),
            "tags": [],
        }
        body = orjson.dumps(frame)
        for link in self._hearing(market):
            if self._listeners[link].is_custom:
                link.queue(body)

    def new_market(self, market: PolymarketMarket, run_ns: int) -> None:
        """A market opens: told to every connection with the custom events, whatever it listens to
        (keys of December 2025 and of 2026).
        """
        body = orjson.dumps(new_market_frame(market, run_ns))
        for link, listener in self._listeners.items():
            if listener.is_custom:
                link.queue(body)

    # ---- user frames

    def user(self, address: str, condition_id: str, event: dict[str, Any]) -> None:
        """One private event of the trader with this EOA."""
        body = b""
        for link, listener in self._users.items():
            if listener.address == address and (
                listener.markets is None or condition_id in listener.markets
            ):
                body = body or orjson.dumps(event)
                link.queue(body)

    def cut(self, server: WsServer) -> None:
        """Drop the market connections; the user channel stays."""
        for link in list(server.open_links()):
            if link in self._listeners:
                link.abort()


def new_market_frame(market: PolymarketMarket, run_ns: int) -> dict[str, Any]:
    """`new_market`: numbers of the fee schedule are strings here."""
    spec = market.spec
    event = {"id": str(market.number), "ticker": spec.event, "slug": spec.event}
    return {
        "event_type": "new_market",
        "id": str(market.number),
        "question": spec.title,
        "market": market.condition_id,
        "slug": spec.ticker,
        "description": "",
        "assets_ids": list(market.tokens),
        "outcomes": list(market.outcomes),
        "event_message": {**event, "title": spec.title, "description": ""},
        "timestamp": str(run_ns // MS_NS),
        "tags": [],
        "condition_id": market.condition_id,
        "active": True,
        "clob_token_ids": list(market.tokens),
        "sports_market_type": "",
        "line": "",
        "game_start_time": "",
        "order_price_min_tick_size": market.tick,
        "group_item_title": "",
        "taker_base_fee": "1000",
        "fees_enabled": spec.fee_rate_e6 > 0,
        "fee_schedule": {
            "exponent": str(spec.fee_exponent),
            "rate": plain(spec.fee_rate_e6),
            "taker_only": True,
        },
    }
