"""Which instruments a feed follows: the supervisor's table at the start, its control ring from then
on. Windows come and go while the feed runs.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.update import Instrument
from shm_layout import (
    BODY,
    EMPTY,
    ENTRY,
    INSTRUMENT,
    INSTRUMENTS_MAX,
    K_INSTRUMENT,
    LAPPED,
    LINE,
    Segment,
    cells_to_text,
    cells_to_uint256,
    ring_read,
    ring_tail,
)

ROWS_MAX = 256  # of the control ring, read at once


def instruments_of(segment: Segment, feed: int) -> list[Instrument]:
    """The live instruments whose quotes this feed writes, in the order of their numbers."""
    rows = (row for row in _table(segment, feed) if row["live"])
    return [instrument_of(row, local) for local, row in enumerate(rows)]


def _table(segment: Segment, feed: int) -> Iterator[np.void]:
    for index in range(INSTRUMENTS_MAX):
        row = segment.read("instruments", index)
        if row is not None and row["feed"] == feed:
            yield row


def instrument_of(row: np.void, local: int) -> Instrument:
    """A row of the table at a place of the feed."""
    return Instrument(
        local=local,
        index=int(row["index"]),
        generation=int(row["generation"]),
        ticker=cells_to_text(row["ticker"]),
        condition=cells_to_uint256(row["condition"]),
        token_yes=cells_to_uint256(row["token_yes"]),
        token_no=cells_to_uint256(row["token_no"]),
    )


class Newcomers:
    """Made before the table is read: what is written meanwhile comes twice, and never not at
    all."""

    def __init__(self, segment: Segment, feed: int) -> None:
        self._segment, self._feed = segment, feed
        self._ring, self._entries = segment.at("control_ring"), segment.entries("control_ring")
        self._cursor = int(ring_tail(segment.words, self._ring))
        self._entry = np.zeros(ENTRY, np.int64)

    def take(self) -> list[tuple[Instrument, bool]]:
        """This feed's rows since the last call, in order, and whether each is to be followed. After
        a lap: all there are."""
        found: list[tuple[Instrument, bool]] = []
        for _ in range(ROWS_MAX):
            told = ring_read(
                self._segment.words, self._ring, self._entries, self._cursor, self._entry, BODY
            )
            if told == EMPTY:
                break
            if told == LAPPED:
                self._cursor = int(ring_tail(self._segment.words, self._ring))
                rows = _table(self._segment, self._feed)
                return [(instrument_of(row, -1), bool(row["live"])) for row in rows]
            self._cursor += 1
            row = self._entry[LINE:].view(INSTRUMENT)[0]
            if self._entry[0] == K_INSTRUMENT and row["feed"] == self._feed:
                found.append((instrument_of(row, -1), bool(row["live"])))
        return found
