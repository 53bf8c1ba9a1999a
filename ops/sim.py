"""The mode `sim`: simulated venues on loopback, driven by a seeded world or by recorded data, with
keys made for this run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ops import clock, journals, sim_index, sim_spot, sim_windows
from ops.config import Settings, Updown
from ops.identity import Identity, identify
from ops.series import NO_SERIES, Table
from ops.session import Plan, Request, SessionError
from ops.simkeys import SimKeys, make_keys
from ops.venues.exchanges import Exchange
from ops.venues.faults import FaultError, check
from ops.venues.faults_inject import names_of
from ops.venues.recorded import RecordingError, load
from ops.venues.script import Script
from ops.venues.spec import Accounts, VenuesSpec
from ops.venues.tls import TlsPaths, make_tls
from ops.venues.world import make_world
from ops.venues.world_windows import LENGTHS_S, PLAYED, Series, series_of
from shm_layout import (
    CANCELLER,
    CATALOG,
    DETECTOR,
    FEED_ROLE,
    GATEWAY,
    MODEL,
    SIGNER,
    VENUES,
    VENUES_ROLE,
)

BUILD = "ops.roles:build"
HOST = "localhost"
SIGNED_FEEDS = ("kalshi", sim_index.CF)  # venues whose market data wants a signed handshake
KALSHI_WS, POLYMARKET_WS = "/trade-api/ws/v2", "/ws"
Ports = Mapping[str, Mapping[str, int]]  # venue -> "rest", "ws" -> port


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueAddress:
    """Where one venue listens in this run."""

    rest: int = 0
    ws: int = 0
    host: str = HOST

    @property
    def rest_url(self) -> str:
        """Its REST base; empty if it has none."""
        return f"https://{self.host}:{self.rest}" if self.rest else ""

    def ws_url(self, path: str) -> str:
        """One of its sockets; empty if it has none."""
        return f"wss://{self.host}:{self.ws}{path}" if self.ws else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenuesParams:
    """What the process of the simulated venues is told."""

    spec: VenuesSpec
    journal: str  # the run's folder: what they say of our accounts lies there too; "": nowhere


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleParams:
    """What every trading process of the run is told; each takes what it needs. `addresses`: where
    market data come from; `orders`: where orders go, private channels with them.
    """

    mode: str
    settings: Settings
    addresses: Mapping[str, VenueAddress]
    orders: Mapping[str, VenueAddress]
    channels: Mapping[str, str]  # client -> name of its signing segment
    ca_file: str
    keys: SimKeys
    products: Mapping[str, Mapping[str, int]]  # feed -> its spot products -> slot
    journal: str
    options: Mapping[str, sim_spot.Options] = field(default_factory=dict)  # feed -> its own
    venue: str = ""  # of a feed
    seed: int = 0
    state_dir: str = ""
    series: Table = NO_SERIES  # whose windows the catalog looks for


class SimSession:
    """One simulated run. Raises SessionError for what cannot be run."""

    mode = "sim"

    def __init__(self, request: Request, folder: Path) -> None:
        self._request = request
        self._folder = folder
        self.script: Script = self.make_script(request)
        self.seed = None if request.replay else request.seed
        self.script_hash = self.script.digest
        self.timeline = self.script.timeline
        self.end_epoch_ns = self.script.end_epoch_ns
        spot = request.settings.spot
        self._exchanges = () if request.replay else sim_spot.played(self.script, spot)
        _check_faults(request, self.script, self._exchanges)
        informers = sim_spot.products(self._exchanges) | sim_index.products(self.script)
        self.identity: Identity = identify(
            self.script, request.settings, informers, is_forced=request.force_approve
        )
        if not request.replay:  # a recording has only the windows that it has
            known = sim_windows.series(self.script, request.settings.updown)
            self.identity = replace(self.identity, series=known)
        self._keys = make_keys(folder)
        self._options = sim_spot.options(self._exchanges, spot, folder) | sim_index.options(
            self._keys.polymarket_api_file, has_rtds=bool(request.settings.feeds.rtds)
        )
        self._tls: TlsPaths = make_tls(folder)
        self._journal = journals.fresh(request.state_dir, clock.epoch_ns())
        self._feeds = [VENUES[feed] for feed in self.identity.instruments_of]
        self._feeds += self.identity.products
        self._clients = ("gateway", "canceller", *(f for f in self._feeds if f in SIGNED_FEEDS))
        self.channels = tuple(f"sign-{client}" for client in self._clients)

    @staticmethod
    def make_script(request: Request) -> Script:
        """What the venues play. Raises SessionError."""
        return _script(request)

    @property
    def early(self) -> tuple[Plan, ...]:
        """The processes everything else talks to."""
        return (self.venues,)

    @property
    def venues(self) -> Plan:
        """Where market data come from, and where orders go."""
        sim = self._request.settings.sim
        spec = self.spec(kalshi_e6=sim.cash_kalshi_e6, polymarket_e6=sim.cash_polymarket_e6)
        params = VenuesParams(spec=spec, journal=str(self._journal))
        return Plan(name="venues", kind="venues", role=VENUES_ROLE, build=BUILD, params=params)

    def spec(self, *, kalshi_e6: int, polymarket_e6: int) -> VenuesSpec:
        """Venues of this script, where our accounts (each shard's of Kalshi) begin with that."""
        sim, spot = self._request.settings.sim, self._request.settings.spot
        keys, exchanges = (
            self._keys,
            {a.exchange_index for a in self.identity.accounts if a.venue == 0},
        )
        accounts = Accounts(
            kalshi_key_id=keys.kalshi_key_id,
            kalshi_public_pem=keys.kalshi_public_pem,
            polymarket_address=keys.polymarket_address,
            polymarket_api_file=str(keys.polymarket_api_file),
            cash_kalshi_e6=dict.fromkeys(exchanges, kalshi_e6),
            cash_polymarket_e6=polymarket_e6,
        )
        return VenuesSpec(
            script=self.script,
            accounts=accounts,
            tls_cert=str(self._tls.cert),
            tls_key=str(self._tls.key),
            reply_delay_ns=sim.reply_delay_ns,
            kalshi_read_lag_ns=sim.kalshi_read_lag_ns,
            # A seeded world begins now, whatever day that is; a recording has its own Thursdays.
            kalshi_has_pause=bool(self._request.replay),
            faults=self._request.faults,
            faults_seed=self._request.seed,
            exchanges=self._exchanges,
            is_us_address=bool(spot.us_address),
            coingecko_plan=sim_spot.plan(spot),
        )

    def plans(self, ports: Mapping[str, Ports], segment: str) -> tuple[Plan, ...]:
        """Signer and canceller first: nothing is sent without them."""
        addresses = {process: _addresses(found) for process, found in ports.items()}
        common: dict[str, Any] = {
            "mode": self.mode,
            "settings": self._request.settings,
            "addresses": addresses["venues"],
            "orders": addresses[self.early[-1].name],
            "channels": {client: f"{segment}-sign-{client}" for client in self._clients},
            "ca_file": str(self._tls.ca),
            "keys": self._keys,
            "products": self.identity.products,
            "options": self._options,
            "journal": str(self._journal),
            "seed": self._request.seed,
            "state_dir": str(self._request.state_dir),
            "series": self.identity.series,
        }

        def plan(name: str, kind: str, role: int, venue: str = "", **more: Any) -> Plan:
            params = RoleParams(venue=venue, **common)
            return Plan(name=name, kind=kind, role=role, build=BUILD, params=params, **more)

        return (
            plan("signer", "signer", SIGNER, fds=("gateway",)),
            plan("canceller", "canceller", CANCELLER, does_outlive=True),
            plan("gateway", "gateway", GATEWAY, fds=("gateway",)),
            *(
                plan(f"feed {venue}", "feed", FEED_ROLE + VENUES.index(venue), venue)
                for venue in self._feeds
            ),
            plan("model", "model", MODEL),
            *((plan("catalog", "catalog", CATALOG),) if self.identity.series.series else ()),
            plan("detector", "detector", DETECTOR, is_hot=True, fds=("gateway",)),
        )


def _addresses(ports: Ports) -> dict[str, VenueAddress]:
    return {
        name: VenueAddress(rest=found.get("rest", 0), ws=found.get("ws", 0))
        for name, found in ports.items()
    }


def _check_faults(request: Request, script: Script, exchanges: Sequence[Exchange]) -> None:
    names: dict[str, set[str]] = {"coinbase": set()} if script.products else {}
    names |= {one.venue: set() for one in exchanges}
    names |= {sim_index.POLYBOLT: set()} if script.indices else {}
    for market in script.markets:
        names.setdefault(market.venue, set()).update(names_of(market))
    try:
        check(request.faults, markets=names)
    except FaultError as error:
        raise SessionError(f"--faults: {error}") from error


def _series(chosen: Updown) -> tuple[Series, ...]:
    """Windows of these coins and lengths. Raises SessionError for what the world does not play."""
    for key, found, played in (
        ("assets", [name.lower() for name in chosen.assets], PLAYED),
        ("intervals", list(chosen.intervals), LENGTHS_S),
    ):
        other = [each for each in found if each not in played]
        if other:
            text = f"found {', '.join(other)}, the simulated world plays {' and '.join(played)}"
            raise SessionError(f"updown.{key}: {text}")
    return series_of([name.lower() for name in chosen.assets], chosen.intervals)


def _script(request: Request) -> Script:
    if not request.replay:
        begin_epoch_ns = clock.epoch_ns() // clock.MS_NS * clock.MS_NS
        return make_world(
            request.seed,
            begin_epoch_ns=begin_epoch_ns,
            speed_e6=request.speed_e6,
            plays=request.settings.sim.markets,
            series=_series(request.settings.updown),
            has_sets=bool(request.settings.sim.sets),
        )
    try:
        return load(
            list(request.replay),
            from_epoch_ns=request.from_epoch_ns,
            gap_max_ns=request.gap_max_ns,
            speed_e6=request.speed_e6,
        )
    except RecordingError as error:
        raise SessionError(f"--replay: {error}") from error
