"""The script of a bench of the whole path: two gaps that open and close in turn, and nothing else.

Two pairs of markets with the same books: the engine's and the floor's. In round i one level of
Kalshi's asks appears that pays after fees (even rounds: the engine's market, odd: the floor's).
Before the next of that market it is gone and Polymarket's bid is whole again, whatever was taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    Event,
    Level,
    LevelSet,
    MarketSpec,
    PairSpec,
    SetSpec,
    Timeline,
    fingerprint,
)

MS_NS = 1_000_000
CENT_E6 = 10_000
SIZE_E6 = 20_000_000  # of every order: one that the pool keeps at ½
KALSHI_ASK_E6 = 400_000  # where the gap opens
POLYMARKET_BID_E6 = 500_000
DEEP_E6 = 1_000_000_000
FIRST_NS = 250 * MS_NS  # from the start of run time to round 0
PERIOD_NS = 17 * MS_NS  # no whole part of any timer of the engine
LEVELS = 10
ENGINE_KALSHI, ENGINE_POLYMARKET, FLOOR_POLYMARKET, FLOOR_KALSHI = range(4)
DAY_NS = 86_400 * 10**9


def _market(venue: str, name: str, number: int, begin_epoch_ns: int) -> MarketSpec:
    opens_ns, closes_ns = begin_epoch_ns - DAY_NS, begin_epoch_ns + DAY_NS
    if venue == "kalshi":
        return MarketSpec(
            venue=venue, ticker=f"KXBENCH-26-{name}", title=name, event=name,
            open_epoch_ns=opens_ns, close_epoch_ns=closes_ns,
        )  # fmt: skip
    return MarketSpec(
        venue=venue, ticker=f"bench-{name.lower()}", title=name, event=name,
        condition_id=f"0x{number:064x}", token_yes=str(10**70 + number),
        token_no=str(2 * 10**70 + number), size_min_e6=5_000_000, fee_kind="polymarket",
        fee_rate_e6=50_000, open_epoch_ns=opens_ns, close_epoch_ns=closes_ns,
    )  # fmt: skip


def _ladder(first_e6: int, step_e6: int, size_e6: int) -> tuple[Level, ...]:
    return tuple((first_e6 + i * step_e6, size_e6) for i in range(LEVELS))


def _books(at_ns: int, kalshi: int, polymarket: int) -> list[Event]:
    """Neither pays: Kalshi 0.38 to 0.55, Polymarket 0.50 to 0.52."""
    return [
        BookSet(at_ns, kalshi, _ladder(380_000, -CENT_E6, DEEP_E6),
                _ladder(550_000, CENT_E6, DEEP_E6)),
        BookSet(at_ns, polymarket, _ladder(POLYMARKET_BID_E6, -CENT_E6, DEEP_E6),
                _ladder(520_000, CENT_E6, DEEP_E6)),
    ]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RoundsScript:
    """`rounds` gaps, half of them the floor's. `markets_shown`: 4 for the venues, 3 for the
    engine, which must know the floor's Polymarket market (its pool signs the floor's orders too)
    and never sees its Kalshi market."""

    begin_epoch_ns: int
    rounds: int
    period_ns: int = PERIOD_NS
    markets_shown: int = 4
    sets: tuple[SetSpec, ...] = ()
    products: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def markets(self) -> tuple[MarketSpec, ...]:
        """In the order of the numbers above."""
        begin = self.begin_epoch_ns
        made = (
            _market("kalshi", "ENGINE", 0, begin), _market("polymarket", "ENGINE", 1, begin),
            _market("polymarket", "FLOOR", 2, begin), _market("kalshi", "FLOOR", 0, begin),
        )  # fmt: skip
        return made[: self.markets_shown]

    @property
    def pairs(self) -> tuple[PairSpec, ...]:
        """The engine's alone."""
        a, b = self.markets[:2]
        return (PairSpec(a_venue=a.venue, a_ticker=a.ticker, b_venue=b.venue, b_ticker=b.ticker),)

    @property
    def timeline(self) -> Timeline:
        """Run time passes as machine time."""
        return Timeline(begin_epoch_ns=self.begin_epoch_ns)

    @property
    def digest(self) -> str:
        """Names it."""
        return fingerprint(self.markets, self.pairs, self.events())

    @property
    def end_epoch_ns(self) -> int:
        """Half a second after the last gap: answers have come."""
        return self.opens_epoch_ns(self.rounds) + 500 * MS_NS

    @property
    def open_ns(self) -> int:
        """How long a gap stands, one and a half periods: an order that is held up still meets it,
        and the market is calm before its next gap."""
        return self.period_ns * 3 // (2 * MS_NS) * MS_NS

    def opens_epoch_ns(self, number: int) -> int:
        """When the gap of a round opens."""
        return self.begin_epoch_ns + FIRST_NS + number * self.period_ns

    def events(self) -> Iterator[Event]:
        """The books, then each round's gap and its end."""
        begin = self.begin_epoch_ns
        yield from _books(begin, ENGINE_KALSHI, ENGINE_POLYMARKET)
        yield from _books(begin, FLOOR_KALSHI, FLOOR_POLYMARKET)
        for number in range(self.rounds + 2):
            if number > 1:  # the round before last, of the same market, is over
                kalshi, polymarket = _markets(number)
                at_ns = self.opens_epoch_ns(number - 2) + self.open_ns
                yield LevelSet(at_ns, kalshi, ASK, KALSHI_ASK_E6, 0)
                yield LevelSet(at_ns, polymarket, BID, POLYMARKET_BID_E6, DEEP_E6)
            if number < self.rounds:
                at_ns = self.opens_epoch_ns(number)
                yield LevelSet(at_ns, _markets(number)[0], ASK, KALSHI_ASK_E6, SIZE_E6)


def _markets(number: int) -> tuple[int, int]:
    """Kalshi's and Polymarket's market of a round."""
    if number % 2:
        return FLOOR_KALSHI, FLOOR_POLYMARKET
    return ENGINE_KALSHI, ENGINE_POLYMARKET
