"""The figures of ops/paper_rows.py as people read them. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

HELD = "held"  # how long venues held takers back, beside the rows of venues


def paper_lines(found: Mapping[str, Any]) -> list[str]:
    """A line a venue, and one of what takers had to wait."""
    return [
        f"{venue}: {row['orders']:,}, {row['full']:,} filled whole, {row['partial']:,} in part;"
        f" {_whole(row['got_e6'])} contracts of {_whole(row['claimed_e6'])} that the"
        f" books showed when they were sent; not had: {_whole(row['moved_e6'])} price moved,"
        f" {_whole(row['taken_e6'])} taken by paper orders before,"
        f" {_whole(row['unknown_e6'])} book not trusted, {_whole(row['refused_e6'])} refused;"
        f" way there and back {_times(row['way_ns'])}"
        for venue, row in _venues(found)
    ] + [f"takers held back {_times(row)}" for row in [found.get(HELD)] if row]


def paper_brief(found: Mapping[str, Any]) -> list[str]:
    """The same for a screen of 80 columns; what was taken before is in contracts."""
    held = found.get(HELD)
    return [
        f"{venue} {row['orders']:,} orders · {row['full']:,} whole · {row['partial']:,} part"
        f" · {_whole(row['taken_e6'])} taken before · way {_ms(row['way_ns']['p50'])}"
        for venue, row in _venues(found)
    ] + ([f"takers held back {_ms(held['p50'])}, {held['count']:,} times"] if held else [])


def _venues(found: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, row) for name, row in found.items() if name != HELD)


def _whole(size_e6: int) -> str:
    return f"{size_e6 // 1_000_000:,}"


def _ms(time_ns: int | None) -> str:
    return "-" if time_ns is None else f"{time_ns / 1e6:,.0f} ms"


def _times(row: Mapping[str, int | None]) -> str:
    return f"p50 {_ms(row['p50'])}, p99 {_ms(row['p99'])}, max {_ms(row['max'])}"
