"""What a paper order took of a level it has taken, for as long as the level stands."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.venues.book import Budget, MarketBook
from ops.venues.paper_book import Arrival, PaperBook, reach_e6
from ops.venues.script import ASK, BID, Level
from tests.ops.venues.rig import ASKS, BIDS, e6

DEPTH = 5
TOUCH_E6 = e6("0.52")  # 10 are shown there


def seen(depth: int = DEPTH) -> PaperBook:
    made = PaperBook(depth)
    made.set_book(BIDS, ASKS)
    made.is_blind = False
    return made


def take(book: MarketBook, size: str, limit: str = "0.52") -> int:
    """What a buyer gets."""
    plan = book.plan(BID, e6(limit), e6(size))
    book.take(plan)
    return plan.size_e6


def told(book: MarketBook, size: str) -> None:
    """The venue shows the touch anew, with so much at it."""
    book.set_book(BIDS, ((TOUCH_E6, e6(size)), *ASKS[1:]) if size != "0" else ASKS[1:])


def test_a_contract_is_had_once_however_often_the_venue_shows_it() -> None:
    book = seen()
    assert take(book, "6") == e6("6")
    told(book, "10")
    assert take(book, "6") == e6("4"), "a part, and no more than was left"
    told(book, "10")
    assert take(book, "6") == 0


def test_a_book_without_the_memory_gives_the_same_contracts_again() -> None:
    """The negative control: so the simulated venues' own book does, which is told what is true."""
    book = MarketBook()
    book.set_book(BIDS, ASKS)
    assert take(book, "10") == e6("10")
    told(book, "10")
    assert take(book, "10") == e6("10")


@pytest.mark.parametrize(
    ("shown", "taken", "free"),
    [("10", "8", "2"), ("9", "8", "1"), ("8", "8", "0"), ("3", "3", "0"), ("12", "8", "4")],
)
def test_what_is_left_of_a_level_counts_as_ours_first(shown: str, taken: str, free: str) -> None:
    book = seen()
    take(book, "8")
    told(book, shown)
    assert book.taken_e6(ASK, TOUCH_E6) == e6(taken)
    assert take(book, "100") == e6(free)


def test_what_comes_to_a_level_after_it_shrank_is_free() -> None:
    book = seen()
    take(book, "10")
    told(book, "4")
    told(book, "9")
    assert take(book, "100") == e6("5")


def test_a_level_that_goes_and_comes_back_is_another() -> None:
    book = seen()
    take(book, "10")
    told(book, "0")
    told(book, "10")
    assert take(book, "100") == e6("10")


def test_a_level_that_is_only_out_of_sight_is_the_same() -> None:
    book = seen(depth=3)
    take(book, "10")
    better = tuple((e6(price), e6("1")) for price in ("0.49", "0.50", "0.51"))
    book.set_book(BIDS, better)
    book.set_book(BIDS, ASKS)
    assert take(book, "100") == 0
    book.set_book(BIDS, better[:2])  # three could be shown: the level is not there
    book.set_book(BIDS, ASKS)
    assert take(book, "100") == e6("10")


def test_both_sides_remember_for_themselves() -> None:
    book = seen()
    plan = book.plan(ASK, e6("0.47"), e6("30"))
    book.take(plan)
    book.set_book(BIDS, ASKS)
    assert book.plan(ASK, e6("0.47"), e6("30")).size_e6 == 0
    assert book.plan(BID, TOUCH_E6, e6("30")).size_e6 == e6("10")


def test_a_book_that_is_not_to_be_trusted_gives_nothing_and_forgets_nothing() -> None:
    book = seen()
    take(book, "8")
    book.is_blind = True
    assert book.plan(BID, e6("0.60"), e6("1")).takes == []
    book.is_blind = False
    assert take(book, "100") == e6("2")


def test_nothing_is_matched_before_somebody_says_that_the_book_is_seen() -> None:
    book = PaperBook(DEPTH)
    book.set_book(BIDS, ASKS)
    assert book.plan(BID, e6("0.60"), e6("1")).takes == []


# ---- what an engine without delays would claim


def test_what_moved_what_was_taken_and_what_is_had_add_up_to_the_claim() -> None:
    book = seen()
    take(book, "3")
    book.arrival = Arrival(book.whole())
    told(book, "6")
    plan = book.plan(BID, TOUCH_E6, e6("9"))
    planned = {
        "orders": 1, "full": 0, "partial": 0,
        "claimed_e6": e6("9"), "moved_e6": e6("3"), "unknown_e6": 0, "gained_e6": 0,
        "taken_e6": e6("3"), "refused_e6": e6("3"), "got_e6": 0,
    }  # fmt: skip
    assert book.arrival.figures() == planned, "nothing is had before it is taken"
    book.take(plan)
    assert book.arrival.figures() == planned | {"partial": 1, "refused_e6": 0, "got_e6": e6("3")}


def test_a_better_book_is_told_as_a_gain_and_an_unknown_one_as_unknown() -> None:
    book = seen()
    book.arrival = Arrival(book.whole())
    told(book, "12")
    book.plan(BID, TOUCH_E6, e6("20"))
    assert book.arrival.figures()["gained_e6"] == e6("2")
    book.is_blind = True
    book.plan(BID, TOUCH_E6, e6("20"))
    figures = book.arrival.figures()
    assert (figures["unknown_e6"], figures["moved_e6"], figures["got_e6"]) == (e6("10"), 0, 0)


@given(
    limit=st.integers(40, 70), size=st.integers(1, 2_000), side=st.sampled_from((BID, ASK)),
    money=st.none() | st.integers(1, 500), is_no=st.booleans(),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_a_claim_is_what_the_matching_engine_would_give_of_that_book(
    limit: int, size: int, side: int, money: int | None, is_no: bool
) -> None:
    book = MarketBook()
    book.set_book(BIDS, ASKS)
    budget = None if money is None else Budget(money * 1_000_000, is_no)
    wanted = limit * 10_000, size * 1_000_000
    plan = book.plan(side, *wanted, budget=budget)
    assert reach_e6(book.levels(1 - side), side, *wanted, budget) == plan.size_e6


# ---- never more than there was

Step = tuple[str, int, int]  # "show" price size, or "take" limit size
STEPS = st.lists(
    st.tuples(st.sampled_from(("show", "take")), st.integers(1, 7), st.integers(0, 9)),
    max_size=60,
)


def excess_e6(book: MarketBook, steps: list[Step], depth: int) -> int:
    """By how much the fills on any level went beyond what it showed at first and what came to it
    while it stood. The venue keeps all its levels and shows the `depth` best.
    """
    levels: dict[int, int] = {}
    had: defaultdict[int, int] = defaultdict(int)  # on a level while it stands
    came: defaultdict[int, int] = defaultdict(int)
    worst = 0
    for what, number, size in steps:
        price_e6, size_e6 = number * 10_000, size * 1_000_000
        if what == "show":
            came[price_e6] += max(size_e6 - levels.get(price_e6, 0), 0)
            levels[price_e6] = size_e6
            if not size_e6:
                del levels[price_e6]
                came[price_e6] = had[price_e6] = 0
            asks: list[Level] = sorted(levels.items())[:depth]
            book.set_book((), asks)
            continue
        plan = book.plan(BID, price_e6, size_e6)
        book.take(plan)
        for step in plan.takes:
            had[step.price_e6] += step.size_e6
            worst = max(worst, had[step.price_e6] - came[step.price_e6])
    return worst


@given(steps=STEPS, depth=st.integers(1, 5))
@settings(max_examples=400, deadline=None)
def test_fills_on_a_level_are_never_more_than_ever_stood_there(
    steps: list[Step], depth: int
) -> None:
    book = PaperBook(depth)
    book.is_blind = False
    assert excess_e6(book, steps, depth) == 0


def test_the_measure_sees_a_book_that_gives_twice() -> None:
    steps: list[Step] = [("show", 1, 5), ("take", 1, 5), ("show", 2, 1), ("take", 1, 5)]
    assert excess_e6(MarketBook(), steps, DEPTH) == e6("5")
