"""A book that is not the venue's though no change says so: found by asking, healed by a whole
one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from feeds.polymarket_check import AT_LEAST, TURNS, BookCheck
from shm_layout import GAP, REST_MISMATCH, ST_CLOSED
from tests.feeds.rig import Market
from tests.feeds.test_facts import FakeRest
from tests.feeds.test_polymarket import SNAPSHOT, YES, Line, book, changes, live, row

TRUE = book([("0.45", "10"), ("0.46", "171")], [("0.55", "205.1"), ("0.56", "5")])
OTHER_TOUCH = book([("0.45", "10")], [("0.55", "205.1"), ("0.56", "5")])
OTHER_SIZE = book([("0.45", "10"), ("0.46", "170")], [("0.55", "205.1"), ("0.56", "5")])
LOST_LEVEL = book([("0.45", "10"), ("0.46", "171")], [("0.55", "205.1")])


def check_of(line: Line, answer: Any) -> tuple[BookCheck, FakeRest]:
    """`answer`: a book, or what makes one of the token asked for; other than that, the body."""

    def books(asked: Any) -> Any:
        made = [answer(one) if callable(answer) else answer for one in asked]
        return made if all(isinstance(one, dict) and "asset_id" in one for one in made) else answer

    rest = FakeRest(**{"/books": books})
    return BookCheck(line.rig.publisher, rest, line.rig.clock), rest  # type: ignore[arg-type]


def turn(check: BookCheck) -> list[str]:
    return asyncio.run(check.turn())


def test_a_book_as_the_venue_has_it_is_left_alone() -> None:
    made = live()
    check, rest = check_of(made, TRUE)
    assert turn(check) == [] and check.suspects == []
    assert rest.asked == [("/books", [{"token_id": YES}])]
    assert made.rig.trust(0) == 0 and made.rig.counted("tickers_agreed") == 1


@pytest.mark.parametrize("answer", [OTHER_TOUCH, OTHER_SIZE, LOST_LEVEL])
def test_a_difference_that_lasts_costs_trust_until_a_whole_book_has_come(answer: Any) -> None:
    made = live()
    check, _ = check_of(made, answer)
    assert turn(check) == [] and check.suspects == [0] and made.rig.trust(0) == 0
    assert turn(check) == [] and check.suspects == []
    assert made.rig.trust(0) == REST_MISMATCH | GAP and made.rig.counted("mismatch") == 1
    asked = made.tick(1)
    assert [message["operation"] for message in asked] == ["unsubscribe", "subscribe"]
    made.give(SNAPSHOT)
    assert made.rig.trust(0) == 0


def test_a_difference_that_is_gone_at_the_second_look_costs_nothing() -> None:
    made = live()
    answers = [OTHER_TOUCH, TRUE]
    check, _ = check_of(made, lambda _: answers.pop(0))
    turn(check)
    turn(check)
    assert made.rig.trust(0) == 0 and made.rig.counted("mismatch") == 0
    assert made.rig.counted("tickers_checked") == made.rig.counted("tickers_agreed") == 1


def test_a_look_during_which_our_book_moved_does_not_count() -> None:
    made = live()
    sizes = iter(range(100, 200))

    def moving(_: Any) -> Any:
        made.give(changes(row("BUY", "0.46", str(next(sizes)), "0.46", "0.55")))
        return OTHER_TOUCH

    check, _ = check_of(made, moving)
    for _ in range(3):
        assert turn(check) == [] and check.suspects == []
    assert made.rig.trust(0) == 0 and made.rig.counted("tickers_checked") == 0


def shut(made: Line) -> None:
    made.rig.publisher.set_status(0, ST_CLOSED, 1)


def cut(made: Line) -> None:
    made.venue.closed(2_000)


@pytest.mark.parametrize("act", [shut, cut])
def test_a_market_that_is_closed_or_not_whole_is_not_asked_for(act: Callable[[Line], None]) -> None:
    made = live()
    act(made)
    check, rest = check_of(made, OTHER_TOUCH)
    assert turn(check) == [] and rest.asked == []


def test_a_cut_ends_the_mismatch_with_the_book() -> None:
    made = live()
    check, _ = check_of(made, OTHER_TOUCH)
    turn(check)
    turn(check)
    cut(made)
    assert not made.rig.trust(0) & REST_MISMATCH


@pytest.mark.parametrize(
    "answer",
    [None, b"<html>", {"bids": []}, book([], [], asset="9"), book([("x", "1")], [])],
)
def test_what_cannot_be_read_is_told_and_costs_nothing(answer: Any) -> None:
    made = live()
    check, _ = check_of(made, answer)
    assert len(turn(check)) == 1 and check.suspects == [] and made.rig.trust(0) == 0


@pytest.mark.parametrize("count", [1, AT_LEAST, 7, 101, 240])
def test_all_markets_are_visited_within_some_turns(count: int) -> None:
    markets = [Market(f"m{i}", token_yes=2 * i + 1, token_no=2 * i + 2) for i in range(count)]
    made = Line(*markets)
    made.give([book([("0.4", "1")], [("0.6", "1")], asset=str(2 * i + 1)) for i in range(count)])
    check, rest = check_of(
        made, lambda told: book([("0.4", "1")], [("0.6", "1")], asset=told["token_id"])
    )
    for turns in range(1, TURNS + 1):
        assert turn(check) == []
        named = [one["token_id"] for _, asked in rest.asked for one in asked]
        assert len(named) <= turns * max(AT_LEAST, -(-count // TURNS))
        assert len(rest.asked) == turns, "one request a turn"
    assert set(named) == {str(2 * i + 1) for i in range(count)}
    assert made.rig.counted("mismatch") == 0
