"""Kalshi's market facts from its public REST (kalshi.md 4, 5, 11, 12).

`/markets` and `/events` for many tickers at once (an event names the series, and may override the
fee), then each series (fee type and multiplier): a thousand markets are some twenty requests. All
are cached 15 s by the venue: good for facts, never for quotes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw, Struct

from feeds.rest import Rest
from feeds.rows import rows_of
from feeds.update import (
    UNREADABLE,
    FeedError,
    Instrument,
    MarketFacts,
    exact,
    known_ns_of,
    raw_text,
)
from shm_layout import (
    E6,
    FEE_HALF,
    FEE_QUADRATIC,
    FEE_QUARTER,
    FEE_UNKNOWN,
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
TICKERS_MAX = 200  # in one request: the most events of a page, and what is read for one
ROWS_MAX = 1_000  # of a page of markets
ADDRESS_MAX = 6_000  # bytes of tickers in one request: 8 KiB of a request line are common
BURST, PAUSE_S = 12, 0.25  # requests of a round at once, then between two: 429 from 4 or 5 a second
FEE_ROUNDS = 20
TAKER_RATE_E6 = 70_000  # raw fee = M x 0.07 x C x P x (1 - P) for every fee type in _FEE_KINDS
_FEE_KINDS: Final = {  # the types differ in what a maker pays (kalshi.md 11); `flat` is not used
    "quadratic": FEE_QUADRATIC,
    "quadratic_with_maker_fees": FEE_QUARTER,
    "quadratic_with_combo_maker_fees": FEE_HALF,
}
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
    markets: list[Raw]


class _Event(Struct):
    event_ticker: str
    series_ticker: str
    fee_type_override: str | None = None
    fee_multiplier_override: Raw = Raw()


class _Events(Struct):
    events: list[Raw]


class _Series(Struct):
    fee_type: str = ""
    fee_multiplier: Raw = Raw()


class _SeriesAnswer(Struct):
    series: _Series


class Fees(NamedTuple):
    """Fee terms of an event: one of FEE_KINDS, and M."""

    kind: int
    multiplier_e6: int


_MARKET: Final = msgspec.json.Decoder(_Market)
_EVENT: Final = msgspec.json.Decoder(_Event)
_Answer = TypeVar("_Answer")


def _read(body: bytes, kind: type[_Answer], what: str) -> _Answer:
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise FeedError(f"{what}: {error}") from error


def _number(raw: Raw) -> str:
    """The text of a JSON number as it came; "" for null or absent."""
    text = raw_text(raw)  # msgspec takes a union of Raw and None for None alone
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


def market_facts(market: _Market, fees: Fees) -> MarketFacts:
    """One market's answer with its fee terms. Raises FeedError naming what is wrong."""
    strike = _number(market.floor_strike)
    value = market.settlement_value_dollars
    settled_e6 = exact(value, 6) if value else _RESULT_E6.get(market.result, NONE_NS)
    return MarketFacts(
        status=_STATUS.get(market.status, ST_UNKNOWN),
        grid=_grid(market.price_ranges),
        open_epoch_ns=known_ns_of(market.open_time),
        close_epoch_ns=known_ns_of(market.close_time),
        strike_e8=exact(strike, 8) if strike else NONE_NS,
        settlement_e6=settled_e6,
        fee_kind=fees.kind,
        fee_rate_e6=-(-TAKER_RATE_E6 * fees.multiplier_e6 // E6),
        fee_unit_e6=FEE_UNIT_E6,
        fee_mode=ROUND_UP,
    )


def batches(tickers: Sequence[str]) -> Iterator[Sequence[str]]:
    """As few requests as the limits of one allow."""
    first, size = 0, 0
    for place, ticker in enumerate(tickers):
        size += len(ticker) + 1
        if place > first and (size > ADDRESS_MAX or place - first == TICKERS_MAX):
            yield tickers[first:place]
            first, size = place, len(ticker) + 1
    if tickers:
        yield tickers[first:]


class KalshiFacts:
    """Reads the facts of this feed's instruments. Fees change seldom, and unsigned reads are held
    to a few a second (kalshi.md 10): events and series are asked for every FEE_ROUNDS rounds."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._fees: dict[str, Fees] = {}  # by event
        self._rounds = self._asked = 0

    def forget(self) -> None:
        """Facts are said to have changed: the next round reads fees as well."""
        self._rounds = 0

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, MarketFacts], list[str]]:
        """Facts by place in the feed's books, and what could not be read (one line each)."""
        errors: list[str] = []
        if self._rounds % FEE_ROUNDS == 0:
            self._fees.clear()
        self._rounds += 1
        self._asked = 0
        markets: dict[str, _Market] = {}
        unread: set[str] = set()
        for chunk in batches([each.ticker for each in instruments]):
            try:
                found, odd = await self._markets(chunk)
                markets |= found
                errors += odd
                unread.update(ticker for ticker in chunk if odd and ticker not in found)
            except FeedError as error:
                errors.append(str(error))
                unread.update(chunk)
        events = dict.fromkeys(market.event_ticker for market in markets.values())
        why = await self._read_fees([one for one in events if one not in self._fees])
        errors += dict.fromkeys(why.values())
        facts: dict[int, MarketFacts] = {}
        for each in instruments:
            market = markets.get(each.ticker)
            if each.ticker in unread or (market is not None and market.event_ticker in why):
                continue
            try:
                if market is None:
                    raise FeedError(f"{each.ticker}: not in the answer of /markets")
                facts[each.local] = market_facts(market, self._fees[market.event_ticker])
            except FeedError as error:
                errors.append(str(error))
        return facts, errors

    async def _get(self, path: str, query: dict[str, str] | None = None) -> bytes:
        if self._asked >= BURST:
            await asyncio.sleep(PAUSE_S)
        self._asked += 1
        return await self._rest.get(f"{BASE}{path}", query)

    async def _markets(self, chunk: Sequence[str]) -> tuple[dict[str, _Market], list[str]]:
        query, what = {"tickers": ",".join(chunk), "limit": str(ROWS_MAX)}, "GET /markets"
        raws = _read(await self._get("/markets", query), _Markets, what).markets
        rows, errors = rows_of(raws, _MARKET, what, ROWS_MAX)
        return {market.ticker: market for market in rows}, errors

    async def _read_fees(self, events: Sequence[str]) -> dict[str, str]:
        """Fee terms of these events. Why not, by event."""
        why: dict[str, str] = {}
        found: dict[str, _Event] = {}
        for chunk in batches(events):
            query = {"tickers": ",".join(chunk), "limit": str(TICKERS_MAX)}
            try:
                raws = _read(await self._get("/events", query), _Events, "GET /events").events
                rows, odd = rows_of(raws, _EVENT, "GET /events", TICKERS_MAX)
                found |= {row.event_ticker: row for row in rows}
                if odd:
                    missing = (event for event in chunk if event not in found)
                    why |= dict.fromkeys(missing, "; ".join(odd))
            except FeedError as error:
                why |= dict.fromkeys(chunk, str(error))
        series: dict[str, _Series] = {}
        for event in events:
            if event in why:
                continue
            try:
                if event not in found:
                    raise FeedError(f"{event}: not in the answer of /events")
                self._fees[event] = await self._terms(found[event], series)
            except FeedError as error:
                why[event] = str(error)
        return why

    async def _terms(self, event: _Event, series: dict[str, _Series]) -> Fees:
        """The event's own, each else its series'. `series`: what this round has read of them."""
        kind, multiplier = event.fee_type_override, _number(event.fee_multiplier_override)
        if not kind or not multiplier:
            name = event.series_ticker
            if name not in series:
                answer = _read(await self._get(f"/series/{name}"), _SeriesAnswer, f"series {name}")
                series[name] = answer.series
            kind = kind or series[name].fee_type
            multiplier = multiplier or _number(series[name].fee_multiplier)
        if not multiplier:
            raise FeedError(f"{event.event_ticker}: fee_multiplier: found none, wanted a number")
        value_e6 = exact(multiplier, 6)
        if not 0 <= value_e6 <= 10 * E6:
            found = f"found {multiplier}, wanted 0 to 10"
            raise FeedError(f"{event.event_ticker}: fee_multiplier: {found}")
        return Fees(_FEE_KINDS.get(kind, FEE_UNKNOWN), value_e6)
