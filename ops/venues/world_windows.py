"""Windowed crypto markets of the seeded world: specs of the next few windows of each series.

Kalshi's 15-minute chain asks whether the mean of the last minute is at least that of the window
before; Polymarket's windows of 5 and 15 minutes and of 4 hours whether the TWAP at the end is at
least that at the start. Both ties go up (kalshi.md 15 and 16, polymarket.md 15). Names are those of
autumn 2026.
So many windows of each series are listed at any time; when one closes, the next one is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ops.venues.indices import WINDOW_S
from ops.venues.kalshi_exchange import EASTERN
from ops.venues.numerals import SECOND_NS
from ops.venues.script import MarketSpec
from ops.venues.world_cast import (
    BTC,
    CRYPTO_SHARD,
    ETH,
    SPOT_E8,
    TAPERED_DECI_CENT,
    kalshi_market,
    kalshi_ticker,
    polymarket_market,
)

WINDOWS = 4  # of each series: an hour of 15-minute windows
CF_INDEX = {BTC: "BRTI", ETH: "ETHUSD_RTI"}
CHAINLINK = {BTC: "btcusd", ETH: "ethusd"}
ROUND_DIGITS = 2  # of BTC and ETH (spot.md 6.2)
_NAMES = {BTC: ("btc", "Bitcoin"), ETH: ("eth", "Ethereum")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Windows of one length that follow each other without a gap."""

    venue: str
    product: str
    length_s: int


PLAYED = {"btc": BTC, "eth": ETH}  # coins that windows are played of
LENGTHS_S = {"15m": 900, "5m": 300, "4h": 14_400}
_LISTED = (("kalshi", "15m"), ("polymarket", "15m"), ("polymarket", "5m"), ("polymarket", "4h"))


def series_of(assets: Iterable[str], intervals: Iterable[str]) -> tuple[Series, ...]:
    """The series of these coins (of PLAYED) and lengths (of LENGTHS_S) that the venues list; of
    others there are none.
    """
    lengths = tuple(intervals)
    return tuple(
        Series(venue=venue, product=PLAYED[asset], length_s=LENGTHS_S[interval])
        for asset in assets
        if asset in PLAYED
        for venue, interval in _LISTED
        if interval in lengths
    )


SERIES = series_of(["btc"], ("15m", "5m"))


def listed(
    begin_epoch_ns: int, windows: int, chosen: Iterable[Series] = SERIES
) -> tuple[MarketSpec, ...]:
    """The next `windows` of each series that have their whole last minute after the beginning.

    One that is open at the beginning has a strike: the anchor of its index. The strikes of the
    others are known when they open.
    """
    return tuple(
        _spec(series, close_s, begin_epoch_ns)
        for series in chosen
        for close_s in _closes(series, begin_epoch_ns, windows)
    )


def next_of(spec: MarketSpec, windows: int, begin_epoch_ns: int) -> MarketSpec:
    """What is listed when a window closes: so many windows later of its series."""
    length_s = (spec.close_epoch_ns - spec.open_epoch_ns) // SECOND_NS
    indices = CF_INDEX if spec.venue == "kalshi" else CHAINLINK
    product = next(product for product, index in indices.items() if index == spec.index)
    series = Series(venue=spec.venue, product=product, length_s=length_s)
    close_s = spec.close_epoch_ns // SECOND_NS + windows * series.length_s
    return _spec(series, close_s, begin_epoch_ns)


def _closes(series: Series, begin_epoch_ns: int, windows: int) -> list[int]:
    """Those of 4 hours lie on midnight in New York, whose clock at the beginning counts."""
    whole_s = -(-begin_epoch_ns // SECOND_NS) + WINDOW_S
    ahead_s = 0
    if series.length_s == LENGTHS_S["4h"]:
        ahead = datetime.fromtimestamp(whole_s, EASTERN).utcoffset()
        assert ahead is not None
        ahead_s = int(ahead.total_seconds())
    first = -(-(whole_s + ahead_s) // series.length_s) * series.length_s - ahead_s
    return [first + number * series.length_s for number in range(windows)]


def _spec(series: Series, close_s: int, begin_epoch_ns: int) -> MarketSpec:
    open_s = close_s - series.length_s
    is_open = open_s * SECOND_NS <= begin_epoch_ns
    coin, name = _NAMES[series.product]
    common: dict[str, Any] = {
        "open_epoch_ns": open_s * SECOND_NS,
        "close_epoch_ns": close_s * SECOND_NS,
        "strike_e8": SPOT_E8[series.product] if is_open else None,
    }
    if series.venue == "polymarket":
        minutes, hours = series.length_s // 60, series.length_s // 3_600
        short, length = f"{minutes}m", f"{minutes} minutes"
        delay_ns = 0 if series.length_s == LENGTHS_S["4h"] else 150_000_000  # polymarket.md 8
        if hours:
            short, length = f"{hours}h", f"{hours} hours"
        return polymarket_market(
            f"{coin}-updown-{short}-{open_s}", f"{name} Up or Down - {length}", 10_000,
            70_000, taker_delay_ns=delay_ns, index=CHAINLINK[series.product],
            twap_ns=WINDOW_S * SECOND_NS, outcomes=("Up", "Down"), **common,
        )  # fmt: skip
    return kalshi_market(
        kalshi_ticker(f"KX{coin.upper()}15M", close_s),
        f"{coin.upper()} price up in next 15 mins?", TAPERED_DECI_CENT,
        CRYPTO_SHARD, index=CF_INDEX[series.product], strike_type="greater_or_equal",
        round_digits=ROUND_DIGITS, status="active" if is_open else "initialized", **common,
    )  # fmt: skip
