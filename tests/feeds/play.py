"""One random history, played between the real simulated venue and the real feed in virtual time.

`python -m tests.feeds SEED [VENUE [LANES]]` plays one again and tells what happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any

import pytest

from feeds import feed as feed_module
from feeds import lane as lane_module
from feeds.feed import Feed, FeedParams
from ops.venues.book import MarketBook
from ops.venues.faults_events import Faulty
from ops.venues.faults_inject import Injector
from ops.venues.ports import KalshiPorts, PolymarketPorts
from ops.venues.script import MarketSpec, Timeline
from ops.venues.session import RunClock, VenueLog
from ops.venues.spec import VenuesSpec
from ops.venues.wire import WsServer
from shm_layout import VENUES, Segment, word_store
from tests.feeds.histories import CALM_MS, PATHS, History, history
from tests.feeds.oracle import Oracle, Wrong
from tests.feeds.rig import Market, write_instrument
from tests.feeds.virtual import BASE_NS, Net, VirtualConnection, VirtualLoop
from tests.feeds.virtual_rest import VirtualRest
from tests.ops.venues.rig import BEGIN_NS, MS, KalshiKey, ToyScript, accounts

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
STILL_MS = CALM_MS + 700  # from here on the markets rest
TRUST_NS = 3 * SECOND_NS  # from the first connection after the last fault to trust 0
CHECK_NS = SECOND_NS  # Polymarket: between looks at REST; a second look finds what was lost
HORIZON_NS = 40 * SECOND_NS
STEP_S = 0.05
KEY = KalshiKey()


class Play:
    """One history while it is played."""

    def __init__(self, told: History) -> None:
        self.told = told
        self.loop = VirtualLoop()
        self.random = Random(f"net/{told.seed}")
        self.segment = Segment.private()
        self.log = VenueLog()
        self.failed: BaseException | None = None
        clock = RunClock(
            Timeline(begin_epoch_ns=BEGIN_NS),
            mono=self.loop.now_ns,
            wall=lambda: BEGIN_NS + self.loop.now_ns() - BASE_NS,
        )
        clock.start(BASE_NS)
        self._publish_clock()
        specs = [_spec(told.venue, index) for index in range(told.markets)]
        for index, spec in enumerate(specs):
            write_instrument(self.segment, _identity(spec, index))
        self._serve(specs, clock)
        names = {(spec.token_yes or spec.ticker): index for index, spec in enumerate(specs)}
        self.oracle = Oracle(
            self.segment, self.books, names, now_ns=self.loop.now_ns,
            run_ms=lambda: clock.run_ns() // MS, is_numbered=told.venue == "kalshi",
        )  # fmt: skip
        self.oracle.has_odd_stamps = any(one.kind == "stale_clock" for one in told.faults)
        server, oracle = self.ports.servers[0], self.oracle
        assert isinstance(server, WsServer)
        self.net = Net(self.loop, server, self.random, tag=oracle.parts, listener=oracle)

    def _publish_clock(self) -> None:
        at = self.segment.at("run_clock")
        for place, value in ((8, BEGIN_NS), (9, BASE_NS), (10, 1_000_000), (0, 2)):
            word_store(self.segment.words, at + place, value)

    def _serve(self, specs: list[MarketSpec], clock: RunClock) -> None:
        told = self.told
        script = ToyScript(made=(), markets=tuple(specs), products=())
        spec = VenuesSpec(script=script, accounts=accounts(KEY), tls_cert="", tls_key="",
                          kalshi_tokens_per_s=100_000)  # fmt: skip
        ports = KalshiPorts if told.venue == "kalshi" else PolymarketPorts
        self.ports = ports(
            spec, dict(enumerate(specs)), clock=clock, log=self.log, later=self._later,
            on_subscribed=lambda: None,
        )  # fmt: skip
        faults = Injector(
            told.venue, told.faults, clock=clock, log=self.log, later=self._later,
            markets=specs, seed=told.seed,
        )  # fmt: skip
        self.faulty = Faulty(self.ports, faults, clock=clock, later=self._later)
        by_index = self.ports.venue._by_index
        self.books: list[MarketBook] = [by_index[index].book for index in range(len(specs))]

    def _later(self, delay_ns: int, what: Callable[[], None]) -> None:
        def due() -> None:
            what()
            self.faulty.flush()

        self.loop.after_ns(delay_ns, due)

    # ---- in time

    def run(self) -> Oracle:
        """Play it to its end. Raises Wrong."""
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self._failed)
        try:
            with virtual_io():
                self.loop.run_until_complete(self._run())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
        return self.oracle

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An error in a callback: the first one ends the play."""
        self.failed = self.failed or context.get("exception") or Wrong(context["message"])

    async def _run(self) -> None:
        feed = make_feed(self)
        stop = asyncio.Event()
        tasks = [asyncio.create_task(feed.main(stop)), asyncio.create_task(self._events())]
        try:
            await self._watch(feed, tasks)
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def _events(self) -> None:
        for event in self.told.events:
            wait_ns = BASE_NS + event.at_epoch_ns - BEGIN_NS - self.loop.now_ns()
            if wait_ns > 0:
                self.faulty.flush()
                await asyncio.sleep(wait_ns / SECOND_NS)
            self.faulty.apply(event)
            if self.random.random() < 0.5:
                self.faulty.flush()
        self.faulty.flush()

    async def _watch(self, feed: Feed, tasks: list[asyncio.Task[None]]) -> None:
        """Step the feed, judge it, and let it recover."""
        calm_ns, still_ns = (BASE_NS + at_ms * MS for at_ms in (CALM_MS, STILL_MS))
        is_calm = False
        while True:
            for task in tasks:
                if task.done():
                    task.result()
            if self.failed is not None:
                raise self.failed
            now_ns = self.loop.now_ns()
            feed.step(now_ns)
            self.oracle.look()
            if now_ns >= calm_ns - 350 * MS and not is_calm:
                is_calm = True
                self.faulty.faults.clear()
            if now_ns >= still_ns and self._is_over(now_ns, calm_ns):
                break
            await asyncio.sleep(STEP_S)
        self.oracle.end()
        self._judge_recovery(calm_ns)

    def _is_over(self, now_ns: int, calm_ns: int) -> bool:
        """Every connection that is left lives, all is trusted, and nothing more can come."""
        if now_ns > calm_ns + HORIZON_NS:
            return True
        is_alive = all(not (link.is_deaf or link.is_mute) for link in self.oracle.given)
        more_ns = 2 * CHECK_NS if self.told.venue == "polymarket" else 0
        is_long = now_ns > max(calm_ns, VirtualRest.hung_ns) + TRUST_NS + more_ns
        has_all = len(self.oracle.given) >= self.told.lanes
        return is_alive and is_long and has_all and not any(self.oracle.trust)

    def _judge_recovery(self, calm_ns: int) -> None:
        """Trust returned in time, counted from the first connection after the last fault. What
        Polymarket lost without a word is found by looking at its REST: counted from there."""
        is_numbered = self.told.venue == "kalshi"
        for market, began_ns, ended_ns in self.oracle.doubts():
            from_ns = self._recovers_from(market, calm_ns)
            found_ns = from_ns if is_numbered else max(from_ns, began_ns)
            if ended_ns - found_ns > TRUST_NS or began_ns > from_ns + TRUST_NS:
                raise Wrong(
                    f"market {market}: trust was gone from {(began_ns - from_ns) // MS} to "
                    f"{(ended_ns - from_ns) // MS} ms after the first connection, wanted 3 s"
                )

    def _recovers_from(self, market: int, calm_ns: int) -> int:
        """A request that is never answered lasts until it is given up; a market whose whole books
        were bad is asked for ever more seldom, and recovers from the next one."""
        later = [at_ns for at_ns in self.oracle.accepted_ns if at_ns > calm_ns]
        from_ns = max(later[0] if later else calm_ns, VirtualRest.hung_ns)
        if market in self.oracle.spoiled:
            wholes = [at_ns for at_ns in self.oracle.wholes_ns[market] if at_ns > calm_ns]
            from_ns = max([from_ns, *wholes[:1]])
        return from_ns


@contextlib.contextmanager
def virtual_io() -> Iterator[None]:
    """The feed's two ways out lead into the play."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lane_module, "Connection", VirtualConnection)
        patch.setattr(feed_module, "Rest", VirtualRest)
        yield


def make_feed(play: Play) -> Feed:
    """The real feed; only what touches a socket is another."""
    told = play.told
    VirtualConnection.net = play.net
    rest = play.ports._rest
    VirtualRest.loop, VirtualRest.random = play.loop, play.random
    VirtualRest.routes, VirtualRest.not_found = rest._routes, staticmethod(rest._not_found)
    VirtualRest.faults, VirtualRest.hung_ns = play.faulty.faults, 0
    headers: Callable[[str, str], Awaitable[dict[str, str]]] | None = None
    if told.venue == "kalshi":

        async def headers(method: str, path: str) -> dict[str, str]:
            now_ms = (BEGIN_NS + play.loop.now_ns() - BASE_NS) // MS
            return KEY.headers(method, path, now_ms=now_ms)

    params = FeedParams(
        venue=told.venue, feed=VENUES.index(told.venue),
        ws_url=f"wss://localhost{PATHS[told.venue]}", rest_url="https://localhost",
        check_ns=CHECK_NS, facts_ns=2 * SECOND_NS, backoff_max_ns=2 * SECOND_NS,
        lanes=told.lanes, seed=told.seed,
    )  # fmt: skip
    return Feed(play.segment, params, 7, play.loop.now_ns, headers)


def _spec(venue: str, index: int) -> MarketSpec:
    opens_ns, closes_ns = BEGIN_NS - DAY_NS, BEGIN_NS + DAY_NS
    if venue == "kalshi":
        return MarketSpec(
            venue=venue, ticker=f"KXTEST-26JAN-{index}", title="A", event="a",
            open_epoch_ns=opens_ns, close_epoch_ns=closes_ns,
        )  # fmt: skip
    return MarketSpec(
        venue=venue, ticker=f"market-{index}", title="A", event="a",
        condition_id="0x" + f"{index + 1:02d}" * 32, token_yes=str(1_001 + index),
        token_no=str(2_001 + index), size_min_e6=5_000_000, fee_kind="polymarket",
        open_epoch_ns=opens_ns, close_epoch_ns=closes_ns,
    )  # fmt: skip


def _identity(spec: MarketSpec, index: int) -> Market:
    return Market(
        spec.ticker, condition=int(spec.condition_id or "0", 16),
        token_yes=int(spec.token_yes or 0), token_no=int(spec.token_no or 0), index=index,
        feed=VENUES.index(spec.venue),
    )  # fmt: skip


def play(told: History) -> Oracle:
    """Play a history. Raises Wrong with the command that plays it again."""
    try:
        return Play(told).run()
    except (Wrong, AssertionError) as error:
        again = f"ops/run python -m tests.feeds {told.seed} {told.venue} {told.lanes}"
        raise Wrong(f"history {told.seed}: {error}\nplay it again: {again}") from error


def main(argv: list[str]) -> int:
    """SEED [VENUE [LANES]]: tell what happens, and what is wrong."""
    seed, venue, lanes = int(argv[0]), "".join(argv[1:2]), int("".join(argv[2:3]) or 0)
    told = history(seed, venue=venue, lanes=lanes)
    out = sys.stdout.write
    out(f"{told.venue}, {told.lanes} connections, {told.markets} markets\n")
    for fault in told.faults:
        out(f"  {fault}\n")
    stage, wrong = Play(told), ""
    try:
        stage.run()
    except Wrong as error:
        wrong = str(error)
    lines = [(row.mono_ns, f"{row.kind} {row.connection} {row.what}") for row in stage.log.faults]
    lines += [
        (each.at_ns, f"market {each.market} trust {each.trust:#x}") for each in stage.oracle.moments
    ]
    for at_ns, line in sorted(lines):
        out(f"  {(at_ns - BASE_NS) / 1e9:.6f} {line}\n")
    out(f"{wrong or 'nothing wrong'}\n")
    return int(bool(wrong))
