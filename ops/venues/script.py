"""What a simulated session is made of: markets, pairs, and one exogenous stream of timed events.

Two drivers make a `Script`: the seeded world (`world.py`) and recorded data (`recorded.py`). The venues replay it and
never change it: what our orders take lies over it (an overlay per level, cleared by that level's next event), so one
seed or one recording is one script whatever the engine does.

Units: prices and sizes of contracts in 1e-6 (`_e6`), spot in 1e-8 (`_e8`), times in nanoseconds since the epoch of the
run clock (`at_epoch_ns`), whole milliseconds in every event so that a venue stamp (`ts_ms`) names the scheduled time exactly.
Sides are in YES terms: a bid buys YES, an ask sells YES.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

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
    price_ranges: tuple[tuple[int, int, int], ...] = ((0, 1_000_000, 10_000),)  # start, end, step in 1e-6
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
    open_epoch_ns: int = 0
    close_epoch_ns: int = 0
    status: str = "active"  # Kalshi response words; a status of the data, passed through


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSpec:
    """Two markets that settle on the same question. `same` False: YES of one is NO of the other."""

    a_venue: str
    a_ticker: str
    b_venue: str
    b_ticker: str
    same: bool = True
    hurdle_e6: int | None = None  # capital hurdle per contract; None: the profile's own


@dataclass(frozen=True, slots=True)
class BookSet:
    """The whole exogenous book is replaced (a snapshot). Levels best first on both sides. `venue_seq` as recorded, None: the venue counts."""

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
    """A recorded Kalshi ticker message, fields as text exactly as recorded (yes_bid_dollars, yes_ask_dollars, ...)."""

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
class StatusChange:
    """A market opens, closes or settles (`settlement_e6` in [0, 1e6], None: not settled)."""

    at_epoch_ns: int
    market: int
    status: str
    settlement_e6: int | None = None


@dataclass(frozen=True, slots=True)
class ConnectionCut:
    """The venue drops its market-data connections, as it did while recording."""

    at_epoch_ns: int
    venue: str


Event = BookSet | LevelSet | MarketTrade | TickerPrint | SpotTrade | StatusChange | ConnectionCut


@dataclass(frozen=True, slots=True)
class Cut:
    """A silence of all venues that is left out: the run clock jumps from `from_epoch_ns` to `to_epoch_ns`."""

    from_epoch_ns: int
    to_epoch_ns: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where each moment of run time lies on the machine's clock. Offsets are machine ns since the start of the session.

    `speed_e6`: run nanoseconds per machine nanosecond, in 1e-6 (60x = 60_000_000).
    """

    begin_epoch_ns: int
    speed_e6: int = 1_000_000
    cuts: tuple[Cut, ...] = ()
    _edges: tuple[tuple[int, int], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        edges = [(0, self.begin_epoch_ns)]
        for cut in self.cuts:
            offset, epoch = edges[-1]
            edges.append((offset + self._machine(cut.from_epoch_ns - epoch), cut.to_epoch_ns))
        object.__setattr__(self, "_edges", tuple(edges))

    @property
    def segments(self) -> tuple[tuple[int, int], ...]:
        """(machine offset, run epoch) of the start and of every moment after a cut, ascending."""
        return self._edges

    def _machine(self, run_ns: int) -> int:
        return run_ns * 1_000_000 // self.speed_e6

    def offset_ns(self, epoch_ns: int) -> int:
        """Machine ns from the session's start to run time `epoch_ns` (inside a cut: the cut's moment)."""
        offset, base = self._edges[0]
        for next_offset, next_base in self._edges[1:]:
            if epoch_ns < next_base:
                return min(offset + self._machine(epoch_ns - base), next_offset)
            offset, base = next_offset, next_base
        return offset + self._machine(epoch_ns - base)

    def epoch_ns(self, offset_ns: int) -> int:
        """Run time at a machine offset."""
        offset, base = self._edges[0]
        for next_offset, next_base in self._edges[1:]:
            if offset_ns < next_offset:
                break
            offset, base = next_offset, next_base
        return base + (offset_ns - offset) * self.speed_e6 // 1_000_000


class Script(Protocol):
    """One session. `events` is ascending in time and the same at every call; `digest` names it."""

    markets: tuple[MarketSpec, ...]
    pairs: tuple[PairSpec, ...]
    products: tuple[str, ...]  # spot products with data, e.g. ("BTC-USD",)
    timeline: Timeline
    digest: str  # sha256 hex over markets, pairs and events
    counts: dict[str, int]  # what the loader corrected: {"price_rounded": 3, "level_below_zero": 12, ...}

    def events(self) -> Iterator[Event]: ...

    @property
    def end_epoch_ns(self) -> int | None:
        """When the data ends; None: it goes on (the seeded world)."""
        ...
