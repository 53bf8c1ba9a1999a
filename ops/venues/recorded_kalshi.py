"""Recorded data of format `kalshi_btc15m_ws_coinbase`: one folder per recorder session.

NDJSON: `control.ndjson`, `orderbook_snapshot_*`, `orderbook_delta_*`, `ticker_*` (Kalshi frames
whose `payload_json` is the `msg` object), `coinbase_matches`, `market_results.json`. What is done:

- Time is the recorder's clock (`local_recv_ns`, cut to whole ms) for everything, Coinbase too: the
  frames keep exactly the recorded order, (`local_recv_ns`, `sequence_number`), a frame without a
  number (ticker) before those with one, and the one clock of all venues is never re-based. The
  exchange's own stamps would re-order frames; that clock runs 0.06 to 0.25 s ahead of this one.
- `venue_seq` is `sequence_number`. Each `ws_connected` after the first was a new connection,
  counted from 1: a `ConnectionCut` 1 ms after the last frame of the old one (when it died is not in
  the data).
- Markets open 15 minutes before the `close_time` of `watch_market` and close at it. A recorded
  result settles the market 10 s later (Kalshi took 6 to 17 s in May 2026).
- A snapshot with no levels after the close empties the book: an ordinary `BookSet`.
- A level below zero would be emptied (`level_below_zero`); none is in the three known sessions.
- Coinbase rows have no size and no side: the product's smallest size (1e-8 BTC) is used
  (`spot_size_assumed`), and the side by the tick rule: above the last different price the taker
  bought, below it the taker sold, and the first one bought.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.venues.recorded_kalshi_frames import (
    Delta,
    Frame,
    Snapshot,
    Ticker,
    exact_json,
    frames_of,
    records,
)
from ops.venues.recorded_lines import Numbers, RecordingError, epoch_ms, scaled, shown
from ops.venues.recorded_script import Recording
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    ConnectionCut,
    Event,
    LevelSet,
    MarketSpec,
    SpotTrade,
    StatusChange,
    TickerPrint,
)

TAPERED_DECI_CENT = ((0, 100_000, 1_000), (100_000, 900_000, 10_000), (900_000, 1_000_000, 1_000))
_MS_NS = 1_000_000
_LIFE_NS = 15 * 60 * 10**9
_SETTLED_AFTER_NS = 10 * 10**9
_SIZE_E8 = 1
_CRYPTO_SHARD = 2  # since 2026-08-24; the recordings are older and do not say

_Timed = tuple[int, Event]  # recorder's ns, event


class KalshiBtc15m:
    """The format: recognised by the control messages of its recorder."""

    name = "kalshi_btc15m_ws_coinbase"

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether `folder` holds control messages that name a watched market."""
        path = folder / "control.ndjson"
        return path.is_file() and b'"event_type":"watch_market"' in path.read_bytes()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: Counter[str] = Counter()

    def load(self) -> Recording:
        """The whole session. RecordingError names file and line of what cannot be read."""
        numbers = Numbers()
        path = self._folder / "control.ndjson"
        control = [record for _, record in records(path, exact_json)]
        frames, markets = self._session(control, path, numbers)
        spot = list(self._spot())
        begin_ns = min(at for at, _ in (*spot[:1], (frames[0].recv_ns, None)))
        begin_ns -= begin_ns % _MS_NS
        end_ns = max(at for at, _ in (*spot[-1:], (frames[-1].recv_ns, None)))
        timed: list[_Timed] = [
            *self._lives(markets, begin_ns),
            *_connection_cuts(control, frames),
            *self._events(frames),
            *spot,
        ]
        timed.sort(key=lambda pair: pair[0])  # stable: states and cuts before frames of one ns
        events = [event for at, event in timed if begin_ns <= at <= end_ns]
        counts = {**self._counts, "price_rounded": numbers.rounded}
        return Recording(self._folder, tuple(markets), (), ("BTC-USD",), events, counts)

    def _session(
        self, control: list[dict[str, Any]], path: Path, numbers: Numbers
    ) -> tuple[list[Frame], list[MarketSpec]]:
        try:
            watched = [e["payload_json"] for e in control if e["event_type"] == "watch_market"]
            markets = list({each["market_ticker"]: _spec(each) for each in watched}.values())
        except (KeyError, TypeError, ValueError) as error:
            wanted = f"market, close_time and strike of each watch_market ({error})"
            raise RecordingError(path, 0, "control messages without them", wanted) from error
        index = {spec.ticker: market for market, spec in enumerate(markets)}
        return frames_of(self._folder, index, numbers), markets

    def _lives(self, markets: list[MarketSpec], begin_ns: int) -> Iterator[_Timed]:
        """Opening, close and settlement of each market, as far as known."""
        results: dict[str, str] = {}
        path = self._folder / "market_results.json"
        if path.is_file():
            try:
                results = {each["market"]: each["result"] for each in exact_json(path.read_bytes())}
            except (KeyError, TypeError, ValueError) as error:
                raise RecordingError(path, 0, f"{error}", "market and result of each") from error
        for market, spec in enumerate(markets):
            opened, closed = max(spec.open_epoch_ns, begin_ns), spec.close_epoch_ns
            yield opened, StatusChange(opened, market, "active")
            yield closed, StatusChange(closed, market, "closed")
            result = results.get(spec.ticker)
            if result in ("yes", "no"):
                settled = closed + _SETTLED_AFTER_NS
                value_e6 = 1_000_000 if result == "yes" else 0
                yield settled, StatusChange(settled, market, "finalized", value_e6)

    def _events(self, frames: list[Frame]) -> Iterator[_Timed]:
        totals: dict[tuple[int, int, int], int] = {}
        for frame in frames:
            at_epoch_ns = frame.recv_ns - frame.recv_ns % _MS_NS
            match frame:
                case Delta(recv_ns, seq, market, side, price_e6, change_e6):
                    after = totals.get((market, side, price_e6), 0) + change_e6
                    if after < 0:
                        self._counts["level_below_zero"] += 1
                        after = 0
                    totals[market, side, price_e6] = after
                    yield recv_ns, LevelSet(at_epoch_ns, market, side, price_e6, after, seq)
                case Snapshot(recv_ns, seq, market, bids, asks):
                    totals = {key: size for key, size in totals.items() if key[0] != market}
                    totals.update({(market, BID, price): size for price, size in bids})
                    totals.update({(market, ASK, price): size for price, size in asks})
                    yield recv_ns, BookSet(at_epoch_ns, market, bids, asks, seq)
                case Ticker(recv_ns, _, market, fields):
                    yield recv_ns, TickerPrint(at_epoch_ns, market, fields)

    def _spot(self) -> Iterator[_Timed]:
        last_e8, side = 0, BID
        latest_ns = 0
        for path in sorted(self._folder.glob("coinbase_matches.ndjson*")):
            for number, record in records(path, exact_json):
                try:
                    recv_ns = int(record["local_recv_ns"])
                    price_e8 = scaled(record["price"], 10**8)
                    trade_id = int(record["trade_id"])
                except (KeyError, TypeError, ValueError) as error:
                    raise RecordingError(path, number, shown(f"{record}"), f"{error}") from error
                if last_e8 and price_e8 != last_e8:
                    side = BID if price_e8 > last_e8 else ASK
                last_e8 = price_e8
                self._counts["spot_size_assumed"] += 1
                self._counts["out_of_order"] += recv_ns < latest_ns
                latest_ns = max(latest_ns, recv_ns)
                at_epoch_ns = recv_ns - recv_ns % _MS_NS
                yield recv_ns, SpotTrade(at_epoch_ns, "BTC-USD", price_e8, _SIZE_E8, side, trade_id)


def _connection_cuts(control: list[dict[str, Any]], frames: list[Frame]) -> Iterator[_Timed]:
    connected = (e["local_recv_ns"] for e in control if e["event_type"] == "ws_connected")
    for at in sorted(connected)[1:]:
        before = bisect_left(frames, at, key=lambda frame: frame.recv_ns) - 1
        if before >= 0:
            cut_ns = frames[before].recv_ns // _MS_NS * _MS_NS + _MS_NS
            yield min(cut_ns, at), ConnectionCut(min(cut_ns, at // _MS_NS * _MS_NS), "kalshi")


def _spec(watched: dict[str, Any]) -> MarketSpec:
    ticker = watched["market_ticker"]
    closed = epoch_ms(watched["close_time"]) * _MS_NS
    return MarketSpec(
        venue="kalshi",
        ticker=ticker,
        title=f"BTC price up in the 15 minutes to {watched['close_time']}?",
        event=ticker.rsplit("-", 1)[0],
        price_ranges=TAPERED_DECI_CENT,
        exchange_index=_CRYPTO_SHARD,
        strike_e8=scaled(watched["strike"], 10**8),
        open_epoch_ns=closed - _LIFE_NS,
        close_epoch_ns=closed,
        status="initialized",
    )
