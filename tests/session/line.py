"""A simulated venue and the feed's real handler face to face: the venue's own frames, no socket.

The venue's code makes the frames, the feed's code reads them; what lies between them in a run
(TLS, WebSocket frames, event loops) is left out. Time is what `clock` says.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import cast

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from multidict import MultiDict
from websockets.datastructures import Headers
from websockets.http11 import Request

from feeds.kalshi import Kalshi as KalshiHandler
from feeds.kalshi_facts import KalshiFacts
from feeds.newcomers import instruments_of
from feeds.polymarket import Polymarket as PolymarketHandler
from feeds.polymarket_facts import PolymarketFacts
from feeds.publisher import Publisher
from feeds.rest import Rest
from feeds.update import FeedError
from ops.venues.kalshi import Kalshi
from ops.venues.kalshi_rest import KalshiRest
from ops.venues.kalshi_ws import WS_PATH
from ops.venues.polymarket import Polymarket
from ops.venues.polymarket_rest import PolymarketRest
from ops.venues.polymarket_ws import MARKET_PATH
from ops.venues.rest import Call, Routes
from ops.venues.script import Event, Script
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import Accounts, VenuesSpec
from ops.venues.wire import Link, WsServer
from shm_layout import VENUES, Segment

EPOCH = 1  # of every process
WALL_NS = 1_790_000_000 * 10**9  # of signatures
KEY_ID = "stepped"
TURNS_MAX = 100  # answers to answers


class Ear(Link):
    """A connection whose frames are kept instead of sent."""

    def __init__(self, server: WsServer) -> None:
        super().__init__(server)
        self.frames: list[bytes] = []
        self.is_open = True
        server.links[self] = None

    def queue(self, text: bytes) -> None:
        """As the venue sends it."""
        self.frames.append(text)

    def take(self) -> list[bytes]:
        """What the next read brings: all of it at once."""
        frames, self.frames = self.frames, []
        return frames


class Answers:
    """The venue's REST, asked without HTTP. Stands in for feeds.rest.Rest."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes

    async def get(self, path: str, params: Mapping[str, str | list[str]] | None = None) -> bytes:
        """The body of a 200 answer, else FeedError."""
        query: MultiDict[str] = MultiDict()
        for name, value in (params or {}).items():
            for text in [value] if isinstance(value, str) else value:
                query.add(name, text)
        found = self._routes.find("GET", path)
        if found is None:
            raise FeedError(f"GET {path}: no such route")
        handler, named = found
        answer = handler(Call("GET", path, query, {}, b"", 0, named))
        if answer.status != 200:
            raise FeedError(f"GET {path}: status: found {answer.status}, wanted 200")
        return orjson.dumps(answer.body)


def spec_of(script: Script, public_pem: bytes) -> VenuesSpec:
    """What the venues are told; nobody trades there, so the account is empty."""
    accounts = Accounts(
        kalshi_key_id=KEY_ID, kalshi_public_pem=public_pem, polymarket_address="0x" + "1" * 40,
        polymarket_api_key="key", polymarket_secret="c2VjcmV0", polymarket_passphrase="pass",
    )  # fmt: skip
    return VenuesSpec(script=script, accounts=accounts, tls_cert="", tls_key="")


class VenueLine:
    """One venue of a script, its feed's handler and the books that the handler publishes."""

    def __init__(
        self,
        name: str,
        script: Script,
        segment: Segment,
        *,
        clock: RunClock,
        log: VenueLog,
        spare: int = 0,
    ) -> None:
        feed = VENUES.index(name)
        self._clock = clock
        self._key = Ed25519PrivateKey.generate()
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        markets = {i: market for i, market in enumerate(script.markets) if market.venue == name}
        now_ns = clock.mono_ns()
        self.publisher = Publisher(
            segment,
            feed=feed,
            epoch=EPOCH,
            now_ns=now_ns,
            instruments=instruments_of(segment, feed),
            spare=spare,
        )
        self.drop: Callable[[bytes], bool] = lambda _: False  # frames that get lost on the way
        spec = spec_of(script, pem)
        reader: KalshiFacts | PolymarketFacts
        if name == "kalshi":
            kalshi = Kalshi(spec, markets, clock=clock, log=log, on_subscribed=_nothing)
            rest = cast(Rest, Answers(KalshiRest(kalshi, tokens_per_s=1_000).routes))
            reader, handler = KalshiFacts(rest), KalshiHandler(self.publisher)
            self._wire(kalshi, handler, WS_PATH)
        else:
            polymarket = Polymarket(
                spec, markets, clock=clock, log=log, later=_never, on_subscribed=_nothing
            )
            routes = PolymarketRest(polymarket, orders_per_s=600, heartbeat_ns=10**10).routes
            rest = cast(Rest, Answers(routes))
            reader = PolymarketFacts(rest, rest, taker_delay_ns=0)
            self._wire(polymarket, PolymarketHandler(self.publisher), MARKET_PATH)
        self._reader, self.rest = reader, rest

    def _wire(
        self, venue: Kalshi | Polymarket, handler: KalshiHandler | PolymarketHandler, path: str
    ) -> None:
        self.venue, self.handler, self._path = venue, handler, path
        self.ear = Ear(venue.server)

    def read_facts(self) -> None:
        """Market facts from the venue's REST, as the feed reads them at its start."""
        found, errors = asyncio.run(self._reader.read(self.publisher.instruments))
        assert not errors, errors
        for local, facts in found.items():
            self.publisher.set_facts(local, facts, self._clock.mono_ns())

    def connect(self) -> None:
        """Handshake and subscription: the books as they are come back."""
        stamp = str(WALL_NS // 10**6)
        signature = self._key.sign(f"{stamp}GET{self._path}".encode())
        headers = {
            "KALSHI-ACCESS-KEY": KEY_ID,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }
        self.venue.hub.on_open(self.ear, Request(self._path, Headers(headers)))
        self.handler.opened(self._clock.mono_ns())
        self.deliver()

    def apply(self, event: Event) -> None:
        """One event of the script; its frames wait at the ear."""
        self.venue.apply(event)

    def deliver(self) -> None:
        """One read of the socket: every waiting frame, and answers until nobody has more to say."""
        self.venue.flush()
        for _ in range(TURNS_MAX):
            for message in self.handler.outbox:
                self.venue.hub.on_text(self.ear, message.decode())
            self.handler.outbox.clear()
            frames = [frame for frame in self.ear.take() if not self.drop(frame)]
            for place, frame in enumerate(frames, 1):
                self.handler.frame(memoryview(frame), self._clock.mono_ns(), place == len(frames))
            if not frames and not self.handler.outbox:
                return
        raise AssertionError(f"{self._path}: no end of answers after {TURNS_MAX} turns")

    def tick(self) -> None:
        """What the feed does beside its frames every few ms: requests, counters."""
        self.handler.tick(self._clock.mono_ns())
        self.deliver()
        self.publisher.account(0)


def _nothing() -> None:
    """Nobody waits for the first subscriber."""


def _never(_delay_ns: int, _what: Callable[[], None]) -> None:
    """No order is sent, so nothing is ever due later."""
