"""Kalshi's books of many markets in one answer, for the time without a stream (kalshi.md 5).

`GET /markets/orderbooks?tickers=A&tickers=B`: the parameter is repeated, at most 100 times; joined
by commas it is misread. YES bids and NO bids only: a NO bid at q is a YES ask at 1 - q.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from feeds.kalshi_facts import BASE
from feeds.poll import PolledBook
from feeds.rest import Rest
from feeds.rows import rows_of
from feeds.update import UNREADABLE, FeedError, Instrument, Numbers
from shm_layout import ASK, BID, E6

Side = list[tuple[str, str]] | None


class _Book(Struct):
    yes_dollars: Side = None
    no_dollars: Side = None


class _Row(Struct):
    ticker: str
    orderbook_fp: _Book


class _Answer(Struct):
    orderbooks: list[Raw]


_DECODER = msgspec.json.Decoder(_Answer)
_ROW = msgspec.json.Decoder(_Row)


class KalshiBooks:
    """Reads whole books."""

    batch_max = 100

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._numbers = Numbers(6)

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, PolledBook], list[str]]:
        """By place, and what could not be read. The answer carries no engine time. Raises
        FeedError."""
        locals_of = {one.ticker: one.local for one in instruments}
        what, path = "GET /markets/orderbooks", f"{BASE}/markets/orderbooks"
        body = await self._rest.get(path, {"tickers": list(locals_of)})
        try:
            raws = _DECODER.decode(body).orderbooks
        except UNREADABLE as error:
            raise FeedError(f"{what}: {error}") from error
        rows, errors = rows_of(raws, _ROW, what, self.batch_max)
        found = {}
        for row in rows:
            if row.ticker not in locals_of:
                continue
            try:
                found[locals_of[row.ticker]] = PolledBook(self._levels(row.orderbook_fp), 0)
            except FeedError as error:
                errors.append(f"{what}: {row.ticker}: {error}")
        return found, errors

    def _levels(self, book: _Book) -> list[int]:
        number, levels = self._numbers.parse, list[int]()
        for price, size in book.yes_dollars or ():
            levels += (BID, number(price), number(size))
        for price, size in book.no_dollars or ():
            levels += (ASK, E6 - number(price), number(size))
        return levels
