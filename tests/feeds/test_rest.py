"""The REST client against a server on loopback: bounded in size and time, nothing followed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from feeds import rest
from feeds.rest import Rest
from feeds.update import FeedError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ask(handler: Handler, *paths: str, **limits: int) -> list[bytes]:
    """GET each path of a server with this handler."""

    async def main() -> list[bytes]:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with Rest(f"http://127.0.0.1:{port}/", ca_file=None, **limits) as client:
                return [await client.get(path, {"a": "1", "b": ["2", "3"]}) for path in paths]
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def test_a_list_repeats_its_parameter() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=f"{request.method} {request.path_qs}".encode())

    assert ask(handler, "/x") == [b"GET /x?a=1&b=2&b=3"]


@pytest.mark.parametrize("status", [204, 301, 400, 404, 429, 500, 503])
def test_anything_but_200_is_an_error_that_names_path_and_status(status: int) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    with pytest.raises(FeedError, match=f"GET /x: status: found {status}"):
        ask(handler, "/x")


def test_a_body_beyond_the_limit_is_refused_one_at_the_limit_is_not() -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.path[1:]))

    assert ask(handler, "/100", body_max_bytes=100) == [b"x" * 100]
    with pytest.raises(FeedError, match="more than 100 bytes"):
        ask(handler, "/101", body_max_bytes=100)


def test_an_answer_that_does_not_come_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "TOTAL_S", 0.05)
    never = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        await asyncio.wait_for(never.wait(), 1)
        return web.Response()

    with pytest.raises(FeedError, match="Timeout"):
        ask(handler, "/x")


def test_a_server_that_is_not_there_is_an_error() -> None:
    async def main() -> None:
        async with Rest("http://127.0.0.1:9", ca_file=None) as client:
            await client.get("/x")

    with pytest.raises(FeedError, match="GET /x"):
        asyncio.run(main())


def test_the_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=b"direct")

    assert ask(handler, "/x") == [b"direct"]
