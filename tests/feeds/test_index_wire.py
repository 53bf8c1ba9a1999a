"""The feeds of indices over real sockets: against the simulated relays, and against close codes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection

from feeds.feed import Feed, FeedParams
from feeds.indices import CF_SECOND
from ops.venues.script import Event, IndexTick, Timeline
from ops.venues.tls import TlsPaths
from shm_layout import (
    BODY,
    ENTRY,
    INDEX,
    LINE,
    NO_SNAPSHOT,
    VENUES,
    Segment,
    ring_read,
    ring_tail,
    word_store,
)
from tests.feeds.index_rig import index_slot
from tests.feeds.loopback import authority, until, ws_server
from tests.ops.venues.rig import (
    API_KEY,
    BEGIN_NS,
    POLY_SECRET,
    KalshiKey,
    Session,
    script_of,
    session,
)

SPEED = 30
SECOND = 10**9
LAST_S = 75
KALSHI_WS = "/trade-api/ws/v2"


def cents(index: str, step: int) -> int:
    """A path in fifths of a second, another one for each index."""
    base = 9_000_000 if index in ("BRTI", "btcusd") else 300_000
    return base + step * step % 37 + len(index)


def ticks() -> list[Event]:
    return [
        IndexTick(BEGIN_NS + step * SECOND // 5, index, cents(index, step) * 10**6)
        for step in range(5 * LAST_S)
        for index in ("BRTI", "ETHUSD_RTI", "btcusd")
        if step % 5 == 0 or index.isupper()
    ]


def mean(index: str, first_s: int, end_s: int) -> int:
    """Of the seconds [first, end), in 1e-8, half up."""
    values = [cents(index, 5 * second) * 10**6 for second in range(first_s, end_s)]
    return int((Fraction(sum(values), len(values)) + Fraction(1, 2)) // 1)


@dataclass
class Heard:
    """What one feed published."""

    segment: Segment
    venue: str
    feed: Feed

    def slot(self, place: int = 0) -> np.void:
        return index_slot(self.segment, place)

    def entries(self) -> list[np.void]:
        number = VENUES.index(self.venue)
        ring, size = self.segment.at(f"changes_{number}"), self.segment.entries(f"changes_{number}")
        out, found = np.zeros(ENTRY, np.int64), []
        for position in range(ring_tail(self.segment.words, ring)):
            assert ring_read(self.segment.words, ring, size, position, out, BODY) == 1
            found.append(out[LINE:].copy().view(INDEX)[0])
        return found

    def counted(self, name: str) -> int:
        return self.feed.publisher.counted(name)


def feed_of(venue: str, url: str, paths: TlsPaths, products: tuple[str, ...], **more: Any) -> Heard:
    segment = Segment.private()
    headers = more.pop("headers", None)
    params = FeedParams(
        venue=venue, feed=VENUES.index(venue), ws_url=url, ca_file=paths.ca,
        products={name: place for place, name in enumerate(products)},
        backoff_base_ns=1_000_000, backoff_max_ns=20_000_000,
        link_silent_ns=60_000_000_000, link_dead_ns=120_000_000_000, **more,
    )  # fmt: skip
    return Heard(segment, venue, Feed(segment, params, 5, time.monotonic_ns, headers))


async def served(heard: list[Heard], holds: Callable[[], bool]) -> None:
    """Run the feeds until it holds."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(each.feed.main(stop)) for each in heard]

    def step() -> None:
        for each, task in zip(heard, tasks, strict=True):
            if task.done():
                task.result()
            each.feed.step(time.monotonic_ns())

    await until(holds, each=step)
    stop.set()
    await asyncio.gather(*tasks)
    for each in heard:
        each.feed.close()


def credentials(folder: Path, secret: str = POLY_SECRET) -> str:
    path = folder / "api"
    path.write_text(json.dumps({"api_key": API_KEY, "secret": secret, "passphrase": "phrase"}))
    return str(path)


def relays(tls: TlsPaths, key: KalshiKey) -> Session:
    timeline = Timeline(begin_epoch_ns=BEGIN_NS, speed_e6=SPEED * 1_000_000)
    script = script_of(*ticks(), indices=("BRTI", "ETHUSD_RTI", "btcusd"), timeline=timeline)
    return session(tls, key, script)


def started(heard: Heard, stamp_ns: int) -> None:
    """The run clock of the segment runs as the venues' does."""
    clock = heard.segment.at("run_clock")
    for place, value in ((8, BEGIN_NS), (9, stamp_ns), (10, SPEED * 1_000_000), (0, 2)):
        word_store(heard.segment.words, clock + place, value)


@pytest.mark.parametrize("lanes", [1, 2])
def test_all_three_relays_bring_every_second_and_the_exact_means(
    tmp_path: Path, lanes: int
) -> None:
    tls, key = authority(tmp_path), KalshiKey()
    venues = relays(tls, key)
    ports = venues.ports

    async def headers(method: str, path: str) -> dict[str, str]:
        return key.headers(method, path)

    at = {name: f"wss://localhost:{ports[name]['ws']}" for name in ("kalshi", "polybolt")}
    cf = feed_of("cfbenchmarks", at["kalshi"] + KALSHI_WS, tls, ("BRTI", "ETHUSD_RTI"),
                 headers=headers, lanes=lanes)  # fmt: skip
    bolt = feed_of("polybolt", at["polybolt"] + "/ws", tls, ("btcusd",), lanes=lanes,
                   options={"credentials_file": credentials(tmp_path)})  # fmt: skip
    rtds = feed_of("polybolt", at["polybolt"] + "/", tls, ("btcusd",), lanes=lanes,
                   options={"source": "rtds"})  # fmt: skip
    everyone = [cf, bolt, rtds]
    began: list[int] = []

    def holds() -> bool:
        if not began and all(shard.is_heard for one in (cf, bolt) for shard in one.feed.shards):
            began.append(venues.start())
            for each in everyone:
                started(each, began[0])
        ends = [int(each.slot()["mean_end_ns"]) for each in everyone]
        return min(ends) >= BEGIN_NS + (LAST_S - 5) * SECOND

    asyncio.run(served(everyone, holds))
    _, counts = venues.stop()
    seconds = [each for each in cf.entries()
               if each["source"] == CF_SECOND and each["product"] == 0]  # fmt: skip
    stamps = [int(each["event_epoch_ns"] - BEGIN_NS) // SECOND for each in seconds]
    assert stamps == list(range(len(stamps)))
    assert len(stamps) >= 70
    for each, second in zip(seconds, stamps, strict=True):
        assert each["value_e8"] == cents("BRTI", 5 * second) * 10**6
        if second >= 60:
            assert each["mean_count"] == 60
            assert each["mean_e8"] == mean("BRTI", second - 60, second)  # its own tick is out
    for one in (bolt, rtds):
        told = [each for each in one.entries() if each["mean_count"] == 60]
        assert len({int(each["mean_end_ns"]) for each in told}) >= 10
        for each in told:
            second = int(each["mean_end_ns"] - BEGIN_NS) // SECOND
            assert each["mean_e8"] == mean("btcusd", second - 59, second + 1)  # its own tick is in
    for one in everyone:
        for name in ("gaps", "bad_frames", "mismatch", "index_missing", "blocked", "unknown_keys"):
            assert one.counted(name) == 0, (one.venue, name)
        assert one.slot()["trust"] == NO_SNAPSHOT  # closed
    assert counts["polybolt"]["auths"] >= lanes


def test_wrong_credentials_block_it_once_without_a_storm(tmp_path: Path) -> None:
    tls, key = authority(tmp_path), KalshiKey()
    venues = relays(tls, key)
    bolt = feed_of(
        "polybolt", f"wss://localhost:{venues.ports['polybolt']['ws']}/ws", tls, ("btcusd",),
        options={"credentials_file": credentials(tmp_path, "no")},
    )  # fmt: skip
    asyncio.run(served([bolt], lambda: bolt.counted("blocked") == 1))
    _, counts = venues.stop()
    assert counts["polybolt"]["connections"] == counts["polybolt"]["auths_refused"] == 1
    assert bolt.counted("reconnects") == 0


@pytest.mark.parametrize(("code", "comes_back"), [(4008, False), (4001, False), (4002, True)])
def test_a_close_code_says_whether_to_come_back(
    tmp_path: Path, code: int, comes_back: bool
) -> None:
    tls = authority(tmp_path)
    seen: list[ServerConnection] = []

    async def serve(socket: ServerConnection) -> None:
        seen.append(socket)
        await socket.recv()
        await socket.close(code, "go")

    async def act() -> None:
        async with ws_server(serve, tls) as url:
            told = {"credentials_file": credentials(tmp_path)}
            bolt = feed_of("polybolt", url, tls, ("btcusd",), options=told)
            blocked = bolt.feed.publisher.counted
            await served([bolt], lambda: len(seen) > 2 if comes_back else blocked("blocked") == 1)
            assert blocked("blocked") == int(not comes_back)

    asyncio.run(act())
    assert len(seen) == 1 or comes_back
