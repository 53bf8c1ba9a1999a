"""The venues' side of `fire`: one light process that speaks WebSocket over TLS on loopback.

What it will send is made, framed and encrypted ahead, each frame in a TLS record of its own as a
venue's server writes it; while it sends, a millisecond's frames are one `send` of ready bytes. So
its cost is that of the kernel's socket and nothing is held back by Python. Nothing is read
meanwhile: pings of the feeds go unanswered, which the data makes good.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import socket
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench.fire_streams import STREAMS, Left, Stream

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
TURN_NS = 1_000_000  # between sends
HANDSHAKE_S, DRAIN_S = 60.0, 60.0
READ_BYTES = 1 << 16
TEXT, PING, PONG = 1, 9, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSpec:
    """`feeds`: whom to play; `core` < 0: anywhere."""

    feeds: tuple[str, ...]
    cert: Path
    key: Path
    core: int = -1


def framed(payload: bytes, opcode: int = TEXT) -> bytes:
    """One unmasked frame."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


@dataclass(slots=True)
class Load:
    """Bytes ready for the wire, and where in them each frame ends."""

    sealed: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list)
    left: Left = field(default_factory=dict)


class Link:
    """One feed's connection."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, stream: Stream) -> None:
        self.socket, self._stream = plain, stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._heard = b""
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(HANDSHAKE_S)
        self._shake()
        plain.setblocking(False)

    def _shake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._in.write(self.socket.recv(READ_BYTES))
            else:
                break
        head = b""
        while b"\r\n\r\n" not in head:
            try:
                head += self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                self._flush()
                self._in.write(self.socket.recv(READ_BYTES))
        lines = (line.partition(b":") for line in head.split(b"\r\n"))
        names = {name.strip().lower(): value.strip() for name, _, value in lines}
        digest = hashlib.sha1(names[b"sec-websocket-key"] + GUID, usedforsecurity=False).digest()
        self._tls.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        self._flush()

    def _flush(self) -> None:
        if self._out.pending:
            self.socket.sendall(self._out.read())

    def answer(self) -> bool:
        """Read what the feed says and answer it. False: the feed has gone."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._in.write(data)
        try:
            while data:
                self._heard += self._tls.read(READ_BYTES)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            return False
        pong = b""
        for opcode, payload in self._frames():
            replies = self._stream.answer(payload) if opcode == TEXT else []
            for reply in [framed(each) for each in replies]:
                self._tls.write(reply)
            if opcode == PING:
                pong = framed(payload, PONG)
        if pong:  # one for all that waited: more than ten a second would end the link
            self._tls.write(pong)
        self.socket.setblocking(True)
        self._flush()
        self.socket.setblocking(False)
        return bool(data)

    def _frames(self) -> Iterable[tuple[int, bytes]]:
        """Whole frames of a client among what was heard."""
        found, heard = [], self._heard
        while len(heard) >= 2:
            size, at = heard[1] & 127, 2
            if size == 126:
                size, at = int.from_bytes(heard[2:4], "big"), 4
            if len(heard) < at + 4 + size:
                break
            mask, body = heard[at : at + 4], heard[at + 4 : at + 4 + size]
            payload = bytes(byte ^ mask[place & 3] for place, byte in enumerate(body))
            found.append((heard[0] & 15, payload))
            heard = heard[at + 4 + size :]
        self._heard = heard
        return found

    def load(self, frames: list[bytes], dropped: int) -> Load:
        """Encrypt them in order; the one at `dropped` (-1: none) never gets there."""
        made = Load(left=self._stream.left())
        write, out = self._tls.write, self._out
        for place, frame in enumerate(frames):
            if place != dropped:
                write(frame)
            if out.pending > READ_BYTES:
                made.sealed += out.read()
            made.ends.append(len(made.sealed) + out.pending)
        made.sealed += out.read()
        return made


class Sender:
    """The process: `serve` until told to stop."""

    def __init__(self, conn: Connection, spec: SenderSpec) -> None:
        self._conn = conn
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(spec.cert, spec.key)
        self._context.num_tickets = 0
        self._streams: dict[str, Stream] = {name: STREAMS[name]() for name in spec.feeds}
        self._listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in spec.feeds}
        self._links: dict[str, Link] = {}
        self._made: dict[str, list[bytes]] = {}
        self._loads: dict[str, Load] = {}
        self.connects = 0

    def serve(self) -> None:
        """Answer the feeds; do what the other end of the pipe says."""
        self._conn.send({name: one.getsockname()[1] for name, one in self._listeners.items()})
        while True:
            watched: list[Any] = [self._conn, *self._listeners.values()]
            if not self._loads:  # an answer now would overtake what is encrypted already
                watched += [link.socket for link in self._links.values()]
            ready, _, _ = select.select(watched, [], [], 1)
            for name, listener in self._listeners.items():
                if listener in ready:
                    self.connects += 1
                    plain = listener.accept()[0]
                    self._links[name] = Link(plain, self._context, self._streams[name])
            for name, link in list(self._links.items()):
                if link.socket in ready and not link.answer():
                    del self._links[name]
            if self._conn in ready:
                word, *told = self._conn.recv()
                if word == "stop":
                    return
                self._conn.send(getattr(self, word)(*told))

    def make(self, count: int, begin_ms: int, per_s: float) -> int:
        """Frames of each feed as plain text; how many bytes they are."""
        for name, stream in self._streams.items():
            self._made[name] = [framed(each) for each in stream.frames(count, begin_ms, per_s)]
        return sum(len(frame) for each in self._made.values() for frame in each)

    def seal(self, drop: str) -> dict[str, Left]:
        """Encrypt them for the connections there are; what they leave. `drop`: a feed that is not
        given one frame of the middle."""
        for name, link in self._links.items():
            frames = self._made.pop(name)
            dropped = len(frames) // 2 if name == drop else -1
            self._loads[name] = link.load(frames, dropped)
        return {name: load.left for name, load in self._loads.items()}

    def go(self, start_ns: int, per_s: float) -> dict[str, Any]:
        """Send on schedule from `start_ns` on (machine time). How many frames left for each feed,
        how late the latest, and CPU time; a feed that has gone gets no more."""
        works = [
            (self._links[name].socket, memoryview(load.sealed), load.ends)
            for name, load in self._loads.items()
        ]
        sent, at_frame = [0] * len(works), [0] * len(works)
        late_ns = held = 0
        now_ns, cpu_ns = time.monotonic_ns, time.process_time_ns()
        total = max(len(ends) for _, _, ends in works)
        until_ns = start_ns + int(total * 1e9 / per_s + DRAIN_S * 1e9)
        turn = 0
        while sent != [len(sealed) for _, sealed, _ in works] and now_ns() < until_ns:
            turn += 1
            wait_ns = start_ns + turn * TURN_NS - now_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            since_ns = now_ns() - start_ns
            due = min(int(since_ns * per_s / 1e9), total)
            late_ns = max(late_ns, since_ns - turn * TURN_NS)
            for place, (link, sealed, ends) in enumerate(works):
                end = ends[min(due, len(ends)) - 1] if due else 0
                try:
                    while sent[place] < end:
                        sent[place] += link.send(sealed[sent[place] : end])
                except BlockingIOError:
                    held += 1
                    continue
                except OSError:
                    sent[place] = len(sealed)  # gone: what it did not get shows
                    continue
                at_frame[place] = due
            turn = max(turn, (now_ns() - start_ns) // TURN_NS)
        self._loads.clear()
        return {
            "sent": dict(zip(self._links, at_frame, strict=True)), "late_ns": late_ns,
            "held": held, "ended_ns": now_ns(), "cpu_ns": time.process_time_ns() - cpu_ns,
            "connects": self.connects,
        }  # fmt: skip


def serve_process(conn: Connection, spec: SenderSpec) -> None:
    """Target of the process."""
    if spec.core >= 0:
        os.sched_setaffinity(0, {spec.core})
    Sender(conn, spec).serve()
