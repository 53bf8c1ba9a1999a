"""One connection of a feed, kept alive: its session, its link's watch, its handler, its seat.

The order of things when a link goes: its books are emptied first (a rival that is healthy has the
quote from that moment), then it is opened again after a back-off with jitter. A lane that is sick
while its link still stands says so (`ailment`); its shard opens another before it ends this one.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from feeds.connection import Connection, Refused
from feeds.levels import SEAT
from feeds.params import FeedParams
from feeds.seat import Seat
from feeds.session import Backoff, Event, Session, State
from feeds.trust import LinkWatch
from feeds.update import NEVER_NS, SECOND_NS, Ends, FeedError, Venue
from shm_layout import GAP

Headers = Callable[[str, str], Awaitable[dict[str, str]]]
SUBSCRIBE_NS = 5 * SECOND_NS  # a subscription not acknowledged by then: reconnect
MUTE_NS = 10 * SECOND_NS  # acknowledged, and no book at all: perhaps it was never heard
STEADY_NS = 5 * SECOND_NS  # a session that lived so long starts the next back-off at its base
MESSAGES_BEHIND_MAX = 1_000  # unread ones; beyond it, what we show is history
PAUSE_BYTES = 4_096  # unread of a link that speaks again: no more than at any time
MESSAGE_BYTES = 300  # on the wire: a Kalshi delta has 330, a Polymarket change of one row 400
SLOW_STEPS = 2  # in a row: a burst is gone by the next step
OLD = "near the end of a connection's life"  # the one ailment of a lane that still works
LIFE_SHARE = 100  # of a limited life so much (one in …) is given up, twice for the next seat


class Owner(Protocol):
    """Who a lane belongs to."""

    def opened(self, lane: Lane, now_ns: int) -> None:
        """Its link is up and the subscription under way."""

    def subscribed(self, lane: Lane) -> None:
        """The venue has acknowledged the subscription: from here on changes are heard."""

    def failed(self, errors: list[str]) -> None:
        """It could not connect, and why."""

    async def admitted(self, number: int) -> bool:
        """Wait until it is known whether the venue lets us in at all; False: it does not."""

    def answered(self, *, is_blocked: bool) -> bool:
        """What the venue said to a lane that asked. True if that is news."""


class Lane:
    """One connection. `headers` signs the handshake (method, path) where the venue wants that."""

    def __init__(
        self,
        params: FeedParams,
        seat: Seat,
        number: int,
        clock: Callable[[], int],
        owner: Owner,
        headers: Headers | None,
    ) -> None:
        row = params.row
        assert row.make is not None
        self.seat = seat
        self.session = Session()
        self.venue: Venue = row.make(seat, params)
        self._ends = self.venue if isinstance(self.venue, Ends) else None
        self._params, self._clock, self._owner, self._headers = params, clock, owner, headers
        self._number = number
        self._connection = Connection(params.ws_url, ca_file=params.ca_file, sink=self, clock=clock)
        self._link = LinkWatch(silent_ns=params.link_silent_ns, dead_ns=params.link_dead_ns)
        self._backoff = Backoff(
            base_ns=params.backoff_base_ns,
            max_ns=params.backoff_max_ns,
            seed=(params.seed << 8 | params.feed) << 8 | number,
        )
        place = int(seat.state[SEAT])
        self._life_ns = row.life_ns - row.life_ns // LIFE_SHARE * (1 + place)
        self._opened_ns = self._pinged_ns = 0
        self._frames = self._slow = 0
        self._ended = asyncio.Event()  # for good: another lane has taken over

    # ---- what comes in (the connection's Sink)

    def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One message: to the venue's file, and what it wants to say back to the venue."""
        link, venue = self._link, self.venue
        link.heard_ns = recv_ns
        self._frames += 1
        venue.frame(payload, recv_ns, last)
        if link.is_silent and last:
            self._speaks(recv_ns)
        if venue.outbox:
            self._send()

    def on_alive(self, recv_ns: int, last: bool) -> None:
        """A pong or ping: the link lives. The buffer may end with it."""
        self._link.heard_ns = recv_ns
        if last:
            self.seat.flush()
            if self._link.is_silent:
                self._speaks(recv_ns)

    def _speaks(self, recv_ns: int) -> None:
        """A silent link speaks again: its books are news once nothing of the pause is unread. What
        was read meanwhile over REST counted for nothing."""
        if self._connection.backlog_bytes() <= PAUSE_BYTES:
            self._link.spoke(recv_ns)
            self.seat.silence(False, recv_ns)
            if self.is_heard:
                self._owner.subscribed(self)

    def on_oversize(self) -> None:
        """A message beyond the limit: counted; the session reconnects."""
        self.seat.count("oversize")

    def _send(self) -> None:
        for message in self.venue.outbox:
            self._connection.send(message)
        self.venue.outbox.clear()

    # ---- how it stands

    @property
    def is_over(self) -> bool:
        """True once `main` has returned: its seat is free."""
        return self.session.state is State.STOPPED

    @property
    def is_heard(self) -> bool:
        """True if the venue tells it changes, as far as is known: a silent link may be dead."""
        return self.session.state in (State.SNAPSHOTS, State.LIVE) and not self._link.is_silent

    @property
    def heard_ns(self) -> int:
        """When anything last came in over its link."""
        return self._link.heard_ns

    @property
    def is_live(self) -> bool:
        """True if it has every open market's book and its link is not silent."""
        return self.session.state is State.LIVE and not self._link.is_silent

    def ailment(self, now_ns: int) -> str:
        """Why another should take its place though its link stands; "": nothing is wrong."""
        link, params = self._link, self._params
        if not link.is_up or link.is_dead(now_ns):
            return ""
        if self.venue.must_reconnect:
            return "asking again has not helped"
        if link.is_silent and 2 * (now_ns - link.heard_ns) > (
            params.link_silent_ns + params.link_dead_ns
        ):
            return "silent"
        session = self.session
        is_new = session.state is State.SNAPSHOTS and now_ns - session.since_ns > MUTE_NS
        if is_new and self.seat.is_bare:
            return "accepted, and nothing came"
        if 0 < self._life_ns < now_ns - self._opened_ns:
            return OLD
        return ""

    # ---- every 50 ms

    def step(self, now_ns: int) -> int:
        """Link watch, pings, the session. Returns the frames since the last call."""
        if self._link.is_up:
            self._watch(now_ns)
        if self._link.is_up:
            self._settle(now_ns)
        frames, self._frames = self._frames, 0
        return frames

    def _watch(self, now_ns: int) -> None:
        link = self._link
        if link.fell_silent(now_ns):
            self.seat.count("link_silent")
            self.seat.silence(True, now_ns)
        if link.is_dead(now_ns):
            self._connection.drop()
            return
        if self._ends is not None and self._ends.is_refused:
            self._connection.drop()
            return
        if self._params.row.pings and now_ns - self._pinged_ns >= self._params.ping_ns:
            self._pinged_ns = now_ns
            self._connection.ping()
        self._keep_up(now_ns)
        self.venue.tick(now_ns)
        if self.venue.outbox:
            self._send()

    def _keep_up(self, now_ns: int) -> None:
        """Are we too slow for what comes in? Then nothing shown is trusted until new whole books
        have come through the queue; a venue that informs has none, so its link starts anew."""
        if not self.is_live:
            return
        is_slow = self._connection.backlog_bytes() > MESSAGES_BEHIND_MAX * MESSAGE_BYTES
        self._slow = self._slow + 1 if is_slow else 0
        if self._slow != SLOW_STEPS:
            return
        self.seat.count("behind")
        self.seat.notices.alert("our feed is behind what the venue sends")
        if self._params.row.informs:
            self._connection.drop()
        else:
            self.seat.mark(raised=GAP, now_ns=now_ns)

    def _settle(self, now_ns: int) -> None:
        session, was = self.session, self.session.state
        state = session.settle(
            is_subscribed=self.venue.is_subscribed,
            is_whole=self.seat.waiting() == 0,
            now_ns=now_ns,
        )
        if was is State.SUBSCRIBING and state is not was:
            self._owner.subscribed(self)
        lasted_ns = now_ns - session.since_ns
        if state is State.SUBSCRIBING and lasted_ns > SUBSCRIBE_NS:
            self._connection.drop()
        if state is State.LIVE and lasted_ns > STEADY_NS:
            self._backoff.worked()

    # ---- the coroutine

    def end(self) -> None:
        """Close it for good: `main` returns soon."""
        self._ended.set()
        self._connection.drop()

    def close(self, now_ns: int) -> None:
        """Nothing of ours may be traded on."""
        self.venue.closed(now_ns)

    async def main(self) -> None:
        """Connect and keep connected until ended or cancelled."""
        ended = self._ended
        try:
            while not ended.is_set():
                away_ns = 0
                if not await self._owner.admitted(self._number):
                    await ended.wait()
                    return
                self.session.move(Event.DUE, self._clock())
                try:
                    await self._connection.open(await self._signed())
                except Refused as error:
                    if error.status in self._params.row.blocked_by:
                        await self._blocked(str(error))
                        return
                    self._owner.failed([str(error)])
                except (FeedError, OSError, TimeoutError) as error:
                    self._owner.failed([str(error)])
                else:
                    if not ended.is_set():
                        await self._serve()
                    away_ns = self._away_ns()
                if not ended.is_set():
                    self.session.move(Event.LOST, self._clock())
                    if away_ns == NEVER_NS:
                        await self._blocked(f"closed with {self._connection.close_code}")
                        return
                    self.seat.count("reconnects")
                    await wait(ended, away_ns or self._backoff.delay_ns())
        finally:
            self._connection.drop()
            self.session.move(Event.STOP, self._clock())

    async def _blocked(self, why: str) -> None:
        """The venue refuses this place: said and counted once, and never asked again."""
        if self._owner.answered(is_blocked=True):
            self._owner.failed([f"blocked: {why}"])
            self.seat.count("blocked")
        await self._ended.wait()

    def _away_ns(self) -> int:
        """What the venue's close code means: see `Ends`."""
        return self._ends.ended(self._connection.close_code) if self._ends is not None else 0

    async def _signed(self) -> dict[str, str]:
        if self._headers is None:
            return {}
        return await self._headers("GET", urlsplit(self._params.ws_url).path)

    async def _serve(self) -> None:
        now_ns = self._clock()
        self.session.move(Event.OPENED, now_ns)
        self._link.opened(now_ns)
        self._opened_ns = self._pinged_ns = now_ns
        self._owner.answered(is_blocked=False)
        self.venue.opened(now_ns)
        self._send()
        self._owner.opened(self, now_ns)
        fault = None
        try:
            fault = await self._connection.closed()
        finally:
            self._link.closed()
            self.venue.closed(self._clock())
        if fault is not None:
            self._failed(fault)

    def _failed(self, fault: BaseException) -> None:
        """A frame made our own code raise. Its books are empty by now; the next connection starts
        from nothing, so the frame costs this link and no other."""
        self.seat.count("bad_frames")
        trace = traceback.extract_tb(fault.__traceback__)
        where = f"{Path(trace[-1].filename).name}:{trace[-1].lineno}" if trace else "nowhere"
        told = f"a fault of ours: {type(fault).__name__} in {where}: the link was given up"
        self.seat.notices.alert(told, is_grave=True)
        self._owner.failed("".join(traceback.format_exception(fault)).splitlines())


async def wait(event: asyncio.Event, duration_ns: int) -> None:
    """Until the event or the end of the time."""
    try:
        async with asyncio.timeout(duration_ns / SECOND_NS):
            await event.wait()
    except TimeoutError:
        pass
