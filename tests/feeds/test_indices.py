"""Names, exact values, the watch on stamps and the count of missing seconds."""

from __future__ import annotations

import pytest

from feeds.indices import (
    AHEAD_NS,
    ALIASES,
    CF_FIFTH,
    CF_SECOND,
    Board,
    TickWatch,
    canonical,
    decimal_e8,
    e18_e8,
    stamp_ns,
)
from feeds.update import SECOND_NS, FeedError
from shm_layout import LINK_SILENT
from tests.feeds.index_rig import IndexRig, index_rig, running

BEGIN = 1_790_000_000 * SECOND_NS


def test_every_alias_names_one_index() -> None:
    assert {canonical(name) for name in ("ERTI", "ETHUSDRTI", "ETHUSD_RTI")} == {"ETHUSD_RTI"}
    assert canonical("btc/usd") == "btcusd"
    names = [name for many in ALIASES.values() for name in many]
    assert len(names) == len(set(names))
    assert all(canonical(index) == index for index in ALIASES)


@pytest.mark.parametrize("name", ["", "BTC", "brti", "BRTI ", "btcusdt", "ETHBTC_RTI", "x" * 999])
def test_an_unknown_name_is_refused_and_not_guessed(name: str) -> None:
    with pytest.raises(FeedError, match="index: found"):
        canonical(name)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64126.00000000", 6_412_600_000_000),
        ("68000.12", 6_800_012_000_000),
        ("1", 100_000_000),
        ("0.000000005", 1),  # a half goes up
        ("79697.575317474428059648", 7_969_757_531_747),
    ],
)
def test_a_decimal_is_exact_to_its_eighth_digit(text: str, value: int) -> None:
    assert decimal_e8(text) == value


def test_the_e18_text_is_the_same_value_and_never_mistaken_for_a_decimal() -> None:
    assert e18_e8("79697575317474428059648") == decimal_e8("79697.575317474428059648")
    assert e18_e8("79696948174287960000000") == 7_969_694_817_429
    for text in ("79697.73", "79697.73000000", "", "-1", "1e3"):
        with pytest.raises(FeedError):
            e18_e8(text)
    with pytest.raises(FeedError):
        decimal_e8("79697575317474428059648")


@pytest.mark.parametrize("text", ["", "-1", "0", "0.0000000001", "1e5", "NaN", "1_0", "1.", "٣"])
def test_what_is_no_price_is_refused(text: str) -> None:
    with pytest.raises(FeedError, match="value: found"):
        decimal_e8(text)


def test_a_stamp_that_cannot_be_is_refused() -> None:
    assert stamp_ns(1_790_000_000_000) == BEGIN
    for stamp in (0, -5, 4_102_444_800_001):
        with pytest.raises(FeedError, match="stamp"):
            stamp_ns(stamp)


def test_missing_seconds_are_counted_and_repeats_not_published() -> None:
    rig = index_rig("BRTI")
    board = Board(rig.publisher, ("BRTI",))
    for second in (0, 1, 2, 5, 5, 4, 6, 6.2, 7.2, 9.3):
        value(board, BEGIN + round(second * SECOND_NS))
    stamps = [(int(each["event_epoch_ns"]) - BEGIN) / SECOND_NS for each in rig.entries()]
    assert stamps == [0, 1, 2, 5, 6, 6.2, 7.2, 9.3]
    assert rig.counted("index_missing") == 3  # 3, 4 and 8
    assert (rig.counted("index_ticks"), rig.counted("laggards")) == (8, 2)


def value(board: Board, event_ns: int, source: int = CF_SECOND) -> None:
    board.value(0, 1 + event_ns % 7, event_ns, 1, relay_ns=0, sequence=1, source=source)


def test_the_five_a_second_miss_nothing_and_do_not_hide_a_late_second() -> None:
    """A print of the second comes after fifths with newer stamps: it is published all the same."""
    rig = index_rig("BRTI")
    board = Board(rig.publisher, ("BRTI",))
    value(board, BEGIN)
    value(board, BEGIN + 1_400_000_000, CF_FIFTH)
    value(board, BEGIN + 1_000_000_000)
    assert [int(each["source"]) for each in rig.entries()] == [CF_SECOND, CF_FIFTH, CF_SECOND]
    assert rig.counted("index_missing") == 0


def raced() -> tuple[IndexRig, list[Board]]:
    rig = index_rig("BRTI", lanes=2)
    boards = [Board(seat, ("BRTI",)) for seat in rig.publisher.seats[0]]
    return rig, boards


def test_ticks_of_two_connections_are_joined_and_each_is_published_once() -> None:
    """In one buffer each: a second and a newer fifth. Choosing by newest stamp would lose one."""
    rig, boards = raced()
    for step in range(5):
        begin = BEGIN + step * SECOND_NS
        for board in boards if step % 2 else boards[::-1]:
            value(board, begin)
            value(board, begin + 400_000_000, CF_FIFTH)
    seconds = [each for each in rig.entries() if each["source"] == CF_SECOND]
    assert [int(each["event_epoch_ns"]) for each in seconds] == [
        BEGIN + step * SECOND_NS for step in range(5)
    ]
    assert (rig.counted("index_missing"), rig.counted("index_ticks")) == (0, 10)
    assert rig.counted("laggards") == 10


def test_what_one_connection_lost_another_brings() -> None:
    rig, (first, second) = raced()
    for step in range(6):
        if step not in (2, 3):
            value(first, BEGIN + step * SECOND_NS)
        if step != 3:
            value(second, BEGIN + step * SECOND_NS)
    assert len(rig.entries()) == 5
    assert rig.counted("index_missing") == 1


def test_a_sick_connections_ticks_do_not_take_the_trust() -> None:
    rig, (first, second) = raced()
    value(first, BEGIN)
    value(second, BEGIN)
    first.seat.mark(raised=LINK_SILENT, now_ns=2)
    assert rig.slot()["trust"] == 0  # handed to the other
    value(first, BEGIN + SECOND_NS)
    assert (rig.slot()["trust"], rig.slot()["event_epoch_ns"]) == (0, BEGIN)
    value(second, BEGIN + SECOND_NS)
    assert (rig.slot()["trust"], rig.slot()["event_epoch_ns"]) == (0, BEGIN + SECOND_NS)
    second.seat.lose(3)
    assert rig.slot()["trust"] == LINK_SILENT


def test_the_watch_is_on_the_stamp_not_on_the_frames() -> None:
    rig = index_rig("BRTI")
    watch = TickWatch(rig.publisher)
    watch.opened(0)
    for second in range(8):
        running(rig.segment, BEGIN + second * SECOND_NS)
        watch.heard(0, 0, BEGIN, second * SECOND_NS)  # the same stamp again and again
        assert not watch.is_dead(second * SECOND_NS)
    assert rig.counted("link_silent") == 1
    assert rig.publisher.trust(0) & LINK_SILENT
    watch.heard(0, 0, BEGIN + SECOND_NS, 9 * SECOND_NS)
    assert not rig.publisher.trust(0) & LINK_SILENT
    for second in range(9, 26):
        running(rig.segment, BEGIN + second * SECOND_NS)
        assert watch.is_dead(second * SECOND_NS) is (second > 24)


def test_while_run_time_stands_there_is_nothing_to_be_heard() -> None:
    rig = index_rig("BRTI")
    running(rig.segment, BEGIN)
    watch = TickWatch(rig.publisher)
    watch.opened(0)
    assert not any(watch.is_dead(second * SECOND_NS) for second in range(100))
    assert rig.counted("link_silent") == 0


def test_one_index_that_stops_is_silent_whatever_the_others_do() -> None:
    rig = index_rig("BRTI", "ETHUSD_RTI")
    watch = TickWatch(rig.publisher)
    watch.opened(0)
    dead = []
    for second in range(18):
        running(rig.segment, BEGIN + second * SECOND_NS)
        watch.heard(1, 0, BEGIN + second * SECOND_NS, second * SECOND_NS)
        if second == 0:
            watch.heard(0, 0, BEGIN, 0)
        dead.append(watch.is_dead(second * SECOND_NS))
        silent = [rig.publisher.trust(local) & LINK_SILENT != 0 for local in range(2)]
        assert silent == [second > 5, False], second
    assert dead.index(True) == 16, "then a new connection is tried"


def test_a_series_that_stops_is_seen_and_a_link_that_speaks_does_not_hide_it() -> None:
    rig = index_rig("BRTI")
    watch = TickWatch(rig.publisher)
    watch.opened(0)
    watch.heard(0, 0, BEGIN, 0)
    for second in range(8):
        running(rig.segment, BEGIN + second * SECOND_NS)
        watch.heard(0, 1, BEGIN + second * SECOND_NS, second * SECOND_NS)
        watch.is_dead(second * SECOND_NS)
    assert rig.publisher.trust(0) & LINK_SILENT
    rig.publisher.silence(False, 8 * SECOND_NS)
    running(rig.segment, BEGIN + 8 * SECOND_NS)
    watch.is_dead(8 * SECOND_NS)
    assert rig.publisher.trust(0) & LINK_SILENT
    watch.heard(0, 0, BEGIN + 9 * SECOND_NS, 9 * SECOND_NS)
    assert not rig.publisher.trust(0) & LINK_SILENT


def test_a_stamp_from_the_future_is_refused() -> None:
    rig = index_rig("BRTI")
    board = Board(rig.publisher, ("BRTI",))
    board.check(BEGIN + 3_600 * SECOND_NS, 5)  # no run time yet: nothing can be said
    running(rig.segment, BEGIN)
    board.check(BEGIN + AHEAD_NS, 5)
    with pytest.raises(FeedError, match="stamp: found 5000000001 ns ahead"):
        board.check(BEGIN + AHEAD_NS + 1, 5)
