"""The spot feeds against the simulated exchanges over real sockets, under a clock of our own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from feeds.feed import Feed, FeedParams
from feeds.update import MS_NS, SECOND_NS
from ops.sim_spot import PATHS
from ops.venues.exchanges import exchanges, spread
from ops.venues.script import ASK, BID, ExchangeTrade, SpotTrade
from ops.venues.spot_book import SpotBook, book_after
from ops.venues.tls import TlsPaths, make_tls
from shm_layout import (
    FEED_ROLE,
    LIVE_EPOCH_AT,
    NO_SNAPSHOT,
    POLLED,
    ROLE,
    VENUES,
    Segment,
    cell,
    word_store,
)
from tests.feeds.loopback import until
from tests.feeds.rig import Clock
from tests.ops.venues import rig

PRODUCTS = ("BTC-USD", "ETH-USD")
KEY = rig.KalshiKey()
TRADES = tuple(
    SpotTrade(
        rig.BEGIN_NS + at * 4 * MS_NS,
        PRODUCTS[at % 2],
        (8_000_000 if at % 2 == 0 else 250_000) * 10**6 + at * at % 97 * 10**7,
        10_000 + at * 7,
        BID if at % 3 else ASK,
        1_000 + at // 2,
    )
    for at in range(300)
)
SCRIPT = rig.ToyScript(made=TRADES, markets=(), products=PRODUCTS)
PLAYED = exchanges(PRODUCTS, "wire")
SLOTS = {"coinbase": 0, **{one.venue: 2 * at + 2 for at, one in enumerate(PLAYED)}}
NAMES = {"coinbase": PRODUCTS} | {
    one.venue: tuple(name for name, _ in one.listed.values()) for one in PLAYED
}


class Floor:
    """A segment, a manual clock, and the feeds that were opened on them."""

    def __init__(self, session: rig.Session, tls: TlsPaths) -> None:
        self.session, self._tls = session, tls
        self.segment, self.clock = Segment.private(), Clock()
        self.feeds: dict[str, Feed] = {}
        self.lanes = 1

    @contextlib.asynccontextmanager
    async def feed(self, venue: str, url: str = "", **options: Any) -> AsyncIterator[Feed]:
        """One feed until the block ends."""
        ports = self.session.ports[venue]
        params = FeedParams(
            venue=venue,
            feed=VENUES.index(venue),
            ws_url=url or (f"wss://localhost:{ports['ws']}{PATHS.get(venue, '/')}"
                           if "ws" in ports else ""),
            rest_url=f"https://localhost:{ports['rest']}" if "rest" in ports else "",
            ca_file=self._tls.ca,
            products={name: SLOTS[venue] + at for at, name in enumerate(NAMES[venue])},
            backoff_base_ns=MS_NS,
            backoff_max_ns=10 * MS_NS,
            options=options,
            lanes=self.lanes,
        )  # fmt: skip
        feed = self.feeds[venue] = Feed(self.segment, params, 5, self.clock)
        self.word(venue, "beat_ns", 0)
        stop = asyncio.Event()
        task = asyncio.create_task(feed.main(stop))
        try:
            yield feed
        finally:
            stop.set()
            await asyncio.wait_for(task, 60)
            feed.close()
            del self.feeds[venue]

    def word(self, venue: str, name: str, value: int) -> None:
        """A word that the process around a feed writes."""
        feed = VENUES.index(venue)
        word_store(self.segment.words, LIVE_EPOCH_AT + FEED_ROLE + feed, 5)
        row = self.segment.at("roles", FEED_ROLE + feed)
        word_store(self.segment.words, row + cell(ROLE, name), value)

    def step(self, gone_ns: int = 0) -> None:
        self.clock.now_ns += gone_ns
        for venue, feed in self.feeds.items():
            self.word(venue, "beat_ns", self.clock.now_ns)
            feed.step(self.clock())

    async def until(self, holds: Callable[[], object], gone_ns: int = 0) -> None:
        await until(holds, each=lambda: self.step(gone_ns))

    def spot(self, venue: str, at: int = 0) -> Mapping[str, int]:
        row = self.segment.read("spot", SLOTS[venue] + at)
        assert row is not None
        return {name: int(row[name]) for name in row.dtype.names or () if name != "spare"}


def play(
    folder: Path, act: Callable[[Floor], Awaitable[None]], **options: Any
) -> dict[str, dict[str, int]]:
    """Run one act; what the venues counted."""
    tls = make_tls(folder)
    session = rig.session(tls, KEY, SCRIPT, exchanges=PLAYED, **options)
    try:
        asyncio.run(asyncio.wait_for(act(Floor(session, tls)), 200))
    finally:
        _, counts = session.stop()
    return counts


def newest() -> dict[tuple[str, str], ExchangeTrade | SpotTrade]:
    """The last trade of each market of each exchange, as the venues were told it."""
    found: dict[tuple[str, str], ExchangeTrade | SpotTrade] = {}
    for event in spread(TRADES, PLAYED):
        if isinstance(event, ExchangeTrade):
            found[event.venue, event.symbol] = event
        elif isinstance(event, SpotTrade):
            found["coinbase", event.product] = event
    return found


@pytest.mark.parametrize("lanes", [1, 2])
def test_without_faults_each_slot_ends_with_its_venues_last_trade(
    tmp_path: Path, lanes: int
) -> None:
    last = newest()

    async def act(on: Floor) -> None:
        on.lanes = lanes
        async with on.feed("coinbase"), on.feed("binance"), on.feed("kraken"):
            await on.until(lambda: len(on.feeds) == 3)
            for _ in range(3):
                await asyncio.to_thread(on.session.expect, "subscribed")
            on.session.start()
            wanted = {
                (venue, at): last[venue, name]
                for venue in on.feeds for at, name in enumerate(NAMES[venue])
            }  # fmt: skip
            await on.until(
                lambda: all(
                    on.spot(*where)["trade_id"] == trade.trade_id for where, trade in wanted.items()
                )
            )
            for (venue, at), trade in wanted.items():
                row = on.spot(venue, at)
                assert row["trust"] == 0
                assert row["event_epoch_ns"] == trade.at_epoch_ns, (venue, at)
                assert (row["last_e8"], row["size_e8"]) == (trade.price_e8, trade.size_e8)
                assert row["taker_side"] == trade.taker_side
            for venue in ("binance", "kraken"):
                feed = on.feeds[venue].publisher
                for at, name in enumerate(NAMES[venue]):
                    trade = last[venue, name]
                    tick_e8 = next(
                        tick for one in PLAYED if one.venue == venue
                        for symbol, tick in one.listed.values() if symbol == name
                    )  # fmt: skip
                    book = book_after(trade.price_e8, trade.taker_side, trade.trade_id,
                                      tick_e8=tick_e8, update_id=1)  # fmt: skip
                    await on.until(partial(_shows, on, venue, at, book))
                faults = ("gaps", "duplicates", "mismatch", "bad_frames", "unknown_keys")
                assert {name: feed.counted(name) for name in faults} == dict.fromkeys(faults, 0)
                assert feed.counted("trades") >= len(TRADES)
            agreed = on.feeds["kraken"].publisher.counted("tickers_agreed")
            assert agreed > len(TRADES) // 2

    counts = play(tmp_path, act)
    assert "closed_messages" not in counts["binance"]


def _shows(on: Floor, venue: str, at: int, book: SpotBook) -> bool:
    row = on.spot(venue, at)
    return (row["bid_e8"], row["ask_size_e8"]) == (book.bids[0][0], book.asks[0][1])


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_a_refused_place_is_asked_once_however_often_others_come_back(
    tmp_path: Path, lanes: int
) -> None:
    async def act(on: Floor) -> None:
        on.lanes, nowhere = lanes, "wss://localhost:1/"
        async with on.feed("binance") as blocked, on.feed("kraken", nowhere) as other:
            await on.until(lambda: blocked.publisher.counted("blocked"))
            said = blocked.errors
            await on.until(lambda: other.publisher.counted("reconnects") > 20, 10 * SECOND_NS)
            assert blocked.errors is said and len(said) == 1
            assert "blocked" in said[0] and "451" in said[0]
            assert blocked.publisher.counted("blocked") == 1
            assert blocked.publisher.counted("reconnects") == 0
            assert on.spot("binance")["trust"] & NO_SNAPSHOT

    assert play(tmp_path, act, is_us_address=True)["binance"]["refused_451"] == 1


def test_a_status_that_is_no_refusal_of_the_place_is_tried_again(tmp_path: Path) -> None:
    """The control of the test above: the same venue, another path."""

    async def act(on: Floor) -> None:
        url = f"wss://localhost:{on.session.ports['binance']['ws']}/nowhere"
        async with on.feed("binance", url) as feed:
            await on.until(lambda: feed.publisher.counted("reconnects") > 5)
            assert feed.publisher.counted("blocked") == 0 and "404" in feed.errors[0]

    assert play(tmp_path, act)["binance"]["handshakes_refused"] > 5


def test_the_fallback_begins_when_the_stream_dies_and_ends_when_it_is_back(tmp_path: Path) -> None:
    kraken = VENUES.index("kraken")

    async def act(on: Floor) -> None:
        on.session.start()
        await asyncio.to_thread(_until_end, on.session)
        streams = f"bitcoin {kraken}, ethereum {kraken}"
        async with on.feed("kraken"):
            await on.until(lambda: on.spot("kraken")["trust"] == 0)
            async with on.feed("coingecko", streams=streams) as feed:
                await on.until(_times(20))
                assert feed.publisher.counted("polls") == 0
        async with on.feed("coingecko", streams=streams) as feed:
            await on.until(lambda: on.spot("coingecko")["trust"] == POLLED, 20 * MS_NS)
            cents = on.spot("coingecko")["last_e8"] // 10**6
            assert cents == newest()["coingecko", "bitcoin"].price_e8 // 10**6
            async with on.feed("kraken"):
                await on.until(lambda: on.spot("coingecko")["trust"] & NO_SNAPSHOT)
                polls = feed.publisher.counted("polls")
                await on.until(_times(100), 100 * MS_NS)
                assert feed.publisher.counted("polls") == polls

    assert play(tmp_path, act)["coingecko"]["rest"] >= 1


def _until_end(session: rig.Session) -> None:
    while session.conn.poll(10) and session.conn.recv()[0] != "end":
        pass


def _times(count: int) -> Callable[[], bool]:
    """True at the count-th look."""
    looks = iter(range(count))
    return lambda: next(looks, None) is None


@pytest.mark.parametrize("venue", ["binance", "kraken"])
def test_a_cut_connection_comes_back_and_goes_on(tmp_path: Path, venue: str) -> None:
    async def act(on: Floor) -> None:
        async with on.feed(venue) as feed:
            await asyncio.to_thread(on.session.expect, "subscribed")
            on.session.start()
            await on.until(lambda: on.spot(venue)["trust"] == 0)
            feed.shards[0].lanes[0]._connection.drop()
            await on.until(lambda: feed.publisher.counted("reconnects") == 1)
            await on.until(lambda: on.spot(venue)["trust"] == 0)

    play(tmp_path, act)
