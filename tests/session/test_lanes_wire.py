"""Racing connections and the polled fallback against the simulated venues, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from feeds.feed import Feed, FeedParams
from feeds.update import MS_NS, SECOND_NS
from feeds.warm import warm
from ops.sim import KALSHI_WS, POLYMARKET_WS
from ops.venues.script import BID, LevelSet
from ops.venues.tls import make_tls
from shm_layout import NOT_OPEN, POLLED, TICK_EPOCH, VENUES, Segment
from tests.feeds.loopback import until
from tests.feeds.rig import Clock, Market, Rig, write_instrument
from tests.ops.venues import rig

KEY = rig.KalshiKey()
PATHS = {"kalshi": KALSHI_WS, "polymarket": f"{POLYMARKET_WS}/market"}
INDEX = {"kalshi": rig.K, "polymarket": rig.P}
MOVES = tuple(  # the best bid of one market of each venue, 1,200 times in 2.4 s
    LevelSet(rig.BEGIN_NS + at * 4 * MS_NS, INDEX[venue], BID, 470_000, 10**6 * (1 + at))
    for at in range(600)
    for venue in PATHS
)
LAST_E6 = 600 * 10**6


class Floor:
    """One feed on a segment of its own, beside the running venues."""

    def __init__(self, feed: Feed, segment: Segment, clock: Clock, index: int) -> None:
        self.feed, self.clock, self._index = feed, clock, index
        self._rig = Rig(segment, feed.publisher, clock, feed=feed._params.feed)

    def quote(self) -> np.void:
        return self._rig.quote(self._index)

    def bid(self) -> tuple[int, int]:
        return int(self.quote()["bids"][0]), int(self.quote()["bids"][1])

    def entries(self) -> list[np.void]:
        """What was published of the market since the last call."""
        return [one for one in self._rig.entries() if int(one["instrument"]) == self._index]

    async def until(self, holds: object) -> None:
        assert callable(holds)
        await until(holds, each=lambda: self.feed.step(self.clock()))

    async def whole(self) -> None:
        """Every lane has every book, and the facts are known."""
        lanes = self.feed.shards[0].lanes
        await self.until(lambda: all(x.is_live for x in lanes) and int(self.quote()["trust"]) == 0)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Compiling may take longer than a test waits."""
    warm(Segment.private())


@contextlib.asynccontextmanager
async def floor(
    venue: str, session: rig.Session, ca: Path, *, lanes: int, ws_url: str = ""
) -> AsyncIterator[Floor]:
    segment, clock, number = Segment.private(), Clock(), VENUES.index(venue)
    for index, market in enumerate(rig.MARKETS):
        if market.venue == venue:
            row = Market(market.ticker, index=index, feed=number)
            if market.condition_id:
                row.condition = int(market.condition_id, 16)
                row.token_yes, row.token_no = int(market.token_yes), int(market.token_no)
            write_instrument(segment, row)
    ports = session.ports[venue]

    async def headers(method: str, path: str) -> dict[str, str]:
        return KEY.headers(method, path)

    params = FeedParams(
        venue=venue, feed=number, ws_url=ws_url or f"wss://localhost:{ports['ws']}{PATHS[venue]}",
        rest_url=f"https://localhost:{ports['rest']}", ca_file=ca, lanes=lanes,
        backoff_base_ns=MS_NS, backoff_max_ns=20 * MS_NS,
    )  # fmt: skip
    feed, stop = Feed(segment, params, 5, clock, headers), asyncio.Event()
    task = asyncio.create_task(feed.main(stop))
    try:
        yield Floor(feed, segment, clock, INDEX[venue])
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)
        feed.close()


def untrusted_after_cuts(venue: str, folder: Path, *, lanes: int) -> tuple[int, int]:
    """Six cuts while prices move: (untrusted entries, reconnects)."""
    tls = make_tls(folder)
    session = rig.session(tls, KEY, rig.script_of(*MOVES))

    async def main() -> tuple[int, int]:
        async with floor(venue, session, tls.ca, lanes=lanes) as on:
            await on.whole()
            on.entries()
            session.start()
            untrusted = 0
            for turn in range(6):
                lane = on.feed.shards[0].lanes[turn % lanes]
                lost = lane.session.lost
                lane._connection.drop()
                await on.until(lambda lane=lane, lost=lost: lane.session.lost > lost)
                await on.whole()
                untrusted += sum(int(one["trust"]) != 0 for one in on.entries())
            await on.until(lambda: on.bid() == (470_000, LAST_E6))
            counted = on.feed.publisher.counted
            assert counted("gaps") == counted("bad_frames") == counted("mismatch") == 0
            return untrusted, counted("reconnects")

    try:
        return asyncio.run(asyncio.wait_for(main(), 200))
    finally:
        session.stop()


@pytest.mark.parametrize("venue", PATHS)
def test_cuts_leave_no_hole_while_a_rival_is_whole(venue: str, tmp_path: Path) -> None:
    assert untrusted_after_cuts(venue, tmp_path, lanes=2) == (0, 6)


def test_the_same_cuts_of_a_lone_connection_do(tmp_path: Path) -> None:
    """The negative control."""
    untrusted, reconnects = untrusted_after_cuts("polymarket", tmp_path, lanes=1)
    assert untrusted >= 6 and reconnects == 6


@pytest.mark.parametrize("venue", PATHS)
def test_without_any_stream_the_venues_books_are_polled_and_never_trusted(
    venue: str, tmp_path: Path
) -> None:
    tls = make_tls(tmp_path)
    session = rig.session(tls, KEY, rig.script_of(*MOVES))

    async def main() -> None:
        async with floor(venue, session, tls.ca, lanes=2, ws_url="wss://localhost:1/") as on:
            session.start()
            await on.until(lambda: on.feed.publisher.status(0) and not on.quote()["trust"]
                           & NOT_OPEN)  # fmt: skip
            on.clock.now_ns += 3 * SECOND_NS

            def step() -> bool:
                on.clock.now_ns += 10 * MS_NS
                return on.bid() == (470_000, LAST_E6)

            await on.until(step)
            assert int(on.quote()["trust"]) & ~TICK_EPOCH == POLLED
            assert all(int(one["trust"]) != 0 for one in on.entries())
            assert on.feed.publisher.counted("polls") >= 1

    try:
        asyncio.run(asyncio.wait_for(main(), 200))
    finally:
        session.stop()
