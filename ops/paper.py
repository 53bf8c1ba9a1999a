"""The mode `paper`: market data as they come, orders to venues on this machine that match them
against what our own feeds show (ops/venues/paper.py), and tell the engine what they took of it.

Everything between the two is what trades live: detector, desk, pool, signer and journal. Keys are
made for the run, as in the mode `sim`, and nothing here knows where a real venue takes orders.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from ops import clock
from ops.session import Plan
from ops.sim import BUILD, SimSession, VenueAddress, VenuesParams
from shm_layout import LEVELS, PAPER, LayoutError

if TYPE_CHECKING:
    from ops.venues.serve import Maker
    from shm_layout import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperParams:
    """What the process of the paper venues is told beside what all venues are."""

    venues: VenuesParams
    latencies_ns: Mapping[str, tuple[int, ...]]  # measured round trips by venue
    beat_max_ns: int
    seed: int


class PaperSession(SimSession):
    """Market data of the simulated venues, seeded or recorded, and paper orders."""

    mode = "paper"

    @property
    def early(self) -> tuple[Plan, ...]:
        """Market data first; orders go to the last one."""
        return (self.venues, self.paper)

    @property
    def venues(self) -> Plan:
        """Where market data come from. Our account there is empty: nothing can be traded."""
        spec = replace(self.spec(kalshi_e6=0, polymarket_e6=0), tells_listings=True)
        params = VenuesParams(spec=spec, journal="")
        return Plan(
            name="venues", kind="venues", role=super().venues.role, build=BUILD, params=params
        )

    @property
    def paper(self) -> Plan:
        """Where orders go."""
        settings = self._request.settings
        told = settings.paper
        spec = self.spec(kalshi_e6=told.cash_kalshi_e6, polymarket_e6=told.cash_polymarket_e6)
        params = PaperParams(
            venues=VenuesParams(spec=spec, journal=str(self._journal)),
            latencies_ns={
                "kalshi": told.latency_kalshi_ns,
                "polymarket": told.latency_polymarket_ns,
            },
            beat_max_ns=settings.edge.beat_max_ns,
            seed=self._request.seed,
        )
        return Plan(name="paper", kind="paper", role=PAPER, build=BUILD, params=params)


def maker(params: PaperParams, segment: Segment) -> Maker:
    """What ops/venues/serve.py is to run, on the books of a segment."""
    from ops.venues.paper import PaperVenues
    from ops.venues.paper_mirror import Mirror
    from ops.venues.paper_told import Told
    from ops.venues.paper_way import Latencies

    mirror = Mirror(
        segment,
        params.venues.spec.script.markets,
        clock=clock.mono_ns,
        beat_max_ns=params.beat_max_ns,
    )
    latencies = Latencies(params.latencies_ns, params.seed)
    told = Told(segment, mirror.place)
    return partial(PaperVenues, books=mirror, told=told, latencies=latencies, depth=LEVELS)


def stay_here(mode: str, orders: Mapping[str, VenueAddress]) -> None:
    """Orders of a run whose money is not real never leave this machine: asked by every process that
    sends any, before it has a socket. Raises LayoutError, as for whatever else makes a process
    refuse to start.
    """
    if mode == "live":
        return
    for venue, address in orders.items():
        try:
            found = socket.getaddrinfo(address.host, address.rest, type=socket.SOCK_STREAM)
        except OSError as error:
            text = f"orders of {venue}: {address.host} cannot be looked up: {error}"
            raise LayoutError(text) from error
        strangers = {str(told[0]) for *_, told in found}
        strangers = {text for text in strangers if not ipaddress.ip_address(text).is_loopback}
        if strangers:
            where = f"{address.host} ({', '.join(sorted(strangers))})"
            raise LayoutError(
                f"orders of {venue}: found {where} in mode {mode}, wanted this machine itself"
            )
