"""A book is a function of the trade, and what is told of a change rebuilds it."""

from __future__ import annotations

import random

import pytest

from ops.venues.script import ASK, BID
from ops.venues.spot_book import (
    RUNGS,
    Level,
    SpotBook,
    Window,
    book_after,
    changes,
    changes_within,
)

TICK_E8 = 10_000_000


def books(seed: int, count: int = 300) -> list[SpotBook]:
    chance, price_e8, made = random.Random(seed), 8_000_000_000_000, []
    for number in range(count):
        price_e8 += chance.randrange(-30, 31) * TICK_E8
        side = chance.choice((BID, ASK))
        made.append(book_after(price_e8, side, number, tick_e8=TICK_E8, update_id=number))
    return made


def test_a_book_is_whole_sorted_and_a_tick_wide() -> None:
    for book in books(1):
        bids, asks = [price for price, _ in book.bids], [price for price, _ in book.asks]
        assert len(bids) == len(asks) == RUNGS
        assert asks[0] - bids[0] == TICK_E8
        assert asks == sorted(set(asks)) and bids == sorted(set(bids), reverse=True)
        assert all(size > 0 for _, size in (*book.bids, *book.asks))


@pytest.mark.parametrize(("side", "place"), [(BID, "asks"), (ASK, "bids")])
def test_the_touch_of_the_takers_other_side_is_the_trade(side: int, place: str) -> None:
    book = book_after(8_000_000_000_000, side, 1, tick_e8=TICK_E8, update_id=1)
    assert getattr(book, place)[0][0] == 8_000_000_000_000


def apply(levels: dict[int, int], told: list[Level]) -> None:
    for price, size in told:
        if size:
            levels[price] = size
        else:
            levels.pop(price, None)


def test_all_changes_in_turn_are_the_book() -> None:
    levels: dict[int, int] = {}
    before = SpotBook()
    for book in books(2):
        apply(levels, changes(before.bids, book.bids))
        assert levels == dict(book.bids)
        before = book


@pytest.mark.parametrize("depth", [10, 25, 100])
@pytest.mark.parametrize("name", ["bids", "asks"])
def test_who_truncates_holds_the_best_levels(depth: int, name: str) -> None:
    levels: dict[int, int] = {}
    before: tuple[Level, ...] = ()
    fell_out = 0
    for book in books(3):
        side: tuple[Level, ...] = getattr(book, name)
        told = changes_within(before, side, depth)
        fell_out += len(changes(before[:depth], side[:depth])) - len(told)
        apply(levels, told)
        best = sorted(levels, reverse=name == "bids")[:depth]
        levels = {price: levels[price] for price in best}
        assert levels == dict(side[:depth])
        before = side
    assert (fell_out > 0) is (depth < RUNGS), "what fell out is not told"


def test_a_window_admits_its_limit_in_any_stretch_of_its_length() -> None:
    window = Window(5, 1_000)
    assert [window.admits(at) for at in (0, 1, 2, 3, 4, 5, 999)] == [True] * 5 + [False] * 2
    assert window.admits(1_000) and not window.admits(1_000)
