"""One feed: a venue's connections kept alive, its books published, its market facts beside them.

`main` is the role's coroutine; `step` is called from the same loop at least every 50 ms. Each shard
of the markets has its racing connections (feeds/shard.py, feeds/lane.py); facts and jobs are the
feed's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack

from feeds.lane import Headers, Lane, wait
from feeds.newcomers import Newcomers, instruments_of
from feeds.params import FACTS_AGAIN_NS, FeedParams
from feeds.poll import Bucket, Poll
from feeds.publisher import Publisher
from feeds.rest import Rest
from feeds.seat import Seat
from feeds.session import Backoff
from feeds.shard import Shard
from feeds.update import FeedError
from feeds.venues import FactsReader, Job, Reach, work_until
from shm_layout import TICK_EPOCH, Segment, run_epoch_ns

FIRST_NS = 4 * FACTS_AGAIN_NS  # a round before the first subscription counts for nothing
SHARD_LOOKS = 25  # in the time until facts would be read again

__all__ = ["Feed", "FeedParams", "Headers"]


class Feed:
    """The role. `headers` signs the handshake (method, path) where the venue wants that; `lane_of`
    makes a connection (a bench hears the end of each buffer)."""

    def __init__(
        self,
        segment: Segment,
        params: FeedParams,
        epoch: int,
        clock: Callable[[], int],
        headers: Headers | None = None,
        lane_of: Callable[..., Lane] = Lane,
    ) -> None:
        self._segment, self._params, self._clock = segment, params, clock
        self._row = row = params.row
        self._headers = headers if row.is_signed else None
        now_ns = clock()
        self._newcomers = None if row.informs else Newcomers(segment, params.feed)
        self.publisher = Publisher(
            segment,
            feed=params.feed,
            epoch=epoch,
            now_ns=now_ns,
            instruments=() if row.informs else instruments_of(segment, params.feed),
            products=tuple(params.products.values()),
            lanes=params.lanes + 1,
            markets_max=row.markets_max,
            has_poll=row.books is not None,
            kind=row.kind,
            spare=params.spare,
        )
        self._made = 0  # lanes
        self._lane_of = lane_of
        self._answer = asyncio.Event()  # the venue let the first lane in, or said never
        self._is_blocked = False
        self.shards: list[Shard] = []
        if row.make is not None:
            self.shards = [
                Shard(seats[: params.lanes + 1], self._lane, self._backoff(number))
                for number, seats in enumerate(self.publisher.seats)
            ]
        self._facts_due = asyncio.Event()
        self._is_told = True  # facts may have changed: read anew, a round under way counts not
        self._stepped_ns = now_ns
        self.errors: list[str] = []  # of the newest round of facts, and of the newest connect

    def _backoff(self, number: int) -> Backoff:
        params = self._params
        return Backoff(
            base_ns=params.backoff_base_ns,
            max_ns=params.backoff_max_ns,
            seed=params.seed << 16 | params.feed << 8 | number,
        )

    def _lane(self, seat: Seat, shard: Shard) -> Lane:
        self._made += 1
        owner = _Owner(self, shard)
        return self._lane_of(self._params, seat, self._made, self._clock, owner, self._headers)

    # ---- every 50 ms

    def step(self, now_ns: int) -> int:
        """Link watch, pings, closes by the clock, accounting. Returns the frames since the last."""
        publisher = self.publisher
        publisher.notices.step(now_ns)
        self._learn(now_ns)
        elapsed_ns, self._stepped_ns = max(now_ns - self._stepped_ns, 0), now_ns
        run_ns = int(run_epoch_ns(publisher.words, now_ns))
        if run_ns > 0:
            if publisher.close_due(run_ns, now_ns):
                self.facts_changed()
            if publisher.is_open_due(run_ns):
                self._facts_due.set()
        frames = sum(shard.step(now_ns) for shard in self.shards)
        waiting = publisher.account(elapsed_ns)
        if self.shards:
            is_live = all(shard.is_live for shard in self.shards)
            heard_ns = min(shard.heard_ns for shard in self.shards)
        else:
            is_live, heard_ns = waiting == 0, now_ns
        publisher.connected(is_live, heard_ns)
        self._ask_for_facts()
        return frames

    def _learn(self, now_ns: int) -> None:
        """Instruments that come and go; their connections see it at their own next step."""
        told = self._newcomers.take() if self._newcomers is not None else ()
        news = [self.publisher.learn(one, is_live, now_ns) for one, is_live in told]
        if any(news):
            self.facts_changed()

    def _ask_for_facts(self) -> None:
        for shard in self.shards:
            for lane in shard.all_lanes():
                if lane.venue.wants_facts:
                    self.facts_changed()

    def facts_changed(self) -> None:
        """Read them anew, at once; a round under way counts not."""
        self._is_told = True
        self._facts_due.set()

    def close(self) -> None:
        """Last act: nothing of ours may be traded on, and the counters are whole."""
        for shard in self.shards:
            shard.close(self._clock())
        self.publisher.connected(False)
        self.publisher.account(0)

    async def admitted(self, number: int) -> bool:
        """Whether a lane may try to connect, once that is known."""
        if self._row.blocked_by and number > 1:
            await self._answer.wait()
        return not self._is_blocked

    def answered(self, *, is_blocked: bool) -> bool:
        """The venue let a lane in, or refused it for good. True if it was not known yet."""
        is_news = is_blocked and not self._is_blocked
        self._is_blocked |= is_blocked
        self._answer.set()
        return is_news

    def failed(self, errors: list[str]) -> None:
        """What could not be read or reached, one line each."""
        self.errors = errors

    def news(self) -> tuple[list[str], list[tuple[str, bytes]]]:
        """Alerts for people since the last call, and samples of what was odd (name, what came)."""
        return self.publisher.notices.take()

    def _unread(self, errors: list[str]) -> None:
        self.failed(errors)
        self.publisher.count("rest_errors", len(errors))

    # ---- the coroutine

    async def main(self, stop: asyncio.Event) -> None:
        """Connect, keep connected and keep the facts fresh until `stop`."""
        row, tasks = self._row, set[asyncio.Task[None]]()
        grown = asyncio.Event()

        def start(work: Coroutine[None, None, None]) -> None:
            tasks.add(asyncio.create_task(work))
            grown.set()

        async with AsyncExitStack() as stack:
            reach = self._reach(stack)
            for shard in self.shards:
                shard.run(start)
            if row.facts is not None:
                start(self._read_facts_until(stop, await row.facts(reach)))
            for job in await self._jobs(reach):
                start(work_until(stop, job, self._unread))
            try:
                await _watch(stop, tasks, grown)
            finally:
                for shard in self.shards:
                    for lane in shard.all_lanes():
                        lane.end()
                await _finish(tasks)

    async def _jobs(self, reach: Reach) -> list[Job]:
        row = self._row
        jobs = list(await row.jobs(reach)) if row.jobs is not None else []
        if row.books is not None:
            seats = [seats[-1] for seats in self.publisher.seats]
            places = list(zip(self.shards, seats, strict=True))
            bucket = Bucket(row.polls_per_s, row.polls_per_s)
            after_ns, books = self._params.poll_after_ns, await row.books(reach)
            jobs.append(Poll(places, books, self._clock, after_ns=after_ns, bucket=bucket))
        return jobs

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

    async def _read_facts_until(self, stop: asyncio.Event, reader: FactsReader) -> None:
        """With each subscription and every `facts_ns`; at once where they are missing or changed.

        A quote is untrusted from a new link until a round that began after the subscription: what
        changed before it was told to nobody. While a rival listens nothing is missed.
        """
        await wait(self._facts_due, FIRST_NS)  # the first subscription
        backoff = Backoff(
            base_ns=FACTS_AGAIN_NS, max_ns=self._params.facts_ns, seed=self._params.seed
        )
        while not stop.is_set():
            await self._all_heard(stop)
            self._facts_due.clear()
            if self._is_told:
                self._is_told = False
                reader.forget()
            asked = {one.local: one for one in self.publisher.all_instruments}
            facts, errors = await reader.read(tuple(asked.values()))
            now_ns = self._clock()
            self._ask_for_facts()
            heard = [shard.is_heard for shard in self.shards for _ in range(
                     shard.seats[0].room)]  # fmt: skip
            for local, each in facts.items():
                if not self.publisher.follows(asked[local]):
                    continue
                is_fresh = heard[local] and not self._is_told
                try:
                    self.publisher.set_facts(local, each, now_ns, is_fresh=is_fresh)
                except FeedError as error:
                    errors.append(f"{asked[local].ticker}: {error}")
            if errors:
                self._unread(errors)
                await wait(stop, backoff.delay_ns())
            else:
                backoff.worked()
                await wait(stop, FACTS_AGAIN_NS)
                await wait(self._facts_due, self._params.facts_ns)

    async def _all_heard(self, stop: asyncio.Event) -> None:
        """While some shards are heard and others not yet: the subscription of each makes a round
        under way count for nothing, so wait a moment for them."""
        for _ in range(SHARD_LOOKS):
            heard = [shard.is_heard for shard in self.shards]
            if all(heard) or not any(heard):
                return
            await wait(stop, FACTS_AGAIN_NS // SHARD_LOOKS)


class _Owner:
    """What a lane tells its feed, with its shard in mind."""

    def __init__(self, feed: Feed, shard: Shard) -> None:
        self._feed, self._shard = feed, shard

    def _is_alone(self, lane: Lane) -> bool:
        return not any(one.is_heard for one in self._shard.all_lanes() if one is not lane)

    def opened(self, lane: Lane, now_ns: int) -> None:
        """Facts may have changed while nobody listened."""
        if self._feed.publisher.all_instruments and self._is_alone(lane):
            lane.seat.mark(raised=TICK_EPOCH, now_ns=now_ns)

    def subscribed(self, lane: Lane) -> None:
        """From now on somebody listens: what is read now is worth something."""
        if self._is_alone(lane):
            self._feed.facts_changed()

    def failed(self, errors: list[str]) -> None:
        """It could not connect."""
        self._feed.failed(errors)

    async def admitted(self, number: int) -> bool:
        """Where a venue may refuse this place for good, the first lane asks for all of them."""
        return await self._feed.admitted(number)

    def answered(self, *, is_blocked: bool) -> bool:
        """Once for all lanes."""
        return self._feed.answered(is_blocked=is_blocked)


async def _watch(stop: asyncio.Event, tasks: set[asyncio.Task[None]], grown: asyncio.Event) -> None:
    """Until `stop`, or until one of the tasks (their number may grow) has failed."""
    waiters = [asyncio.create_task(stop.wait())]
    try:
        while not stop.is_set():
            grown.clear()
            more = asyncio.create_task(grown.wait())
            waiters[1:] = [more]
            await asyncio.wait([*waiters, *tasks], return_when=asyncio.FIRST_COMPLETED)
            more.cancel()
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                task.result()
    finally:
        for waiter in waiters:
            waiter.cancel()


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """End what is left; raises what one of them raised."""
    for task in tasks:
        if not task.done():
            task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
