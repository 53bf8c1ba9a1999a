"""The recorded NBA books again, with the cost of capital: every edge of that evening locks money
until the award, half a year away, and none pays for it (Show 5 of the decisions' issue)."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import groupby

import pytest

from engine import cells as c
from engine import memory as m
from engine.decide import time_hurdle
from engine.edge import cross_venue
from ops.config import load
from ops.venues.recorded import RecordedScript
from ops.venues.script import ASK, BID, MarketSpec
from shm_layout import BODY, Words
from tests.engine.test_edge import rows_of
from tests.offline_edges import A_YES, B_YES, Books, Rules, looks
from tests.session.recordings import JOKIC, SHAI, nba
from tests.twins.edge import Book

TESTING_E6 = 5_000  # the least edge of profile testing, a contract
MODERATE_E6, YEAR_E6 = 30_000, 100_000  # of moderate; and 10 % a year
DAY_S = 86_400
PAYING = Counter({(JOKIC, A_YES): 6_397, (SHAI, B_YES): 111})  # looks with an edge after fees


def hurdle_e6(script: RecordedScript, at_epoch_ns: int, year_e6: int = YEAR_E6) -> int:
    """What the engine takes off a contract then."""
    mem = m.fresh()
    mem[c.A_HURDLE_YEAR], mem[m.META + m.M_RUN] = year_e6, at_epoch_ns
    closes = {spec.close_epoch_ns for spec in script.markets}
    assert len(closes) == 1
    return int(time_hurdle(mem, closes.pop(), script.markets[1].close_epoch_ns))


def book_of(books: Books, spec: MarketSpec, place: int) -> Book:
    """A market's book as the engine holds it, with its facts."""
    bids, asks = (tuple(books.levels(place, side)[:5]) for side in (BID, ASK))
    grid = (*(cell for _, end, step in spec.price_ranges for cell in (end, step)), 0, 0, 0, 0)[:6]
    if spec.venue == "kalshi":
        return Book(bids, asks, rate=spec.fee_rate_e6, grid=grid)
    return Book(
        bids, asks, rate=spec.fee_rate_e6, unit=10, mode=1, notional_min=10**6,
        notional_step=10_000, grid=grid,
    )  # fmt: skip


Sight = tuple[int, int, Words]  # when (epoch ns), the pair, the quotes of its legs


def taken(
    script: RecordedScript, sights: list[Sight], edge_min_e6: int, year_e6: int
) -> Counter[tuple[int, str]]:
    """Looks at which the engine's decision would take something, by pair and way."""
    counts: Counter[tuple[int, str]] = Counter()
    for at_epoch_ns, pair, rows in sights:
        off = hurdle_e6(script, at_epoch_ns, year_e6) if year_e6 else 0
        for direction, way in enumerate((A_YES, B_YES)):
            answer = cross_venue(rows, 0, BODY, 1, direction, edge_min_e6, off, 10**12, 0)
            counts[pair, way] += answer[0] > 0
    return +counts


@pytest.fixture(scope="module")
def script() -> RecordedScript:
    return nba()


@pytest.fixture(scope="module")
def sights(script: RecordedScript) -> list[Sight]:
    """Every change of a pair whose books are sane."""
    seen: list[Sight] = []
    books = Books()
    for at_epoch_ns, events in groupby(script.events(), key=lambda event: event.at_epoch_ns):
        changed = {books.apply(event) for event in events}
        for pair in range(3):
            places = 2 * pair, 2 * pair + 1
            if changed & {*places} and all(books.is_sane(place) for place in places):
                legs = [book_of(books, script.markets[place], place) for place in places]
                seen.append((at_epoch_ns, pair, rows_of(*legs)))
    return seen


def test_what_paid_that_evening_leaves_a_cent_at_most(
    script: RecordedScript, sights: list[Sight]
) -> None:
    edges = [
        (look.edge, (pair, way)) for _, pair, way, look in looks(script, Rules()) if look
    ]  # fmt: skip
    assert Counter(each for _, each in edges) == PAYING
    assert Fraction("0.0103") < max(edges)[0] < Fraction("0.0104")
    assert taken(script, sights, 0, 0) == PAYING


def test_testing_takes_some_and_with_the_cost_of_capital_none(
    script: RecordedScript, sights: list[Sight]
) -> None:
    """The cent is earned by locking a dollar for 178 days: that is 2 % a year, of 10 % wanted."""
    assert taken(script, sights, TESTING_E6, 0) == {(JOKIC, A_YES): 157, (SHAI, B_YES): 111}
    start, end = next(iter(script.events())).at_epoch_ns, script.end_epoch_ns or 0
    days = {(script.markets[0].close_epoch_ns - at) // 10**9 // DAY_S for at in (start, end)}
    assert days == {178}
    for at in (start, end):
        assert 48_700 < hurdle_e6(script, at) < 48_900
    assert taken(script, sights, TESTING_E6, YEAR_E6) == {}
    assert taken(script, sights, TESTING_E6, 10_000) == {(JOKIC, A_YES): 157}  # at 1 % a year
    assert taken(script, sights, TESTING_E6, 13_000) == {}, "0.0103 less 0.0063 is below 0.005"


def test_moderate_refuses_all_of_it_twice_over(script: RecordedScript, sights: list[Sight]) -> None:
    """By its least edge and by its hurdle: each alone is more than any of it leaves."""
    settings = load("moderate").edge
    assert (settings.edge_min_e6, settings.hurdle_year_e6) == (MODERATE_E6, YEAR_E6)
    assert taken(script, sights, MODERATE_E6, 0) == {} == taken(script, sights, 0, YEAR_E6)


def test_the_hurdle_grows_with_the_rate_and_shrinks_to_nothing_at_the_close(
    script: RecordedScript,
) -> None:
    close = script.markets[0].close_epoch_ns
    year = 365 * DAY_S * 10**9
    assert hurdle_e6(script, close - year) == YEAR_E6
    assert hurdle_e6(script, close - year // 2, 2 * YEAR_E6) == YEAR_E6
    assert hurdle_e6(script, close) == hurdle_e6(script, close + year) == 0
    assert hurdle_e6(script, close - 1) == 1, "against us"
