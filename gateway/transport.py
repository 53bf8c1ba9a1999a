"""The one file of this room that touches sockets: warm HTTP connections for orders and reads, and
the user channels.

A link is one TLS connection with at most one request outstanding: bytes go straight to the
transport, the answer through httptools to the caller. Nothing is ever sent twice. Whatever ends a
request without a whole answer (timeout, reset, too long, garbage) is one answer with `error` set:
the caller must take it as "unknown". A link keeps itself warm with a cheap GET and reconnects with
back-off. All waiting is judged by `tick(now_ns)`, so that the clock is an argument.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from gateway.link import REPLY_NS, Answer, Clock, Link, OnFree, Then

__all__ = ["REPLY_NS", "Address", "Answer", "Channel", "Link", "Pool"]

CONNECT_NS = 1_000_000_000
WARM_NS = 8_000_000_000
BACKOFF_FIRST_NS = 50_000_000
BACKOFF_MAX_NS = 5_000_000_000
REPLY_MAX_BYTES = 256 << 10
READ_MAX_BYTES = 4 << 20
FRAME_MAX_BYTES = 1 << 20
LINKS_MAX = 64
SPARE_LINKS = 2  # left to orders while others are kept warm
WAITING_MAX = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a venue's REST listens, and how long we wait for a connection and for an answer.
    `context` None: plain TCP (tests).
    """

    host: str
    port: int
    context: ssl.SSLContext | None
    connect_max_ns: int = CONNECT_NS
    reply_max_ns: int = REPLY_NS


class Seat:
    """A place for one link: connects, and again with back-off when it is lost."""

    def __init__(
        self, address: Address, clock: Clock, number: int, reply_max_bytes: int,
        on_free: OnFree = None,
    ) -> None:  # fmt: skip
        self._address = address
        self._on_free = on_free
        self._clock = clock
        self._number = number
        self._reply_max = reply_max_bytes
        self._task: asyncio.Task[None] | None = None
        self._backoff_ns = BACKOFF_FIRST_NS
        self._retry_ns = 0
        self.link: Link | None = None
        self.connects = 0

    def tick(self, now_ns: int) -> None:
        """Judge time: end what waits too long, connect again."""
        link = self.link
        if link is not None:
            link.expire(now_ns)
            if link.is_open:
                return
            self.link = None
            self._put_off(now_ns)
        if self._task is None and now_ns >= self._retry_ns:
            self._put_off(now_ns)  # before the try: whatever ends it, the next one waits
            self._task = asyncio.get_running_loop().create_task(self._connect())

    def _put_off(self, now_ns: int) -> None:
        self._retry_ns = now_ns + self._backoff_ns + self._number * 7_000_000
        self._backoff_ns = min(self._backoff_ns * 2, BACKOFF_MAX_NS)

    async def _connect(self) -> None:
        address = self._address
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(address.connect_max_ns / 1e9):
                _, link = await loop.create_connection(
                    lambda: Link(
                        self._clock, self._reply_max, self._on_free, address.reply_max_ns
                    ),
                    address.host,
                    address.port,
                    ssl=address.context,
                    server_hostname=address.host if address.context else None,
                )
            self.link = link
            self.connects += 1
            self._backoff_ns = BACKOFF_FIRST_NS
            link.offer()
        except (OSError, TimeoutError):
            pass
        finally:
            self._task = None

    def close(self) -> None:
        """Drop the link and stop connecting."""
        if self._task is not None:
            self._task.cancel()
        if self.link is not None:
            self.link.drop("closing")


def _forget(_answer: Answer) -> None:
    """For answers nobody needs: keeping warm."""


class Pool:
    """A venue's connections for orders: `free` ones are taken, never waited for."""

    def __init__(
        self, address: Address, clock: Clock, *, size: int, warm: bytes, reads: int = 1
    ) -> None:
        """`size` links for orders and `reads` for the cold path, so that a slow read never holds
        an order.
        """
        assert size > 0 and reads > 0 and size + reads <= LINKS_MAX
        self._clock = clock
        self._reply_max_ns = address.reply_max_ns
        self._warm = warm
        self._free: deque[Link] = deque()  # longest unused first; some may be gone or busy
        self._seats = [
            Seat(address, clock, place, REPLY_MAX_BYTES, self.give) for place in range(size)
        ]
        self._readers = [Seat(address, clock, place, READ_MAX_BYTES) for place in range(reads)]
        self._waiting: list[tuple[bytes, asyncio.Future[Answer]]] = []

    @property
    def free_count(self) -> int:
        """Links an order could take now."""
        return sum(1 for seat in self._seats if seat.link is not None and seat.link.is_free)

    @property
    def connects(self) -> int:
        """Connections made so far."""
        return sum(seat.connects for seat in self._seats + self._readers)

    def take(self) -> Link | None:
        """The free link longest unused, which spreads the keeping warm; None: there is none. It is
        sent on at once, or given back.
        """
        free = self._free
        while free:
            link = free.popleft()
            link.is_listed = False
            if link.is_free:
                return link
        return None

    def give(self, link: Link) -> None:
        """A link is free (again)."""
        if not link.is_listed:
            link.is_listed = True
            self._free.append(link)

    def tick(self, now_ns: int) -> None:
        """Judge time on every link; hand waiting reads to free readers."""
        for seats in (self._seats, self._readers):
            for seat in seats:
                seat.tick(now_ns)
            self._keep_warm(seats, now_ns)
        if len(self._free) > len(self._seats):  # some are gone
            self._free = deque(link for link in self._free if link.is_open)
        self._feed()

    def _keep_warm(self, seats: Sequence[Seat], now_ns: int) -> None:
        """One link at a time, the longest unused, and never one of the last that orders need."""
        links = [seat.link for seat in seats if seat.link is not None and seat.link.is_free]
        if not self._warm or len(links) <= min(SPARE_LINKS, len(seats) - 1):
            return
        link = min(links, key=lambda link: link.used_ns)
        if now_ns - link.used_ns >= WARM_NS:
            link.send(self._warm, _forget)

    async def request(self, wire: bytes) -> Answer:
        """A read on the cold path: waits for a free reader, then for the answer. Never raises but
        on cancel.
        """
        if len(self._waiting) >= WAITING_MAX:
            return Answer(error=f"more than {WAITING_MAX} reads wait", ack_ns=self._clock())
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((wire, future))
        self._feed()
        try:
            async with asyncio.timeout(2 * self._reply_max_ns / 1e9):
                return await future
        except TimeoutError:
            return Answer(error="timeout", ack_ns=self._clock())

    def _feed(self) -> None:
        for seat in self._readers:
            if not self._waiting:
                return
            if seat.link is not None and seat.link.is_free:
                wire, future = self._waiting.pop(0)
                if future.done():
                    continue
                seat.link.send(wire, self._answering(future))

    def _answering(self, future: asyncio.Future[Answer]) -> Then:
        def then(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)
            self._feed()

        return then

    def close(self) -> None:
        """Drop every link; outstanding requests end with an error."""
        for seat in self._seats + self._readers:
            seat.close()


class Channel:
    """A venue's private WebSocket, kept open. `on_frame` gets each text frame, `on_open` each
    (re)connection: what happened while it was down must be read again, nothing is replayed (both
    references)."""

    def __init__(
        self,
        url: str,
        context: ssl.SSLContext | None,
        *,
        clock: Clock,
        handshake: Callable[[], Awaitable[dict[str, str]]],
        subscription: Callable[[], Sequence[bytes]],
        on_frame: Callable[[bytes, int], None],
        on_open: Callable[[], None],
        text_ping: bytes = b"",
    ) -> None:
        self._url, self._context, self._clock = url, context, clock
        self._handshake, self._subscription = handshake, subscription
        self.on_frame, self.on_open = on_frame, on_open
        self._text_ping = text_ping
        self.is_open = False
        self.connects = 0
        self._transport: WSTransport | None = None

    async def run(self) -> None:
        """Connect, listen, connect again with back-off, until cancelled."""
        backoff_ns = BACKOFF_FIRST_NS
        while True:
            try:
                headers = await self._handshake()
                transport, _ = await ws_connect(
                    lambda: _Listener(self),
                    self._url,
                    ssl_context=self._context,
                    extra_headers=headers,
                    websocket_handshake_timeout=3.0,
                    max_frame_size=FRAME_MAX_BYTES,
                    enable_auto_ping=True,
                    auto_ping_idle_timeout=5.0,
                    auto_ping_reply_timeout=5.0,
                    max_redirects=0,
                    logger_name="gateway",
                )
                backoff_ns = BACKOFF_FIRST_NS
                await self._listen(transport)
            except (OSError, TimeoutError, WSError):
                pass
            finally:
                self.is_open = False
                self._transport = None
            await asyncio.sleep(backoff_ns / 1e9)
            backoff_ns = min(backoff_ns * 2, BACKOFF_MAX_NS)

    async def _listen(self, transport: WSTransport) -> None:
        for frame in self._subscription():
            transport.send(WSMsgType.TEXT, frame)
        self._transport = transport
        self.is_open = True
        self.connects += 1
        self.on_open()
        gone = asyncio.ensure_future(transport.wait_disconnected())
        try:
            while not gone.done():
                if self._text_ping:
                    transport.send(WSMsgType.TEXT, self._text_ping)
                await asyncio.wait({gone}, timeout=10.0)
        finally:
            gone.cancel()
            transport.disconnect()

    def received(self, frame: bytes) -> None:
        """A whole text message came."""
        self.on_frame(frame, self._clock())


class _Listener(WSListener):
    """Joins fragments and hands on text; picows answers pings and closes itself."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._parts: list[bytes] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        if frame.msg_type not in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            return
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > FRAME_MAX_BYTES:
            transport.disconnect()
        elif frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._channel.received(whole)
