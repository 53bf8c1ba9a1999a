"""REST without a machine: stands for the feed's client, answered by the venue's own routes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import TracebackType
from urllib.parse import urlsplit

import orjson
from multidict import MultiDict

from feeds.limits import BODY_MAX_BYTES, TOTAL_S
from feeds.rest import StatusError
from feeds.update import FeedError
from ops.venues.faults_inject import Injector
from ops.venues.faults_rest import Reply, refused, spoiled
from ops.venues.rest import Call, Handler, Routes
from tests.feeds.virtual import VirtualLoop


class VirtualRest:
    """Stands for feeds.rest.Rest: the simulated venue's own routes and faults, no socket."""

    loop: VirtualLoop
    random: Random
    routes: Routes
    not_found: Handler
    faults: Injector
    hung_ns = 0  # until when the last request without an answer waits

    def __init__(self, base_url: str, *, ca_file: Path | None, **limits: int) -> None:
        self._base = urlsplit(base_url).path.rstrip("/")

    async def __aenter__(self) -> VirtualRest:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def get(
        self,
        path: str,
        params: Mapping[str, str | list[str]] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> bytes:
        """As the client would: the body of a 200, FeedError for all else."""
        pairs = [
            (name, text)
            for name, value in (params or {}).items()
            for text in ([value] if isinstance(value, str) else value)
        ]
        return await self._bounded("GET", path, MultiDict(pairs), b"")

    async def ask(self, path: str, body: bytes) -> bytes:
        """The same for a POST."""
        return await self._bounded("POST", path, MultiDict(), body)

    async def _bounded(self, method: str, path: str, query: MultiDict[str], body: bytes) -> bytes:
        try:
            async with asyncio.timeout(TOTAL_S):
                await asyncio.sleep(self.random.choice((0.001, 0.005, 0.03)))
                reply = await self._reply(method, self._base + path, query, body)
                await asyncio.sleep(self.random.choice((0.001, 0.005, 0.03)))
        except TimeoutError as error:
            raise FeedError(f"{method} {path}: TimeoutError") from error
        if reply.status != 200:
            raise StatusError(f"{method} {path}: found {reply.status}", reply.status, 0)
        if reply.cut_at is not None or len(reply.payload) > BODY_MAX_BYTES:
            raise FeedError(f"GET {path}: body: found more or less than was said")
        return reply.payload

    async def _reply(self, method: str, path: str, query: MultiDict[str], body: bytes) -> Reply:
        hit = self.faults.request(method, path, body=None)
        if hit is not None:
            reply = refused(hit, self.faults)
        else:
            reply = self._answer(method, path, query, body)
            hit = self.faults.request(method, path, body=reply.payload)
            if hit is not None:
                reply = spoiled(reply, hit, self.faults)
        if reply.is_silent:
            VirtualRest.hung_ns = self.loop.now_ns() + int(TOTAL_S * 1e9)
            await asyncio.sleep(2 * TOTAL_S)
        await asyncio.sleep(reply.delay_ms / 1_000)
        return reply

    def _answer(self, method: str, path: str, query: MultiDict[str], body: bytes) -> Reply:
        found = self.routes.find(method, path)
        handler, names = found if found else (self.not_found, {})
        answer = handler(Call(method, path, query, {}, body, self.loop.now_ns(), names))
        payload = b"" if answer.body is None else orjson.dumps(answer.body)
        return Reply(answer.status, payload, dict(answer.headers))
