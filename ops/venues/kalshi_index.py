"""Kalshi's relay of CF Benchmarks: `cfbenchmarks_value` once a second with its means,
`cfbenchmarks_value_5hz` without (spot.md 6, kalshi.md 15, docs of autumn 2026).

`avg_60s_data` is over [t - 60 s, t): on the tick stamped `close` it is the settlement mean.
`last_60s_windowed_average_15min`, sent in the last minute of a quarter of an hour, takes in the
tick of its own stamp and so is one tick off it, whatever bounds it prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from ops.venues.indices import WINDOW_S, Lagged, Seconds, mean_e8
from ops.venues.numerals import MS_NS, SECOND_NS, spot8
from ops.venues.script import IndexTick

SLOW, QUICK = "cfbenchmarks_value", "cfbenchmarks_value_5hz"
QUICK_INDICES = frozenset({"BRTI", "ETHUSD_RTI", "SOLUSD_RTI", "XRPUSD_RTI", "DOGEUSD_RTI"})
_QUARTER_S = 900
# From stamp to arrival at Kalshi, as in the frames of 2026-10-05 and of the docs.
_SLOW_LAG_MS, _QUICK_LAG_MS = 231, 18
_DECIMALS = 2


class Board(Protocol):
    """Where the frames go: the hub of the simulated Kalshi."""

    def offer(self, channel: str, names: tuple[str, ...]) -> None: ...

    def topic(
        self, channel: str, name: str, message: dict[str, Any], *, is_stamped: bool = False
    ) -> None: ...


class KalshiIndices:
    """Ticks in, frames of both channels out. `names`: all indices of the script."""

    def __init__(self, board: Board, names: Sequence[str]) -> None:
        self._board = board
        self._seconds = {name: Seconds() for name in names if name.isupper()}
        self._slow, self._quick = Lagged(), Lagged()
        board.offer(SLOW, tuple(self._seconds))
        board.offer(QUICK, tuple(name for name in self._seconds if name in QUICK_INDICES))

    def tick(self, event: IndexTick) -> None:
        """One tick of the script; another venue's index only moves time."""
        self._slow.release(event.at_epoch_ns)
        self._quick.release(event.at_epoch_ns)
        seconds = self._seconds.get(event.index)
        if seconds is None:
            return
        name, stamp_ms = event.index, event.at_epoch_ns // MS_NS
        if name in QUICK_INDICES:
            quick = _quick(event, stamp_ms)
            due_ns = (stamp_ms + _QUICK_LAG_MS) * MS_NS
            self._quick.add(due_ns, lambda: self._board.topic(QUICK, name, quick))
        if event.at_epoch_ns % SECOND_NS == 0:
            seconds.add(event.at_epoch_ns, event.value_e8)
            slow = _slow(event, stamp_ms, seconds)
            due_ns = (stamp_ms + _SLOW_LAG_MS) * MS_NS
            self._slow.add(due_ns, lambda: self._board.topic(SLOW, name, slow, is_stamped=True))


def _data(event: IndexTick, stamp_ms: int) -> str:
    value = spot8(event.value_e8, _DECIMALS)
    row = {"type": "value", "time": stamp_ms, "id": event.index, "value": value}
    return orjson.dumps(row).decode()


def _quick(event: IndexTick, stamp_ms: int) -> dict[str, Any]:
    return {
        "index_id": event.index,
        "value_usd": spot8(event.value_e8, 8),
        "source_ts_ms": stamp_ms,
        "received_at": stamp_ms + _QUICK_LAG_MS,
        "data": _data(event, stamp_ms),
    }


def _slow(event: IndexTick, stamp_ms: int, seconds: Seconds) -> dict[str, Any]:
    at_s = stamp_ms // 1000
    message = {
        "index_id": event.index,
        "received_at": stamp_ms + _SLOW_LAG_MS,
        "data": _data(event, stamp_ms),
        "avg_60s_data": _mean(seconds.before(at_s), at_s - WINDOW_S, at_s),
    }
    close_s = -(-at_s // _QUARTER_S) * _QUARTER_S
    if at_s > close_s - WINDOW_S:
        values = seconds.between(close_s - WINDOW_S + 1, at_s + 1)
        mean = _mean(values, close_s - WINDOW_S, at_s)
        message["last_60s_windowed_average_15min"] = mean
    return message


def _mean(values: list[int], start_s: int, end_s: int) -> dict[str, Any]:
    """A window size of 0 means no average yet (seen on the wire)."""
    return {
        "value": spot8(mean_e8(values) if values else 0, 8),
        "window_size": len(values),
        "window_start_ts_ms": start_s * 1000,
        "window_end_ts_exclusive": end_s * 1000,
    }
