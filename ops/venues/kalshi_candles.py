"""Kalshi's candlesticks: one a minute and market, kept as the session runs; hours and days are sums
of them.

Shape as seen live on 2026-09-26: a period without trades has no prices but `previous_dollars`; the
quotes of an empty side read 0 and 1.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from ops.venues.kalshi_market import KalshiMarket
from ops.venues.numerals import ONE_E6, SECOND_NS, count2, dollars4
from ops.venues.script import ASK, BID

MINUTES_MAX = 3_000  # of one market: two days
PERIODS_MIN = (1, 60, 1440)


@dataclass(slots=True)
class Span:
    """Open, high, low, close of one number."""

    open_e6: int
    high_e6: int
    low_e6: int
    close_e6: int

    @classmethod
    def at(cls, value_e6: int) -> Span:
        """It was this all the time."""
        return cls(value_e6, value_e6, value_e6, value_e6)

    def see(self, value_e6: int) -> None:
        """It is this now."""
        self.high_e6 = max(self.high_e6, value_e6)
        self.low_e6 = min(self.low_e6, value_e6)
        self.close_e6 = value_e6

    def join(self, later: Span) -> None:
        """It went on like this."""
        self.see(later.high_e6)
        self.see(later.low_e6)
        self.close_e6 = later.close_e6

    def json(self) -> dict[str, str]:
        return {
            "open_dollars": dollars4(self.open_e6),
            "high_dollars": dollars4(self.high_e6),
            "low_dollars": dollars4(self.low_e6),
            "close_dollars": dollars4(self.close_e6),
        }


@dataclass(slots=True)
class Candle:
    """One period of one market. `price` None: nobody traded. `previous_e6`: the last price before
    it, 0: none.
    """

    end_s: int
    bid: Span
    ask: Span
    price: Span | None = None
    previous_e6: int = 0
    volume_e6: int = 0
    value_e6: int = 0  # sum of price x size
    interest_e6: int = 0

    def json(self) -> dict[str, Any]:
        """As REST shows it."""
        price: dict[str, str] = {}
        if self.price:
            price = self.price.json()
            price["mean_dollars"] = dollars4(self.value_e6 * ONE_E6 // self.volume_e6)
        if self.previous_e6:
            price["previous_dollars"] = dollars4(self.previous_e6)
        return {
            "end_period_ts": self.end_s,
            "open_interest_fp": count2(self.interest_e6),
            "price": price,
            "volume_fp": count2(self.volume_e6),
            "yes_ask": self.ask.json(),
            "yes_bid": self.bid.json(),
        }

    def join(self, later: Candle) -> None:
        """Add the next part of a longer period."""
        self.bid.join(later.bid)
        self.ask.join(later.ask)
        if later.price:
            if self.price:
                self.price.join(later.price)
            else:
                self.price = _copy(later.price)
        self.volume_e6 += later.volume_e6
        self.value_e6 += later.value_e6
        self.interest_e6 = later.interest_e6


class Candles:
    """The minutes of every market; a minute in which nothing happened is not there."""

    def __init__(self) -> None:
        self._minutes: dict[str, deque[Candle]] = {}

    def _at(self, market: KalshiMarket, run_ns: int) -> Candle:
        end_s = (run_ns // SECOND_NS // 60 + 1) * 60
        minutes = self._minutes.setdefault(market.ticker, deque(maxlen=MINUTES_MAX))
        if not minutes or minutes[-1].end_s < end_s:
            bid, ask = _touch(market)
            fresh = Candle(end_s, Span.at(bid), Span.at(ask), interest_e6=market.open_interest_e6)
            if minutes:
                before = minutes[-1]
                last = before.price.close_e6 if before.price else before.previous_e6
                fresh.previous_e6 = last
            minutes.append(fresh)
        return minutes[-1]

    def printed(self, market: KalshiMarket, price_e6: int, size_e6: int, run_ns: int) -> None:
        """A trade; the market's totals count it already."""
        candle = self._at(market, run_ns)
        if candle.price is None:
            candle.price = Span.at(price_e6)
        candle.price.see(price_e6)
        candle.volume_e6 += size_e6
        candle.value_e6 += price_e6 * size_e6 // ONE_E6
        candle.interest_e6 = market.open_interest_e6

    def quoted(self, market: KalshiMarket, run_ns: int) -> None:
        """The touch may have moved."""
        candle = self._at(market, run_ns)
        bid, ask = _touch(market)
        candle.bid.see(bid)
        candle.ask.see(ask)

    def read(self, ticker: str, *, from_s: int, to_s: int, period_min: int) -> list[dict[str, Any]]:
        """Periods that end in [from_s, to_s], oldest first."""
        assert period_min in PERIODS_MIN
        length_s = period_min * 60
        found: list[Candle] = []
        for minute in self._minutes.get(ticker, ()):
            end_s = -(-minute.end_s // length_s) * length_s
            if found and found[-1].end_s == end_s:
                found[-1].join(minute)
            else:
                found.append(_fresh(minute, end_s))
        return [candle.json() for candle in found if from_s <= candle.end_s <= to_s]


def _touch(market: KalshiMarket) -> tuple[int, int]:
    bid, ask = market.book.best_e6(BID), market.book.best_e6(ASK)
    return bid or 0, ONE_E6 if ask is None else ask


def _copy(span: Span) -> Span:
    return Span(span.open_e6, span.high_e6, span.low_e6, span.close_e6)


def _fresh(minute: Candle, end_s: int) -> Candle:
    return Candle(
        end_s,
        _copy(minute.bid),
        _copy(minute.ask),
        _copy(minute.price) if minute.price else None,
        minute.previous_e6,
        minute.volume_e6,
        minute.value_e6,
        minute.interest_e6,
    )
