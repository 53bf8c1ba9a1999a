"""Any number of legs taken together, in plain Python fractions over the books of `twins.edge`."""

from __future__ import annotations

from fractions import Fraction
from math import floor, lcm

from tests.twins import fees, sizes
from tests.twins.edge import E6, Book, token

Leg = tuple[Book, int]
Answer = tuple[int, int, int, tuple[int, ...], tuple[int, ...]]
Fills = list[tuple[tuple[int, ...], int]]
NOTHING: Answer = (0, 0, 0, (), ())


def fills_of(
    legs: list[Leg], pays: int, least: int, cap: int, walk_budget: bool
) -> tuple[Fills, list[Fraction]]:
    """(price of each leg, contracts) while a contract of each leaves `least`, and more than 0; and
    what it leaves."""
    ladders = []
    for book, side in legs:
        levels = list(book.asks if side == 0 else book.bids)
        levels = levels if walk_budget or not book.notional_step else levels[:1]
        ladders.append([list(level) for level in levels])
    fills: Fills = []
    margins: list[Fraction] = []
    cap = min(cap, 10**12)
    while cap > 0 and all(ladders):
        prices = tuple(ladder[0][0] for ladder in ladders)
        if any(ladder[0][1] <= 0 for ladder in ladders):
            break
        if not all(0 <= price <= E6 for price in prices):
            break
        gross = pays - sum(token(p, side) for p, (_, side) in zip(prices, legs, strict=True))
        charged = sum(
            fees.raw(p, E6, *book.fee_terms[:2]) for p, (book, _) in zip(prices, legs, strict=True)
        )
        if gross - charged <= 0 or gross - charged < least:
            break
        size = min(cap, *(ladder[0][1] for ladder in ladders))
        fills.append((prices, size))
        margins.append(Fraction(gross - charged))
        cap -= size
        for ladder in ladders:
            ladder[0][1] -= size
            if ladder[0][1] == 0:
                ladder.pop(0)
    return fills, margins


def legal(legs: list[Leg], limits: tuple[int, ...], wanted: int) -> int:
    """Largest size all venues take."""
    told, is_kept = [], False
    for (book, side), limit in zip(legs, limits, strict=True):
        if limit not in sizes.legal_prices(book.grid):
            return 0
        price = token(limit, side)
        told.append((price, sizes.step_at(price, book.size_step, book.notional_step), book))
        is_kept = is_kept or bool(book.notional_step)
    steps = [step for _, step, _ in told]
    if 0 in steps or lcm(*steps) > sizes.SIZE_MAX_E6:
        return 0
    count = wanted // lcm(*steps)
    size = (sizes.bucket(count) if is_kept else count) * lcm(*steps)
    for price, _, book in told:
        if size <= 0 or size < book.size_min or size * price < book.notional_min * E6:
            return 0
    return size


def basket(
    legs: list[Leg], pays: int, edge_min: int, off: int, cap: int, walk_budget: bool = False
) -> Answer:
    """(size, edge, profit, limits, fees) as `engine.basket.basket`: as deep as pays; if that is
    nothing, less deep. Where budgets are walked, the depth that leaves the most."""
    fills, margins = fills_of(legs, pays, edge_min + off, cap, walk_budget)
    best = NOTHING
    while fills and (walk_budget or not best[0]):
        found = at(fills, legs, pays, edge_min, off)
        if found[0] and (not best[0] or found[2] > best[2]):
            best = found
        count = sum(margin > margins[-1] for margin in margins)
        fills, margins = fills[:count], margins[:count]
    return best


def at(fills: Fills, legs: list[Leg], pays: int, edge_min: int, off: int) -> Answer:
    """The answer for these fills or fewer."""
    found_at = fills[-1][0]
    size = legal(legs, found_at, sum(taken for _, taken in fills))
    if size == 0:
        return NOTHING
    used, left = [], size
    for prices, taken in fills:
        if left > 0:
            used.append((prices, min(taken, left)))
            left -= taken
    limits, charged, cost, worst = [], [], 0, Fraction(pays * size, E6)
    for place, (book, side) in enumerate(legs):
        limit = found_at[place] if book.notional_step else used[-1][0][place]
        paid = [(token(p[place], side), n) for p, n in used]
        limits.append(limit)
        charged.append(fees.order(paid, *book.fee_terms))
        cost += sum(price * n for price, n in paid)
        price = token(limit, side)
        worst -= Fraction(price * size, E6) + fees.fee(price, size, *book.fee_terms)
    profit = Fraction(pays * size - cost, E6) - sum(charged)
    edge = floor(profit * E6 / size) - off
    if profit <= 0 or edge < edge_min or worst < 0:
        return NOTHING
    return size, edge, floor(profit), tuple(limits), tuple(charged)
