"""A client of the simulated Kalshi: signed calls and frames as parsed JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import websockets
from websockets.asyncio.client import ClientConnection

from ops.venues.kalshi_ws import WS_PATH
from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.rig import TICKER, KalshiKey, read_lines

KEY = KalshiKey()
BASE = "/trade-api/v2"
ORDERS = f"{BASE}/portfolio/events/orders"
Frame = dict[str, Any]


async def connect(session: rig.Session) -> ClientConnection:
    return await websockets.connect(
        session.url("kalshi", "ws", WS_PATH),
        ssl=session.context,
        additional_headers=KEY.headers("GET", WS_PATH),
    )


async def say(link: ClientConnection, cmd: str, number: int = 1, **params: Any) -> None:
    await link.send(json.dumps({"id": number, "cmd": cmd, "params": params}))


async def hear(link: ClientConnection, count: int) -> list[Frame]:
    """The next frames; each is one JSON line ending with a newline."""
    frames = []
    for _ in range(count):
        text = await asyncio.wait_for(link.recv(), 60)
        assert isinstance(text, str)
        assert text.endswith("\n")
        frames.append(json.loads(text))
    return frames


def run(
    tls: TlsPaths, script: rig.ToyScript, body: Callable[..., Awaitable[None]], **options: Any
) -> None:
    """Run `body(session)` beside the venues of `script`."""
    session = rig.session(tls, KEY, script, **options)
    try:
        asyncio.run(asyncio.wait_for(body(session), 200))
    finally:
        session.stop()


def recorded_frames() -> dict[str, Frame]:
    """Recorded or documented frames by type."""
    frames: dict[str, Frame] = {}
    for name in ("book_demo_yes_scale_prices", "channel_examples", "control_replies"):
        for frame in read_lines(reference(f"fixtures/kalshi/ws/{name}.jsonl")):
            frames.setdefault(frame["type"], frame)
    return frames


def order(client_order_id: str, side: str, price: str, count: str, **changes: Any) -> Frame:
    return {
        "ticker": TICKER,
        "client_order_id": client_order_id,
        "side": side,
        "count": count,
        "price": price,
        "time_in_force": "immediate_or_cancel",
        "self_trade_prevention_type": "taker_at_cross",
        **changes,
    }


async def call(
    session: rig.Session,
    method: str,
    path: str,
    *,
    headers: dict[str, str] | None = None,
    query: str = "",
    body: Frame | None = None,
) -> tuple[int, Any]:
    """One signed request; `headers` replaces the good ones."""
    if headers is None:
        headers = KEY.headers(method, path)
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=session.context)) as client,
        client.request(
            method, session.url("kalshi", "rest", path) + query, json=body, headers=headers
        ) as reply,
    ):
        text = await reply.text()
        return reply.status, json.loads(text) if text else None


async def post(session: rig.Session, body: Frame) -> tuple[int, Any]:
    return await call(session, "POST", ORDERS, body=body)


async def get(session: rig.Session, path: str, query: str = "") -> tuple[int, Any]:
    return await call(session, "GET", BASE + path, query=query)
