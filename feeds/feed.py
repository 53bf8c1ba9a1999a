"""One feed: a venue's connection kept alive, its books published, its market facts beside them.

`main` is the role's coroutine; `step` is called from the same loop at least every 50 ms. The order
of things when a link goes: its books are emptied and published as untrusted first, then it is
opened again after a back-off with jitter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

from feeds.connection import Connection
from feeds.params import FACTS_AGAIN_NS, FeedParams
from feeds.publisher import Publisher, instruments_of
from feeds.rest import Rest
from feeds.session import Backoff, Event, Session, State
from feeds.trust import LinkWatch
from feeds.update import SECOND_NS, FeedError, Venue
from feeds.venues import FactsReader, Reach, work_until
from shm_layout import ST_INITIALIZED, TICK_EPOCH, Segment, run_epoch_ns

__all__ = ["Feed", "FeedParams", "Headers"]

Headers = Callable[[str, str], Awaitable[dict[str, str]]]
SUBSCRIBE_NS = 5 * SECOND_NS  # a subscription not acknowledged by then: reconnect
STEADY_NS = 5 * SECOND_NS  # a session that lived so long starts the next back-off at its base


class Feed:
    """The role. `headers` signs the handshake (method, path) where the venue wants that."""

    def __init__(
        self,
        segment: Segment,
        params: FeedParams,
        epoch: int,
        clock: Callable[[], int],
        headers: Headers | None = None,
    ) -> None:
        self.session = Session()
        self._segment = segment
        self._params = params
        self._clock = clock
        self._headers = headers
        now_ns = clock()
        self._row = params.row
        informs = self._row.informs
        self._instruments = () if informs else tuple(instruments_of(segment, params.feed))
        self.publisher = Publisher(
            segment,
            feed=params.feed,
            epoch=epoch,
            now_ns=now_ns,
            instruments=self._instruments,
            products=tuple(params.products.values()),
        )
        self.venue = self._make_venue()
        self._connection = Connection(params.ws_url, ca_file=params.ca_file, sink=self, clock=clock)
        self._link = LinkWatch(silent_ns=params.link_silent_ns, dead_ns=params.link_dead_ns)
        self._backoff = Backoff(
            base_ns=params.backoff_base_ns,
            max_ns=params.backoff_max_ns,
            seed=params.seed << 8 | params.feed,
        )
        self._facts_due = asyncio.Event()
        self._is_told = True  # facts may have changed: read anew, a round under way counts not
        self._stepped_ns = self._pinged_ns = now_ns
        self._frames = 0
        self.errors: list[str] = []  # of the newest round of facts, and of the newest connect

    def _make_venue(self) -> Venue:
        make = self._row.make
        return make(self.publisher, self._params) if make is not None else _Mute()

    # ---- what comes in (the connection's Sink)

    def on_text(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """One message: to the venue's file, and what it wants to say back to the venue."""
        link, venue = self._link, self.venue
        link.heard_ns = recv_ns
        if link.is_silent:
            link.is_silent = False
            self.publisher.silence(False, recv_ns)
        self._frames += 1
        venue.frame(payload, recv_ns, last)
        if venue.outbox:
            self._send()

    def on_alive(self, recv_ns: int, last: bool) -> None:
        """A pong or ping: the link lives. The buffer may end with it."""
        if self._link.spoke(recv_ns):
            self.publisher.silence(False, recv_ns)
        if last:
            self.publisher.flush()

    def on_oversize(self) -> None:
        """A message beyond the limit: counted; the session reconnects."""
        self.publisher.count("oversize")

    def _send(self) -> None:
        for message in self.venue.outbox:
            self._connection.send(message)
        self.venue.outbox.clear()

    # ---- every 50 ms

    def step(self, now_ns: int) -> int:
        """Link watch, pings, closes by the clock, accounting. Returns the frames since the last."""
        publisher, link = self.publisher, self._link
        elapsed_ns, self._stepped_ns = max(now_ns - self._stepped_ns, 0), now_ns
        run_ns = int(run_epoch_ns(publisher.words, now_ns))
        if run_ns > 0:
            publisher.close_due(run_ns, now_ns)
            if publisher.is_open_due(run_ns, ST_INITIALIZED):
                self._facts_due.set()
        if link.is_up:
            self._watch(now_ns)
        waiting = publisher.account(elapsed_ns)
        if link.is_up:
            was, is_subscribed = self.session.state, self.venue.is_subscribed
            state = self.session.settle(
                is_subscribed=is_subscribed, is_whole=waiting == 0, now_ns=now_ns
            )
            if was is State.SUBSCRIBING and state is not was:
                self._facts_changed()  # perhaps while nobody listened
            is_late = now_ns - self.session.since_ns > SUBSCRIBE_NS
            if state is State.SUBSCRIBING and is_late:
                self._connection.drop()
            if state is State.LIVE and now_ns - self.session.since_ns > STEADY_NS:
                self._backoff.worked()
        publisher.connected(self.session.state is State.LIVE and not link.is_silent)
        if self.venue.wants_facts:
            self._facts_changed()
        frames, self._frames = self._frames, 0
        return frames

    def _facts_changed(self) -> None:
        self._is_told = True
        self._facts_due.set()

    def _watch(self, now_ns: int) -> None:
        link = self._link
        if link.fell_silent(now_ns):
            self.publisher.count("link_silent")
            self.publisher.silence(True, now_ns)
        if link.is_dead(now_ns) or self.venue.must_reconnect:
            self._connection.drop()
            return
        if now_ns - self._pinged_ns >= self._params.ping_ns:
            self._pinged_ns = now_ns
            self._connection.ping()
        self.venue.tick(now_ns)
        if self.venue.outbox:
            self._send()

    def close(self) -> None:
        """Last act: nothing of ours may be traded on, and the counters are whole."""
        now_ns = self._clock()
        self.venue.closed(now_ns)
        self.publisher.connected(False)
        self.publisher.account(0)

    # ---- the coroutine

    async def main(self, stop: asyncio.Event) -> None:
        """Connect, keep connected and keep the facts fresh until `stop`."""
        row = self._row
        async with AsyncExitStack() as stack:
            reach = self._reach(stack)
            tasks = []
            if row.make is not None:
                tasks.append(asyncio.create_task(self._connect_until(stop)))
            if row.facts is not None and self._instruments:
                reader = await row.facts(reach)
                tasks.append(asyncio.create_task(self._read_facts_until(stop, reader)))
            jobs = await row.jobs(reach) if row.jobs is not None else ()
            tasks += [asyncio.create_task(work_until(stop, job, self._failed)) for job in jobs]
            waiter = asyncio.create_task(stop.wait())
            await asyncio.wait([waiter, *tasks], return_when=asyncio.FIRST_COMPLETED)
            self.session.move(Event.STOP, self._clock())
            self._connection.drop()
            for task in (waiter, *tasks):
                if not task.done():
                    task.cancel()
            for result in await asyncio.gather(waiter, *tasks, return_exceptions=True):
                if isinstance(result, BaseException) and not isinstance(
                    result, asyncio.CancelledError
                ):
                    raise result

    def _reach(self, stack: AsyncExitStack) -> Reach:
        opened: dict[str, Rest] = {}

        async def rest(url: str) -> Rest:
            if url not in opened:
                made = Rest(url, ca_file=self._params.ca_file)
                opened[url] = await stack.enter_async_context(made)
            return opened[url]

        return Reach(
            params=self._params,
            publisher=self.publisher,
            clock=self._clock,
            segment=self._segment,
            rest=rest,
        )

    def _failed(self, errors: list[str]) -> None:
        self.errors = errors
        self.publisher.count("rest_errors", len(errors))

    async def _read_facts_until(self, stop: asyncio.Event, reader: FactsReader) -> None:
        """With each subscription and every `facts_ns`; at once where they are missing or changed.

        A quote is untrusted from a new link until a round that began after the subscription: what
        changed before it was told to nobody.
        """
        await self._wait(self._facts_due, FACTS_AGAIN_NS)  # the first subscription
        backoff = Backoff(
            base_ns=FACTS_AGAIN_NS, max_ns=self._params.facts_ns, seed=self._params.seed
        )
        while not stop.is_set():
            self._facts_due.clear()
            if self._is_told:
                self._is_told = False
                reader.forget()
            facts, errors = await reader.read(self._instruments)
            now_ns = self._clock()
            if self.venue.wants_facts:
                self._facts_changed()
            is_heard = self.session.state in (State.SNAPSHOTS, State.LIVE)
            is_fresh = is_heard and not self._is_told
            for local, each in facts.items():
                try:
                    self.publisher.set_facts(local, each, now_ns, is_fresh=is_fresh)
                except FeedError as error:
                    errors.append(f"{self._instruments[local].ticker}: {error}")
            if errors:
                self._failed(errors)
                await self._wait(stop, backoff.delay_ns())
            else:
                backoff.worked()
                await self._wait(stop, FACTS_AGAIN_NS)
                await self._wait(self._facts_due, self._params.facts_ns)

    async def _connect_until(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.session.move(Event.DUE, self._clock())
            try:
                await self._connection.open(await self._signed())
            except (FeedError, OSError, TimeoutError) as error:
                self.errors = [str(error)]
            else:
                await self._serve()
            if stop.is_set():
                return
            now_ns = self._clock()
            self.session.move(Event.LOST, now_ns)
            self.publisher.count("reconnects")
            await self._wait(stop, self._backoff.delay_ns())

    async def _signed(self) -> dict[str, str]:
        if self._headers is None:
            return {}
        return await self._headers("GET", urlsplit(self._params.ws_url).path)

    async def _serve(self) -> None:
        now_ns = self._clock()
        self.session.move(Event.OPENED, now_ns)
        self._link.opened(now_ns)
        self._pinged_ns = now_ns
        self.venue.opened(now_ns)
        self._send()
        if self._instruments:
            self.publisher.mark(raised=TICK_EPOCH, now_ns=now_ns)
        try:
            await self._connection.closed()
        finally:
            self._link.closed()
            self.venue.closed(self._clock())

    @staticmethod
    async def _wait(event: asyncio.Event, duration_ns: int) -> None:
        """Until the event or the end of the time."""
        try:
            async with asyncio.timeout(duration_ns / SECOND_NS):
                await event.wait()
        except TimeoutError:
            pass


class _Mute:
    """Stands where a venue without a stream has no handler."""

    is_subscribed = must_reconnect = wants_facts = False

    def __init__(self) -> None:
        self.outbox: list[bytes] = []

    def opened(self, now_ns: int) -> None:
        """Never: nothing is opened."""

    def frame(self, payload: bytes | memoryview, recv_ns: int, last: bool) -> None:
        """Never: nothing comes in."""

    def closed(self, now_ns: int) -> None:
        """Its jobs end by themselves."""

    def tick(self, now_ns: int) -> None:
        """Nothing to do."""
