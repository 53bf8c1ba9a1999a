"""Recorded data of format `dual_crypto_false_arb`: what a scanner took for arbitrage, none real.

`cross_arb_*.csv` has a row for every Polymarket and Kalshi market that a scanner, polling every
11.5 minutes, called one pair for the likeness of their titles; `prices_*.csv` has spot.
What the files say, and what is done about it:

- A row has one price for each side, and no size ("liq" of Kalshi is 0 everywhere). **Sizes, spreads
  and depth are our invention**: one level a side, `SIZE_E6` contracts, the nearest prices of the
  grid below and above the price (`books_invented`).
- A Kalshi price holds until the next poll; a market that it does not list has no known price, and
  its book is empty (`book_unknown`: emptied). The prices of one market in one poll agree, else it
  is an error.
- Polymarket's prices come from a cache of the source: each market shows one value all day
  (`quotes_frozen`), also after it was asked. They are played as they stand, and a pair with such a
  quote says so in `differs`.
- Each pair carries what keeps its markets from being the same question, as an honest registry
  would mark it: strike, date, hour, source (false_pairs.py).
- A market closes at the moment it asks about. How it settled, the files do not tell.
- Spot before the first poll is left out (`spot_before`), rows are sorted by time (`out_of_order`);
  sizes and takers of the spot trades are ours. Times are UTC, in whole seconds.
- `arb_scan_*.csv` (sums of brackets) is not used.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from ops.venues import false_pairs
from ops.venues.false_pairs import Question
from ops.venues.recorded_lines import Numbers, RecordingError, epoch_ms, lines, scaled, shown
from ops.venues.recorded_script import Recording
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    Difference,
    Event,
    LevelSet,
    MarketSpec,
    PairSpec,
    SpotTrade,
    StatusChange,
)

PAIRS = b"timestamp_utc,plataforma_a,plataforma_b,activo,"
SPOT = b"timestamp_utc,asset,price_usd,"
SIZE_E6 = 100_000_000  # invented: 100 contracts on every level
SPOT_SIZE_E8 = 1_000_000  # invented
CENT_E6, FINE_E6 = 10_000, 1_000
COARSE = range(40_000, 960_001)  # prices at which Polymarket's tick may be a cent
PRODUCTS = {"BTC": "BTC-USD", "ETH": "ETH-USD"}
_MS_NS = 1_000_000
_OPEN_NS = 7 * 86_400 * 10**9  # markets had been open for long: a week, to have a time

Key = tuple[str, str]  # venue, ticker


@dataclass(slots=True)
class _Market:
    """One market with the prices of the polls that listed it."""

    key: Key
    title: str
    question: Question
    prices_e6: dict[int, int] = field(default_factory=dict)  # by the poll's time in ms

    @property
    def is_frozen(self) -> bool:
        """One value in every poll, and there was more than one."""
        return len(self.prices_e6) > 1 and len(set(self.prices_e6.values())) == 1

    @property
    def tick_e6(self) -> int:
        """Kalshi's cent; Polymarket's the coarser one that its prices lie on or midway of."""
        prices = self.prices_e6.values()
        is_coarse = all(not price % (CENT_E6 // 2) and price in COARSE for price in prices)
        return CENT_E6 if self.key[0] == "kalshi" or is_coarse else FINE_E6

    def touch(self, price_e6: int) -> tuple[int, int]:
        """Bid and ask around a price: our invention."""
        bid = (price_e6 - 1) // self.tick_e6 * self.tick_e6
        ask = -(-(price_e6 + 1) // self.tick_e6) * self.tick_e6
        return bid, ask


class DualCryptoFalseArb:
    """The format: recognised by the columns of its two kinds of CSV files."""

    name = "dual_crypto_false_arb"

    @staticmethod
    def recognises(folder: Path) -> bool:
        """Whether `folder` holds such pairs and spot."""
        return bool(_files(folder, PAIRS) and _files(folder, SPOT))

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = Numbers()
        self._counts: Counter[str] = Counter()
        self._markets: dict[Key, _Market] = {}
        self._polls: set[int] = set()

    def load(self) -> Recording:
        """Everything in the folder. RecordingError names file and line of what cannot be read."""
        named: dict[tuple[Key, Key], None] = {}
        for path in _files(self._folder, PAIRS):
            for number, row in _rows(path):
                try:
                    named[self._pair(row)] = None
                except (KeyError, ValueError) as error:
                    found = shown(",".join(row.values()))
                    raise RecordingError(path, number, found, str(error)) from error
        if not named:
            raise RecordingError(self._folder, 0, "no pairs", "at least one")
        markets = list(self._markets.values())
        first_ms, last_ms = min(self._polls), max(self._polls)
        self._counts["quotes_frozen"] += sum(
            each.is_frozen for each in markets if each.key[0] == "polymarket"
        )
        events = list(self._spot(first_ms))
        for index, market in enumerate(markets):
            events += self._books(index, market)
            if first_ms * _MS_NS < market.question.close_epoch_ns <= last_ms * _MS_NS:
                events.append(StatusChange(market.question.close_epoch_ns, index, "closed"))
        events.sort(key=lambda event: event.at_epoch_ns)
        pairs = tuple(self._spec(a, b) for a, b in named)
        specs = tuple(_market(each, first_ms) for each in markets)
        return Recording(
            self._folder, specs, pairs, tuple(PRODUCTS.values()), events, dict(self._counts)
        )

    def _pair(self, row: Mapping[str, str]) -> tuple[Key, Key]:
        at_ms = epoch_ms(row["timestamp_utc"])
        if (row["plataforma_a"], row["plataforma_b"]) != ("Polymarket", "Kalshi"):
            raise ValueError("Polymarket and Kalshi")
        ticker = row["url_b"].rpartition("/")[2]
        asked = false_pairs.polymarket(row["titulo_a"], datetime.fromisoformat(row["fecha_a"]).year)
        slug = f"{asked.coin}-above-{asked.level_e8 // 10**8}-on-{asked.at:%B-%d}".lower()
        a = self._market("kalshi", ticker, row["titulo_b"], false_pairs.kalshi(ticker))
        b = self._market("polymarket", slug, row["titulo_a"], asked)
        self._polls.add(at_ms)
        for market, text in ((a, row["price_yes_b"]), (b, row["price_yes_a"])):
            price_e6 = self._numbers.e6(text)
            if not 0 < price_e6 < 1_000_000:
                raise ValueError("prices between 0 and 1")
            if market.prices_e6.setdefault(at_ms, price_e6) != price_e6:
                raise ValueError(f"one price of {market.key[1]} in a poll")
        return a.key, b.key

    def _market(self, venue: str, ticker: str, title: str, question: Question) -> _Market:
        found = self._markets.get((venue, ticker))
        if found is None:
            found = self._markets[venue, ticker] = _Market((venue, ticker), title, question)
        return found

    def _spec(self, a: Key, b: Key) -> PairSpec:
        one, other = self._markets[a], self._markets[b]
        differs = false_pairs.differences(one.question, other.question)
        if other.is_frozen:
            price = next(iter(other.prices_e6.values())) / 10**6
            moved = f"{len(set(one.prices_e6.values()))} prices in {len(one.prices_e6)} polls"
            frozen = f"stale: {price:g} in all {len(other.prices_e6)} polls"
            differs += (Difference("quote", moved, frozen),)
        return PairSpec(
            a_venue=a[0], a_ticker=a[1], b_venue=b[0], b_ticker=b[1], hurdle_e6=0, differs=differs
        )

    def _books(self, index: int, market: _Market) -> Iterator[Event]:
        """The book at every poll; Polymarket's stands once it is known (it is frozen)."""
        touch: tuple[int, int] | None = None
        is_listed = False
        polls = sorted(self._polls)
        if polls[0] not in market.prices_e6:
            yield BookSet(polls[0] * _MS_NS, index, (), ())
        for at_ms in polls:
            price_e6 = market.prices_e6.get(at_ms)
            at_epoch_ns = at_ms * _MS_NS
            if at_epoch_ns >= market.question.close_epoch_ns and is_listed:
                self._counts["polls_after_close"] += price_e6 is not None
                continue
            if price_e6 is None:
                if touch is not None and market.key[0] == "kalshi":
                    self._counts["book_unknown"] += 1
                    yield from _levels(at_epoch_ns, index, touch, 0)
                    touch = None
                continue
            was, touch = touch, market.touch(price_e6)
            self._counts["books_invented"] += was != touch
            if at_ms == polls[0]:
                bids, asks = ((touch[side], SIZE_E6) for side in (BID, ASK))
                yield BookSet(at_epoch_ns, index, (bids,), (asks,))
            elif was != touch:
                if was is not None:
                    yield from _levels(at_epoch_ns, index, was, 0)
                yield from _levels(at_epoch_ns, index, touch, SIZE_E6)
            is_listed = True

    def _spot(self, first_ms: int) -> Iterator[Event]:
        """Numbered by product in the order of time."""
        found = sorted(self._prices(first_ms), key=lambda row: row[0])
        numbers: Counter[str] = Counter()
        for at_ms, product, price_e8 in found:
            numbers[product] += 1
            number = numbers[product]
            yield SpotTrade(at_ms * _MS_NS, product, price_e8, SPOT_SIZE_E8, BID, number)

    def _prices(self, first_ms: int) -> Iterator[tuple[int, str, int]]:
        latest_ms = 0
        for path in _files(self._folder, SPOT):
            for line, row in _rows(path):
                product = PRODUCTS.get(row.get("asset", ""))
                if product is None:
                    continue
                try:
                    at_ms = epoch_ms(row["timestamp_utc"])
                    price_e8 = scaled(row["price_usd"], 10**8)
                except (KeyError, ValueError) as error:
                    found = shown(",".join(row.values()))
                    raise RecordingError(path, line, found, str(error)) from error
                self._counts["out_of_order"] += at_ms < latest_ms
                latest_ms = max(latest_ms, at_ms)
                if at_ms < first_ms:
                    self._counts["spot_before"] += 1
                    continue
                yield at_ms, product, price_e8


def _levels(
    at_epoch_ns: int, index: int, touch: tuple[int, int], size_e6: int
) -> Iterator[LevelSet]:
    for side in (BID, ASK):
        yield LevelSet(at_epoch_ns, index, side, touch[side], size_e6)


def _market(market: _Market, first_ms: int) -> MarketSpec:
    """Its specification. Condition and token ids are ours: the files have none."""
    venue, ticker = market.key
    asked = market.question
    open_epoch_ns, close_epoch_ns = first_ms * _MS_NS - _OPEN_NS, asked.close_epoch_ns
    event = f"{venue} {asked.coin} {asked.at:%Y-%m-%d %H:%M}"
    if venue == "kalshi":
        return MarketSpec(
            venue=venue, ticker=ticker, title=market.title, event=event, strike_type="greater",
            strike_e8=asked.level_e8 - false_pairs.CENT_E8,
            open_epoch_ns=open_epoch_ns, close_epoch_ns=close_epoch_ns,
        )  # fmt: skip
    ids = [sha256(f"{what} of {ticker}".encode()).hexdigest() for what in ("c", "yes", "no")]
    return MarketSpec(
        venue=venue, ticker=ticker, title=market.title, event=event, condition_id=f"0x{ids[0]}",
        token_yes=str(int(ids[1], 16)), token_no=str(int(ids[2], 16)),
        price_ranges=((0, 1_000_000, market.tick_e6),), size_min_e6=5_000_000,
        fee_kind="polymarket", open_epoch_ns=open_epoch_ns, close_epoch_ns=close_epoch_ns,
    )  # fmt: skip


def _files(folder: Path, columns: bytes) -> list[Path]:
    found = sorted([*folder.glob("*.csv"), *folder.glob("*.csv.gz")])
    return [path for path in found if next(lines(path), (0, b""))[1].startswith(columns)]


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and row by column. A row of another length is an error."""
    names: list[str] = []
    for number, line in lines(path):
        try:
            fields = next(csv.reader([line.decode()]), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise RecordingError(path, number, shown(line), "a line of CSV") from error
        if not names:
            names = fields
        elif len(fields) != len(names):
            raise RecordingError(path, number, shown(line), f"{len(names)} columns")
        else:
            yield number, dict(zip(names, fields, strict=True))
