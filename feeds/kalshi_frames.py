"""Kalshi's WebSocket frames as types (kalshi.md 13, 14; wire of autumn 2026), and schema drift.

Only what is used is declared; the rest is skipped by the decoder. Fields may be missing in practice
(`ts_ms`), and unknown keys and types appear: `strange` finds them in the frames it is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from feeds.limits import NUMBER_MAX
from feeds.update import STAMP_MAX_MS
from shm_layout import ASK, BID

# Bounded where bytes become values: what goes into a kernel must fit a cell.
Whole = Annotated[int, Meta(ge=0, le=NUMBER_MAX)]
Milliseconds = Annotated[int, Meta(ge=0, le=STAMP_MAX_MS)]
Seconds = Annotated[int, Meta(ge=0, le=STAMP_MAX_MS // 1000)]
Side = Literal["yes", "no"]
Name = Annotated[str, Meta(min_length=1)]  # a book frame of no market may be of any of ours
Levels = list[tuple[str, str]]


class SnapshotMsg(Struct):
    """A whole book; an absent key is an empty side. `yes`, `no` are the form that ended on
    2026-03-12 (cents): present, they mean that this is no book we can read."""

    market_ticker: Name
    yes_dollars_fp: Levels = []
    no_dollars_fp: Levels = []
    yes: Raw | UnsetType = UNSET
    no: Raw | UnsetType = UNSET


class DeltaMsg(Struct):
    """A signed change at one level."""

    market_ticker: Name
    price_dollars: str
    delta_fp: str
    side: Side
    ts_ms: Milliseconds = 0


def triples(
    message: SnapshotMsg, price: Callable[[str], int], size: Callable[[str], int]
) -> list[int]:
    """A whole book as side, price, size, side, … Raises what the parsers raise."""
    flat: list[int] = []
    for side, levels in ((BID, message.yes_dollars_fp), (ASK, message.no_dollars_fp)):
        for price_text, size_text in levels:
            flat += (side, price(price_text), size(size_text))
    return flat


class TickerMsg(Struct):
    """The venue's own view of the touch. Empty side: bid "0.0000", ask "1.0000"."""

    market_ticker: str
    yes_bid_dollars: str = ""
    yes_ask_dollars: str = ""


class TradeMsg(Struct):
    """A print. Block trades happened off the book."""

    market_ticker: str
    is_block_trade: bool = False


class PriceRange(Struct):
    """Part of a price grid, in dollars."""

    start: str
    end: str
    step: str


class LifecycleMsg(Struct):
    """What happened to a market. There is none for opening and closing in time (kalshi.md 12)."""

    market_ticker: str
    event_type: str
    close_ts: Seconds = 0
    floor_strike: Raw = Raw()
    result: str = ""
    settlement_value: str = ""
    price_ranges: list[PriceRange] = []


class EventFeeMsg(Struct):
    """Fee terms of an event changed; null: back to those of the series."""

    event_ticker: str


class SubscribedMsg(Struct):
    channel: str
    sid: Whole


class ErrorMsg(Struct, frozen=True):
    code: int = 0
    msg: str = ""


class Snapshot(Struct, tag_field="type", tag="orderbook_snapshot"):
    sid: Whole
    seq: Whole
    msg: SnapshotMsg


class Delta(Struct, tag_field="type", tag="orderbook_delta"):
    sid: Whole
    seq: Whole
    msg: DeltaMsg


class Ticker(Struct, tag_field="type", tag="ticker"):
    sid: Whole
    msg: TickerMsg
    seq: Whole = 0


class Trade(Struct, tag_field="type", tag="trade"):
    sid: Whole
    msg: TradeMsg
    seq: Whole = 0


class Lifecycle(Struct, tag_field="type", tag="market_lifecycle_v2"):
    sid: Whole
    msg: LifecycleMsg
    seq: Whole = 0


class EventLifecycle(Struct, tag_field="type", tag="event_lifecycle"):
    sid: Whole
    seq: Whole = 0


class EventFee(Struct, tag_field="type", tag="event_fee_update"):
    sid: Whole
    msg: EventFeeMsg
    seq: Whole = 0


class Subscribed(Struct, tag_field="type", tag="subscribed"):
    msg: SubscribedMsg
    id: Whole = 0
    sid: Whole = 0
    seq: Whole = 0


class Ok(Struct, tag_field="type", tag="ok"):
    """Answer to a command; it consumes a number of its subscription."""

    id: Whole = 0
    sid: Whole = 0
    seq: Whole = 0


class Unsubscribed(Struct, tag_field="type", tag="unsubscribed"):
    id: Whole = 0
    sid: Whole = 0
    seq: Whole = 0


class Error(Struct, tag_field="type", tag="error"):
    id: Whole = 0
    sid: Whole = 0
    seq: Whole = 0
    msg: ErrorMsg = ErrorMsg()


Numbered = Snapshot | Delta | Trade | Lifecycle | EventLifecycle | EventFee | Ok | Unsubscribed
Frame = Numbered | Ticker | Subscribed | Error
DECODER: Final = msgspec.json.Decoder(Frame)


class Head(Struct):
    """What is left of a frame whose type is not known: enough to keep the sequence."""

    type: str = ""
    sid: Whole = 0
    seq: Whole = 0


HEAD_DECODER: Final = msgspec.json.Decoder(Head)

_TOP = frozenset({"type", "id", "sid", "seq", "msg", "sending_ts_ms"})
_MARKET = frozenset({"market_ticker", "market_id", "ts", "ts_ms"})
# Every key seen or documented by autumn 2026. What is not here is drift: counted, never fatal.
KNOWN: Final[dict[str, frozenset[str]]] = {
    "orderbook_snapshot": _MARKET | {"yes_dollars_fp", "no_dollars_fp"},
    "orderbook_delta": _MARKET
    | {"price_dollars", "delta_fp", "side", "client_order_id", "subaccount"},
    "ticker": _MARKET
    | {
        "price_dollars", "yes_bid_dollars", "yes_ask_dollars", "yes_bid_size_fp",
        "yes_ask_size_fp", "volume_fp", "open_interest_fp", "dollar_volume",
        "dollar_open_interest", "last_trade_size_fp", "time",
    },
    "trade": _MARKET
    | {
        "trade_id", "yes_price_dollars", "no_price_dollars", "count_fp", "taker_side",
        "taker_outcome_side", "taker_book_side", "is_block_trade",
    },
    "market_lifecycle_v2": _MARKET
    | {
        "event_type", "exchange_index", "open_ts", "close_ts", "price_level_structure",
        "price_ranges", "additional_metadata", "strike_type", "floor_strike", "cap_strike",
        "custom_strike", "yes_sub_title", "no_sub_title", "result", "determination_ts",
        "settlement_value", "settled_ts", "is_deactivated", "fractional_trading_enabled",
    },
    "event_lifecycle": frozenset(
        {"event_ticker", "title", "subtitle", "collateral_return_type", "series_ticker",
         "strike_date", "strike_period", "exchange_index"}
    ),
    "event_fee_update": frozenset(
        {"event_ticker", "fee_type_override", "fee_multiplier_override"}
    ),
    "subscribed": frozenset({"channel", "sid"}),
    "ok": frozenset({"market_tickers"}),
    "unsubscribed": frozenset(),
    "error": frozenset({"code", "msg", "market_ticker", "market_id"}),
}  # fmt: skip


def strange(frame: object) -> tuple[str, list[str]]:
    """The type of a decoded frame and its keys that nobody told us about."""
    if not isinstance(frame, dict):
        return "", []
    kind = str(frame.get("type", ""))
    known = KNOWN.get(kind)
    if known is None:
        return kind, []  # a type nobody told us about is counted where it is not decoded
    message = frame.get("msg")
    keys = sorted(frame.keys() - _TOP)
    if isinstance(message, dict):
        keys += [f"msg.{key}" for key in sorted(message.keys() - known)]
    return kind, keys
