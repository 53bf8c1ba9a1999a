"""What the tests of the simulated exchanges share: a GET, a frame, recorded frames by name."""

from __future__ import annotations

import asyncio
import http.client
import json
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection

from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import read_lines


def get(session: rig.Session, venue: str, path: str, **headers: str) -> tuple[int, Any, Any]:
    """(status, body, headers) of one request."""
    port = session.ports[venue]["rest"]
    link = http.client.HTTPSConnection("127.0.0.1", port, context=session.context, timeout=60)
    try:
        link.request("GET", path, headers=headers)
        answer = link.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers
    finally:
        link.close()


async def connect(
    session: rig.Session, venue: str, path: str, kind: type[ClientConnection] = ClientConnection
) -> ClientConnection:
    url = session.url(venue, "ws", path)
    return await websockets.connect(url, ssl=session.context, create_connection=kind)


async def hear(link: ClientConnection) -> Any:
    return json.loads(await asyncio.wait_for(link.recv(), 60))


async def hear_until(link: ClientConnection, holds: Any) -> Any:
    """The first frame for which it holds."""
    while not holds(frame := await hear(link)):
        pass
    return frame


def rows(file: str) -> dict[str, Any]:
    """The lines of a fixture file by their id."""
    return {row["id"]: row for row in read_lines(reference(f"fixtures/spot/{file}"))}
