"""The venues' HTTP side: aiohttp's low-level server, a small router, a stamp when the last bytes
of a request came.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web
from multidict import MultiMapping

from ops.venues.faults_inject import Injector
from ops.venues.faults_rest import Reply, refused, send, spoiled
from ops.venues.session import Clock

KEEP_ALIVE_S = 300.0


@dataclass(slots=True)
class Call:
    """One request. `path` has no query string; `read_ns` is the machine stamp of its last bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    read_ns: int
    params: Mapping[str, str] = field(default_factory=dict)

    def all_of(self, name: str) -> list[str]:
        """Every value of a query parameter that may be repeated."""
        if isinstance(self.query, MultiMapping):
            return list(self.query.getall(name, []))
        return [self.query[name]] if name in self.query else []

    def json(self) -> Any:
        """The parsed body, None: it is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


@dataclass(slots=True)
class Answer:
    """`body` None: no content. `is_order`: the answer to an order, held back by the reply delay."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_order: bool = False


Handler = Callable[[Call], Answer]


class Routes:
    """(method, path pattern) to handler; `{name}` matches one segment."""

    def __init__(self) -> None:
        self._exact: dict[tuple[str, str], Handler] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        if "{" in path:
            pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path) + r"\Z")
            self._patterns.append((method, pattern, handler))
        else:
            self._exact[method, path] = handler

    def find(self, method: str, path: str) -> tuple[Handler, Mapping[str, str]] | None:
        handler = self._exact.get((method, path))
        if handler:
            return handler, {}
        for wanted, pattern, candidate in self._patterns:
            found = pattern.match(path) if wanted == method else None
            if found:
                return candidate, {key: unquote(text) for key, text in found.groupdict().items()}
        return None


class _Stamped(web.RequestHandler):
    """Notes when bytes came, before anything is parsed."""

    clock: Clock
    read_ns = 0

    def data_received(self, data: bytes) -> None:
        self.read_ns = self.clock()
        super().data_received(data)


class _StampedServer(web.Server):
    clock: Clock

    def __call__(self) -> web.RequestHandler:
        handler = _Stamped(self, loop=self._loop, **self._kwargs)
        handler.clock = self.clock
        return handler


class RestServer:
    """One HTTP port. `not_found` answers what no route matches; `after` runs once an answer is
    made (flushes frames); `on_answer` hears method, target and status of every request.
    """

    def __init__(
        self,
        *,
        routes: Routes,
        not_found: Handler,
        after: Callable[[], None],
        clock: Clock,
        on_answer: Callable[[str, str, int], None],
        reply_delay_ns: int = 0,
    ) -> None:
        self._routes = routes
        self._not_found = not_found
        self._after = after
        self._clock = clock
        self._on_answer = on_answer
        self._reply_delay_ns = reply_delay_ns
        self.faults: Injector | None = None
        self._http: _StampedServer | None = None
        self._server: asyncio.Server | None = None

    async def listen(self, context: ssl.SSLContext | None) -> int:
        """Bind a free port of 127.0.0.1 and return it."""
        loop = asyncio.get_running_loop()
        self._http = _StampedServer(
            self._serve, access_log=None, keepalive_timeout=KEEP_ALIVE_S, tcp_keepalive=False
        )
        self._http.clock = self._clock
        self._server = await loop.create_server(self._http, "127.0.0.1", 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        if self._server:
            self._server.close()
        if self._http:
            await self._http.shutdown(timeout=0.2)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if request.can_read_body else b""
        protocol = request.protocol
        assert isinstance(protocol, _Stamped)
        path, mark, _ = request.raw_path.partition("?")
        query = request.query if mark else {}
        call = Call(request.method, path, query, request.headers, body, protocol.read_ns)
        faults = self.faults
        if faults is not None and (hit := faults.request(call.method, path, body=None)):
            reply = refused(hit)
            self._on_answer(call.method, request.raw_path, reply.status)
            return await send(request, reply)
        found = self._routes.find(call.method, path)
        if found:
            handler, call.params = found
            answer = handler(call)
        else:
            answer = self._not_found(call)
        self._on_answer(call.method, request.raw_path, answer.status)
        asyncio.get_running_loop().call_soon(self._after)  # the answer first, then the frames
        if answer.is_order and self._reply_delay_ns:
            await asyncio.sleep(self._reply_delay_ns / 1e9)
        payload = b"" if answer.body is None else orjson.dumps(answer.body)
        headers = {"Content-Type": "application/json", **answer.headers}
        if faults is not None and (hit := faults.request(call.method, path, body=payload)):
            return await send(request, spoiled(Reply(answer.status, payload, headers), hit, faults))
        return web.Response(status=answer.status, body=payload, headers=headers)
