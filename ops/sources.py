"""What a market's own texts say that it settles on: index, average, comparison. Pure.

A registry says what a series settles on, and a venue may change that without a word: so each window
is asked, and one that says anything else is refused. Kalshi says it in its rules ("If the simple
average of the sixty seconds of CF Benchmarks' BRTI before 1:30 AM EDT on Aug 17, 2026 is at least
…", read 2026-08-17; hourly markets name it "Ethereum Real-Time Index (ERTI)"), Polymarket by the
address of its source (Gamma, 2026-06-08 and 2026-09-28).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from feeds.update import FeedError
from ops.assets import AssetError, Index, index_of

SHOWN = 120  # characters of what was found
_AVERAGE: Final = re.compile(
    r"average of the sixty seconds of CF Benchmarks['\u2019] (?:[\w .-]+\()?([A-Za-z_]+)\)? before "
)
_COMPARE: Final = re.compile(r" is (at least|at most|above|below|between) ")
STRIKE_TYPES: Final = {  # Kalshi's word beside the words of its rules
    "at least": "greater_or_equal",
    "at most": "less_or_equal",
    "above": "greater",
    "below": "less",
    "between": "between",
}
_STREAM: Final = re.compile(
    r"https://data\.chain\.link/streams/([a-z0-9]+)-usd(?:-twap-([0-9]+)s)?(?:-streams)?/?"
)
_CANDLE: Final = re.compile(r"https://www\.binance\.com/en/trade/([A-Z0-9]+)_USDT/?")


@dataclass(frozen=True, slots=True)
class Source:
    """`strike_type` in Kalshi's word, empty where the text says none; `twap_s`: seconds of the
    average that is published, 0: none is, None: of no stream."""

    index: Index
    strike_type: str = ""
    twap_s: int | None = None


def kalshi_source(rules: str) -> Source:
    """From `rules_primary`. Raises FeedError where that names no average of sixty seconds, or two
    indices."""
    names = sorted(set(_AVERAGE.findall(rules)))
    found = f"rules: found {rules[:SHOWN]!r}"
    if not names:
        raise FeedError(f"{found}, wanted an average of the sixty seconds of an index")
    try:
        indices = {index_of(name) for name in names}
    except AssetError as error:
        raise FeedError(f"rules: {error}") from error
    if len(indices) != 1:
        raise FeedError(f"rules: found {' and '.join(names)}, wanted one index")
    word = _COMPARE.search(rules)
    return Source(indices.pop(), STRIKE_TYPES[word[1]] if word else "")


def polymarket_source(address: str) -> Source:
    """From `resolutionSource`. Raises FeedError for one that is not known."""
    stream, candle = _STREAM.fullmatch(address), _CANDLE.fullmatch(address)
    try:
        if stream is not None:
            return Source(index_of(f"{stream[1]}usd"), twap_s=int(stream[2] or 0))
        if candle is not None:
            return Source(index_of(f"{candle[1]}USDT"))
    except AssetError as error:
        raise FeedError(f"resolutionSource: {error}") from error
    wanted = "wanted a stream of Chainlink or a pair of Binance"
    raise FeedError(f"resolutionSource: found {address[:SHOWN]!r}, {wanted}")


def agree(told: Source, index: str, strike_type: str = "") -> None:
    """Raises FeedError unless a market's texts say its series' index, and its own comparison."""
    wanted = index_of(index)
    if told.index != wanted:
        found = f"found {told.index.asset} of {told.index.source}"
        raise FeedError(f"source: {found}, wanted {wanted.asset} of {wanted.source}")
    if told.strike_type and strike_type and told.strike_type != strike_type:
        raise FeedError(f"strike_type: found {strike_type}, wanted {told.strike_type} of its rules")
