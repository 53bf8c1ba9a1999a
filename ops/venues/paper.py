"""The process of the paper venues: accounts, orders, fees and private channels of the simulated
venues, and books that are not their own: those that the engine's feeds see (paper_mirror.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection

from ops.venues.numerals import MS_NS, SECOND_NS
from ops.venues.paper_way import Books, Latencies, Telling, Way
from ops.venues.ports import KalshiPorts, PolymarketPorts
from ops.venues.rest import RestServer
from ops.venues.script import Event, Listing, MarketSpec, PairSpec, Script, SetSpec, Timeline
from ops.venues.serve import Venues
from ops.venues.spec import VenuesSpec

LOOK_NS = 5 * MS_NS  # between looks at the books while no order is handled


@dataclass(frozen=True, slots=True)
class StillScript:
    """A script whose markets, pairs and times are another's, and in which nothing happens."""

    of: Script
    products: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()

    @property
    def markets(self) -> tuple[MarketSpec, ...]:
        return self.of.markets

    @property
    def pairs(self) -> tuple[PairSpec, ...]:
        return self.of.pairs

    @property
    def sets(self) -> tuple[SetSpec, ...]:
        return self.of.sets

    @property
    def timeline(self) -> Timeline:
        return self.of.timeline

    @property
    def digest(self) -> str:
        return self.of.digest

    @property
    def counts(self) -> dict[str, int]:
        return {}

    @property
    def end_epoch_ns(self) -> int | None:
        return None

    def events(self) -> Iterator[Event]:
        """None."""
        return iter(())


class PaperVenues(Venues):
    """Kalshi and Polymarket of a script, without its events."""

    _way: Way | None = None  # not yet, while the venues are built

    def __init__(
        self,
        spec: VenuesSpec,
        conn: Connection,
        *,
        books: Books,
        told: Telling,
        latencies: Latencies,
        depth: int,
    ) -> None:
        spec = replace(spec, script=StillScript(spec.script), exchanges=(), faults=())
        super().__init__(spec, conn)
        way = self._way = Way(
            spec.script.markets, books=books, told=told, latencies=latencies, clock=self._clock,
            apply=self._apply, sleep=self._sleep,
        )  # fmt: skip
        for name, faulty in self._venues.items():
            ports = faulty.venue
            assert isinstance(ports, KalshiPorts | PolymarketPorts), name
            way.take_over(ports.venue, depth)
            for server in ports.servers:
                if isinstance(server, RestServer):
                    server.way = partial(way.go, name)

    def _apply(self, event: Event) -> None:
        super()._apply(event)
        if isinstance(event, Listing):
            assert self._way is not None
            self._way.add(event.market, event.spec)

    def _ring(self) -> None:
        """The books once more, also while nobody trades: a level may go and come back."""
        assert self._way is not None
        self._way.look()
        self._flush()
        self._alarm.set(self._clock.mono_ns() + LOOK_NS)

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        """What an order left to be done later is done with the books of then."""
        way = self._way
        if way is None:
            super()._later(delay_ns, what)
            return
        order = way.hold(delay_ns)
        super()._later(delay_ns, lambda: way.meet(order, what))

    async def _sleep(self, delay_ns: int) -> None:
        due_ns = self._clock.mono_ns() + delay_ns
        while (left_ns := due_ns - self._clock.mono_ns()) > 0:  # timers may be early
            await asyncio.sleep(-(-left_ns // MS_NS) * MS_NS / SECOND_NS)
