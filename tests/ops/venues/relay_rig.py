"""The simulated price relays without sockets: ticks in, frames kept, a clock that is put."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Request

from ops.venues.numerals import SECOND_NS
from ops.venues.polybolt import Polybolt
from ops.venues.script import IndexTick, Timeline
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.wire import Link
from tests.ops.venues.rig import API_KEY, BEGIN_NS, POLY_SECRET, KalshiKey, accounts, script_of

KEY = KalshiKey()
CREDENTIALS = {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase"}
PRICE_E8 = 90_000 * 10**8


class Relay:
    """The venue, its clock (machine and run time pass alike) and what it put off."""

    def __init__(self, **options: Any) -> None:
        self.now_ns = 0
        self.put_off: list[tuple[int, Callable[[], None]]] = []
        script = script_of(indices=("BRTI", "btcusd", "ethusd"))
        clock = RunClock(
            Timeline(begin_epoch_ns=BEGIN_NS), mono=lambda: self.now_ns, wall=lambda: BEGIN_NS
        )
        clock.start(0)
        self.log = VenueLog()
        spec = VenuesSpec(script=script, accounts=accounts(KEY), tls_cert="", tls_key="", **options)
        self.venue = Polybolt(
            spec,
            clock=clock,
            log=self.log,
            later=lambda delay_ns, what: self.put_off.append((delay_ns, what)),
            on_subscribed=lambda: None,
        )

    def second(self, number: int, **values: int) -> None:
        """All indices tick at this second; one not named stands at PRICE_E8."""
        self.now_ns = number * SECOND_NS
        for name in ("BRTI", "btcusd", "ethusd"):
            at_ns = BEGIN_NS + number * SECOND_NS
            self.venue.apply(IndexTick(at_ns, name, values.get(name, PRICE_E8)))

    def seconds(self, count: int) -> None:
        """From second 0; the newest two are still on their way."""
        for number in range(count):
            self.second(number, btcusd=PRICE_E8 + number)


class Ear(Link):
    """One client; frames and the close code are kept instead of sent."""

    def __init__(self, relay: Relay, path: str = "/ws") -> None:
        super().__init__(relay.venue.server)
        self.relay = relay
        self.is_open = True
        self.backlog = 0
        self.frames: list[str] = []
        self.closed_with: int | None = None
        self.pinged = 0
        relay.venue.on_open(self, Request(path, Headers()))

    def queue(self, text: bytes) -> None:
        self.frames.append(text.decode())

    def flush(self) -> None:
        """Kept frames are sent already."""

    def backlog_bytes(self) -> int:
        return self.backlog

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code
        self.relay.venue.on_close(self)

    def ping(self, payload: bytes) -> None:
        self.pinged += 1

    def say(self, message: Any) -> None:
        """One text frame; what is not text already is made JSON."""
        text = message if isinstance(message, str) else json.dumps(message)
        self.relay.venue.on_text(self, text)

    def take(self) -> list[Any]:
        """Everything heard since; an empty frame as ""."""
        frames, self.frames = self.frames, []
        return [json.loads(frame) if frame else "" for frame in frames]


def signed_in(relay: Relay) -> Ear:
    """A PolyBolt client that may subscribe."""
    ear = Ear(relay)
    ear.say({"op": "auth", "rid": "a1", "auth": CREDENTIALS})
    assert ear.take() == [{"op": "authed", "rid": "a1"}]
    return ear
