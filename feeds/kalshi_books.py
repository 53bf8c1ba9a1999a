"""Kalshi's books of many markets in one answer, for the time without a stream (kalshi.md 5).

`GET /markets/orderbooks?tickers=A&tickers=B`: the parameter is repeated, at most 100 times; joined
by commas it is misread. YES bids and NO bids only: a NO bid at q is a YES ask at 1 - q.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from feeds.kalshi_facts import BASE
from feeds.poll import PolledBook
from feeds.rest import Rest
from feeds.update import FeedError, Instrument, Numbers
from shm_layout import ASK, BID, E6

Side = list[tuple[str, str]] | None


class _Book(Struct):
    yes_dollars: Side = None
    no_dollars: Side = None


class _Row(Struct):
    ticker: str
    orderbook_fp: _Book


class _Answer(Struct):
    orderbooks: list[_Row]


_DECODER = msgspec.json.Decoder(_Answer)


class KalshiBooks:
    """Reads whole books."""

    batch_max = 100

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._numbers = Numbers(6)

    async def read(self, instruments: Sequence[Instrument]) -> dict[int, PolledBook]:
        """By place. The answer carries no engine time. Raises FeedError."""
        locals_of = {one.ticker: one.local for one in instruments}
        path = f"{BASE}/markets/orderbooks"
        body = await self._rest.get(path, {"tickers": list(locals_of)})
        try:
            rows = _DECODER.decode(body).orderbooks
        except (msgspec.DecodeError, RecursionError) as error:
            raise FeedError(f"GET {path}: {error}") from error
        number, found = self._numbers.parse, {}
        for row in rows:
            if row.ticker not in locals_of:
                continue
            levels: list[int] = []
            for price, size in row.orderbook_fp.yes_dollars or ():
                levels += (BID, number(price), number(size))
            for price, size in row.orderbook_fp.no_dollars or ():
                levels += (ASK, E6 - number(price), number(size))
            found[locals_of[row.ticker]] = PolledBook(levels, 0)
        return found
