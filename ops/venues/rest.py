"""The venues' HTTP side: aiohttp's low-level server, a small router, a stamp when the last bytes
of a request came.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
from aiohttp import web
from multidict import MultiMapping

from ops.venues.faults import Fault
from ops.venues.faults_inject import Injector
from ops.venues.faults_rest import Reply, arriving, refused, send, spoiled
from ops.venues.session import Clock

KEEP_ALIVE_S = 300.0
MS_PER_S = 1_000


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
Way = Callable[[Call, Handler], Awaitable[Answer]]


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
    """Notes when bytes came, before anything is parsed; and is where they may be cut."""

    server: RestServer
    read_ns = 0
    is_cut = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.server.lines.add(self)
        if self.server.is_shut:
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.server.lines.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.read_ns = self.server.clock()
        faults = self.server.faults
        if self.is_cut:
            return
        if faults is not None and not faults.is_idle and (hit := _arrives(faults, data)):
            self.is_cut = True
            if part := arriving(data, hit, faults):
                super().data_received(part)
            self.abort()
            return
        super().data_received(data)

    def abort(self) -> None:
        """Drop the connection, whatever is still to be sent."""
        if self.transport is not None:
            self.transport.abort()


def _arrives(faults: Injector, data: bytes) -> Fault | None:
    """The fault that hits these bytes, if they begin a request."""
    method, _, rest = data.partition(b" ")
    path, mark, asked = rest.partition(b" ")
    if not mark or not method.isalpha():
        return None
    return faults.arrives(method.decode(), path.partition(b"?")[0].decode("latin-1"), asked)


class _StampedServer(web.Server):
    owner: RestServer

    def __call__(self) -> web.RequestHandler:
        handler = _Stamped(self, loop=self._loop, **self._kwargs)
        handler.server = self.owner
        return handler


class RestServer:
    """One HTTP port. `not_found` answers what no route matches; `after` runs once an answer is
    made (flushes frames); `on_answer` hears method, target and status of every request; `key_of`
    says which order a request places, None: none; `on_unhandled` hears of an order that a fault
    kept from being handled: key, when it was read, the fault's kind.
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
        key_of: Callable[[Call], str | None] = lambda _: None,
        on_unhandled: Callable[[str, int, str], None] = lambda *_: None,
    ) -> None:
        self._routes = routes
        self._not_found = not_found
        self._after = after
        self.clock = clock
        self._key_of, self._on_unhandled = key_of, on_unhandled
        self.lines: set[_Stamped] = set()
        self.is_shut = False
        self._on_answer = on_answer
        self._reply_delay_ns = reply_delay_ns
        self.faults: Injector | None = None
        self.way: Way | None = None  # that a request has to go before it is answered
        self._http: _StampedServer | None = None
        self._server: asyncio.Server | None = None

    async def listen(self, context: ssl.SSLContext | None) -> int:
        """Bind a free port of 127.0.0.1 and return it."""
        loop = asyncio.get_running_loop()
        self._http = _StampedServer(
            self._serve, access_log=None, keepalive_timeout=KEEP_ALIVE_S, tcp_keepalive=False
        )
        self._http.owner = self
        self._server = await loop.create_server(self._http, "127.0.0.1", 0, ssl=context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        if self._server:
            self._server.close()
        if self._http:
            await self._http.shutdown(timeout=0.2)

    def shut(self, is_shut: bool = True) -> None:
        """Reset every connection and take no new ones, until it is opened again."""
        self.is_shut = is_shut
        for line in list(self.lines) if is_shut else ():
            line.abort()

    def _answer(self, call: Call) -> Answer:
        """What the venue says to it now."""
        found = self._routes.find(call.method, call.path)
        if not found:
            return self._not_found(call)
        handler, call.params = found
        return handler(call)

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if request.can_read_body else b""
        protocol = request.protocol
        assert isinstance(protocol, _Stamped)
        path, mark, _ = request.raw_path.partition("?")
        query = request.query if mark else {}
        call = Call(request.method, path, query, request.headers, body, protocol.read_ns)
        faults = None if self.faults is None or self.faults.is_idle else self.faults
        order = "" if faults is None else self._key_of(call)
        hit = None if faults is None else faults.request(
            call.method, path, body=None, asked=body, key=order or ""
        )  # fmt: skip
        if hit is not None and hit.kind == "late":
            await asyncio.sleep((hit.delay_ms or 0) / MS_PER_S)
        elif faults is not None and hit is not None:
            reply = refused(hit, faults)
            if order is not None:
                self._on_unhandled(order, call.read_ns, hit.kind)
            self._on_answer(call.method, request.raw_path, reply.status)
            return await send(request, reply)
        if self.way is None:
            answer = self._answer(call)
        else:
            answer = await self.way(call, self._answer)
        self._on_answer(call.method, request.raw_path, answer.status)
        asyncio.get_running_loop().call_soon(self._after)  # the answer first, then the frames
        if answer.is_order and self._reply_delay_ns:
            await asyncio.sleep(self._reply_delay_ns / 1e9)
        payload = b"" if answer.body is None else orjson.dumps(answer.body)
        headers = {"Content-Type": "application/json", **answer.headers}
        if faults is not None and (hit := faults.request(
            call.method, path, body=payload, asked=body, key=order or ""
        )):  # fmt: skip
            return await send(request, spoiled(Reply(answer.status, payload, headers), hit, faults))
        return web.Response(status=answer.status, body=payload, headers=headers)
