"""Several connections of one feed: which book is published, per instrument, call by call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import psutil
import pytest

from feeds import book, levels, race
from feeds.levels import NO_CLAIM
from feeds.newcomers import instruments_of
from feeds.publisher import Publisher, shards_of
from feeds.seat import Seat
from shm_layout import (
    ASK,
    BID,
    COUNTERS,
    E6,
    FEED_ROLE,
    GAP,
    LINK_SILENT,
    NO_SNAPSHOT,
    POLLED,
    ROLE,
    ST_CLOSED,
    TICK_EPOCH,
    Segment,
    cell,
)
from tests.feeds.rig import OPEN, Clock, Market, Rig, write_instrument


@dataclass
class Race:
    """Two connections for the markets A and B, and a poll."""

    rig: Rig
    lanes: list[Seat]
    poll: Seat

    def entries(self) -> list[tuple[int, int, int]]:
        """(best bid, trust, engine time) of what was published since the last call."""
        return [
            (int(e["bids"][0]), int(e["trust"]), int(e["event_epoch_ns"]))
            for e in self.rig.entries()
        ]


def raced(*names: str, markets_max: int = 0) -> Race:
    segment = Segment.private()
    for index, name in enumerate(names or ("A", "B")):
        write_instrument(segment, Market(name, index=index))
    publisher = Publisher(
        segment, feed=0, epoch=7, now_ns=1, instruments=instruments_of(segment, 0), lanes=2,
        has_poll=True, markets_max=markets_max,
    )  # fmt: skip
    for local in range(len(publisher.all_instruments)):
        publisher.set_facts(local, OPEN, 1)
    one, two, poll = publisher.seats[0]
    made = Race(Rig(segment, publisher, Clock()), [one, two], poll)
    made.entries()
    return made


def whole(seat: Seat, bid_e6: int, *, event: int = 0, local: int = 0, recv: int = 5) -> None:
    rows = np.array([BID, bid_e6, E6, ASK, 900_000, E6], np.int64)
    book.replace(
        seat.words, seat.state, local, rows, True, NO_CLAIM, NO_CLAIM, 1, event, recv, True
    )


def bid(seat: Seat, price_e6: int, *, event: int, recv: int = 5) -> None:
    """A higher bid, alone at its price."""
    book.change(seat.words, seat.state, 0, BID, price_e6, E6, True, 2, event, recv, True)


def live() -> Race:
    made = raced()
    for seat in made.lanes:
        whole(seat, 300_000, event=10)
        whole(seat, 300_000, event=10, local=1)
    made.entries()
    return made


def test_the_newest_engine_time_is_published() -> None:
    made = live()
    bid(made.lanes[1], 310_000, event=11)
    bid(made.lanes[0], 310_000, event=11)
    bid(made.lanes[0], 320_000, event=12)
    bid(made.lanes[1], 320_000, event=12)
    assert made.entries() == [(310_000, 0, 11), (320_000, 0, 12)]


def test_a_laggard_is_counted_and_changes_nothing() -> None:
    made = live()
    bid(made.lanes[0], 310_000, event=12)
    before, counted = made.rig.quote(0).tobytes(), made.rig.counted("laggards")
    bid(made.lanes[1], 305_000, event=11)
    assert made.rig.quote(0).tobytes() == before
    assert made.rig.counted("laggards") == counted + 1


def test_an_event_is_finished_by_the_lane_that_began_it() -> None:
    """Several frames of one engine time: the second lane is whole first and stays silent."""
    made = live()
    bid(made.lanes[0], 310_000, event=11)
    for price_e6 in (310_000, 320_000):
        bid(made.lanes[1], price_e6, event=11)
    bid(made.lanes[0], 320_000, event=11)
    assert made.entries() == [(310_000, 0, 11), (320_000, 0, 11)]


def test_without_the_rule_the_laggard_is_published() -> None:
    """The negative control: the same frames through a feed of one seat, which has no rivals."""
    segment = Segment.private()
    write_instrument(segment, Market("A", index=0))
    publisher = Publisher(
        segment, feed=0, epoch=7, now_ns=1, instruments=instruments_of(segment, 0)
    )
    publisher.set_facts(0, OPEN, 1)
    alone = Race(Rig(segment, publisher, Clock()), [publisher], publisher)
    whole(publisher, 300_000, event=10)
    bid(publisher, 310_000, event=12)
    alone.entries()
    bid(publisher, 320_000, event=11)
    assert alone.entries() == [(320_000, 0, 12)]


@pytest.mark.parametrize("bit", [GAP, LINK_SILENT, NO_SNAPSHOT])
def test_a_leader_that_falls_sick_hands_over_in_the_same_call(bit: int) -> None:
    made = live()
    bid(made.lanes[0], 310_000, event=12)
    bid(made.lanes[1], 310_000, event=12)
    made.entries()
    made.lanes[0].mark(raised=bit, now_ns=9)
    assert made.entries() == [(310_000, 0, 12), (300_000, 0, 10)]
    assert made.rig.trust(0) == made.rig.trust(1) == 0
    assert int(made.rig.quote(0)["recv_ns"]) == 9


def test_a_lost_leader_leaves_no_hole() -> None:
    made = live()
    bid(made.lanes[0], 310_000, event=12)
    bid(made.lanes[1], 310_000, event=12)
    made.entries()
    made.lanes[0].lose(9)
    assert {trust for _, trust, _ in made.entries()} == {0}
    made.lanes[1].lose(9)  # the negative control: the last one leaves nothing to trade on
    assert {trust for _, trust, _ in made.entries()} == {NO_SNAPSHOT}


def test_a_sick_lane_never_takes_the_quote_from_a_healthy_one() -> None:
    made = live()
    bid(made.lanes[0], 310_000, event=12)
    made.entries()
    made.lanes[1].mark(raised=GAP, now_ns=9)
    bid(made.lanes[1], 400_000, event=99)
    assert made.entries() == []
    whole(made.lanes[1], 320_000, event=99)  # whole again, and newer
    assert made.entries() == [(320_000, 0, 99)]


def test_of_sick_lanes_the_one_that_led_stays_and_the_first_whole_book_ends_it() -> None:
    made = live()
    for seat in (made.lanes[0], made.lanes[1]):
        seat.mark(0, raised=GAP, now_ns=9)
    assert made.rig.trust(0) == GAP
    whole(made.lanes[0], 330_000, event=0)
    assert made.rig.trust(0) == 0 and made.rig.levels(0)[0] == [(330_000, E6)]


def test_quote_numbers_grow_by_one_whoever_publishes() -> None:
    made = live()
    before = int(made.rig.quote(0)["number"])
    for event in range(20, 30):
        bid(made.lanes[event % 2], 300_000 + event * 10_000, event=event)
    numbers = [int(e["number"]) for e in made.rig.entries() if int(e["instrument"]) == 0]
    assert numbers == list(range(before + 1, before + 11))
    assert made.rig.publisher.shown(0)[0] == before + 10


def test_taking_the_lead_with_the_same_levels_publishes_nothing() -> None:
    made = live()
    cents = [BID, 100_000, E6]
    for p in range(40, 46):
        cents += [BID, p * 10_000, E6]
    for seat in made.lanes:
        rows = np.array([*cents, ASK, 900_000, E6], np.int64)
        book.replace(seat.words, seat.state, 0, rows, True, NO_CLAIM, NO_CLAIM, 1, 11, 5, True)
    made.entries()
    book.change(made.lanes[1].words, made.lanes[1].state, 0, BID, 100_000, E6, True, 2, 12, 5, True)
    assert made.entries() == [] and made.rig.publisher.leader(0) == (made.lanes[1], 0)


def test_polled_books_rank_below_every_healthy_stream_and_are_never_trusted() -> None:
    made = raced()
    whole(made.poll, 200_000, event=50)
    assert made.entries() == [(200_000, POLLED, 50)]
    whole(made.lanes[1], 300_000, event=10)  # older, yet a stream
    assert made.entries() == [(300_000, 0, 10)]
    whole(made.poll, 210_000, event=60)
    assert made.entries() == []
    made.lanes[1].mark(0, raised=GAP, now_ns=9)
    assert made.entries() == [(210_000, POLLED, 60)]
    made.poll.lose(9)
    assert made.rig.trust(0) & POLLED == 0 or made.rig.trust(0) & NO_SNAPSHOT


def test_facts_and_closes_reach_whoever_leads() -> None:
    made = live()
    bid(made.lanes[1], 310_000, event=12)
    made.lanes[0].set_status(0, ST_CLOSED, 9)
    assert int(made.rig.quote(0)["status"]) == ST_CLOSED and made.rig.trust(0) != 0
    bid(made.lanes[0], 310_000, event=13)
    assert int(made.rig.quote(0)["status"]) == ST_CLOSED and made.rig.trust(0) != 0


def test_a_changed_tick_grid_is_everybodys() -> None:
    made = live()
    made.lanes[0].mark(0, raised=TICK_EPOCH, now_ns=9)
    bid(made.lanes[1], 310_000, event=12)
    assert made.rig.trust(0) == TICK_EPOCH and made.rig.trust(1) == 0
    made.rig.publisher.set_facts(0, OPEN, 10)
    assert made.rig.trust(0) == 0


def test_a_touch_of_one_seat_reaches_no_other_book() -> None:
    """Increments of two connections are never merged."""
    made = live()
    bid(made.lanes[0], 310_000, event=11)
    assert made.lanes[1].touch(0)[0] == 300_000 and made.lanes[0].touch(0)[0] == 310_000


@pytest.mark.parametrize(
    ("count", "most", "wanted"),
    [(0, 0, [0]), (5, 0, [5]), (249, 249, [249]), (250, 249, [125, 125]), (7, 3, [3, 2, 2]),
     (1000, 249, [200] * 5)],
)  # fmt: skip
def test_shards_are_few_and_even(count: int, most: int, wanted: list[int]) -> None:
    assert shards_of(count, most) == wanted


def test_a_shard_counts_its_own_instruments_and_publishes_the_feeds() -> None:
    made = raced("A", "B", "C", markets_max=2)
    first, second = made.rig.publisher.seats
    assert [[one.ticker for one in row[0].instruments] for row in (first, second)] == [
        ["A", "B"], ["C"]
    ]  # fmt: skip
    assert [one.local for one in second[1].instruments] == [0]
    whole(second[1], 410_000)
    whole(first[0], 420_000, local=1)
    assert made.rig.levels(2)[0] == [(410_000, E6)] and made.rig.levels(1)[0] == [(420_000, E6)]
    second[0].set_status(0, ST_CLOSED, 9)
    assert [int(made.rig.quote(i)["status"]) == ST_CLOSED for i in range(3)] == [False, False, True]
    assert made.rig.publisher.leader(2) == (second[1], 0)


def test_counters_and_time_are_summed_over_seats() -> None:
    made = raced("A", "B", "C", markets_max=2)
    whole(made.rig.publisher.seats[1][1], 410_000)
    for row in made.rig.publisher.seats:
        for seat in row:
            seat.count("gaps")
    made.rig.publisher.account(100)
    assert made.rig.counted("gaps") == 6 and made.rig.counted("instrument_ns") == 300
    assert made.rig.counted("trusted_ns") == 100
    at = made.rig.segment.at("roles", FEED_ROLE) + cell(ROLE, "counters")
    assert made.rig.segment.words[at + COUNTERS["feed"].index("gaps")] == 6


def test_ranks_are_a_table() -> None:
    ranks = {0: race.HEALTHY, TICK_EPOCH: race.HEALTHY, POLLED: race.ONLY_POLLED, GAP: race.SICK,
             POLLED | GAP: race.SICK, NO_SNAPSHOT: race.EMPTY, NO_SNAPSHOT | POLLED: race.EMPTY,
             LINK_SILENT: race.SICK}  # fmt: skip
    assert {trust: race.rank_of(trust) for trust in ranks} == ranks


def test_seats_of_a_thousand_markets_take_memory_only_where_levels_stand() -> None:
    """With huge pages it would be all of it: 165 kB a book and seat, 635 MiB here."""
    before = psutil.Process().memory_info().rss
    states = levels.new_states([200] * 5, 4, is_spot=False, has_poll=True)
    assert sum(shard[0].nbytes > 0 for shard in states) == 5
    assert psutil.Process().memory_info().rss - before < 64 << 20


# ---- a book that lacks what was published before

MS_NS = 1_000_000


def ahead(by_ms: int) -> Race:
    """The second connection knows events of so much later than the first, which stands still."""
    made = raced("A")
    for seat in made.lanes:
        whole(seat, 300_000, event=10**12)
    for step in range(3):
        bid(made.lanes[1], 310_000 + 1_000 * step, event=10**12 + (by_ms - 2 + step) * MS_NS)
    made.entries()
    return made


@pytest.mark.parametrize(("by_ms", "trust"), [(90, 0), (110, GAP), (5_000, GAP)])
def test_an_heir_that_is_far_behind_is_not_trusted_before_it_has_caught_up(
    by_ms: int, trust: int
) -> None:
    made = ahead(by_ms)
    made.lanes[1].lose(9)
    assert [each[:2] for each in made.entries()] == [(300_000, trust)]
    bid(made.lanes[0], 313_000, event=10**12 + by_ms * MS_NS)
    assert made.entries() == [(313_000, 0, 10**12 + by_ms * MS_NS)]


def test_an_heir_that_is_behind_is_trusted_with_a_new_whole_book() -> None:
    made = ahead(5_000)
    made.lanes[1].lose(9)
    assert made.rig.trust(0) == GAP
    whole(made.lanes[0], 320_000)
    assert made.entries()[-1][:2] == (320_000, 0)


def test_a_new_connection_takes_the_quote_from_one_that_is_behind() -> None:
    made = ahead(5_000)
    made.lanes[1].lose(9)
    whole(made.lanes[1], 320_000)
    assert made.entries()[-1][:2] == (320_000, 0)
    bid(made.lanes[0], 305_000, event=10**12 + 1_000 * MS_NS)  # on, but still behind
    assert made.rig.trust(0) == 0 and made.rig.levels(0)[0][0][0] == 320_000


@pytest.mark.parametrize("by_ms", [90, 5_000])
def test_what_the_leader_of_a_market_lacks_is_to_be_asked_for(by_ms: int) -> None:
    made = ahead(by_ms)
    assert made.lanes[0].doubtful() == made.lanes[1].doubtful() == []
    made.lanes[1].lose(9)
    assert made.lanes[0].doubtful() == [0]
    whole(made.lanes[0], 320_000)
    assert made.lanes[0].doubtful() == []


def test_facts_that_change_while_a_seat_takes_the_lead_are_published() -> None:
    made = raced("A")
    cents = [cell for p in (10, *range(40, 46)) for cell in (BID, p * 10_000, E6)]
    rows = np.array([*cents, ASK, 900_000, E6], np.int64)
    one, two = made.lanes
    for seat in (one, two):
        book.replace(seat.words, seat.state, 0, rows, True, NO_CLAIM, NO_CLAIM, 1, 0, 5, True)
    deep = (0, BID, 100_000, E6, True)
    for seat in (two, one):
        book.change(seat.words, seat.state, *deep, 2, 100, 6, True)
    book.change(one.words, one.state, *deep, 3, 200, 7, False)  # a level nobody sees
    one.set_grid(0, ((E6, 1_000),), 7)
    one.flush()
    assert [int(cell) for cell in made.rig.quote(0)["grid"][:2]] == [E6, 1_000]
