"""Polymarket's books of many tokens in one answer, for the time without a stream (polymarket.md 9).

`POST /books` with a list of `{"token_id": …}`, about 500 of them: a read, nothing is changed by it.
Only YES tokens are asked for; a market that is over is not in the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec
import orjson
from msgspec import Raw, Struct

from feeds.poll import PolledBook
from feeds.rest import Rest
from feeds.rows import rows_of
from feeds.update import MS_NS, STAMP_MAX_MS, UNREADABLE, FeedError, Instrument, Numbers
from shm_layout import ASK, BID


class Level(Struct):
    price: str
    size: str


class Book(Struct):
    """One row of the answer."""

    asset_id: str
    bids: list[Level]
    asks: list[Level]
    timestamp: str = ""


_RAWS = msgspec.json.Decoder(list[Raw])
_BOOK = msgspec.json.Decoder(Book)


async def books_of(clob: Rest, tokens: Collection[str]) -> tuple[dict[str, Book], list[str]]:
    """The venue's answer by token, and what of it could not be read. Raises FeedError."""
    asked = orjson.dumps([{"token_id": token} for token in tokens])
    body = await clob.ask("/books", asked)
    try:
        raws = _RAWS.decode(body)
    except UNREADABLE as error:
        raise FeedError(f"POST /books: {error}") from error
    books, errors = rows_of(raws, _BOOK, "POST /books", len(tokens))
    return {book.asset_id: book for book in books}, errors


class PolymarketBooks:
    """Reads whole books."""

    batch_max = 200

    def __init__(self, clob: Rest) -> None:
        self._clob = clob
        self._numbers = Numbers(6)

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, PolledBook], list[str]]:
        """By place, with the venue's stamp, and what could not be read. Raises FeedError."""
        locals_of = {str(one.token_yes): one.local for one in instruments}
        books, errors = await books_of(self._clob, locals_of)
        found = {}
        for token, each in books.items():
            if token not in locals_of:
                continue
            try:
                levels = self._levels(each)
            except FeedError as error:
                errors.append(f"POST /books: {token}: {error}")
            else:
                found[locals_of[token]] = PolledBook(levels, _stamp_ns(each.timestamp))
        return found, errors

    def _levels(self, book: Book) -> list[int]:
        number, levels = self._numbers.parse, list[int]()
        for side, rows in ((BID, book.bids), (ASK, book.asks)):
            for row in rows:
                levels += (side, number(row.price), number(row.size))
        return levels


def _stamp_ns(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= STAMP_MAX_MS:
        return int(text) * MS_NS
    return 0
