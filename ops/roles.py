"""Builds each role of the engine from what its process was told: the only place that knows all
rooms at once.

`preload` imports every room in the nursery, so that a forked child starts in milliseconds; nothing
here runs at import.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops import clock
from ops.alerts import tell
from ops.console import err
from ops.process import RoleSpec
from shm_layout import CHANNEL, GATEWAY, Segment, run_epoch_ns

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from feeds.feed import Feed
    from gateway.signing import SigningClient
    from ops.sim import RoleParams, VenuesParams
    from ops.venues.serve import Maker
    from ops.venues.spec import VenuesSpec

ROOMS: tuple[str, ...] = (
    "engine.detector", "engine.fees", "engine.sizes", "engine.unwind", "feeds.feed",
    "gateway.canceller", "ops.gateway_role", "ops.model_role", "gateway.signer", "ops.sim",
    "ops.paper",
)  # fmt: skip
VENUES_TOLD = "venues.json"  # beside the log: what the simulated venues say of the run
STEP_S = 0.02  # of a feed: it wants one at least every 50 ms
PROPOSE_S = 5.0  # the supervisor answers within a turn


def preload() -> None:
    """Import what any role needs."""
    for name in ROOMS:
        importlib.import_module(name)


def build(spec: RoleSpec, segment: Segment) -> Any:
    """The role of a spec: a StepRole, LoopRole or CallRole of ops/process.py."""
    return BUILDERS[spec.name.split()[0]](spec, segment)


class Spinning:
    """A role that waits inside a kernel: for ever on its own core, else a short spin, then its
    doorbell.
    """

    def __init__(self, role: Any, spin_ns: int, block_ns: int) -> None:
        self.step: Callable[[int], int] = role.step
        self.idle: Callable[[], Any] = partial(role.wait, spin_ns, block_ns)
        self.close: Callable[[], None] = role.close


def _detector(spec: RoleSpec, segment: Segment) -> Spinning:
    from engine.detector import Detector

    params: RoleParams = spec.params
    detector = Detector(segment, spec.epoch, gateway_eventfd=spec.fds["gateway"].fd)
    if spec.is_alone:
        return Spinning(detector, clock.MS_NS, 0)
    waits = params.settings.processes
    return Spinning(detector, waits.spin_ns, waits.block_ns)


def _signer(spec: RoleSpec, segment: Segment) -> Any:
    from gateway.policy import CANCELLER_RIGHTS, FEED_RIGHTS, GATEWAY_RIGHTS
    from gateway.signer import Signer, SignerParams
    from ops.desk_limits import signed_caps

    params: RoleParams = spec.params
    bell_fd = spec.fds["gateway"].fd
    rights = {
        "gateway": dataclasses.replace(GATEWAY_RIGHTS, bell_role=GATEWAY, bell_fd=bell_fd),
        "canceller": CANCELLER_RIGHTS,
    }
    told = SignerParams(
        clients=tuple(rights.get(client, FEED_RIGHTS) for client in params.channels),
        kalshi_key_file=str(params.keys.kalshi_key_file),
        kalshi_key_id=params.keys.kalshi_key_id,
        polymarket_key_file=str(params.keys.polymarket_key_file),
        caps=signed_caps(params.settings),
    )
    channels = [_channel(spec, client) for client in params.channels]
    return Signer(segment, channels, told, spec.epoch, clock.epoch_ns, clock.mono_ns)


def _channel(spec: RoleSpec, client: str) -> Segment:
    name = spec.params.channels[client]
    return Segment.attach(name, CHANNEL, writable=True, run_id=spec.run_id)


def _signing(spec: RoleSpec, segment: Segment, client: str) -> SigningClient:
    from gateway.signing import SigningClient

    params: RoleParams = spec.params
    return SigningClient(
        _channel(spec, client),
        segment,
        clock=clock.epoch_ns,
        kalshi_key_id=params.keys.kalshi_key_id,
    )


def _canceller(spec: RoleSpec, segment: Segment) -> Any:
    from gateway.canceller import Canceller, CancellerParams
    from ops.paper import stay_here
    from ops.sim import VenueAddress

    params: RoleParams = spec.params
    stay_here(params.mode, params.orders)
    nowhere = VenueAddress(host="", rest=443)
    kalshi, polymarket = (params.orders.get(name, nowhere) for name in ("kalshi", "polymarket"))
    told = CancellerParams(
        kalshi_host=kalshi.host,
        kalshi_port=kalshi.rest,
        kalshi_key_id=params.keys.kalshi_key_id,
        polymarket_host=polymarket.host,
        polymarket_port=polymarket.rest,
        secrets_file=str(params.keys.polymarket_api_file),
        ca_file=params.ca_file,
    )
    channel = _channel(spec, "canceller")
    return Canceller(segment, channel, told, spec.epoch, clock.epoch_ns, clock.mono_ns)


class FeedRole:
    """A feed in its event loop: `main`, with `step` every 20 ms beside it."""

    def __init__(self, name: str, make: Callable[[], Feed], log: Path) -> None:
        self._name = name
        self._log = log
        self._make = make
        self._stop = asyncio.Event()
        self._told: list[str] = []

    async def main(self) -> None:
        """Until stopped."""
        feed = self._make()
        loop = asyncio.get_running_loop()

        def step() -> None:
            feed.step(clock.mono_ns())
            self._tell(feed.errors)
            tell(self._name, *feed.news(), self._log)
            handles.append(loop.call_later(STEP_S, step))
            del handles[:-1]

        handles: list[asyncio.TimerHandle] = []
        step()
        try:
            await feed.main(self._stop)
        finally:
            handles[-1].cancel()
            feed.close()

    def _tell(self, errors: list[str]) -> None:
        """What is new among the errors goes into the run's log."""
        if errors is not self._told:
            for error in errors:
                if error not in self._told:
                    err(f"{self._name}: {error}")
            self._told = errors

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def close(self) -> None:
        """Closed with its loop."""


def _feed(spec: RoleSpec, segment: Segment) -> FeedRole:
    from feeds.feed import Feed, FeedParams
    from ops.roll import SPARE
    from ops.sim import KALSHI_WS, POLYMARKET_WS
    from ops.sim_index import HOSTS, paths
    from ops.sim_spot import PATHS
    from shm_layout import VENUES

    params: RoleParams = spec.params
    venue = params.venue
    address = params.addresses[HOSTS.get(venue, venue)]
    wires = {"kalshi": KALSHI_WS, "polymarket": f"{POLYMARKET_WS}/market", **PATHS}
    wires |= paths(KALSHI_WS, has_rtds=bool(params.settings.feeds.rtds))
    told = FeedParams(
        venue=venue,
        feed=VENUES.index(venue),
        ws_url=address.ws_url(wires.get(venue, "")),
        rest_url="" if venue in HOSTS else address.rest_url,
        ca_file=Path(params.ca_file),
        products=params.products.get(venue, {}),
        lanes=params.settings.feeds.lanes,
        poll_after_ns=params.settings.feeds.poll_after_ns,
        seed=params.seed,
        spare=0 if venue in params.products or not params.series.series else SPARE,
        options=params.options.get(venue, {}),
    )
    headers: Callable[[str, str], Awaitable[dict[str, str]]] | None = None
    if venue in params.channels:
        headers = _signing(spec, segment, venue).headers
    log = Path(spec.log)
    return FeedRole(spec.name, lambda: Feed(segment, told, spec.epoch, clock.mono_ns, headers), log)


class VenuesRole:
    """The simulated venues block in a loop of their own and are ended over their pipe."""

    def __init__(self, conn: Connection, spec: VenuesSpec, make: Maker | None = None) -> None:
        self._conn, self._spec, self._make = conn, spec, make

    def run(self) -> None:
        """Until told to stop, or nobody is left to tell."""
        from ops.venues.serve import Venues, run

        run(self._conn, self._spec, self._make or Venues)

    def stop(self) -> None:
        """SIGTERM without a word over the pipe: they hold nothing."""
        os._exit(0)

    def close(self) -> None:
        """Closed with their loop."""


def _catalog(spec: RoleSpec, segment: Segment) -> Any:
    from feeds.rest import Rest
    from ops import control
    from ops.assets import Assets
    from ops.catalog import Catalog

    params: RoleParams = spec.params
    venues = {one.venue for one in params.series.series} & params.addresses.keys()
    ca_file = Path(params.ca_file)

    async def propose(window: dict[str, Any]) -> dict[str, Any]:
        folder = Path(params.state_dir)
        try:
            return await asyncio.to_thread(control.ask, folder, "propose", PROPOSE_S, window=window)
        except control.NotRunning as error:
            return {"error": str(error)}

    return Catalog(
        params.series,
        {name: Rest(params.addresses[name].rest_url, ca_file=ca_file) for name in venues},
        propose,
        assets=Assets(params.settings.assets.tracked, params.settings.assets.others),
        run_s=lambda: int(run_epoch_ns(segment.words, clock.mono_ns())) // clock.SECOND_NS,
        mono_ns=clock.mono_ns,
        say=lambda line: tell(spec.name, [line], (), Path(spec.log)),
    )


def _telling(params: VenuesParams, log: str) -> VenuesSpec:
    """Who holds an account writes what it knows of it."""
    folders = (Path(log).parent, Path(params.journal)) if params.journal else ()
    told = tuple(str(folder / VENUES_TOLD) for folder in folders)
    return dataclasses.replace(params.spec, told_files=told)


def _venues(spec: RoleSpec, segment: Segment) -> VenuesRole:
    assert spec.conn is not None
    return VenuesRole(spec.conn, _telling(spec.params, spec.log))


def _paper(spec: RoleSpec, segment: Segment) -> VenuesRole:
    from ops.paper import PaperParams, maker

    assert spec.conn is not None
    params: PaperParams = spec.params
    return VenuesRole(spec.conn, _telling(params.venues, spec.log), maker(params, segment))


def _gateway(spec: RoleSpec, segment: Segment) -> Any:
    from ops.gateway_role import build_gateway

    return build_gateway(spec, segment, _signing(spec, segment, "gateway"))


def _model(spec: RoleSpec, segment: Segment) -> Any:
    from ops.model_role import build_model

    return build_model(spec, segment)


BUILDERS: dict[str, Callable[[RoleSpec, Segment], Any]] = {
    "canceller": _canceller,
    "catalog": _catalog,
    "detector": _detector,
    "feed": _feed,
    "gateway": _gateway,
    "model": _model,
    "paper": _paper,
    "signer": _signer,
    "venues": _venues,
}
