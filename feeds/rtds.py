"""Polymarket's reference prices over RTDS, the older public relay: for when PolyBolt cannot be had
(spot.md 5.2).

No I/O. Asked without filters (a filter has traps, silence among them) and sorted here. Exact values
are whole numbers in 1e-18 on the Chainlink topics; `crypto_prices` is Binance, in USDT, another
index: not taken. History comes without exact values, or under the wrong topic: not taken either.
It falls silent without a text PING, and stalls without a close: the watch is on the newest stamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import orjson
from msgspec import Meta, Struct

from feeds.index_handler import WINDOW_S, TwapHandler
from feeds.indices import RTDS_CHAINLINK, RTDS_TWAP, canonical, e18_e8, stamp_ns
from feeds.limits import NUMBER_MAX
from feeds.seat import Seat
from feeds.update import MS_NS, SECOND_NS, UNREADABLE, FeedError

CHAINLINK, TWAP = "crypto_prices_chainlink", "crypto_prices_twap_sixty"
OTHERS = frozenset({"crypto_prices", "crypto_prices_twap_thirty"})
PING_NS = 5 * SECOND_NS

Count = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


class _Payload(Struct):
    symbol: str
    timestamp: Count = 0
    full_accuracy_value: str = ""
    window_s: int = 0


class _Frame(Struct):
    """An update or history; or, with `statusCode`, the end of a batch."""

    topic: str = ""
    type: str = ""
    timestamp: Count = 0
    payload: _Payload | None = None
    status: int = msgspec.field(default=0, name="statusCode")


_FRAME: Final = msgspec.json.Decoder(_Frame)


class Rtds(TwapHandler):
    """The relay's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, seat: Seat, products: Sequence[str]) -> None:
        super().__init__(seat, products, "rtds")
        self.is_subscribed = False
        self._pinged_ns = 0

    def opened(self, now_ns: int) -> None:
        """Both topics, every symbol. Nothing is acknowledged: the first frame says that it works.

        One unknown topic would kill the whole batch: these two are known.
        """
        super().opened(now_ns)
        self.is_subscribed = False
        rows = [{"topic": topic, "type": "update"} for topic in (CHAINLINK, TWAP)]
        self.outbox.append(orjson.dumps({"action": "subscribe", "subscriptions": rows}))
        self._pinged_ns = now_ns

    def closed(self, now_ns: int) -> None:
        """The subscription ends with the link."""
        self.is_subscribed = False
        super().closed(now_ns)

    def tick(self, now_ns: int) -> None:
        """The PING that keeps it talking; clock, newest stamp, counters."""
        if now_ns - self._pinged_ns >= PING_NS:
            self._pinged_ns = now_ns
            self.outbox.append(b"PING")
        super().tick(now_ns)

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises. An empty one says nothing but that somebody is there."""
        self._frames += 1
        if not payload:
            self.is_subscribed = True
            return
        try:
            frame = _FRAME.decode(payload)
            if frame.status:
                self._seat.notices.alert(f"rtds: the subscription was refused ({frame.status})")
                self.must_reconnect = True
                raise FeedError(f"statusCode: found {frame.status}, wanted an update")
            self._take(frame, recv_ns)
        except (FeedError, *UNREADABLE):
            self._seat.count("bad_frames")

    def _take(self, frame: _Frame, recv_ns: int) -> None:
        told = frame.payload
        if told is None or frame.topic not in (CHAINLINK, TWAP, *OTHERS):
            raise FeedError(f"topic: found {frame.topic[:40]!r}, wanted {CHAINLINK} or {TWAP}")
        self.is_subscribed = True
        if frame.topic in OTHERS or frame.type != "update":
            return
        local = self._board.locals.get(canonical(told.symbol))
        value_e8, event_ns = e18_e8(told.full_accuracy_value), stamp_ns(told.timestamp)
        is_twap = frame.topic == TWAP
        if is_twap and told.window_s != WINDOW_S:
            raise FeedError(f"window_s: found {told.window_s}, wanted {WINDOW_S}")
        if local is None:
            return
        if not self._is_newer(local, event_ns, recv_ns, is_twap=is_twap):
            return
        source = RTDS_TWAP if is_twap else RTDS_CHAINLINK
        self._show(
            local, value_e8, event_ns, recv_ns,
            is_twap=is_twap, relay_ns=frame.timestamp * MS_NS, sequence=0, source=source,
        )  # fmt: skip
