"""What the process of the paper venues tells in the segment: what paper orders hold of each level
(blocks `had` and `had_ring`: the books that our feeds publish count for what is left of them), and
the figures and times of its orders, for `status` and arb-top.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ops.venues.paper_book import Sides
from shm_layout import (
    BODY,
    COUNTERS,
    DETECTOR,
    HAD,
    HISTOGRAMS,
    HISTOGRAMS_MAX,
    K_HAD,
    PAPER,
    ROLE,
    Segment,
    bell_ring,
    cell,
    histogram_add,
    ring_adopt,
    ring_append,
    slot_store,
    word_add,
)

HELD = "held"
SIDE = cell(HAD, "asks") - cell(HAD, "bids")  # cells of a side
Place = tuple[int, int]  # instrument, generation


class Told:
    """`place`: where a market stands in the segment now; None: nowhere."""

    def __init__(self, segment: Segment, place: Callable[[int], Place | None]) -> None:
        self._segment, self._words = segment, segment.words
        self._place = place
        self._rows: dict[int, tuple[Place, Sides]] = {}  # of each market, as last told
        self._ring, self._entries = segment.at("had_ring"), segment.entries("had_ring")
        self._counters = segment.at("roles", PAPER) + cell(ROLE, "counters")
        ring_adopt(self._words, self._ring, self._entries)

    def had(self, market: int, sides: Sides) -> None:
        """What paper orders hold of its levels, bids and asks, best first: if that is news. Of a
        side's levels the `SIDE / 2` best are told.
        """
        place, known = self._place(market), self._rows.get(market)
        if place is None or (known is None and not any(sides)) or known == (place, sides):
            return
        self._rows[market] = place, sides
        body = np.zeros(BODY, np.int64)
        body[: len(place)] = place
        for name, levels in zip(("bids", "asks"), sides, strict=True):
            cells = [each for level in levels for each in level][:SIDE]
            body[cell(HAD, name) : cell(HAD, name) + len(cells)] = cells
        slot_store(self._words, self._segment.at("had", place[0]), body, BODY)
        ring_append(self._words, self._ring, self._entries, K_HAD, body, BODY)
        bell_ring(self._words, self._segment.at("bells", DETECTOR), -1)

    def count(self, venue: str, name: str, by: int) -> None:
        """One of the figures of a venue's orders."""
        place = COUNTERS["paper"].index(f"{venue}_{name}")
        word_add(self._words, self._counters + place, by)

    def waited(self, name: str, wait_ns: int) -> None:
        """A round trip to a venue by that name, or how long one held an order back (HELD)."""
        place = PAPER * HISTOGRAMS_MAX + HISTOGRAMS["paper"].index(name)
        histogram_add(self._words, self._segment.at("histograms", place), wait_ns)
