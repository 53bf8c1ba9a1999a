"""What shows in Polymarket's events that a field is not what it was (polymarket.md 12).

The typed decoder finds what is missing or of another type; here is what only the values show. A
size of 0 in a change removes a level, so sizes that are suddenly zero show in the touch alone.
"""

from __future__ import annotations

from typing import Final

from feeds.polymarket_frames import Book, Change, Event, PriceChange
from feeds.sentinel import Sentinel, is_number
from feeds.update import TextError

Payload = bytes | memoryview
_NAMES: Final = ("price", "size", "best_bid", "best_ask")


def scaled(sentinel: Sentinel, kind: str, field: str, payload: Payload, recv_ns: int) -> None:
    """A level that no book has."""
    how = "found a price outside of 0 to 1 or a size beyond any, wanted dollars, shares"
    sentinel.drift(kind, field, how, payload, recv_ns)


def bare(sentinel: Sentinel, row: Change, payload: Payload, recv_ns: int) -> None:
    """Changes without the venue's touch prove nothing about our book, without a time not their
    age."""
    names = [name for name in ("best_bid", "best_ask") if not getattr(row, name)]
    field = f"price_changes.{names[0]}" if names else "timestamp"
    sentinel.drift("price_change", field, "found none, wanted one", payload, recv_ns)


def empty(sentinel: Sentinel, sizes: list[int], payload: Payload, recv_ns: int) -> None:
    """A whole book has no empty levels."""
    if sizes and min(sizes) <= 0:
        how = f"found {min(sizes)}e-6, wanted more than 0"
        sentinel.drift("book", "bids.size", how, payload, recv_ns)


def of_text(
    sentinel: Sentinel, event: Event, error: TextError, payload: Payload, recv_ns: int
) -> None:
    """A text that is no number: which field it is, is found by trying each."""
    texts: list[tuple[str, str]] = []
    if isinstance(event, PriceChange):
        rows = event.price_changes
        texts = [(f"price_changes.{name}", getattr(row, name)) for row in rows for name in _NAMES]
    elif isinstance(event, Book):
        levels = (("bids", event.bids), ("asks", event.asks))
        for side, there in levels:
            for level in there:
                texts += ((f"{side}.price", level.price), (f"{side}.size", level.size))
    field = next((name for name, text in texts if text and not is_number(text)), "")
    if not field:
        field = "timestamp" if str(error).startswith("timestamp") else "a number"
    kind = str(type(event).__struct_config__.tag)
    sentinel.drift(kind, field, str(error), payload, recv_ns)
