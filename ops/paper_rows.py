"""What became of paper orders beside what an engine without delays would have claimed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PREFIX = "paper_"  # of ops/venues/paper.py
FIGURES = ("claimed_e6", "moved_e6", "taken_e6", "unknown_e6", "gained_e6", "got_e6")


def paper_rows(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Contracts in 1e-6 by venue (Arrival.figures has their meaning), of venues that had orders."""
    rows = {
        venue: {name: found.get(f"{PREFIX}{name}", 0) for name in FIGURES}
        for venue, found in counts.items()
    }
    return {venue: row for venue, row in rows.items() if any(row.values())}


def paper_lines(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """The same for people, a line a venue."""
    return [
        (
            "paper orders",
            f"{venue}: {_whole(row['got_e6'])} contracts of {_whole(row['claimed_e6'])} that the"
            f" books showed when they were sent; not had: {_whole(row['moved_e6'])} price moved,"
            f" {_whole(row['taken_e6'])} taken by paper orders before,"
            f" {_whole(row['unknown_e6'])} book not trusted",
        )
        for venue, row in rows.items()
    ]


def _whole(size_e6: int) -> str:
    return f"{size_e6 // 1_000_000:,}"
