"""Books over REST while no connection of a shard is whole: the fallback that never opens a trade.

A polled book goes into a seat of its own that every healthy stream outranks (feeds/race.py), and
carries POLLED: good for marking and for reducing. It is read faster while prices move, slower while
they do not, never faster than the bucket allows, and it ends when a stream is whole again or when
the answers stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from feeds import book
from feeds.levels import NO_CLAIM
from feeds.seat import Seat
from feeds.update import MS_NS, SECOND_NS, FeedError, Instrument
from shm_layout import NO_SNAPSHOT, ST_ACTIVE

LOOK_NS = 100 * MS_NS  # between looks at which shard is down
FAST_NS, SLOW_NS = 250 * MS_NS, 4 * SECOND_NS  # between rounds
STALE_NS = 15 * SECOND_NS  # a book that was read longer ago is not shown


@dataclass(frozen=True, slots=True)
class PolledBook:
    """A whole book: side, price_e6, size_e6, side, … in YES terms; engine time or 0."""

    levels: list[int]
    event_epoch_ns: int


class BooksReader(Protocol):
    """A venue's REST as far as the fallback needs it."""

    batch_max: int

    async def read(
        self, instruments: Sequence[Instrument]
    ) -> tuple[dict[int, PolledBook], list[str]]:
        """Books of at most `batch_max` instruments in one request, by `local`, a market without one
        left out; and which of them could not be read, one line each. Raises FeedError."""


class Watched(Protocol):
    """A shard, as far as the poll needs it."""

    down_since_ns: int | None

    @property
    def is_live(self) -> bool:
        """True if a connection has every book."""


class Bucket:
    """Requests at `per_s`, at most `burst` at once."""

    def __init__(self, per_s: int, burst: int) -> None:
        assert per_s > 0 and burst > 0, (per_s, burst)
        self._each_ns = SECOND_NS // per_s
        self._span_ns = burst * self._each_ns
        self._spent_ns = 0  # the time up to which requests are paid for

    def wait_ns(self, now_ns: int) -> int:
        """How long until one may be taken; 0: now."""
        self._spent_ns = max(self._spent_ns, now_ns - self._span_ns)
        return max(self._spent_ns + self._each_ns - now_ns, 0)

    def take(self, now_ns: int) -> None:
        """One is sent."""
        assert self.wait_ns(now_ns) == 0
        self._spent_ns += self._each_ns


class Pace:
    """Time between rounds: halved while prices move, doubled while they do not."""

    def __init__(self) -> None:
        self.every_ns = SECOND_NS

    def took(self, *, moved: bool) -> None:
        """A round is over."""
        if moved:
            self.every_ns = max(self.every_ns // 2, FAST_NS)
        else:
            self.every_ns = min(self.every_ns * 2, SLOW_NS)


@dataclass(slots=True)
class _Place:
    """One shard: the poll's seat there and how it goes."""

    shard: Watched
    seat: Seat
    pace: Pace
    due_ns: int = 0
    read_ns: dict[int, int] = field(default_factory=dict)  # of each book that is shown


class Poll:
    """Of all shards of a feed. `turn` is called in a loop and waits for answers."""

    def __init__(
        self,
        shards: Sequence[tuple[Watched, Seat]],
        reader: BooksReader,
        clock: Callable[[], int],
        *,
        after_ns: int,
        bucket: Bucket,
    ) -> None:
        self._places: Final = [_Place(shard, seat, Pace()) for shard, seat in shards]
        self._reader, self._clock = reader, clock
        self._after_ns, self._bucket = after_ns, bucket

    def wait_ns(self) -> int:
        """Until the next look."""
        return LOOK_NS

    async def turn(self) -> list[str]:
        """Read what is due. What could not be read, one line each."""
        errors: list[str] = []
        for place in self._places:
            now_ns, down_ns = self._clock(), place.shard.down_since_ns
            if down_ns is None:
                self._end(place)
            self._forget(place, now_ns)
            if down_ns is None or now_ns - down_ns < self._after_ns or now_ns < place.due_ns:
                continue
            moved = False
            for chunk in self._chunks(place.seat):
                try:
                    moved |= await self._read(place, chunk, errors)
                except FeedError as error:
                    errors.append(str(error))
            place.pace.took(moved=moved)
            place.due_ns = self._clock() + place.pace.every_ns
        return errors

    def _end(self, place: _Place) -> None:
        if place.read_ns:
            place.seat.lose(self._clock())
            place.read_ns.clear()
            place.due_ns, place.pace = 0, Pace()

    def _forget(self, place: _Place, now_ns: int) -> None:
        """Books that no answer has told of for long."""
        old = [local for local, read_ns in place.read_ns.items() if now_ns - read_ns > STALE_NS]
        for local in old:
            del place.read_ns[local]
            place.seat.mark(local, raised=NO_SNAPSHOT, now_ns=now_ns, clear=True)

    def _chunks(self, seat: Seat) -> list[list[Instrument]]:
        are_open = [one for one in seat.instruments if seat.status(one.local) == ST_ACTIVE]
        size = self._reader.batch_max
        return [are_open[i : i + size] for i in range(0, len(are_open), size)]

    async def _read(self, place: _Place, chunk: list[Instrument], errors: list[str]) -> bool:
        """True if a best price moved."""
        while (wait_ns := self._bucket.wait_ns(self._clock())) > 0:
            await asyncio.sleep(wait_ns / SECOND_NS)
        if place.shard.is_live:
            return False
        self._bucket.take(self._clock())
        place.seat.count("polls")
        books, unread = await self._reader.read(chunk)
        errors += unread
        if place.shard.is_live:  # while it was on its way: what a stream knows is newer
            return False
        now_ns, moved = self._clock(), False
        asked, there = {one.local: one for one in chunk}, set(place.seat.instruments)
        for local, found in books.items():
            if asked[local] not in there:  # its place was given to another meanwhile
                continue
            place.read_ns[local] = now_ns
            before = place.seat.touch(local)
            book.replace(
                place.seat.words, place.seat.state, local, np.array(found.levels, np.int64), True,
                NO_CLAIM, NO_CLAIM, 0, found.event_epoch_ns, now_ns, True,
            )  # fmt: skip
            moved |= place.seat.touch(local) != before
        return moved
