"""Chances and outcomes out of recorded Up/Down markets: what `bench.calibration` scores.

Every sample is what could be known at its moment: spot up to then, volatility from spot up to then,
the market's mid of then. Only the outcome is of later.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import isnan, log, nan, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np

from engine import sigma as slow
from engine.composite import ERROR
from engine.fair import CAP, digital, fair_yes, widening
from engine.fair_rules import Rule, kalshi_rule, polymarket_rule
from engine.volatility import HALF_LIFE_S, SAMPLE_S, YEAR_S, ewma_tick

DATA = Path(os.environ.get("ARB_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
_WARM_S = 120.0  # of spot before a volatility counts
_LATE_S = 2.0  # a trade older than that is no tick of its second
_MID_AGE_S = 5.0
_STEP_S = 5
_STEP_MAX_S = 900.0  # between two opens that tell how much spot moves
HISTORY_FROM = 6
# The recorder of the books had a clock that was 20 s slow: its spot of "T−20" is the next window's
# open within a cent in nine of ten windows (tests/bench/test_calibration.py), and at its "T−10"
# every book is sure of the winner.
_BOOKS_LATE_S = 20.0
_LATER_S = (0.0, 4.0, 8.0)
_POINT = polymarket_rule("5m", 0, 0)
_MEAN = kalshi_rule("KXBTC15M", "greater_or_equal", 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment of one window: three chances of YES, the touch, and whether it won. A side that
    nobody offers is NaN; of a mid without a book the touch is taken a cent off it."""

    market: str
    window: str
    seconds: float  # to the close
    ours: float
    plain: float  # N(d2) of the point in time, the same volatility, nothing else
    mid: float
    won: float
    bid: float = nan
    ask: float = nan


class Shipped:
    """Volatility per root second as the model has it (engine/sigma.py); NaN until there were
    enough ticks. Its history is what the opens of the windows before moved by, as a run begins with
    that of the month before; of fewer than HISTORY_FROM steps, the default."""

    def __init__(self) -> None:
        self._sigma, self._from_s = slow.Sigma(), nan
        self._open = nan, nan
        self._moved, self._steps, self._seconds = 0.0, 0, 0.0

    def opened(self, price: float, at_s: float) -> None:
        """The open of a window, before its ticks."""
        (before_s, before), self._open = self._open, (at_s, price)
        if at_s - before_s <= _STEP_MAX_S:
            self._moved += log(price / before) ** 2
            self._seconds, self._steps = self._seconds + at_s - before_s, self._steps + 1
        if self._steps >= HISTORY_FROM:
            self._sigma.history(sqrt(self._moved / self._seconds * YEAR_S))

    def tick(self, price: float, at_s: float) -> None:
        """A price, not before the last one."""
        self._from_s = at_s if isnan(self._from_s) else self._from_s
        self._sigma.take(price, int(at_s * slow.SECOND_NS))

    def at(self, now_s: float) -> float:
        """The newest, NaN while it rests on too little."""
        return self._sigma.per_root_second if now_s - self._from_s >= _WARM_S else nan


class Sigma:
    """An EWMA from ticks as they come; NaN until there are enough. For recordings that engine/
    sigma.py cannot be fed with: prices half a minute and more apart, or a quarter of an hour with
    nothing before it (there its history would decide: 0.138 beside 0.128 of the sessions, from the
    0.64 a year of another day)."""

    def __init__(self, sample_s: float = SAMPLE_S, half_life_s: float = HALF_LIFE_S) -> None:
        self._state = np.full(3, np.nan)
        self._rates = sample_s, half_life_s
        self._from_s = nan
        self._value = nan

    def tick(self, price: float, at_s: float) -> None:
        """A price, not before the last one."""
        self._from_s = at_s if isnan(self._from_s) else self._from_s
        self._value = float(ewma_tick(self._state, price, at_s, *self._rates))

    def at(self, now_s: float) -> float:
        """The newest, NaN while it rests on too little."""
        return self._value if now_s - self._from_s >= _WARM_S else nan


def chances(
    rule: Rule,
    spot: float,
    sigma: float,
    seconds: float,
    strike: float,
    known: tuple[float, int, float] = (0.0, 0, 0.0),
) -> tuple[float, float]:
    """(ours, plain). `known`: sum and count of the ticks that came, age of the oldest that did not;
    they are of an exchange, not of the index."""
    total, count, hole_age_s = known
    ours = fair_yes(
        rule.kind, rule.compare, rule.half_tick, rule.n, spot, sigma, seconds, strike, 0.0,
        total, count, hole_age_s, count, ERROR, widening(seconds), CAP,
    )  # fmt: skip
    return float(ours), float(digital(spot, strike, sigma * sqrt(seconds)))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        for line in file:
            yield json.loads(line)


def _mid(bid: float | None, ask: float | None) -> float:
    """A side that nobody offers stands at the end of the scale; neither: unknown."""
    if bid is None and ask is None:
        return nan
    return ((bid or 0.0) + (1.0 if ask is None else ask)) / 2


def _told(price: float | None) -> float:
    return nan if price is None else price


def _cent_off(mid: float) -> dict[str, float]:
    """A touch for a mid that has none; nothing beyond the ends of the scale."""
    return {"bid": mid - 0.01 if mid > 0.01 else nan, "ask": mid + 0.01 if mid < 0.99 else nan}


def polymarket_books(root: Path) -> Iterator[Sample]:
    """July 2026, five minutes: books read from T−100 to T−10 s, Binance spot, Chainlink outcome."""
    sigma = Shipped()
    for row in _lines(root / "polymarket_btc5m_books" / "ladder.jsonl.gz"):
        close_s = row["window_ts"] + 300
        sigma.opened(row["open_px"], row["window_ts"])
        for seen in sorted(row["samples"], key=lambda seen: float(seen["t"])):
            left_s, spot = -seen["t"] - _BOOKS_LATE_S, seen["spot"]
            sigma.tick(spot, close_s - left_s)
            sd, mid = sigma.at(close_s - left_s), _mid(seen["up"]["bid"], seen["up"]["ask"])
            if left_s < 1:
                continue
            ours, plain = chances(_POINT, spot, sd, left_s, row["open_px"])
            yield Sample(market="polymarket 5m", window=row["slug"], seconds=left_s, ours=ours,
                         plain=plain, mid=mid, won=float(row["winner"] == "UP"),
                         bid=_told(seen["up"]["bid"]), ask=_told(seen["up"]["ask"]))  # fmt: skip


def books_ahead(root: Path, seconds: float = 10.0) -> dict[str, float]:
    """How well the books read so long before the close (±2 s) go with the spot of so much later:
    the correlation of what their middle implies with spot's way from the open. Best at 0 if both
    were read at one time."""
    found: dict[float, tuple[list[float], list[float]]] = {late: ([], []) for late in _LATER_S}
    for row in _lines(root / "polymarket_btc5m_books" / "ladder.jsonl.gz"):
        path = sorted((float(seen["t"]), seen["spot"] / row["open_px"]) for seen in row["samples"])
        times, ways = (np.array(column) for column in zip(*path, strict=True))
        for seen in row["samples"]:
            mid, at_s = _mid(seen["up"]["bid"], seen["up"]["ask"]), float(seen["t"])
            if abs(-at_s - _BOOKS_LATE_S - seconds) <= 2.0 and 0.03 < mid < 0.97:
                for late, (implied, spots) in found.items():
                    implied.append(NormalDist().inv_cdf(mid))
                    spots.append(float(np.interp(at_s + late, times, ways)))
    return {f"{late:g}s_later": round(float(np.corrcoef(*both)[0, 1]), 3)
            for late, both in found.items() if len(both[0]) > 2}  # fmt: skip


def polymarket_minutes(root: Path) -> Iterator[Sample]:
    """December 2025, fifteen minutes: a price of Up each minute (a mid or a last trade), closed
    Binance candles. The outcome is the last price where it is decided, else the candles'."""
    folder = root / "polymarket_btc15m_1min_binance"
    with gzip.open(folder / "BTCUSDT_1m.json.gz", "rt") as file:
        candles = json.load(file)["data"]
    with gzip.open(folder / "markets.json.gz", "rt") as file:
        markets = json.load(file)["data"]
    prices = {row["metadata"]["tokenId"]: row["data"]
              for row in _lines(folder / "polymarket_token_prices.jsonl.gz")}  # fmt: skip
    opens = {row["timestamp"]: row["open"] for row in candles}
    sigma, known = Sigma(half_life_s=3 * HALF_LIFE_S), {}
    for row in candles:  # known from its end on
        sigma.tick(row["close"], row["timestamp"] / 1000 + 60)
        known[row["timestamp"] + 60_000] = row["close"], sigma.at(row["timestamp"] / 1000 + 60)
    for market in markets:
        points = prices.get(market["tokenIds"][0])
        start, end = market["startTime"], market["endTime"]
        if not points or start not in opens or end not in known:
            continue
        strike, last = opens[start], points[-1]["price"]
        won = float(last > 0.5 if not 0.1 <= last <= 0.9 else known[end][0] >= strike)
        for point in points[:-1]:
            stamp = point["timestamp"] // 60_000 * 60_000
            if stamp <= start or stamp not in known:
                continue
            spot, sd = known[stamp]
            ours, plain = chances(_POINT, spot, sd, (end - stamp) / 1000, strike)
            yield Sample(market="polymarket 15m", window=market["slug"],
                         seconds=(end - point["timestamp"]) / 1000, ours=ours, plain=plain,
                         mid=point["price"], won=won, **_cent_off(point["price"]))  # fmt: skip


def _epoch_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A recorded Kalshi session: spot trades, two windows with strike and close, tickers."""

    name: str
    stamps: list[float]
    prices: list[float]
    windows: list[tuple[str, float, float]]  # ticker, close, strike; in order
    results: dict[str, bool]
    mids: dict[str, list[tuple[float, float, float]]]  # stamp, bid (0: none), ask (NaN: none)

    def won(self, at: int) -> bool | None:
        """As recorded, else by the chain: the next strike is what this window settled at."""
        ticker, _, strike = self.windows[at]
        if ticker in self.results:
            return self.results[ticker]
        if at + 1 < len(self.windows):
            return self.windows[at + 1][2] >= strike
        return None

    def spot(self, at_s: float) -> tuple[float, float]:
        """Newest trade's price and stamp; NaN before the first."""
        place = bisect_right(self.stamps, at_s) - 1
        return (self.prices[place], self.stamps[place]) if place >= 0 else (nan, nan)

    def ticks(self, close_s: float, until_s: float) -> dict[int, float]:
        """Ticks of the averaging minute stamped up to then; a second without a fresh trade has
        none."""
        found = {}
        for second in range(int(close_s) - 60, int(min(until_s, close_s - 1)) + 1):
            price, stamp = self.spot(second)
            if second - stamp <= _LATE_S:
                found[second] = price
        return found


def sessions(root: Path) -> list[Session]:
    """The three sessions, May 2026."""
    return [_session(path) for path in sorted((root / "kalshi_btc15m_ws_coinbase").glob("2*"))]


def _session(folder: Path) -> Session:
    trades = [(_epoch_s(row["exchange_ts_utc"]), row["price"])
              for row in _lines(folder / "coinbase_matches.ndjson.gz")]  # fmt: skip
    trades.sort(key=lambda trade: trade[0])
    windows = {}
    for line in (folder / "control.ndjson").read_text().splitlines():
        row = json.loads(line)
        if row["event_type"] == "watch_market":
            told = row["payload_json"]
            windows[told["market_ticker"]] = _epoch_s(told["close_time"]), float(told["strike"])
    results = {}
    if (folder / "market_results.json").exists():
        for row in json.loads((folder / "market_results.json").read_text()):
            results[row["market"]] = row["result"] == "yes"
    mids: dict[str, list[tuple[float, float, float]]] = {ticker: [] for ticker in windows}
    for path in sorted(folder.glob("ticker_*.gz")):
        for row in _lines(path):
            told = row["payload_json"]
            bid, ask = float(told["yes_bid_dollars"]), float(told["yes_ask_dollars"])
            at_s = _epoch_s(row["exchange_ts"])
            mids[row["market_ticker"]].append((at_s, bid, ask or nan))
    return Session(
        name=folder.name, stamps=[at for at, _ in trades], prices=[price for _, price in trades],
        windows=sorted((ticker, *told) for ticker, told in windows.items()),
        results=results, mids={ticker: sorted(rows) for ticker, rows in mids.items()},
    )  # fmt: skip


def kalshi_sessions(root: Path) -> Iterator[Sample]:
    """May 2026, fifteen minutes: Kalshi's own tickers, Coinbase trades for the index."""
    for session in sessions(root):
        for at, (ticker, close_s, strike) in enumerate(session.windows):
            won = session.won(at)
            if won is not None:
                yield from _of_window(session, ticker, close_s, strike, float(won))


def _of_window(
    session: Session, ticker: str, close_s: float, strike: float, won: float
) -> Iterator[Sample]:
    sigma, fed = Sigma(), 0
    mids = session.mids[ticker]
    for left_s in range(15 * 60, 0, -_STEP_S):
        now_s = close_s - left_s
        while fed < len(session.stamps) and session.stamps[fed] <= now_s:
            sigma.tick(session.prices[fed], session.stamps[fed])
            fed += 1
        spot, stamp = session.spot(now_s)
        place = bisect_right(mids, now_s, key=lambda row: row[0]) - 1
        is_old = place < 0 or now_s - mids[place][0] > _MID_AGE_S or now_s - stamp > _MID_AGE_S
        sd = sigma.at(now_s)
        if is_old or isnan(sd):
            continue
        bid, ask = mids[place][1:]
        known = session.ticks(close_s, now_s)
        due = range(int(close_s) - 60, int(now_s) + 1)
        missed = [second for second in due if second not in known]
        age_s = now_s - missed[0] if missed else 0.0
        ours, plain = chances(_MEAN, spot, sd, float(left_s), strike,
                              (sum(known.values()), len(known), age_s))  # fmt: skip
        yield Sample(market="kalshi 15m", window=ticker, seconds=left_s, ours=ours, plain=plain,
                     mid=(bid + (1.0 if isnan(ask) else ask)) / 2, won=won, bid=bid or nan,
                     ask=ask)  # fmt: skip


def kalshi_quarters(root: Path) -> Iterator[Sample]:
    """2026-05-04, fifteen minutes: strike, spot and Kalshi's mid each 15 or 30 s, up to the last
    minute (of which too few ticks are there). The next window's strike is the outcome."""
    path = root / "kalshi_btc15m_mid_vs_spot_15s" / "tick_analysis_part1.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    strikes = {_epoch_s(row["window_ts"]): float(row["cutoff"]) for row in rows}
    sigma = Sigma()
    for row in rows:
        now_s, start_s, spot = _epoch_s(row["ts"]), _epoch_s(row["window_ts"]), float(row["snap"])
        left_s = start_s + 900 - now_s
        sigma.tick(spot, now_s)
        sd = sigma.at(now_s)
        if left_s < 60 or start_s + 900 not in strikes or isnan(sd):
            continue
        strike = strikes[start_s]
        ours, plain = chances(_MEAN, spot, sd, left_s, strike)
        yield Sample(market="kalshi 15m, one day", window=row["window_ts"], seconds=left_s,
                     ours=ours, plain=plain, mid=float(row["kalshi_mid"]),
                     won=float(strikes[start_s + 900] >= strike),
                     **_cent_off(float(row["kalshi_mid"])))  # fmt: skip


SETS = {
    "polymarket_btc5m_books": polymarket_books,
    "polymarket_btc15m_1min_binance": polymarket_minutes,
    "kalshi_btc15m_ws_coinbase": kalshi_sessions,
    "kalshi_btc15m_mid_vs_spot_15s": kalshi_quarters,
}
