"""Make before break: who is replaced, when, and that the old one goes last."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from feeds import book
from feeds.lane import OLD, Lane
from feeds.levels import NO_CLAIM
from feeds.newcomers import instruments_of
from feeds.publisher import Publisher
from feeds.seat import Seat
from feeds.session import Backoff, Session, State
from feeds.shard import HEARD_NS, HEIR_NS, LOOK_NS, Shard
from shm_layout import ASK, BID, E6, Segment
from tests.feeds.rig import OPEN, Clock, Market, Rig, write_instrument

SECOND_NS = 10**9


@dataclass
class FakeLane:
    """As much of a lane as a shard sees."""

    seat: Seat
    session: Session = field(default_factory=Session)
    why: str = ""
    is_silent: bool = False
    is_ended: bool = False
    is_closed: bool = False
    heard_ns: int = 1

    @property
    def is_live(self) -> bool:
        return self.session.state is State.LIVE and not self.is_silent

    @property
    def is_heard(self) -> bool:
        return self.session.state in (State.SNAPSHOTS, State.LIVE)

    @property
    def is_over(self) -> bool:
        return self.is_ended

    def ailment(self, now_ns: int) -> str:
        return self.why

    def step(self, now_ns: int) -> int:
        return 1

    def become(self, state: State, now_ns: int) -> None:
        self.session.state, self.session.since_ns = state, now_ns

    def close(self, now_ns: int) -> None:
        self.is_closed = True
        self.seat.lose(now_ns)

    def end(self) -> None:
        assert self.is_closed
        self.is_ended = True

    async def main(self) -> None:
        raise AssertionError("nobody runs it here")


@dataclass
class Scene:
    """One market, lanes that do as told."""

    rig: Rig
    shard: Shard
    made: list[FakeLane]
    started: list[Coroutine[Any, Any, None]]

    def step(self, after_ns: int = 0) -> None:
        self.rig.clock.now_ns += after_ns
        self.shard.step(self.rig.clock.now_ns)

    def live(self, lane: FakeLane, price_e6: int = 300_000, *, event: int = 10) -> None:
        now_ns = self.rig.clock.now_ns
        lane.become(State.LIVE, now_ns)
        self.book(lane, price_e6, event=event)

    def book(self, lane: FakeLane, price_e6: int, *, event: int) -> None:
        seat, levels = lane.seat, np.array([BID, price_e6, E6, ASK, 900_000, E6], np.int64)
        now_ns = self.rig.clock.now_ns
        book.replace(
            seat.words, seat.state, 0, levels, True, NO_CLAIM, NO_CLAIM, 1, event, now_ns, True
        )


def scene(lanes: int) -> Scene:
    segment, made = Segment.private(), list[FakeLane]()
    write_instrument(segment, Market("A", index=0))
    publisher = Publisher(
        segment, feed=0, epoch=7, now_ns=1, instruments=instruments_of(segment, 0),
        lanes=lanes + 1,
    )  # fmt: skip
    publisher.set_facts(0, OPEN, 1)

    def make(seat: Seat, shard: Shard) -> Lane:
        made.append(FakeLane(seat))
        return made[-1]  # type: ignore[return-value]

    backoff = Backoff(base_ns=SECOND_NS, max_ns=8 * SECOND_NS, seed=1)
    on = Scene(Rig(segment, publisher, Clock()), Shard(publisher.seats[0], make, backoff), made, [])

    def start(work: Coroutine[Any, Any, None]) -> None:
        on.started.append(work)
        work.close()

    on.shard.run(start)
    for lane in made:
        on.live(lane)
    on.step()
    on.rig.entries()
    return on


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_sick_lane_is_replaced_and_goes_last(lanes: int) -> None:
    on = scene(lanes)
    old = on.made[0]
    old.why = "asking again has not helped"
    on.step()
    assert len(on.made) == lanes + 1 and len(on.started) == lanes + 1
    heir = on.made[-1]
    heir.become(State.SNAPSHOTS, on.rig.clock.now_ns)
    on.step(SECOND_NS)
    assert not old.is_closed and on.rig.trust(0) == 0  # the heir is not whole yet
    on.live(heir, 310_000, event=11)
    on.rig.entries()
    on.step()
    assert old.is_closed and old.is_ended and on.rig.counted("recycled") == 1
    assert on.rig.trust(0) == 0 and on.rig.levels(0)[0] == [(310_000, E6)]
    assert all(int(entry["trust"]) == 0 for entry in on.rig.entries())
    assert len(on.shard.lanes) == lanes and on.shard.lanes[0] is heir


def test_breaking_first_would_leave_a_hole() -> None:
    """The negative control: the same lane closed before its heir is whole."""
    on = scene(1)
    on.made[0].close(on.rig.clock.now_ns)
    assert [int(entry["trust"]) != 0 for entry in on.rig.entries()] == [True]


def test_a_healthy_lane_is_left_alone() -> None:
    on = scene(2)
    for _ in range(100):
        on.step(SECOND_NS)
    assert len(on.made) == 2 and on.rig.counted("recycled") == 0


def test_one_replacement_at_a_time_and_not_in_a_storm() -> None:
    on = scene(2)
    for lane in on.made:
        lane.why = "silent"
    on.step()
    on.step()
    assert len(on.made) == 3
    on.live(on.made[2])
    on.step()
    on.step()
    assert len(on.made) == 3  # the back-off between two replacements
    on.step(SECOND_NS)
    assert len(on.made) == 4


def test_an_heir_that_lacks_a_book_for_long_is_as_good_as_it_gets() -> None:
    on = scene(1)
    on.made[0].why = "silent"
    on.step()
    on.made[1].become(State.SNAPSHOTS, on.rig.clock.now_ns)
    on.step(HEARD_NS)
    assert not on.made[0].is_closed
    on.step(1)
    assert on.made[0].is_closed


def test_the_spare_seat_is_not_taken_before_its_last_lane_is_gone() -> None:
    on = scene(1)
    on.made[0].why = "silent"
    on.step()
    on.live(on.made[1])
    on.made[1].why = "silent"
    on.step()
    assert on.made[0].is_ended
    on.made[0].is_ended = False  # its coroutine has not returned yet
    on.step(60 * SECOND_NS)
    assert len(on.made) == 2
    on.made[0].is_ended = True
    on.step()
    assert len(on.made) == 3 and on.made[2].seat is on.made[0].seat


def test_a_lane_that_misses_what_its_rival_knows_is_replaced() -> None:
    on = scene(2)
    leading, frozen = on.made
    for event in range(11, 21):
        on.book(leading, 300_000 + 1_000 * event, event=event)
        on.step(LOOK_NS)
    assert len(on.made) == 3 and on.shard._sick is frozen  # type: ignore[comparison-overlap]


def test_a_lane_that_came_after_the_last_event_of_a_quiet_market_is_not_behind() -> None:
    on = scene(2)
    on.book(on.made[0], 310_000, event=50)
    on.made[1].seat.lose(1)
    on.live(on.made[1], 310_000, event=0)  # a whole book without an engine time
    for _ in range(20):
        on.step(LOOK_NS)
    assert len(on.made) == 2
    for event in range(51, 60):
        for lane in on.made[:2]:
            on.book(lane, 310_000, event=event)
        on.step(LOOK_NS)
    assert len(on.made) == 2


def test_down_counts_from_the_moment_no_lane_was_whole() -> None:
    on = scene(2)
    assert on.shard.down_since_ns is None
    on.made[0].become(State.BACKING_OFF, 0)
    on.step(SECOND_NS)
    assert on.shard.down_since_ns is None and on.shard.is_live
    on.made[1].is_silent = True
    on.step(SECOND_NS)
    began_ns = on.rig.clock.now_ns
    on.step(SECOND_NS)
    assert on.shard.down_since_ns == began_ns and not on.shard.is_live


def test_where_no_second_connection_is_allowed_the_sick_one_goes_first() -> None:
    on = scene(1)
    old = on.made[0]
    old.why = "asking again has not helped"
    on.step()
    heir = on.made[1]
    on.step(HEIR_NS)
    assert not old.is_closed and on.shard.lanes == [old]  # type: ignore[comparison-overlap]
    on.step(1)
    assert old.is_ended and len(on.made) == 2
    assert on.shard.lanes == [heir]  # type: ignore[comparison-overlap]
    on.live(heir)
    on.step()
    assert on.rig.trust(0) == 0


@pytest.mark.parametrize("why", ["", OLD])
def test_an_heir_that_cannot_be_had_is_given_up_while_the_other_still_works(why: str) -> None:
    on = scene(1)
    old = on.made[0]
    old.why = OLD
    on.step()
    old.why = why
    on.rig.entries()
    on.step(HEIR_NS + 1)
    assert on.made[1].is_ended and not old.is_closed and on.rig.trust(0) == 0
    assert on.rig.counted("recycled") == 0 and on.rig.entries() == []
    on.step(8 * SECOND_NS)
    assert len(on.made) == (3 if why else 2), "an old one is tried again"
