"""The one file that touches a WebSocket, against a server of another library on loopback."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Close, Frame, Opcode
from websockets.http11 import Response

from feeds.connection import Connection, tls_context
from feeds.update import FeedError
from tests.feeds.loopback import LIMIT_S, Handler, authority, listen, until, ws_server
from tests.feeds.rig import Clock


class Heard:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.texts: list[tuple[bytes, bool]] = []
        self.alive = 0
        self.oversize = 0

    def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        assert type(last) is bool, "the kernels are compiled for a bool"
        self.texts.append((bytes(payload), last))

    def on_alive(self, recv_ns: int, last: bool) -> None:
        self.alive += 1

    def on_oversize(self) -> None:
        self.oversize += 1


async def raw(socket: ServerConnection, *frames: Frame) -> None:
    """Write several frames at once: they arrive in one buffer."""
    data = b"".join(frame.serialize(mask=False) for frame in frames)
    socket.transport.write(data)


def run(handler: Handler, test: object, *, limit_bytes: int = 1 << 20) -> Heard:
    """Connect to a server with this handler and let `test(connection, heard)` look."""
    heard = Heard()

    async def main() -> None:
        async with ws_server(handler) as url:
            connection = Connection(
                url, ca_file=None, sink=heard, clock=Clock(), limit_bytes=limit_bytes
            )
            await connection.open({})
            await test(connection, heard)  # type: ignore[operator]
            connection.drop()
            await connection.closed()

    asyncio.run(main())
    return heard


def test_frames_joined_in_one_write_end_with_the_last_one() -> None:
    async def handler(socket: ServerConnection) -> None:
        await raw(socket, *(Frame(Opcode.TEXT, text) for text in (b"a\n", b"b\n", b"c\n")))
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        await until(lambda: len(heard.texts) == 3)

    heard = run(handler, test)
    assert heard.texts == [(b"a\n", False), (b"b\n", False), (b"c\n", True)]


@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
def test_a_buffer_that_ends_with_a_control_frame_is_told_apart(opcode: Opcode) -> None:
    """Otherwise the end of the buffer, and with it the moment to publish, would be lost."""

    async def handler(socket: ServerConnection) -> None:
        await raw(socket, Frame(Opcode.TEXT, b"a"), Frame(opcode, b"heartbeat"))
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        await until(lambda: heard.alive == 1)

    assert run(handler, test).texts == [(b"a", False)]


def test_a_ping_of_the_venue_is_answered_with_its_payload() -> None:
    answered = asyncio.Event()

    async def handler(socket: ServerConnection) -> None:
        await (await socket.ping(b"heartbeat"))
        answered.set()
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        await until(answered.is_set)

    run(handler, test)


def test_our_ping_brings_a_pong_that_shows_the_link_alive() -> None:
    async def test(connection: Connection, heard: Heard) -> None:
        connection.ping()
        await until(lambda: heard.alive == 1)

    run(listen, test)  # type: ignore[arg-type]


def test_fragments_are_joined() -> None:
    async def handler(socket: ServerConnection) -> None:
        await raw(
            socket,
            Frame(Opcode.TEXT, b"one ", fin=False),
            Frame(Opcode.CONT, b"mess", fin=False),
            Frame(Opcode.CONT, b"age"),
            Frame(Opcode.TEXT, b"next"),
        )
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        await until(lambda: len(heard.texts) == 2)

    assert run(handler, test).texts == [(b"one message", False), (b"next", True)]


@pytest.mark.parametrize("parts", [1, 4])
def test_a_message_beyond_the_limit_closes_the_link_with_1009(parts: int) -> None:
    seen: list[Close | None] = []

    async def handler(socket: ServerConnection) -> None:
        chunk = b"x" * (5_000 // parts)
        with contextlib.suppress(ConnectionClosed):
            await socket.send([chunk.decode()] * parts if parts > 1 else chunk.decode())
        await listen(socket)
        seen.append(socket.protocol.close_rcvd)

    async def test(connection: Connection, heard: Heard) -> None:
        await asyncio.wait_for(connection.closed(), LIMIT_S)
        await until(lambda: seen)

    heard = run(handler, test, limit_bytes=4_000)
    assert heard.texts == [] and heard.oversize == 1
    assert seen[0] is not None and seen[0].code == 1009


def test_a_message_at_the_limit_is_taken() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send("x" * 4_000)
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        await until(lambda: heard.texts)

    assert len(run(handler, test, limit_bytes=4_000).texts[0][0]) == 4_000


def test_closed_returns_whether_the_venue_says_so_or_just_goes() -> None:
    async def polite(socket: ServerConnection) -> None:
        await socket.close(1001)

    async def rude(socket: ServerConnection) -> None:
        socket.transport.abort()

    async def test(connection: Connection, heard: Heard) -> None:
        await asyncio.wait_for(connection.closed(), LIMIT_S)
        connection.send(b"into the void")
        connection.ping()

    for handler in (polite, rude):
        run(handler, test)


def test_a_refused_connection_is_an_error_that_names_the_address() -> None:
    async def main() -> None:
        connection = Connection("ws://127.0.0.1:9/x", ca_file=None, sink=Heard(), clock=Clock())
        await connection.open({})

    with pytest.raises(FeedError, match=r"127\.0\.0\.1:9"):
        asyncio.run(main())


def test_a_refused_handshake_is_an_error_that_names_the_status() -> None:
    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(refuse, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = Connection(
            f"ws://127.0.0.1:{port}/x", ca_file=None, sink=Heard(), clock=Clock()
        )
        async with server:
            await connection.open({})

    with pytest.raises(FeedError, match="401"):
        asyncio.run(main())


@pytest.mark.parametrize(
    "frames",
    [
        (Frame(Opcode.CONT, b"no start"),),
        (Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.TEXT, b"b")),
    ],
)
def test_fragments_out_of_order_close_the_link(frames: tuple[Frame, ...]) -> None:
    async def handler(socket: ServerConnection) -> None:
        await raw(socket, *frames)
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        await asyncio.wait_for(connection.closed(), LIMIT_S)

    assert run(handler, test).texts == []


def test_headers_reach_the_venue_and_tls_is_verified(tmp_path: Path) -> None:
    paths = authority(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger = authority(other)
    keys: list[str | None] = []

    async def handler(socket: ServerConnection) -> None:
        assert socket.request is not None
        keys.append(socket.request.headers.get("KALSHI-ACCESS-KEY"))
        await listen(socket)

    async def main() -> None:
        async with ws_server(handler, paths) as url:
            for ca_file in (stranger.ca, None):
                connection = Connection(url, ca_file=ca_file, sink=Heard(), clock=Clock())
                with pytest.raises(FeedError, match=r"(?i)certificate|ssl"):
                    await connection.open({})
            numeric = url.replace("localhost", "127.0.0.2")  # not in the certificate
            connection = Connection(numeric, ca_file=paths.ca, sink=Heard(), clock=Clock())
            with pytest.raises(FeedError):
                await connection.open({})
            connection = Connection(url, ca_file=paths.ca, sink=Heard(), clock=Clock())
            await connection.open({"KALSHI-ACCESS-KEY": "id"})
            await until(lambda: keys)
            connection.drop()
            await connection.closed()

    asyncio.run(main())
    assert keys == ["id"]


def test_an_unreadable_authority_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(FeedError, match="ca_file"):
        tls_context(tmp_path / "none.pem")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(FeedError, match="ca_file"):
        tls_context(tmp_path / "bad.pem")


def test_key_logging_is_not_taken_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert tls_context(None).keylog_filename is None


@pytest.mark.parametrize(("pings", "is_refused"), [(10, False), (11, True)])
def test_more_than_ten_control_frames_a_second_end_the_link(pings: int, is_refused: bool) -> None:
    codes: list[int] = []

    async def handler(socket: ServerConnection) -> None:
        await raw(socket, *(Frame(Opcode.PING, b"x") for _ in range(pings)))
        await raw(socket, Frame(Opcode.TEXT, b"a"))
        await listen(socket)
        codes.append(socket.close_code or 0)

    async def test(connection: Connection, heard: Heard) -> None:
        await until(lambda: codes if is_refused else heard.texts)

    assert run(handler, test).texts == ([] if is_refused else [(b"a", True)])
    assert codes[0] == (1008 if is_refused else 1001)


def test_what_is_not_read_yet_can_be_seen() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.recv()
        for _ in range(50):
            await raw(socket, Frame(Opcode.TEXT, b"x" * 4_000))
        await listen(socket)

    async def test(connection: Connection, heard: Heard) -> None:
        assert connection.backlog_bytes() == 0
        assert connection._transport is not None
        connection._transport.underlying_transport.pause_reading()  # a process that is busy
        connection.send(b"go")
        await until(lambda: connection.backlog_bytes() > 100_000)
        connection._transport.underlying_transport.resume_reading()
        await until(lambda: len(heard.texts) == 50)
        assert connection.backlog_bytes() == 0

    run(handler, test)


def test_a_header_beyond_the_limit_is_no_handshake() -> None:
    async def main(size: int) -> None:
        def add(connection: ServerConnection, request: object, response: Response) -> Response:
            response.headers["X-Long"] = "x" * size
            return response

        async def handler(socket: ServerConnection) -> None:
            await listen(socket)

        async with serve(handler, "127.0.0.1", 0, process_response=add) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            connection = Connection(
                f"ws://127.0.0.1:{port}/", ca_file=None, sink=Heard(), clock=Clock()
            )
            await connection.open({})
            connection.drop()
            await connection.closed()

    asyncio.run(main(8_000))
    with pytest.raises(FeedError, match=r"header .X-Long.: found 90\d\d bytes"):
        asyncio.run(main(9_000))


def test_what_a_sink_raises_ends_its_link_and_is_told_to_who_waits() -> None:
    """picows hands it over where the link's end is awaited: there it is a value, not an end."""

    class Broken(Heard):
        def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
            super().on_text(payload, recv_ns, last)
            raise LookupError("a fault of ours")

    async def handler(socket: ServerConnection) -> None:
        await raw(socket, Frame(Opcode.TEXT, b"a"))
        await listen(socket)

    async def ends(sink: Heard) -> BaseException | None:
        async with ws_server(handler) as url:
            connection = Connection(url, ca_file=None, sink=sink, clock=Clock())
            await connection.open({})
            await until(lambda: sink.texts)
            if type(sink) is Heard:
                connection.drop()
            return await connection.closed()

    assert isinstance(asyncio.run(ends(Broken())), LookupError)
    assert asyncio.run(ends(Heard())) is None
