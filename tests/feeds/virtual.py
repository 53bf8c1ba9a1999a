"""Sockets without a machine: an event loop whose time is a number, byte streams with
latency between the simulated venue's own `Link` and what stands for the feed's `Connection`.

Nothing waits: the loop jumps to its next timer. Streams are cut at random places; the last frame of
a piece ends the received buffer, as picows says it.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from feeds.connection import Refused, Sink
from feeds.limits import FRAME_MAX_BYTES, HANDSHAKE_S
from feeds.update import FeedError
from ops.venues.faults_live import Item
from ops.venues.wire import Link, WsServer

BASE_NS = 10**12  # machine time when a loop begins
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class _Still(selectors.SelectSelector):
    """Waits for nothing: time moves on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing is left that could happen"
        self.now_s += max(timeout, 0.0)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in a time of its own."""

    def __init__(self) -> None:
        self._still = _Still()
        super().__init__(self._still)

    def time(self) -> float:
        return self._still.now_s

    def now_ns(self) -> int:
        """Machine time for feed and venue."""
        return BASE_NS + round(self._still.now_s * 1e9)

    def after_ns(self, delay_ns: int, what: Callable[[], None]) -> None:
        self.call_later(delay_ns / 1e9, what)


class Part(NamedTuple):
    """What a frame says of one market: which state of the venue's book, whole or as a change, with
    the engine's time or without.
    """

    market: int
    state: int
    is_whole: bool
    is_stamped: bool


class Tag(NamedTuple):
    """What the venue meant to send: its place among the frames with books, and what is in it.
    `is_odd`: a fault has changed it, more than its stamps.
    """

    number: int
    parts: tuple[Part, ...]
    is_odd: bool = False


Tagger = Callable[[bytes], tuple[Part, ...]]


class TaggedLink(Link):
    """The venue's end of a connection. Keeps what each frame on the wire was made from."""

    def __init__(self, server: WsServer, tag: Tagger) -> None:
        super().__init__(server)
        self._tag, self._log = tag, server._log
        self._made: dict[int, tuple[bytes, Tag]] = {}  # by identity: faults pass frames on as such
        self.reader: Any = None  # the feed's lane
        self.told: list[tuple[Part, ...]] = []  # of each frame with a part of a book
        self._now = Tag(0, ())  # of the frame that is being queued
        self.tags: list[Tag] = []  # of each frame put on the wire

    def queue(self, text: bytes) -> None:
        text = bytes(bytearray(text))  # an object of its own
        parts = self._tag(text)
        if parts:
            self.told.append(parts)
        self._now = Tag(len(self.told), parts)
        self._made[id(text)] = (text, self._now)
        super().queue(text)
        faults = self._server.faults
        pending = faults._pending.get(self) if faults is not None else None
        for _, item in pending.waiting if pending is not None else ():
            if isinstance(item, bytes) and id(item) not in self._made:  # spoiled, and late besides
                self._made[id(item)] = (item, self._spoiled())

    def put(self, item: Item) -> None:
        if isinstance(item, bytes):
            found = self._made.get(id(item))
            self.tags.append(found[1] if found else self._spoiled())
        super().put(item)

    def _spoiled(self) -> Tag:
        """Of a frame that is not the one that was queued."""
        kind = self._log.faults[-1].kind
        return self._now._replace(is_odd=kind not in ("stale_clock", "oversize"))


class _End(asyncio.Transport):
    """What the venue writes goes to the client, late and in pieces."""

    def __init__(self, wire: VirtualConnection) -> None:
        super().__init__()
        self._wire: VirtualConnection | None = wire

    def write(self, data: Any) -> None:
        if self._wire is not None:
            self._wire.travel(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self._wire is None

    def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.travel(None)

    def abort(self) -> None:
        self.close()


class Net:
    """The way between feeds and one venue: what it takes and what chance does to it."""

    def __init__(
        self,
        loop: VirtualLoop,
        server: WsServer,
        random: Random,
        *,
        tag: Tagger,
        listener: Listener,
    ) -> None:
        self.loop, self.server, self.random = loop, server, random
        self.tag, self.listener = tag, listener
        self.opened = 0

    def latency_ns(self) -> int:
        """Of one connection: some are always nearer than others."""
        return self.random.choice((300_000, 1_000_000, 3_000_000, 20_000_000))


class Listener:
    """Who wants to know what the clients get."""

    def opened(self, link: TaggedLink) -> None:
        """A handshake was accepted, and the client knows."""

    def came(self, link: TaggedLink, tag: Tag) -> None:
        """A text frame is about to be given to the feed."""

    def rested(self) -> None:
        """A received buffer ended: everything due was published."""

    def closed(self, link: TaggedLink) -> None:
        """The client's end is gone."""


class VirtualConnection:
    """Stands for feeds.connection.Connection. `net` is set before the feed is made."""

    net: Net

    def __init__(
        self,
        url: str,
        *,
        ca_file: Path | None,
        sink: Sink,
        clock: Callable[[], int],
        limit_bytes: int = FRAME_MAX_BYTES,
    ) -> None:
        self._url, self._sink, self._clock, self._limit = url, sink, clock, limit_bytes
        self._over: asyncio.Event | None = None
        self._link: TaggedLink | None = None
        self.close_code = 0

    async def open(self, headers: Mapping[str, str]) -> None:
        """The handshake, bounded in time. Raises FeedError."""
        net = self.net
        self._latency_ns = net.latency_ns()
        self._due_ns = 0
        self._buffer = bytearray()
        self._frames = self.close_code = 0
        self._status: asyncio.Future[int] = net.loop.create_future()
        self._over = asyncio.Event()
        self._link = link = TaggedLink(net.server, net.tag)
        link.reader = self._sink
        self._end = _End(self)
        link.connection_made(self._end)
        told = {
            "Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": KEY.decode(), "Sec-WebSocket-Version": "13", **headers,
        }  # fmt: skip
        lines = [f"GET {urlsplit(self._url).path} HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in told.items()]
        self._say("\r\n".join((*lines, "", "")).encode())
        try:
            async with asyncio.timeout(HANDSHAKE_S):
                status = await self._status
        except TimeoutError as error:
            self._gone()
            raise FeedError("handshake: no answer") from error
        if status != 101:
            self._gone()
            raise Refused(f"handshake: found {status}, wanted 101", status)
        net.opened += 1
        net.listener.opened(link)

    async def closed(self) -> None:
        if self._over is not None:
            await self._over.wait()

    def send(self, text: bytes) -> None:
        self._say(_masked(TEXT, text))

    def ping(self) -> None:
        self._say(_masked(PING, b""))

    def backlog_bytes(self) -> int:
        """Nothing waits: who reads is always quick enough here."""
        return 0

    def drop(self) -> None:
        self._say(_masked(CLOSE, b"\x03\xe9"))
        self._gone()

    # ---- to the venue

    def _say(self, data: bytes) -> None:
        link = self._link
        if link is not None:
            self.net.loop.after_ns(self._latency_ns, lambda: link.data_received(data))

    def _gone(self) -> None:
        link, self._link = self._link, None
        if link is None:
            return
        self.net.listener.closed(link)
        self._end.close()
        self.net.loop.after_ns(self._latency_ns, lambda: link.connection_lost(None))
        if self._over is not None:
            self._over.set()

    # ---- from the venue

    def travel(self, data: bytes | None) -> None:
        """Bytes were written (None: the end): they come later, in order, in pieces."""
        net, link = self.net, self._link
        pieces: list[bytes | None] = [data]
        if data is not None and len(data) > 1 and net.random.random() < 0.3:
            at = net.random.randrange(1, len(data))
            pieces = [data[:at], data[at:]]
        for piece in pieces:
            jitter_ns = net.random.randrange(200_000)
            now_ns = net.loop.now_ns()
            self._due_ns = max(self._due_ns + 1_000, now_ns + self._latency_ns + jitter_ns)
            net.loop.after_ns(self._due_ns - now_ns, partial(self._come, link, piece))

    def _come(self, link: TaggedLink | None, piece: bytes | None) -> None:
        if link is None or link is not self._link:
            return  # it was dropped meanwhile
        if piece is None:
            if not self._status.done():
                self._status.set_result(0)
            self._gone()
            return
        self._buffer += piece
        if not self._status.done():
            self._answer()
        if self._status.done() and self._buffer:
            self._read(link)

    def _answer(self) -> None:
        head, end, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        if end:
            self._buffer = bytearray(rest)
            self._status.set_result(int(head.split(b" ", 2)[1]))

    def _read(self, link: TaggedLink) -> None:
        """Every whole frame of the buffer, as one received buffer."""
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        for place, (opcode, payload) in enumerate(frames):
            last = place == len(frames) - 1
            if link is not self._link:
                return
            if opcode == TEXT and payload is not None:
                tag, self._frames = link.tags[self._frames], self._frames + 1
                self.net.listener.came(link, tag)
                self._sink.on_text(memoryview(payload), self._clock(), last)
            elif opcode in (PING, PONG):
                if opcode == PING:
                    self._say(_masked(PONG, payload or b""))
                self._sink.on_alive(self._clock(), last)
            else:
                if payload is None:
                    self._sink.on_oversize()
                self.close_code = int.from_bytes((payload or b"")[:2], "big")
                self._gone()
                return
        if frames:
            self.net.listener.rested()

    def _next(self) -> tuple[int, bytes | None] | None:
        """(opcode, payload) of the next whole frame. A payload None: beyond the limit."""
        have = self._buffer
        if len(have) < 2:
            return None
        opcode, size, at = have[0] & 0x0F, have[1] & 0x7F, 2
        if have[0] & 0x70:
            have.clear()
            return CLOSE, b""  # compressed, and nobody agreed to it
        if size >= 126:
            wide = 2 if size == 126 else 8
            if len(have) < 2 + wide:
                return None
            size, at = int.from_bytes(have[2 : 2 + wide], "big"), 2 + wide
        if size > self._limit:
            self._buffer.clear()
            return CLOSE, None
        if len(have) < at + size:
            return None
        payload = bytes(have[at : at + size])
        del have[: at + size]
        return opcode, payload


def _masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame; the mask is zeros, which change nothing."""
    size = len(payload)
    wide = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + wide + bytes(4) + payload
