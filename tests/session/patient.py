# ruff: noqa: E402, I001  (the kernel cache comes before numba)
"""`python -m tests.session.patient` is `arb-supervisor` at a Kalshi that waits for who listens.

A recording goes on while a feed reconnects, and how much it then misses is a matter of how fast the
machine is. Here nothing is played while a connection is missing, at the start and after each cut,
and the end is told once everybody has read all of it (a pong comes after what was sent before).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any, cast

from ops import cache

cache.use()

import dataclasses

from websockets.frames import Opcode

from feeds.kalshi import CHANNELS
from ops import clock
from ops.config import load
from ops.process import RoleSpec
from ops.session import Plan
from ops.sim import SimSession
from ops.venues.kalshi_subscription import MARKET_CHANNELS
from ops.venues.ports import KalshiPorts
from ops.venues.script import ConnectionCut, Event
from ops.venues.serve import Venues
from ops.venues.spec import VenuesSpec
from ops.venues.wire import Link
from shm_layout import Segment

LANES = load("testing").feeds.lanes  # connections that race
SUBSCRIPTIONS = LANES * len(MARKET_CHANNELS & {*CHANNELS})  # each connection asks for each channel
LOOK_NS = 5 * clock.MS_NS
LAST = b"last"  # what the ping behind all frames says
BUILD = "tests.session.patient:build"


class PatientVenues(Venues):
    """They play while every connection is there."""

    _came = 0  # subscriptions to market channels, of all lives

    def __init__(self, spec: VenuesSpec, conn: Connection) -> None:
        super().__init__(spec, conn)
        self._wanted = SUBSCRIPTIONS
        self._end_sent = True  # by `_tell_end` alone
        self._listeners: set[Link] = set()  # of books, also when their market is over
        self._unread: set[Link] = set()
        self._is_asked = False

    def _note(self, venue: str) -> Callable[[], None]:
        told = super()._note(venue)

        def subscribed() -> None:
            self._came += venue == "kalshi"
            told()

        return subscribed

    def _apply(self, event: Event) -> None:
        super()._apply(event)
        if isinstance(event, ConnectionCut) and event.venue == "kalshi":
            self._wanted += SUBSCRIPTIONS
            self._events = chain([*self._ahead], self._events)
            self._ahead.clear()  # nothing more in this turn

    def _ring(self) -> None:
        if self._came < self._wanted:
            self._alarm.set(clock.mono_ns() + LOOK_NS)
            return
        ports = cast(KalshiPorts, self._venues["kalshi"].venue)
        self._listeners |= {sub.link for sub in ports.venue.hub._subs["ticker"]}
        super()._ring()
        if self._ahead:
            return
        if self._came < self._wanted:
            self._alarm.set(clock.mono_ns() + LOOK_NS)
        elif not self._is_asked:
            self._is_asked = True
            self._ask()

    def _ask(self) -> None:
        """A ping behind the last frame of each connection."""
        self._unread = {link for link in self._listeners if link.is_open}
        assert self._unread, "nobody listens"
        for link in [*self._unread]:
            link.on_control = partial(self._read, link)
            link.ping(LAST)

    def _read(self, link: Link, opcode: Opcode, payload: bytes) -> None:
        if opcode is Opcode.PONG and payload == LAST:
            self._unread.discard(link)
            if not self._unread:
                self._conn.send(("end",))


class PatientSession(SimSession):
    """The simulated session with its venues built here."""

    @property
    def venues(self) -> Plan:
        """The same process with patience."""
        return dataclasses.replace(super().venues, build=BUILD)


def build(spec: RoleSpec, segment: Segment) -> Any:
    """Of the venues' process alone."""
    from ops import roles

    assert spec.conn is not None
    return roles.VenuesRole(spec.conn, roles._telling(spec.params, spec.log), PatientVenues)


if __name__ == "__main__":
    from ops import sim
    from ops.supervisor_cli import main

    sim.SimSession = PatientSession  # type: ignore[misc]
    sys.exit(main())
