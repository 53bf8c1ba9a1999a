"""Rows of an answer, each read by itself: one odd row costs its own market, not the whole page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Raw
from msgspec.json import Decoder

from feeds.update import UNREADABLE, FeedError

ERRORS_MAX = 20  # told of one answer; of more, how many

Row = TypeVar("Row")


def rows_of(
    rows: Sequence[Raw], decoder: Decoder[Row], what: str, most: int
) -> tuple[list[Row], list[str]]:
    """The rows that can be read, and why the others cannot (one line each). Raises FeedError if
    there are more than `most`: nobody asked for so many."""
    if len(rows) > most:
        raise FeedError(f"{what}: rows: found {len(rows)}, wanted at most {most}")
    found: list[Row] = []
    errors: list[str] = []
    for place, raw in enumerate(rows):
        try:
            found.append(decoder.decode(raw))
        except UNREADABLE as error:
            errors.append(f"{what}: row {place}: {error}")
    if len(errors) > ERRORS_MAX:
        errors[ERRORS_MAX:] = [f"{what}: {len(errors) - ERRORS_MAX} more rows cannot be read"]
    return found, errors
