"""What `fire` stands on: a segment, the sender, the feeds' processes, and what is seen of them from
outside while they work: CPU time, memory, what lies unread in their sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from bench import fire_feed
from bench.fire_feed import Place
from bench.fire_sender import SenderSpec, serve_process
from bench.fire_streams import PRODUCTS, Left
from feeds.warm import warm
from ops.process import counters_at, histogram_at
from ops.venues.tls import make_tls
from shm_layout import COUNTERS, FEED_ROLE, HISTOGRAMS, VENUES, Segment, percentile

READY_S = 90.0  # feeds import, load kernels, connect, read facts
ANSWER_S = 600.0  # the sender makes frames
CARRIED = "instrument_ns"  # grows each time that the counters are carried
_PAGE = os.sysconf("SC_PAGE_SIZE")


class StandError(Exception):
    """Something did not start or ended early: says what."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One feed at one moment. `unread`: bytes in its socket; `unsent`: in the sender's."""

    at_ns: int
    applied: int
    cpu_ns: int
    rss_bytes: int
    unread: int
    unsent: int


class Stand:
    """`async with`: everything runs; afterwards everything is gone."""

    def __init__(self, feeds: tuple[str, ...], *, feed_core: int = -1, sender_core: int = -1):
        self.feeds, self._feed_core, self._sender_core = feeds, feed_core, sender_core
        self._stack = AsyncExitStack()
        self.processes: dict[str, SpawnProcess] = {}
        self._ports: dict[str, int] = {}

    async def __aenter__(self) -> Stand:
        warm(Segment.private())  # else each feed compiles for itself, all at once
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="arb-bench-"))
        self._folder = Path(folder)
        self._tls = make_tls(self._folder)
        self.segment = Segment.create(f"arb-bench-{os.getpid()}", run_id=1)
        self._stack.callback(self.segment.unlink)
        fire_feed.write_instruments(self.segment)
        runner, self._rest_url = await fire_feed.serve_facts()
        self._stack.push_async_callback(runner.cleanup)
        context = multiprocessing.get_context("spawn")
        self._conn, theirs = context.Pipe()
        spec = SenderSpec(
            feeds=self.feeds, cert=self._tls.cert, key=self._tls.key, core=self._sender_core
        )
        sender = context.Process(target=serve_process, args=(theirs, spec), daemon=True)
        sender.start()
        theirs.close()
        self._stack.callback(_end, sender)
        self._ports = await self._heard()
        return self

    async def __aexit__(self, *_: object) -> None:
        for process in self.processes.values():
            _end(process)
        with contextlib.suppress(OSError):  # it has gone by itself
            self._conn.send(("stop",))
        await self._stack.aclose()

    async def ask(self, word: str, *told: object) -> Any:
        """Have the sender do something, and its answer."""
        self._conn.send((word, *told))
        return await self._heard()

    async def _heard(self) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await asyncio.get_running_loop().run_in_executor(None, self._conn.recv)
        except EOFError as error:
            raise StandError("the sender died") from error

    async def start(self, build: str = "role") -> None:
        """Start the feeds and wait until all they show is trusted (of the floor: nothing)."""
        for feed in self.feeds:
            place = Place(ws_port=self._ports[feed], rest_url=self._rest_url, ca=self._tls.ca)
            self.processes[feed] = fire_feed.start(
                feed, self.segment, place, self._folder, core=self._feed_core, build=build
            )
        if build == "role":
            await self.until(lambda: all(self._is_trusted(feed) for feed in self.feeds), READY_S)
            await self._counted_all()

    async def _counted_all(self) -> None:
        """Until each feed has carried its counters here once more: they come every 50 ms, and later
        than the books, so what a start has applied is counted only now."""
        seen = {feed: self.counted(feed, CARRIED) for feed in self.feeds}
        await self.until(
            lambda: all(self.counted(feed, CARRIED) > seen[feed] for feed in self.feeds), READY_S
        )

    async def end_feeds(self) -> None:
        """End them; the sender stays."""
        for process in self.processes.values():
            _end(process)
        self.processes.clear()

    async def until(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait for it. Raises StandError."""
        end = time.monotonic() + seconds
        while not holds():
            for feed, process in self.processes.items():
                if not process.is_alive():
                    log = (self._folder / f"{feed}.log").read_text()[-800:]
                    raise StandError(f"{feed}: exit {process.exitcode}: {log}")
            if time.monotonic() > end:
                shown = {feed: self._is_trusted(feed) for feed in self.feeds}
                raise StandError(f"not in {seconds} s; trusted: {shown}")
            await asyncio.sleep(0.02)

    def _is_trusted(self, feed: str) -> bool:
        rows = [self._row(feed, slot) for slot in fire_feed.slots(feed)]
        return all(row is not None and int(row["trust"]) == 0 for row in rows)

    def _row(self, feed: str, slot: int) -> Any:
        return self.segment.read("spot" if feed in PRODUCTS else "quotes", slot)

    def shows(self, feed: str, left: Left) -> bool:
        """True if its slots are trusted and show what the sender's own books end in."""
        if not self._is_trusted(feed):
            return False
        for place, slot in enumerate(fire_feed.slots(feed)):
            row = self._row(feed, slot)
            cells = fire_feed.spot_left(row) if feed in PRODUCTS else [*row["bids"], *row["asks"]]
            if [int(each) for each in cells] != left[place]:
                return False
        return True

    # ---- seen from outside

    def counted(self, feed: str, name: str) -> int:
        """One of a feed's counters."""
        at = counters_at(self.segment, FEED_ROLE + VENUES.index(feed))
        return int(self.segment.words[at + COUNTERS["feed"].index(name)])

    def age_us(self, feed: str) -> dict[str, float | None]:
        """p50, p99 and maximum of the message age: later than the fastest lately."""
        place = HISTOGRAMS["feed"].index("message_age")
        at = histogram_at(FEED_ROLE + VENUES.index(feed), place)
        found = {}
        for name, share in (("p50", 500), ("p99", 990), ("max", 1000)):
            value = percentile(self.segment.words, at, share)
            found[name] = None if value is None else round(value / 1_000, 1)
        return found

    def sample(self, name: str = "changes") -> dict[str, Sample]:
        """All feeds now; `name`: the counter that says what was applied."""
        queues = _queues()
        found = {}
        for feed, process in self.processes.items():
            assert process.pid is not None
            port = self._ports[feed]
            pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
            found[feed] = Sample(
                time.monotonic_ns(), self.counted(feed, name), _cpu_ns(process.pid),
                int(pages) * _PAGE, queues.get(("to", port), 0), queues.get(("from", port), 0),
            )  # fmt: skip
        return found


def _cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process (its clock as clock_getcpuclockid makes it)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


def _queues() -> dict[tuple[str, int], int]:
    """Bytes of established connections of 127.0.0.1: unread ones by the port they go to, unsent and
    unacknowledged ones by the port they come from."""
    found: dict[tuple[str, int], int] = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues = line.split()[:5]
        if state != "01":
            continue
        sending, receiving = (int(part, 16) for part in queues.split(":"))
        found["to", int(remote.split(":")[1], 16)] = receiving
        found["from", int(local.split(":")[1], 16)] = sending
    return found


def _end(process: SpawnProcess) -> None:
    process.terminate()
    process.join(5)
    if process.is_alive():
        process.kill()
        process.join(5)
