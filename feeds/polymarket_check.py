"""Polymarket's books against the venue's own REST /book, a few at a time (polymarket.md 12).

The market channel has no sequence number. What changes carries the venue's touch and is compared at
once; a level that was lost in a quiet book shows only here. The five published levels of each side
are compared. Not counted is a look during which our book moved: REST may show either. One that
differs is looked at again; if it still does, the book is not the venue's: it is untrusted, and a
whole one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from feeds.publisher import Levels, Publisher
from feeds.rest import Rest
from feeds.update import SECOND_NS, UNREADABLE, FeedError, Numbers
from shm_layout import GAP, LEVELS, REST_MISMATCH, ST_ACTIVE

AT_LEAST = 4  # markets a turn
CHECK_AGAIN_NS = SECOND_NS  # the second look at a book that differed
TURNS = 10  # in which all markets are visited, so a turn asks for at most 25 of the 250 of a feed


class _Level(Struct):
    price: str
    size: str


class _Book(Struct):
    asset_id: str
    bids: list[_Level]
    asks: list[_Level]


_BOOK: Final = msgspec.json.Decoder(_Book)


class BookCheck:
    """Whose turn it is, and who is looked at again."""

    def __init__(
        self,
        publisher: Publisher,
        clob: Rest,
        clock: Callable[[], int],
        *,
        check_ns: int = 30 * SECOND_NS,
    ) -> None:
        self._check_ns = check_ns
        self._publisher = publisher
        self._clob = clob
        self._clock = clock
        self._numbers = Numbers(6)
        self._next = 0
        self.suspects: list[int] = []  # differed at the first look

    def wait_ns(self) -> int:
        """Until the next turn: soon after one that found something that differs."""
        return CHECK_AGAIN_NS if self.suspects else self._check_ns

    async def turn(self) -> list[str]:
        """Look at the suspects of the turn before, or at the next few markets. What could not be
        read, one line each."""
        is_second = bool(self.suspects)
        markets = self.suspects if is_second else self._in_turn()
        self.suspects, errors = [], []
        for local in markets:
            try:
                agrees = await self._agrees(local)
            except FeedError as error:
                errors.append(str(error))
                continue
            if agrees is None:
                continue
            if not agrees and not is_second:
                self.suspects.append(local)
                continue
            self._publisher.count("tickers_checked")
            if agrees:
                self._publisher.count("tickers_agreed")
            else:
                self._publisher.count("mismatch")
                raised = REST_MISMATCH | GAP
                seat, place = self._publisher.leader(local)
                seat.mark(place, raised=raised, now_ns=self._clock())
        return errors

    def _in_turn(self) -> list[int]:
        count = len(self._publisher.all_instruments)
        size = min(max(AT_LEAST, -(-count // TURNS)), count)
        found = [(self._next + place) % count for place in range(size)]
        self._next = (self._next + size) % count
        return found

    async def _agrees(self, local: int) -> bool | None:
        """None: nothing to compare, or our book moved meanwhile."""
        if not self._is_whole(local):
            return None
        before = self._publisher.shown(local)
        token = str(self._publisher.all_instruments[local].token_yes)
        body = await self._clob.get("/book", {"token_id": token})
        try:
            told = _BOOK.decode(body)
        except UNREADABLE as error:
            raise FeedError(f"GET /book of {token}: {error}") from error
        if told.asset_id != token:
            raise FeedError(f"GET /book: found asset {told.asset_id[:80]}, wanted {token}")
        levels = self._best(told.bids, is_bid=True), self._best(told.asks, is_bid=False)
        after = self._publisher.shown(local)
        if after != before or not self._is_whole(local):
            return None
        return after[1:] == levels

    def _is_whole(self, local: int) -> bool:
        seat, place = self._publisher.leader(local)
        return seat.status(place) == ST_ACTIVE and seat.trust(place) == 0

    def _best(self, levels: list[_Level], *, is_bid: bool) -> Levels:
        parse = self._numbers.parse
        pairs = [(parse(level.price), parse(level.size)) for level in levels]
        return tuple(sorted((pair for pair in pairs if pair[1]), reverse=is_bid)[:LEVELS])
