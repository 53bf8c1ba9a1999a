"""Names, exact values, the watch on stamps and the count of missing seconds."""

from __future__ import annotations

import pytest

from feeds.indices import ALIASES, Missing, TickWatch, canonical, decimal_e8, e18_e8, stamp_ns
from feeds.update import SECOND_NS, FeedError
from shm_layout import LINK_SILENT, Segment, word_store
from tests.feeds.index_rig import index_rig

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


def test_missing_seconds_are_counted_and_repeats_told_apart() -> None:
    rig = index_rig("BRTI")
    missing = Missing(rig.publisher)
    seconds = [0, 1, 2, 5, 5, 4, 6, 6.2, 7.2, 9.3]
    news = [missing.is_new("a", BEGIN + round(second * SECOND_NS)) for second in seconds]
    assert news == [True, True, True, True, False, False, True, True, True, True]
    assert rig.counted("index_missing") == 3  # 3, 4 and 8
    assert rig.counted("duplicates") == 2
    assert missing.is_new("b", BEGIN)


def running(segment: Segment, run_ns: int, speed_e6: int = 1_000_000) -> None:
    """The run clock stands at `run_ns`."""
    clock = segment.at("run_clock")
    for place, value in ((8, run_ns), (10, speed_e6), (0, 2)):
        word_store(segment.words, clock + place, value)


def test_the_watch_is_on_the_stamp_not_on_the_frames() -> None:
    rig = index_rig("BRTI")
    watch = TickWatch(rig.publisher)
    watch.opened(0)
    for second in range(8):
        running(rig.segment, BEGIN + second * SECOND_NS)
        watch.heard(BEGIN, second * SECOND_NS)  # the same stamp again and again
        assert not watch.is_dead(second * SECOND_NS)
    assert rig.counted("link_silent") == 1
    assert rig.publisher.trust(0) & LINK_SILENT
    watch.heard(BEGIN + SECOND_NS, 9 * SECOND_NS)
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
