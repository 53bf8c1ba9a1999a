"""Polymarket's books against the venue's own REST, many in one request (polymarket.md 12).

The market channel has no sequence number. What changes carries the venue's touch and is compared at
once; a level that was lost in a quiet book shows only here. The five published levels of each side
are compared. Not counted is a look during which our book moved: REST may show either. One that
differs is looked at again; if it still does, the book is not the venue's: it is untrusted, and a
whole one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

from feeds.polymarket_books import Level, books_of
from feeds.publisher import Levels, Publisher
from feeds.rest import Rest
from feeds.update import SECOND_NS, FeedError, Numbers
from shm_layout import GAP, LEVELS, REST_MISMATCH, ST_ACTIVE

AT_LEAST = 4  # markets a turn
CHECK_AGAIN_NS = SECOND_NS  # the second look at a book that differed
TURNS = 10  # in which all markets are visited
BATCH_MAX = 100  # in one request: some 100 KB of answer


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
        for first in range(0, len(markets), BATCH_MAX):
            try:
                found, unread = await self._compared(markets[first : first + BATCH_MAX])
            except FeedError as error:
                errors.append(str(error))
                continue
            errors += unread
            for local, agrees in found.items():
                self._judge(local, agrees=agrees, is_second=is_second)
        return errors

    def _judge(self, local: int, *, agrees: bool, is_second: bool) -> None:
        if not agrees and not is_second:
            self.suspects.append(local)
            return
        self._publisher.count("tickers_checked")
        if agrees:
            self._publisher.count("tickers_agreed")
        else:
            self._publisher.count("mismatch")
            seat, place = self._publisher.leader(local)
            seat.mark(place, raised=REST_MISMATCH | GAP, now_ns=self._clock())

    def _in_turn(self) -> list[int]:
        places = [one.local for one in self._publisher.all_instruments]
        count = len(places)
        size = min(max(AT_LEAST, -(-count // TURNS)), count)
        found = [places[(self._next + at) % count] for at in range(size)]
        self._next = (self._next + size) % max(count, 1)
        return found

    async def _compared(self, markets: list[int]) -> tuple[dict[int, bool], list[str]]:
        """Whether the venue's book is ours, by market; those with nothing to compare, or whose book
        moved meanwhile, are left out. And what could not be read."""
        publisher = self._publisher
        instruments = {one.local: one for one in publisher.all_instruments}
        known = [local for local in markets if local in instruments and self._is_whole(local)]
        before = {local: publisher.shown(local) for local in known}
        tokens = {local: str(instruments[local].token_yes) for local in before}
        if not before:
            return {}, []
        told, errors = await books_of(self._clob, tokens.values())
        found: dict[int, bool] = {}
        for local, token in tokens.items():
            try:
                if token not in told:
                    raise FeedError(f"POST /books: {instruments[local].ticker}: not in the answer")
                book = told[token]
                levels = self._best(book.bids, is_bid=True), self._best(book.asks, is_bid=False)
            except FeedError as error:
                errors.append(str(error))
                continue
            after = publisher.shown(local)
            is_same = after == before[local] and publisher.follows(instruments[local])
            if is_same and self._is_whole(local):
                found[local] = after[1:] == levels
        return found, errors

    def _is_whole(self, local: int) -> bool:
        seat, place = self._publisher.leader(local)
        return seat.status(place) == ST_ACTIVE and seat.trust(place) == 0

    def _best(self, levels: list[Level], *, is_bid: bool) -> Levels:
        parse = self._numbers.parse
        pairs = [(parse(level.price), parse(level.size)) for level in levels]
        return tuple(sorted((pair for pair in pairs if pair[1]), reverse=is_bid)[:LEVELS])
