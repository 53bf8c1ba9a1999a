"""Random histories of one venue with faults: what happens to its markets, what goes wrong and when.

A seed is a history. `play.py` plays it.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from ops.venues.faults import DRIFTS, Fault
from ops.venues.kalshi_ws import WS_PATH
from ops.venues.polymarket_ws import MARKET_PATH
from ops.venues.script import ASK, BID, BookSet, Event, Level, LevelSet, MarketTrade
from tests.ops.venues.rig import BEGIN_NS, MS

FAULTS_MS = (500, 3_800)  # when faults begin
CALM_MS = 4_400  # from here on nothing new goes wrong
CENT = 10_000


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything that chance decides."""

    seed: int
    venue: str
    lanes: int
    markets: int
    events: tuple[Event, ...]
    faults: tuple[Fault, ...]


def history(seed: int, *, venue: str = "", lanes: int = 0) -> History:
    """The history of a seed; of another venue or number of connections, if that is said."""
    random = Random(seed)
    drawn = random.choice(("kalshi", "polymarket")), random.choice((1, 2))
    venue, lanes = venue or drawn[0], lanes or drawn[1]
    count = random.randrange(1, 4)
    events = sorted(
        (event for market in range(count) for event in _walk(random, market)),
        key=lambda event: event.at_epoch_ns,
    )
    plan = tuple(_fault(random, venue, lanes) for _ in range(random.choice((0, 1, 1, 2, 3, 5))))
    return History(
        seed=seed, venue=venue, lanes=lanes, markets=count, events=tuple(events), faults=plan
    )


# ---- markets


def _walk(random: Random, market: int) -> list[Event]:
    """One market: a whole book, then changes that never cross it."""
    middle = random.randrange(20, 80)
    books: dict[int, dict[int, int]] = {BID: {}, ASK: {}}
    for step in range(1, random.randrange(4, 10)):
        books[BID][(middle - step) * CENT] = _size(random)
        books[ASK][(middle + step) * CENT] = _size(random)
    found: list[Event] = [_whole(0, market, books)]
    at_ms, pace_ms = 0, random.choice((20, 60, 200))
    while at_ms < CALM_MS:
        at_ms += random.choice((0, 1, random.randrange(pace_ms), random.randrange(4 * pace_ms)))
        found.append(_event(random, min(at_ms, CALM_MS), market, books))
    ends_ms = (CALM_MS + 300, CALM_MS + 600, CALM_MS + 601)
    return found + [_change(random, at_ms, market, books) for at_ms in ends_ms]


def _size(random: Random) -> int:
    return random.randrange(1, 5_000) * CENT


def _at(at_ms: int) -> int:
    return BEGIN_NS + at_ms * MS


def _whole(at_ms: int, market: int, books: dict[int, dict[int, int]]) -> BookSet:
    bids: list[Level] = sorted(books[BID].items(), reverse=True)
    return BookSet(_at(at_ms), market, tuple(bids), tuple(sorted(books[ASK].items())))


def _event(random: Random, at_ms: int, market: int, books: dict[int, dict[int, int]]) -> Event:
    dice = random.random()
    if dice < 0.04:
        for side in (BID, ASK):
            for price in list(books[side]):
                books[side][price] = _size(random)
        return _whole(at_ms, market, books)
    if dice < 0.1:
        side = random.choice((BID, ASK))
        price = min(books[ASK]) if side == BID else max(books[BID])
        return MarketTrade(_at(at_ms), market, price, _size(random), side)
    return _change(random, at_ms, market, books)


def _change(random: Random, at_ms: int, market: int, books: dict[int, dict[int, int]]) -> LevelSet:
    """One level: another size, gone, or a new one; the touch moves now and then."""
    side = random.choice((BID, ASK))
    mine, best = books[side], max(books[BID]) if side == BID else min(books[ASK])
    sign = 1 if side == BID else -1
    dice = random.random()
    if dice < 0.25 and len(mine) > 2:
        price = best if random.random() < 0.6 else random.choice(list(mine))
        del mine[price]
        return LevelSet(_at(at_ms), market, side, price, 0)
    price = random.choice(list(mine))
    better = best + sign * CENT
    if dice < 0.45 and _fits(better, books, side):
        price = better
    elif dice < 0.65:
        price = best - sign * CENT * random.randrange(1, 12)
        if not CENT <= price <= 99 * CENT:
            price = best
    mine[price] = _size(random)
    return LevelSet(_at(at_ms), market, side, price, mine[price])


def _fits(price: int, books: dict[int, dict[int, int]], side: int) -> bool:
    return price < min(books[ASK]) if side == BID else price > max(books[BID])


# ---- faults

DATA = {"kalshi": "orderbook_delta", "polymarket": "price_change"}
WHOLE = {"kalshi": "orderbook_snapshot", "polymarket": "book"}
PATHS = {"kalshi": WS_PATH, "polymarket": MARKET_PATH}
REST = {"kalshi": "/trade-api/v2/", "polymarket": "/"}
FIELDS = {
    "kalshi": ("price_dollars", "delta_fp", "side", "ts_ms", "seq", "sid", "market_ticker", "type",
               "msg"),
    "polymarket": ("price", "size", "side", "asset_id", "best_bid", "best_ask", "timestamp",
                   "event_type", "price_changes", "bids"),
}  # fmt: skip
# What nobody can know: a size a hundred times as big is only a size, and a side may be empty.
BEYOND = (("delta_fp", "rescaled"), ("bids", "zero"))
KINDS = (
    "gap", "gap", "gap", "duplicate", "reorder", "freeze", "half_open", "cut", "delay",
    "burst", "crossed", "second_snapshot", "drift", "drift", "wrong_tick", "oversize", "bomb",
    "close_storm", "status", "silence", "stale_clock",
)  # fmt: skip
OF_FRAMES = ("gap", "duplicate", "reorder", "cut", "wrong_tick", "oversize", "bomb", "delay")


def _fault(random: Random, venue: str, lanes: int) -> Fault:
    kind = random.choice(KINDS)
    at_ms = random.randrange(*FAULTS_MS)
    left_ms = CALM_MS - 400 - at_ms
    more: dict[str, object] = {"machine_ms": at_ms, "connection": random.choice((0, 1, lanes))}
    if kind in OF_FRAMES:
        more |= {"count": random.choice((1, 1, 2, 5)), "every": random.choice((1, 1, 3))}
        more["channel"] = random.choice((*[DATA[venue]] * 6, WHOLE[venue], ""))
    if kind in ("freeze", "close_storm", "stale_clock"):
        more["for_ms"] = random.randrange(50, max(100, left_ms))
    if kind == "delay":
        more |= {"delay_ms": random.randrange(1, 350)}
    elif kind == "stale_clock":
        more |= {"offset_ms": random.choice((-2_000, -300, 40, 1_500))}
    elif kind == "drift":
        field, how = random.choice(FIELDS[venue]), random.choice(DRIFTS)
        if (field, how) in BEYOND:
            how = "missing"
        more |= {"field": field, "how": how, "count": random.choice((1, 2, 5))}
        more["channel"] = random.choice((*[DATA[venue]] * 6, WHOLE[venue], ""))
    elif kind == "oversize":
        more["bytes"] = random.choice((70_000, (1 << 20) + 1))
    elif kind == "bomb":
        more |= {"how": random.choice(("nested", "deflate")), "bytes": 1 << 20}
    elif kind in ("status", "silence"):
        is_rest = random.random() < 0.5
        path = REST[venue] if is_rest else PATHS[venue]
        more |= {"path": path, "count": random.choice((1, 2, 4))}
        more |= {"status": random.choice((429, 500, 503))} if kind == "status" else {}
    elif kind == "close_storm":
        more |= {"code": random.choice((1001, 1012)), "delay_ms": random.choice((1, 100))}
    elif kind == "burst":
        more |= {"times": 30}
    return Fault(venue=venue, kind=kind, **more)  # type: ignore[arg-type]
