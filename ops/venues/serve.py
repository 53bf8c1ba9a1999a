"""The process of the simulated venues: one event loop, real sockets, the script paced on it.

Talks to its parent over a pipe, in plain tuples. To the parent: ("ready", ports) once all ports are
bound; ("subscribed", venue) when market data of a venue first has a subscriber; ("end",) when the
script has no more events; ("listed", event) of a new market, if that is to be told; ("log", rows,
counts) as the answer to stop, after ("requests", rows) where every request is kept. From the
parent: ("start", mono_ns), ("event", event) to be applied now, ("stop",). A parent that is gone
means stop.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from ops.venues import told
from ops.venues.binance_rest import BinancePorts
from ops.venues.coinbase import Coinbase
from ops.venues.coingecko import CoinGecko
from ops.venues.exchanges import spread
from ops.venues.faults import Fault
from ops.venues.faults_events import Faulty, Venue
from ops.venues.faults_inject import Injector
from ops.venues.kraken import Kraken
from ops.venues.numerals import SECOND_NS
from ops.venues.pacing import Alarm
from ops.venues.polybolt import Polybolt
from ops.venues.ports import KalshiPorts, PolymarketPorts
from ops.venues.script import (
    ConnectionCut,
    Event,
    ExchangeTrade,
    IndexTick,
    Listing,
    SpotTrade,
)
from ops.venues.session import RunClock, VenueLog
from ops.venues.signatures import warm_up
from ops.venues.spec import Accounts, VenuesSpec

EXCHANGES: Mapping[str, type[BinancePorts] | type[Kraken] | type[CoinGecko]] = {
    "binance": BinancePorts,
    "kraken": Kraken,
    "coingecko": CoinGecko,
}
RELAYS = ("kalshi", "polybolt")  # of indices
EVENTS_AHEAD = 1_000  # and so the most that one wake-up applies
TURN_MAX_NS = 5_000_000  # of one wake-up, for a venue that is behind

__all__ = ["Accounts", "VenuesSpec", "run"]


class Venues:
    """All venues of one script, and the script itself."""

    def __init__(self, spec: VenuesSpec, conn: Connection) -> None:
        script = spec.script
        spec = self._spec = replace(spec, accounts=spec.accounts.whole())
        self._conn = conn
        self._clock = RunClock(script.timeline, mono=time.monotonic_ns, wall=time.time_ns)
        self._log = VenueLog(keeps_requests=spec.keeps_requests)
        self._events = spread(script.events(), spec.exchanges)
        self._ahead: deque[Event] = deque()
        self._subscribed: set[str] = set()
        self._end_sent = False
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._alarm = Alarm(self._loop, self._ring, self._clock.mono_ns)
        self._venues = self._build()
        self._relays = [self._venues[name] for name in RELAYS if name in self._venues]
        self._by_market = [self._venues[market.venue] for market in script.markets]

    def _build(self) -> dict[str, Faulty]:
        spec, script = self._spec, self._spec.script
        clock, log = self._clock, self._log
        venues: dict[str, Venue] = {}
        listed: dict[str, type[KalshiPorts] | type[PolymarketPorts]] = {
            "kalshi": KalshiPorts,
            "polymarket": PolymarketPorts,
        }
        for name, ports in listed.items():
            markets = {
                index: market for index, market in enumerate(script.markets) if market.venue == name
            }
            if markets:
                venues[name] = ports(
                    spec,
                    markets,
                    clock=clock,
                    log=log,
                    later=self._later,
                    on_subscribed=self._note(name),
                )
        if script.products:
            venues["coinbase"] = Coinbase(
                script.products,
                clock=clock,
                log=log,
                later=self._later,
                on_subscribed=self._note("coinbase"),
                subscribe_ns=spec.coinbase_subscribe_ns,
            )
        for exchange in spec.exchanges:
            name = exchange.venue
            venues[name] = EXCHANGES[name](
                spec,
                exchange,
                clock=clock,
                log=log,
                later=self._later,
                on_subscribed=self._note(name),
            )
        if any(name.islower() for name in script.indices):
            venues["polybolt"] = Polybolt(
                spec,
                clock=clock,
                log=log,
                later=self._later,
                on_subscribed=self._note("polybolt"),
            )
        for name in venues:
            log.open(name)
        return {name: self._faulty(name, venue) for name, venue in venues.items()}

    def _faulty(self, name: str, venue: Venue) -> Faulty:
        spec, clock = self._spec, self._clock
        faults = Injector(
            name,
            spec.faults,
            clock=clock,
            log=self._log,
            later=self._later,
            markets=spec.script.markets,
            seed=spec.faults_seed,
        )
        return Faulty(venue, faults, clock=clock, later=self._later)

    # ---- called by the venues

    def _note(self, venue: str) -> Callable[[], None]:
        def subscribed() -> None:
            if venue not in self._subscribed:
                self._subscribed.add(venue)
                self._conn.send(("subscribed", venue))

        return subscribed

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        """Run `what` after a machine delay, and send what it queued."""

        def due() -> None:
            what()
            self._flush()

        self._loop.call_later(delay_ns / SECOND_NS, due)

    # ---- the script

    def _apply(self, event: Event) -> None:
        if isinstance(event, IndexTick):
            for relay in self._relays:
                relay.apply(event)
            return
        if isinstance(event, Listing):
            assert event.market == len(self._by_market), event
            self._by_market.append(self._venues[event.spec.venue])
            for faulty in self._venues.values():
                faulty.faults.listed(event.spec)
            if self._spec.tells_listings:
                self._conn.send(("listed", event))
        if isinstance(event, SpotTrade):
            venue = self._venues.get("coinbase")
        elif isinstance(event, ConnectionCut | ExchangeTrade):
            venue = self._venues.get(event.venue)
        else:
            venue = self._by_market[event.market]
        if venue:
            venue.apply(event)

    def _flush(self) -> None:
        for venue in self._venues.values():
            venue.flush()

    def _look_ahead(self) -> None:
        """Fetch the events to come while nothing is due: making them takes time too."""
        self._ahead.extend(islice(self._events, EVENTS_AHEAD - len(self._ahead)))

    def _begin(self) -> None:
        """Apply what holds at the first instant, so that who connects before the start sees it."""
        begin_ns = self._spec.script.timeline.begin_epoch_ns
        self._look_ahead()
        while self._ahead and self._ahead[0].at_epoch_ns <= begin_ns:
            self._apply(self._ahead.popleft())
            self._look_ahead()
        self._flush()

    def _ring(self) -> None:
        """Apply the events that are due, then one write a connection, then sleep until the next.
        Who is behind still serves its sockets between two turns."""
        mono_ns, ahead = self._clock.mono_ns, self._ahead
        now_ns = mono_ns()
        while ahead and self._clock.due_ns(ahead[0].at_epoch_ns) <= now_ns:
            self._apply(ahead.popleft())
            if mono_ns() - now_ns > TURN_MAX_NS:
                break
        self._flush()
        self._look_ahead()
        if ahead:
            self._alarm.set(self._clock.due_ns(ahead[0].at_epoch_ns))
        elif not self._end_sent:
            self._end_sent = True
            self._conn.send(("end",))

    # ---- the parent

    def _hear(self) -> None:
        try:
            while self._conn.poll():
                message = self._conn.recv()
                if message[0] == "start" and not self._clock.is_running:
                    self._clock.start(message[1])
                    self._alarm.set(message[1])
                elif message[0] == "fault":
                    self._fault(message[1])
                elif message[0] == "faults":
                    self._conn.send(("faults", self._log.faults))
                elif message[0] == "event":
                    self._apply(message[1])
                elif message[0] == "stop":
                    self._tell_log()
                    self._stopped.set()
                    return
        except (EOFError, OSError):
            self._loop.remove_reader(self._conn.fileno())
            self._stopped.set()

    def _fault(self, told: Fault | str) -> None:
        if isinstance(told, Fault):
            self._venues[told.venue].faults.arm(told)
            return
        for venue in self._venues.values():
            venue.faults.call(told)

    def _tell_log(self) -> None:
        """The answer to stop. Watched by the loop, the pipe does not block; a long log must."""
        self._loop.remove_reader(self._conn.fileno())
        os.set_blocking(self._conn.fileno(), True)
        counts = {name: dict(found) for name, found in self._log.counts.items()}
        if self._log.keeps_requests:
            self._conn.send(("requests", self._log.requests))
        for path in map(Path, self._spec.told_files):
            if path.parent.is_dir():
                told.write(path, self._log, self._accounts())
        self._conn.send(("log", self._log.rows, counts))

    def _accounts(self) -> dict[str, dict[str, Any]]:
        """What each venue that trades says of our account."""
        ports = {name: faulty.venue for name, faulty in self._venues.items()}
        return {
            name: venue.account()
            for name, venue in ports.items()
            if isinstance(venue, told.HasAccount)
        }

    async def serve(self) -> None:
        """Bind, say so, and run until told to stop."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._spec.tls_cert, self._spec.tls_key)
        warm_up()
        self._begin()
        ports = {name: await venue.listen(context) for name, venue in self._venues.items()}
        self._loop.add_reader(self._conn.fileno(), self._hear)
        gc.collect()
        gc.freeze()  # the script lives to the end: do not walk it again
        self._conn.send(("ready", ports))
        await self._stopped.wait()
        self._loop.remove_reader(self._conn.fileno())
        self._alarm.close()
        for venue in self._venues.values():
            await venue.close()


Maker = Callable[[VenuesSpec, Connection], Venues]


async def _serve(make: Callable[[], Venues]) -> None:
    await make().serve()


def run(conn: Connection, spec: VenuesSpec, make: Maker = Venues) -> None:
    """Serve the venues of `spec` until the parent says stop or is gone. `make`: which kind of them.

    Blocks; makes its own loop. A Ctrl-C is the parent's to answer.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        uvloop.run(_serve(partial(make, spec, conn)))
    except (BrokenPipeError, ConnectionResetError):
        return  # the parent is gone: nobody is left to tell
