"""Every strategy in plain Python: a market by names, gates as a list of questions in their order.

Written from reference strategies, not from the kernels. `Market` holds what a strategy may know;
None is unknown. Probabilities are of YES; `mirrored` is the same market with YES and NO exchanged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tests.twins import fees
from tests.twins.edge import E6, Book

BUY, SELL = 0, 1
Params = dict[str, int]
Answer = tuple[int, int, int, int, str]  # side, fair, edge, confidence, gate
NO_EDGE = -(10**15)


@dataclass(frozen=True)
class Market:
    """One update of one market."""

    book: Book
    distance: float | None = None
    z: float | None = None
    seconds: float | None = None
    left: float | None = None
    elapsed: float | None = None
    fraction: float | None = None
    sigma: float | None = None
    fair: float | None = None
    velocity: float | None = None
    net: float | None = None
    trades: int | None = None
    rate: float | None = None
    dominant: float | None = None
    mean_distance: float | None = None
    trigger: int = 7
    sigma_implied: float | None = None
    sigma_fitted: float | None = None
    off: int = 0
    delay_ns: int = 0
    moved: float | None = None
    share: float = 0.0
    error: float = 0.0

    def spread(self, sigma: float) -> float:
        """Of the settlement value's logarithm."""
        assert self.seconds is not None
        return math.hypot(sigma * math.sqrt(self.seconds), self.error)

    def mirrored(self) -> Market:
        """NO of this market seen as YES."""
        odd = {
            name: None if value is None else -value
            for name in ("distance", "z", "velocity", "net", "mean_distance", "moved")
            for value in [getattr(self, name)]
        }
        fair = None if self.fair is None else 1.0 - self.fair
        bids = tuple((E6 - price, size) for price, size in self.book.asks)
        asks = tuple((E6 - price, size) for price, size in self.book.bids)
        return replace(self, book=replace(self.book, bids=bids, asks=asks), fair=fair, **odd)


def phi(z: float) -> float:
    """Normal distribution."""
    return 0.5 * math.erfc(-z * math.sqrt(0.5))


def pdf(z: float) -> float:
    """Normal density."""
    return math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


def blocked(gate: str) -> Answer:
    """No side."""
    return -1, 0, NO_EDGE, 0, gate


def touch(book: Book, side: int) -> int | None:
    """What the token of a side costs."""
    levels = book.asks if side == BUY else book.bids
    if not levels or levels[0][1] <= 0:
        return None
    price = levels[0][0] if side == BUY else E6 - levels[0][0]
    return price if 0 < price < E6 else None


def sign(x: float) -> int:
    """The side that gains."""
    return BUY if x > 0 else SELL


def of_side(side: int, yes: float | None) -> float | None:
    """Probability of the side's token."""
    return yes if yes is None or side == BUY else 1.0 - yes


def worth(token: float) -> int:
    """Rounded down; nothing where our chances end (1 %)."""
    return 0 if token < 0.01 + 1e-9 else math.floor(token * E6)


def edge_of(m: Market, side: int, pays: int) -> int:
    """Worth less price, fee of one contract rounded up, and what comes off."""
    price = touch(m.book, side)
    if price is None:
        return NO_EDGE
    charged = fees.raw(price, E6, *m.book.fee_terms[:2])
    return pays - price - math.ceil(charged) - m.off


def judge(m: Market, side: int, token: float | None, confidence: float, p: Params) -> Answer:
    """The gates all share."""
    if token is None or not 0 <= token <= 1 or not 0 <= confidence <= 1:
        return blocked("unknown")
    if m.off < 0:
        return blocked("delay")
    pays, sure = worth(token), math.floor(confidence * E6)
    edge, fair = edge_of(m, side, pays), pays if side == BUY else E6 - pays
    if edge == NO_EDGE:
        return -1, fair, edge, sure, "no_quote"
    if edge < p["edge_min_e6"] or edge <= 0:
        return -1, fair, edge, sure, "edge"
    if sure < p["confidence_min_e6"]:
        return -1, fair, edge, sure, "confidence"
    return side, fair, edge, sure, "fires"


def both(m: Market, yes: float | None, confidence: float, p: Params) -> Answer:
    """The better side."""
    answers = [judge(m, side, of_side(side, yes), confidence, p) for side in (BUY, SELL)]
    return answers[0] if answers[0][2] >= answers[1][2] else answers[1]


def either(m: Market, side: int, theirs: float | None, p: Params) -> float | None:
    """Our model, or theirs where wanted, with the market's share in it."""
    if p["fair"] == 0 or theirs is None:
        return of_side(side, m.fair) if p["fair"] == 0 else None
    bid = m.book.bids[0][0] if m.book.bids else 0
    ask = m.book.asks[0][0] if m.book.asks else E6
    middle = of_side(side, (bid + ask) / (2 * E6))
    assert middle is not None
    theirs = min(max(theirs, 0.01), 0.99)
    return theirs + m.share * (middle - theirs)


def first(*gates: tuple[str, bool | None]) -> str | None:
    """The first gate whose claim does not hold."""
    return next((name for name, holds in gates if not holds), None)


def distance_fade(m: Market, p: Params) -> Answer:
    if m.distance is None:
        return blocked("unknown")
    d = abs(m.distance)
    stop = first(("time", m.left is not None and m.left > 0),
                 ("distance", d > p["distance_min_e9"] * 1e-9))  # fmt: skip
    if stop:
        return blocked(stop)
    side, theirs = sign(m.distance), None
    if m.fraction is not None:
        theirs = 0.5 + 0.4 * math.tanh(d / (p["scale_e9"] * 1e-9)) + 0.15 * (1 - m.fraction)
        theirs = min(max(theirs, 0.02), 0.98)
    confidence = min(max(d / (p["confident_e9"] * 1e-9), 0.3), 1.0)
    return judge(m, side, either(m, side, theirs, p), confidence, p)


def momentum(m: Market, p: Params) -> Answer:
    if m.distance is None:
        return blocked("unknown")
    up = 1.0 if m.distance > 0 else -1.0
    stop = first(
        ("time", m.fraction is not None and m.fraction > p["fraction_min_e6"] * 1e-6),
        ("distance", abs(m.distance) > p["distance_min_e9"] * 1e-9),
        ("trades", m.trades is not None and m.trades >= p["trades_min"]),
        ("velocity", m.velocity is not None and m.velocity * up > p["velocity_min_e12"] * 1e-12),
        ("net_volume", m.net is not None and m.net * up > 0),
    )
    if stop:
        return blocked(stop)
    side = sign(m.distance)
    price = touch(m.book, side)
    if price is None:
        return blocked("no_quote")
    if price >= p["price_max_e6"]:
        return blocked("price")
    rate = math.nan if m.rate is None else m.rate
    confidence = min(max(rate, 0.3), 0.8)
    return judge(m, side, either(m, side, p["theirs_e6"] * 1e-6, p), confidence, p)


TABLE = {  # |d| above: probability below 30, 60, 90 s
    0.001471: (0.97, 0.95, 0.93), 0.000735: (0.95, 0.92, 0.88), 0.000588: (0.90, None, 0.85),
}  # fmt: skip


def table(d: float, left: float) -> float | None:
    """The sniper's table."""
    row = next((row for least, row in TABLE.items() if d > least), None)
    column = next((i for i, most in enumerate((30, 60, 90)) if left < most), None)
    return None if row is None or column is None else row[column]


def settlement_sniper(m: Market, p: Params) -> Answer:
    if m.distance is None:
        return blocked("unknown")
    d, up = abs(m.distance), 1.0 if m.distance > 0 else -1.0
    early, late = p["left_min_ns"] * 1e-9, p["left_max_ns"] * 1e-9
    stop = first(
        ("time", m.left is not None and early < m.left < late),
        ("distance", d > p["distance_min_e9"] * 1e-9),
        ("reversal", m.velocity is not None and -m.velocity * up < p["reversal_max_e12"] * 1e-12),
    )
    if stop:
        return blocked(stop)
    assert m.left is not None
    side, theirs = sign(m.distance), table(d, m.left)
    if p["fair"] == 1 and theirs is None:
        return blocked("table")
    return judge(m, side, either(m, side, theirs, p), p["confidence_e6"] * 1e-6, p)


def latency(m: Market, p: Params) -> Answer:
    stop = first(
        ("trigger", m.trigger & 1 > 0), ("time", m.left is not None and m.left > 0),
        ("unknown", m.moved is not None),
        ("lag", m.moved is not None and abs(m.moved) >= p["moved_min_e6"] * 1e-6),
    )  # fmt: skip
    if stop:
        return blocked(stop)
    assert m.moved is not None
    side = sign(m.moved)
    theirs = of_side(side, None if m.z is None else phi(m.z))
    return judge(m, side, either(m, side, theirs, p), p["confidence_e6"] * 1e-6, p)


def certainty(m: Market, p: Params) -> Answer:
    if not m.trigger & 2:
        return blocked("trigger")
    if m.z is None:
        return blocked("unknown")
    stop = first(("time", m.left is not None and m.left > 0),
                 ("z", abs(m.z) >= p["z_low_e6"] * 1e-6))  # fmt: skip
    if stop:
        return blocked(stop)
    side = sign(m.z)
    return judge(m, side, either(m, side, phi(abs(m.z)), p), p["confidence_e6"] * 1e-6, p)


def convexity_fade(m: Market, p: Params) -> Answer:
    stop = first(
        ("trigger", m.trigger & 2 > 0), ("unknown", m.distance is not None),
        ("time", m.left is not None and m.left >= p["left_min_ns"] * 1e-9),
        ("distance", m.distance is not None and abs(m.distance) <= p["distance_max_e9"] * 1e-9),
        ("regime", m.dominant is not None and m.dominant < p["trend_e6"] * 1e-6),
    )  # fmt: skip
    if stop:
        return blocked(stop)
    theirs = None if m.z is None else phi(m.z)
    return both(m, either(m, BUY, theirs, p), p["confidence_e6"] * 1e-6, p)


def misalignment(m: Market, p: Params) -> Answer:
    young = m.elapsed is not None and 0 <= m.elapsed <= p["elapsed_max_ns"] * 1e-9
    stop = first(("trigger", m.trigger & 1 > 0), ("time", young),
                 ("unknown", None not in (m.sigma, m.seconds, m.mean_distance)))  # fmt: skip
    if stop:
        return blocked(stop)
    assert m.sigma is not None and m.seconds is not None and m.mean_distance is not None
    if not (m.sigma > 0 and m.seconds > 0):
        return blocked("unknown")
    z = m.mean_distance / m.spread(m.sigma)
    if m.z is None or not pdf(m.z) * abs(z) >= p["shift_min_e6"] * 1e-6:
        return blocked("misalignment")
    return both(m, either(m, BUY, phi(z), p), p["confidence_e6"] * 1e-6, p)


def extreme_buyer(m: Market, p: Params) -> Answer:
    if m.z is None:
        return blocked("unknown")
    stop = first(
        ("time", m.left is not None and m.left >= p["left_min_ns"] * 1e-9),
        ("z", abs(m.z) >= p["z_min_e6"] * 1e-6),
        ("regime", m.dominant is not None and m.dominant < p["trend_e6"] * 1e-6),
    )
    if stop:
        return blocked(stop)
    side = sign(-m.z)
    price = touch(m.book, side)
    if price is None:
        return blocked("no_quote")
    if price >= p["price_max_e6"]:
        return blocked("price")
    return judge(m, side, either(m, side, phi(-abs(m.z)), p), p["confidence_e6"] * 1e-6, p)


def cross_timeframe(m: Market, p: Params) -> Answer:
    stop = first(
        ("trigger", m.trigger & 4 > 0), ("time", m.left is not None and m.left > 0),
        ("unknown", m.sigma_implied is not None and m.sigma_fitted is not None),
    )  # fmt: skip
    if stop:
        return blocked(stop)
    assert m.sigma_implied is not None and m.sigma_fitted is not None
    if not (m.sigma_implied > 0 and m.sigma_fitted > 0):
        return blocked("unknown")
    if abs(math.log(m.sigma_implied / m.sigma_fitted)) < p["outlier_min_e6"] * 1e-6:
        return blocked("outlier")
    theirs = None
    if None not in (m.z, m.sigma, m.seconds):
        theirs = phi(m.z * m.spread(m.sigma) / m.spread(m.sigma_fitted))  # type: ignore
    return both(m, either(m, BUY, theirs, p), p["confidence_e6"] * 1e-6, p)


def model_edge(m: Market, p: Params) -> Answer:
    if m.left is None or not m.left > 0:
        return blocked("time")
    if m.fair is None or m.z is None or not 0 <= m.fair <= 1:
        return blocked("unknown")
    moved = pdf(m.z) * abs(m.z) * p["sigma_error_e6"] * 1e-6
    error = math.sqrt(moved * moved + (p["fair_error_e6"] * 1e-6) ** 2)
    if not error > 0:
        return blocked("unknown")
    edges = {
        side: edge_of(m, side, worth(of_side(side, m.fair)))  # type: ignore[arg-type]
        for side in (BUY, SELL)
    }
    side = BUY if edges[BUY] >= edges[SELL] else SELL
    confidence = phi(edges[side] / E6 / error)
    return judge(m, side, of_side(side, m.fair), confidence, p)


ALL = (
    distance_fade, momentum, settlement_sniper, latency, certainty, convexity_fade, misalignment,
    extreme_buyer, cross_timeframe, model_edge,
)  # fmt: skip
NAMES = tuple(each.__name__ for each in ALL)
