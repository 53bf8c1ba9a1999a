"""Polymarket's market channel as types (polymarket.md 12; wire of autumn 2026), and schema drift.

A frame is one event or an array of them (the first snapshots come as one array). `event_type` is
not the first key; numbers are strings; times are strings of ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec
from msgspec import Raw, Struct

from feeds.update import MS_NS, STAMP_MAX_MS, TextError, exact
from shm_layout import ASK, BID, E6, int_to_text


class Level(Struct):
    price: str
    size: str


class Book(Struct, tag_field="event_type", tag="book"):
    """A whole book of one token, best level last on both sides. `tick_size` on the first only."""

    asset_id: str
    bids: list[Level]
    asks: list[Level]
    timestamp: str = ""
    tick_size: str = ""


class Change(Struct):
    """A level's new total; "0" removes it. The touch of that token after it."""

    asset_id: str
    price: str
    size: str
    side: Literal["BUY", "SELL"]
    best_bid: str = ""
    best_ask: str = ""


class PriceChange(Struct, tag_field="event_type", tag="price_change"):
    """Both tokens of a market, the second the mirror of the first."""

    price_changes: list[Change]
    timestamp: str = ""


class LastTrade(Struct, tag_field="event_type", tag="last_trade_price"):
    asset_id: str


class TickChange(Struct, tag_field="event_type", tag="tick_size_change"):
    asset_id: str
    new_tick_size: str


class BestBidAsk(Struct, tag_field="event_type", tag="best_bid_ask"):
    asset_id: str
    best_bid: str
    best_ask: str
    timestamp: str = ""


class Resolved(Struct, tag_field="event_type", tag="market_resolved"):
    """The winner's id may be of neither outcome (a draw pays both half): then REST must tell."""

    winning_asset_id: str
    assets_ids: list[str] = []


class NewMarket(Struct, tag_field="event_type", tag="new_market"):
    """Of any market of the venue: the channel does not filter it."""

    assets_ids: list[str] = []


Event = Book | PriceChange | LastTrade | TickChange | BestBidAsk | Resolved | NewMarket
DECODER: Final = msgspec.json.Decoder(Event | list[Raw])
EVENT_DECODER: Final = msgspec.json.Decoder(Event)


class Head(Struct):
    """What is left of an event whose type is not known."""

    event_type: str = ""


HEAD_DECODER: Final = msgspec.json.Decoder(Head)

_TOP = frozenset({"event_type", "market", "asset_id", "timestamp"})
KNOWN: Final[dict[str, frozenset[str]]] = {
    "book": _TOP
    | {"hash", "bids", "asks", "tick_size", "last_trade_price", "min_order_size", "neg_risk"},
    "price_change": _TOP | {"price_changes"},
    "last_trade_price": _TOP | {"price", "size", "fee_rate_bps", "side", "transaction_hash"},
    "tick_size_change": _TOP | {"new_tick_size", "old_tick_size"},
    "best_bid_ask": _TOP | {"best_bid", "best_ask", "spread"},
    "market_resolved": _TOP
    | {"id", "assets_ids", "winning_asset_id", "winning_outcome", "tags", "question", "slug",
       "description", "outcomes", "event_message"},
}  # fmt: skip  # new_market is not looked at: it carries a whole market object


_ROW = frozenset({"asset_id", "price", "size", "side", "hash", "best_bid", "best_ask"})
_LEVEL = frozenset({"price", "size"})
_INSIDE: Final = {"price_changes": _ROW, "bids": _LEVEL, "asks": _LEVEL}  # of lists: the first


def strange(frame: object) -> tuple[str, list[str]]:
    """The type of a decoded frame (of an array: of its first strange event) and its keys that
    nobody told us about."""
    first = ""
    for event in frame if isinstance(frame, list) else [frame]:
        if not isinstance(event, dict):
            continue
        kind = str(event.get("event_type", ""))
        first = first or kind
        if kind not in KNOWN:  # new_market is not looked at, unknown types where they are met
            continue
        keys = sorted(event.keys() - KNOWN[kind])
        for name, known in _INSIDE.items():
            rows = event.get(name)
            if isinstance(rows, list) and rows and isinstance(rows[0], dict):
                keys += [f"{name}.{key}" for key in sorted(rows[0].keys() - known)]
        if keys:
            return kind, keys
    return first, []


_SIDES: Final[dict[str, Literal["BUY", "SELL"]]] = {"BUY": "SELL", "SELL": "BUY"}
_STAMP_DIGITS = 16


def mirrored(
    event: PriceChange,
    rows: list[Change],
    no: Mapping[str, int],
    tokens: Mapping[int, tuple[str, str]],
) -> list[Change]:
    """The rows of NO tokens whose market has none of its YES token among `rows`: the same book,
    the other side at one dollar less the price. Raises TextError."""
    there = {row.asset_id for row in rows}
    found = []
    for row in event.price_changes:
        local = no.get(row.asset_id)
        if local is not None and tokens[local][0] not in there:
            found.append(
                Change(
                    asset_id=tokens[local][0],
                    price=_one_less(row.price),
                    size=row.size,
                    side=_SIDES[row.side],
                    best_bid=_one_less(row.best_ask),
                    best_ask=_one_less(row.best_bid),
                )
            )
    return found


def triples(book: Book, price: Callable[[str], int], size: Callable[[str], int]) -> list[int]:
    """A whole book as side, price, size, side, … Raises what the parsers raise."""
    flat: list[int] = []
    for side, levels in ((BID, book.bids), (ASK, book.asks)):
        for level in levels:
            flat += (side, price(level.price), size(level.size))
    return flat


def grouped(
    rows: list[Change], price: Callable[[str], int], size: Callable[[str], int]
) -> dict[str, tuple[list[int], tuple[str, str]]]:
    """Changes by token as side, price, size, side, … with the touch after the last of them."""
    found: dict[str, tuple[list[int], tuple[str, str]]] = {}
    for row in rows:
        flat = found[row.asset_id][0] if row.asset_id in found else []
        flat += (BID if row.side == "BUY" else ASK, price(row.price), size(row.size))
        found[row.asset_id] = flat, (row.best_bid, row.best_ask)
    return found


def assets_of(event: Event) -> list[str]:
    """The tokens whose books an event tells of."""
    if isinstance(event, Book):
        return [event.asset_id]
    if isinstance(event, PriceChange):
        return [row.asset_id for row in event.price_changes]
    return []


def _one_less(text: str) -> str:
    return int_to_text(E6 - exact(text, 6), 6) if text else ""


def stamp_ns_of(text: str) -> int:
    """A string of ms since 1970 as ns; 0 if absent. Raises TextError."""
    if not text:
        return 0
    if text.isascii() and text.isdigit() and len(text) <= _STAMP_DIGITS:
        stamp_ms = int(text)
        if stamp_ms <= STAMP_MAX_MS:
            return stamp_ms * MS_NS
    raise TextError(f"timestamp: found {text[:40]!r}, wanted ms since 1970, before 2100")
