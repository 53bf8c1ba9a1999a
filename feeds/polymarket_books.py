"""Polymarket's books of many tokens in one answer, for the time without a stream (polymarket.md 9).

`POST /books` with a list of `{"token_id": …}`, about 500 of them: a read, nothing is changed by it.
Only YES tokens are asked for; a market that is over is not in the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson
from msgspec import Struct

from feeds.poll import PolledBook
from feeds.rest import Rest
from feeds.update import MS_NS, STAMP_MAX_MS, FeedError, Instrument, Numbers
from shm_layout import ASK, BID


class _Level(Struct):
    price: str
    size: str


class _Book(Struct):
    asset_id: str
    bids: list[_Level]
    asks: list[_Level]
    timestamp: str = ""


_DECODER = msgspec.json.Decoder(list[_Book])


class PolymarketBooks:
    """Reads whole books."""

    batch_max = 200

    def __init__(self, clob: Rest) -> None:
        self._clob = clob
        self._numbers = Numbers(6)

    async def read(self, instruments: Sequence[Instrument]) -> dict[int, PolledBook]:
        """By place, with the venue's stamp. Raises FeedError."""
        locals_of = {str(one.token_yes): one.local for one in instruments}
        asked = orjson.dumps([{"token_id": token} for token in locals_of])
        body = await self._clob.ask("/books", asked)
        try:
            books = _DECODER.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise FeedError(f"POST /books: {error}") from error
        number, found = self._numbers.parse, {}
        for each in books:
            if each.asset_id not in locals_of:
                continue
            levels: list[int] = []
            for side, rows in ((BID, each.bids), (ASK, each.asks)):
                for row in rows:
                    levels += (side, number(row.price), number(row.size))
            found[locals_of[each.asset_id]] = PolledBook(levels, _stamp_ns(each.timestamp))
        return found


def _stamp_ns(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= STAMP_MAX_MS:
        return int(text) * MS_NS
    return 0
