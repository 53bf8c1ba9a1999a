"""Settings: a complete profile, overlaid by --config FILE, overlaid by ARB_SECTION_KEY variables.

The profiles beside this file (`profiles/*.toml`) hold every key with its meaning; there are no
defaults in code. A key's unit is part of how it is written: dollars and contracts are decimal text
("0.01", never a float), durations carry `_ms` or `_s`. Only this module reads files and the
environment.
"""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from ops.clock import MS_NS, SECOND_NS
from ops.desk_limits import desk_params

PROFILES = Path(__file__).resolve().parent / "profiles"
MARKETS = 7, 1_000  # on each venue of the seeded world: the least, and what the tables hold
_DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)


class ConfigError(Exception):
    """A setting is not what it must be. Names file, key, what was found, what was wanted."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How a key is written, and what one unit of it is in the setting's own integer."""

    wanted: str
    unit: int
    is_text: bool = False


DOLLARS = Kind('dollars as decimal text such as "0.01"', 1_000_000, True)
CONTRACTS = Kind('contracts as decimal text such as "100"', 1_000_000, True)
FACTOR = Kind('a number as decimal text such as "1.0"', 1_000_000, True)
MS = Kind("whole milliseconds", MS_NS)
SECONDS = Kind("whole seconds", SECOND_NS)
US = Kind("whole microseconds", 1_000)
COUNT = Kind("a whole number", 1)


def _key(key: str, kind: Kind, low: int, high: int) -> Any:
    """One setting: its key in the file, how it is written, the least and the most in file units."""
    return dataclasses.field(metadata={"key": key, "kind": kind, "low": low, "high": high})


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """When an edge is taken."""

    edge_min_e6: int = _key("edge_min", DOLLARS, 0, 1)
    hurdle_e6: int = _key("hurdle", DOLLARS, 0, 1)
    hurdle_year_e6: int = _key("hurdle_year", FACTOR, 0, 10)
    price_low_e6: int = _key("price_low", DOLLARS, 0, 1)
    price_high_e6: int = _key("price_high", DOLLARS, 0, 1)
    debounce_ns: int = _key("debounce_ms", MS, 0, 60_000)
    cooldown_ns: int = _key("cooldown_ms", MS, 0, 3_600_000)
    signal_age_max_ns: int = _key("signal_age_max_ms", MS, 1, 10_000)
    signal_age_pinned_ns: int = _key("signal_age_pinned_ms", MS, 1, 10_000)
    quote_age_max_ns: int = _key("quote_age_max_s", SECONDS, 1, 1_000_000)
    beat_max_ns: int = _key("beat_max_ms", MS, 60, 10_000)
    delay_max_ns: int = _key("delay_max_ms", MS, 0, 60_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much; none of these can be unlimited."""

    size_max_e6: int = _key("size_max", CONTRACTS, 1, 1_000_000)
    order_max_e6: int = _key("order_max", DOLLARS, 1, 10_000_000)
    market_max_e6: int = _key("market_max", DOLLARS, 1, 10_000_000)
    event_max_e6: int = _key("event_max", DOLLARS, 1, 10_000_000)
    asset_max_e6: int = _key("asset_max", DOLLARS, 1, 10_000_000)
    venue_max_e6: int = _key("venue_max", DOLLARS, 1, 10_000_000)
    total_max_e6: int = _key("total_max", DOLLARS, 1, 10_000_000)
    day_max_e6: int = _key("day_loss_max", DOLLARS, 1, 10_000_000)
    unhedged_max_e6: int = _key("unhedged_max", DOLLARS, 1, 10_000_000)
    orders_per_second: int = _key("orders_per_second", COUNT, 1, 1_000)
    orders_per_minute: int = _key("orders_per_minute", COUNT, 1, 60_000)
    orders_per_day: int = _key("orders_per_day", COUNT, 1, 10_000_000)
    loss_cap_e6: int = _key("unwind_loss_max", DOLLARS, 0, 100_000)
    time_cap_ns: int = _key("unwind_time_max_ms", MS, 1, 600_000)
    mismatches_max: int = _key("mismatches_max", COUNT, 1, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """What the engine refuses or makes smaller before the gateway looks."""

    confidence_min_e6: int = _key("confidence_min", FACTOR, 0, 1)
    liquidity_min_e6: int = _key("liquidity_min", DOLLARS, 0, 1_000_000)
    spread_max_e6: int = _key("spread_max", DOLLARS, 0, 1)
    intent_min_e6: int = _key("intent_min", DOLLARS, 0, 100_000)
    orders_per_market: int = _key("orders_per_market", COUNT, 1, 1_000_000)
    market_gap_ns: int = _key("market_gap_ms", MS, 0, 3_600_000)
    volatility_scaling: int = _key("volatility_scaling", COUNT, 0, 1)
    volatility_normal_e6: int = _key("volatility_normal", FACTOR, 0, 100)
    volatility_factor_e6: int = _key("volatility_factor", FACTOR, 1, 100)
    volatility_cut_e6: int = _key("volatility_cut", FACTOR, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """How long it waits for a venue, and when it looks at one again."""

    connect_max_ns: int = _key("connect_max_ms", MS, 50, 5_000)
    reply_max_ns: int = _key("reply_max_ms", MS, 50, 5_000)
    circuit_failures: int = _key("circuit_failures", COUNT, 1, 1_000)
    circuit_open_ns: int = _key("circuit_open_ms", MS, 100, 60_000)
    drift_ns: int = _key("drift_check_ms", MS, 1_000, 3_600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """How processes wait, start and come back."""

    spin_ns: int = _key("spin_us", US, 0, 1_000)
    block_ns: int = _key("block_ms", MS, 1, 40)
    cores_min: int = _key("pin_from_cores", COUNT, 2, 1_024)
    restarts_max: int = _key("restarts_max", COUNT, 0, 1_000)
    restart_window_ns: int = _key("restart_window_s", SECONDS, 1, 86_400)
    backoff_ns: int = _key("backoff_ms", MS, 1, 60_000)
    backoff_max_ns: int = _key("backoff_max_ms", MS, 1, 600_000)
    ready_max_ns: int = _key("ready_max_s", SECONDS, 1, 600)
    hang_max_ns: int = _key("hang_max_ms", MS, 500, 600_000)
    trust_max_ns: int = _key("trust_max_s", SECONDS, 1, 600)
    stop_max_ns: int = _key("stop_max_s", SECONDS, 1, 60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """How market data is fetched."""

    lanes: int = _key("lanes", COUNT, 1, 4)
    poll_after_ns: int = _key("poll_after_ms", MS, 100, 600_000)
    rtds: int = _key("rtds", COUNT, 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadman:
    """What the venues themselves do when we run away or fall silent."""

    group_max_e6: int = _key("kalshi_group_max", CONTRACTS, 0, 10_000_000)
    heartbeat_ns: int = _key("polymarket_heartbeat_ms", MS, 0, 5_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sim:
    """The simulated accounts and venues."""

    cash_kalshi_e6: int = _key("cash_kalshi", DOLLARS, 0, 100_000_000)
    cash_polymarket_e6: int = _key("cash_polymarket", DOLLARS, 0, 100_000_000)
    reply_delay_ns: int = _key("reply_delay_us", US, 0, 10_000_000)
    kalshi_read_lag_ns: int = _key("kalshi_read_lag_ms", MS, 0, 10_000)
    markets: int = _key("markets", COUNT, *MARKETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """The spot exchanges beside Coinbase."""

    binance: int = _key("binance", COUNT, 0, 1)
    kraken: int = _key("kraken", COUNT, 0, 1)
    coingecko: int = _key("coingecko", COUNT, 0, 1)
    us_address: int = _key("us_address", COUNT, 0, 1)
    coingecko_paid: int = _key("coingecko_paid", COUNT, 0, 1)
    coingecko_ttl_ns: int = _key("coingecko_ttl_ms", MS, 100, 600_000)
    coingecko_slow_ns: int = _key("coingecko_slow_ms", MS, 100, 3_600_000)


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
    spot: Spot


SECTIONS: dict[str, type[Any]] = {
    "edge": Edge,
    "limits": Limits,
    "risk": Risk,
    "gateway": Gateway,
    "processes": Processes,
    "feeds": Feeds,
    "deadman": Deadman,
    "sim": Sim,
    "spot": Spot,
}


def profiles() -> list[str]:
    """Names of the profiles that come with the program."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def load(
    profile: str, config: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings of `profile`, then `config`, then variables ARB_SECTION_KEY. Raises ConfigError."""
    path = PROFILES / f"{profile}.toml"
    if profile not in profiles():
        raise ConfigError(f"profile: found {profile!r}, wanted one of {', '.join(profiles())}")
    values = _checked(str(path), _read(path))
    for section, kind in SECTIONS.items():
        for entry in dataclasses.fields(kind):
            if entry.name not in values.get(section, {}):
                key = entry.metadata["key"]
                raise ConfigError(f"{path}: {section}.{key}: missing: a profile is complete")
    files = [str(path)]
    if config is not None:
        _overlay(values, _checked(str(config), _read(config)))
        files.append(str(config))
    _overlay(values, _from_environment(environment or {}))
    built = {section: kind(**values[section]) for section, kind in SECTIONS.items()}
    settings = Settings(profile=profile, files=tuple(files), **built)
    _check_together(settings)
    return settings


def _check_together(settings: Settings) -> None:
    """What no single key can show."""
    where = " + ".join(settings.files)
    edge, limits = settings.edge, settings.limits
    if edge.price_low_e6 >= edge.price_high_e6:
        raise ConfigError(f"{where}: edge.price_low: not below edge.price_high")
    if limits.total_max_e6 < limits.market_max_e6:
        raise ConfigError(f"{where}: limits.total_max: below limits.market_max")
    try:
        desk_params(settings)
    except ValueError as error:
        raise ConfigError(f"{where}: {_in_file_keys(str(error))}") from error
    processes = settings.processes
    if processes.backoff_max_ns < processes.backoff_ns:
        raise ConfigError(f"{where}: processes.backoff_max_ms: below processes.backoff_ms")


def _in_file_keys(text: str) -> str:
    """A complaint of the desk with its fields named as the file names them."""
    for section, kind in SECTIONS.items():
        for entry in dataclasses.fields(kind):
            name = f"{section}.{entry.metadata['key']}"
            text = re.sub(rf"\b{entry.name}\b", name, text)
    return text


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error


def _checked(where: str, found: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """File keys and units to setting names and integers."""
    values: dict[str, dict[str, int]] = {}
    for section, keys in found.items():
        if section not in SECTIONS:
            wanted = ", ".join(f"[{name}]" for name in SECTIONS)
            raise ConfigError(f"{where}: {section}: unknown section, wanted one of {wanted}")
        if not isinstance(keys, dict):
            raise ConfigError(f"{where}: {section}: found {keys!r}, wanted a section [{section}]")
        known = {entry.metadata["key"]: entry for entry in dataclasses.fields(SECTIONS[section])}
        values[section] = {}
        for key, value in keys.items():
            if key not in known:
                raise ConfigError(
                    f"{where}: {section}.{key}: unknown key, wanted one of {', '.join(known)}"
                )
            values[section][known[key].name] = _number(
                f"{where}: {section}.{key}", known[key], value
            )
    return values


def _number(where: str, entry: dataclasses.Field[Any], found: object) -> int:
    kind: Kind = entry.metadata["kind"]
    low, high = entry.metadata["low"], entry.metadata["high"]
    wanted = f"{kind.wanted}, from {low} to {high}"
    if kind.is_text:
        if not isinstance(found, str) or _DECIMAL.fullmatch(found) is None:
            raise ConfigError(f"{where}: found {found!r}, wanted {wanted}")
        value = int(Decimal(found) * kind.unit)
    else:
        if not isinstance(found, int) or isinstance(found, bool):
            raise ConfigError(f"{where}: found {found!r}, wanted {wanted}")
        value = found * kind.unit
    if not low * kind.unit <= value <= high * kind.unit:
        raise ConfigError(f"{where}: found {found!r}, wanted {wanted}")
    return value


def _from_environment(environment: Mapping[str, str]) -> dict[str, dict[str, int]]:
    """ARB_LIMITS_SIZE_MAX=50 is [limits] size_max = "50"."""
    found: dict[str, dict[str, Any]] = {}
    for name, text in environment.items():
        parts = name.lower().split("_", 2)
        if len(parts) != 3 or parts[0] != "arb" or parts[1] not in SECTIONS:
            continue
        _, section, key = parts
        known = {
            e.metadata["key"]: e.metadata["kind"] for e in dataclasses.fields(SECTIONS[section])
        }
        is_number = key in known and not known[key].is_text and re.fullmatch("[0-9]{1,18}", text)
        found.setdefault(section, {})[key] = int(text) if is_number else text
    return _checked("environment", found)


def _overlay(values: dict[str, dict[str, int]], over: Mapping[str, Mapping[str, int]]) -> None:
    for section, keys in over.items():
        values[section].update(keys)
