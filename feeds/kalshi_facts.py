"""Kalshi's market facts from its public REST (kalshi.md 4, 5, 11, 12).

`/markets` for all tickers at once, then each event (it names the series, and may override the fee)
and each series (fee type and multiplier). Both are cached 15 s by the venue: good for facts, never
for quotes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct

from feeds.rest import Rest
from feeds.update import UNREADABLE, FeedError, Instrument, MarketFacts, epoch_ns_of, exact
from shm_layout import (
    E6,
    FEE_QUADRATIC,
    NONE_NS,
    ROUND_UP,
    ST_ACTIVE,
    ST_CLOSED,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_INITIALIZED,
    ST_SETTLED,
    ST_UNKNOWN,
)

BASE: Final = "/trade-api/v2"
TICKERS_MAX = 50  # in one request: the limit is the length of the address
FEE_ROUNDS = 20
TAKER_RATE_E6 = 70_000  # raw fee = M x 0.07 x C x P x (1 - P) for every fee type known
FEE_UNIT_E6 = 100  # an order's fee is rounded up to $0.0001 for direct members
_STATUS: Final = {
    "initialized": ST_INITIALIZED,
    "inactive": ST_INACTIVE,
    "active": ST_ACTIVE,
    "closed": ST_CLOSED,
    "determined": ST_DETERMINED,
    "disputed": ST_DETERMINED,
    "amended": ST_DETERMINED,
    "finalized": ST_SETTLED,
}
_RESULT_E6: Final = {"yes": E6, "no": 0}


class _Range(Struct):
    start: str
    end: str
    step: str


class _Market(Struct):
    ticker: str
    event_ticker: str
    status: str
    open_time: str = ""
    close_time: str = ""
    price_ranges: list[_Range] = []
    floor_strike: Raw = Raw()
    result: str = ""
    settlement_value_dollars: str | None = None


class _Markets(Struct):
    markets: list[_Market]


class _Event(Struct):
    series_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: Raw = Raw()


class _EventAnswer(Struct):
    event: _Event


class _Series(Struct):
    fee_type: str = "quadratic"
    fee_multiplier: Raw = Raw()


class _SeriesAnswer(Struct):
    series: _Series


_Answer = TypeVar("_Answer")


def _read(body: bytes, kind: type[_Answer], what: str) -> _Answer:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise FeedError(f"{what}: {error}") from error


def _number(raw: Raw) -> str:
    """The text of a JSON number as it came; "" for null or absent."""
    text = bytes(raw).decode()  # msgspec takes a union of Raw and None for None alone
    return "" if text == "null" else text


def _grid(ranges: list[_Range]) -> tuple[tuple[int, int], ...]:
    """(end, step) ascending from 0. Raises FeedError if the ranges leave a hole."""
    grid, begin_e6 = [], 0
    for each in ranges:
        start_e6, end_e6, step_e6 = (exact(text, 6) for text in (each.start, each.end, each.step))
        if start_e6 != begin_e6:
            raise FeedError(f"price_ranges: found a start of {each.start}, wanted {begin_e6}e-6")
        grid.append((end_e6, step_e6))
        begin_e6 = end_e6
    return tuple(grid)


def market_facts(market: _Market, multiplier_e6: int) -> MarketFacts:
    """One market's answer with its fee multiplier. Raises FeedError naming what is wrong.

    Any fee type is charged as a taker's of type `quadratic`: all known ones are (kalshi.md 11).
    """
    strike = _number(market.floor_strike)
    value = market.settlement_value_dollars
    settled_e6 = exact(value, 6) if value else _RESULT_E6.get(market.result, NONE_NS)
    return MarketFacts(
        status=_STATUS.get(market.status, ST_UNKNOWN),
        grid=_grid(market.price_ranges),
        open_epoch_ns=epoch_ns_of(market.open_time) if market.open_time else NONE_NS,
        close_epoch_ns=epoch_ns_of(market.close_time) if market.close_time else NONE_NS,
        strike_e8=exact(strike, 8) if strike else NONE_NS,
        settlement_e6=settled_e6,
        fee_kind=FEE_QUADRATIC,
        fee_rate_e6=-(-TAKER_RATE_E6 * multiplier_e6 // E6),
        fee_unit_e6=FEE_UNIT_E6,
        fee_mode=ROUND_UP,
    )


class KalshiFacts:
    """Reads the facts of this feed's instruments. Fees change seldom, and unsigned reads are held
    to a few a second (kalshi.md 10): events and series are asked for every FEE_ROUNDS rounds."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._multipliers: dict[str, int] = {}
        self._rounds = 0

    def forget(self) -> None:
        """Facts are said to have changed: the next round reads fees as well."""
        self._rounds = 0

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, MarketFacts], list[str]]:
        """Facts by place in the feed's books, and what could not be read (one line each)."""
        facts: dict[int, MarketFacts] = {}
        errors: list[str] = []
        if self._rounds % FEE_ROUNDS == 0:
            self._multipliers.clear()
        self._rounds += 1
        multipliers = self._multipliers
        for first in range(0, len(instruments), TICKERS_MAX):
            chunk = instruments[first : first + TICKERS_MAX]
            try:
                markets = await self._markets(chunk)
            except FeedError as error:
                errors.append(str(error))
                continue
            for each in chunk:
                try:
                    market = markets.get(each.ticker)
                    if market is None:
                        raise FeedError(f"{each.ticker}: not in the answer of /markets")
                    event = market.event_ticker
                    if event not in multipliers:
                        multipliers[event] = await self._multiplier_e6(event)
                    facts[each.local] = market_facts(market, multipliers[event])
                except FeedError as error:
                    errors.append(str(error))
        return facts, errors

    async def _markets(self, chunk: Sequence[Instrument]) -> dict[str, _Market]:
        query = {"tickers": ",".join(each.ticker for each in chunk), "limit": "1000"}
        body = await self._rest.get(f"{BASE}/markets", query)
        found = _read(body, _Markets, "GET /markets").markets
        return {market.ticker: market for market in found}

    async def _multiplier_e6(self, event_ticker: str) -> int:
        body = await self._rest.get(f"{BASE}/events/{event_ticker}")
        event = _read(body, _EventAnswer, f"event {event_ticker}").event
        multiplier = _number(event.fee_multiplier_override)
        if not multiplier:
            body = await self._rest.get(f"{BASE}/series/{event.series_ticker}")
            series = _read(body, _SeriesAnswer, f"series {event.series_ticker}").series
            multiplier = _number(series.fee_multiplier)
        if not multiplier:
            raise FeedError(f"{event_ticker}: fee_multiplier: found none, wanted a number")
        value_e6 = exact(multiplier, 6)
        if not 0 <= value_e6 <= 10 * E6:
            raise FeedError(f"{event_ticker}: fee_multiplier: found {multiplier}, wanted 0 to 10")
        return value_e6
