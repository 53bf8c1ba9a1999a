"""Windowed markets of the seeded world: one life each, settled by its venue's own rule."""

from __future__ import annotations

import pickle
from collections import defaultdict
from datetime import datetime
from fractions import Fraction
from itertools import pairwise, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ops.venues.script import (
    BookSet,
    ConnectionCut,
    Event,
    IndexTick,
    LevelSet,
    Listing,
    MarketSpec,
    MarketTrade,
    Script,
    StatusChange,
)
from ops.venues.world import digest_of, make_world
from ops.venues.world_cast import kalshi_ticker
from ops.venues.world_maker import grid_of
from ops.venues.world_window_motion import WindowMotion
from ops.venues.world_windows import SERIES, listed, series_of
from tests.offline_edges import Books

SECOND = 10**9
BEGIN = 1_795_000_000 * SECOND  # 400 s into a quarter of an hour
PAIRED = 14


def begun(script: Script, seconds: int) -> list[Event]:
    end = script.timeline.begin_epoch_ns + seconds * SECOND
    return list(takewhile(lambda event: event.at_epoch_ns < end, script.events()))


class Session:
    """What a session of the world holds, sorted by what the tests ask about."""

    def __init__(self, script: Script, seconds: int) -> None:
        self.script = script
        self.events = begun(script, seconds)
        new = [event.spec for event in self.events if isinstance(event, Listing)]
        self.markets = [*script.markets, *new]
        self.seconds: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self.ticks: defaultdict[str, list[int]] = defaultdict(list)
        self.changes: defaultdict[str, list[StatusChange]] = defaultdict(list)
        for event in self.events:
            if isinstance(event, IndexTick):
                if event.at_epoch_ns >= BEGIN:
                    self.ticks[event.index].append(event.at_epoch_ns)
                if event.at_epoch_ns % SECOND == 0:
                    self.seconds[event.index][event.at_epoch_ns // SECOND] = event.value_e8
            elif isinstance(event, StatusChange):
                self.changes[self.markets[event.market].ticker].append(event)

    def windows(self, venue: str) -> list[MarketSpec]:
        return [each for each in self.script.markets[PAIRED:] if each.venue == venue]

    def minute(self, index: str, start_s: int) -> list[int]:
        return [self.seconds[index][second] for second in range(start_s, start_s + 60)]


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(make_world(7, begin_epoch_ns=BEGIN), 1_600)


def rounded(values: list[int], digits: int) -> int:
    """The mean to `digits` decimals in 1e-8, half up: the rule, not the code of it."""
    unit = Fraction(10 ** (8 - digits))
    return int((Fraction(sum(values), len(values)) / unit + Fraction(1, 2)) // 1 * unit)


def test_the_pairs_play_the_same_with_and_without_the_layer(session: Session) -> None:
    script = make_world(7, begin_epoch_ns=BEGIN)
    alone = make_world(7, begin_epoch_ns=BEGIN, windows=0)
    assert script.markets[:PAIRED] == alone.markets
    assert script.pairs == alone.pairs

    def is_paired(event: Event) -> bool:
        return not isinstance(event, IndexTick) and getattr(event, "market", 0) < PAIRED

    assert list(filter(is_paired, begun(script, 60))) == begun(alone, 60)


def test_one_seed_is_one_script_with_its_windows() -> None:
    assert (
        digest_of(1, 10 * SECOND)
        == "bdb7406cdc8d188b558fa71a684ab0b914271775354dc6e33ecb8eff8db2c1f5"
    )
    assert (
        digest_of(1, SECOND) != digest_of(1, SECOND, windows=2) != digest_of(1, SECOND, windows=0)
    )


def test_it_travels_small() -> None:
    script = make_world(3, begin_epoch_ns=BEGIN)
    sent = pickle.dumps(script)
    assert len(sent) < 30_000
    assert begun(pickle.loads(sent), 2) == begun(script, 2)


def test_events_ascend_in_whole_ms(session: Session) -> None:
    stamps = [event.at_epoch_ns for event in session.events]
    assert stamps == sorted(stamps)
    assert not any(stamp % 1_000_000 for stamp in stamps)


def test_cf_indices_tick_five_times_a_second_and_chainlink_once(session: Session) -> None:
    assert set(session.ticks) == set(session.script.indices)
    for name, stamps in session.ticks.items():
        wanted = 200_000_000 if name in ("BRTI", "ETHUSD_RTI") else SECOND
        assert {later - earlier for earlier, later in pairwise(stamps)} == {wanted}, name


def test_an_index_has_a_past_of_two_minutes(session: Session) -> None:
    """Whoever subscribes at the start finds whole averages and a history."""
    begin_s = BEGIN // SECOND
    for name in session.script.indices:
        past = [second for second in session.seconds[name] if second < begin_s]
        assert past == list(range(begin_s - 125, begin_s))
    assert all(isinstance(event, IndexTick) for event in session.events[: 125 * 4])


def test_windows_follow_each_other_for_a_bounded_time(session: Session) -> None:
    kalshi = session.windows("kalshi")
    assert [each.ticker for each in kalshi[:2]] == ["KXBTC15M-26NOV180615-15",
                                                    "KXBTC15M-26NOV180630-30"]  # fmt: skip
    names = [each.ticker for each in session.windows("polymarket")]
    assert names[0] == "btc-updown-15m-1794999600"
    assert names[4] == "btc-updown-5m-1794999900"
    for spec in session.script.markets[PAIRED:]:
        length = spec.close_epoch_ns - spec.open_epoch_ns
        assert spec.open_epoch_ns % length == 0
        assert spec.close_epoch_ns >= BEGIN + 60 * SECOND
        assert (spec.strike_e8 is None) == (spec.open_epoch_ns > BEGIN)
    assert make_world(7, begin_epoch_ns=BEGIN, windows=1).markets[PAIRED:] == tuple(
        spec for spec in session.script.markets[PAIRED:] if spec.strike_e8 is not None
    )


def test_the_chains_strike_is_the_mean_of_the_minute_before_it_without_its_first_tick(
    session: Session,
) -> None:
    first, second, *_ = session.windows("kalshi")
    opened = session.changes[second.ticker][0]
    close_s = first.close_epoch_ns // SECOND
    assert (opened.status, opened.at_epoch_ns) == ("active", first.close_epoch_ns)
    assert opened.strike_e8 == rounded(session.minute("BRTI", close_s - 60), 2)
    inclusive = rounded(session.minute("BRTI", close_s - 59), 2)
    assert opened.strike_e8 != inclusive  # the wrong window would show
    closed, determined, finalized = session.changes[first.ticker]
    assert closed == StatusChange(first.close_epoch_ns, closed.market, "closed")
    assert determined.final_e8 == finalized.final_e8 == opened.strike_e8
    assert (determined.status, finalized.status) == ("determined", "finalized")
    assert 6 <= (finalized.at_epoch_ns - first.close_epoch_ns) // SECOND <= 17
    assert first.strike_e8 is not None
    assert determined.settlement_e6 == (10**6 if opened.strike_e8 >= first.strike_e8 else 0)


def test_a_polymarket_window_settles_on_the_twap_of_its_ends_after_a_delay(
    session: Session,
) -> None:
    checked = 0
    for spec in session.windows("polymarket"):
        changes = session.changes[spec.ticker]
        start_s, end_s = spec.open_epoch_ns // SECOND, spec.close_epoch_ns // SECOND
        if spec.strike_e8 is None and changes:
            assert changes[0].at_epoch_ns == spec.open_epoch_ns
            assert changes[0].strike_e8 == rounded(session.minute("btcusd", start_s - 59), 8)
        if changes and changes[-1].status == "finalized":
            last = changes[-1]
            assert 20 <= last.at_epoch_ns // SECOND - end_s <= 90
            assert last.final_e8 == rounded(session.minute("btcusd", end_s - 59), 8)
            beat = spec.strike_e8 if spec.strike_e8 is not None else changes[0].strike_e8
            assert beat is not None
            assert last.settlement_e6 == (10**6 if last.final_e8 >= beat else 0)
            checked += 1
    assert checked >= 5


def test_one_path_of_the_index_settles_the_two_venues_windows_by_their_own_rules() -> None:
    """A cent above the strike until the tick stamped close, which falls: in the TWAP, not in
    Kalshi's mean. A tie goes up on both."""
    assert settled_by({}) == {"kalshi": 10**6, "polymarket": 10**6}
    assert settled_by({0: 89_000_00}) == {"kalshi": 10**6, "polymarket": 0}
    assert settled_by({-60: 89_000_00}) == {"kalshi": 0, "polymarket": 10**6}
    assert settled_by({-1: 89_000_00}) == {"kalshi": 0, "polymarket": 0}


def settled_by(cents: dict[int, int]) -> dict[str, int | None]:
    """Settlements where both indices stand at the strike but for some seconds of the close."""
    close_s = (BEGIN // SECOND // 900 + 1) * 900
    begin = (close_s - 70) * SECOND
    motion = WindowMotion(1, listed(begin, 1)[:2], 0, begin)

    def tick(at: int, index: Any) -> IndexTick:
        value = cents.get(at // SECOND - close_s, 90_000_00) if at % SECOND == 0 else 90_000_00
        index.value_e8 = value * 10**6
        index.seconds.add(at, index.value_e8)
        return IndexTick(at, index.name, index.value_e8)

    for index in motion._indices:
        index.tick = lambda at, spot, chance, index=index: tick(at, index)  # type: ignore
    clock = (ConnectionCut(begin + second * SECOND, "") for second in range(180))
    names = ("kalshi", "polymarket")
    ends = [each for each in motion.over(clock) if isinstance(each, StatusChange)]
    return {names[each.market]: each.settlement_e6 for each in ends if each.final_e8 is not None}


def test_books_stand_while_a_window_is_open_and_are_empty_after_it(session: Session) -> None:
    books, quoted = Books(), set()
    grids = [set(grid_of(spec.price_ranges)) for spec in session.markets]
    for event in session.events:
        market = getattr(event, "market", 0)
        if market < PAIRED or isinstance(event, StatusChange | Listing):
            continue
        spec = session.markets[market]
        if isinstance(event, LevelSet):
            assert event.price_e6 in grids[market]
            is_over = event.at_epoch_ns >= spec.close_epoch_ns
            assert not (is_over and event.size_e6), event
            quoted.add(market)
        assert isinstance(event, BookSet) or event.at_epoch_ns >= spec.open_epoch_ns
        if not isinstance(event, MarketTrade):
            changed = books.apply(event)
            if event.at_epoch_ns < spec.close_epoch_ns:
                assert changed is None or books.is_sane(changed), event
    end_epoch_ns = session.events[-1].at_epoch_ns
    over = [market for market in quoted if session.markets[market].close_epoch_ns < end_epoch_ns]
    assert len(over) >= 5
    for market in over:
        assert not any(books.sides[market])


def test_a_pair_can_ask_the_other_way_round() -> None:
    """Bids of the one world are asks of the other, at 1 - p; everything else stays."""
    plain = make_world(7, begin_epoch_ns=BEGIN, windows=0)
    turned = make_world(7, begin_epoch_ns=BEGIN, windows=0, opposite=(4,))
    assert [pair.same for pair in turned.pairs] == [at != 4 for at in range(7)]
    assert turned.digest != plain.digest
    plain_books, turned_books = Books(), Books()
    for ours, theirs in zip(begun(plain, 10), begun(turned, 10), strict=True):
        if getattr(ours, "market", 0) != 9:
            assert ours == theirs
        plain_books.apply(ours)
        turned_books.apply(theirs)
    bids, asks = plain_books.sides[9]
    mirrored = [{1_000_000 - price: size for price, size in side.items()} for side in (asks, bids)]
    assert list(turned_books.sides[9]) == mirrored
    assert turned_books.is_sane(9)


@pytest.mark.parametrize(
    ("close_epoch_s", "name"),
    [
        (1_790_879_400, "KXBTC15M-26OCT011430-30"),  # 18:30 UTC, summer time
        (1_795_000_500, "KXBTC15M-26NOV180615-15"),  # 11:15 UTC, winter
        (1_793_510_100, "KXBTC15M-26NOV010115-15"),  # the hour that comes twice
        (1_793_513_700, "KXBTC15M-26NOV010115-15"),
    ],
)
def test_a_window_is_named_by_its_close_in_new_york(close_epoch_s: int, name: str) -> None:
    assert kalshi_ticker("KXBTC15M", close_epoch_s) == name


@pytest.mark.parametrize("begin_s", [1_790_879_400, 1_795_000_500])  # summer and winter
def test_windows_of_four_hours_lie_on_the_clock_of_new_york(begin_s: int) -> None:
    """As the registry asks for them by name (ops/series.toml)."""
    (series,) = series_of(["btc"], ["4h"])
    windows = listed(begin_s * SECOND, 3, [series])
    begun_s = [spec.open_epoch_ns // SECOND for spec in windows]
    hours = [datetime.fromtimestamp(each, ZoneInfo("America/New_York")) for each in begun_s]
    assert all(hour.hour % 4 == hour.minute == 0 for hour in hours)
    assert begun_s[0] <= begin_s < begun_s[1] == begun_s[0] + 14_400
    assert [spec.ticker for spec in windows] == [f"btc-updown-4h-{each}" for each in begun_s]
    assert windows[0].strike_e8 and not windows[1].strike_e8


def test_windows_of_chosen_coins_and_lengths_alone_are_listed_and_live() -> None:
    chosen = series_of(["eth"], ["15m"])
    assert [(one.venue, one.length_s) for one in chosen] == [("kalshi", 900), ("polymarket", 900)]
    assert series_of(["btc"], ["15m", "5m"]) == SERIES and series_of(["doge"], ["5m"]) == ()
    world = make_world(3, begin_epoch_ns=BEGIN, series=chosen)
    windows = world.markets[PAIRED:]
    assert {spec.index for spec in windows} == {"ETHUSD_RTI", "ethusd"}
    names = {spec.ticker.split("-")[0] for spec in windows}
    assert names == {"KXETH15M", "eth"} and all("ETH" in s.title.upper() for s in windows)
    assert world.digest != make_world(3, begin_epoch_ns=BEGIN).digest
    session = Session(pickle.loads(pickle.dumps(world)), 60)
    assert {e.market for e in session.events if isinstance(e, LevelSet)} & {PAIRED, PAIRED + 4}
