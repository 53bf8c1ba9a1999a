"""The WebSocket server: one write a wake-up, fragments joined, slow readers dropped."""

from __future__ import annotations

import asyncio
from typing import Any

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.uri import parse_uri

from ops.venues import wire
from ops.venues.faults_live import Raw
from ops.venues.session import VenueLog
from ops.venues.wire import Link, WsServer


class Pipe(asyncio.Transport):
    """A transport that keeps every write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.waiting_bytes = 0
        self.is_shut = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.waiting_bytes

    def is_closing(self) -> bool:
        return self.is_shut

    def close(self) -> None:
        self.is_shut = True


class Recorder:
    """A hub that remembers what it is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.closed = 0

    def on_open(self, link: Link, request: Request) -> None:
        self.path = request.path

    def on_text(self, link: Link, text: str) -> None:
        self.texts.append(text)

    def on_close(self, link: Link) -> None:
        self.closed += 1


class Ends:
    """A link and, at the other end, the library's own client protocol."""

    def __init__(self) -> None:
        self.hub, self.log, self.pipe = Recorder(), VenueLog(), Pipe()
        self.server = WsServer(venue="v", hub=self.hub, log=self.log)
        self.link = Link(self.server)
        self.link.connection_made(self.pipe)
        self.client = ClientProtocol(parse_uri("ws://localhost/path"))
        self.client.send_request(self.client.connect())
        self.give()
        self.take()

    def give(self) -> None:
        """Client bytes go to the server, one by one: TCP may cut anywhere."""
        for chunk in self.client.data_to_send():
            for at in range(len(chunk)):
                self.link.data_received(chunk[at : at + 1])

    def take(self) -> list[Any]:
        """The server's writes go to the client; its events."""
        for data in self.pipe.writes:
            self.client.receive_data(data)
        self.pipe.writes.clear()
        return list(self.client.events_received())


def test_many_frames_are_one_write() -> None:
    ends = Ends()
    assert ends.hub.path == "/path"
    for number in range(50):
        ends.link.queue(b"frame %d" % number)
    assert ends.pipe.writes == []
    ends.server.flush()
    assert len(ends.pipe.writes) == 1
    frames = ends.take()
    assert [bytes(frame.data) for frame in frames] == [b"frame %d" % number for number in range(50)]
    assert ends.log.counts["v"]["frames"] == 50


def test_a_fragmented_message_is_heard_once_and_whole() -> None:
    ends = Ends()
    ends.client.send_text(b"hello ", fin=False)
    ends.client.send_continuation(b"world", fin=True)
    ends.give()
    assert ends.hub.texts == ["hello world"]


def test_a_ping_is_answered_and_our_ping_carries_its_payload() -> None:
    ends = Ends()
    ends.client.send_ping(b"x")
    ends.give()
    ends.link.ping(b"heartbeat")
    pong, ping = ends.take()
    assert isinstance(ping, Frame)
    assert (pong.opcode, bytes(pong.data)) == (Opcode.PONG, b"x")
    assert (ping.opcode, bytes(ping.data)) == (Opcode.PING, b"heartbeat")


def test_a_reader_that_is_too_slow_is_told_and_dropped() -> None:
    ends = Ends()
    ends.pipe.waiting_bytes = wire.SEND_BUFFER_MAX_BYTES + 1
    ends.link.queue(b"more")
    ends.server.flush()
    _, closing = ends.take()
    assert (closing.opcode, closing.data[:2]) == (Opcode.CLOSE, (1013).to_bytes(2, "big"))
    assert ends.log.counts["v"]["slow_readers"] == 1


def test_nothing_follows_a_frame_that_was_cut() -> None:
    async def body() -> None:
        ends = Ends()
        for item in (b"before", Raw(b"\x81\x05cu", is_last=True), b"after"):
            ends.link.put(item)
        ends.server.flush()
        assert b"".join(ends.pipe.writes) == b"\x81\x06before\x81\x05cu"

    asyncio.run(body())


def test_the_hub_hears_of_a_loss_once() -> None:
    ends = Ends()
    ends.link.connection_lost(None)
    ends.link.connection_lost(None)
    assert ends.hub.closed == 1
    ends.link.queue(b"into the void")
    ends.server.flush()
    assert ends.pipe.writes == []


def test_what_is_no_handshake_is_refused() -> None:
    hub, log, pipe = Recorder(), VenueLog(), Pipe()
    link = Link(WsServer(venue="v", hub=hub, log=log))
    link.connection_made(pipe)
    link.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert pipe.writes[0].startswith(b"HTTP/1.1 426")
    assert not link.is_open
