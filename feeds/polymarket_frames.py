"""Polymarket's market channel as types (polymarket.md 12; wire of autumn 2026), and schema drift.

A frame is one event or an array of them (the first snapshots come as one array). `event_type` is
not the first key; numbers are strings; times are strings of ms.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
import orjson
from msgspec import Raw, Struct


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
    winning_asset_id: str


class NewMarket(Struct, tag_field="event_type", tag="new_market"):
    """Of any market of the venue: the channel does not filter it."""


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


def unknown_keys(payload: bytes | memoryview) -> int:
    """How many keys of a frame nobody told us about. An event of an unknown type counts as one."""
    try:
        frame = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return 0
    found = 0
    for event in frame if isinstance(frame, list) else [frame]:
        kind = event.get("event_type", "") if isinstance(event, dict) else ""
        if kind in KNOWN:
            found += len(event.keys() - KNOWN[kind])
        elif kind != "new_market":
            found += 1
    return found
