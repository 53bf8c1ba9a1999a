"""The seeded world: repeatable, never crossed, quiet, and with gaps that pay."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from fractions import Fraction
from itertools import takewhile

import pytest

from ops.venues.script import BookSet, Event, LevelSet, MarketTrade, Script, SpotTrade
from ops.venues.world import digest_of, make_world
from ops.venues.world_cast import cast, pair_of
from ops.venues.world_chance import (
    EXPONENTIAL,
    Chance,
    _exponential_raw,
    _normal_raw,
    normal_cdf_e6,
)
from ops.venues.world_crowd import OUTCOMES
from ops.venues.world_maker import grid_of
from ops.venues.world_motion import Motion
from tests.offline_edges import A_YES, B_YES, Books, Episode, Rules, episodes

BEGIN = 1_795_000_000_000_000_000
SECOND = 10**9
CENT = Rules(edge_min=Fraction(1, 100), levels=1)


def world(seed: int) -> Script:
    """Its pairs alone: the layer of windows above them has tests of its own."""
    return make_world(seed, begin_epoch_ns=BEGIN, windows=0)


def begun(script: Script, seconds: int) -> list[Event]:
    end = script.timeline.begin_epoch_ns + seconds * SECOND
    return list(takewhile(lambda event: event.at_epoch_ns < end, script.events()))


@pytest.fixture(scope="module")
def minute() -> list[Event]:
    return begun(world(7), 60)


@pytest.fixture(scope="module")
def gaps() -> list[Episode]:
    return episodes(world(7), CENT, until_epoch_ns=BEGIN + 60 * SECOND)


def test_one_seed_is_one_script_on_every_machine_and_python() -> None:
    assert (
        digest_of(1, 10 * SECOND, windows=0)
        == "fdebcaba39190e9807a3701d430fada11928f833975be2b5e77c475eb7eb79c8"
    )


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    assert begun(world(3), 5) == begun(world(3), 5)
    assert world(3).digest == world(3).digest
    assert world(3).digest != world(4).digest
    assert begun(world(3), 5) != begun(world(4), 5)


def test_the_digest_does_not_depend_on_when_the_session_begins() -> None:
    later = make_world(3, begin_epoch_ns=BEGIN + 86_400 * SECOND, windows=0)
    assert later.digest == world(3).digest
    moved = [event.at_epoch_ns - 86_400 * SECOND for event in begun(later, 5)]
    assert moved == [event.at_epoch_ns for event in begun(world(3), 5)]


def test_a_beginning_between_two_ms_moves_the_events_to_whole_ms() -> None:
    script = make_world(3, begin_epoch_ns=BEGIN + 123, windows=0)
    assert script.timeline.begin_epoch_ns == BEGIN + 123
    first = begun(script, 1)[0].at_epoch_ns
    assert first == BEGIN + 1_000_000


def test_the_script_travels_small_and_goes_on_for_ever() -> None:
    script = world(3)
    sent = pickle.dumps(script)
    assert len(sent) < 20_000
    there = pickle.loads(sent)
    assert there == script
    assert begun(there, 2) == begun(script, 2)
    assert script.end_epoch_ns is None


def test_a_larger_world_has_the_smaller_one_and_markets_of_its_own() -> None:
    small, large = world(3), make_world(3, begin_epoch_ns=BEGIN, windows=0, plays=1_000)
    assert large.markets[: len(small.markets)] == small.markets
    assert Counter(spec.venue for spec in large.markets) == {"kalshi": 1_000, "polymarket": 1_000}
    assert len({(spec.venue, spec.ticker) for spec in large.markets}) == 2_000
    assert len({spec.condition_id for spec in large.markets}) == 1_001  # "" of Kalshi's
    assert len(large.pairs) == 1_000 and large.pairs[: len(small.pairs)] == small.pairs
    assert large.digest != small.digest
    sizes = Counter(spec.event for spec in large.markets[len(small.markets) :])
    assert max(sizes.values()) == 2 * OUTCOMES, "both venues' markets of ten outcomes"


def test_every_market_of_a_large_world_has_a_book_at_once_and_none_crosses() -> None:
    script, books = make_world(3, begin_epoch_ns=BEGIN, windows=0, plays=300), Books()
    moved = Counter()
    for event in begun(script, 20):
        market = books.apply(event)
        if market is not None:
            assert books.is_sane(market), event
            moved[market] += event.at_epoch_ns > BEGIN
    assert len(moved) == 600
    assert sum(count > 0 for count in moved.values()) > 400
    crowd = sorted(moved[market] for market in range(14, 600))
    assert crowd[-1] > 5 * max(crowd[len(crowd) // 4], 1), "activity is unequal"


def test_events_ascend_in_whole_ms(minute: list[Event]) -> None:
    stamps = [event.at_epoch_ns for event in minute]
    assert stamps == sorted(stamps)
    assert not any(stamp % 1_000_000 for stamp in stamps)


@pytest.mark.parametrize("seed", range(5))
def test_no_book_is_ever_crossed_or_thin_and_no_unknown_level_vanishes(seed: int) -> None:
    books = Books()
    script = world(seed)
    grids = [set(grid_of(spec.price_ranges)) for spec in script.markets]
    last = -1
    for event in begun(script, 15):
        if isinstance(event, LevelSet) and not event.size_e6:
            assert event.price_e6 in books.sides[event.market][event.side], event
        if isinstance(event, LevelSet):
            assert event.price_e6 in grids[event.market], event
            assert event.size_e6 % script.markets[event.market].size_step_e6 == 0
        if event.at_epoch_ns != last:
            last = event.at_epoch_ns
            assert all(len(side) >= 5 for sides in books.sides.values() for side in sides), event
        market = books.apply(event)
        assert market is None or books.is_sane(market), event


def test_the_checker_sees_a_crossed_book() -> None:
    books = Books()
    books.apply(BookSet(0, 0, ((400_000, 1),), ((500_000, 1),)))
    assert books.is_sane(0)
    books.apply(LevelSet(0, 0, 0, 500_000, 1))
    assert not books.is_sane(0)


def test_rates_are_those_of_a_busy_but_small_market(minute: list[Event]) -> None:
    kinds = Counter(type(event) for event in minute)
    assert 100 <= kinds[LevelSet] / 60 <= 300
    assert 20 <= kinds[SpotTrade] / 60 <= 90
    assert kinds[BookSet] == len(world(7).markets)
    assert kinds[MarketTrade] >= 30
    by_second = Counter(event.at_epoch_ns // SECOND for event in minute)
    assert max(by_second.values()) < 2_000
    trades = Counter(e.at_epoch_ns // SECOND for e in minute if isinstance(e, SpotTrade))
    assert max(trades.values()) > 1.8 * kinds[SpotTrade] / 60  # bursts


@pytest.mark.parametrize("seed", range(12))
def test_the_first_gap_opens_in_the_first_second(seed: int) -> None:
    found = episodes(world(seed), CENT, until_epoch_ns=BEGIN + SECOND)
    assert found
    assert found[0].start_epoch_ns - BEGIN < SECOND
    assert found[0].first.size >= 10


def test_gaps_open_and_close_both_ways_and_pay_one_to_six_cents(gaps: list[Episode]) -> None:
    assert 8 <= len(gaps) <= 60
    assert {gap.direction for gap in gaps} == {A_YES, B_YES}
    assert len({gap.pair for gap in gaps}) >= 5
    closed = [gap for gap in gaps if gap.end_epoch_ns < BEGIN + 59 * SECOND]
    assert all(gap.length_ns < 6 * SECOND for gap in closed)
    assert sum(gap.length_ns >= 40_000_000 for gap in closed) >= len(closed) * 3 // 4
    assert all(gap.best.edge < Fraction(8, 100) for gap in gaps)


def test_it_is_quiet_most_of_the_time(gaps: list[Episode]) -> None:
    assert sum(gap.length_ns for gap in gaps) < 30 * SECOND  # of 60, over seven pairs


def test_the_makers_without_lag_and_news_leave_no_gap() -> None:
    """The gaps come from what the world says they come from."""
    plays = cast(BEGIN)
    motion = Motion(7, plays, BEGIN)
    motion._break = lambda fair, lasts_ms: None  # type: ignore[method-assign]
    motion._burst = lambda spot: iter(())  # type: ignore[method-assign]
    quiet = _Fixed(world(7), motion)
    found = episodes(quiet, CENT, until_epoch_ns=BEGIN + 30 * SECOND)
    assert len(found) <= 1


class _Fixed:
    """A script with other events."""

    def __init__(self, script: Script, motion: Motion) -> None:
        self.markets, self.pairs = script.markets, script.pairs
        self.products, self.timeline = script.products, script.timeline
        self.indices = script.indices
        self.digest, self.counts, self.end_epoch_ns = "", script.counts, None
        self.events = motion.events


def test_every_fact_a_venue_would_tell_is_there() -> None:
    script = world(1)
    names = {(spec.venue, spec.ticker) for spec in script.markets}
    assert len(names) == len(script.markets) == 2 * len(script.pairs)
    for pair in script.pairs:
        assert {(pair.a_venue, pair.a_ticker), (pair.b_venue, pair.b_ticker)} <= names
    tokens = set()
    for spec in script.markets:
        assert spec.open_epoch_ns < BEGIN
        assert spec.close_epoch_ns > BEGIN + 600 * SECOND
        if spec.venue == "polymarket":
            assert re.fullmatch("0x[0-9a-f]{64}", spec.condition_id)
            for token in (spec.token_yes, spec.token_no):
                assert 0 < int(token) < 2**256
                assert int(token) & ((2**64 - 1) << 40)  # not an id of the third order version
                tokens.add(token)
    assert len(tokens) == len(script.markets)
    assert [play.kalshi.event for play in cast(BEGIN)] == [
        play.polymarket.event for play in cast(BEGIN)
    ]
    assert [pair_of(play) for play in cast(BEGIN)] == list(script.pairs)
    assert not any(spec.taker_delay_ns for spec in script.markets)  # none is an Up or Down window
    assert {spec.exchange_index for spec in script.markets} == {0, 2, 3}


def test_tables_are_rounded_far_from_where_machines_differ() -> None:
    for value in (*_exponential_raw(), *_normal_raw()):
        assert abs(value % 1 - 0.5) > 1e-6


def test_curves_have_the_shape_they_name() -> None:
    assert abs(sum(EXPONENTIAL) / len(EXPONENTIAL) - 1000) < 5
    assert normal_cdf_e6(0) == 500_000
    assert normal_cdf_e6(1_000) == 841_345
    assert normal_cdf_e6(-1_000) == 1_000_000 - 841_345
    assert normal_cdf_e6(99_999) == normal_cdf_e6(4_000) == 999_968
    values = [normal_cdf_e6(z) for z in range(-5_000, 5_000, 7)]
    assert values == sorted(values)


def test_draws_are_pinned() -> None:
    chance = Chance(1, 2)
    drawn = [chance.below(1000), chance.between(5, 9), chance.wait(100), chance.bell(1000)]
    assert drawn == [77, 6, 170, -207]
    bells = [chance.bell(1000) for _ in range(4000)]
    assert abs(sum(bells)) < 4000 * 60
    assert 900 < (sum(bell * bell for bell in bells) / 4000) ** 0.5 < 1100
