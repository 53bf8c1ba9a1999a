"""The floor of the path: a bare program that, on a frame, writes two ready requests to two TLS
connections.

The requests are real: signed, for markets of their own, as long as the engine's, filled by the same
venues. They are made between frames, so that nothing but the two writes lies between the stamps.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import orjson
import picows

from ops.sim import HOST, KALSHI_WS

ANSWER_MAX_BYTES = 1 << 20


@dataclass(slots=True)
class Shot:
    """One frame answered with two requests."""

    event_epoch_ns: int
    keys: tuple[str, str]
    bytes: tuple[int, int] = (0, 0)
    recv_ns: int = 0
    first_ns: int = 0
    send_ns: int = 0


class Wire(asyncio.Protocol):
    """One warm connection. Answers are counted, not read: the venues' log says what became of the
    orders."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.answered = 0
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self.transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """An answer begins with a status line."""
        self.answered += data.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Shows as an answer that is missing."""
        self.is_open = False


def _same(wire: Wire) -> Wire:
    """What a connection is made with."""
    return wire


@dataclass(slots=True)
class Ready:
    """Two requests, made ahead for the gap of a moment: (key, bytes) of each venue."""

    event_epoch_ns: int
    kalshi: tuple[str, bytes]
    polymarket: tuple[str, bytes]


class _Listener(picows.WSListener):
    def __init__(self, floor: Floor) -> None:
        super().__init__()
        self._floor = floor

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        recv_ns = self._floor.clock()
        if self._floor.ready is not None and self._floor.trigger in frame.get_payload_as_bytes():
            self._floor.fire(recv_ns)


@dataclass(slots=True)
class Floor:
    """Fires on a frame that holds `trigger` (nothing is parsed); `ready` None: on none. `legs`: 2;
    fewer only to show that it is noticed."""

    clock: Callable[[], int]
    trigger: bytes
    legs: int = 2
    ready: Ready | None = None
    shots: list[Shot] = field(default_factory=list)
    wires: tuple[Wire, Wire] = field(default_factory=lambda: (Wire(), Wire()))
    socket: picows.WSTransport | None = None

    async def open(
        self, context: ssl.SSLContext, ports: dict[str, dict[str, int]], headers: dict[str, str],
        ticker: str,
    ) -> None:  # fmt: skip
        """Connect both wires, and the market data of one Kalshi market."""
        await self.connect(context, ports)
        url = f"wss://{HOST}:{ports['kalshi']['ws']}{KALSHI_WS}"
        self.socket, _ = await picows.ws_connect(
            lambda: _Listener(self), url, ssl_context=context, extra_headers=headers,
            enable_auto_pong=True, max_redirects=0,
        )  # fmt: skip
        params = {
            "channels": ["orderbook_delta"], "use_yes_price": True, "market_tickers": [ticker],
        }  # fmt: skip
        command = orjson.dumps({"id": 1, "cmd": "subscribe", "params": params})
        self.socket.send(picows.WSMsgType.TEXT, command)

    async def connect(self, context: ssl.SSLContext, ports: dict[str, dict[str, int]]) -> None:
        """Both wires."""
        loop = asyncio.get_running_loop()
        for wire, venue in zip(self.wires, ("kalshi", "polymarket"), strict=True):
            made = functools.partial(_same, wire)
            port = ports[venue]["rest"]
            await loop.create_connection(made, HOST, port, ssl=context, server_hostname=HOST)

    def fire(self, recv_ns: int) -> None:
        """Both writes, and the stamps."""
        ready, self.ready = self.ready, None
        assert ready is not None
        kalshi, polymarket = self.wires
        kalshi.transport.write(ready.kalshi[1])
        first_ns = self.clock()
        if self.legs > 1:
            polymarket.transport.write(ready.polymarket[1])
        send_ns = self.clock()
        keys = (ready.kalshi[0], ready.polymarket[0])
        sizes = (len(ready.kalshi[1]), len(ready.polymarket[1]))
        self.shots.append(Shot(ready.event_epoch_ns, keys, sizes, recv_ns, first_ns, send_ns))

    def close(self) -> None:
        """Drop the connections."""
        for wire in self.wires:
            if wire.is_open:
                wire.transport.abort()
        if self.socket is not None:
            self.socket.disconnect()
