"""Connections on real sockets: one answer per request whatever happens, kept warm, back after a
cut; user channels too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from gateway import transport as t
from tests.gateway.venue_double import SILENT, Double

REQUEST = b"POST /order HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
WAIT_NS = 60_000_000_000  # a busy machine is slow, and the clock here stands
WARM = b"GET /time HTTP/1.1\r\nHost: x\r\n\r\n"


class Clock:
    """Stands still but for what a test moves it on."""

    def __init__(self) -> None:
        self.skew_ns = 10**15

    def __call__(self) -> int:
        return self.skew_ns


async def until(holds: Callable[[], bool], turn: Callable[[], object] = lambda: None) -> None:
    end = asyncio.get_running_loop().time() + WAIT_NS / 1e9
    while not holds():
        assert asyncio.get_running_loop().time() < end, "it never held"
        turn()
        await asyncio.sleep(0)


def play(story: Callable[[Double, Clock], Awaitable[None]]) -> None:
    async def whole() -> None:
        double = Double(None)
        await double.start()
        try:
            await story(double, Clock())
        finally:
            await double.stop()

    uvloop.run(whole())


def pool_of(double: Double, clock: Clock, size: int = 2) -> t.Pool:
    address = t.Address(host="127.0.0.1", port=double.port, context=None, connect_max_ns=WAIT_NS)
    return t.Pool(address, clock, size=size, warm=WARM)


async def raw_server(answer: bytes) -> tuple[asyncio.Server, int]:
    """Answers the first bytes of each connection with these bytes."""

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def one_answer(raw: bytes) -> tuple[list[t.Answer], t.Link]:
    """What a caller gets for one request that these bytes answer."""
    server, port = await raw_server(raw)
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: t.Link(Clock(), 1_000), "127.0.0.1", port)
    answers: list[t.Answer] = []
    link.send(REQUEST, answers.append)
    await until(lambda: bool(answers))
    for _ in range(20):
        await asyncio.sleep(0)
    server.close()
    return answers, link


HEAD = b"HTTP/1.1 200 C\r\n"
SHORT = HEAD + b"Content-Length: 2\r\n\r\n{}"
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "status", "error", "stays_open"),
    [
        (SHORT, 200, "", True),
        (CHUNKS, 200, "", True),
        (HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}", 200, "", False),
        (SHORT + SHORT, 200, "", False),
        (SHORT + b"\x00\x01", 200, "", False),
        (b"nonsense\r\n\r\n", 0, "garbage", False),
        (HEAD + b"Content-Length: 2000\r\n\r\n" + b"x" * 2000, 0, "answer of more", False),
    ],
)
def test_each_request_gets_exactly_one_answer(
    raw: bytes, status: int, error: str, stays_open: bool
) -> None:
    answers, link = uvloop.run(one_answer(raw))
    assert len(answers) == 1
    assert answers[0].status == status and answers[0].error.startswith(error)
    assert bool(answers[0].error) == bool(error)
    assert link.is_open is stays_open


def test_how_long_an_answer_may_take_is_a_setting() -> None:
    async def story(double: Double, clock: Clock) -> None:
        address = t.Address(
            host="127.0.0.1", port=double.port, context=None, connect_max_ns=WAIT_NS,
            reply_max_ns=300_000_000,
        )  # fmt: skip
        pool = t.Pool(address, clock, size=1, warm=WARM)
        await until(lambda: pool.free_count == 1, lambda: pool.tick(clock()))
        double.script = [SILENT]
        answers: list[t.Answer] = []
        link = pool.take()
        assert link is not None
        link.send(REQUEST, answers.append)
        clock.skew_ns += 299_999_999
        pool.tick(clock())
        assert not answers
        clock.skew_ns += 1
        pool.tick(clock())
        assert [answer.error for answer in answers] == ["timeout"]
        pool.close()

    play(story)


def test_a_timeout_ends_the_request_and_the_connection() -> None:
    async def story(double: Double, clock: Clock) -> None:
        pool = pool_of(double, clock)
        await until(lambda: pool.free_count == 2, lambda: pool.tick(clock()))
        double.script = [SILENT]
        answers: list[t.Answer] = []
        link = pool.take()
        assert link is not None
        link.send(REQUEST, answers.append)
        assert pool.free_count == 1, "one outstanding request per connection"
        clock.skew_ns += t.REPLY_NS - 1_000_000_000
        pool.tick(clock())
        assert not answers
        clock.skew_ns += 1_000_000_000
        pool.tick(clock())
        assert [answer.error for answer in answers] == ["timeout"]
        clock.skew_ns += t.BACKOFF_MAX_NS
        await until(lambda: pool.free_count == 2, lambda: pool.tick(clock()))
        assert len(double.orders) == 1, "never sent again"
        pool.close()

    play(story)


def test_keeping_warm_takes_one_connection_at_a_time_and_none_of_the_last() -> None:
    async def story(double: Double, clock: Clock) -> None:
        pool = pool_of(double, clock, size=4)
        await until(lambda: pool.free_count == 4, lambda: pool.tick(clock()))
        clock.skew_ns += t.WARM_NS
        for left in (3, 2, 2, 2):
            pool.tick(clock())
            assert pool.free_count == left, "an order finds a free connection at any moment"
        pool.close()

    play(story)


def test_a_try_to_connect_that_dies_of_an_error_is_not_repeated_at_once() -> None:
    async def story(double: Double, clock: Clock) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)  # heard by the process
        address = t.Address(host="localhost", port=double.port, context=None)
        pool = t.Pool(address, clock, size=1, warm=WARM)
        tries = 0
        create = loop.create_connection

        async def counted(*args: object, **more: object) -> object:
            nonlocal tries
            tries += 1
            raise ValueError("a bug of ours")

        loop.create_connection = counted  # type: ignore[method-assign,assignment]
        try:
            for _ in range(20):
                pool.tick(clock())
                await asyncio.sleep(0)
            assert tries == 2, "one seat for orders, one for reads"
        finally:
            loop.create_connection = create  # type: ignore[method-assign]
        pool.close()

    play(story)


def test_idle_connections_are_kept_warm_before_ten_seconds() -> None:
    async def story(double: Double, clock: Clock) -> None:
        pool = pool_of(double, clock)
        await until(lambda: pool.connects == 3, lambda: pool.tick(clock()))
        pool.tick(clock())
        assert pool.free_count == 2 and not double.seen
        clock.skew_ns += t.WARM_NS
        await until(lambda: len(double.seen) == 3, lambda: pool.tick(clock()))
        assert {seen.path for seen in double.seen} == {"/time"} and t.WARM_NS < 10 * 10**9
        await until(lambda: pool.free_count == 2)
        pool.close()

    play(story)


def test_reconnecting_backs_off_and_recovers() -> None:
    async def story(double: Double, clock: Clock) -> None:
        pool = pool_of(double, clock, size=1)
        await until(lambda: pool.connects == 2, lambda: pool.tick(clock()))
        await until(lambda: double.connections == 2)
        made = double.connections
        double.cut()
        await until(lambda: pool.free_count == 0, lambda: pool.tick(clock()))
        for _ in range(50):
            pool.tick(clock())
            await asyncio.sleep(0)
        assert double.connections == made, "not before the back-off is over"
        clock.skew_ns += t.BACKOFF_FIRST_NS
        await until(lambda: pool.free_count == 1, lambda: pool.tick(clock()))
        assert pool.connects >= 3
        pool.close()

    play(story)


def test_a_read_waits_for_its_own_connection_and_never_takes_an_orders() -> None:
    async def story(double: Double, clock: Clock) -> None:
        pool = pool_of(double, clock, size=1)
        double.reads = {"/a": (200, {"n": 1}), "/b": (200, {"n": 2})}
        reads = [
            asyncio.ensure_future(pool.request(f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode()))
            for name in "ab"
        ]
        await until(lambda: all(read.done() for read in reads), lambda: pool.tick(clock()))
        assert [read.result().body for read in reads] == [b'{"n":1}', b'{"n":2}']
        assert pool.free_count == 1
        pool.close()

    play(story)


def test_a_user_channel_subscribes_delivers_and_comes_back() -> None:
    async def story(_double: Double, clock: Clock) -> None:
        told: list[str] = []
        heads: list[str] = []

        async def venue(socket: ServerConnection) -> None:
            assert socket.request is not None
            heads.append(socket.request.headers.get("X-Signed", ""))
            try:
                async for text in socket:
                    told.append(str(text))
                    if text == "subscribe":
                        await socket.send(f"frame {len(heads)}")
                        if len(heads) == 1:
                            await socket.close()
                    if text == "PING":
                        await socket.send("PONG")
            except ConnectionClosed:
                return

        frames: list[bytes] = []
        opened: list[int] = []

        async def handshake() -> dict[str, str]:
            return {"X-Signed": f"set {len(heads)}"}

        async with serve(venue, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            channel = t.Channel(
                f"ws://127.0.0.1:{port}/ws/user",
                None,
                clock=clock,
                handshake=handshake,
                subscription=lambda: [b"subscribe"],
                on_frame=lambda frame, _ns: frames.append(frame),
                on_open=lambda: opened.append(1),
                text_ping=b"PING",
            )
            task = asyncio.ensure_future(channel.run())
            await until(lambda: b"frame 2" in frames and b"PONG" in frames)
            assert heads == ["set 0", "set 1"], "each handshake is signed anew"
            assert len(opened) == 2 and channel.connects == 2 and b"frame 1" in frames
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    play(story)
