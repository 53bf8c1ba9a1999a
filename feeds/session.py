"""The life of a feed's connection as a table, and the back-off between attempts. Pure: no I/O.

BACKING_OFF -due-> CONNECTING -opened-> SUBSCRIBING -acked-> SNAPSHOTS -whole-> LIVE
     ^                  |                    |                |    ^-broken------|
     '------lost--------+--------------------+----------------+------------------'
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from enum import Enum

DOUBLINGS_MAX = 5  # of the time between requests of a market whose snapshots are no good


class State(Enum):
    """Where the session stands. Only LIVE has every open market's book."""

    BACKING_OFF = "backing off"
    CONNECTING = "connecting"
    SUBSCRIBING = "subscribing"
    SNAPSHOTS = "waiting for snapshots"
    LIVE = "live"
    STOPPED = "stopped"


class Event(Enum):
    """What happens to it."""

    DUE = "due"
    OPENED = "opened"
    ACKED = "acked"
    WHOLE = "whole"
    BROKEN = "broken"
    LOST = "lost"
    STOP = "stop"


MOVES: dict[tuple[State, Event], State] = {
    (State.BACKING_OFF, Event.DUE): State.CONNECTING,
    (State.CONNECTING, Event.OPENED): State.SUBSCRIBING,
    (State.SUBSCRIBING, Event.ACKED): State.SNAPSHOTS,
    (State.SNAPSHOTS, Event.WHOLE): State.LIVE,
    (State.LIVE, Event.BROKEN): State.SNAPSHOTS,
    (State.CONNECTING, Event.LOST): State.BACKING_OFF,
    (State.SUBSCRIBING, Event.LOST): State.BACKING_OFF,
    (State.SNAPSHOTS, Event.LOST): State.BACKING_OFF,
    (State.LIVE, Event.LOST): State.BACKING_OFF,
    **{(state, Event.STOP): State.STOPPED for state in State},
}


class Session:
    """The state, how long it has lasted, and how often a connection was lost."""

    def __init__(self) -> None:
        self.state = State.BACKING_OFF
        self.since_ns = 0
        self.lost = 0

    def move(self, event: Event, now_ns: int) -> State:
        """Take a legal move. A move the table does not have is our own mistake: AssertionError."""
        to = MOVES.get((self.state, event))
        assert to is not None, f"{event} while {self.state}"
        self.lost += event is Event.LOST
        self.state, self.since_ns = to, now_ns
        return to

    def settle(self, *, is_subscribed: bool, is_whole: bool, now_ns: int) -> State:
        """Follow what the venue's file reports: at most the moves from SUBSCRIBING to LIVE."""
        if self.state is State.SUBSCRIBING and is_subscribed:
            self.move(Event.ACKED, now_ns)
        if self.state is State.SNAPSHOTS and is_whole:
            self.move(Event.WHOLE, now_ns)
        elif self.state is State.LIVE and not is_whole:
            self.move(Event.BROKEN, now_ns)
        return self.state


class Backoff:
    """Delays between attempts: doubling from `base_ns` to `max_ns`, the upper half of each random.

    The jitter is seeded, so that a test or a run can be repeated; each feed gets another seed, so
    that several do not come back in step.
    """

    def __init__(self, *, base_ns: int, max_ns: int, seed: int) -> None:
        assert 0 < base_ns <= max_ns, (base_ns, max_ns)
        self._base_ns = base_ns
        self._max_ns = max_ns
        self._random = random.Random(seed)
        self.attempt = 0

    def delay_ns(self) -> int:
        """How long to wait before the next attempt."""
        whole = min(self._base_ns << min(self.attempt, 40), self._max_ns)
        self.attempt += 1
        return whole - self._random.randrange(whole // 2 + 1)

    def worked(self) -> None:
        """The connection became live: the next loss starts from the shortest delay."""
        self.attempt = 0


class Requests:
    """Snapshots asked for and not yet come: whom to ask (again), and when asking is hopeless.

    A market whose snapshots come but are no good is asked for ever more seldom: that is its own
    trouble. One whose snapshots do not come at all shows a link that only a new one replaces.
    """

    def __init__(self, *, answer_ns: int, tries_max: int) -> None:
        self._answer_ns = answer_ns
        self._tries_max = tries_max
        self._next_ns: dict[int, int] = {}
        self._unanswered: dict[int, int] = {}
        self._bad: dict[int, int] = {}

    def due(self, broken: Iterable[int], now_ns: int) -> list[int]:
        """Those of `broken` to ask for now: not asked yet, or not answered in time."""
        found = []
        for market in broken:
            if now_ns > self._next_ns.get(market, -1):
                self.expect(market, now_ns)
                self._unanswered[market] = self._unanswered.get(market, 0) + 1
                found.append(market)
        return found

    def expect(self, market: int, now_ns: int) -> None:
        """One is on its way: asked for, or what the venue sends after the subscription."""
        doubled = min(max(self._bad.get(market, 0) - 1, 0), DOUBLINGS_MAX)  # one may be chance
        self._next_ns[market] = now_ns + (self._answer_ns << doubled)

    def answered(self, market: int, *, is_good: bool) -> None:
        """A snapshot came."""
        self._unanswered.pop(market, None)
        if is_good:
            self._next_ns.pop(market, None)
            self._bad.pop(market, None)
        else:
            self._bad[market] = self._bad.get(market, 0) + 1

    def forget(self, market: int) -> None:
        """Nothing was asked for there."""
        for known in (self._next_ns, self._unanswered, self._bad):
            known.pop(market, None)

    def clear(self) -> None:
        """A new connection starts anew."""
        self._next_ns.clear()
        self._unanswered.clear()
        self._bad.clear()

    @property
    def is_hopeless(self) -> bool:
        """True once a market was asked for so often without any answer: reconnect."""
        return any(tries > self._tries_max for tries in self._unanswered.values())


class Lasting:
    """What may be so for a moment and must not last: since when each market is in that state."""

    def __init__(self, limit_ns: int) -> None:
        self._limit_ns = limit_ns
        self._since_ns: dict[int, int] = {}

    def overdue(self, holding: Iterable[int], now_ns: int) -> list[int]:
        """Those of the markets that are in the state now, and have been for longer than allowed."""
        since = {market: self._since_ns.get(market, now_ns) for market in holding}
        self._since_ns = since
        return [market for market, at_ns in since.items() if now_ns - at_ns > self._limit_ns]
