"""The venues' side of a WebSocket: the `websockets` library's protocol without I/O inside an
asyncio protocol.

Frames are queued and joined: one write per connection and wake-up. No compression. Why not the
library's coroutine API: at 60,000 frames/s it costs three times the CPU.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from ops.venues.faults_inject import Injector
from ops.venues.faults_live import Item, Raw
from ops.venues.session import VenueLog

SEND_BUFFER_MAX_BYTES = 16 << 20
TEXT_MAX_BYTES = 1 << 20
TRY_AGAIN_LATER = 1013


class Refusal(Exception):
    """The handshake is answered with this status and body instead of 101."""

    def __init__(self, status: HTTPStatus, body: str) -> None:
        super().__init__(body)
        self.status = status
        self.body = body


class Hub(Protocol):
    """The venue behind a WebSocket port."""

    def on_open(self, link: Link, request: Request) -> None:
        """The handshake was read. Raises Refusal to refuse it."""

    def on_text(self, link: Link, text: str) -> None:
        """One whole text message came in."""

    def on_close(self, link: Link) -> None:
        """The connection is gone. Called once, and only if `on_open` accepted it."""


class Link(asyncio.Protocol):
    """One connection. `queue` collects frames, `flush` writes them at once.

    `number` counts the port's connections from 1. `is_deaf`: nothing is read or written any more,
    `is_mute`: the venue never hears of it; both only by a fault.
    """

    def __init__(self, server: WsServer) -> None:
        self._server = server
        self._protocol = ServerProtocol(max_size=TEXT_MAX_BYTES)
        self._transport: asyncio.Transport | None = None
        self._out: list[Item] = []
        self._parts: list[bytes] = []
        self.on_control: Callable[[Opcode, bytes], None] | None = None  # pings, pongs, closes
        self.is_open = self.is_deaf = self.is_mute = False
        self.number = server.next_number()
        self.path = ""

    # ---- called by the venue

    def queue(self, text: bytes) -> None:
        """Send this text frame with the next flush."""
        faults = self._server.faults
        if faults is None:
            self.put(text)
            return
        for item in faults.frames(self, text):
            self.put(item)

    def put(self, item: Item) -> None:
        """Send exactly this with the next flush."""
        if not self._out:
            self._server.dirty.append(self)
        self._out.append(item)

    def flush(self) -> None:
        """Write what is queued: one write for all of it."""
        out, self._out = self._out, []
        if not self.is_open or self.is_deaf or self._protocol.state is not State.OPEN:
            return
        for item in out:
            if isinstance(item, Raw):
                self._put_raw(item)
                if item.is_last:
                    return
            else:
                self._protocol.send_text(item)
        self._server.count("frames", len(out))
        self._write()
        transport = self._transport
        if transport and transport.get_write_buffer_size() > SEND_BUFFER_MAX_BYTES:
            self._server.count("slow_readers")
            self.close(TRY_AGAIN_LATER, "slow consumer")

    def backlog_bytes(self) -> int:
        """What was written and not yet taken by the reader's machine."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def _put_raw(self, item: Raw) -> None:
        self._write()
        if self._transport:
            self._transport.write(item.data)
        if item.is_last:
            self.is_deaf = True
            self.abort()

    def ping(self, payload: bytes) -> None:
        if self.is_open and not self.is_deaf and self._protocol.state is State.OPEN:
            self._protocol.send_ping(payload)
            self._write()

    def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        if self.is_open and not self.is_deaf and self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._write()

    def abort(self) -> None:
        """Drop the connection without a word, once what was written is on its way."""
        if self._transport:
            asyncio.get_running_loop().call_soon(self._transport.abort)

    # ---- called by the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._server.links[self] = None

    def data_received(self, data: bytes) -> None:
        if self._server.faults is not None:
            self._server.faults.heard(self)
        if self.is_deaf:
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._write()
        self._server.flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.links.pop(self, None)
        self._transport = None
        if self._server.faults is not None:
            self._server.faults.lost(self)
        if self.is_open:
            self.is_open = False
            self._server.count("connections_lost")
            if not self.is_mute:
                self._server.hub.on_close(self)

    # ---- inside

    def _handshake(self, request: Request) -> None:
        self.path = request.path
        faults = self._server.faults
        shake = faults.shake(self, request.path) if faults is not None else None
        try:
            if shake is not None and shake.status is not None:
                raise Refusal(shake.status, shake.body)
            self.is_mute = shake is not None and shake.is_mute
            if not self.is_mute:
                self._server.hub.on_open(self, request)
        except Refusal as refusal:
            self._server.count("handshakes_refused")
            response = self._protocol.reject(refusal.status, refusal.body)
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/json"
            self._protocol.send_response(response)
            return
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            if not self.is_mute:
                self._server.hub.on_close(self)
            return
        self.is_open = True
        self._server.count("connections")
        self._server.tell("WS", request.path, response.status_code)
        if faults is not None and shake is not None and shake.close_code:
            faults.close_later(self, shake)

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.TEXT, Opcode.CONT, Opcode.BINARY):
            self._parts.append(bytes(frame.data))
            if frame.fin:
                whole, self._parts = b"".join(self._parts), []
                if self.is_open:
                    text = whole.decode("utf-8", "replace")
                    self._server.tell("SEND", text, 0)
                    if not self.is_mute:
                        self._server.hub.on_text(self, text)
        elif self.on_control and self.is_open:
            self.on_control(frame.opcode, bytes(frame.data))

    def _write(self) -> None:
        chunks = self._protocol.data_to_send()
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        data = b"".join(chunks)
        if data:
            transport.write(data)
        if self._protocol.close_expected() or (chunks and chunks[-1] == b""):
            transport.close()


class WsServer:
    """One WebSocket port of one venue."""

    def __init__(self, *, venue: str, hub: Hub, log: VenueLog) -> None:
        self.venue = venue
        self.hub = hub
        self.links: dict[Link, None] = {}  # as they came
        self.dirty: list[Link] = []
        self.faults: Injector | None = None
        self._made = 0
        self._log = log
        self._server: asyncio.Server | None = None

    def next_number(self) -> int:
        self._made += 1
        return self._made

    def count(self, name: str, by: int = 1) -> None:
        self._log.count(self.venue, name, by)

    def tell(self, method: str, target: str, status: int) -> None:
        """One request of a client, for the log."""
        self._log.request(self.venue, method, target, status)

    def flush(self) -> None:
        """Write every connection's queued frames."""
        if self.dirty:
            dirty, self.dirty = self.dirty, []
            for link in dirty:
                link.flush()

    def open_links(self) -> Iterator[Link]:
        return iter([link for link in self.links if link.is_open])

    async def listen(self, context: ssl.SSLContext | None) -> int:
        """Bind a free port of 127.0.0.1 and return it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self), "127.0.0.1", 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Send what is queued, then drop everyone who is connected."""
        self.flush()
        for link in self.open_links():
            link.abort()

    def close(self) -> None:
        """Stop listening and drop everyone."""
        if self._server:
            self._server.close()
        for link in list(self.links):
            link.abort()
