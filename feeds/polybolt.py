"""Polymarket's reference prices over PolyBolt (spot.md 5.1): Chainlink's spot and its 60 s TWAP,
which settles the 5- and 15-minute windows.

No I/O. Reading wants the account's API credentials. `seq` is consecutive per connection and
channel; `dropped` says what we were too slow for. Ping and pong prove nothing about data: the watch
is on the newest stamp.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec
import orjson
from msgspec import Meta, Struct

from feeds.index_handler import WINDOW_S, TwapHandler
from feeds.indices import POLYBOLT_CHAINLINK, POLYBOLT_PYTH, POLYBOLT_TWAP, decimal_e8, stamp_ns
from feeds.limits import NUMBER_MAX
from feeds.seat import Seat
from feeds.update import MS_NS, NEVER_NS, SECOND_NS, UNREADABLE, FeedError

SPOT, TWAP = "price.crypto", "price.crypto.twap"
BAD_AUTH, DRAINING, POLICY = 4001, 4003, 4008
DRAIN_NS = 10 * SECOND_NS
_SOURCES = {"chainlink": POLYBOLT_CHAINLINK, "pyth": POLYBOLT_PYTH}
_FATAL = frozenset({"auth_invalid", "auth_attempts"})  # asking again changes nothing

Count = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Of the account that reads. They do not print."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(repr=False)


def credentials_of(path: Path) -> Credentials:
    """From a file with `api_key`, `secret` and `passphrase`. Raises FeedError."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Credentials(**{name: str(found[name]) for name in Credentials.__slots__})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeedError(f"{path}: found {type(error).__name__}, wanted API credentials") from error


class _Point(Struct):
    timestamp: Count
    full_accuracy_value: str


class _Payload(Struct):
    symbol: str
    source: str
    window_seconds: int = 0
    timestamp: Count = 0
    full_accuracy_value: str = ""
    is_carried_forward: bool = False
    data: list[_Point] | None = None


class _Frame(Struct):
    """A frame of data, or the answer to an operation."""

    op: str = ""
    code: str = ""
    channel: str | None = ""
    v: int = 0
    seq: Count = 0
    ts: Count = 0
    snapshot: bool = False
    dropped: Count = 0
    payload: _Payload | None = None


_FRAME: Final = msgspec.json.Decoder(_Frame)


class Polybolt(TwapHandler):
    """The relay's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(
        self, seat: Seat, products: Sequence[str], credentials: Credentials, *, seed: int
    ) -> None:
        super().__init__(seat, products, "polybolt")
        self._credentials = credentials
        self._random = random.Random(seed)
        self._seqs: dict[str, int] = {}
        self._unanswered = -1  # subscriptions without an answer; -1: not asked
        self.is_refused = False  # for good

    @property
    def is_subscribed(self) -> bool:
        """Every subscription has been answered."""
        return self._unanswered == 0

    def opened(self, now_ns: int) -> None:
        """Credentials first; the subscriptions follow their answer."""
        super().opened(now_ns)
        self._seqs.clear()
        self._unanswered = -1
        told = self._credentials
        keys = {"apiKey": told.api_key, "secret": told.secret, "passphrase": told.passphrase}
        self.outbox.append(orjson.dumps({"op": "auth", "rid": "a1", "auth": keys}))

    def closed(self, now_ns: int) -> None:
        """The subscriptions end with the link."""
        self._unanswered = -1
        super().closed(now_ns)

    def ended(self, code: int) -> int:
        """How long to stay away after a close with this code: 0 leaves it to the session,
        NEVER_NS is for what no new connection mends."""
        if code in (BAD_AUTH, POLICY) or self.is_refused:
            told = f"polybolt: refused (close code {code}): not asked again"
            self._seat.notices.alert(told, is_grave=True)
            return NEVER_NS
        return self._random.randrange(1, DRAIN_NS) if code == DRAINING else 0

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises."""
        self._frames += 1
        try:
            frame = _FRAME.decode(payload)
            if frame.payload is not None:
                self._data(frame, frame.payload, recv_ns)
            else:
                self._answer(frame)
        except (FeedError, *UNREADABLE):
            self._seat.count("bad_frames")

    # ---- operations

    def _answer(self, frame: _Frame) -> None:
        if frame.op == "authed":
            self._subscribe()
        elif frame.op == "subscribed":
            self._unanswered = max(self._unanswered - 1, 0)
        elif frame.op == "error":
            self._error(frame)
        elif frame.op not in ("pong", "unsubscribed"):
            raise FeedError(f"op: found {frame.op[:40]!r}, wanted an answer or a payload")

    def _subscribe(self) -> None:
        """All in one frame: a batch counts as one of the twenty a second."""
        rows: list[dict[str, object]] = []
        for symbol in self._board.locals:
            rows.append({"channel": SPOT, "filter": {"symbol": symbol, "provider": "chainlink"}})
            twap = {"symbol": symbol, "window_seconds": WINDOW_S}
            rows.append({"channel": TWAP, "filter": twap})
        self._unanswered = len(rows)
        self.outbox.append(orjson.dumps({"op": "subscribe", "rid": "s1", "subscriptions": rows}))

    def _error(self, frame: _Frame) -> None:
        self._seat.count("bad_frames")
        self._seat.notices.alert(f"polybolt: {frame.channel or 'auth'}: {frame.code[:40]}")
        self.is_refused |= frame.code in _FATAL
        if frame.code in ("bad_filter", "sub_limit"):
            self._unanswered = max(self._unanswered - 1, 0)
        elif not self.is_refused:  # else the lane gives up, and asks `ended`
            self.must_reconnect = True

    # ---- data

    def _data(self, frame: _Frame, told: _Payload, recv_ns: int) -> None:
        channel = frame.channel or ""
        if frame.v != 1 or channel not in (SPOT, TWAP):
            raise FeedError(f"channel: found {channel[:40]!r} v{frame.v}, wanted {SPOT} v1")
        before = self._seqs.get(channel)
        if before is not None and frame.seq > before + 1 + frame.dropped:
            self._seat.count("gaps")
        self._seqs[channel] = frame.seq
        self._seat.count("dropped", frame.dropped)
        local = self._board.place(told.symbol)
        if told.source not in _SOURCES or (channel == TWAP) != (told.window_seconds == WINDOW_S):
            found = f"{told.source[:40]} over {told.window_seconds} s"
            raise FeedError(f"{channel}: found {found}, wanted a known source and window")
        if local is None:
            return
        if told.data is None:
            self._point(local, frame, told, recv_ns)
            return
        for point in told.data:  # history: real ticks, stamped long before they were sent
            row = msgspec.structs.replace(
                told, timestamp=point.timestamp, full_accuracy_value=point.full_accuracy_value
            )
            self._point(local, frame, row, recv_ns)

    def _point(self, local: int, frame: _Frame, told: _Payload, recv_ns: int) -> None:
        value_e8, event_ns = decimal_e8(told.full_accuracy_value), stamp_ns(told.timestamp)
        is_twap = frame.channel == TWAP
        if not self._is_newer(local, event_ns, recv_ns, is_twap=is_twap):
            return
        if told.is_carried_forward:  # no observation: that second is missing
            return
        relay_ns = 0 if told.data is not None else frame.ts * MS_NS
        source = POLYBOLT_TWAP if is_twap else _SOURCES[told.source]
        self._show(
            local, value_e8, event_ns, recv_ns,
            is_twap=is_twap, relay_ns=relay_ns, sequence=frame.seq, source=source,
        )  # fmt: skip
