"""What a simulated session is made of: markets, pairs, and one exogenous stream of timed events.

Two drivers make a `Script`: the seeded world (`world.py`) and recorded data (`recorded.py`). The
venues replay it and never change it: what our orders take lies over it (an overlay per level,
cleared by that level's next event), so one seed or one recording is one script whatever the engine
does.

Units: prices and sizes of contracts in 1e-6 (`_e6`), spot and indices in 1e-8 (`_e8`), times in
nanoseconds since the epoch of the run clock (`at_epoch_ns`), whole milliseconds in every event so
that a venue stamp (`ts_ms`) names the scheduled time exactly.
Sides are in YES terms: a bid buys YES, an ask sells YES.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import NamedTuple, Protocol

BID = 0
ASK = 1

Level = tuple[int, int]  # price_e6, size_e6


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSpec:
    """One market of one venue, with every fact its REST would tell."""

    venue: str  # "kalshi" or "polymarket"
    ticker: str  # Kalshi market ticker, Polymarket slug: unique within the venue
    title: str
    event: str  # markets of one real-world event share it, across venues
    condition_id: str = ""  # Polymarket: 0x + 64 hex
    token_yes: str = ""  # Polymarket: decimal text of a 256-bit id
    token_no: str = ""
    # start, end, step in 1e-6
    price_ranges: tuple[tuple[int, int, int], ...] = ((0, 1_000_000, 10_000),)
    size_step_e6: int = 10_000
    size_min_e6: int = 10_000
    neg_risk: bool = False
    exchange_index: int = 0  # Kalshi shard
    fee_kind: str = "quadratic"  # Kalshi fee_type, or "polymarket"
    fee_rate_e6: int = 70_000  # 0.07
    fee_multiplier_e6: int = 1_000_000  # Kalshi M
    fee_exponent: int = 1  # Polymarket
    taker_delay_ns: int = 0
    strike_e8: int | None = None
    cap_e8: int | None = None  # Kalshi cap_strike: of a range, or of what pays below it
    open_epoch_ns: int = 0
    close_epoch_ns: int = 0
    status: str = "active"  # Kalshi response words; a status of the data, passed through
    # How a windowed market settles (kalshi.md 15, polymarket.md 15):
    index: str = ""  # the name of its index as an `IndexTick` has it; "": none is played
    strike_type: str = ""  # Kalshi's word, e.g. "greater_or_equal"
    round_digits: int | None = None  # Kalshi custom_strike.round_digits: of mean and strike
    # Polymarket cryptoMarketConfig.twapLookbackSeconds; 0: it takes no average, None: untold
    twap_ns: int | None = None
    outcomes: tuple[str, str] = ("Yes", "No")


class Difference(NamedTuple):
    """A field in which two markets differ, with what each says of it, as people read it."""

    field: str  # "strike", "date", "hour", "source", …
    a: str
    b: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec:
    """Two markets that settle on the same question. `same` False: YES of one is NO of the other.

    `differs`: what keeps them from being the same question after all; such a pair is watched and
    never opened, unless somebody insists.
    """

    a_venue: str
    a_ticker: str
    b_venue: str
    b_ticker: str
    same: bool = True
    hurdle_e6: int | None = None  # capital hurdle per contract; None: the profile's own
    differs: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetSpec:
    """Markets of one venue that settle against each other, and what its registry says of them.

    `way`: "outcomes" of one event; "ladder", one close and rising strikes, or "implies": each claim
    follows from the next. `is_exclusive`: one outcome wins at most (Kalshi: `mutually_exclusive`,
    a game of two teams; Polymarket: a neg-risk event). `is_exhaustive`: one of `tickers` must win.
    `is_augmented`: outcomes may be added, or mean something else later (`negRiskAugmented`).
    `placeholders`: tickers of outcomes that have no name yet.
    """

    venue: str
    tickers: tuple[str, ...]  # as the registry orders them; the weaker claim, lower strike first
    way: str = "outcomes"
    is_exclusive: bool = False
    is_exhaustive: bool = False
    is_augmented: bool = False
    placeholders: tuple[str, ...] = ()
    hurdle_e6: int | None = None  # capital hurdle per contract; None: the profile's own


@dataclass(frozen=True, slots=True)
class BookSet:
    """The whole exogenous book is replaced (a snapshot). Levels best first on both sides.

    `venue_seq` as recorded (None: the venue counts), per connection of the recorder: it starts anew
    after each `ConnectionCut` of that venue. What it tells is the step from the number before: a
    step of more than 1 is a hole in the recording.
    """

    at_epoch_ns: int
    market: int
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    venue_seq: int | None = None


@dataclass(frozen=True, slots=True)
class LevelSet:
    """One level's exogenous total becomes `size_e6` (0: the level is gone)."""

    at_epoch_ns: int
    market: int
    side: int
    price_e6: int
    size_e6: int
    venue_seq: int | None = None


@dataclass(frozen=True, slots=True)
class MarketTrade:
    """A print between others. It does not change the book by itself."""

    at_epoch_ns: int
    market: int
    price_e6: int
    size_e6: int
    taker_side: int


@dataclass(frozen=True, slots=True)
class TickerPrint:
    """A recorded Kalshi ticker message: its fields as recorded (yes_bid_dollars, volume_fp, …)."""

    at_epoch_ns: int
    market: int
    fields: tuple[tuple[str, str | int], ...]


@dataclass(frozen=True, slots=True)
class SpotTrade:
    """One trade of the reference exchange (Coinbase). `taker_side` BID: the taker bought."""

    at_epoch_ns: int
    product: str
    price_e8: int
    size_e8: int
    taker_side: int
    trade_id: int


@dataclass(frozen=True, slots=True)
class ExchangeTrade:
    """A trade at another exchange, `symbol` as its market is called there (exchanges.py makes them
    of the trades above)."""

    at_epoch_ns: int
    venue: str
    symbol: str
    price_e8: int
    size_e8: int
    taker_side: int
    trade_id: int


@dataclass(frozen=True, slots=True)
class IndexTick:
    """One value of an index, stamped `at_epoch_ns`; a relay shows it later.

    `index` is named as on the wire: CF Benchmarks' "BRTI", "ETHUSD_RTI" (five a second),
    Chainlink's "btcusd", "ethusd" (one a second).
    """

    at_epoch_ns: int
    index: str
    value_e8: int


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A market opens, closes or settles (`settlement_e6` in [0, 1e6], None: not settled).

    `strike_e8`: what the market is about becomes known (with its opening, in a chain of windows).
    `final_e8`: the value of the index that it settled by, as the venue rounds it.
    """

    at_epoch_ns: int
    market: int
    status: str
    settlement_e6: int | None = None
    strike_e8: int | None = None
    final_e8: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """A market becomes known at its venue; `market` is the next index of the script."""

    at_epoch_ns: int
    market: int
    spec: MarketSpec


@dataclass(frozen=True, slots=True)
class ConnectionCut:
    """The venue drops its market-data connections, as it did while recording."""

    at_epoch_ns: int
    venue: str


Event = (
    BookSet
    | LevelSet
    | MarketTrade
    | TickerPrint
    | SpotTrade
    | ExchangeTrade
    | IndexTick
    | StatusChange
    | Listing
    | ConnectionCut
)


@dataclass(frozen=True, slots=True)
class Cut:
    """A silence of all venues is left out: the run clock jumps from one moment to the other."""

    from_epoch_ns: int
    to_epoch_ns: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where each moment of run time lies on the machine's clock.

    Offsets are machine ns since the start of the session.

    `speed_e6`: run nanoseconds per machine nanosecond, in 1e-6 (60x = 60_000_000).
    """

    begin_epoch_ns: int
    speed_e6: int = 1_000_000
    cuts: tuple[Cut, ...] = ()
    _offsets: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _bases: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        assert self.speed_e6 > 0, f"speed_e6 is {self.speed_e6}, wanted a positive number"
        offsets, bases = [0], [self.begin_epoch_ns]
        for cut in self.cuts:
            assert bases[-1] <= cut.from_epoch_ns < cut.to_epoch_ns, f"cuts must ascend: {cut}"
            offsets.append(offsets[-1] + self._machine(cut.from_epoch_ns - bases[-1]))
            bases.append(cut.to_epoch_ns)
        object.__setattr__(self, "_offsets", tuple(offsets))
        object.__setattr__(self, "_bases", tuple(bases))

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """(machine offset, run epoch) of the start and of every moment after a cut, ascending."""
        return tuple(zip(self._offsets, self._bases, strict=True))

    def _machine(self, run_ns: int) -> int:
        return run_ns * 1_000_000 // self.speed_e6

    def offset_ns(self, epoch_ns: int) -> int:
        """Machine ns from the session's start to `epoch_ns` (inside a cut: the cut's moment)."""
        at = max(bisect_right(self._bases, epoch_ns) - 1, 0)
        offset = self._offsets[at] + self._machine(epoch_ns - self._bases[at])
        return offset if at + 1 == len(self._offsets) else min(offset, self._offsets[at + 1])

    def epoch_ns(self, offset_ns: int) -> int:
        """Run time at a machine offset."""
        at = max(bisect_right(self._offsets, offset_ns) - 1, 0)
        return self._bases[at] + (offset_ns - self._offsets[at]) * self.speed_e6 // 1_000_000


class Script(Protocol):
    """One session. `events` is ascending in time and the same at every call; `digest` names it."""

    @property
    def markets(self) -> tuple[MarketSpec, ...]: ...

    @property
    def pairs(self) -> tuple[PairSpec, ...]: ...

    @property
    def sets(self) -> tuple[SetSpec, ...]: ...

    @property
    def products(self) -> tuple[str, ...]:
        """Spot products with data, e.g. ("BTC-USD",)."""
        ...

    @property
    def indices(self) -> tuple[str, ...]:
        """Indices with ticks, e.g. ("BRTI", "btcusd")."""
        ...

    @property
    def timeline(self) -> Timeline: ...

    @property
    def digest(self) -> str:
        """sha256 hex over markets, pairs, sets and events (of the seeded world: their
        beginning)."""
        ...

    @property
    def counts(self) -> dict[str, int]:
        """What the loader corrected: {"price_rounded": 3, ...}."""
        ...

    def events(self) -> Iterator[Event]: ...

    @property
    def end_epoch_ns(self) -> int | None:
        """When the data ends; None: it goes on (the seeded world)."""
        ...


# A field that came later counts only where it is not its default: an old script keeps its name.
_FIRST = {MarketSpec: 21, StatusChange: 4, PairSpec: 6}
_FIELDS = {kind: attrgetter(*kind.__slots__[: _FIRST.get(kind)]) for kind in Event.__args__}
_FIRST_OF = {kind: attrgetter(*kind.__slots__[: _FIRST[kind]]) for kind in (MarketSpec, PairSpec)}
_LATE = {kind: fields(kind)[first:] for kind, first in _FIRST.items()}
_ABSENT = -(2**63)  # stands for None among the numbers


def fingerprint(
    markets: Iterable[MarketSpec],
    pairs: Iterable[PairSpec],
    events: Iterable[Event],
    sets: Iterable[SetSpec] = (),
) -> str:
    """sha256 hex over specs and events: what `Script.digest` holds. The same on every Python."""
    digest = hashlib.sha256()
    for market in markets:
        digest.update(f"{_FIRST_OF[MarketSpec](market)!r}{_later(market)}".encode())
    for pair in pairs:
        digest.update(f"{_FIRST_OF[PairSpec](pair)!r}{_later(pair)}".encode())
    for each in sets:
        digest.update(repr(each).encode())
    row = array("q")  # level changes are nearly all there is: their numbers are hashed in blocks
    for event in events:
        if isinstance(event, LevelSet):
            seq = _ABSENT if event.venue_seq is None else event.venue_seq
            row.extend((event.at_epoch_ns, event.market, event.side))
            row.extend((event.price_e6, event.size_e6, seq))
            continue
        _flush(digest, row)
        kind = type(event)
        digest.update(f"{kind.__name__}{_FIELDS[kind](event)!r}{_later(event)}".encode())
    _flush(digest, row)
    return digest.hexdigest()


def _later(of: MarketSpec | PairSpec | Event) -> str:
    late = _LATE.get(type(of), ())
    found = [(each.name, getattr(of, each.name)) for each in late]
    told = [pair for pair, each in zip(found, late, strict=True) if pair[1] != each.default]
    return repr(told) if told else ""


def _flush(digest: hashlib._Hash, row: array[int]) -> None:
    if sys.byteorder == "big":
        row.byteswap()
    digest.update(row.tobytes())
    del row[:]
