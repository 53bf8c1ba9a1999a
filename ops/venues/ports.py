"""A venue with its sockets: one HTTP port and one WebSocket port each."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ops.venues import told
from ops.venues.faults_events import Server
from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_rest import KalshiRest
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_rest import AroundRest, PolymarketRest
from ops.venues.rest import RestServer
from ops.venues.script import Event, MarketSpec
from ops.venues.session import Later, RunClock, VenueLog
from ops.venues.spec import VenuesSpec

UNHANDLED = "fault_"  # outcome of an order in the log that a fault kept from the desk


class KalshiPorts:
    """The simulated Kalshi on its two ports. The server pings as the venue does."""

    def __init__(
        self,
        spec: VenuesSpec,
        markets: dict[int, MarketSpec],
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        self.venue = Kalshi(spec, markets, clock=clock, log=log, on_subscribed=on_subscribed)
        self._later = later
        self._ping_ns = spec.kalshi_ping_ns
        self._rest = _rest_server(
            KalshiRest(
                self.venue,
                tier=spec.kalshi_tier,
                tokens_per_s=spec.kalshi_tokens_per_s,
                has_short_429=spec.kalshi_short_429,
            ),
            self.venue,
            spec.reply_delay_ns,
        )

    @property
    def servers(self) -> Sequence[Server]:
        return (self.venue.server, self._rest)

    def again(self, market: int) -> None:
        """A whole book that nobody asked for."""
        self.venue.again(market)

    def account(self) -> dict[str, Any]:
        """What it says we did and have."""
        return told.kalshi(self.venue.account)

    def apply(self, event: Event) -> None:
        self.venue.apply(event)

    def flush(self) -> None:
        self.venue.flush()

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        rest, ws = await asyncio.gather(
            self._rest.listen(context), self.venue.server.listen(context)
        )
        self._later(self._ping_ns, self._ping)
        return {"rest": rest, "ws": ws}

    def _ping(self) -> None:
        self._later(self._ping_ns, self._ping)
        for link in self.venue.server.open_links():
            link.ping(b"heartbeat")

    async def close(self) -> None:
        self.venue.server.close()
        await self._rest.close()


class PolymarketPorts:
    """The simulated Polymarket on three ports: "rest" is the CLOB and, where no path says
    otherwise, every other host; "gamma" all but the CLOB; "ws" both channels.
    """

    def __init__(
        self,
        spec: VenuesSpec,
        markets: dict[int, MarketSpec],
        *,
        clock: RunClock,
        log: VenueLog,
        later: Later,
        on_subscribed: Callable[[], None],
    ) -> None:
        self.venue = Polymarket(
            spec, markets, clock=clock, log=log, later=later, on_subscribed=on_subscribed
        )
        self._has_plain_ws = spec.polymarket_plain_ws
        self._rest = _rest_server(
            PolymarketRest(
                self.venue,
                orders_per_s=spec.polymarket_orders_per_s,
                heartbeat_ns=spec.polymarket_heartbeat_ns,
            ),
            self.venue,
            spec.reply_delay_ns,
        )
        self._around = _rest_server(AroundRest(self.venue), self.venue, 0)

    @property
    def servers(self) -> Sequence[Server]:
        return (self.venue.server, self._rest)

    def again(self, market: int) -> None:
        """A whole book that nobody asked for."""
        self.venue.again(market)

    def account(self) -> dict[str, Any]:
        """What it says the session's own trader did and has."""
        return told.polymarket(self.venue.account)

    def apply(self, event: Event) -> None:
        self.venue.apply(event)

    def flush(self) -> None:
        self.venue.flush()

    async def listen(self, context: ssl.SSLContext) -> dict[str, int]:
        rest, gamma, ws = await asyncio.gather(
            self._rest.listen(context),
            self._around.listen(context),
            self.venue.server.listen(None if self._has_plain_ws else context),
        )
        return {"rest": rest, "gamma": gamma, "ws": ws}

    async def close(self) -> None:
        self.venue.server.close()
        await self._rest.close()
        await self._around.close()


def _rest_server(
    routes: KalshiRest | PolymarketRest | AroundRest,
    venue: Kalshi | Polymarket,
    reply_delay_ns: int,
) -> RestServer:
    clock, log, name = venue.clock.mono_ns, venue.log, venue.server.venue

    def unhandled(key: str, read_ns: int, kind: str) -> None:
        log.order(name, key, read_ns, clock(), f"{UNHANDLED}{kind}")

    more: dict[str, Any] = {}
    if isinstance(routes, KalshiRest | PolymarketRest):
        more = {"key_of": routes.key_of, "on_unhandled": unhandled}
    return RestServer(
        routes=routes.routes,
        not_found=routes.not_found,
        **more,
        after=venue.flush,
        clock=clock,
        on_answer=partial(log.request, name),
        reply_delay_ns=reply_delay_ns,
    )
