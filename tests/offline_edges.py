"""Cross-venue edges of a script, computed apart: plain Fractions, no project code but the contract.

The reference that the detector is held against. It walks both books of a pair level by level, buys
the same number of contracts on both venues (YES on one, NO on the other) and asks what is left of
the dollar they pay together:

- Kalshi taker fee: sum of 0.07·C·p·(1−p) over the fills of the order, up to the next $0.0001.
- Polymarket taker fee: sum of C·rate·p·(1−p), cut to 1e-5.
- Sizes: hundredths of a contract at Kalshi. At Polymarket a FAK BUY of C shares at limit q needs
  C·q in whole cents and at least $1; the limit is the price of the last level taken.

Levels whose own contracts do not pay `edge_min` after unrounded fees are not taken. A side that is
empty and a book that is crossed or locked trade nothing. Books are looked at once per moment, after
all events of one stamp.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from math import ceil, floor

from ops.venues.script import ASK, BID, BookSet, Event, LevelSet, MarketSpec, PairSpec, Script

E6 = 1_000_000
A_YES = "buy YES at a, NO at b"
B_YES = "buy YES at b, NO at a"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What counts as an edge. Dollars per contract after all fees, contracts, levels a side."""

    edge_min: Fraction = Fraction(0)
    levels: int = 5
    size_max: Fraction | None = None
    polymarket_min: Fraction = Fraction(1)  # dollars of a marketable BUY
    polymarket_size_min: Fraction = Fraction(0)  # shares


@dataclass(frozen=True)
class Look:
    """One look at one direction of a pair: contracts a side, dollars left per contract."""

    size: Fraction
    edge: Fraction


@dataclass(frozen=True)
class Episode:
    """From the moment a direction pays until the moment it no longer does (or the data ends)."""

    pair: int
    direction: str
    start_epoch_ns: int
    end_epoch_ns: int
    first: Look
    best: Look

    @property
    def length_ns(self) -> int:
        return self.end_epoch_ns - self.start_epoch_ns


Sides = tuple[dict[int, int], dict[int, int]]


class Books:
    """The exogenous books of a script, market by market, as the events make them."""

    def __init__(self) -> None:
        self.sides: dict[int, Sides] = {}

    def apply(self, event: Event) -> int | None:
        """The market whose book the event changed."""
        if isinstance(event, BookSet):
            self.sides[event.market] = dict(event.bids), dict(event.asks)
            return event.market
        if isinstance(event, LevelSet):
            levels = self.sides.setdefault(event.market, ({}, {}))[event.side]
            if event.size_e6:
                levels[event.price_e6] = event.size_e6
            else:
                levels.pop(event.price_e6, None)
            return event.market
        return None

    def levels(self, market: int, side: int) -> list[tuple[int, int]]:
        """Best first."""
        sides = self.sides.get(market, ({}, {}))
        return sorted(sides[side].items(), reverse=side == BID)

    def is_sane(self, market: int) -> bool:
        """Not crossed, not locked."""
        bids, asks = self.sides.get(market, ({}, {}))
        return not bids or not asks or max(bids) < min(asks)


def kalshi_fee(spec: MarketSpec, fills: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    """Dollars of one order: up to the next $0.0001."""
    return Fraction(ceil(_raw(spec, fills) * 10_000), 10_000)


def polymarket_fee(spec: MarketSpec, fills: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    """Dollars of one order: cut to 1e-5."""
    return Fraction(floor(_raw(spec, fills) * 100_000), 100_000)


def _raw(spec: MarketSpec, fills: Iterable[tuple[Fraction, Fraction]]) -> Fraction:
    rate = Fraction(spec.fee_rate_e6, E6) * Fraction(spec.fee_multiplier_e6, E6)
    return rate * sum((size * p * (1 - p) for p, size in fills), Fraction(0))


def size_step(limit: Fraction) -> Fraction:
    """Contracts: hundredths whose cost at `limit` is whole cents, and so legal at both venues."""
    step = 1
    while (step * limit).denominator != 1:
        step += 1
    return Fraction(step, 100)


def kept(count: int) -> int:
    """Counts that are signed ahead: 1 2 3 4 5 6 8, 10 12 15 20 25 30 40 50 60 80 and tenfolds."""
    ladder = (1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80)
    sizes = [rung * 10**zeros for zeros in range(12) for rung in ladder]
    return max((size for size in sizes if size <= count), default=0)


def look(
    yes: tuple[MarketSpec, list[tuple[int, int]]],
    no: tuple[MarketSpec, list[tuple[int, int]]],
    rules: Rules,
) -> Look | None:
    """Buy YES from the asks of one market, NO from the (YES) bids of the other. None: no edge."""
    (yes_spec, asks), (no_spec, bids) = yes, no
    fills = _walk(yes_spec, asks[: rules.levels], no_spec, bids[: rules.levels], rules)
    if not fills:
        return None
    wanted = sum((size for _, _, size in fills), Fraction(0))
    if rules.size_max is not None:
        wanted = min(wanted, rules.size_max)
    is_yes_polymarket = yes_spec.venue == "polymarket"
    limit = fills[-1][0] if is_yes_polymarket else 1 - fills[-1][1]
    step = size_step(limit)
    size = kept(floor(wanted / step)) * step
    if size * limit < rules.polymarket_min or size < rules.polymarket_size_min or not size:
        return None
    yes_fills, no_fills, cost, left = [], [], Fraction(0), size
    for ask, bid, level in fills:
        taken = min(level, left)
        left -= taken
        yes_fills.append((ask, taken))
        no_fills.append((bid, taken))
        cost += taken * (ask + 1 - bid)
    edge = (size - cost - _fee(yes_spec, yes_fills) - _fee(no_spec, no_fills)) / size
    return Look(size, edge) if edge > 0 and edge >= rules.edge_min else None


def _fee(spec: MarketSpec, fills: list[tuple[Fraction, Fraction]]) -> Fraction:
    return (polymarket_fee if spec.venue == "polymarket" else kalshi_fee)(spec, fills)


def _walk(
    yes_spec: MarketSpec,
    asks: list[tuple[int, int]],
    no_spec: MarketSpec,
    bids: list[tuple[int, int]],
    rules: Rules,
) -> list[tuple[Fraction, Fraction, Fraction]]:
    """(ask, bid, contracts) while each contract pays."""
    fills = []
    ask_at = bid_at = ask_used = bid_used = 0
    while ask_at < len(asks) and bid_at < len(bids):
        ask, bid = Fraction(asks[ask_at][0], E6), Fraction(bids[bid_at][0], E6)
        one = Fraction(1)
        unit = bid - ask - _raw(yes_spec, [(ask, one)]) - _raw(no_spec, [(bid, one)])
        if unit <= 0 or unit < rules.edge_min:
            break
        size_e6 = min(asks[ask_at][1] - ask_used, bids[bid_at][1] - bid_used)
        fills.append((ask, bid, Fraction(size_e6, E6)))
        ask_used, bid_used = ask_used + size_e6, bid_used + size_e6
        if ask_used == asks[ask_at][1]:
            ask_at, ask_used = ask_at + 1, 0
        if bid_used == bids[bid_at][1]:
            bid_at, bid_used = bid_at + 1, 0
    return fills


def looks(script: Script, rules: Rules) -> Iterator[tuple[int, int, str, Look | None]]:
    """(epoch ns, pair, direction, look) at each moment that changed one of the pair's books."""
    number = {(spec.venue, spec.ticker): at for at, spec in enumerate(script.markets)}
    pairs = [_markets_of(pair, number) for pair in script.pairs]
    books = Books()
    for at_epoch_ns, events in groupby(script.events(), key=lambda event: event.at_epoch_ns):
        changed = {books.apply(event) for event in events}
        for index, (a, b) in enumerate(pairs):
            if a not in changed and b not in changed:
                continue
            for direction, yes, no in ((A_YES, a, b), (B_YES, b, a)):
                found = None
                if books.is_sane(a) and books.is_sane(b):
                    asks, bids = books.levels(yes, ASK), books.levels(no, BID)
                    found = look((script.markets[yes], asks), (script.markets[no], bids), rules)
                yield at_epoch_ns, index, direction, found


def _markets_of(pair: PairSpec, number: dict[tuple[str, str], int]) -> tuple[int, int]:
    assert pair.same, "a pair of opposite polarity is not computed here"
    return number[pair.a_venue, pair.a_ticker], number[pair.b_venue, pair.b_ticker]


def episodes(
    script: Script, rules: Rules | None = None, *, until_epoch_ns: int | None = None
) -> list[Episode]:
    """All episodes by their start. `until_epoch_ns` bounds a script that goes on for ever."""
    found: list[Episode] = []
    open_: dict[tuple[int, str], tuple[int, Look, Look]] = {}
    last = 0
    for at_epoch_ns, pair, direction, now in looks(script, rules or Rules()):
        if until_epoch_ns is not None and at_epoch_ns > until_epoch_ns:
            break
        last = at_epoch_ns
        was = open_.pop((pair, direction), None)
        if now is not None:
            start, first, best = was or (at_epoch_ns, now, now)
            best = now if now.edge > best.edge else best
            open_[pair, direction] = start, first, best
        elif was is not None:
            start, first, best = was
            found.append(Episode(pair, direction, start, at_epoch_ns, first, best))
    for (pair, direction), (start, first, best) in open_.items():
        found.append(Episode(pair, direction, start, last, first, best))
    return sorted(found, key=lambda each: (each.start_epoch_ns, each.pair))
