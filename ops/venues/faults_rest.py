"""Faults of REST: an answer that is refused, late, spoiled, cut, or never comes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from ops.venues import faults_frames as frames
from ops.venues.faults import Fault
from ops.venues.faults_inject import Injector, status_body

LOOK_S = 0.05  # between looks at whether the client has given up
SECOND_MS = 1_000


@dataclass(slots=True)
class Reply:
    """An answer as it goes on the wire. `cut_at`: so many bytes of it, then the connection is
    gone; -1: not even its head. `is_silent`: none. `is_raw`: the payload alone, no HTTP.
    """

    status: int
    payload: bytes
    headers: dict[str, str] = field(default_factory=dict)
    delay_ms: int = 0
    cut_at: int | None = None
    is_silent: bool = False
    is_raw: bool = False


def refused(fault: Fault, faults: Injector) -> Reply:
    """What a request is told that is hit before it is handled."""
    if fault.kind == "half_open":
        return Reply(0, b"", is_silent=True)
    if fault.kind == "garbage":
        return Reply(0, faults.noise(), is_raw=True)
    headers = {"Content-Type": "application/json"}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    assert fault.status is not None
    return Reply(fault.status, orjson.dumps(status_body(fault)), headers)


def spoiled(reply: Reply, fault: Fault, faults: Injector) -> Reply:
    """The answer to a request that was handled, with the fault in it."""
    if fault.kind in ("status", "garbage"):
        return refused(fault, faults)
    if fault.kind == "silence":
        reply.is_silent = True
    elif fault.kind == "delay":
        reply.delay_ms = fault.delay_ms or 0
    elif fault.kind == "cut":
        reply.cut_at = -1 if fault.point == "executed" else faults.place(len(reply.payload))
    elif fault.kind == "bomb" and fault.how == "deflate":
        reply.payload = frames.deflated(fault.bytes, is_http=True)
        reply.headers["Content-Encoding"] = "gzip"
    elif fault.kind == "bomb":
        reply.payload = frames.nested(reply.payload, fault.depth)
    else:
        reply.payload = frames.spoil(fault, reply.payload) or reply.payload
    return reply


def arriving(data: bytes, fault: Fault, faults: Injector) -> bytes:
    """What is read of a request whose bytes are cut: then its connection is gone."""
    if fault.point == "unread":
        return b""
    return data[: fault.bytes if fault.bytes < len(data) else faults.place(len(data))]


async def send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send it, or what the fault leaves of it."""
    if reply.delay_ms:
        await asyncio.sleep(reply.delay_ms / SECOND_MS)
    while reply.is_silent and request.transport is not None:
        await asyncio.sleep(LOOK_S)
    if reply.is_silent:
        return web.Response()  # nobody is there to read it
    if reply.is_raw or reply.cut_at == -1:
        if request.transport is not None:
            if reply.is_raw:
                request.transport.write(reply.payload)
            request.transport.close()
        return web.Response()
    if reply.cut_at is None:
        return web.Response(status=reply.status, body=reply.payload, headers=reply.headers)
    answer = web.StreamResponse(status=reply.status, headers=reply.headers)
    answer.content_length = len(reply.payload)
    await answer.prepare(request)
    await answer.write(reply.payload[: reply.cut_at])
    if request.transport is not None:
        request.transport.close()
    return answer
