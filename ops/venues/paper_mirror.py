"""Books and states of the markets as the engine's own feeds publish them, as events of a script.

Reads the segment and writes nothing. A quote that is not to be trusted changes no book: what was
known before it stays what is known, and `is_seen` says that it may not be matched against.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np

from ops.venues.numerals import ONE_E6
from ops.venues.script import BookSet, Level, MarketSpec, StatusChange
from shm_layout import (
    BEAT_CELL,
    ENTRY,
    FEED_ROLE,
    LIVE_EPOCH_AT,
    ROLE_CELLS,
    ROLES_AT,
    ST_ACTIVE,
    ST_CLOSED,
    ST_DETERMINED,
    ST_INACTIVE,
    ST_INITIALIZED,
    ST_SETTLED,
    VENUES,
    Segment,
    cells_to_text,
    word_load,
)

WORDS = {  # a market's status as both simulated venues understand it
    ST_INITIALIZED: "initialized",
    ST_ACTIVE: "active",
    ST_INACTIVE: "inactive",
    ST_CLOSED: "closed",
    ST_DETERMINED: "determined",
    ST_SETTLED: "finalized",
}


@dataclass(slots=True)
class _Place:
    """Where a market's quote lies, and what the last one read said of itself."""

    instrument: int
    generation: int
    feed: int
    has_clock: bool  # its venue closes it by the clock
    is_trusted: bool = False
    epoch: int = 0
    close_ns: int = 0  # run time at which it closes by itself; 0: never


class Mirror:
    """`markets`: those that the paper venues have; which instrument each is, is looked up by venue
    and name in the segment. `beat_max_ns`: a feed whose heartbeat is older is dead.
    """

    def __init__(
        self,
        segment: Segment,
        markets: Sequence[MarketSpec],
        *,
        clock: Callable[[], int],
        beat_max_ns: int,
    ) -> None:
        self._segment = segment
        self._clock = clock
        self._beat_max_ns = beat_max_ns
        self._numbers: dict[tuple[int, str], int] = {}
        self._told: dict[int, tuple[str, int | None]] = {}
        self._places: dict[int, _Place] = {}
        self._market_of: dict[int, int] = {}
        self._closing: list[tuple[int, int]] = []  # run time, market; the next one first
        self._read = {
            block: np.zeros(segment.layout.blocks[block].count, np.int64)
            for block in ("instruments", "quotes")
        }
        for market in markets:
            self.add(market)

    def add(self, market: MarketSpec) -> None:
        """One more, with the next number."""
        number = len(self._numbers)
        self._numbers[VENUES.index(market.venue), market.ticker] = number
        self._told[number] = market.status, None
        self._read["instruments"][:] = -1  # it may have been named before

    def news(self, run_ns: int) -> Iterator[BookSet | StatusChange]:
        """What has changed since the last call, at this run time."""
        for instrument in self._written("instruments"):
            self._name(instrument)
        for instrument in self._written("quotes"):
            yield from self._quote(instrument, run_ns)
        while self._closing and self._closing[0][0] <= run_ns:
            close_ns, market = heappop(self._closing)
            place = self._places.get(market)
            is_open = self._told[market][0] == WORDS[ST_ACTIVE]
            if is_open and place is not None and place.close_ns == close_ns:
                self._told[market] = WORDS[ST_CLOSED], None
                yield StatusChange(run_ns, market, *self._told[market])

    def place(self, market: int) -> tuple[int, int] | None:
        """Instrument and generation of a market; None: nobody has named it yet."""
        place = self._places.get(market)
        return None if place is None else (place.instrument, place.generation)

    def is_seen(self, market: int) -> bool:
        """Whether the book that was told last is one to match against."""
        place = self._places.get(market)
        return place is not None and place.is_trusted and place.epoch == self._alive(place.feed)

    def _alive(self, feed: int) -> int:
        """The live epoch of a feed; -1: it has none, or its heart stands still."""
        words = self._segment.words
        beat_ns = int(word_load(words, ROLES_AT + (FEED_ROLE + feed) * ROLE_CELLS + BEAT_CELL))
        epoch = int(word_load(words, LIVE_EPOCH_AT + FEED_ROLE + feed))
        return epoch if epoch and self._clock() - beat_ns <= self._beat_max_ns else -1

    def _written(self, block: str) -> list[int]:
        """Slots whose sequence is another than when they were last read, but for those that nobody
        has written yet. A plain look at thousands of words says only where to read.
        """
        spec = self._segment.layout.blocks[block]
        at = self._segment.at(block)
        now = self._segment.words[at : at + spec.count * ENTRY : ENTRY]
        seen = self._read[block]
        changed = np.flatnonzero((now != seen) & (now != 0))
        for index in changed:
            seen[index] = now[index]
        return [int(index) for index in changed]

    def _again(self, block: str, index: int) -> None:
        """It could not be read: another look next time."""
        self._read[block][index] = -1

    def _name(self, instrument: int) -> None:
        """An instrument of the segment is one of our markets, or none."""
        row = self._segment.read("instruments", instrument)
        old = self._market_of.pop(instrument, None)
        if old is not None and self._places[old].instrument == instrument:
            del self._places[old]
        if row is None:
            self._again("instruments", instrument)
            return
        market = self._numbers.get((int(row["venue"]), cells_to_text(row["ticker"].tolist())))
        if market is not None and row["live"]:
            self._market_of[instrument] = market
            place = _Place(
                instrument, int(row["generation"]), int(row["feed"]),
                has_clock=VENUES[int(row["venue"])] == "kalshi",
            )  # fmt: skip
            self._places[market] = place
            self._again("quotes", instrument)

    def _quote(self, instrument: int, run_ns: int) -> Iterator[BookSet | StatusChange]:
        market = self._market_of.get(instrument)
        if market is None:
            return
        place, row = self._places[market], self._segment.read("quotes", instrument)
        place.is_trusted = False
        if row is None or int(row["generation"]) != place.generation:
            self._again("quotes", instrument)
            return
        place.is_trusted, place.epoch = int(row["trust"]) == 0, int(row["epoch"])
        status, value_e6 = WORDS.get(int(row["status"])), int(row["settlement_e6"])
        self._note_close(market, place, int(row["close_epoch_ns"]))
        if status == WORDS[ST_ACTIVE] and 0 < place.close_ns <= run_ns:
            status = WORDS[ST_CLOSED]
        if status is not None:
            is_paid = status == WORDS[ST_SETTLED] and 0 <= value_e6 <= ONE_E6
            told = status, value_e6 if is_paid else None
            if told != self._told[market]:
                self._told[market] = told
                yield StatusChange(run_ns, market, *told)
        if place.is_trusted:
            yield BookSet(run_ns, market, _levels(row["bids"]), _levels(row["asks"]))

    def _note_close(self, market: int, place: _Place, close_ns: int) -> None:
        """Kalshi refuses orders from a market's close on and sends no word of it (kalshi.md 12);
        Polymarket takes them until it says that the market is closed.
        """
        if place.has_clock and close_ns > 0 and close_ns != place.close_ns:
            place.close_ns = close_ns
            heappush(self._closing, (close_ns, market))


def _levels(cells: Sequence[int]) -> tuple[Level, ...]:
    """Levels of a quote, best first; absent ones have no size or no price."""
    pairs = [(int(price), int(size)) for price, size in zip(cells[::2], cells[1::2], strict=True)]
    return tuple((price, size) for price, size in pairs if 0 < price < ONE_E6 and size > 0)
