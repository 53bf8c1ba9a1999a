"""A feed's books on a private segment, with a clock that stands where it is put."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from feeds.newcomers import instruments_of
from feeds.publisher import Publisher
from feeds.update import MarketFacts
from shm_layout import (
    BODY,
    E6,
    ENTRY,
    FEED_ROLE,
    INSTRUMENT,
    LINE,
    QUOTE,
    ROLE,
    SPOT,
    ST_ACTIVE,
    Segment,
    cell,
    ring_read,
    ring_tail,
    text_to_cells,
    uint256_to_cells,
)

OPEN = MarketFacts(status=ST_ACTIVE, grid=((E6, 100),))  # the finest of any venue


@dataclass
class Clock:
    """Machine time as a value."""

    now_ns: int = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@dataclass
class Market:
    """An instrument to be written into the segment."""

    ticker: str
    condition: int = 0
    token_yes: int = 0
    token_no: int = 0
    index: int = -1
    generation: int = 1
    live: int = 1
    feed: int = 0


def write_instrument(segment: Segment, market: Market) -> None:
    """The supervisor's part: one identity row."""
    body = np.zeros(BODY, np.int64)
    row = body.view(INSTRUMENT)[0]
    row["index"], row["generation"] = market.index, market.generation
    row["feed"], row["live"] = market.feed, market.live
    row["ticker"] = text_to_cells(market.ticker, 8)
    row["condition"] = uint256_to_cells(market.condition)
    row["token_yes"] = uint256_to_cells(market.token_yes)
    row["token_no"] = uint256_to_cells(market.token_no)
    segment.write("instruments", market.index, body)


@dataclass
class Rig:
    """Segment, books and readers of what they published."""

    segment: Segment
    publisher: Publisher
    clock: Clock
    feed: int = 0
    cursor: int = field(default=0)

    def quote(self, index: int) -> np.void:
        """The quote slot of an instrument."""
        row = self.segment.read("quotes", index)
        assert row is not None, f"quote {index} was never published"
        return row

    def trust(self, index: int) -> int:
        return int(self.quote(index)["trust"])

    def levels(self, index: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Bids and asks of the quote, absent levels left out."""
        quote = self.quote(index)
        sides = []
        for name in ("bids", "asks"):
            cells = [int(value) for value in quote[name]]
            pairs = list(zip(cells[::2], cells[1::2], strict=True))
            sides.append([(price, size) for price, size in pairs if size])
        return sides[0], sides[1]

    def entries(self) -> list[np.void]:
        """Ring entries since the last call (quotes or spot, by the kind of feed)."""
        ring = self.segment.at(f"changes_{self.feed}")
        out, found = np.zeros(ENTRY, np.int64), []
        tail = ring_tail(self.segment.words, ring)
        record = SPOT if self.publisher.count_max and self.feed == 3 else QUOTE
        while self.cursor < tail:
            size = self.segment.entries(f"changes_{self.feed}")
            read = ring_read(self.segment.words, ring, size, self.cursor, out, BODY)
            assert read == 1, read
            found.append(out[LINE:].copy().view(record)[0])
            self.cursor += 1
        return found

    def counted(self, name: str) -> int:
        return self.publisher.counted(name)

    def role(self, name: str) -> int:
        """A cell of the feed's line among the roles, as arb-top sees it."""
        row = self.segment.at("roles", FEED_ROLE + self.feed)
        return int(self.segment.words[row + cell(ROLE, name)])


def rig(*markets: Market, segment: Segment | None = None, epoch: int = 7, facts: Any = OPEN) -> Rig:
    """Books for these markets, numbered from 0 on; open unless told otherwise (`facts` None)."""
    segment = segment or Segment.private()
    for index, market in enumerate(markets):
        market.index = index if market.index < 0 else market.index
        write_instrument(segment, market)
    clock = Clock()
    feed = markets[0].feed if markets else 0
    publisher = Publisher(
        segment,
        feed=feed,
        epoch=epoch,
        now_ns=clock.now_ns,
        instruments=instruments_of(segment, feed),
    )
    made = Rig(segment, publisher, clock, feed)
    if facts is not None:
        for each in publisher.instruments:
            publisher.set_facts(each.local, facts, clock.now_ns)
    made.entries()
    return made
