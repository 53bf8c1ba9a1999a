"""Trades, books and moments at which each strategy fires, built from ring entries: what the tests
of the house stand on. One window as in tests/engine/bets.py, of five minutes at a strike of 80,000.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import erf, sqrt

from engine.detector import Detector
from engine.strategies import table
from shm_layout import BUY, E6, NO_INSTRUMENT, SELL
from tests.engine.bets import CLOSE, COINBASE, E8, RULE, SPOT_SLOT, rows_of, spot, terms
from tests.engine.world import KALSHI, MS, RUN_0, SECOND, World, detector_of

LEVEL = 500 * E6
Scene = Callable[..., tuple[World, Detector]]
ALL = (
    "distance_fade", "momentum", "settlement_sniper", "latency", "certainty", "convexity_fade",
    "misalignment", "extreme_buyer", "cross_timeframe", "model_edge",
)  # fmt: skip


def book(world: World, bid_cents: int, ask_cents: int, instrument: int = 0) -> None:
    """A quote of one level a side; no ask at a dollar."""
    asks = ((ask_cents * 10_000, LEVEL),) if ask_cents < 100 else ()
    world.quote(instrument, KALSHI, ((bid_cents * 10_000, LEVEL),), asks)


def trade(world: World, dollars: float, side: int = BUY, size: float = 1.0, **more: int) -> None:
    """A trade at Coinbase now."""
    world.numbers[-2] = world.numbers.get(-2, 0) + 1
    told = {"trade_id": world.numbers[-2], "size_e8": round(size * E8), "taker_side": side}
    spot(world, dollars, **(told | more))


def opened(*names: str, left_s: int = 295, **changed: int) -> tuple[World, Detector]:
    """The window with so much left, nothing traded yet; these strategies are on."""
    world = rows_of()
    world.strategies(*names, **changed)
    detector = detector_of(world)
    terms(world)
    skip(world, detector, 300 - left_s)
    return world, detector


def skip(world: World, detector: Detector, seconds: int) -> None:
    """Let time pass in steps that keep feeds alive."""
    for _ in range(seconds):
        assert world.step(detector, SECOND) == []


def traded(world: World, detector: Detector, dollars: list[float], side: int = BUY) -> None:
    """A trade each half second."""
    for each in dollars:
        trade(world, each, side)
        assert world.step(detector, 500 * MS) == []


def steps(first: float, last: float, count: int) -> list[float]:
    """Prices on a straight line."""
    return [first + (last - first) * i / (count - 1) for i in range(count)]


def wavering(around: float, count: int) -> list[float]:
    """Prices that go nowhere."""
    return [around + (i % 2) for i in range(count)]


def distance_fade(*on: str, **changed: int) -> tuple[World, Detector]:
    """Spot $100 above the strike, the ask at 60 cents."""
    world, detector = opened(*on, **changed)
    spot(world)
    book(world, 58, 60)
    return world, detector


def momentum(*on: str, **changed: int) -> tuple[World, Detector]:
    """Sixty buys in thirty seconds that lift spot from the strike by $80."""
    world, detector = opened(*on, left_s=250, **changed)
    traded(world, detector, steps(80_000, 80_080, 60))
    book(world, 55, 57)
    return world, detector


def settlement_sniper(*on: str, **changed: int) -> tuple[World, Detector]:
    """Fifty seconds left, $100 above, not coming back."""
    world, detector = opened(*on, left_s=60, **changed)
    traded(world, detector, wavering(80_100, 20))
    book(world, 78, 80)
    return world, detector


def latency(*on: str, **changed: int) -> tuple[World, Detector]:
    """The book is fair where spot was; then spot trades $60 higher."""
    world, detector = opened(*on, **changed)
    spot(world, 80_000)
    book(world, 49, 51)
    assert world.step(detector) == []
    trade(world, 80_060)
    return world, detector


def certainty(*on: str, **changed: int) -> tuple[World, Detector]:
    """Spot three deviations above, the ask at 80 cents."""
    world, detector = opened(*on, left_s=100, **changed)
    spot(world, 80_240)
    book(world, 78, 80)
    return world, detector


def convexity_fade(*on: str, **changed: int) -> tuple[World, Detector]:
    """No trend, spot at the strike, the book at 60."""
    world, detector = opened(*on, left_s=250, **changed)
    traded(world, detector, wavering(80_000, 60))
    book(world, 60, 62)
    return world, detector


def misalignment(*on: str, **changed: int) -> tuple[World, Detector]:
    """The window has just begun; the mean of the minute before it is $60 below its strike."""
    world, detector = opened(*on, left_s=299, **changed)
    for _ in range(10):
        trade(world, 79_940)
    assert world.step(detector) == []
    book(world, 49, 51)
    trade(world, 80_000, size=0.001)
    return world, detector


def extreme_buyer(*on: str, **changed: int) -> tuple[World, Detector]:
    """NO costs a cent and is worth more."""
    world, detector = opened(*on, left_s=250, **changed)
    traded(world, detector, wavering(80_200, 60))
    book(world, 99, 100)
    return world, detector


def cross_timeframe(
    *on: str, sigmas: tuple[float, ...] = (1e-4, 3e-4, 1e-4), **changed: int
) -> tuple[World, Detector]:
    """Windows whose books imply so much a √second: three of 1, 3 and 1 basis points."""
    world, detector = opened(*on, left_s=250, **changed)
    spot(world)
    place = {"settlement_rule": RULE.cell, "open_epoch_ns": RUN_0, "spot_slot": SPOT_SLOT}
    off = 100 / 80_000
    lengths_s = (300, 900, 3_600)
    for i, (length_s, sigma) in enumerate(zip(lengths_s, sigmas, strict=False)):
        if i:
            world.instrument(i, KALSHI, index_slot=1, **place)
            world.pair(i, i, NO_INSTRUMENT, needs_terms=1)
        middle = 0.5 + 0.5 * erf(off / (sigma * sqrt(length_s - 50)) / sqrt(2))
        cents = round(middle * 100)
        book(world, cents - 1, cents + 1, i)
    for number in (2, 3):
        for i, length_s in enumerate(lengths_s[: len(sigmas)]):
            terms(world, i, number=number, close_epoch_ns=RUN_0 + length_s * SECOND)
        if number == 2:
            assert world.step(detector) == []
    return world, detector


def misaligned(
    *on: str, left_s: int = 299, mean: float = 79_940, cents: tuple[int, int] = (49, 51),
    is_spot: bool = True, **changed: int,
) -> tuple[World, Detector]:  # fmt: skip
    """`misalignment` with one thing otherwise; the last update is a book if not `is_spot`."""
    world, detector = opened(*on, left_s=left_s, **changed)
    for _ in range(10 * (mean > 0)):
        trade(world, mean)
    if mean <= 0:
        spot(world, 80_000)
    if not is_spot:
        book(world, 33, 35)  # decided, and too dear
    assert world.step(detector) == []
    book(world, *cents)
    if is_spot:
        spot(world, 80_000)
    return world, detector


def _late(
    *on: str, left_s: int = 60, dollars: list[float] | None = None,
    cents: tuple[int, int] = (78, 80), **changed: int,
) -> tuple[World, Detector]:  # fmt: skip
    """`settlement_sniper` with one thing otherwise."""
    world, detector = opened(*on, left_s=left_s, **changed)
    traded(world, detector, wavering(80_100, 20) if dollars is None else dollars)
    book(world, *cents)
    return world, detector


def _cheap(
    *on: str, left_s: int = 250, dollars: list[float] | None = None,
    cents: tuple[int, int] = (99, 100), **changed: int,
) -> tuple[World, Detector]:  # fmt: skip
    """`extreme_buyer` with one thing otherwise."""
    world, detector = opened(*on, left_s=left_s, **changed)
    traded(world, detector, wavering(80_200, 60) if dollars is None else dollars)
    book(world, *cents)
    return world, detector


def _by_a_quote(*on: str) -> tuple[World, Detector]:
    """`cross_timeframe`, and then a book alone."""
    world, detector = cross_timeframe(*on, edge_min_e6=E6)
    assert world.step(detector) == []
    book(world, 55, 57, 1)
    return world, detector


# strategy -> (gate, a scene in which that one blocks it)
GATED: dict[str, list[tuple[str, Scene]]] = {
    "misalignment": [
        ("trigger", partial(misaligned, is_spot=False)),
        ("time", partial(misaligned, left_s=284)),
        ("unknown", partial(misaligned, mean=0)),
        ("misalignment", partial(misaligned, mean=79_999)),
        ("edge", partial(misaligned, cents=(33, 35))),
        ("confidence", partial(misaligned, confidence_min_e6=500_001)),
        ("orders", partial(misaligned, orders_max=0)),
        ("limit", partial(misaligned, total_e6=0)),
    ],
    "settlement_sniper": [
        ("time", partial(_late, left_s=110)),
        ("time", partial(_late, left_s=14)),
        ("unknown", partial(_late, dollars=[])),
        ("distance", partial(_late, dollars=wavering(80_040, 20))),
        ("reversal", partial(_late, dollars=steps(80_300, 80_100, 20))),
        ("table", partial(_late, dollars=wavering(80_050, 20), fair=table.FAIR_THEIRS)),
        ("edge", partial(_late, cents=(96, 97))),
        ("confidence", partial(_late, confidence_min_e6=950_001)),
        ("orders", partial(_late, orders_max=0)),
        ("limit", partial(_late, cap_e6=0)),
    ],
    "extreme_buyer": [
        ("time", partial(_cheap, left_s=89)),
        ("z", partial(_cheap, dollars=wavering(80_100, 60))),
        ("regime", partial(_cheap, dollars=steps(80_140, 80_200, 60))),
        ("price", partial(_cheap, cents=(75, 77))),
        ("edge", partial(_cheap, cents=(90, 92))),
        ("confidence", partial(_cheap, confidence_min_e6=400_001)),
        ("orders", partial(_cheap, orders_max=0)),
        ("limit", partial(_cheap, cap_e6=0)),
    ],
    "cross_timeframe": [
        ("trigger", _by_a_quote),
        ("unknown", partial(cross_timeframe, sigmas=(1e-4, 3e-4))),
        ("outlier", partial(cross_timeframe, outlier_min_e6=2_000_000)),
        ("edge", partial(cross_timeframe, edge_min_e6=E6)),
        ("confidence", partial(cross_timeframe, confidence_min_e6=500_001)),
        ("orders", partial(cross_timeframe, orders_max=0)),
        ("limit", partial(cross_timeframe, total_e6=0)),
    ],
}

SCENES: dict[str, Scene] = {
    "distance_fade": distance_fade,
    "momentum": momentum,
    "settlement_sniper": settlement_sniper,
    "latency": latency,
    "certainty": certainty,
    "convexity_fade": convexity_fade,
    "misalignment": misalignment,
    "extreme_buyer": extreme_buyer,
    "cross_timeframe": cross_timeframe,
    "model_edge": distance_fade,
}
SIDES = dict.fromkeys(SCENES, BUY) | {
    "convexity_fade": SELL, "misalignment": SELL, "extreme_buyer": SELL,
}  # fmt: skip
assert CLOSE == RUN_0 + 300 * SECOND and COINBASE != KALSHI
