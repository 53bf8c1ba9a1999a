"""The edge of one direction in plain Python fractions: lists of levels, no cells, no rounding on
the way."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor

from tests.twins import fees, sizes

E6 = 10**6
BUY, SELL = 0, 1
WORST_RATE_E6, WORST_UNIT_E6 = 70_000, 10_000


@dataclass(frozen=True)
class Book:
    """A quote as a person would write it."""

    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]
    kind: int = 2
    rate: int = 70_000
    exponent: int = 1
    unit: int = 100
    mode: int = 0
    size_min: int = 10_000
    size_step: int = 10_000
    notional_min: int = 0
    notional_step: int = 0
    grid: tuple[int, ...] = (E6, 10_000, 0, 0, 0, 0)

    @property
    def fee_terms(self) -> tuple[int, int, int, int]:
        """Rate, exponent, unit, mode; unknown kinds at their worst, none at nothing."""
        if self.kind in (2, 3, 4):
            return self.rate, self.exponent, self.unit, self.mode
        if self.kind == 1:
            return 0, 1, 1, 0
        return max(self.rate, WORST_RATE_E6), 1, max(self.unit, WORST_UNIT_E6), 0


Answer = tuple[int, int, int, int, int, int, int]
NOTHING: Answer = (0, 0, 0, 0, 0, 0, 0)
Fills = list[tuple[int, int, int]]


def token(price: int, side: int) -> int:
    """What a contract costs: p bought, 1−p sold."""
    return price if side == BUY else E6 - price


def fills_of(
    a: Book, side_a: int, b: Book, side_b: int, floor_e6: int, cap: int, walk_budget: bool
) -> tuple[Fills, list[Fraction]]:
    """(price of a, price of b, contracts) while a contract pays, and what one leaves at each."""
    ladders = []
    for book, side in ((a, side_a), (b, side_b)):
        levels = list(book.asks if side == BUY else book.bids)
        ladders.append(levels if walk_budget or not book.notional_step else levels[:1])
    fills: Fills = []
    margins: list[Fraction] = []
    left = [list(level) for level in ladders[0]], [list(level) for level in ladders[1]]
    cap = min(cap, 10**12)
    while left[0] and left[1] and cap > 0:
        (price_a, size_a), (price_b, size_b) = left[0][0], left[1][0]
        if size_a <= 0 or size_b <= 0 or not (0 <= price_a <= E6 and 0 <= price_b <= E6):
            break
        gross = E6 - token(price_a, side_a) - token(price_b, side_b)
        unit = gross - fees.raw(price_a, E6, *a.fee_terms[:2])
        unit -= fees.raw(price_b, E6, *b.fee_terms[:2])
        if unit <= 0 or unit < floor_e6:
            break
        take = min(size_a, size_b, cap)
        fills.append((price_a, price_b, take))
        margins.append(unit)
        cap -= take
        for side in left:
            side[0][1] -= take
            if side[0][1] == 0:
                side.pop(0)
    return fills, margins


def cross_venue(
    a: Book, b: Book, same: int, direction: int, edge_min: int, off: int, cap: int,
    walk_budget: bool = False,
) -> Answer:  # fmt: skip
    """What `engine.edge.cross_venue` answers: as deep as pays; if that is nothing, less deep. Where
    budgets are walked, the depth that leaves the most."""
    side_a = BUY if direction == 0 else SELL
    side_b = (SELL if side_a == BUY else BUY) if same else side_a
    fills, margins = fills_of(a, side_a, b, side_b, edge_min + off, cap, walk_budget)
    best = NOTHING
    while fills and (walk_budget or not best[0]):
        found = at(fills, a, side_a, b, side_b, edge_min, off)
        if found[0] and (not best[0] or found[6] > best[6]):
            best = found
        count = sum(margin > margins[-1] for margin in margins)
        fills, margins = fills[:count], margins[:count]
    return best


def at(fills: Fills, a: Book, side_a: int, b: Book, side_b: int, edge_min: int, off: int) -> Answer:
    """The answer for these fills or fewer."""
    limits = [fills[-1][0], fills[-1][1]]
    for book, limit in ((a, limits[0]), (b, limits[1])):
        if limit not in sizes.legal_prices(book.grid):
            return NOTHING
    legs = tuple(
        (token(limit, side), book.size_step, book.notional_step, book.size_min, book.notional_min)
        for book, side, limit in ((a, side_a, limits[0]), (b, side_b, limits[1]))
    )
    size = sizes.both(sum(take for _, _, take in fills), (legs[0], legs[1]))
    if size == 0:
        return NOTHING
    used: Fills = []
    left = size
    for price_a, price_b, take in fills:
        if left > 0:
            used.append((price_a, price_b, min(take, left)))
            left -= take
    if not a.notional_step:
        limits[0] = used[-1][0]
    if not b.notional_step:
        limits[1] = used[-1][1]
    charged, worst = [], Fraction(size)
    for place, book, side in ((0, a, side_a), (1, b, side_b)):
        paid = [(token(fill[place], side), fill[2]) for fill in used]
        charged.append(fees.order(paid, *book.fee_terms))
        price = token(limits[place], side)
        worst -= Fraction(price * size, E6) + fees.fee(price, size, *book.fee_terms)
    cost = sum(take * (token(pa, side_a) + token(pb, side_b)) for pa, pb, take in used)
    profit = Fraction(E6 * size - cost, E6) - sum(charged)
    edge = floor(profit * E6 / size) - off
    if profit <= 0 or edge < edge_min or worst < 0:
        return NOTHING
    return size, limits[0], limits[1], charged[0], charged[1], edge, floor(profit)
