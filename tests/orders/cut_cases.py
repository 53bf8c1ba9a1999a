"""Where an order can be cut off from its answer, and a script with a pair of its own for each.

A case is a cut point, the venue it is at, the leg it hits, and whether the venue carries the order
out all the same. Each pair has one gap: at its time an ask appears at one market below the bids of
the other. The first order for the case's market is cut; whatever comes after it is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from random import Random
from typing import Any, NamedTuple

from ops.venues.script import (
    ASK,
    BookSet,
    Event,
    LevelSet,
    MarketSpec,
    PairSpec,
    Timeline,
    fingerprint,
)
from ops.venues.world_cast import LINEAR_CENT, kalshi_market, polymarket_market

MS_NS = 1_000_000
DAY_NS = 86_400 * 10**9
CENT_E6 = 10_000
DEEP_E6 = 1_000_000_000
LEVELS = 5
FIRST_MS = 1_500  # from the start of run time to the first gap: the pool has signed
PERIOD_MS = (120, 260)  # between gaps
SHUT_MS = 300
VENUES = ("kalshi", "polymarket")
PATHS = {"kalshi": "/trade-api/v2/portfolio/events/orders", "polymarket": "/order"}

# Each cut point, undone and carried out, as the faults of ops/venues/faults.py; () where the one
# makes no sense: an order that was never read is not carried out, and 425 and 429 say that it was
# not (polymarket reference, section 9; kalshi reference, section 9).
Fields = dict[str, Any]
POINTS: dict[str, tuple[Fields | None, Fields | None]] = {
    "before accept": ({"kind": "shut", "delay_ms": SHUT_MS}, None),
    "after the ack": ({"kind": "cut", "point": "unread"}, None),
    "after n bytes": ({"kind": "cut", "point": "bytes"}, None),
    "after execution": (None, {"kind": "cut", "point": "executed"}),
    "mid-reply": (None, {"kind": "cut", "point": "reply"}),
    "garbage": ({"kind": "garbage"}, {"kind": "garbage", "executed": True}),
    "2xx without an order": (
        {"kind": "status", "status": 200}, {"kind": "status", "status": 200, "executed": True}
    ),
    "408": ({"kind": "status", "status": 408}, {"kind": "status", "status": 408, "executed": True}),
    "425": ({"kind": "status", "status": 425}, None),
    "429": ({"kind": "status", "status": 429}, None),
    "500": ({"kind": "status", "status": 500}, {"kind": "status", "status": 500, "executed": True}),
    "silence": ({"kind": "half_open"}, {"kind": "silence"}),
}  # fmt: skip


class Case(NamedTuple):
    """One order that is cut. `leg`: its place in the intent. `opens_ms`: when its gap does."""

    number: int
    point: str
    venue: str
    leg: int
    executed: bool
    buys: bool
    opens_ms: int
    size_e6: int

    @property
    def name(self) -> str:
        """For people."""
        done = "executed" if self.executed else "not executed"
        return f"{self.point}, {self.venue}, leg {self.leg}, {done}"

    @property
    def markets(self) -> tuple[str, str]:
        """(Kalshi's ticker, Polymarket's slug)."""
        return f"KXCUT-26-C{self.number}", f"cut-c{self.number}"

    @property
    def market(self) -> str:
        """What the fault knows its market by."""
        ticker, slug = self.markets
        return ticker if self.venue == "kalshi" else _polymarket(slug).condition_id

    def fault(self) -> Fields:
        """What the venue does to its first order: a row of a file of faults."""
        undone, done = POINTS[self.point]
        fields = done if self.executed else undone
        assert fields is not None, self.name
        if fields.get("status") == 200 and self.venue == "kalshi":
            fields = {**fields, "status": 201}
        where = {} if fields["kind"] == "shut" else {"path": PATHS[self.venue], "method": "POST"}
        return {"venue": self.venue, "market": self.market, **fields, **where}


def cases(seed: int) -> list[Case]:
    """Every case once, in an order, with directions, sizes and times of this seed."""
    random = Random(f"cuts/{seed}")
    wanted = [
        (point, venue, leg, executed)
        for (point, kinds), venue, leg, executed in product(
            POINTS.items(), VENUES, (0, 1), (False, True)
        )
        if kinds[executed] is not None
    ]
    random.shuffle(wanted)
    found, at_ms = [], FIRST_MS
    for number, row in enumerate(wanted):
        buys, size_e6 = random.random() < 0.5, random.choice((10, 20, 40)) * 1_000_000
        found.append(Case(number, *row, buys=buys, opens_ms=at_ms, size_e6=size_e6))
        at_ms += random.randint(*PERIOD_MS)
    return found


def _polymarket(slug: str) -> MarketSpec:
    return polymarket_market(slug, slug, CENT_E6, 50_000)


def _ladder(first_e6: int, step_e6: int) -> tuple[tuple[int, int], ...]:
    return tuple((first_e6 + place * step_e6, DEEP_E6) for place in range(LEVELS))


@dataclass(frozen=True)
class CutScript:
    """One session. Markets 2n and 2n + 1 are Kalshi's and Polymarket's of case n."""

    seed: int
    begin_epoch_ns: int
    products: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    end_epoch_ns: int | None = None
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def timeline(self) -> Timeline:
        """Run time passes as machine time."""
        return Timeline(begin_epoch_ns=self.begin_epoch_ns)

    @property
    def digest(self) -> str:
        """Names it."""
        return fingerprint(self.markets, self.pairs, self.events())

    @property
    def markets(self) -> tuple[MarketSpec, ...]:
        """In the order of the cases."""
        return tuple(spec for case in cases(self.seed) for spec in self._markets(case))

    def _markets(self, case: Case) -> tuple[MarketSpec, MarketSpec]:
        ticker, slug = case.markets
        times = {
            "event": ticker,
            "open_epoch_ns": self.begin_epoch_ns - DAY_NS,
            "close_epoch_ns": self.begin_epoch_ns + DAY_NS,
        }
        kalshi = kalshi_market(ticker, ticker, LINEAR_CENT, 0)
        return _dated(kalshi, times), _dated(_polymarket(slug), times)

    @property
    def pairs(self) -> tuple[PairSpec, ...]:
        """The case's venue is that of its leg: the first leg is the pair's first market."""
        found = []
        for case in cases(self.seed):
            sides = list(zip(VENUES, case.markets, strict=True))
            if (case.venue == sides[0][0]) != (case.leg == 0):
                sides.reverse()
            (a_venue, a), (b_venue, b) = sides
            found.append(
                PairSpec(a_venue=a_venue, a_ticker=a, b_venue=b_venue, b_ticker=b, hurdle_e6=0)
            )
        return tuple(found)

    def events(self) -> Iterator[Event]:
        """Books at rest, then one gap after the other."""
        begin_ns = self.begin_epoch_ns
        for case in cases(self.seed):
            low, high = self._sides(case)
            yield BookSet(begin_ns, low, _ladder(380_000, -CENT_E6), _ladder(550_000, CENT_E6))
            yield BookSet(begin_ns, high, _ladder(500_000, -CENT_E6), _ladder(520_000, CENT_E6))
        for case in cases(self.seed):
            low, high = self._sides(case)
            at_ns = begin_ns + case.opens_ms * MS_NS
            # both markets hear of it: a port that is shut by its market's event is shut now
            yield LevelSet(at_ns, high, ASK, 520_000, 2 * DEEP_E6)
            yield LevelSet(at_ns, low, ASK, 400_000, case.size_e6)

    def _sides(self, case: Case) -> tuple[int, int]:
        """Markets where the pair buys and where it sells."""
        own = 2 * case.number + (case.venue == "polymarket")
        other = own ^ 1
        return (own, other) if case.buys else (other, own)


def _dated(spec: MarketSpec, times: dict[str, Any]) -> MarketSpec:
    return replace(spec, **times)
