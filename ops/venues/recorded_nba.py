"""Recorded data of format `dual_nba_mvp_l2`: one event at Kalshi and Polymarket, book changes.

CSV files `Kalshi_<name>`, `Polymarket_<name>_YES`, `Polymarket_<name>_NO` with the columns
`timestamp, event_type, price, side, size, best_bid, best_ask`, and one JSON that maps token ids to
Kalshi tickers. What the files say, and what is done about it:

- Kalshi `book` rows hold the best level only and no time: they replace the book at the time of the
  next timed row of that file (the recorder had just connected). Deeper levels are unknown, so a
  change below zero empties the level (`level_below_zero`).
- A Polymarket `book` row holds the best level only as well. Its stamp is that of the last change of
  the book: if it equals the stamp of the row before it, nothing was missed (Polymarket sends the
  book again after each trade), so the touch is set and the deeper levels stand (`book_refreshed`).
  Else it replaces the book (`book_replaced`). Replacing always would leave 1,170 of 12,258 best
  bids of one file below the venue's own `best_bid`; this way it is 11.
- The NO file is the mirror of the YES file: only its trades are used, its rows are compared
  (`mirror_disagreements`).
- Times are cut to whole ms and rows are sorted by them, stably: rows of one ms keep the order of
  their file, and of two files the one read first comes first (`out_of_order` counts rows moved).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ops.venues.recorded_lines import RecordingError, lines
from ops.venues.recorded_nba_rows import COLUMNS, Row, RowReader
from ops.venues.recorded_script import Recording
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    Event,
    Level,
    LevelSet,
    MarketSpec,
    MarketTrade,
    PairSpec,
)

_MAPPING_KEYS = ("ASSET_ID_MAPPING", "POLYMARKET_KALSHI_MAPPING")
_CENT_E6 = 10_000
_MS_NS = 1_000_000


class _Facts(NamedTuple):
    """What the files do not tell about one event. Slugs and titles are ours."""

    title: str
    slug: str
    tick_e6: int  # Polymarket; Kalshi is linear_cent


_FACTS = {
    "KXNBAMVP-26-NJOK": _Facts("Nikola Jokic NBA MVP 2025-26", "nba-mvp-2026-nikola-jokic", 10_000),
    "KXNBAMVP-26-LDON": _Facts("Luka Doncic NBA MVP 2025-26", "nba-mvp-2026-luka-doncic", 1_000),
    "KXNBAMVP-26-SGIL": _Facts(
        "Shai Gilgeous-Alexander NBA MVP 2025-26", "nba-mvp-2026-shai-gilgeous-alexander", 10_000
    ),
}
_OPEN_EPOCH_NS = 1_761_000_000 * 10**9  # 2025-10-20, before the data
_CLOSE_EPOCH_NS = 1_782_864_000 * 10**9  # 2026-07-01: the award is given before it


@dataclass(frozen=True, slots=True)
class _Names:
    """The three files of one event with the ids the mapping gives them."""

    name: str
    ticker: str
    token_yes: str
    token_no: str


class DualNbaMvp:
    """The format: recognised by the columns of its CSV files and the keys of its mapping."""

    name = "dual_nba_mvp_l2"

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether `folder` holds a mapping and at least one CSV file of these columns."""
        if _mapping_of(folder) is None:
            return False
        first = (next(lines(file), (0, b""))[1].strip() for file in _csv_files(folder))
        return any(line == COLUMNS for line in first)

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {file.name.split(".")[0]: file for file in _csv_files(folder)}
        self._rows = RowReader()
        self._counts: Counter[str] = Counter()

    def load(self) -> Recording:
        """Everything in the folder. RecordingError names file and line of what cannot be read."""
        markets: list[MarketSpec] = []
        pairs: list[PairSpec] = []
        events: list[Event] = []
        for names in self._names():
            kalshi, polymarket = _specs(names)
            pairs.append(
                PairSpec(
                    a_venue="kalshi", a_ticker=kalshi.ticker,
                    b_venue="polymarket", b_ticker=polymarket.ticker, hurdle_e6=0,
                )
            )  # fmt: skip
            events.extend(self._kalshi(names, len(markets)))
            events.extend(self._polymarket(names, len(markets) + 1))
            markets += (kalshi, polymarket)
        events.sort(key=lambda event: event.at_epoch_ns)
        counts = {**self._counts, **self._rows.counts}
        return Recording(self._folder, tuple(markets), tuple(pairs), (), events, counts)

    def _names(self) -> list[_Names]:
        path, mapping = _mapping_of(self._folder) or (self._folder, {})
        try:
            named = mapping[_MAPPING_KEYS[0]]["Polymarket"]
            assets = {name: token for token, name in named.items()}
            tickers = mapping[_MAPPING_KEYS[1]]
            names = [
                _Names(key[:-4], tickers[token], token, assets[key[:-4] + "_NO"])
                for key, token in assets.items()
                if key.endswith("_YES")
            ]
        except (KeyError, TypeError, AttributeError) as error:
            raise RecordingError(
                path, 0, f"no {error}", "token ids and tickers per event"
            ) from error
        found = []
        for each in names:
            wanted = _file_names(each.name)
            there = [name in self._files for name in wanted]
            if any(there) and not all(there):
                missing = wanted[there.index(False)]
                raise RecordingError(self._folder, 0, f"no {missing}.csv", "all files of an event")
            if all(there):
                found.append(each)
        if not found:
            raise RecordingError(self._folder, 0, "no event of the mapping", "its three CSV files")
        return found

    def _kalshi(self, names: _Names, market: int) -> list[Event]:
        path = self._files[_file_names(names.name)[0]]
        rows = self._timed(path, self._rows.kalshi(path, _CENT_E6))
        totals: dict[tuple[int, int], int] = {}
        events: list[Event] = []
        for row in rows:
            at_epoch_ns = (row.epoch_ms or 0) * _MS_NS
            if row.kind == "book":
                totals = {(side, price): size for side, price, size in row.levels}
                events.append(_book_set(at_epoch_ns, market, totals))
                continue
            ((side, price_e6, delta_e6),) = row.levels
            before = totals.get((side, price_e6), 0)
            after = before + delta_e6
            if after < 0:
                self._counts["level_below_zero"] += 1
                after = 0
            totals[side, price_e6] = after
            if before or after:  # else the level was unknown and stays so: no venue would say it
                events.append(LevelSet(at_epoch_ns, market, side, price_e6, after))
        return events

    def _timed(self, path: Path, rows: list[Row]) -> list[Row]:
        """Kalshi `book` rows with the time of the next timed row; of several in a row the last."""
        timed: list[Row] = []
        waiting: Row | None = None
        for row in rows:
            if row.epoch_ms is None:
                self._counts["book_without_time"] += 1
                waiting = row
                continue
            if waiting is not None:
                timed.append(Row(row.epoch_ms, "book", waiting.levels))
                waiting = None
            timed.append(row)
        if not timed:
            raise RecordingError(path, 0, "no row with a time", "at least one")
        return self._sorted(timed)

    def _polymarket(self, names: _Names, market: int) -> list[Event]:
        _, yes_name, no_name = _file_names(names.name)
        step_e6 = _facts(names.ticker).tick_e6
        yes = self._rows.polymarket(self._files[yes_name], step_e6)
        no = [_mirrored(row) for row in self._rows.polymarket(self._files[no_name], step_e6)]
        self._counts["mirror_disagreements"] += _disagreements(yes, no)
        trades = [row for row in no if row.kind == "trade"]
        return list(self._polymarket_events(self._sorted(yes), market)) + [
            _trade(row, market) for row in trades
        ]

    def _polymarket_events(self, rows: list[Row], market: int) -> Iterator[Event]:
        book: dict[tuple[int, int], int] = {}
        last_ms: int | None = None
        for row in rows:
            at_epoch_ns = (row.epoch_ms or 0) * _MS_NS
            if row.kind == "trade":
                yield _trade(row, market)
                continue
            if row.kind == "book":
                fresh = last_ms is None or row.epoch_ms != last_ms
                self._counts["book_replaced" if fresh else "book_refreshed"] += 1
                book = {} if fresh else _beyond(book, row.levels)
                book.update({(side, price): size for side, price, size in row.levels})
                yield _book_set(at_epoch_ns, market, book)
            else:
                ((side, price_e6, size_e6),) = row.levels
                book[side, price_e6] = size_e6
                yield LevelSet(at_epoch_ns, market, side, price_e6, size_e6)
            last_ms = row.epoch_ms

    def _sorted(self, rows: list[Row]) -> list[Row]:
        latest = 0
        for row in rows:
            self._counts["out_of_order"] += (row.epoch_ms or 0) < latest
            latest = max(latest, row.epoch_ms or 0)
        return sorted(rows, key=lambda row: row.epoch_ms or 0)


def _csv_files(folder: Path) -> list[Path]:
    return sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")])


def _mapping_of(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    for path in sorted(folder.glob("*.json")):
        try:
            mapping = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise RecordingError(path, error.lineno, "damaged or cut JSON", "all of it") from error
        if isinstance(mapping, dict) and all(key in mapping for key in _MAPPING_KEYS):
            return path, mapping
    return None


def _file_names(name: str) -> tuple[str, str, str]:
    return f"Kalshi_{name}", f"Polymarket_{name}_YES", f"Polymarket_{name}_NO"


def _facts(ticker: str) -> _Facts:
    return _FACTS.get(ticker, _Facts(ticker, ticker.lower(), _CENT_E6))


def _specs(names: _Names) -> tuple[MarketSpec, MarketSpec]:
    facts = _facts(names.ticker)
    event = names.ticker.rsplit("-", 1)[0]
    condition = sha256(f"condition of {names.token_yes} {names.token_no}".encode()).hexdigest()
    kalshi = MarketSpec(
        venue="kalshi", ticker=names.ticker, title=facts.title, event=event, fee_rate_e6=70_000,
        open_epoch_ns=_OPEN_EPOCH_NS, close_epoch_ns=_CLOSE_EPOCH_NS,
    )  # fmt: skip
    polymarket = MarketSpec(
        venue="polymarket", ticker=facts.slug, title=facts.title, event=event,
        condition_id=f"0x{condition}", token_yes=names.token_yes, token_no=names.token_no,
        price_ranges=((0, 1_000_000, facts.tick_e6),), size_min_e6=5_000_000, neg_risk=True,
        fee_kind="polymarket", fee_rate_e6=50_000,
        open_epoch_ns=_OPEN_EPOCH_NS, close_epoch_ns=_CLOSE_EPOCH_NS,
    )  # fmt: skip
    return kalshi, polymarket


def _book_set(at_epoch_ns: int, market: int, book: dict[tuple[int, int], int]) -> BookSet:
    def levels(side: int) -> tuple[Level, ...]:
        found = [(price, size) for (of, price), size in book.items() if of == side and size]
        return tuple(sorted(found, reverse=side == BID))

    return BookSet(at_epoch_ns, market, levels(BID), levels(ASK))


def _beyond(
    book: dict[tuple[int, int], int], touch: tuple[tuple[int, int, int], ...]
) -> dict[tuple[int, int], int]:
    """The levels of `book` that lie behind the new touch."""
    best = {side: price for side, price, _ in touch}
    return {
        (side, price): size
        for (side, price), size in book.items()
        if side not in best or (price < best[side] if side == BID else price > best[side])
    }


def _mirrored(row: Row) -> Row:
    levels = tuple((1 - side, 1_000_000 - price, size) for side, price, size in row.levels)
    return Row(row.epoch_ms, row.kind, levels)


def _disagreements(yes: list[Row], no: list[Row]) -> int:
    def of(rows: list[Row]) -> Counter[tuple[int | None, str, tuple[tuple[int, int, int], ...]]]:
        books = (row for row in rows if row.kind != "trade")
        return Counter((row.epoch_ms, row.kind, tuple(sorted(row.levels))) for row in books)

    one, other = of(yes), of(no)
    return ((one - other) + (other - one)).total()


def _trade(row: Row, market: int) -> MarketTrade:
    ((side, price_e6, size_e6),) = row.levels
    return MarketTrade((row.epoch_ms or 0) * _MS_NS, market, price_e6, size_e6, side)
