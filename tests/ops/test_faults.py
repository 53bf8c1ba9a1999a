"""A loop role whose callback, protocol or task raises ends its process; a lost link does not."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from ops.faults import fault_of
from ops.process import CRASHED, STOPPED
from tests.ops.rig import ROOT

ROLE = """
import asyncio, os, sys
from ops import cache
cache.use()
from ops import process
from shm_layout import FEED_ROLE, Segment

class Broken(asyncio.Protocol):
    def data_received(self, data):
        raise AssertionError("a bug of ours")

class Role:
    end = None
    async def main(self):
        loop = asyncio.get_running_loop()
        self.end = asyncio.Event()
        if sys.argv[1] == "protocol":
            server = await loop.create_server(Broken, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
        elif sys.argv[1] == "callback":
            loop.call_soon(self.raises)
        elif sys.argv[1] == "stubborn":
            loop.call_soon(self.raises)
            while True:
                try:
                    await self.end.wait()
                except asyncio.CancelledError:
                    pass
        elif sys.argv[1] == "feed":
            await self.feed()
        elif sys.argv[1] == "lost":
            server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.transport.abort()
            loop.call_later(0.1, self.end.set)
        await self.end.wait()

    async def feed(self):
        from ops.roles import FeedRole
        class Feed:
            errors, turns = [], 0
            def step(self, now_ns):
                self.turns += 1
                assert self.turns < 3, "a bug of ours"
            async def main(self, stop):
                await stop.wait()
            def news(self):
                return [], []
            def close(self): ...
        await FeedRole("feed x", Feed, "no log").main()

    def raises(self):
        raise AssertionError("a bug of ours")
    def stop(self):
        self.end.set()
    def close(self): ...

heart = process.Heart(Segment.private(), FEED_ROLE)
code = process._run_loop(Role(), heart, process._StopFlag())
os._exit(code)
"""


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("callback", CRASHED),
        ("protocol", CRASHED),
        ("stubborn", CRASHED),
        ("feed", CRASHED),
        ("lost", STOPPED),
    ],
)
def test_an_error_in_a_callback_ends_the_process(how: str, code: int) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ROLE, how], cwd=ROOT, capture_output=True, timeout=280, check=False
    )
    assert ended.returncode == code, ended.stderr
    assert (b"a bug of ours" in ended.stderr) == (code == CRASHED), "the log says why"


def test_a_lost_connection_and_an_unheard_future_are_no_fault() -> None:
    loop = asyncio.new_event_loop()
    try:
        bug, reset = AssertionError(), ConnectionResetError()
        assert fault_of({"exception": bug, "handle": object()}) is bug
        assert fault_of({"exception": bug, "transport": object()}) is bug
        assert fault_of({"exception": reset, "transport": object()}) is None
        closed = RuntimeError("unable to perform operation: the handler is closed")
        assert fault_of({"exception": closed, "transport": object()}) is None, "TLS after a reset"
        other = RuntimeError("a bug of ours")
        assert fault_of({"exception": other, "transport": object()}) is other
        assert fault_of({"exception": bug, "future": loop.create_future()}) is None
        assert fault_of({"message": "words alone"}) is None
    finally:
        loop.close()
