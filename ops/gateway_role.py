"""Puts the gateway together: connections, signer's client, journal, and the pure functions of the
engine handed in.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from engine.charge import fee_of
from engine.unwind import plan_lone
from gateway.desk import Desk, DeskParams, VenueLine
from gateway.health import Health
from gateway.hmac_auth import ApiSecrets, load_api_secrets
from gateway.journal import Journal
from gateway.kalshi import CREATE, KalshiVenue
from gateway.polymarket import PolymarketVenue
from gateway.pool import OrderPool, PoolParams
from gateway.signing import SigningClient
from gateway.throttle import Bucket
from gateway.transport import Address, Channel, Pool
from ops import clock
from ops.desk_limits import desk_params, signed_caps
from ops.last_look import entries
from ops.paper import stay_here
from ops.process import RoleSpec
from ops.sim import KALSHI_WS, POLYMARKET_WS, VenueAddress
from shm_layout import VENUES, Segment

if TYPE_CHECKING:
    from ops.sim import RoleParams

HEADERS_KEPT = 12  # Kalshi header sets for orders, ready at any time
READS = 2
EOA = 0  # Polymarket signature type of a plain key


def build_gateway(spec: RoleSpec, segment: Segment, client: SigningClient) -> Desk:
    """The desk of one run, with a line to each venue it trades at."""
    params: RoleParams = spec.params
    stay_here(params.mode, params.orders)
    told = desk_params(params.settings)
    context = ssl.create_default_context(cafile=params.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    lines: dict[int, VenueLine] = {}
    pumps: list[Callable[[int], int]] = [client.pump]
    kalshi, polymarket = (params.orders.get(name) for name in ("kalshi", "polymarket"))
    if kalshi is not None:
        client.keep("POST", CREATE, HEADERS_KEPT)
        lines[VENUES.index("kalshi")] = _kalshi(params, client, kalshi, context, told)
    if polymarket is not None:
        caps = signed_caps(params.settings)
        secrets = load_api_secrets(str(params.keys.polymarket_api_file))
        pool = OrderPool(
            client,
            segment,
            params=PoolParams(
                maker=params.keys.polymarket_address,
                signer=params.keys.polymarket_address,
                owner=secrets.api_key,
                signature_type=EOA,
                shown_max_e6=caps.order_e6,
                token_stop_e6=max(caps.token_e6 // 2, 1),
                total_stop_e6=max(caps.total_e6 // 2, 1),
            ),
            clock=clock.epoch_ns,
        )
        pumps.append(pool.pump)
        lines[VENUES.index("polymarket")] = _polymarket(
            params, secrets, pool, polymarket, context, told
        )
    take, last_look = entries()
    journal = Journal(Path(params.journal))
    journal.append({"k": "mode", "mode": params.mode, "run": spec.run_id})
    desk = Desk(
        segment,
        told,
        eventfd=spec.fds["gateway"].fd,
        clock=clock.mono_ns,
        journal=journal,
        lines=lines,
        pump=lambda now_ns: sum(pump(now_ns) for pump in pumps),
        fee=fee_of,
        take=take,
        last_look=last_look,
        plan_lone=plan_lone,
        epoch=spec.epoch,
    )
    for name, slots in params.products.items():
        for slot in slots.values():
            desk.memory.slot(slot, VENUES.index(name))
    desk.opening.on_found = client.forget_before
    return desk


def _kalshi(
    params: RoleParams,
    client: SigningClient,
    address: VenueAddress,
    context: ssl.SSLContext,
    told: DeskParams,
) -> VenueLine:
    venue = KalshiVenue(client, address.host, group_max_e6=params.settings.deadman.group_max_e6)
    channel = Channel(
        address.ws_url(KALSHI_WS),
        context,
        clock=clock.mono_ns,
        handshake=venue.handshake,
        subscription=lambda: venue.subscription(()),
        on_frame=_nothing,
        on_open=lambda: None,
    )
    bucket = Bucket(
        rate=told.kalshi_tokens_per_second,
        burst=told.kalshi_tokens_burst,
        reserve=told.kalshi_reserve,
    )
    reads = Bucket(rate=told.kalshi_reads_per_second, burst=told.kalshi_reads_burst, reserve=0)
    pool, health = _pool(address, context, told, venue.warm()), _health(venue.name, told, reads)
    return VenueLine(venue=venue, pool=pool, bucket=bucket, channel=channel, health=health)


def _polymarket(
    params: RoleParams,
    secrets: ApiSecrets,
    orders: OrderPool,
    address: VenueAddress,
    context: ssl.SSLContext,
    told: DeskParams,
) -> VenueLine:
    venue = PolymarketVenue(
        orders, address.host, secrets, signature_type=EOA, wall_s=clock.epoch_s,
        heartbeat_ns=params.settings.deadman.heartbeat_ns,
    )  # fmt: skip
    channel = Channel(
        address.ws_url(f"{POLYMARKET_WS}/user"),
        context,
        clock=clock.mono_ns,
        handshake=venue.handshake,
        subscription=lambda: venue.subscription(()),
        on_frame=_nothing,
        on_open=lambda: None,
        text_ping=b"PING",
    )
    bucket = Bucket(
        rate=told.polymarket_orders_per_second,
        burst=told.polymarket_orders_burst,
        reserve=told.polymarket_reserve,
    )
    pool, health = _pool(address, context, told, venue.warm()), _health(venue.name, told)
    return VenueLine(venue=venue, pool=pool, bucket=bucket, channel=channel, health=health)


def _health(name: str, told: DeskParams, reads: Bucket | None = None) -> Health:
    return Health(
        name=name, failures_max=told.circuit_failures, open_ns=told.circuit_open_ns,
        chance=random.Random().randrange, reads=reads,
    )  # fmt: skip


def _pool(address: VenueAddress, context: ssl.SSLContext, told: DeskParams, warm: bytes) -> Pool:
    place = Address(
        host=address.host,
        port=address.rest,
        context=context,
        connect_max_ns=told.connect_max_ns,
        reply_max_ns=told.reply_max_ns,
    )
    return Pool(place, clock.mono_ns, size=told.links_per_venue, warm=warm, reads=READS)


def _nothing(_frame: bytes, _recv_ns: int) -> None:
    """The desk puts its own in place."""
