"""All of one venue that the desk needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.health import Health
from gateway.ports import Venue
from gateway.throttle import Bucket
from gateway.transport import Channel, Pool


@dataclass(slots=True, kw_only=True)
class VenueLine:
    """One venue as the desk uses it: its file, its connections, its rate bucket, its private
    channel, how it bears being asked.
    """

    venue: Venue
    pool: Pool
    bucket: Bucket
    channel: Channel | None = None
    health: Health = field(default_factory=Health)
