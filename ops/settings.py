"""What a run can be told: every section and key, how it is written, and its least and most.

There are no defaults here: the profiles hold every key with its meaning. A key's unit is part of
how it is written: dollars and contracts are decimal text ("0.01", never a float), durations carry
`_ms` or `_s`. What a key needs before it may change in a running engine stands beside it
(ops/reload.py).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ops.setting_kinds import (
    CONTRACTS,
    COUNT,
    DOLLARS,
    DOWN,
    EITHER,
    FACTOR,
    MS,
    NAMES,
    SECONDS,
    TIMES,
    UP,
    US,
    key,
)
from ops.strategy_settings import GROUP, STRATEGIES, Strategy

MARKETS = 7, 1_000  # on each venue of the seeded world: the least, and what the tables hold
INTERVALS = ("5m", "15m", "1h", "4h")
@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """When an edge is taken."""

    edge_min_e6: int = key("edge_min", DOLLARS, 0, 1, UP)
    hurdle_e6: int = key("hurdle", DOLLARS, 0, 1, UP)
    hurdle_year_e6: int = key("hurdle_year", FACTOR, 0, 10, UP)
    price_low_e6: int = key("price_low", DOLLARS, 0, 1, UP)
    price_high_e6: int = key("price_high", DOLLARS, 0, Decimal("0.999999"), DOWN)
    debounce_ns: int = key("debounce_ms", MS, 0, 60_000, UP)
    cooldown_ns: int = key("cooldown_ms", MS, 0, 3_600_000, UP)
    signal_age_max_ns: int = key("signal_age_max_ms", MS, 1, 10_000, DOWN)
    signal_age_pinned_ns: int = key("signal_age_pinned_ms", MS, 1, 10_000, DOWN)
    quote_age_max_ns: int = key("quote_age_max_s", SECONDS, 1, 1_000_000, DOWN)
    beat_max_ns: int = key("beat_max_ms", MS, 60, 10_000, DOWN)
    delay_max_ns: int = key("delay_max_ms", MS, 0, 60_000, DOWN)
    fair_move_e6: int = key("fair_move", FACTOR, 0, 1, EITHER)
    fair_every_ns: int = key("fair_every_ms", MS, 0, 60_000, EITHER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much; none of these can be unlimited."""

    size_max_e6: int = key("size_max", CONTRACTS, 1, 1_000_000, DOWN)
    order_max_e6: int = key("order_max", DOLLARS, 1, 1_000_000, DOWN)
    market_max_e6: int = key("market_max", DOLLARS, 1, 1_000_000, DOWN)
    event_max_e6: int = key("event_max", DOLLARS, 1, 1_000_000, DOWN)
    asset_max_e6: int = key("asset_max", DOLLARS, 1, 1_000_000, DOWN)
    venue_max_e6: int = key("venue_max", DOLLARS, 1, 1_000_000, DOWN)
    total_max_e6: int = key("total_max", DOLLARS, 1, 1_000_000, DOWN)
    day_max_e6: int = key("day_loss_max", DOLLARS, 1, 1_000_000, DOWN)
    unhedged_max_e6: int = key("unhedged_max", DOLLARS, 1, 1_000_000, DOWN)
    orders_per_second: int = key("orders_per_second", COUNT, 1, 1_000, DOWN)
    orders_per_minute: int = key("orders_per_minute", COUNT, 1, 60_000, DOWN)
    orders_per_day: int = key("orders_per_day", COUNT, 1, 1_000_000, DOWN)
    loss_cap_e6: int = key("unwind_loss_max", DOLLARS, Decimal("0.000001"), 1, DOWN)
    time_cap_ns: int = key("unwind_time_max_ms", MS, 1, 600_000, DOWN)
    mismatches_max: int = key("mismatches_max", COUNT, 1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What the engine refuses or makes smaller before the gateway looks."""

    liquidity_min_e6: int = key("liquidity_min", DOLLARS, 0, 1_000_000, UP)
    spread_max_e6: int = key("spread_max", DOLLARS, 0, 1, DOWN)
    intent_min_e6: int = key("intent_min", DOLLARS, 0, 100_000, UP)
    orders_per_market: int = key("orders_per_market", COUNT, 1, 1_000_000, DOWN)
    market_gap_ns: int = key("market_gap_ms", MS, 0, 3_600_000, UP)
    volatility_scaling: int = key("volatility_scaling", COUNT, 0, 1, UP)
    volatility_normal_e6: int = key("volatility_normal", FACTOR, 0, 100, DOWN)
    volatility_factor_e6: int = key("volatility_factor", FACTOR, 1, 100, DOWN)
    volatility_cut_e6: int = key("volatility_cut", FACTOR, 0, 1, UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """How long it waits for a venue, when it looks at one again, and how far a bet's fair value may
    be from its own reading."""

    connect_max_ns: int = key("connect_max_ms", MS, 50, 5_000)
    reply_max_ns: int = key("reply_max_ms", MS, 50, 5_000)
    circuit_failures: int = key("circuit_failures", COUNT, 1, 1_000)
    circuit_open_ns: int = key("circuit_open_ms", MS, 100, 60_000)
    drift_ns: int = key("drift_check_ms", MS, 1_000, 3_600_000)
    fair_off_e6: int = key("fair_off_max", DOLLARS, Decimal("0.001"), 1)
    formula_off_e6: int = key("formula_off_max", DOLLARS, Decimal("0.001"), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """How processes wait, start and come back."""

    spin_ns: int = key("spin_us", US, 0, 1_000)
    block_ns: int = key("block_ms", MS, 1, 40)
    cores_min: int = key("pin_from_cores", COUNT, 2, 1_024)
    restarts_max: int = key("restarts_max", COUNT, 0, 1_000)
    restart_window_ns: int = key("restart_window_s", SECONDS, 1, 86_400)
    backoff_ns: int = key("backoff_ms", MS, 1, 60_000)
    backoff_max_ns: int = key("backoff_max_ms", MS, 1, 600_000)
    ready_max_ns: int = key("ready_max_s", SECONDS, 1, 600)
    hang_max_ns: int = key("hang_max_ms", MS, 500, 600_000)
    trust_max_ns: int = key("trust_max_s", SECONDS, 1, 600)
    stop_max_ns: int = key("stop_max_s", SECONDS, 1, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """How market data is fetched."""

    lanes: int = key("lanes", COUNT, 1, 4)
    poll_after_ns: int = key("poll_after_ms", MS, 100, 600_000)
    rtds: int = key("rtds", COUNT, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadman:
    """What the venues themselves do when we run away or fall silent."""

    group_max_e6: int = key("kalshi_group_max", CONTRACTS, 0, 10_000_000)
    heartbeat_ns: int = key("polymarket_heartbeat_ms", MS, 0, 5_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sim:
    """The simulated accounts and venues."""

    cash_kalshi_e6: int = key("cash_kalshi", DOLLARS, 0, 100_000_000)
    cash_polymarket_e6: int = key("cash_polymarket", DOLLARS, 0, 100_000_000)
    reply_delay_ns: int = key("reply_delay_us", US, 0, 10_000_000)
    kalshi_read_lag_ns: int = key("kalshi_read_lag_ms", MS, 0, 10_000)
    markets: int = key("markets", COUNT, *MARKETS)
    sets: int = key("sets", COUNT, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """Accounts and distances of the mode `paper`: measured round trips of an order, one is drawn
    for each.
    """

    cash_kalshi_e6: int = key("cash_kalshi", DOLLARS, 0, 100_000_000)
    cash_polymarket_e6: int = key("cash_polymarket", DOLLARS, 0, 100_000_000)
    latency_kalshi_ns: tuple[int, ...] = key("latency_kalshi_ms", TIMES, 1, 10_000)
    latency_polymarket_ns: tuple[int, ...] = key("latency_polymarket_ms", TIMES, 1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """The spot exchanges beside Coinbase."""

    binance: int = key("binance", COUNT, 0, 1)
    kraken: int = key("kraken", COUNT, 0, 1)
    coingecko: int = key("coingecko", COUNT, 0, 1)
    us_address: int = key("us_address", COUNT, 0, 1)
    coingecko_paid: int = key("coingecko_paid", COUNT, 0, 1)
    coingecko_ttl_ns: int = key("coingecko_ttl_ms", MS, 100, 600_000)
    coingecko_slow_ns: int = key("coingecko_slow_ms", MS, 100, 3_600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Updown:
    """Which windowed markets are followed: symbols, and lengths of INTERVALS."""

    assets: tuple[str, ...] = key("assets", NAMES, 0, 10)
    intervals: tuple[str, ...] = key("intervals", NAMES, 0, 4)
    bets: int = key("bets", COUNT, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fair:
    """What is laid over the model's chances (engine/tilt.py); `extremes` as ops/extremes.py
    reads them.
    """

    market_share_e6: int = key("market_share", FACTOR, 0, 1)
    time_counted_twice: int = key("time_counted_twice", COUNT, 0, 1)
    extremes: tuple[str, ...] = key("extremes", NAMES, 0, 50)
    extremes_days: int = key("extremes_days", COUNT, 1, 3_650)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What ops/assets.py knows."""

    tracked: tuple[str, ...] = key("tracked", NAMES, 1, 50)
    others: tuple[str, ...] = key("others", NAMES, 0, 100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run is told. `profile` and `files` say where it came from."""

    profile: str
    files: tuple[str, ...]
    edge: Edge
    limits: Limits
    risk: Risk
    gateway: Gateway
    processes: Processes
    feeds: Feeds
    deadman: Deadman
    sim: Sim
    paper: Paper
    spot: Spot
    updown: Updown
    fair: Fair
    assets: Tracked
    strategies: Mapping[str, Strategy]  # by name, in the order of ops/strategy_settings.py


SECTIONS: dict[str, type[Any]] = {
    "edge": Edge,
    "limits": Limits,
    "risk": Risk,
    "gateway": Gateway,
    "processes": Processes,
    "feeds": Feeds,
    "deadman": Deadman,
    "sim": Sim,
    "paper": Paper,
    "spot": Spot,
    "updown": Updown,
    "fair": Fair,
    "assets": Tracked,
    **{f"{GROUP}.{name}": kind for name, kind in STRATEGIES.items()},
}


def keys_of(section: str) -> dict[str, dataclasses.Field[Any]]:
    """Keys of a section as files have them, with their entries."""
    return {entry.metadata["key"]: entry for entry in dataclasses.fields(SECTIONS[section])}


def entry_of(section: str, key: str) -> dataclasses.Field[Any]:
    """One setting by its key in the file."""
    return keys_of(section)[key]


def built(values: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """The sections of Settings from the value of each key, by section and key."""
    found: dict[str, Any] = {GROUP: {}}
    for section, kind in SECTIONS.items():
        made = kind(**{
            entry.name: values[section, entry.metadata["key"]]
            for entry in dataclasses.fields(kind)
            if (section, entry.metadata["key"]) in values
        })  # fmt: skip
        group, _, name = section.partition(".")
        if name:
            found[group][name] = made
        else:
            found[section] = made
    return found
