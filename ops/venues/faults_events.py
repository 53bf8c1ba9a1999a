"""Faults in what a venue is told to do: bursts, crossed books, books sent twice.

These are true: the venue's own book is crossed, and its frames say so.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

from ops.venues.faults import EVENT, Fault
from ops.venues.faults_inject import Injector
from ops.venues.numerals import MS_NS, ONE_E6
from ops.venues.script import (
    ASK,
    BID,
    BookSet,
    Event,
    ExchangeTrade,
    IndexTick,
    LevelSet,
    SpotTrade,
)
from ops.venues.session import Later, RunClock

CENT_E6 = 10_000
LOT_E6 = 10_000
_BURSTS = (LevelSet, SpotTrade, ExchangeTrade, IndexTick)


class Server(Protocol):
    """One port of a venue."""

    faults: Injector | None


class Venue(Protocol):
    """What every simulated venue offers to its process."""

    @property
    def servers(self) -> Sequence[Server]:
        """Its ports."""
        ...

    def apply(self, event: Event) -> None:
        """One event of the script."""

    def flush(self) -> None:
        """Write every queued frame."""

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        """Bind; the ports by name."""
        ...

    async def close(self) -> None:
        """Drop everything."""


@runtime_checkable
class CanShut(Protocol):
    """A port that can be gone for a while."""

    def shut(self, is_shut: bool = True) -> None: ...


@runtime_checkable
class HasBooks(Protocol):
    """A venue that can send a whole book once more, unasked."""

    def again(self, market: int) -> None: ...


class Faulty:
    """A venue whose sockets, REST and script go through an injector."""

    def __init__(self, venue: Venue, faults: Injector, *, clock: RunClock, later: Later) -> None:
        self.venue = venue
        self._clock = clock
        self._later = later
        self._stands: dict[int, LevelSet] = {}  # what ends a crossed book, by market
        self.faults = faults
        for server in venue.servers:
            server.faults = faults

    def flush(self) -> None:
        self.venue.flush()

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        return await self.venue.listen(context)

    async def close(self) -> None:
        await self.venue.close()

    def apply(self, event: Event) -> None:
        """One event, and what the faults make of it."""
        if self.faults.is_idle and not self._stands:
            self.venue.apply(event)
            return
        market = getattr(event, "market", None)
        if market in self._stands and isinstance(event, LevelSet | BookSet):
            ending = self._stands.pop(event.market)
            self.venue.apply(replace(ending, at_epoch_ns=event.at_epoch_ns))
        self.venue.apply(event)
        if not self._clock.is_running:  # the books that are there before the start
            return
        for live in self.faults.of(EVENT):
            fault = live.fault
            if fault.market and (market is None or fault.market not in self.faults.names[market]):
                continue
            deed = self._deed(fault, event)
            what = type(event).__name__.encode()
            if deed is not None and self.faults.take(live, connection=0, what=what):
                deed()
                return

    def _deed(self, fault: Fault, event: Event) -> Callable[[], None] | None:
        """How to do this fault after this event, None: it cannot be done."""
        if fault.kind == "second_snapshot":
            venue = self.venue
            if isinstance(event, LevelSet | BookSet) and isinstance(venue, HasBooks):
                return lambda: venue.again(event.market)
        elif fault.kind == "crossed" and isinstance(event, LevelSet):
            crossing = _crossing(event)
            return None if crossing is None else lambda: self._cross(crossing, fault)
        elif fault.kind == "shut":
            return lambda: self._shut((fault.delay_ms or 0) * MS_NS)
        elif fault.kind == "burst" and isinstance(event, _BURSTS):
            return lambda: self._burst(event, fault.times)
        return None

    def _shut(self, delay_ns: int) -> None:
        """Its ports of REST lose every connection and take none for a while."""
        for server in self.venue.servers:
            if isinstance(server, CanShut):
                server.shut()
                self._later(delay_ns, partial(server.shut, is_shut=False))

    def _burst(self, event: Event, times: int) -> None:
        """`times` more events: a level goes up lot by lot and back."""
        for nth in range(1, times):
            if isinstance(event, LevelSet):
                self.venue.apply(replace(event, size_e6=event.size_e6 + nth * LOT_E6))
            else:
                self.venue.apply(event)
        self.venue.apply(event)

    def _cross(self, crossing: LevelSet, fault: Fault) -> None:
        """The cross ends with the market's next event, or when its time is over."""
        market, ending = crossing.market, replace(crossing, size_e6=0)
        self.venue.apply(crossing)
        self._stands[market] = ending

        def end() -> None:
            if self._stands.get(market) is ending:
                del self._stands[market]
                run_ns = self._clock.run_ns() // MS_NS * MS_NS
                at_ns = max(run_ns, ending.at_epoch_ns)
                self.venue.apply(replace(ending, at_epoch_ns=at_ns))

        if fault.for_ms is not None:
            self._later(fault.for_ms * MS_NS, end)


def _crossing(event: LevelSet) -> LevelSet | None:
    """A level of the other side, a cent beyond the one that was just set."""
    side, step_e6 = (ASK, -CENT_E6) if event.side == BID else (BID, CENT_E6)
    price_e6 = event.price_e6 + step_e6
    if event.size_e6 == 0 or not 0 < price_e6 < ONE_E6:
        return None
    return LevelSet(event.at_epoch_ns, event.market, side, price_e6, ONE_E6)
