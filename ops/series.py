"""Series of windowed markets: where the next window begins, what it is called, and which two
windows pair. Pure; the table is ops/series.toml.

Times are seconds of UTC. New York's clock decides some names and some beginnings, so it is asked
here and nowhere else: the hour that comes twice in November has one name for two windows.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

TABLE = Path(__file__).resolve().parent / "series.toml"
EASTERN: Final = ZoneInfo("America/New_York")
LENGTHS_S: Final = {"5m": 300, "15m": 900, "1h": 3_600, "4h": 14_400}
NAMES: Final = {"btc": "bitcoin", "eth": "ethereum", "sol": "solana", "xrp": "xrp"}
WORDS: Final = {
    "venue": ("kalshi", "polymarket"),
    "find": ("slug", "series"),
    "grid": ("utc", "eastern"),
    "strike": ("venue", "tick"),
}
_SERIES_KEYS = {*WORDS, "intervals", "ticker", "assets"}
_PAIR_KEYS = {"a", "b", "interval", "assets", "dead_zone", "approved"}


class SeriesError(Exception):
    """The table is not what it must be: names the entry, what was found, what was wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Windows of one length, asset and venue. `index`: what they settle on, as its feed has it."""

    venue: str
    asset: str
    interval: str
    find: str
    grid: str
    strike: str
    ticker: str
    index: str

    @property
    def name(self) -> str:
        """As people call it, and what a proposal names."""
        return f"{self.venue} {self.asset} {self.interval}"

    @property
    def length_s(self) -> int:
        """Of a window whose day has 24 hours."""
        return LENGTHS_S[self.interval]

    @property
    def settles_s(self) -> int:
        """So long after its close a window has settled: Kalshi's after 17 s, Polymarket's after 90,
        its hourly ones, which people propose, after 13 minutes (kalshi.md 15, polymarket.md 15)."""
        return 1_800 if self.interval == "1h" else 300

    def begins(self, at_s: int) -> int:
        """The beginning of the window that contains `at_s`."""
        if self.grid == "utc":
            return at_s - at_s % self.length_s
        wall = datetime.datetime.fromtimestamp(at_s, EASTERN)
        hours = self.length_s // 3_600
        if hours == 1:
            return at_s - at_s % 3_600  # Eastern hours are UTC hours, also on the odd days
        start = wall.replace(hour=wall.hour // hours * hours, minute=0, second=0, fold=0)
        return int(start.timestamp())

    def ends(self, open_s: int) -> int:
        """The end of the window that begins at `open_s`, which is the next one's beginning."""
        if self.grid == "utc" or self.interval == "1h":
            return open_s + self.length_s
        wall = datetime.datetime.fromtimestamp(open_s, EASTERN).replace(tzinfo=None)
        later = wall + datetime.timedelta(seconds=self.length_s)
        return int(later.replace(tzinfo=EASTERN).timestamp())

    def windows(self, now_s: int, ahead_s: int) -> Iterator[tuple[int, int]]:
        """(beginning, end) of the window that is open and of those that open within `ahead_s`."""
        open_s = self.begins(now_s)
        while open_s <= now_s + ahead_s:
            close_s = self.ends(open_s)
            yield open_s, close_s
            open_s = close_s

    def slug(self, open_s: int) -> str:
        """The name of the window that begins then (of Kalshi: of its series). "": its name is also
        that of another window, so it cannot be asked for by it."""
        wall = datetime.datetime.fromtimestamp(open_s, EASTERN)
        if "{hour12}" in self.ticker and wall.fold:
            return ""
        return self.ticker.format(
            ASSET=self.asset.upper(), asset=self.asset, name=NAMES[self.asset],
            interval=self.interval, open_s=open_s, month=wall.strftime("%B").lower(), day=wall.day,
            year=wall.year, hour12=f"{wall.hour % 12 or 12}{'am' if wall.hour < 12 else 'pm'}",
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Two series whose windows of one beginning pair."""

    a: Series
    b: Series
    has_dead_zone: bool
    is_approved: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The whole registry."""

    series: tuple[Series, ...]
    pairings: tuple[Pairing, ...]

    def find(self, name: str) -> Series | None:
        """A series by its name."""
        return next((one for one in self.series if one.name == name), None)

    def of(self, venue: str, ticker: str, open_s: int) -> Series | None:
        """The series of the window of this name that begins then. None: it is of none."""
        for one in self.series:
            name = one.slug(open_s) if one.venue == venue else ""
            head = f"{name}-" if one.find == "series" else name
            if name and (ticker.startswith(head) if one.find == "series" else ticker == name):
                return one
        return None

    def chosen(self, assets: tuple[str, ...] = (), intervals: tuple[str, ...] = ()) -> Table:
        """Only these assets and lengths (empty: all of them), and the pairs that are left."""
        return self.only(
            lambda one: (
                (not assets or one.asset in assets) and (not intervals or one.interval in intervals)
            )
        )

    def only(self, holds: Callable[[Series], bool]) -> Table:
        """The series that this holds for, and the pairs of which both are left."""
        kept = tuple(one for one in self.series if holds(one))
        both = tuple(pair for pair in self.pairings if pair.a in kept and pair.b in kept)
        return Table(kept, both)


NO_SERIES: Final = Table((), ())


def load(path: Path = TABLE) -> Table:
    """Raises SeriesError with one line: file, entry, found, wanted."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SeriesError(f"{path}: {error}") from error
    _keys(path.name, told, {"series", "pair"})
    series: dict[tuple[str, str, str], Series] = {}
    for number, entry in enumerate(_entries(path.name, told, "series")):
        for one in _series(f"{path.name}: series {number + 1}", entry):
            key = one.venue, one.asset, one.interval
            if key in series:
                raise SeriesError(f"{path.name}: series {number + 1}: found {one.name} twice")
            series[key] = one
    pairings = [
        one
        for number, entry in enumerate(_entries(path.name, told, "pair"))
        for one in _pairings(f"{path.name}: pair {number + 1}", entry, series)
    ]
    return Table(tuple(series.values()), tuple(pairings))


def _entries(name: str, told: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = told.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise SeriesError(f"{name}: {key}: found {found!r}, wanted tables as [[{key}]]")
    return found


def _keys(where: str, entry: Mapping[str, Any], wanted: set[str]) -> None:
    for key in entry.keys() - wanted:
        raise SeriesError(f"{where}: found the key {key!r}, wanted {', '.join(sorted(wanted))}")


def _all_keys(where: str, entry: Mapping[str, Any], wanted: set[str]) -> None:
    _keys(where, entry, wanted)
    for key in sorted(wanted - entry.keys()):
        raise SeriesError(f"{where}: {key}: found nothing, wanted a value")


def _series(where: str, entry: dict[str, Any]) -> Iterator[Series]:
    _all_keys(where, entry, _SERIES_KEYS)
    for key, words in WORDS.items():
        if entry[key] not in words:
            raise SeriesError(f"{where}: {key}: found {entry[key]!r}, wanted {' or '.join(words)}")
    intervals, assets = entry["intervals"], entry["assets"]
    if not isinstance(intervals, list) or not _texts(intervals) <= LENGTHS_S.keys():
        wanted = f"some of {', '.join(LENGTHS_S)}"
        raise SeriesError(f"{where}: intervals: found {intervals!r}, wanted {wanted}")
    is_named = isinstance(assets, dict) and assets.keys() <= NAMES.keys()
    if not is_named or "" in _texts(list(assets.values())):
        wanted = f"some of {', '.join(NAMES)} with their index"
        raise SeriesError(f"{where}: assets: found {assets!r}, wanted {wanted}")
    if not isinstance(entry["ticker"], str):
        raise SeriesError(f"{where}: ticker: found {entry['ticker']!r}, wanted a text")
    common = {key: entry[key] for key in (*WORDS, "ticker")}
    for interval in intervals:
        for asset, index in assets.items():
            made = Series(asset=asset, interval=interval, index=index, **common)
            try:
                made.slug(0)
            except (KeyError, ValueError, IndexError, AttributeError) as error:
                found = f"found {made.ticker!r}, wanted known names: {error}"
                raise SeriesError(f"{where}: ticker: {found}") from None
            yield made


def _texts(found: list[Any]) -> set[str]:
    """The texts of a list; {""}: not all of it are texts."""
    return set(found) if all(isinstance(each, str) for each in found) else {""}


def _pairings(
    where: str, entry: dict[str, Any], series: Mapping[tuple[str, str, str], Series]
) -> Iterator[Pairing]:
    _all_keys(where, entry, _PAIR_KEYS)
    for key in ("dead_zone", "approved"):
        if not isinstance(entry[key], bool):
            raise SeriesError(f"{where}: {key}: found {entry[key]!r}, wanted true or false")
    if not isinstance(entry["assets"], list):
        raise SeriesError(f"{where}: assets: found {entry['assets']!r}, wanted a list")
    for asset in entry["assets"]:
        legs = []
        for key in ("a", "b"):
            leg = series.get((str(entry[key]), str(asset), str(entry["interval"])))
            if leg is None:
                found = f"found {entry[key]!r} {asset!r} {entry['interval']!r}"
                raise SeriesError(f"{where}: {key}: {found}, wanted a series of this file")
            legs.append(leg)
        if legs[0].venue == legs[1].venue:
            raise SeriesError(f"{where}: found {entry['a']!r} twice, wanted two venues")
        yield Pairing(a=legs[0], b=legs[1], has_dead_zone=entry["dead_zone"],
                      is_approved=entry["approved"])  # fmt: skip
