"""Ticks of an index: what is known of an average, and that nothing is made up."""

from __future__ import annotations

from engine.fair_rules import MEAN, TWAP, Rule, settled_e8, stamps
from engine.ticks import KEPT_S, MEANS, SECONDS, Ticks
from feeds import indices

SECOND = 10**9
CLOSE_S = 1_800_000_900
KALSHI = Rule(kind=MEAN, compare=1, digits=2, n=60)


def minute(skip: tuple[int, ...] = ()) -> Ticks:
    """Ticks of 80,000 + i dollars in the last minute before the close."""
    ticks = Ticks()
    for i in range(61):
        if i not in skip:
            at_ns = (CLOSE_S - 60 + i) * SECOND
            ticks.take(indices.CF_SECOND, (80_000 + i) * 10**8, at_ns, 0)
    return ticks


def test_the_sources_are_those_of_the_feeds() -> None:
    assert {indices.CF_SECOND, indices.POLYBOLT_CHAINLINK, indices.RTDS_CHAINLINK} == SECONDS
    assert {indices.POLYBOLT_TWAP, indices.RTDS_TWAP} == MEANS


def test_the_tick_stamped_close_is_out_at_kalshi_and_in_at_polymarket() -> None:
    for kind, first, last in ((MEAN, 0, 59), (TWAP, 1, 60)):
        rule = Rule(kind=kind, compare=1, n=60)
        total, count, whole_s = minute().known(stamps(rule, CLOSE_S))
        assert count == 60 and whole_s == CLOSE_S - 60 + last
        assert total == sum(80_000 + i for i in range(first, last + 1)) * 10**8
        ticks = {CLOSE_S - 60 + i: (80_000 + i) * 10**8 for i in range(61)}
        assert settled_e8(rule, CLOSE_S, ticks) == total // 60


def test_a_missing_tick_is_counted_and_never_invented() -> None:
    ticks = minute(skip=(20, 21, 40))
    total, count, whole_s = ticks.known(stamps(KALSHI, CLOSE_S))
    assert count == 57 and ticks.missing == 3
    assert total == sum(80_000 + i for i in range(60) if i not in (20, 21, 40)) * 10**8
    assert whole_s == CLOSE_S - 60 + 19
    ticks.take(indices.CF_SECOND, 79_000 * 10**8, (CLOSE_S - 40) * SECOND, 0)  # it came late
    assert ticks.known(stamps(KALSHI, CLOSE_S))[1:] == (58, CLOSE_S - 60 + 20)
    assert Ticks().known(stamps(KALSHI, CLOSE_S)) == (0, 0, CLOSE_S - 61)


def test_a_stamp_counts_once_and_parts_of_a_second_for_no_average() -> None:
    ticks = minute()
    before = ticks.known(stamps(KALSHI, CLOSE_S))
    ticks.take(indices.CF_SECOND, 1, (CLOSE_S - 10) * SECOND, 0)
    ticks.take(indices.CF_FIFTH, 81_000 * 10**8, (CLOSE_S + 1) * SECOND + SECOND // 5, 7)
    ticks.take(indices.CF_SECOND, 0, (CLOSE_S + 2) * SECOND, 0)
    assert ticks.known(stamps(KALSHI, CLOSE_S)) == before
    assert (ticks.value_e8, ticks.heard_ns) == (81_000 * 10**8, 7)


def test_a_strike_is_the_published_mean_of_the_windows_start_if_we_heard_it() -> None:
    at_ns, ticks = CLOSE_S * SECOND, Ticks()
    assert ticks.mean_at(at_ns) is None
    ticks.take_mean(3, at_ns + 2 * SECOND)
    assert ticks.mean_at(at_ns) is None  # we came after the start: it may not be the first
    ticks.take_mean(1, at_ns - SECOND)
    assert ticks.mean_at(at_ns) == 3  # we listened, and this is the first at or after it
    ticks.take_mean(2, at_ns)
    ticks.take_mean(9, at_ns)
    assert ticks.mean_at(at_ns) == 2
    late = Ticks()
    late.take_mean(1, at_ns - SECOND)
    late.take_mean(2, at_ns + 60 * SECOND)
    assert late.mean_at(at_ns) is None


def test_after_a_loss_only_what_came_since_says_that_we_listened() -> None:
    at_ns, ticks = CLOSE_S * SECOND, Ticks()
    for i in range(60, 29, -1):
        ticks.take_mean(i, at_ns - i * SECOND)
    ticks.lost()
    ticks.take_mean(5, at_ns - 30 * SECOND)  # told again, as trust comes back: heard long ago
    ticks.take_mean(4, at_ns + 4 * SECOND)
    assert ticks.mean_at(at_ns) is None
    assert ticks.mean_at(at_ns - 30 * SECOND) == 30  # an exact stamp stays good
    ticks.take_mean(2, at_ns)  # and so does one that history brings
    assert ticks.mean_at(at_ns) == 2


def test_a_loss_that_ended_before_the_start_changes_nothing_one_after_it_forgets_the_rest() -> None:
    at_ns, ticks = CLOSE_S * SECOND, Ticks()
    ticks.take_mean(1, at_ns - 9 * SECOND)
    ticks.lost()
    ticks.take_mean(2, at_ns - SECOND)
    ticks.take_mean(3, at_ns + SECOND)
    assert ticks.mean_at(at_ns) == 3
    ticks.lost()
    assert ticks.mean_at(at_ns) is None  # whoever asks only now: less is known, never more


def test_history_that_reaches_back_over_the_start_tells_the_first_mean_after_it() -> None:
    at_ns, ticks = CLOSE_S * SECOND, Ticks()
    ticks.take_mean(9, at_ns - 40 * SECOND)
    ticks.lost()
    for i in (*range(-39, 0), 1, 2, 3):  # that of the start itself was never published
        ticks.take_mean(100 + i, at_ns + i * SECOND)
    assert ticks.mean_at(at_ns) == 101


def test_means_that_stopped_without_a_word_are_a_loss_as_well() -> None:
    at_ns, ticks = CLOSE_S * SECOND, Ticks()
    ticks.take_mean(1, at_ns - 6 * SECOND)
    ticks.take_mean(2, at_ns + SECOND)
    assert ticks.mean_at(at_ns) is None


def test_memory_is_bounded() -> None:
    ticks = Ticks()
    for i in range(3 * KEPT_S):
        ticks.take(indices.CF_SECOND, 10**8, (CLOSE_S + i) * SECOND, 0)
        ticks.take_mean(10**8, (CLOSE_S + i) * SECOND)
    newest = range(CLOSE_S, CLOSE_S + 3 * KEPT_S)
    assert ticks.known(newest)[1] == KEPT_S and len(ticks._means) == KEPT_S
