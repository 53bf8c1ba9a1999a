"""The connections that race for one part of a feed's markets, and the replacement of a sick one.

Make before break: another connection is opened in the spare seat, subscribed and whole before the
sick one is closed, so that the quote never has a hole for it. Only where the other cannot be had in
HEIR_NS the sick one goes first, for a venue may allow one connection a key. One replacement at a
time: there is one spare seat.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Final

from feeds.lane import OLD, STEADY_NS, Lane
from feeds.levels import AT_EVENT, BOOK_CELLS, BOOKS_AT, KIND, SPOT_CELLS, SPOT_EVENT
from feeds.seat import Seat
from feeds.session import Backoff
from feeds.update import SECOND_NS
from shm_layout import K_QUOTE

LOOK_NS = SECOND_NS  # between looks at who is behind
LOOKS_BEHIND: Final = 3  # so many looks later than a rival: behind for good
HEARD_NS = 5 * SECOND_NS  # some book never comes: the heir is as good as it gets
HEIR_NS = 15 * SECOND_NS  # an heir that is not heard by then: one of the two has to go


class Shard:
    """`make` opens nothing: it makes the lane of a seat; `run` starts a coroutine of the feed."""

    def __init__(
        self, seats: list[Seat], make: Callable[[Seat, Shard], Lane], backoff: Backoff
    ) -> None:
        assert len(seats) >= 2, "one seat more than lanes"
        self._backoff = backoff  # between replacements
        self.seats = seats
        self._make = make
        self.lanes = [make(seat, self) for seat in seats[:-1]]
        self._sick: Lane | None = None  # the one being replaced
        self._heir: Lane | None = None
        self._leaving: list[Lane] = []
        self._looked_ns = self._next_ns = self._made_ns = 0
        self._peaks: deque[int] = deque(maxlen=LOOKS_BEHIND + 1)
        self._start: Callable[[Coroutine[None, None, None]], None] | None = None
        self.down_since_ns: int | None = 0  # no lane is live since then; None: one is
        self._has_stepped = False

    def run(self, start: Callable[[Coroutine[None, None, None]], None]) -> None:
        """Open the lanes. `start` runs a coroutine beside the others."""
        self._start = start
        for lane in self.lanes:
            start(lane.main())

    @property
    def is_live(self) -> bool:
        """True if a connection has every book."""
        return any(lane.is_live for lane in self.lanes)

    @property
    def heard_ns(self) -> int:
        """When anything last came in over a connection that is whole; 0: none is."""
        return max((lane.heard_ns for lane in self.lanes if lane.is_live), default=0)

    @property
    def is_heard(self) -> bool:
        """True if some connection is told of changes."""
        return any(lane.is_heard for lane in self.lanes)

    def all_lanes(self) -> list[Lane]:
        """Those that race, and the one that is being opened to replace one."""
        return [*self.lanes, self._heir] if self._heir is not None else self.lanes

    def step(self, now_ns: int) -> int:
        """Every 50 ms: each lane, then who is to be replaced. Returns the frames since the last."""
        frames = sum(lane.step(now_ns) for lane in self.all_lanes())
        if self._start is not None:
            self._replace(now_ns)
        if self.is_live:
            self.down_since_ns = None
        elif self.down_since_ns is None or not self._has_stepped:
            self.down_since_ns = now_ns
        self._has_stepped = True
        return frames

    def _replace(self, now_ns: int) -> None:
        sick, heir = self._sick, self._heir
        if sick is not None and heir is not None:
            lasted_ns = now_ns - heir.session.since_ns
            is_late = now_ns - self._made_ns > HEIR_NS
            if heir.is_live or (heir.is_heard and lasted_ns > HEARD_NS):
                self._hand_over(sick, heir, now_ns)
            elif is_late and sick.ailment(now_ns) in ("", OLD):
                self._give_up(heir, now_ns)
            elif is_late:  # the venue may take no connection beside it: this one is of no use
                self._hand_over(sick, heir, now_ns)
            return
        self._leaving = [lane for lane in self._leaving if not lane.is_over]
        behind = self._behind(now_ns)
        if now_ns < self._next_ns or self._leaving:
            return
        for lane in self.lanes:
            why = lane.ailment(now_ns) or ("behind" if lane is behind else "")
            if why:
                self._next_ns = now_ns + self._backoff.delay_ns()
                taken = [one.seat for one in self.lanes]
                spare = next(seat for seat in self.seats if seat not in taken)
                self._sick, self._heir = lane, self._make(spare, self)
                self._made_ns = now_ns
                lane.seat.notices.alert(f"a connection is replaced: {why}")
                assert self._start is not None
                self._start(self._heir.main())
                return
        if self.is_live and now_ns - self._next_ns > STEADY_NS:
            self._backoff.worked()

    def _hand_over(self, sick: Lane, heir: Lane, now_ns: int) -> None:
        """The heir takes the place, and only then the sick one goes."""
        self.lanes[self.lanes.index(sick)] = heir
        sick.seat.count("recycled")
        self._give_up(sick, now_ns)

    def _give_up(self, lane: Lane, now_ns: int) -> None:
        """The replacement is over, and this one of the two goes."""
        self._sick = self._heir = None
        self._leaving.append(lane)
        lane.close(now_ns)
        lane.end()

    def _behind(self, now_ns: int) -> Lane | None:
        """A live lane that has not reached in seconds what a rival knew. Quiet is not behind: only
        what came in while it listened counts."""
        if len(self.lanes) < 2 or now_ns - self._looked_ns < LOOK_NS:
            return None
        self._looked_ns = now_ns
        newest = [_newest(lane.seat) for lane in self.lanes]
        self._peaks.append(max(newest))
        if len(self._peaks) <= LOOKS_BEHIND:
            return None
        oldest, known = self._peaks[0], self._peaks[1]
        since_ns = now_ns - (LOOKS_BEHIND + 1) * LOOK_NS
        for lane, event in zip(self.lanes, newest, strict=True):
            is_steady = lane.is_live and lane.session.since_ns <= since_ns
            if is_steady and event < known and known > oldest:
                return lane
        return None

    def close(self, now_ns: int) -> None:
        """Last act of each."""
        for lane in self.all_lanes():
            lane.close(now_ns)


def _newest(seat: Seat) -> int:
    """The newest engine time in any of its books; 0: none."""
    state = seat.state
    cells, at = (BOOK_CELLS, AT_EVENT) if state[KIND] == K_QUOTE else (SPOT_CELLS, SPOT_EVENT)
    end = BOOKS_AT + seat.count_max * cells
    return int(state[BOOKS_AT + at : end : cells].max(initial=0))
