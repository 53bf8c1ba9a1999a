"""The engine in one process: feeds, detector and desk as the roles build them, stepped in turn on
one loop. Signer too, between frames.

What differs from the real processes: no doorbell and no hop between cores. At the end of each
received buffer the feed hands control to the detector, which hands it to the desk.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.path_script import RoundsScript
from bench.path_venues import Venues
from engine.detector import Detector
from feeds.feed import Feed, FeedParams
from feeds.lane import Lane
from gateway.policy import GATEWAY_RIGHTS
from gateway.signer import Signer, SignerParams
from gateway.signing import SigningClient
from gateway.throttle import Bucket
from ops import clock, config
from ops.config import Settings
from ops.desk_limits import signed_caps
from ops.gateway_role import build_gateway
from ops.identity import identify, publish
from ops.process import Fd, Heart, RoleSpec, counters_at
from ops.sim import KALSHI_WS, POLYMARKET_WS, RoleParams, VenueAddress
from shm_layout import (
    ACTIVE,
    BODY,
    CHANNEL,
    CONTROL,
    COUNTERS,
    DETECTOR,
    FEED_ROLE,
    GATE,
    GATEWAY,
    LIVE_EPOCH_AT,
    RUN_CLOCK,
    SIGNER,
    VENUES,
    Segment,
    bell_disarm,
    cell,
    word_load,
    word_store,
)

EPOCH = 1
TICK_S = 0.002
STEP_NS = 20 * clock.MS_NS  # of a feed
QUIET_TICKS = 25  # ticks without a new signature: the pool is as full as it gets
PATIENCE_NS = clock.SECOND_NS  # what is held up is measured, not refused
PLENTY_E6 = 900_000_000_000
FEEDS = ("kalshi", "polymarket")


class SteppedLane(Lane):
    """A connection that hands control on at the end of each received buffer."""

    after: Callable[[], None]

    def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One message, and whatever follows from it."""
        super().on_text(payload, recv_ns, last)
        if last:
            self.after()


def settings(script: RoundsScript) -> Settings:
    """The profile `testing` with limits that a thousand orders a minute do not reach. A gap is
    taken once: until the cooldown is over, the books show that it is filled; and that is long
    before the next gap, also when this one came late."""
    found = config.load("testing")
    cooldown_ns = script.period_ns * 2 // 3
    edge = dataclasses.replace(
        found.edge, cooldown_ns=cooldown_ns, signal_age_max_ns=PATIENCE_NS, beat_max_ns=PATIENCE_NS
    )
    limits = dataclasses.replace(
        found.limits, market_max_e6=PLENTY_E6, event_max_e6=PLENTY_E6, venue_max_e6=PLENTY_E6,
        asset_max_e6=PLENTY_E6, total_max_e6=PLENTY_E6, mismatches_max=10_000,
        orders_per_second=1_000, orders_per_minute=60_000,
    )  # fmt: skip
    return dataclasses.replace(found, edge=edge, limits=limits)


class SteppedEngine:
    """Built on a private segment. `run` until told to stop; `ready` once it may trade."""

    def __init__(self, script: RoundsScript, venues: Venues, folder: Path) -> None:
        self._script, self._venues, self._folder = script, venues, folder
        self.segment = Segment.private()
        self._words = self.segment.words
        self._tables()
        self._channel = Segment.private(CHANNEL)
        keys = venues.keys
        self.client = SigningClient(
            self._channel, self.segment, clock=clock.epoch_ns, kalshi_key_id=keys.kalshi_key_id
        )
        told = SignerParams(
            clients=(GATEWAY_RIGHTS,), kalshi_key_file=str(keys.kalshi_key_file),
            kalshi_key_id=keys.kalshi_key_id, polymarket_key_file=str(keys.polymarket_key_file),
            hide_memory=False, caps=signed_caps(settings(script)),
        )  # fmt: skip
        self._signer = Signer(
            self.segment, [self._channel], told, EPOCH, clock.epoch_ns, clock.mono_ns
        )
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.detector = Detector(self.segment, EPOCH, gateway_eventfd=self._eventfd)
        self.desk = build_gateway(self._spec(), self.segment, self.client)
        for line in self.desk.lines.values():  # what the venue allows is no part of the bench
            line.bucket = Bucket(rate=10**6, burst=10**6, reserve=0)
        self._feeds = [self._feed(name) for name in FEEDS]
        self._bell = self.segment.at("bells", GATEWAY)
        self._hearts = [Heart(self.segment, FEED_ROLE + VENUES.index(name)) for name in FEEDS]
        self._stepped_ns = self._signed = self._quiet = 0
        self.buffers = 0  # received, after each of which detector and desk had their turn
        self.each_tick: Callable[[int], None] = lambda _: None

    def _tables(self) -> None:
        """What the supervisor writes: identities, live epochs, trading state, a clock that
        stands."""
        shown = dataclasses.replace(self._script, markets_shown=3)
        publish(self.segment, identify(shown, settings(shown)))
        for role in (DETECTOR, GATEWAY, SIGNER, *(FEED_ROLE + VENUES.index(n) for n in FEEDS)):
            word_store(self._words, LIVE_EPOCH_AT + role, EPOCH)
        state = self.segment.at("control") + cell(CONTROL, "trading_state")
        word_store(self._words, state, ACTIVE)
        self.start_clock(0)

    def start_clock(self, mono_ns: int) -> None:
        """Run time passes from this stamp on; 0: it stands."""
        body = np.zeros(BODY, np.int64)
        row = body.view(RUN_CLOCK)[0]
        row["begin_epoch_ns"], row["mono_base_ns"] = self._script.begin_epoch_ns, mono_ns
        row["speed_e6"] = 1_000_000
        self.segment.write("run_clock", 0, body)

    def _spec(self) -> RoleSpec:
        venues = self._venues
        addresses = {name: self._address(name) for name in venues.ports}
        params = RoleParams(
            mode="sim",
            settings=settings(self._script),
            addresses=addresses,
            orders=addresses,
            channels={}, ca_file=str(venues.tls.ca), keys=venues.keys, products={},
            journal=str(self._folder / "journal"),
        )  # fmt: skip
        return RoleSpec(
            name="gateway", role=GATEWAY, epoch=EPOCH, segment="", run_id=0, log="",
            supervisor_pid=os.getpid(), fds={"gateway": Fd(self._eventfd)}, params=params,
        )  # fmt: skip

    def _address(self, name: str) -> VenueAddress:
        ports = self._venues.ports[name]
        return VenueAddress(rest=ports["rest"], ws=ports["ws"])

    def _feed(self, name: str) -> Feed:
        address = self._address(name)
        path = KALSHI_WS if name == "kalshi" else f"{POLYMARKET_WS}/market"
        told = FeedParams(
            venue=name, feed=VENUES.index(name), ws_url=address.ws_url(path),
            rest_url=address.rest_url, ca_file=self._venues.tls.ca,
        )  # fmt: skip
        headers = self.client.headers if name == "kalshi" else None
        return Feed(self.segment, told, EPOCH, clock.mono_ns, headers, self._lane)

    def _lane(self, *told: Any) -> SteppedLane:
        lane = SteppedLane(*told)
        lane.after = self._after_buffer
        return lane

    def _after_buffer(self) -> None:
        self.buffers += 1
        self._turn()

    def _turn(self) -> None:
        """The turn of the whole path: detector, then desk."""
        self.detector.step(clock.mono_ns())
        self.desk.step(clock.mono_ns())

    def _tick(self) -> None:
        """Between frames: signatures, heartbeats, timers, whatever the bench reads."""
        now_ns = clock.mono_ns()
        self._signer.step(now_ns)
        for heart in self._hearts:
            heart.beat(now_ns)
        if now_ns - self._stepped_ns >= STEP_NS:
            self._stepped_ns = now_ns
            for feed in self._feeds:
                feed.step(now_ns)
        self._turn()
        bell_disarm(self._words, self._bell)  # nobody waits on it here: no wake-up call
        self._watch_signatures()
        self.each_tick(now_ns)

    def _watch_signatures(self) -> None:
        place = COUNTERS["signer"].index("orders")
        signed = int(word_load(self._words, counters_at(self.segment, SIGNER) + place))
        self._quiet = self._quiet + 1 if signed == self._signed and signed else 0
        self._signed = signed

    @property
    def is_ready(self) -> bool:
        """Every quote trusted, the gate open, pool and headers stocked, connections warm."""
        gate = word_load(self._words, self.segment.at("gate") + cell(GATE, "state"))
        quotes = [self.segment.read("quotes", number) for number in range(3)]
        trusted = all(row is not None and row["trust"] == 0 for row in quotes)
        lines = self.desk.lines.values()
        linked = all(
            line.pool.free_count >= 2 and line.channel is not None and line.channel.is_open
            for line in lines
        )
        fresh = self.client.fresh(clock.mono_ns())
        return trusted and linked and fresh and gate == ACTIVE and self._quiet >= QUIET_TICKS

    async def run(self, stop: asyncio.Event) -> None:
        """Feeds, desk and the ticks between, until `stop`."""
        tasks = [asyncio.create_task(feed.main(stop)) for feed in self._feeds]
        tasks.append(asyncio.create_task(self.desk.main(stop)))
        try:
            while not stop.is_set():
                for task in tasks:
                    if task.done():
                        task.result()
                        raise AssertionError("a role of the engine ended by itself")
                self._tick()
                await asyncio.sleep(TICK_S)
        finally:
            stop.set()
            while not all(task.done() for task in tasks):
                self._signer.step(clock.mono_ns())  # the desk asks the venues a last time
                self.client.pump(clock.mono_ns())
                await asyncio.sleep(TICK_S)
            self._close()
        for task in tasks:
            task.result()

    def _close(self) -> None:
        for feed in self._feeds:
            feed.close()
        self.detector.close()
        self._signer.close()
        os.close(self._eventfd)
