"""Coinbase Exchange: trades and touch of spot products, our reference (spot.md 2.1).

No I/O. `match` carries the maker's side: "sell" means the taker bought. Sequence numbers run over
channels we do not hear, so loss shows in `trade_id`, which grows by one per product; a lost trade
is counted, the price stays what the newest one says. Real frames contain oddities (a size of
"0.-10000", the year 1): a number that is none drops the frame, a time that is none is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec
import orjson
from msgspec import Meta, Struct

from feeds import spot_scan
from feeds.limits import NUMBER_MAX
from feeds.seat import Seat
from feeds.spot_handler import ScannedSpot
from feeds.update import UNREADABLE, FeedError, epoch_ns_of
from shm_layout import BUY, GAP, NONE_NS, SELL, run_epoch_ns

CHANNELS = ("matches", "ticker", "heartbeat")


TradeId = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


class Match(Struct, tag_field="type", tag="match"):
    product_id: str
    trade_id: TradeId
    price: str
    size: str
    side: Literal["buy", "sell"]
    time: str = ""


class LastMatch(Match, tag_field="type", tag="last_match"):
    """The newest trade at the moment of subscribing."""


class Ticker(Struct, tag_field="type", tag="ticker"):
    """Sizes only in newer frames."""

    product_id: str
    best_bid: str
    best_ask: str
    best_bid_size: str = "0"
    best_ask_size: str = "0"
    time: str = ""


class Heartbeat(Struct, tag_field="type", tag="heartbeat"):
    product_id: str
    last_trade_id: TradeId = 0


class Channel(Struct):
    name: str
    product_ids: list[str] = []


class Subscriptions(Struct, tag_field="type", tag="subscriptions"):
    """What this connection is told from now on."""

    channels: list[Channel] = []


class Error(Struct, tag_field="type", tag="error"):
    message: str = ""


Frame = Match | LastMatch | Ticker | Heartbeat | Subscriptions | Error
DECODER: Final = msgspec.json.Decoder(Frame)


class _Head(Struct):
    type: str = ""


_HEAD: Final = msgspec.json.Decoder(_Head)
_KNOWN: Final[dict[str, frozenset[str]]] = {
    "match": frozenset(
        {"type", "trade_id", "sequence", "maker_order_id", "taker_order_id", "time", "product_id",
         "size", "price", "side"}
    ),
    "ticker": frozenset(
        {"type", "trade_id", "sequence", "time", "product_id", "price", "side", "last_size",
         "best_bid", "best_bid_size", "best_ask", "best_ask_size", "open_24h", "volume_24h",
         "low_24h", "high_24h", "volume_30d"}
    ),
    "heartbeat": frozenset({"type", "last_trade_id", "product_id", "sequence", "time"}),
    "subscriptions": frozenset({"type", "channels"}),
    "error": frozenset({"type", "message", "reason"}),
}  # fmt: skip
_TYPES: Final = {**_KNOWN, "last_match": _KNOWN["match"]}
LOST_MAX = 3  # heartbeats, a second apart


def strange(frame: object) -> tuple[str, list[str]]:
    """The type of a decoded frame and its keys that nobody told us about."""
    if not isinstance(frame, dict):
        return "", []
    kind = str(frame.get("type", ""))
    known = _TYPES.get(kind)
    return kind, [] if known is None else sorted(frame.keys() - known)


class Coinbase(ScannedSpot):
    """The venue's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, publisher: Seat, products: Sequence[str]) -> None:
        super().__init__(publisher, products, "coinbase", strange, spot_scan.coinbase)
        self._beat_ids = [0] * len(self._products)  # newest trade by the heartbeat before
        self._lost = [0] * len(self._products)  # heartbeats in a row that named lost trades
        # losses up to here are counted
        self._counted_ids = self._of_products(spot_scan.COUNTED)
        self._second: tuple[str, int] = ("", 0)  # one ISO second parsed last

    def opened(self, now_ns: int) -> None:
        """Subscribe within 5 s or be closed."""
        super().opened(now_ns)
        self._lost = [0] * len(self._products)
        message = {"type": "subscribe", "product_ids": self._products, "channels": list(CHANNELS)}
        self.outbox.append(orjson.dumps(message))

    def _decoded(self, payload: bytes | memoryview, recv_ns: int) -> None:
        try:
            frame = DECODER.decode(payload)
            self._take(frame, recv_ns)
        except FeedError as error:
            self._publisher.count("bad_frames")
            self._doubt(frame, str(error), payload, recv_ns)
        except UNREADABLE as error:
            self._odd(payload, recv_ns, error)
        else:
            if self._sentinel.is_drifted:
                self._sentinel.well(str(type(frame).__struct_config__.tag))

    def _take(self, frame: Frame, recv_ns: int) -> None:
        if isinstance(frame, Match):
            self._match(frame, recv_ns)
        elif isinstance(frame, Ticker):
            self._ticker(frame, recv_ns)
        elif isinstance(frame, Heartbeat):
            self._heartbeat(frame, recv_ns)
        elif isinstance(frame, Subscriptions):
            held = {each.name: set(each.product_ids) for each in frame.channels}
            is_whole = all(held.get(name, set()) >= self._locals.keys() for name in CHANNELS)
            if not is_whole:  # what is shown of the others is history from now on
                self.must_reconnect = True
                self._publisher.mark(raised=GAP, now_ns=recv_ns)
            self.is_subscribed = is_whole
        else:
            self.must_reconnect = True
            self._publisher.count("bad_frames")

    def _doubt(self, frame: Frame, error: str, payload: bytes | memoryview, recv_ns: int) -> None:
        if self._sentinel.lasts(self._ticked + self._frames):
            kind = str(type(frame).__struct_config__.tag)
            self._sentinel.drift(kind, self._culprit(frame), error, payload, recv_ns)

    def _culprit(self, frame: Frame) -> str:
        """The field that is no number, or no number above 0."""
        for name in ("price", "size", "best_bid", "best_ask", "best_bid_size", "best_ask_size"):
            text = getattr(frame, name, "1")
            try:
                if self._numbers.parse(text) <= 0 and name in ("price", "size"):
                    return name
            except FeedError:
                return name
        return "time"

    def _match(self, frame: Match, recv_ns: int) -> None:
        local = self._locals.get(frame.product_id)
        if local is None:
            return
        if not isinstance(frame, LastMatch) and not spot_scan.is_new(
            self._scan, local, frame.trade_id
        ):
            self._publisher.count("duplicates")
            return
        price, size = self._number(frame.price), self._number(frame.size)
        known = self._counted_ids[local]
        self._accept(local, frame.trade_id, price, size, kind="match", known=known)
        side = BUY if frame.side == "sell" else SELL
        self._publisher.trade(
            local,
            price_e8=price[0],
            size_e8=size[0],
            side=side,
            trade_id=frame.trade_id,
            event_epoch_ns=self._stamp_ns(frame.time, recv_ns),
            recv_ns=recv_ns,
        )

    def _ticker(self, frame: Ticker, recv_ns: int) -> None:
        local = self._locals.get(frame.product_id)
        if local is None:
            return
        number = self._numbers.parse
        bid_e8, ask_e8 = number(frame.best_bid), number(frame.best_ask)
        bid_size_e8, ask_size_e8 = number(frame.best_bid_size), number(frame.best_ask_size)
        event_ns = self._stamp_ns(frame.time, recv_ns)
        self._touch(local, (bid_e8, bid_size_e8), (ask_e8, ask_size_e8), event_ns, recv_ns)

    def _heartbeat(self, frame: Heartbeat, recv_ns: int) -> None:
        """It names the newest trade: one that the heartbeat before named and we still lack is lost
        (channels are not in step, so the newest one may be on its way). If that lasts, the channel
        of trades is dead."""
        local = self._locals.get(frame.product_id)
        if local is None:
            return
        named, self._beat_ids[local] = self._beat_ids[local], frame.last_trade_id
        if 0 < max(self._trade_ids[local], self._counted_ids[local]) < named:
            self._publisher.count("gaps")
            self._counted_ids[local] = named
            self._lost[local] += 1
            if self._lost[local] >= LOST_MAX:
                self._publisher.mark(local, raised=GAP, now_ns=recv_ns)
                self.must_reconnect = True
        else:
            self._lost[local] = 0

    def _stamp_ns(self, text: str, recv_ns: int) -> int:
        """The venue's stamp in ns; ours in run time where it has none (the year 1 occurs)."""
        second, point, rest = text.partition(".")
        digits = rest.removesuffix("Z")
        if point and digits.isascii() and digits.isdigit() and len(digits) <= 9:
            if self._second[0] != second:
                self._second = (second, epoch_ns_of(second + "Z"))
            stamp_ns = self._second[1] + int(digits.ljust(9, "0"))
        else:
            stamp_ns = epoch_ns_of(text) if text else NONE_NS
        if stamp_ns >= spot_scan.LATEST_YEAR_NS:
            return stamp_ns
        return int(run_epoch_ns(self._words, recv_ns))

    def _odd(self, payload: bytes | memoryview, recv_ns: int, error: Exception) -> None:
        try:
            kind = _HEAD.decode(payload).type
        except UNREADABLE:
            kind = ""
        if kind and kind not in _TYPES:
            self._sentinel.unknown(kind, "type", payload)
            return
        self._publisher.count("bad_frames")
        if isinstance(error, msgspec.ValidationError):
            self._sentinel.refused(kind or "a frame", str(error), payload, recv_ns)
