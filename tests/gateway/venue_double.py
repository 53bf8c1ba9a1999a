"""A venue of a few lines on a real TLS socket: scripted answers to orders, a table for reads,
every request kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

RESET, SILENT, HALF, GARBAGE, HOLD = "reset", "silent", "half", "garbage", "hold"
Body = dict[str, object]
Read = tuple[int, object]
Reply = Read | str


@dataclass(slots=True)
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: str
    head: str
    body: bytes
    at: float

    @property
    def json(self) -> dict[str, object]:
        found = orjson.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass(slots=True)
class Double:
    """`script`: the answers to the next POSTs, each a (status, object) or one of the words; a
    function gets the request.

    `reads`: path to (status, object), or a function of the request. `on_order` is called when an
    order's last byte was read.
    """

    context: ssl.SSLContext | None
    script: list[Reply | Callable[[Seen], Reply]] = field(default_factory=list)
    reads: dict[str, Read | Callable[[Seen], Read]] = field(default_factory=dict)
    on_order: Callable[[Seen], None] | None = None
    seen: list[Seen] = field(default_factory=list)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    connections: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def orders(self) -> list[Seen]:
        """The POSTs."""
        return [seen for seen in self.seen if seen.method == "POST"]

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """Drop every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while True:
                seen = await self._read(reader)
                self.seen.append(seen)
                if seen.method == "GET":
                    read = self.reads.get(seen.path, (404, {}))
                    status, found = read if isinstance(read, tuple) else read(seen)
                    _write(writer, status, found)
                    continue
                if self.on_order is not None:
                    self.on_order(seen)
                await self._answer(seen, writer)
        except (asyncio.IncompleteReadError, OSError, ssl.SSLError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split("\r\n", 1)[0].split(" ")
        size = 0
        for line in head.split("\r\n"):
            if line.lower().startswith("content-length:"):
                size = int(line.split(":")[1])
        body = await reader.readexactly(size)
        path, _, query = target.partition("?")
        return Seen(method, path, query, head, body, asyncio.get_running_loop().time())

    async def _answer(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        step = self.script.pop(0)
        if callable(step):
            step = step(seen)
        if isinstance(step, tuple):
            _write(writer, *step)
        elif step == RESET:
            writer.transport.abort()
        elif step == HALF:
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{")
            await writer.drain()
            writer.transport.abort()
        elif step == GARBAGE:
            writer.write(b"\x00\x01 not http at all\r\n\r\n")
        elif step == HOLD:
            await self.release.wait()
            held = self.script.pop(0)
            _write(writer, *_tuple(held(seen) if callable(held) else held))
        else:
            assert step == SILENT


def _tuple(step: Reply) -> tuple[int, object]:
    assert isinstance(step, tuple)
    return step


def _write(writer: asyncio.StreamWriter, status: int, found: object) -> None:
    body = found if isinstance(found, bytes) else orjson.dumps(found)
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
