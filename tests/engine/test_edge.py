"""The compiled edge against the plain one, over seeded and extreme books; and what the first
version promises."""

from __future__ import annotations

import random

import numpy as np
import pytest

from engine import cells as c
from engine.edge import cross_venue, side_of_b, touch_gross
from shm_layout import BODY, BUY, E6, NO_ASK_E6, NO_BID_E6, SELL, Words
from tests.twins import edge as twin

SEED = 7
CENTS = (E6, 10_000, 0, 0, 0, 0)
TAPERED = (100_000, 1_000, 900_000, 10_000, E6, 1_000)


def rows_of(*books: twin.Book) -> Words:
    """Books as QUOTE bodies, one after another; absent levels as the layout says."""
    rows = np.zeros(BODY * len(books), np.int64)
    for i, book in enumerate(books):
        row = rows[i * BODY : (i + 1) * BODY]
        row[c.Q_FEE_KIND], row[c.Q_FEE_RATE], row[c.Q_FEE_EXPONENT] = (
            book.kind, book.rate, book.exponent,
        )  # fmt: skip
        row[c.Q_FEE_UNIT], row[c.Q_FEE_MODE] = book.unit, book.mode
        row[c.Q_SIZE_MIN], row[c.Q_SIZE_STEP] = book.size_min, book.size_step
        row[c.Q_NOTIONAL_MIN], row[c.Q_NOTIONAL_STEP] = book.notional_min, book.notional_step
        row[c.Q_GRID : c.Q_GRID + 6] = book.grid
        for at, none, levels in (
            (c.Q_BIDS, NO_BID_E6, book.bids), (c.Q_ASKS, NO_ASK_E6, book.asks),
        ):  # fmt: skip
            for k in range(5):
                row[at + 2 * k : at + 2 * k + 2] = levels[k] if k < len(levels) else (none, 0)
    return rows


def found(a: twin.Book, b: twin.Book, *args: int) -> tuple[int, ...]:
    """The compiled answer: same, direction, edge_min, take_off, cap, walk_budget."""
    return tuple(int(x) for x in cross_venue(rows_of(a, b), 0, BODY, *args))


def random_book(rng: random.Random) -> twin.Book:
    """A book of either venue, often extreme: absent sides, zero sizes, crossed, odd lots, fine
    prices."""
    tick = rng.choice([10_000, 10_000, 1_000, 2_500])
    middle = rng.randrange(tick, E6, tick)

    def side(sign: int) -> tuple[tuple[int, int], ...]:
        price, levels = middle + sign * tick * rng.randrange(-1, 4), []
        for _ in range(rng.choice([0, 1, 2, 5])):
            if not 0 < price < E6:
                break
            size = rng.choice([0, 1, 10_000, 12_345_678, 37 * E6, 10**12, rng.randrange(10**9)])
            levels.append((price, size))
            price += sign * tick * rng.randrange(1, 4)
        return tuple(levels)

    grid = rng.choice([(E6, tick, 0, 0, 0, 0), CENTS, TAPERED])
    if rng.random() < 0.5:
        return twin.Book(side(-1), side(1), rate=rng.choice([0, 35_000, 70_000]), grid=grid)
    return twin.Book(
        side(-1), side(1), kind=rng.choice([2, 2, 2, 1, 0]), rate=rng.choice([40_000, 50_000]),
        unit=10, mode=1, notional_min=rng.choice([0, E6]), notional_step=10_000, grid=grid,
    )  # fmt: skip


def test_the_compiled_edge_equals_the_plain_one() -> None:
    rng = random.Random(SEED)
    hits = 0
    for case in range(4_000):
        a, b = random_book(rng), random_book(rng)
        args = (
            rng.randrange(2), rng.randrange(2), rng.choice([0, 1, 10_000, 30_000]),
            rng.choice([0, 5_000]), rng.choice([0, 10_000, 10**8, 10**12, 10**15]),
            rng.randrange(2),
        )  # fmt: skip
        wanted = twin.cross_venue(a, b, *args[:5], bool(args[5]))
        assert found(a, b, *args) == wanted, (SEED, case, a, b, args)
        hits += wanted[0] > 0
    assert hits > 100


ASK_41 = twin.Book(((400_000, 100 * E6),), ((410_000, 100 * E6), (420_000, 50 * E6)))
BID_50 = twin.Book(((500_000, 80 * E6), (490_000, 90 * E6)), ((510_000, 80 * E6),))
POLY = {"rate": 50_000, "unit": 10, "mode": 1, "notional_min": E6, "notional_step": 10_000}


def test_depth_is_walked_and_the_limit_is_the_worst_level_used() -> None:
    size, limit_a, limit_b, *_ = found(ASK_41, BID_50, 1, 0, 10_000, 0, 10**12, 0)
    assert (size, limit_a, limit_b) == (150 * E6, 420_000, 490_000)
    size, limit_a, limit_b, *_ = found(ASK_41, BID_50, 1, 0, 10_000, 0, 90 * E6, 0)
    assert (size, limit_a, limit_b) == (90 * E6, 410_000, 490_000)


def test_a_venue_that_spends_a_budget_gives_its_touch_only() -> None:
    poly = twin.Book(BID_50.bids, BID_50.asks, **POLY)
    assert found(ASK_41, poly, 1, 0, 10_000, 0, 10**12, 0)[:3] == (80 * E6, 410_000, 500_000)
    assert found(ASK_41, poly, 1, 0, 10_000, 0, 10**12, 1)[0] == 150 * E6


def test_sizes_are_quantised_before_the_edge_is_summed() -> None:
    poly = twin.Book(((490_000, 12_345_678),), ((510_000, E6),), **POLY)
    size, *_, edge, profit = found(ASK_41, poly, 1, 0, 10_000, 0, 10**12, 0)
    assert size == 12 * E6  # NO at 0.51 steps in whole shares
    # 12·0.08 − 12·0.07·0.41·0.59 (0.203196 → 0.2032) − 12·0.05·0.49·0.51 (0.14994)
    assert profit == 960_000 - 203_200 - 149_940 and edge == profit // 12


def test_hurdle_and_dead_zone_come_off_each_contract() -> None:
    free = found(ASK_41, BID_50, 1, 0, 0, 0, 10 * E6, 0)
    taxed = found(ASK_41, BID_50, 1, 0, 0, 20_000, 10 * E6, 0)
    assert taxed[5] == free[5] - 20_000 and taxed[6] == free[6]
    assert found(ASK_41, BID_50, 1, 0, free[5] - 20_000 + 1, 20_000, 10 * E6, 0)[0] == 0


def test_the_edge_at_the_threshold_is_taken_and_just_below_it_is_not() -> None:
    edge = found(ASK_41, BID_50, 1, 0, 0, 0, 100 * E6, 0)[5]
    cap = 80 * E6  # one level each
    edge = found(ASK_41, BID_50, 1, 0, 0, 0, cap, 0)[5]
    assert found(ASK_41, BID_50, 1, 0, edge, 0, cap, 0)[0] == cap
    assert found(ASK_41, BID_50, 1, 0, edge + 1, 0, cap, 0)[0] == 0


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("same", [0, 1])
def test_mirroring_the_second_book_is_the_other_polarity(same: int, direction: int) -> None:
    mirrored = twin.Book(
        tuple((E6 - p, s) for p, s in BID_50.asks), tuple((E6 - p, s) for p, s in BID_50.bids)
    )
    plain = found(ASK_41, BID_50, same, direction, 0, 0, 10**12, 0)
    other = found(ASK_41, mirrored, 1 - same, direction, 0, 0, 10**12, 0)
    assert plain[0] == other[0] and plain[5:] == other[5:]
    assert side_of_b(direction, same) != side_of_b(direction, 1 - same)


def test_an_absent_side_is_hugely_unprofitable() -> None:
    empty = twin.Book((), ())
    rows = rows_of(ASK_41, empty)
    for side_a, side_b in ((BUY, BUY), (BUY, SELL), (SELL, BUY), (SELL, SELL)):
        assert touch_gross(rows, 0, side_a, BODY, side_b) < -(10**14)


def test_what_is_paid_back_covers_both_outcomes() -> None:
    """Each contract pays exactly $1 whichever way it settles, so the profit is certain."""
    rng = random.Random(SEED + 1)
    for _ in range(300):
        a, b = random_book(rng), random_book(rng)
        same, direction = rng.randrange(2), rng.randrange(2)
        size, limit_a, limit_b, fee_a, fee_b, _, profit = found(
            a, b, same, direction, 0, 0, 10**9, 0
        )
        if size == 0:
            continue
        side_a, side_b = (BUY if direction == 0 else SELL), side_of_b(direction, same)
        cost = size * (twin.token(limit_a, side_a) + twin.token(limit_b, side_b))
        for yes_a in (0, 1):
            yes_b = yes_a if same else 1 - yes_a
            pays = (yes_a if side_a == BUY else 1 - yes_a) + (yes_b if side_b == BUY else 1 - yes_b)
            assert pays == 1
        assert profit >= (E6 * size - cost) // E6 - fee_a - fee_b  # limits are the worst price
