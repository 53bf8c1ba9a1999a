"""CF Benchmarks' indices as Kalshi relays them (spot.md 6, kalshi.md 15).

No I/O. `cfbenchmarks_value_5hz` is for the model; the ticks of `cfbenchmarks_value` are what Kalshi
settles on: the mean over [t - 60 s, t) on the tick stamped `close`. A mean is published with its
window and its count; one whose window does not end with its tick, or that differs from the sixty
ticks we have of it, is not: what is unknown stays unknown.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
import orjson
from msgspec import Meta, Struct

from feeds.index_handler import WINDOW_S, IndexHandler
from feeds.indices import CF_FIFTH, CF_SECOND, Mean, decimal_e8, stamp_ns
from feeds.limits import NUMBER_MAX
from feeds.seat import Seat
from feeds.update import MS_NS, SECOND_NS, UNREADABLE, FeedError

SLOW, QUICK = "cfbenchmarks_value", "cfbenchmarks_value_5hz"
QUICK_INDICES = frozenset({"BRTI", "ETHUSD_RTI", "SOLUSD_RTI", "XRPUSD_RTI", "DOGEUSD_RTI"})
_KEPT = 120  # ticks of an index, for the check of means
_SIDS_MAX = 16  # subscriptions whose numbers are followed; we have two
_IDS = {1: SLOW, 2: QUICK}

Count = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]


class _Average(Struct):
    value: str
    window_size: Count
    window_start_ts_ms: Count
    window_end_ts_exclusive: Count


class _Data(Struct):
    """What `data` holds as a text of its own."""

    id: str
    time: Count
    value: str


class _Slow(Struct):
    index_id: str
    data: str
    avg_60s_data: _Average
    received_at: Count = 0
    last_60s_windowed_average_15min: _Average | None = None


class _Quick(Struct):
    index_id: str
    value_usd: str
    source_ts_ms: Count
    received_at: Count = 0


class _Told(Struct):
    """The message of an answer: an error's, or the channel subscribed."""

    code: int = 0
    msg: str = ""
    channel: str = ""


class _Frame(Struct):
    type: str
    id: Count = 0
    sid: Count = 0
    seq: Count = 0
    sending_ts_ms: Count = 0
    msg: msgspec.Raw = msgspec.Raw(b"{}")


_FRAME: Final = msgspec.json.Decoder(_Frame)
_SLOW: Final = msgspec.json.Decoder(_Slow)
_QUICK: Final = msgspec.json.Decoder(_Quick)
_DATA: Final = msgspec.json.Decoder(_Data)
_TOLD: Final = msgspec.json.Decoder(_Told)
_QUIET = ("ok", "unsubscribed", f"{SLOW}_indexlist", f"{QUICK}_indexlist")


class CfBenchmarks(IndexHandler):
    """The relay's file: what comes in over one connection, and what goes back in `outbox`."""

    def __init__(self, seat: Seat, products: Sequence[str]) -> None:
        super().__init__(seat, products, "cfbenchmarks")
        self._waited: set[str] = set()
        self._is_asked = False
        self._seqs: dict[int, int] = {}
        self._ticks: list[OrderedDict[int, int]] = [OrderedDict() for _ in products]
        self._newest: list[int] = [0] * len(products)  # five a second, by stamp

    @property
    def is_subscribed(self) -> bool:
        """Both channels have answered."""
        return self._is_asked and not self._waited

    def opened(self, now_ns: int) -> None:
        """Ask for our indices on both channels, each with a subscription of its own."""
        super().opened(now_ns)
        self._seqs.clear()
        self._newest = [0] * len(self._newest)
        for ticks in self._ticks:
            ticks.clear()
        self._is_asked = True
        names = list(self._board.locals)
        quick = [name for name in names if name in QUICK_INDICES]
        for number, indices in ((1, names), (2, quick)):
            if indices:
                channel = _IDS[number]
                self._waited.add(channel)
                params = {"channels": [channel], "index_ids": indices}
                command = {"id": number, "cmd": "subscribe", "params": params}
                self.outbox.append(orjson.dumps(command))

    def closed(self, now_ns: int) -> None:
        """Both channels end with the link."""
        self._is_asked = False
        self._waited.clear()
        super().closed(now_ns)

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One text message. Never raises."""
        self._frames += 1
        try:
            frame = _FRAME.decode(payload)
            if frame.type == QUICK:
                self._number(frame)
                self._quick(_QUICK.decode(frame.msg), frame, recv_ns)
            elif frame.type == SLOW:
                self._number(frame)
                self._slow(_SLOW.decode(frame.msg), frame, recv_ns)
            else:
                self._answer(frame)
        except (FeedError, *UNREADABLE):
            self._seat.count("bad_frames")

    def _answer(self, frame: _Frame) -> None:
        if frame.type == "subscribed":
            told = _TOLD.decode(frame.msg)
            self._waited.discard(told.channel or _IDS.get(frame.id, ""))
        elif frame.type == "error":
            self._error(frame)
        elif frame.type in _QUIET:
            self._number(frame)
        else:
            self._seat.count("unknown_keys")

    def _error(self, frame: _Frame) -> None:
        """Without the five a second we live on the one; without that, only a new connection."""
        told = _TOLD.decode(frame.msg)
        channel = _IDS.get(frame.id, f"subscription {frame.sid}")
        self._seat.count("bad_frames")
        self._seat.notices.alert(f"cfbenchmarks: {channel}: error {told.code}: {told.msg[:80]}")
        if channel == QUICK:
            self._waited.discard(channel)
        else:
            self.must_reconnect = True

    def _number(self, frame: _Frame) -> None:
        """`seq` per subscription, over all its indices; the document's first may be any."""
        before = self._seqs.get(frame.sid)
        if before is not None and frame.seq > before + 1:
            self._seat.count("gaps")
        if before is not None or len(self._seqs) < _SIDS_MAX:
            self._seqs[frame.sid] = frame.seq

    # ---- ticks

    def _quick(self, msg: _Quick, frame: _Frame, recv_ns: int) -> None:
        local = self._board.place(msg.index_id)
        value_e8, event_ns = decimal_e8(msg.value_usd), stamp_ns(msg.source_ts_ms)
        if local is None:
            return
        self._board.check(event_ns, recv_ns)
        if event_ns <= self._newest[local]:
            self._seat.count("duplicates")
            return
        self._newest[local] = event_ns
        relay_ns = (frame.sending_ts_ms or msg.received_at) * MS_NS
        self._watch.heard(local, CF_FIFTH, event_ns, recv_ns)
        self._board.value(
            local, value_e8, event_ns, recv_ns,
            relay_ns=relay_ns, sequence=frame.seq, source=CF_FIFTH,
        )  # fmt: skip

    def _slow(self, msg: _Slow, frame: _Frame, recv_ns: int) -> None:
        data = _DATA.decode(msg.data)
        local = self._board.place(msg.index_id)
        if data.id != msg.index_id:
            raise FeedError(f"data.id: found {data.id[:40]!r}, wanted {msg.index_id[:40]!r}")
        value_e8, event_ns = decimal_e8(data.value), stamp_ns(data.time)
        if local is None:
            return
        self._board.check(event_ns, recv_ns)
        ticks = self._ticks[local]
        if ticks and event_ns <= next(reversed(ticks)):
            self._seat.count("duplicates")
            return
        mean = self._mean(local, msg, event_ns)
        ticks[event_ns] = value_e8
        if len(ticks) > _KEPT:
            ticks.popitem(last=False)
        relay_ns = (frame.sending_ts_ms or msg.received_at) * MS_NS
        self._watch.heard(local, CF_SECOND, event_ns, recv_ns)
        self._board.set_mean(local, mean)
        self._board.value(
            local, value_e8, event_ns, recv_ns,
            relay_ns=relay_ns, sequence=frame.seq, source=CF_SECOND,
        )  # fmt: skip

    def _mean(self, local: int, msg: _Slow, event_ns: int) -> Mean:
        """What the venue says of the minute before this tick, if it can be so."""
        told, mean = msg.avg_60s_data, Mean()
        close = msg.last_60s_windowed_average_15min
        if close is not None and close.window_size:
            mean.close_e8 = decimal_e8(close.value)
        if told.window_size == 0:  # no average yet
            return mean
        value_e8 = decimal_e8(told.value)
        start_ns, end_ns = stamp_ns(told.window_start_ts_ms), stamp_ns(told.window_end_ts_exclusive)
        is_ours = end_ns == event_ns and end_ns - start_ns == WINDOW_S * SECOND_NS
        known = [value for at, value in self._ticks[local].items() if start_ns <= at < end_ns]
        if is_ours and len(known) == told.window_size == WINDOW_S:
            is_ours = abs(WINDOW_S * value_e8 - sum(known)) <= WINDOW_S
        if not is_ours or told.window_size > WINDOW_S:
            self._seat.count("mismatch")
            return Mean(close_e8=mean.close_e8)
        mean.value_e8, mean.count = value_e8, told.window_size
        mean.start_ns, mean.end_ns = start_ns, end_ns
        return mean
