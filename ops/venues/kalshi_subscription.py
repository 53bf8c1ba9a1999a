"""Kalshi's channels, subscriptions and error codes as tables (AsyncAPI document 2.0.0 of autumn
2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.venues.numerals import MS_NS
from ops.venues.session import Bucket
from ops.venues.wire import Link

MARKET_CHANNELS = frozenset({"orderbook_delta", "ticker", "trade"})
# Channels with a filter of markets; the others of CHANNELS ignore `market_tickers`.
FILTERED = MARKET_CHANNELS | {"fill", "user_orders", "market_positions"}


@dataclass(frozen=True, slots=True)
class Topics:
    """How a channel of named values is asked: its parameter, its actions, the error without names,
    the type of its list.
    """

    parameter: str
    add: str
    remove: str
    listing: str
    missing: int
    list_type: str


def _indices(channel: str) -> Topics:
    actions = "subscribe_indices", "unsubscribe_indices", "indexlist"
    return Topics("index_ids", *actions, 24, f"{channel}_indexlist")


TOPICS = {
    "cfbenchmarks_value": _indices("cfbenchmarks_value"),
    "cfbenchmarks_value_5hz": _indices("cfbenchmarks_value_5hz"),
    "pyth_value": Topics(
        "underlying_tickers",
        "subscribe_underlyings",
        "unsubscribe_underlyings",
        "underlying_list",
        28,
        "pyth_value_underlying_list",
    ),
}
CHANNELS = (
    FILTERED
    | TOPICS.keys()
    | {
        "market_lifecycle_v2",
        "multivariate_market_lifecycle",
        "order_group_updates",
        "communications",
    }
)
# Channels whose messages carry `seq`: all but ticker and three of the private ones.
NUMBERED = CHANNELS - {"ticker", "fill", "user_orders", "market_positions"}
ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    18: "Command timeout",
    19: "shard_factor must be > 0",
    20: "shard_factor is required when shard_key is set",
    21: "shard_key must be >= 0 and < shard_factor",
    22: "shard_factor must be <= 100",
    23: "Match IDs required",
    24: "Index IDs required",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
    27: "Too many requests",
    28: "Underlying tickers required",
}
TERMINAL = frozenset({10, 25})  # the subscription is gone: subscribe again


class CommandError(Exception):
    """A command is answered with an error frame of this code."""

    def __init__(self, code: int) -> None:
        super().__init__(ERRORS[code])
        self.code = code


@dataclass(slots=True, eq=False)
class Subscription:
    """One channel on one connection. `names`: the markets or topics asked for; `is_all`: every one.
    `seq`: the last number sent.
    """

    sid: int
    channel: str
    link: Link
    names: set[str]
    commands: Bucket
    is_all: bool = False
    use_yes_price: bool = False
    skips_list: bool = False  # skip_ticker_ack: `ok` does not repeat the markets
    seq: int = 0

    def wants(self, name: str) -> bool:
        return self.is_all or name in self.names

    def head(self, kind: str, run_ns: int) -> bytes:
        """The start of a frame up to `"msg":`, with the next number where the channel counts.

        The others carry `sending_ts_ms`, which the venue puts on some frames (seen 2026-10-05).
        """
        if self.channel in NUMBERED:
            self.seq += 1
            return b'{"type":"%b","sid":%d,"seq":%d,"msg":' % (kind.encode(), self.sid, self.seq)
        stamp = run_ns // MS_NS
        return b'{"type":"%b","sending_ts_ms":%d,"sid":%d,"msg":' % (kind.encode(), stamp, self.sid)


def numbered(number: int) -> dict[str, Any]:
    """The echo of a command's id; 0 stands for none."""
    return {"id": number} if number else {}


def error_frame(number: int, code: int) -> dict[str, Any]:
    """The answer to a command that failed."""
    return {**numbered(number), "type": "error", "msg": {"code": code, "msg": ERRORS[code]}}


def terminal_frame(sub: Subscription, code: int) -> dict[str, Any]:
    """A subscription ends by itself: its sid, and the next number where the channel counts."""
    row: dict[str, Any] = {"type": "error", "sid": sub.sid}
    if sub.channel in NUMBERED:
        sub.seq += 1
        row["seq"] = sub.seq
    return {**row, "msg": {"code": code, "msg": ERRORS[code]}}
