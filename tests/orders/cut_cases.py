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
    SetSpec,
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
SHUT, SHUT_MS = "before accept", 300
LATE_MS = 900  # longer than the gateway waits, shorter than it takes to ask
DEAF_MS = 120_000
READS = {"kalshi": ("/trade-api/v2/portfolio",), "polymarket": ("/data/",)}
ILL_MS = 4_000  # reads fail so long at each venue, shorter than questions are asked quickly
PRIVATE = {  # frames of the private channels, by their types; the paths of their sockets
    "kalshi": ("/trade-api/ws/v2", ("fill", "user_order", "market_position")),
    "polymarket": ("/ws/user", ("order", "trade")),
}
VENUES = ("kalshi", "polymarket")
PATHS = {"kalshi": "/trade-api/v2/portfolio/events/orders", "polymarket": "/order"}

# Each cut point, undone and carried out, as the faults of ops/venues/faults.py; None where one
# makes no sense: an order that was never read is not carried out, and 425 and 429 say that it was
# not (polymarket reference, section 9; kalshi reference, section 9).
Fields = dict[str, Any]
POINTS: dict[str, tuple[Fields | None, Fields | None]] = {
    SHUT: ({"kind": "shut", "delay_ms": SHUT_MS}, None),
    "after the ack": ({"kind": "cut", "point": "unread"}, {"kind": "late", "delay_ms": LATE_MS}),
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
    is_deaf: bool  # what the private channel says of it is lost too
    also: str  # the point at which the other market is cut, "": it is not
    after: int  # there the other leg (0), or what comes after it (1): the leg is given back

    @property
    def name(self) -> str:
        """For people."""
        done = "executed" if self.executed else "not executed"
        return f"{self.point}, {self.venue}, leg {self.leg}, {done}"

    @property
    def markets(self) -> tuple[str, str]:
        """(Kalshi's ticker, Polymarket's slug)."""
        number = f"{self.number:03d}"  # none is the beginning of another
        return f"KXCUT-26-C{number}", f"cut-c{number}"

    @property
    def market(self) -> str:
        """What the fault knows its market by."""
        return self.name_at(self.venue)

    def name_at(self, venue: str) -> str:
        """What faults know a market of it by."""
        ticker, slug = self.markets
        return ticker if venue == "kalshi" else _polymarket(slug).condition_id

    def faults(self) -> list[Fields]:
        """Rows of a file of faults."""
        path, kinds = PRIVATE[self.venue]
        silent = {"venue": self.venue, "market": self.market, "kind": "gap", "path": path}
        found = [{**silent, "channel": kind, "for_ms": DEAF_MS} for kind in kinds]
        both = [self.other()] if self.also else []
        return [self.fault(), *both, *(found if self.is_deaf else ())]

    def other(self) -> Fields:
        """What the other venue does to the other leg, or to the order that gives it back."""
        venue = VENUES[self.venue == VENUES[0]]
        fields = POINTS[self.also][0] or POINTS[self.also][1]
        return {**self._on(venue, fields), "after": self.after}

    def fault(self) -> Fields:
        """What the venue does to its first order."""
        undone, done = POINTS[self.point]
        return self._on(self.venue, done if self.executed else undone)

    def _on(self, venue: str, fields: Fields | None) -> Fields:
        assert fields is not None, self.name
        if fields.get("status") == 200 and venue == "kalshi":
            fields = {**fields, "status": 201}
        where = {} if fields["kind"] == "shut" else {"path": PATHS[venue], "method": "POST"}
        return {"venue": venue, "market": self.name_at(venue), **fields, **where}


def outages(seed: int) -> list[Fields]:
    """Each venue refuses to tell about orders for a while: rows of a file of faults."""
    random = Random(f"outages/{seed}")
    return [
        {
            "venue": venue, "kind": "status", "status": random.choice((429, 500, 503)),
            "path": path, "method": "GET", "machine_ms": random.randrange(FIRST_MS, 12_000),
            "for_ms": ILL_MS,
        }
        for venue, paths in READS.items()
        for path in paths
    ]  # fmt: skip


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
    wanted.sort(key=lambda row: row[0] == SHUT)  # at the end: a shut port hits others' orders too
    found, at_ms = [], FIRST_MS
    for number, row in enumerate(wanted):
        buys, size_e6 = random.random() < 0.5, random.choice((10, 20, 40)) * 1_000_000
        is_deaf = random.random() < 0.5
        also = random.choice([*POINTS, *[""] * 3 * len(POINTS)])
        found.append(
            Case(
                number,
                *row,
                buys=buys,
                opens_ms=at_ms,
                size_e6=size_e6,
                is_deaf=is_deaf,
                also="" if also == SHUT else also,
                after=random.randrange(2),
            )
        )
        at_ms += random.randint(*PERIOD_MS)
        if number + 1 < len(wanted) and wanted[number + 1][0] == SHUT:
            at_ms += 2 * SHUT_MS
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
    sets: tuple[SetSpec, ...] = ()
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
        yield LevelSet(begin_ns + DAY_NS // 2, 0, ASK, 560_000, DEEP_E6)  # the data has no end

    def _sides(self, case: Case) -> tuple[int, int]:
        """Markets where the pair buys and where it sells."""
        own = 2 * case.number + (case.venue == "polymarket")
        other = own ^ 1
        return (own, other) if case.buys else (other, own)


def _dated(spec: MarketSpec, times: dict[str, Any]) -> MarketSpec:
    return replace(spec, **times)
