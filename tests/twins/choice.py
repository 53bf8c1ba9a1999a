"""The choice of one market in plain Python: one house view, the best of what fires, its size."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

from tests.twins import basket, fees
from tests.twins.edge import E6, token
from tests.twins.strategies import (
    ALL,
    BUY,
    NAMES,
    SELL,
    Answer,
    Market,
    Params,
    blocked,
    pdf,
    touch,
)


def cap_of(name: str, m: Market, p: Params) -> int:
    """Share of the bankroll one order may take."""
    if name != "certainty":
        return p["cap_e6"]
    assert m.z is not None
    if abs(m.z) > p["z_high_e6"] * 1e-6:
        return p["cap_e6"]
    return p["cap_middle_e6"] if abs(m.z) > p["z_middle_e6"] * 1e-6 else p["cap_low_e6"]


@dataclass(frozen=True)
class Case:
    """What the caller of a choice knows."""

    run_ns: int = 0
    held: int = -1
    bankroll: int = 10_000 * E6
    room: int = 100 * E6
    cap: int = 10**12
    walk_budget: bool = False
    staked: int = 0


Seen = dict[str, tuple[int, int]]  # strategy: run time of its last order, orders


def size_in(dollars: int, unit: int, spare: int) -> int:
    """Contracts for these dollars."""
    return max(dollars - spare, 0) * E6 // max(unit, 100)


def order(m: Market, side: int, fair: int, p: Params, case: Case, dollars: int) -> basket.Answer:
    """What the book and the dollars allow."""
    if dollars <= 0:
        return basket.NOTHING
    legs, worth = [(m.book, side)], fair if side == BUY else E6 - fair
    spare = 2 * m.book.fee_terms[2] + 2
    price = touch(m.book, side)
    assert price is not None
    args = worth, p["edge_min_e6"], m.off
    cap = min(case.cap, size_in(dollars, price, spare), 10**12)
    found = basket.basket(legs, *args, cap, case.walk_budget)
    if not found[0]:
        return found
    limit = found[3][0] if side == BUY else E6 - found[3][0]
    unit = limit + math.ceil(fees.raw(limit, E6, *m.book.fee_terms[:2]))
    paid = min(size_in(dollars, unit, spare), 10**12)
    return found if paid >= found[0] else basket.basket(legs, *args, paid, case.walk_budget)


def kelly(case: Case, edge: int, price: int, most: int) -> int:
    """Dollars that half of Kelly leaves at a price, at most so many."""
    if edge <= 0:
        return 0
    half = math.floor(min(Fraction(edge, 2 * (E6 - price)), 1) * E6)
    return max(min((case.bankroll + case.staked) * half // E6 - case.staked, most), 0)


def off_of(m: Market) -> int:
    """What comes off beside fees, the taker delay included; -1: unknown."""
    if m.off < 0 or m.delay_ns <= 0:
        return m.off
    if m.z is None or m.seconds is None or not m.seconds > 0:
        return -1
    lost = math.sqrt(2 / math.pi) * pdf(m.z) * math.sqrt(m.delay_ns / 1e9 / m.seconds)
    return m.off + min(math.ceil(lost * E6), E6)


def choose(
    m: Market, params: dict[str, Params], case: Case, seen: Seen, spent: dict[str, int]
) -> tuple[str | None, basket.Answer, dict[str, Answer]]:
    """The strategy that trades, what it orders, and every answer."""
    m = replace(m, off=off_of(m))
    answers: dict[str, Answer] = {}
    for each, name in zip(ALL, NAMES, strict=True):
        p = params[name]
        answer = each(m, p) if p["on"] == 1 else blocked("off")
        last, orders = seen.get(name, (0, 0))
        if answer[4] == "fires" and orders >= p["orders_max"]:
            answer = (-1, *answer[1:4], "orders")
        elif answer[4] == "fires" and orders and case.run_ns - last < p["cooldown_ns"]:
            answer = (-1, *answer[1:4], "cooldown")
        answers[name] = answer
    sums = [sum(a[2] * a[3] for a in answers.values() if a[0] == side) for side in (BUY, SELL)]
    view = case.held
    if view < 0 and sums[0] != sums[1]:
        view = BUY if sums[0] > sums[1] else SELL
    for name, answer in answers.items():
        if answer[0] >= 0 and answer[0] != view:
            answers[name] = (-1, *answer[1:4], "house_view")
    while True:
        firing = {name: a for name, a in answers.items() if a[0] >= 0 and a[2] * a[3] > 0}
        if not firing:
            return None, basket.NOTHING, answers
        name = max(firing, key=lambda each: firing[each][2] * firing[each][3])
        side, fair, edge, sure, _ = firing[name]
        price, p = touch(m.book, side), params[name]
        assert price is not None
        most = min(
            case.bankroll * cap_of(name, m, p) // E6,
            case.bankroll * p["total_e6"] // E6 - spent.get(name, 0), case.room,
        )  # fmt: skip
        dollars = kelly(case, edge, price, most)
        found = order(m, side, fair, p, case, dollars)
        if found[0] and (limit := token(found[3][0], side)) != price:
            paid = limit + math.ceil(fees.raw(limit, E6, *m.book.fee_terms[:2]))
            least = kelly(case, token(fair, side) - paid - m.off, limit, most)
            if least < dollars:
                shown = (m.book.asks if side == BUY else m.book.bids)[0][1]
                near = order(m, side, fair, p, replace(case, cap=min(case.cap, shown)), dollars)
                deep = order(m, side, fair, p, case, least)
                found = deep if deep[0] and deep[2] >= near[2] else near
        if found[0]:
            return name, found, answers
        why = "size" if dollars > 0 and case.cap > 0 else "limit"
        answers[name] = (-1, fair, edge, sure, why)
