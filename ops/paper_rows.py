"""What became of paper orders beside what an engine without delays would have claimed, as the
process of the paper venues counts it in the segment.
"""

from __future__ import annotations

from typing import Any

from ops.paper_text import HELD
from shm_layout import (
    COUNTERS,
    HISTOGRAMS,
    HISTOGRAMS_MAX,
    PAPER,
    ROLE,
    Segment,
    cell,
    percentile,
    word_load,
)


def paper_rows(segment: Segment) -> dict[str, Any]:
    """By venue that had orders: how many, how many of them filled whole and in part, contracts in
    1e-6 (ops/venues/paper_book.py, Arrival.figures), and `way_ns`, the round trips drawn. Under
    HELD how long takers were held back; without it: none was.
    """
    first = segment.at("roles", PAPER) + cell(ROLE, "counters")
    rows: dict[str, Any] = {}
    for place, name in enumerate(COUNTERS["paper"]):
        venue, _, figure = name.partition("_")
        rows.setdefault(venue, {})[figure] = int(word_load(segment.words, first + place))
    rows = {venue: row for venue, row in rows.items() if row["orders"]}
    for venue, row in rows.items():
        row["way_ns"] = _times(segment, venue)
    held = _times(segment, HELD)
    return rows | ({HELD: held} if held["count"] else {})


def _times(segment: Segment, name: str) -> dict[str, int | None]:
    place = PAPER * HISTOGRAMS_MAX + HISTOGRAMS["paper"].index(name)
    at = segment.at("histograms", place)
    shares = (("p50", 500), ("p99", 990), ("max", 1000))
    times = {key: percentile(segment.words, at, share) for key, share in shares}
    return {"count": int(word_load(segment.words, at)), **times}
