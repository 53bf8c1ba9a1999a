"""Baskets of one to four legs against the plain form, and two legs against `cross_venue`."""

from __future__ import annotations

import random

from engine import basket as b
from engine.edge import cross_venue, side_of_b
from shm_layout import BODY, BUY, E6, LEGS_MAX, SELL
from tests.engine.test_edge import ASK_41, BID_50, random_book, rows_of
from tests.twins import basket as twin
from tests.twins.edge import Book

SEED = 23


def found(legs: list[twin.Leg], *args: int) -> twin.Answer:
    """The compiled answer: pays, edge_min, take_off, cap, walk_budget."""
    rows, words = rows_of(*(book for book, _ in legs)), b.fresh()
    for leg, (_, side) in enumerate(legs):
        b.put_leg(words, leg, leg * BODY, side)
    size, edge, profit = (int(x) for x in b.basket(rows, words, len(legs), *args))
    if size == 0:
        return twin.NOTHING
    cells = words.reshape(LEGS_MAX, b.LEG_CELLS)[: len(legs)]
    limits, fees = cells[:, b.B_LIMIT].tolist(), cells[:, b.B_FEE].tolist()
    return size, edge, profit, tuple(limits), tuple(fees)


def cheap(book: Book, by: int) -> Book:
    """The book with every ask nearer to nothing, so that sums of several stay below a dollar."""
    asks = tuple((max(price // by // 10_000 * 10_000, 10_000), size) for price, size in book.asks)
    bids = tuple((price // by, size) for price, size in book.bids)
    return Book(bids, asks, book.kind, book.rate, book.exponent, book.unit, book.mode,
                book.size_min, book.size_step, book.notional_min, book.notional_step,
                book.grid)  # fmt: skip


def test_the_compiled_basket_equals_the_plain_one() -> None:
    rng, hits = random.Random(SEED), 0
    for case in range(3_000):
        count = rng.choice([1, 1, 2, 3, 3, 4])
        legs = [
            (cheap(random_book(rng), rng.choice([1, 2, count])), rng.choice([BUY, BUY, SELL]))
            for _ in range(count)
        ]
        pays = rng.choice([E6, E6, (count - 1) * E6, 700_000, 0, 3 * E6])
        args = (
            pays, rng.choice([0, 1, 10_000, 30_000]), rng.choice([0, 5_000]),
            rng.choice([0, 10_000, 10**8, 10**12, 10**15]), rng.randrange(2),
        )  # fmt: skip
        wanted = twin.basket(legs, *args[:4], bool(args[4]))
        assert found(legs, *args) == wanted, (SEED, case, legs, args)
        hits += wanted[0] > 0
    assert hits > 200


def test_two_legs_that_pay_a_dollar_are_the_cross_venue_edge() -> None:
    rng, hits = random.Random(SEED + 1), 0
    for _ in range(1_500):
        a, other = random_book(rng), random_book(rng)
        same, direction, walk = rng.randrange(2), rng.randrange(2), rng.randrange(2)
        least, off, cap = (
            rng.choice([0, 10_000]),
            rng.choice([0, 5_000]),
            rng.choice([10**8, 10**12]),
        )
        wanted = cross_venue(rows_of(a, other), 0, BODY, same, direction, least, off, cap, walk)
        side_a = BUY if direction == 0 else SELL
        legs = [(a, side_a), (other, int(side_of_b(direction, same)))]
        size, edge, profit, limits, fees = found(legs, E6, least, off, cap, walk)
        assert (size, *limits, *fees, edge, profit) == tuple(wanted) or size == wanted[0] == 0
        hits += size > 0
    assert hits > 30


def test_more_legs_than_an_intent_has_are_no_basket() -> None:
    assert found([(ASK_41, BUY), (BID_50, SELL)], E6, 0, 0, 10**9, 0)[0] > 0
    rows, words = rows_of(*(ASK_41 for _ in range(5))), b.fresh()
    assert b.basket(rows, words, 5, 5 * E6, 0, 0, 10**9, 0) == (0, 0, 0)
    assert b.basket(rows, words, 0, E6, 0, 0, 10**9, 0) == (0, 0, 0)


def test_the_thinnest_leg_sets_the_size() -> None:
    thin = Book((), ((200_000, 7 * E6),))
    legs = [(Book((), ((200_000, 500 * E6),)), BUY), (thin, BUY), (ASK_41, BUY)]
    size, _, _, limits, _ = found(legs, E6, 0, 0, 10**12, 0)
    assert size == 7 * E6 and limits == (200_000, 200_000, 410_000)


def test_a_single_leg_is_worth_its_fair_value_to_the_last_level_that_pays() -> None:
    book = Book((), ((410_000, 5 * E6), (450_000, 5 * E6), (470_000, 5 * E6)))
    size, edge, profit, limits, fees = found([(book, BUY)], 500_000, 20_000, 0, 10**12, 0)
    assert (size, limits) == (10 * E6, (450_000,))  # at 0.47: 3 cents less 1.74 of fee
    assert fees == (-(-(5 * 70_000 * (0.41 * 0.59 + 0.45 * 0.55)) // 100) * 100,)
    assert profit == 5 * 90_000 + 5 * 50_000 - fees[0] and edge == profit // 10
