"""A client of the simulated Polymarket: signed calls and both channels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import websockets
from websockets.asyncio.client import ClientConnection

from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import (
    API_KEY,
    CONDITION,
    POLY_SECRET,
    KalshiKey,
    poly_headers,
    read_lines,
)

KEY = KalshiKey()
Body = Callable[[rig.Session], Awaitable[None]]


def run(tls: TlsPaths, script: rig.ToyScript, body: Body, **options: Any) -> dict[str, int]:
    """Run `body` beside the venues of `script`; the venue's counters."""
    session = rig.session(tls, KEY, script, **options)
    try:
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        _, counts = session.stop()
    return counts["polymarket"]


async def connect(session: rig.Session, path: str) -> ClientConnection:
    return await websockets.connect(session.url("polymarket", "ws", path), ssl=session.context)


async def hear(link: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(link.recv(), 60))


async def subscribe(
    session: rig.Session, *tokens: str, custom: bool = False
) -> tuple[ClientConnection, Any]:
    link = await connect(session, "/ws/market")
    first: dict[str, Any] = {"type": "market", "assets_ids": list(tokens)}
    if custom:
        first["custom_feature_enabled"] = True
    await link.send(json.dumps(first))
    return link, await hear(link)


async def call(
    session: rig.Session,
    method: str,
    path: str,
    body: Any = None,
    *,
    query: str = "",
    headers: dict[str, str] | None = None,
) -> tuple[int, Any]:
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    if headers is None:
        headers = poly_headers(method, path, text)
    url = session.url("polymarket", "rest", path) + query
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=session.context)) as client,
        client.request(method, url, data=text or None, headers=headers) as reply,
    ):
        return reply.status, json.loads(await reply.text())


def recorded(name: str) -> dict[str, Any]:
    """Real or documented frames by event type: the first of each in its present form."""
    frames: dict[str, Any] = {}
    for row in read_lines(reference(f"fixtures/polymarket/{name}.jsonl")):
        frame = row.get("frame")
        if (
            isinstance(frame, dict)
            and "event_type" in frame
            and "refresh" not in row.get("note", "")
        ):
            frames.setdefault(frame["event_type"], frame)
    return frames


async def user_channel(
    session: rig.Session, *, whole: bool = False, **changes: str
) -> ClientConnection:
    """A user channel that has been let in."""
    auth = {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase", **changes}
    link = await connect(session, "/ws/user")
    first = {"auth": auth, "type": "user"}
    await link.send(json.dumps(first if whole else {**first, "markets": [CONDITION]}))
    await link.send("PING")
    assert await asyncio.wait_for(link.recv(), 60) == "PONG"
    return link
