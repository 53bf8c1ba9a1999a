"""A feed on loopback against a fake Kalshi of one market, with a clock that stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from aiohttp import web
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from feeds.feed import Feed, FeedParams
from feeds.lane import Lane
from feeds.session import State
from shm_layout import Segment, word_store
from tests.feeds.loopback import LIMIT_S, authority, server_context, until, ws_server
from tests.feeds.rig import Clock, Market, Rig, write_instrument

TICKER = "KXBTC15M-26SEP061000-00"
SECOND_NS = 10**9
SERIES = {"series": {"fee_type": "quadratic", "fee_multiplier": 1}}


@dataclass
class FakeKalshi:
    """A Kalshi of one market: acknowledges, sends the book, then does as told."""

    sockets: list[ServerConnection] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    is_quiet: bool = False  # accepts and never answers a command
    is_mute: bool = False  # acknowledges, and sends no book
    status: str = "active"
    close_time: str = "2026-09-06T14:00:00Z"
    step: str = "0.0100"
    asked_facts: int = 0
    refuses: bool = False  # a handshake is taken and ended at once
    answers: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: REST answers wait

    def __post_init__(self) -> None:
        self.answers.set()

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        if self.refuses:
            return
        self.sockets.append(socket)
        self.headers.append(socket.request.headers.get("KALSHI-ACCESS-KEY", ""))
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self.answer(socket, orjson.loads(await socket.recv()))

    async def answer(self, socket: ServerConnection, command: dict[str, Any]) -> None:
        self.asked.append(command)
        if self.is_quiet or command["cmd"] != "subscribe":
            return
        for channel in command["params"]["channels"]:
            sid = len(channel)
            reply = {"type": "subscribed", "id": command["id"],
                     "msg": {"channel": channel, "sid": sid}}  # fmt: skip
            await socket.send(orjson.dumps(reply).decode() + "\n")
            if channel == "orderbook_delta" and not self.is_mute:
                message = {"market_ticker": TICKER, "yes_dollars_fp": [["0.4700", "3.00"]],
                           "no_dollars_fp": [["0.5200", "1.00"]]}  # fmt: skip
                frame = {"type": "orderbook_snapshot", "sid": sid, "seq": 1, "msg": message}
                await socket.send(orjson.dumps(frame).decode() + "\n")

    async def rest(self, request: web.Request) -> web.Response:
        ranges = [{"start": "0.0000", "end": "1.0000", "step": self.step}]
        market = {"ticker": TICKER, "event_ticker": "E", "status": self.status,
                  "open_time": "2026-09-06T13:45:00Z", "close_time": self.close_time,
                  "price_ranges": ranges}  # fmt: skip
        sides = {"yes_dollars": [["0.4500", "1.00"]], "no_dollars": [["0.5200", "1.00"]]}
        made: dict[str, Any] = {
            "orderbooks": {"orderbooks": [{"ticker": TICKER, "orderbook_fp": sides}]},
            "markets": {"markets": [market], "cursor": ""},
            "events": {"events": [{"event_ticker": "E", "series_ticker": "S"}]},
            "S": SERIES,
        }
        body = orjson.dumps(made[request.path.rsplit("/", 1)[1]])
        self.asked_facts += 1
        await self.answers.wait()
        return web.Response(body=body)


@dataclass
class Stage:
    """A feed against a fake venue, with a clock that stands."""

    feed: Feed
    venue: FakeKalshi
    segment: Segment
    clock: Clock
    stop: asyncio.Event
    task: asyncio.Task[None]
    cursor: int = 0

    @property
    def lane(self) -> Lane:
        return self.feed.shards[0].lanes[0]

    def trust(self) -> int:
        row = self.segment.read("quotes", 0)
        assert row is not None
        return int(row["trust"])

    async def until(self, holds: Callable[[], object]) -> None:
        def step() -> None:
            if self.task.done():
                self.task.result()
            self.feed.step(self.clock())

        await until(holds, each=step)

    async def live(self) -> None:
        await self.until(lambda: self.trust() == 0 and self.lane.session.state is State.LIVE)

    async def connected(self, times: int) -> None:
        await self.until(lambda: len(self.venue.sockets) == times)

    def best_bid_e6(self) -> int:
        row = self.segment.read("quotes", 0)
        assert row is not None
        return int(row["bids"][0])

    def entries(self) -> list[np.void]:
        """Ring entries since the last call."""
        found = Rig(self.segment, self.feed.publisher, self.clock, cursor=self.cursor)
        rows = found.entries()
        self.cursor = found.cursor
        return rows

    def tick_e6(self) -> int:
        row = self.segment.read("quotes", 0)
        assert row is not None
        return int(row["grid"][1])

    def counted(self, name: str) -> int:
        return self.feed.publisher.counted(name)


@contextlib.asynccontextmanager
async def stage(folder: Path, **params: Any) -> AsyncIterator[Stage]:
    paths, venue, clock = authority(folder), FakeKalshi(), Clock()
    segment = Segment.private()
    run_clock = segment.at("run_clock")  # stands at 2026-09-06T13:50Z
    for place, value in ((8, 1_788_702_600 * SECOND_NS), (10, 1_000_000), (0, 2)):
        word_store(segment.words, run_clock + place, value)
    write_instrument(segment, Market(TICKER, index=0))
    app = web.Application()
    app.router.add_get("/{rest:.*}", venue.rest)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(paths)).start()
    rest_url = f"https://localhost:{runner.addresses[0][1]}"

    async def headers(method: str, path: str) -> dict[str, str]:
        return {"KALSHI-ACCESS-KEY": f"{method} {path}"}

    async with ws_server(venue.serve, paths) as url:
        given = {"backoff_base_ns": 1_000_000, "backoff_max_ns": 20_000_000} | params
        settings = FeedParams(
            venue="kalshi", feed=0, ws_url=url, rest_url=rest_url, ca_file=paths.ca, **given
        )
        feed = Feed(segment, settings, 5, clock, headers)
        stop = asyncio.Event()
        task = asyncio.create_task(feed.main(stop))
        made = Stage(feed, venue, segment, clock, stop, task)
        try:
            yield made
        finally:
            stop.set()
            await asyncio.wait_for(task, LIMIT_S)
            feed.close()
    await runner.cleanup()


def play(folder: Path, act: Callable[[Stage], Awaitable[None]], **params: Any) -> Stage:
    """Run one act; the feed is stopped and closed afterwards."""
    kept: list[Stage] = []

    async def main() -> None:
        async with stage(folder, **params) as made:
            kept.append(made)
            await act(made)

    asyncio.run(main())
    return kept[0]
