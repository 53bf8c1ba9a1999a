"""Coinbase's Advanced Trade feed: the other door to the same market (spot.md 2.2).

No I/O. Its trades come in batches of 250 ms, so the Exchange feed is preferred; this one numbers
every message of the connection (`sequence_num`, all channels together), so a lost message shows at
once: another connection is the only cure. One channel a subscription; `level2` arrives as
`l2_data`; without `heartbeats` a quiet connection is closed. `side` of a trade is the maker's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
import orjson
from msgspec import Meta, Raw, Struct

from feeds.seat import Seat
from feeds.spot_handler import SpotHandler, stamp_ns
from feeds.update import NUMBER_MAX, UNREADABLE, FeedError
from shm_layout import BUY, SELL

CHANNELS: Final = ("heartbeats", "market_trades", "ticker")
_KNOWN: Final = frozenset({"heartbeats", "subscriptions", "ticker_batch", "candles", "status"})


class Trade(Struct):
    """`trade_id` grows by one per product."""

    trade_id: str
    product_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    time: str = ""


class Ticker(Struct):
    """`ticker_batch` has no best prices."""

    product_id: str
    best_bid: str = "0"
    best_ask: str = "0"
    best_bid_quantity: str = "0"
    best_ask_quantity: str = "0"


class Event(Struct):
    """What a channel tells at once."""

    trades: list[Trade] = []
    tickers: list[Ticker] = []
    subscriptions: dict[str, Raw] = {}


class Frame(Struct):
    """One message. An error has a type and no channel."""

    channel: str = ""
    timestamp: str = ""
    sequence_num: Annotated[int, Meta(ge=0, le=NUMBER_MAX)] = 0
    events: list[Raw] = []
    type: str = ""


FRAME: Final = msgspec.json.Decoder(Frame)
EVENT: Final = msgspec.json.Decoder(Event)


class CoinbaseAdvanced(SpotHandler):
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, publisher: Seat, products: Sequence[str]) -> None:
        super().__init__(publisher, products, "coinbase_advanced")
        self._sequence = -1  # of the newest message of this connection

    def opened(self, now_ns: int) -> None:
        """One channel each; the first within 5 s or be closed."""
        super().opened(now_ns)
        self._sequence = -1
        for channel in CHANNELS:
            message = {"type": "subscribe", "product_ids": self._products, "channel": channel}
            self.outbox.append(orjson.dumps(message))

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises. Every trade is published, so `last` does not matter."""
        self._frames += 1
        try:
            frame = FRAME.decode(payload)
            if not frame.channel:
                self.must_reconnect |= frame.type == "error"
                self._publisher.count("bad_frames")
            elif self._is_next(frame.sequence_num):
                self._channel(frame, recv_ns)
        except (FeedError, *UNREADABLE):
            self._publisher.count("bad_frames")

    def _is_next(self, sequence: int) -> bool:
        """False: this message was here already. A number left out is a lost message."""
        before = self._sequence
        if sequence <= before:
            self._publisher.count("duplicates")
            return False
        self._sequence = sequence
        if before >= 0 and sequence != before + 1:
            self._publisher.count("gaps")
            self.must_reconnect = True
        return True

    def _channel(self, frame: Frame, recv_ns: int) -> None:
        if frame.channel == "market_trades":
            for raw in frame.events:
                # newest first on the wire: told in the order they happened
                for trade in sorted(EVENT.decode(raw).trades, key=_trade_id):
                    self._trade(trade, recv_ns)
        elif frame.channel == "ticker":
            event_ns = stamp_ns(frame.timestamp)
            for raw in frame.events:
                for ticker in EVENT.decode(raw).tickers:
                    self._ticker(ticker, event_ns, recv_ns)
        elif frame.channel == "subscriptions":
            held = {name for raw in frame.events for name in EVENT.decode(raw).subscriptions}
            self.is_subscribed = held.issuperset(CHANNELS)
        elif frame.channel not in _KNOWN and frame.channel != "l2_data":
            self._publisher.count("unknown_keys")

    def _trade(self, trade: Trade, recv_ns: int) -> None:
        local = self._locals.get(trade.product_id)
        if local is None:
            return
        number = _trade_id(trade)
        if number <= self._trade_ids[local]:
            return  # a snapshot repeats what we heard
        price, size = self._number(trade.price), self._number(trade.size)
        self._accept(local, number, price, size)
        self._publisher.trade(
            local,
            price_e8=price[0],
            size_e8=size[0],
            side=BUY if trade.side == "SELL" else SELL,
            trade_id=number,
            event_epoch_ns=stamp_ns(trade.time),
            recv_ns=recv_ns,
        )

    def _ticker(self, ticker: Ticker, event_ns: int, recv_ns: int) -> None:
        local = self._locals.get(ticker.product_id)
        if local is None:
            return
        number = self._numbers.parse
        bid, ask = number(ticker.best_bid), number(ticker.best_ask)
        bid_size, ask_size = number(ticker.best_bid_quantity), number(ticker.best_ask_quantity)
        self._touch(local, (bid, bid_size), (ask, ask_size), event_ns, recv_ns)


def _trade_id(trade: Trade) -> int:
    """Raises FeedError."""
    text = trade.trade_id
    if not (text.isascii() and text.isdigit() and len(text) < 17 and int(text) <= NUMBER_MAX):
        raise FeedError(f"trade_id: found {text[:40]!r}, wanted a whole number")
    return int(text)
