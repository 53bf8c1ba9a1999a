"""Real sockets on loopback for the tests of the files that touch them: TLS, WebSocket, REST."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import websockets
from websockets.asyncio.server import ServerConnection, serve

from ops.venues.tls import TlsPaths, make_tls

Handler = Callable[[ServerConnection], Awaitable[None]]
LIMIT_S = 60.0  # of waiting for anything in a test


def authority(folder: Path) -> TlsPaths:
    """A throw-away authority and a certificate of localhost."""
    return make_tls(folder)


def server_context(paths: TlsPaths) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(paths.cert, paths.key)
    return context


@contextlib.asynccontextmanager
async def ws_server(handler: Handler, paths: TlsPaths | None = None) -> AsyncIterator[str]:
    """A WebSocket server of another library; gives its address."""
    context = server_context(paths) if paths else None
    async with serve(
        handler, "127.0.0.1", 0, ssl=context, compression=None, ping_interval=None,
        close_timeout=0.2,
    ) as server:  # fmt: skip
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"{'wss' if paths else 'ws'}://localhost:{port}/ws"


async def until(holds: Callable[[], object], *, each: Callable[[], object] = lambda: None) -> None:
    """Turn the loop until `holds`, calling `each` before each look; fails after LIMIT_S."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            each()
            if holds():
                return
            await asyncio.sleep(0.005)


async def listen(socket: ServerConnection) -> list[str]:
    """Read until the client is gone; what it said."""
    said: list[str] = []
    with contextlib.suppress(websockets.ConnectionClosed):
        while True:
            said.append(str(await socket.recv()))
    return said
