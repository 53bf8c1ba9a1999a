"""The clock and the jumps as the compiled book judges them, through the real kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from feeds import book, judge
from feeds.judge import CONTRACT, SPOT, Judge, JumpBand
from feeds.levels import NO_CLAIM
from feeds.offset import MS_NS, SECOND_NS
from feeds.publisher import Publisher
from feeds.update import MarketFacts
from shm_layout import (
    ASK,
    BID,
    E6,
    E8,
    FEED_ROLE,
    HISTOGRAMS,
    HISTOGRAMS_MAX,
    OUTLIER,
    ST_ACTIVE,
    TIME_SKEW,
    Segment,
    word_store,
)
from tests.feeds.rig import Clock, Market, Rig, rig

BEGIN_NS = 1_788_702_600 * SECOND_NS
BASE_NS = 1_000 * SECOND_NS


def run_clock(segment: Segment, *, begin_ns: int = BEGIN_NS, speed_e6: int = 1_000_000) -> None:
    """Run time passes: at machine time BASE_NS it is `begin_ns`."""
    at = segment.at("run_clock")
    for place, value in ((8, begin_ns), (9, BASE_NS), (10, speed_e6), (0, 2)):
        word_store(segment.words, at + place, value)


class Watched:
    """Two markets of a venue whose clock is `off_ms` ahead of ours."""

    def __init__(self, *, off_ms: int = 0, speed_e6: int = 1_000_000, step_e6: int = 10_000,
                 jumps: JumpBand = CONTRACT) -> None:  # fmt: skip
        facts = MarketFacts(status=ST_ACTIVE, grid=((E6, step_e6),))
        self.rig = rig(Market("A"), Market("B"), facts=facts)
        run_clock(self.rig.segment, speed_e6=speed_e6)
        self.off_ms, self.speed_e6 = off_ms, speed_e6
        self.judge = Judge(self.rig.publisher, "venue", jumps=jumps)
        self.now_ns = BASE_NS
        self.judge.step(self.now_ns)
        for local in (0, 1):
            self.whole(local)

    def whole(self, local: int = 0, bid: int = 47, ask: int = 50) -> None:
        levels = [BID, bid * 10_000, E6, ASK, ask * 10_000, E6]
        self.put(local, levels, clear=True, stamp_ns=0)

    def put(self, local: int, levels: list[int], *, clear: bool, stamp_ns: int) -> None:
        made = self.rig.publisher
        book.replace(made.words, made.state, local, np.array(levels, np.int64), clear, NO_CLAIM,
                     NO_CLAIM, 1, stamp_ns, self.now_ns, True)  # fmt: skip

    def stamp_ns(self, age_ms: int = 5) -> int:
        """What the venue's clock showed `age_ms` (of machine time) ago."""
        gone_ns = (self.now_ns - age_ms * MS_NS - BASE_NS) * self.speed_e6 // 1_000_000
        return BEGIN_NS + gone_ns + self.off_ms * MS_NS

    def frame(self, local: int = 0, *, age_ms: int = 5, stamp_ns: int | None = None) -> None:
        """A numbered frame that changes no price."""
        made = self.rig.publisher
        stamp_ns = self.stamp_ns(age_ms) if stamp_ns is None else stamp_ns
        book.change(made.words, made.state, local, BID, 100_000, E6, False, 1, stamp_ns,
                    self.now_ns, True)  # fmt: skip

    def touch(self, bid: int, ask: int, local: int = 0) -> None:
        """A frame that moves the touch (cents)."""
        bids, asks = self.rig.levels(local)
        levels = [cell for price, _ in bids for cell in (BID, price, 0)]
        levels += [cell for price, _ in asks for cell in (ASK, price, 0)]
        levels += [BID, bid * 10_000, E6, ASK, ask * 10_000, E6]
        self.put(local, levels, clear=False, stamp_ns=self.stamp_ns())

    def wait(self, seconds: float, *, steps: int = 1) -> None:
        for _ in range(steps):
            self.now_ns += int(seconds * SECOND_NS) // steps
            self.judge.step(self.now_ns)

    def settled(self) -> Watched:
        """Three seconds of good frames: the offset is known."""
        for _ in range(30):
            self.frame(0)
            self.frame(1)
            self.wait(0.1)
        assert self.trusts() == (0, 0)
        return self

    def trusts(self) -> tuple[int, int]:
        return self.rig.trust(0), self.rig.trust(1)

    def counted(self, name: str) -> int:
        return self.rig.counted(name)


# ---- the clock


@pytest.mark.parametrize("off_ms", [0, 1_300, -1_300, 4_000, -4_000])
def test_a_clock_that_is_off_is_no_skew(off_ms: int) -> None:
    made = Watched(off_ms=off_ms).settled()
    assert made.counted("skewed") == 0
    assert made.judge.offset.floor_ns is not None
    assert abs(made.judge.offset.floor_ns // MS_NS + off_ms) <= 6


@pytest.mark.parametrize(("age_ms", "is_skew"), [(2_004, False), (2_010, True), (-990, False),
                                                 (-1_010, True)])  # fmt: skip
def test_a_stamp_outside_of_the_band_is_skew_at_once_and_for_its_market(
    age_ms: int, is_skew: bool
) -> None:
    made = Watched(off_ms=700).settled()
    made.frame(0, age_ms=age_ms)
    assert made.trusts() == (TIME_SKEW if is_skew else 0, 0)
    assert made.counted("skewed") == is_skew


def test_skew_of_one_market_ends_with_its_next_good_frame() -> None:
    made = Watched().settled()
    made.frame(0, age_ms=3_000)
    made.frame(1)
    assert made.trusts() == (TIME_SKEW, 0)
    made.frame(0)
    assert made.trusts() == (0, 0)


def test_skew_of_a_quiet_market_ends_while_others_show_the_clock_to_be_right() -> None:
    made = Watched().settled()
    made.frame(0, age_ms=3_000)
    for _ in range(12):
        made.wait(0.1)
        made.frame(1)
    assert made.trusts() == (0, 0)


def test_frozen_stamps_of_one_market_keep_it_skewed_while_the_others_move() -> None:
    made = Watched().settled()
    stuck_ns = made.stamp_ns()
    for place in range(60):
        made.wait(0.1)
        made.frame(0, stamp_ns=stuck_ns)
        made.frame(1)
        if place > 22:
            assert made.trusts() == (TIME_SKEW, 0), place


def test_a_stale_clock_of_the_whole_venue_keeps_every_quote_untrusted() -> None:
    """The negative control of the recorded sessions: a clock that stands still."""
    made = Watched().settled()
    stuck_ns = made.stamp_ns()
    for place in range(100):
        made.wait(0.1)
        made.frame(0, stamp_ns=stuck_ns)
        if place > 25:
            assert made.trusts() == (TIME_SKEW, TIME_SKEW), place
    assert made.judge.wants_reconnect and made.counted("behind") >= 1
    made.judge.opened()
    made.rig.publisher.lose(made.now_ns)
    made.whole(0)
    made.frame(0, stamp_ns=stuck_ns)
    assert made.rig.trust(0) == TIME_SKEW, "a new connection alone proves nothing"
    made.frame(0)
    assert made.rig.trust(0) == 0


def test_a_clock_that_was_set_is_trusted_again_when_its_stamps_agree() -> None:
    made = Watched().settled()
    made.off_ms = 3_000
    made.frame(0)
    assert made.rig.trust(0) == TIME_SKEW
    for _ in range(25):
        made.wait(0.1)
        made.frame(0)
    assert made.trusts() == (0, 0)
    alerts, _ = made.rig.publisher.notices.take()
    assert alerts == ["venue: time: the venue's clock was set, now -2995 ms behind ours"]


def test_a_stamp_beyond_any_clock_is_skew_from_the_first_frame() -> None:
    made = Watched(off_ms=30_000)
    made.frame(0)
    assert made.rig.trust(0) == TIME_SKEW


def test_a_stamp_of_the_future_never_becomes_the_events() -> None:
    made = Watched().settled()
    made.frame(0, age_ms=-60_000)
    assert made.rig.trust(0) == TIME_SKEW
    assert int(made.rig.quote(0)["event_epoch_ns"]) < made.stamp_ns()


def test_at_sixty_times_the_speed_the_bands_are_sixty_times_as_wide() -> None:
    made = Watched(speed_e6=60_000_000).settled()
    made.frame(0, age_ms=1_900)
    assert made.rig.trust(0) == 0
    made.frame(0, age_ms=2_100)
    assert made.rig.trust(0) == TIME_SKEW


def test_message_age_is_what_lies_above_the_floor() -> None:
    made = Watched(off_ms=1_300).settled()
    place = FEED_ROLE * HISTOGRAMS_MAX + HISTOGRAMS["feed"].index("message_age")
    at = made.rig.segment.at("histograms", place)
    made.frame(0, age_ms=805)
    words = made.rig.segment.words
    count, total, least, most = (int(words[at + cell]) for cell in range(4))
    assert count == 61, "every frame with a stamp"
    assert least == 0 and most // MS_NS == 799, (total, most)


@pytest.mark.parametrize("age_ms", [-900, 600_000])
def test_a_whole_book_may_be_stamped_with_its_last_change_long_ago(age_ms: int) -> None:
    made = Watched().settled()
    made.rig.publisher.lose(made.now_ns)
    made.put(0, [BID, 470_000, E6, ASK, 500_000, E6], clear=True, stamp_ns=made.stamp_ns(age_ms))
    assert made.rig.trust(0) == 0 and made.counted("skewed") == 0
    made.frame(0)
    assert made.rig.trust(0) == 0, "and its age was no sample of the venue's clock"


def test_a_whole_book_of_the_future_is_skew_and_its_stamp_never_becomes_the_events() -> None:
    made = Watched().settled()
    whole = [BID, 470_000, E6, ASK, 500_000, E6]
    made.put(0, whole, clear=True, stamp_ns=made.stamp_ns(-60_000))
    assert made.trusts() == (TIME_SKEW, 0) and made.counted("skewed") == 1
    assert int(made.rig.quote(0)["event_epoch_ns"]) < made.stamp_ns()
    made.wait(0.1)
    made.put(0, whole, clear=True, stamp_ns=made.stamp_ns())
    assert made.trusts() == (0, 0)


# ---- jumps


def test_a_jump_is_untrusted_until_two_more_frames_leave_it_there() -> None:
    made = Watched()
    made.touch(75, 77)
    assert made.rig.trust(0) == OUTLIER and made.counted("outliers") == 1
    made.frame(0)
    assert made.rig.trust(0) == OUTLIER
    made.frame(0)
    assert made.rig.trust(0) == 0
    assert made.rig.trust(1) == 0


def test_a_jump_is_over_when_the_price_is_back() -> None:
    made = Watched()
    made.touch(75, 77)
    made.touch(47, 50)
    assert made.rig.trust(0) == 0
    made.touch(75, 77)
    assert made.rig.trust(0) == OUTLIER and made.counted("outliers") == 2


def test_a_jump_that_stands_is_confirmed_by_time_alone() -> None:
    made = Watched()
    made.touch(75, 77)
    made.wait(0.299)
    assert made.rig.trust(0) == OUTLIER
    made.wait(0.002)
    assert made.rig.trust(0) == 0


@pytest.mark.parametrize(("cents", "step_e6", "is_jump"), [
    (20, 10_000, False), (21, 10_000, True),  # 20 ticks of a cent
    (10, 1_000, False), (11, 1_000, True),  # 20 ticks of a tenth are less than 10 % of the dollar
])  # fmt: skip
def test_the_band_is_the_larger_of_ticks_and_share(cents: int, step_e6: int, is_jump: bool) -> None:
    made = Watched(step_e6=step_e6)
    made.touch(47 + cents, 50 + cents)
    assert made.rig.trust(0) == (OUTLIER if is_jump else 0)


def test_a_side_that_empties_and_returns_elsewhere_is_a_jump() -> None:
    made = Watched()
    made.put(0, [ASK, 500_000, 0], clear=False, stamp_ns=0)
    assert made.rig.trust(0) == 0
    made.put(0, [ASK, 800_000, E6], clear=False, stamp_ns=0)
    assert made.rig.trust(0) == OUTLIER


def test_after_a_lost_link_the_first_book_is_taken_as_it_comes() -> None:
    made = Watched()
    made.rig.publisher.lose(made.now_ns)
    made.whole(0, 80, 82)
    assert made.rig.trust(0) == 0


def test_prices_that_walk_are_no_jump() -> None:
    made = Watched()
    for cents in range(47, 90, 15):
        made.touch(cents, cents + 3)
        assert made.rig.trust(0) == 0


def test_jumps_are_not_watched_where_the_band_says_so() -> None:
    made = Watched(jumps=JumpBand(ticks=20, share_e6=100_000, confirm_ns=0))
    made.touch(75, 77)
    assert made.rig.trust(0) == 0


class Spot:
    """A spot product and its judge."""

    def __init__(self) -> None:
        segment = Segment.private()
        run_clock(segment)
        publisher = Publisher(segment, feed=3, epoch=4, now_ns=1, products=(0, 1))
        self.rig = Rig(segment, publisher, Clock(), 3)
        self.judge = Judge(publisher, "spot", jumps=SPOT)
        self.now_ns, self.trades = BASE_NS, 0
        self.judge.step(self.now_ns)

    def trade(self, dollars: int, *, age_ms: int = 5) -> int:
        self.trades += 1
        stamp_ns = BEGIN_NS + self.now_ns - BASE_NS - age_ms * MS_NS
        self.rig.publisher.trade(0, price_e8=dollars * E8, size_e8=E8, side=BID,
                                 trade_id=self.trades, event_epoch_ns=stamp_ns,
                                 recv_ns=self.now_ns)  # fmt: skip
        return self.trust()

    def trust(self) -> int:
        row: Any = self.rig.segment.read("spot", 0)
        return int(row["trust"])


def test_a_spot_price_that_jumps_a_hundredth_must_be_confirmed() -> None:
    made = Spot()
    assert [made.trade(price) for price in (80_000, 80_790, 80_000)] == [0, 0, 0]
    assert [made.trade(price) for price in (81_000, 81_001, 81_002)] == [OUTLIER, OUTLIER, 0]
    assert [made.trade(price) for price in (8, 81_000)] == [OUTLIER, 0]


def test_a_spot_jump_that_stands_is_confirmed_by_time() -> None:
    made = Spot()
    made.trade(80_000)
    made.trade(90_000)
    made.judge.step(made.now_ns + 301 * MS_NS)
    assert made.trust() == 0


def test_a_spot_trade_from_the_past_is_skew() -> None:
    made = Spot()
    for _ in range(30):
        made.trade(80_000)
        made.now_ns += SECOND_NS // 10
        made.judge.step(made.now_ns)
    assert made.trade(80_000, age_ms=3_000) == TIME_SKEW
    assert made.trade(80_000) == 0


def test_nothing_is_judged_while_run_time_stands() -> None:
    made = rig(Market("A"))
    watched = judge.Judge(made.publisher, "venue", jumps=CONTRACT)
    watched.step(5)
    args = (np.array([BID, 470_000, E6], np.int64), True, NO_CLAIM, NO_CLAIM, 1)
    book.replace(made.publisher.words, made.publisher.state, 0, *args, 1, 9, True)
    assert made.trust(0) == 0
