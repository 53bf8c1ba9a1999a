"""Polymarket's market facts: /clob-markets of the CLOB, /markets of Gamma (polymarket.md 5 to 15).

The CLOB says whether orders are accepted, the tick, the fee terms and whether takers are held back;
Gamma says when the market ends and how it ended. How long takers are held is not told anywhere: it
changed four times in 2026, so it is a setting (150 ms since 2026-09-04).

Gamma answers for many markets at once. The CLOB does not, so what it said is kept until the row in
Gamma shows that something changed, and some of the markets are asked for anew in each round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from feeds.rest import Rest
from feeds.rows import rows_of
from feeds.update import (
    SECOND_NS,
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
    FEE_NONE,
    FEE_QUADRATIC,
    FEE_UNKNOWN,
    NONE_NS,
    ROUND_DOWN,
    ST_ACTIVE,
    ST_CLOSED,
    ST_INACTIVE,
    ST_SETTLED,
)

CONDITIONS_MAX = 70  # in one request to Gamma: 6 KB of address
ROWS_MAX = 100  # of its pages
AT_ONCE = 4  # requests to the CLOB that wait for their answers
ANEW_MIN, ROUNDS = 50, 20  # markets asked for anew in a round, and rounds in which all are
FEE_UNIT_E6 = 10  # truncated to 5 decimals
EXPONENT_MAX = 4  # 1 everywhere seen
NOTIONAL_MIN_E6 = 1_000_000  # a marketable BUY needs $1
CENT_E6 = 10_000  # FAK: a BUY's price x size in whole cents, sizes in hundredths of a share


class _Fee(Struct):
    """`fd`: rate, exponent."""

    r: Raw
    e: Raw


class _ClobMarket(Struct):
    mts: Raw
    ao: bool
    itode: bool = False
    fd: _Fee | None = None


class _GammaMarket(Struct, rename="camel"):
    condition_id: str
    closed: bool = False
    end_date: str | None = None
    event_start_time: str | None = None
    fees_enabled: bool | None = None
    fee_type: str | None = None
    accepting_orders: bool | None = None
    order_price_min_tick_size: Raw = Raw()
    seconds_delay: Annotated[int, Meta(ge=0, le=3600)] | None = None
    uma_resolution_status: str | None = None
    outcome_prices: str | None = None


_CLOB: Final = msgspec.json.Decoder(_ClobMarket)
_RAWS: Final = msgspec.json.Decoder(list[Raw])
_GAMMA: Final = msgspec.json.Decoder(_GammaMarket)
_PRICES: Final = msgspec.json.Decoder(list[str])


def _settlement_e6(gamma: _GammaMarket) -> int:
    """What YES paid, or NONE_NS while Gamma does not call the market resolved."""
    if not gamma.closed or gamma.uma_resolution_status != "resolved" or not gamma.outcome_prices:
        return NONE_NS
    try:
        prices = _PRICES.decode(gamma.outcome_prices)
    except UNREADABLE as error:
        raise FeedError(f"outcomePrices: found {gamma.outcome_prices[:40]!r}: {error}") from error
    if len(prices) != 2:
        raise FeedError(f"outcomePrices: found {len(prices)} of them, wanted 2")
    return exact(prices[0], 6)


def market_facts(clob: _ClobMarket, gamma: _GammaMarket, *, taker_delay_ns: int) -> MarketFacts:
    """One market's facts. Raises FeedError naming what is wrong."""
    settlement_e6 = _settlement_e6(gamma)
    if settlement_e6 != NONE_NS:
        status = ST_SETTLED
    elif gamma.closed:
        status = ST_CLOSED
    else:
        status = ST_ACTIVE if clob.ao else ST_INACTIVE
    kind, rate_e6, exponent = FEE_UNKNOWN, 0, 1
    if clob.fd is not None:
        kind, rate_e6 = FEE_QUADRATIC, exact(raw_text(clob.fd.r), 6)
        exponent = exact(raw_text(clob.fd.e), 0)
        if not (0 <= rate_e6 <= E6 and 0 <= exponent <= EXPONENT_MAX):
            raise FeedError(f"fd: found rate {raw_text(clob.fd.r)}, exponent {exponent}")
    elif gamma.fees_enabled is False:
        kind = FEE_NONE
    delay_ns = (taker_delay_ns if clob.itode else 0) + (gamma.seconds_delay or 0) * SECOND_NS
    return MarketFacts(
        status=status,
        grid=((E6, exact(raw_text(clob.mts), 6)),),
        close_epoch_ns=known_ns_of(gamma.end_date),
        is_end_close=False,  # `acceptingOrders` says whether orders are taken
        settlement_e6=settlement_e6,
        taker_delay_ns=delay_ns,
        size_min_e6=CENT_E6,
        size_step_e6=CENT_E6,
        notional_min_e6=NOTIONAL_MIN_E6,
        notional_step_e6=CENT_E6,
        fee_kind=kind,
        fee_rate_e6=rate_e6,
        fee_exponent=exponent,
        fee_unit_e6=FEE_UNIT_E6,
        fee_mode=ROUND_DOWN,
    )


def _condition(each: Instrument) -> str:
    return f"0x{each.condition:064x}"


class PolymarketFacts:
    """Reads the facts of this feed's instruments."""

    def __init__(self, clob: Rest, gamma: Rest, *, taker_delay_ns: int) -> None:
        self._clob = clob
        self._gamma = gamma
        self._taker_delay_ns = taker_delay_ns
        self._kept: dict[str, tuple[object, _ClobMarket]] = {}  # with what Gamma showed beside it
        self._turn = 0

    def forget(self) -> None:
        """Facts are said to have changed: nothing is kept."""
        self._kept.clear()

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, MarketFacts], list[str]]:
        """Facts by place in the feed's books, and what could not be read (one line each)."""
        facts: dict[int, MarketFacts] = {}
        errors: list[str] = []
        anew = max(ANEW_MIN, -(-len(instruments) // ROUNDS))
        for place in range(self._turn, self._turn + min(anew, len(instruments))):
            self._kept.pop(_condition(instruments[place % len(instruments)]), None)
        self._turn = (self._turn + anew) % max(len(instruments), 1)
        for first in range(0, len(instruments), CONDITIONS_MAX):
            chunk = instruments[first : first + CONDITIONS_MAX]
            try:
                known, odd = await self._of_gamma(chunk)
                errors += odd
            except FeedError as error:
                errors.append(str(error))
                continue
            for place in range(0, len(chunk), AT_ONCE):
                few = chunk[place : place + AT_ONCE]
                found = await asyncio.gather(*(self._facts(each, known) for each in few))
                for each, one in zip(few, found, strict=True):
                    if isinstance(one, MarketFacts):
                        facts[each.local] = one
                    else:
                        errors.append(one)
        return facts, errors

    async def _facts(self, each: Instrument, known: dict[str, _GammaMarket]) -> MarketFacts | str:
        """One market's facts, or why not."""
        gamma = known.get(_condition(each))
        if gamma is None:
            return f"{each.ticker}: not in the answer of Gamma's /markets"
        try:
            clob = await self._clob_market(_condition(each), gamma)
            return market_facts(clob, gamma, taker_delay_ns=self._taker_delay_ns)
        except FeedError as error:
            return str(error)

    async def _clob_market(self, condition: str, gamma: _GammaMarket) -> _ClobMarket:
        shown = (
            gamma.closed, gamma.accepting_orders, bytes(gamma.order_price_min_tick_size),
            gamma.fees_enabled, gamma.fee_type,
        )  # fmt: skip
        kept = self._kept.get(condition)
        if kept is None or kept[0] != shown:
            kept = self._kept[condition] = shown, await self._of_clob(condition)
        return kept[1]

    async def _of_gamma(
        self, chunk: Sequence[Instrument]
    ) -> tuple[dict[str, _GammaMarket], list[str]]:
        """Open rows, then closed ones: without `closed=true` those vanish. And what of them could
        not be read."""
        found: dict[str, _GammaMarket] = {}
        errors: list[str] = []
        wanted = [_condition(each) for each in chunk]
        for closed in ("false", "true"):
            missing = [condition for condition in wanted if condition not in found]
            if missing:
                query = {"condition_ids": missing, "closed": [closed], "limit": [str(ROWS_MAX)]}
                body = await self._gamma.get("/markets", query)
                try:
                    raws = _RAWS.decode(body)
                except UNREADABLE as error:
                    raise FeedError(f"GET /markets of Gamma: {error}") from error
                rows, odd = rows_of(raws, _GAMMA, "GET /markets of Gamma", ROWS_MAX)
                found |= {row.condition_id.lower(): row for row in rows}
                errors += odd
        return found, errors

    async def _of_clob(self, condition: str) -> _ClobMarket:
        body = await self._clob.get(f"/clob-markets/{condition}")
        try:
            return _CLOB.decode(body)
        except UNREADABLE as error:
            raise FeedError(f"GET /clob-markets/{condition}: {error}") from error
