"""Complements of one venue: which baskets are sure, which are traps, and what recorded ones
left."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import ceil

import pytest

from engine import basket as b
from engine import cells as c
from engine import complement as k
from shm_layout import BODY, BUY, E6, LEGS_MAX, SELL, Words
from tests.conftest import recorded
from tests.engine.test_edge import rows_of
from tests.twins.edge import Book

SEED = 29
SET = k.EXCLUSIVE | k.EXHAUSTIVE
CLOSE = 1_767_000_000 * 10**9


def markets(*books: Book, strikes: tuple[int, ...] = ()) -> Words:
    """Quotes of different instruments that close together."""
    rows = rows_of(*books)
    for i in range(len(books)):
        rows[i * BODY + c.Q_INSTRUMENT] = i
        rows[i * BODY + c.Q_CLOSE] = CLOSE
        rows[i * BODY + c.Q_STRIKE] = strikes[i] if strikes else 0
    return rows


def found(rows: Words, way: int, told: int, count: int = 0) -> tuple[int, ...]:
    """(size, edge, profit, refusal, side of each leg)."""
    count, legs = count or len(rows) // BODY, b.fresh()
    for leg in range(min(count, LEGS_MAX)):
        b.put_leg(legs, leg, leg * BODY, 7)
    answer = complement(rows, legs, count, way, told)
    sides = legs.reshape(LEGS_MAX, b.LEG_CELLS)[:count, b.B_SIDE]
    return (*(int(x) for x in answer), *(int(x) for x in sides))


def complement(
    rows: Words, legs: Words, count: int, way: int, told: int
) -> tuple[int, int, int, int]:
    """(size, edge, profit, refusal): what the registry says first, then the legs as the row of such
    a set lays them."""
    why = int(k.refusal_of(rows, legs, count, way, told))
    if why:
        return 0, 0, 0, why
    pays = k.lay(legs, count, int(way >= k.IMPLIES), int(way == k.ALL_NO))
    size, edge, profit = b.basket(rows, legs, count, pays, 0, 0, 10**12, 0)
    return size, edge, profit, k.R_NONE if size > 0 else k.R_NOTHING


def flat(bid: int, ask: int, size: int = 100) -> Book:
    """One level a side, in cents."""
    return Book(((bid * 10_000, size * E6),), ((ask * 10_000, size * E6),))


def test_two_teams_below_a_dollar_are_both_bought() -> None:
    rows = markets(flat(40, 45), flat(44, 47))
    size, edge, profit, why, *sides = found(rows, k.ALL_YES, SET)
    assert (size, why, sides) == (100 * E6, k.R_NONE, [BUY, BUY])
    # 8 cents less 0.07·0.45·0.55 (1.7325) and 0.07·0.47·0.53 (1.7437), each order up to $0.0001
    assert profit == 8 * E6 - 1_732_500 - 1_743_700 and edge == profit // 100


def test_two_teams_whose_bids_exceed_a_dollar_are_both_sold() -> None:
    size, _, profit, why, *sides = found(markets(flat(55, 58), flat(52, 57)), k.ALL_NO, SET)
    assert (size, why, sides) == (100 * E6, k.R_NONE, [SELL, SELL])
    assert profit == 7 * E6 - 1_732_500 - 1_747_200


def test_a_sum_that_fees_eat_is_no_trade() -> None:
    assert found(markets(flat(48, 49), flat(47, 48)), k.ALL_YES, SET)[:4] == (0, 0, 0, k.R_NOTHING)


def test_a_set_is_bought_whole_and_only_if_it_is_complete() -> None:
    rows = markets(flat(20, 25), flat(20, 25), flat(20, 25), flat(5, 8))
    assert found(rows, k.ALL_YES, SET)[3] == k.R_NONE
    assert found(rows, k.ALL_YES, k.EXCLUSIVE)[3] == k.R_NOT_COMPLETE


@pytest.mark.parametrize("more", [k.AUGMENTED, k.AUGMENTED | k.PLACEHOLDER, k.PLACEHOLDER])
def test_an_augmented_set_is_never_complete(more: int) -> None:
    """The trap: 83 cents for "all" outcomes, until one that is not among them is added and wins."""
    rows = markets(flat(20, 25), flat(20, 25), flat(20, 25), flat(5, 8))
    size, *_, why, _, _, _, _ = found(rows, k.ALL_YES, SET | more)
    assert size == 0 and why in (k.R_AUGMENTED, k.R_PLACEHOLDER)


def test_no_of_named_outcomes_stays_sure_when_outcomes_are_added() -> None:
    rows = markets(flat(45, 46), flat(40, 41), flat(38, 39))
    size, _, _, why, *sides = found(rows, k.ALL_NO, k.EXCLUSIVE | k.AUGMENTED)
    assert (size, why, sides) == (100 * E6, k.R_NONE, [SELL] * 3)  # costs 1.77, pays 2 or 3
    assert found(rows, k.ALL_NO, k.EXCLUSIVE | k.PLACEHOLDER)[3] == k.R_PLACEHOLDER
    assert found(rows, k.ALL_NO, k.EXHAUSTIVE)[3] == k.R_NOT_EXCLUSIVE


def test_the_weaker_claim_is_bought_and_the_stronger_sold() -> None:
    rows = markets(flat(40, 42), flat(50, 53), strikes=(100, 200))
    size, _, _, why, *sides = found(rows, k.LADDER, 0)
    assert (size, why, sides) == (100 * E6, k.R_NONE, [BUY, SELL])
    assert found(rows, k.IMPLIES, 0)[:4] == found(rows, k.LADDER, 0)[:4]


@pytest.mark.parametrize("strikes", [(200, 100), (100, 100), (0, 100), (-5, 100)])
def test_a_ladder_needs_a_lower_and_a_higher_strike(strikes: tuple[int, int]) -> None:
    rows = markets(flat(40, 42), flat(50, 53), strikes=strikes)
    assert found(rows, k.LADDER, 0)[3] == k.R_STRIKES


def test_a_ladder_of_two_closes_is_none() -> None:
    rows = markets(flat(40, 42), flat(50, 53), strikes=(100, 200))
    rows[BODY + c.Q_CLOSE] += 1
    assert found(rows, k.LADDER, 0)[3] == k.R_CLOSES
    rows[c.Q_CLOSE] = rows[BODY + c.Q_CLOSE] = 0
    assert found(rows, k.LADDER, 0)[3] == k.R_CLOSES


@pytest.mark.parametrize("way", [k.ALL_YES, k.ALL_NO, k.IMPLIES, k.LADDER])
def test_yes_against_no_of_one_market_is_one_book(way: int) -> None:
    rows = markets(flat(60, 42), flat(60, 42), strikes=(100, 200))  # crossed: it would "pay"
    rows[BODY + c.Q_INSTRUMENT] = rows[c.Q_INSTRUMENT]
    assert found(rows, way, SET)[3] == k.R_SAME_MARKET
    legs = b.fresh()
    b.put_leg(legs, 0, 0, BUY)
    b.put_leg(legs, 1, 0, SELL)
    assert complement(rows, legs, 2, way, SET)[3] == k.R_SAME_MARKET


@pytest.mark.parametrize(("way", "count"), [(k.ALL_YES, 1), (k.ALL_YES, 5), (k.LADDER, 3)])
def test_more_legs_than_fit_or_fewer_than_two_are_refused(way: int, count: int) -> None:
    rows = markets(*[flat(10, 12)] * 5)
    assert found(rows, way, SET, count)[3] == k.R_LEGS


def winners(way: int, count: int) -> Iterator[tuple[int, ...]]:
    """Every way the outcomes of a set can settle that its claims allow."""
    for outcome in itertools.product((0, 1), repeat=count):
        if way == k.ALL_YES and sum(outcome) != 1:
            continue
        if way == k.ALL_NO and sum(outcome) > 1:
            continue
        if way in (k.IMPLIES, k.LADDER) and outcome == (0, 1):
            continue  # the stronger claim without the weaker
        yield outcome


def paid(book: Book, side: int, size: int) -> int:
    """What `size` of one leg's tokens cost level by level, 1e-12 dollars."""
    cost = 0
    for price, shown in book.asks if side == BUY else book.bids:
        step = min(size, shown)
        cost += step * (price if side == BUY else E6 - price)
        size -= step
    assert size == 0
    return cost


@pytest.mark.parametrize("way", [k.ALL_YES, k.ALL_NO, k.IMPLIES, k.LADDER])
def test_no_outcome_loses_money_after_fees(way: int) -> None:
    rng, hits = random.Random(SEED + way), 0
    for _ in range(2_000):
        count = 2 if way >= k.IMPLIES else rng.randrange(2, 5)
        middle = 50 if count == 2 else 100 // count if way == k.ALL_YES else 25
        books = []
        for _ in range(count):
            bid = min(max(middle + rng.randrange(-15, 16), 2), 96)
            books.append(Book(
                ((bid * 10_000, rng.randrange(1, 90) * E6), (bid * 10_000 - 10_000, 50 * E6)),
                ((bid * 10_000 + 10_000, rng.randrange(1, 90) * E6), ((bid + 2) * 10_000, E6)),
                rate=rng.choice([0, 35_000, 70_000]),
            ))  # fmt: skip
        rows, legs = markets(*books, strikes=(1, 2, 3, 4)[:count]), b.fresh()
        for leg in range(count):
            b.put_leg(legs, leg, leg * BODY, 0)
        size, _, profit, why = complement(rows, legs, count, way, SET)
        if size == 0:
            assert why == k.R_NOTHING
            continue
        hits += 1
        cells = legs.reshape(LEGS_MAX, b.LEG_CELLS)[:count]
        sides, fees = cells[:, b.B_SIDE].tolist(), cells[:, b.B_FEE].tolist()
        worst = min(
            sum(won if side == BUY else 1 - won for won, side in zip(outcome, sides, strict=True))
            for outcome in winners(way, count)
        )
        cost = sum(paid(book, side, size) for book, side in zip(books, sides, strict=True))
        assert profit > 0 and profit == (worst * size * E6 - cost) // E6 - sum(fees)
    assert hits > 100


# ------------------------------------------------------------------------------------ recordings


@cache
def taken(quotes: tuple[tuple[Fraction, Fraction], ...], way: int) -> int:
    """Profit of a hundred of each at (bid, ask), by the kernel."""
    books = [
        Book(((int(bid * E6), 100 * E6),), ((int(ask * E6), 100 * E6),)) for bid, ask in quotes
    ]
    return found(markets(*books), way, SET)[2]


@cache
def by_hand(quotes: tuple[tuple[Fraction, Fraction], ...], way: int) -> Fraction:
    """The same in fractions of a dollar."""
    left = Fraction(100)
    for bid, ask in quotes:
        price = ask if way == k.ALL_YES else 1 - bid
        raw = Fraction(7, 100) * 100 * price * (1 - price)
        left -= 100 * price + Fraction(ceil(raw * 10_000), 10_000)
    return left


def follow(rows: Iterator[tuple[str, str, Fraction, Fraction]]) -> dict[str, int]:
    """Both ways of two tickers, update by update: sums beyond a dollar, and what fees leave."""
    now: dict[str, tuple[Fraction, Fraction]] = {}
    count: dict[str, int] = defaultdict(int)
    for _, ticker, bid, ask in rows:
        now[ticker] = bid, ask
        if len(now) < 2 or any(bid >= ask for bid, ask in now.values()):
            continue
        quotes = tuple(now.values())
        sums = {k.ALL_YES: 1 - sum(q[1] for q in quotes), k.ALL_NO: sum(q[0] for q in quotes) - 1}
        for way, name in ((k.ALL_YES, "yes"), (k.ALL_NO, "no")):
            if sums[way] <= 0:
                continue
            count[name] += 1
            profit, wanted = taken(quotes, way), by_hand(quotes, way)
            assert profit == max(wanted, 0) * E6, (quotes, way)
            count[f"{name} pays"] += profit > 0
    return dict(count)


def test_a_recorded_game_gave_hundreds_of_moments_that_paid_after_fees() -> None:
    folder = recorded("kalshi_nba_inplay_deltas")

    def changes(team: str) -> Iterator[tuple[str, str, Fraction, Fraction]]:
        with gzip.open(folder / f"Kalshi_{team}_JAN07_WIN.csv.gz", "rt") as file:
            for row in csv.DictReader(file):
                if row["event_type"] == "price_change" and row["best_bid"] and row["best_ask"]:
                    yield (
                        row["timestamp"],
                        team,
                        Fraction(row["best_bid"]),
                        Fraction(row["best_ask"]),
                    )

    toronto = follow(iter(sorted([*changes("TOR"), *changes("CHA")])))
    assert toronto == {"yes": 3_514, "yes pays": 433, "no": 4_174, "no pays": 629}
    clippers = follow(iter(sorted([*changes("LAC"), *changes("NYK")])))
    assert clippers == {"yes": 51, "yes pays": 0, "no": 558, "no pays": 5}


def test_a_recorded_final_before_the_game_left_next_to_nothing() -> None:
    path = recorded("kalshi_superbowl_bbo_1s")
    rows = []
    with gzip.open(path / "orderbook_snapshots_20260208_recorderA_before2030.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            if row["best_bid_price"] and row["best_ask_price"]:
                bid, ask = Fraction(row["best_bid_price"]), Fraction(row["best_ask_price"])
                rows.append((row["timestamp"], row["ticker"], bid, ask))
    counts = follow(iter(rows))
    assert counts["yes pays"] == 0 and counts["no pays"] < counts["no"] / 10


def test_recorded_ladders_stand_in_order() -> None:
    path = recorded("market_metadata") / "kalshi_spread_events_with_markets_part1.json.gz"
    with gzip.open(path) as file:
        events = json.load(file)
    pairs = 0
    for event in events:
        assert not event["event"]["mutually_exclusive"]  # a spread says nothing of the other team
        ladders = defaultdict(list)
        for market in event["markets"]:
            assert market["strike_type"] == "greater"
            ladders[json.dumps(market["custom_strike"])].append(market)
        for ladder in ladders.values():
            ladder.sort(key=lambda market: market["floor_strike"])
            for weaker, stronger in itertools.combinations(ladder, 2):
                pairs += priced(weaker, stronger)
    assert pairs == 492


def priced(weaker: dict[str, object], stronger: dict[str, object]) -> int:
    """1 if both legs are quoted: then the ladder holds, and read upside down it is refused."""
    ask, no_ask = (Fraction(str(m[f])) for m, f in
                   ((weaker, "yes_ask_dollars"), (stronger, "no_ask_dollars")))  # fmt: skip
    if not (0 < ask < 1 and 0 < no_ask < 1):
        return 0
    strikes = tuple(int(Fraction(str(m["floor_strike"])) * 10**8) for m in (weaker, stronger))
    books = Book((), ((int(ask * E6), 100 * E6),)), Book(((int((1 - no_ask) * E6), 100 * E6),), ())
    assert found(markets(*books, strikes=strikes), k.LADDER, 0)[3] == k.R_NOTHING
    assert found(markets(*books[::-1], strikes=strikes[::-1]), k.LADDER, 0)[3] == k.R_STRIKES
    return 1
