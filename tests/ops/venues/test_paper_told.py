"""What paper orders hold reaches who decides, before anybody hears of a fill."""

from __future__ import annotations

from functools import partial

import pytest

from ops.venues.paper_book import PaperBook, Sides
from ops.venues.paper_told import SIDE, Place, Told
from ops.venues.script import ASK, BID
from shm_layout import E6, Segment, ring_tail
from tests.engine.world import (
    CHEAP,
    DEAR,
    KALSHI,
    POLYMARKET,
    World,
    detector_of,
    field_of,
    two_venues,
)

MARKET = 3  # of the script
TAKEN: Sides = ([], [(410_000, 5 * E6)])


class Stage:
    """A segment in which the market has the number 7, once somebody has named it."""

    def __init__(self) -> None:
        self.segment = Segment.private()
        self.place: Place | None = (7, 1)
        self.told = Told(self.segment, lambda market: self.place if market == MARKET else None)

    @property
    def written(self) -> int:
        return int(ring_tail(self.segment.words, self.segment.at("had_ring")))


def test_what_is_held_stands_in_the_slot_and_is_written_when_it_is_news() -> None:
    stage = Stage()
    stage.told.had(MARKET, ([], []))
    assert stage.written == 0, "nothing was ever held"
    for _ in range(2):
        stage.told.had(MARKET, TAKEN)
    assert stage.written == 1
    row = stage.segment.read("had", 7)
    assert row is not None and (row["instrument"], row["generation"]) == (7, 1)
    assert row["asks"].tolist() == [410_000, 5 * E6] + [0] * (SIDE - 2) and not any(row["bids"])
    stage.told.had(MARKET, ([], []))
    row = stage.segment.read("had", 7)
    assert stage.written == 2 and row is not None and not any(row["asks"])


def test_a_market_is_told_again_under_its_next_number_and_not_before_it_has_one() -> None:
    stage = Stage()
    stage.place = None
    stage.told.had(MARKET, TAKEN)
    assert stage.written == 0
    for stage.place in ((7, 1), (9, 4)):
        stage.told.had(MARKET, TAKEN)
    row = stage.segment.read("had", 9)
    assert stage.written == 2 and row is not None and row["generation"] == 4


def test_of_more_levels_than_a_row_holds_the_best_are_told() -> None:
    stage = Stage()
    asks = [(10_000 * i, E6) for i in range(1, SIDE)]
    stage.told.had(MARKET, ([], asks))
    row = stage.segment.read("had", 7)
    assert row is not None and row["asks"][-2:].tolist() == list(asks[SIDE // 2 - 1])


def _books(world: World, *, is_told: bool) -> list[PaperBook]:
    """Paper books of both markets of `two_venues`, with what their feeds show."""
    told = Told(world.segment, lambda market: (market, 1))
    made = []
    for market, levels in enumerate((CHEAP, DEAR)):
        book = PaperBook(5, partial(told.had, market)) if is_told else PaperBook(5)
        book.set_book(*levels)
        book.is_blind = False
        made.append(book)
    return made


@pytest.mark.parametrize(("is_told", "lone"), [(True, 0), (False, 4)])
def test_a_run_of_detector_and_paper_venues_trades_a_standing_gap_once(
    is_told: bool, lone: int
) -> None:
    """The negative control: untold, the next intents get nothing of the leg that is used up."""
    world = two_venues()
    detector = detector_of(world)
    books = _books(world, is_told=is_told)
    sizes = []
    for _ in range(5):  # the venues show the same again and again
        world.quote(0, KALSHI, *CHEAP)
        world.quote(1, POLYMARKET, *DEAR)
        for book, levels in zip(books, (CHEAP, DEAR), strict=True):
            book.set_book(*levels)
        for intent in world.step(detector):
            got = []
            for leg, (book, side) in enumerate(zip(books, (BID, ASK), strict=True)):
                limit, size = (field_of(intent, f"{name}_e6_{leg}") for name in ("limit", "size"))
                plan = book.plan(side, limit, size)
                book.take(plan)
                got.append(plan.size_e6)
                world.leg(intent, leg, plan.size_e6)
            world.end(intent, "done", min(got))
            world.record("had_ring")
            sizes.append(tuple(got))
    assert sizes[0] == (80 * E6, 80 * E6)
    assert len([got for got in sizes if got[0] != got[1] or not any(got)]) == lone
