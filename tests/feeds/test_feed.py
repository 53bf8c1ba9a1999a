"""The whole role on loopback: connect, live, cut, silent, oversize, stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from feeds.feed import Feed, FeedParams
from feeds.session import State
from feeds.update import FeedError
from shm_layout import (
    E6,
    LINK_SILENT,
    NO_SNAPSHOT,
    NOT_OPEN,
    ST_ACTIVE,
    ST_CLOSED,
    ST_INITIALIZED,
    TICK_EPOCH,
    Segment,
    word_store,
)
from tests.feeds.loopback import authority, server_context, until, ws_server
from tests.feeds.rig import Clock, Market, write_instrument

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
    status: str = "active"
    close_time: str = "2026-09-06T14:00:00Z"
    step: str = "0.0100"
    asked_facts: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)  # cleared: REST answers wait

    def __post_init__(self) -> None:
        self.answers.set()

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
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
            if channel == "orderbook_delta":
                message = {"market_ticker": TICKER, "yes_dollars_fp": [["0.4700", "3.00"]],
                           "no_dollars_fp": [["0.5200", "1.00"]]}  # fmt: skip
                frame = {"type": "orderbook_snapshot", "sid": sid, "seq": 1, "msg": message}
                await socket.send(orjson.dumps(frame).decode() + "\n")

    async def rest(self, request: web.Request) -> web.Response:
        ranges = [{"start": "0.0000", "end": "1.0000", "step": self.step}]
        market = {"ticker": TICKER, "event_ticker": "E", "status": self.status,
                  "open_time": "2026-09-06T13:45:00Z", "close_time": self.close_time,
                  "price_ranges": ranges}  # fmt: skip
        made: dict[str, Any] = {
            "markets": {"markets": [market], "cursor": ""},
            "E": {"event": {"series_ticker": "S"}},
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
        await self.until(lambda: self.trust() == 0 and self.feed.session.state is State.LIVE)

    async def connected(self, times: int) -> None:
        await self.until(lambda: len(self.venue.sockets) == times)

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
            await asyncio.wait_for(task, 5)
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


def test_a_feed_becomes_live_and_stops_with_nothing_to_trade_on(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        assert on.trust() == NO_SNAPSHOT | NOT_OPEN
        await on.live()
        row = on.segment.read("quotes", 0)
        assert row is not None and int(row["epoch"]) == 5 and int(row["status"]) == ST_ACTIVE
        assert int(row["fee_rate_e6"]) == 70_000 and list(row["grid"][:2]) == [E6, 10_000]
        assert on.venue.headers == ["GET /ws"]

    after = play(tmp_path, act)
    assert after.trust() == NO_SNAPSHOT and after.feed.session.state is State.STOPPED


def test_a_cut_link_is_opened_again_and_its_books_come_anew(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        for lost in range(1, 4):
            on.venue.sockets[-1].transport.abort()
            await on.connected(lost + 1)
            await on.live()
            assert on.counted("reconnects") == lost
        assert on.counted("gaps") == 0

    play(tmp_path, act)


def test_after_a_cut_nothing_is_trusted_on_facts_from_before_it(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.venue.answers.clear()
        on.venue.step = "0.0010"  # told on the wire while nobody listened
        on.venue.sockets[-1].transport.abort()
        await on.connected(2)
        await on.until(lambda: on.feed.session.state is State.LIVE)
        assert on.trust() == TICK_EPOCH and on.tick_e6() == 10_000
        on.venue.answers.set()
        await on.live()
        assert on.tick_e6() == 1_000

    play(tmp_path, act)


def test_facts_asked_for_before_a_cut_do_not_count_after_it(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.venue.answers.clear()
        asked = on.venue.asked_facts
        on.feed._facts_due.set()
        await on.until(lambda: on.venue.asked_facts > asked)  # its answer says what was before
        on.venue.step = "0.0010"
        on.venue.sockets[-1].transport.abort()
        await on.connected(2)
        await on.until(lambda: on.feed.session.state is State.LIVE)
        on.venue.answers.set()

        def is_trusted() -> bool:
            assert on.trust() == TICK_EPOCH or on.tick_e6() == 1_000
            return on.trust() == 0

        await on.until(is_trusted)

    play(tmp_path, act)


def test_a_venue_that_is_away_is_tried_again_after_longer_and_longer_delays(
    tmp_path: Path,
) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        backoff, delays = on.feed._backoff, []
        ask = backoff.delay_ns

        def delay_ns() -> int:
            delays.append(ask())
            return delays[-1]

        backoff.delay_ns = delay_ns  # type: ignore[method-assign]
        on.feed._connection._url = "wss://127.0.0.1:9/ws"
        on.venue.sockets[-1].transport.abort()
        await on.until(lambda: len(delays) >= 6)
        assert delays[0] <= 1_000_000 and max(delays[4:]) > 4_000_000
        assert "127.0.0.1:9" in on.feed.errors[0] and on.trust() == NO_SNAPSHOT

    play(tmp_path, act)


def test_a_silent_link_is_untrusted_and_a_pong_heals_it(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.clock.now_ns += 2 * SECOND_NS + 1
        on.feed.step(on.clock())
        assert on.trust() == LINK_SILENT and on.counted("link_silent") == 1
        assert not on.feed.publisher._is_connected
        await on.until(lambda: on.trust() == 0)  # the ping of that step was answered
        assert len(on.venue.sockets) == 1

    play(tmp_path, act)


def test_quiet_is_not_stale(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        for _ in range(20):
            heard = on.feed._link.heard_ns
            on.clock.now_ns += SECOND_NS
            await on.until(lambda heard=heard: on.feed._link.heard_ns > heard)  # type: ignore[misc]
            assert on.trust() == 0
        assert on.counted("link_silent") == 0

    play(tmp_path, act)


def test_a_link_that_stays_silent_is_replaced(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.clock.now_ns += 11 * SECOND_NS
        on.feed.step(on.clock())
        await on.until(lambda: len(on.venue.sockets) == 2)
        await on.live()

    play(tmp_path, act)


def test_a_subscription_that_is_not_acknowledged_ends_the_link(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.is_quiet = True
        await on.until(lambda: on.venue.asked)
        for _ in range(6):
            on.clock.now_ns += SECOND_NS
            on.feed.step(on.clock())
        on.venue.is_quiet = False
        await on.until(lambda: len(on.venue.sockets) >= 2)
        await on.live()

    play(tmp_path, act)


def test_a_message_beyond_the_limit_costs_the_link_not_the_feed(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        with contextlib.suppress(ConnectionClosed):
            await on.venue.sockets[-1].send("x" * ((1 << 20) + 1))
        await on.until(lambda: len(on.venue.sockets) == 2)
        await on.live()
        assert on.counted("oversize") == 1

    play(tmp_path, act)


def test_an_error_of_the_venue_costs_the_link_not_the_feed(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        frame = {"type": "error", "msg": {"code": 25, "msg": "buffer overflow"}}
        await on.venue.sockets[-1].send(orjson.dumps(frame).decode())
        await on.until(lambda: len(on.venue.sockets) == 2)
        await on.live()

    play(tmp_path, act)


def test_a_market_that_opens_is_noticed_though_no_event_says_so(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.status = "initialized"
        await on.until(lambda: on.feed.publisher.status(0) == ST_INITIALIZED)
        assert on.trust() & NOT_OPEN
        on.venue.status = "active"
        await on.live()

    play(tmp_path, act, facts_ns=600 * SECOND_NS)


def test_a_market_closes_by_the_run_clock(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        on.venue.close_time = "2026-09-06T13:50:00Z"  # where the run clock stands
        await on.until(lambda: on.feed.publisher.status(0) == ST_CLOSED)
        assert on.trust() & NOT_OPEN

    play(tmp_path, act)


def test_facts_that_cannot_be_read_are_counted_and_asked_for_again(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        terms = SERIES["series"].pop("fee_multiplier")
        try:
            await on.until(lambda: on.counted("rest_errors") >= 1)
            assert on.trust() & NOT_OPEN and "fee_multiplier" in on.feed.errors[0]
        finally:
            SERIES["series"]["fee_multiplier"] = terms
        await on.live()

    play(tmp_path, act)


def test_headers_that_do_not_come_are_tried_again(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        good = on.feed._headers
        assert good is not None
        failed: list[int] = []

        async def sometimes(method: str, path: str) -> dict[str, str]:
            failed.append(1)
            if len(failed) < 3:
                raise FeedError("signer: no answer")
            return await good(method, path)

        on.feed._headers = sometimes
        await on.live()
        on.venue.sockets[-1].transport.abort()
        await on.until(lambda: len(failed) >= 3)
        await on.live()

    play(tmp_path, act)


def test_trusted_time_and_frames_reach_the_role_row(tmp_path: Path) -> None:
    async def act(on: Stage) -> None:
        await on.live()
        on.clock.now_ns += SECOND_NS
        on.feed.step(on.clock())
        assert on.counted("trusted_ns") >= SECOND_NS
        assert on.counted("instrument_ns") >= on.counted("trusted_ns")
        assert on.counted("frames") >= 5 and on.counted("snapshots") == 1

    play(tmp_path, act)


# ----------------------------------------------------------------------------------- its parameters

GOOD: dict[str, Any] = {
    "venue": "kalshi", "feed": 0, "ws_url": "wss://x/y", "rest_url": "https://x"
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "field_name"),
    [
        ({"venue": "nyse"}, "venue"),
        ({"feed": 12}, "feed"),
        ({"feed": -1}, "feed"),
        ({"ws_url": "https://x"}, "ws_url"),
        ({"rest_url": ""}, "rest_url"),
        ({"rest_url": "ftp://x"}, "rest_url"),
        ({"gamma_url": "x"}, "gamma_url"),
        ({"products": {"BTC-USD": 0}}, "products"),
        ({"venue": "coinbase", "products": {}}, "products"),
        ({"venue": "coinbase", "products": {"BTC-USD": 32}}, "products"),
        ({"ping_ns": 0}, "ping_ns"),
        ({"ping_ns": 3 * SECOND_NS}, "ping_ns"),
        ({"link_silent_ns": 20 * SECOND_NS}, "link_silent_ns"),
        ({"backoff_base_ns": 0}, "backoff_base_ns"),
        ({"backoff_base_ns": 11 * SECOND_NS}, "backoff_base_ns"),
        ({"facts_ns": 1}, "facts_ns"),
        ({"taker_delay_ns": -1}, "taker_delay_ns"),
    ],
)
def test_a_wrong_parameter_is_named(changed: dict[str, Any], field_name: str) -> None:
    with pytest.raises(FeedError, match=f"^{field_name}: found"):
        FeedParams(**GOOD | changed)


def test_good_parameters_are_taken() -> None:
    FeedParams(**GOOD)
    FeedParams(venue="coinbase", feed=3, ws_url="wss://x", products={"BTC-USD": 0})
