"""The one writer of a feed's blocks: its quotes or spot slots, its ring, its line among the roles.

It owns the private state the kernels work on and gives each connection a seat there: `seats` by
shard. It is itself the first seat of the first shard, which is all that a feed of one connection
needs. Places of instruments are those in the feed here, those in the shard at a seat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from feeds import book, levels
from feeds.facts import Facts
from feeds.levels import BODY_AT, COUNTER
from feeds.notices import Notices
from feeds.seat import Seat
from feeds.update import Instrument, MarketFacts
from shm_layout import (
    BODY,
    COUNTERS_MAX,
    DETECTOR,
    ENTRY,
    FEED_ROLE,
    HISTOGRAMS,
    HISTOGRAMS_MAX,
    K_SPOT,
    LEVELS,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    NONE_NS,
    POLLED,
    QUOTE,
    ROLE,
    SPOT,
    ST_UNKNOWN,
    TICK_EPOCH,
    Segment,
    Words,
    cell,
    ring_adopt,
    slot_load,
    word_load,
    word_store,
)

Levels = tuple[tuple[int, int], ...]  # (price_e6, size_e6), best first


def shards_of(count: int, most: int) -> list[int]:
    """How many of `count` instruments each connection carries: as few of them as `most` allows (0:
    no limit), all about as full."""
    return evenly(count, max(-(-count // most), 1) if most else 1)


def evenly(count: int, parts: int) -> list[int]:
    """`count` in so many parts, all about as large."""
    return [count // parts + (part < count % parts) for part in range(parts)]


class Publisher(Seat):
    """Books of one feed and what publishes them. Everything else only reads what it writes.

    `instruments` for a venue of markets, `products` (slot number of each) for one that informs;
    `kind` is that of its ring entries then. `spare`: how many more instruments may come to be
    followed while it runs (`learn`). `lanes` connections may race for each shard of at most
    `markets_max`; with `has_poll` a last seat takes books read over REST. A restarted feed goes on
    from the quote numbers, tick epochs and counters it finds, and republishes everything as
    untrusted under its own epoch at once.
    """

    def __init__(
        self,
        segment: Segment,
        *,
        feed: int,
        epoch: int,
        now_ns: int,
        instruments: Sequence[Instrument] = (),
        products: Sequence[int] = (),
        lanes: int = 1,
        markets_max: int = 0,
        has_poll: bool = False,
        kind: int = K_SPOT,
        spare: int = 0,
    ) -> None:
        assert not (instruments and products)
        total, is_spot = len(instruments) or len(products), bool(products)
        rooms = shards_of(total + spare * (not is_spot), markets_max)
        counts = evenly(total, len(rooms))
        states = levels.new_states(
            counts, lanes + has_poll, is_spot=is_spot, has_poll=has_poll, rooms=rooms
        )
        places = [(i, shard) for shard, room in zip(states, rooms, strict=True)
                  for i in range(room)]  # fmt: skip
        self._places, self._kind = places, kind
        facts = None if is_spot else Facts(segment.words, places, self.count)
        self.seats: list[list[Seat]] = []
        self._local_of: dict[int, int] = {}  # of an instrument's number, for good
        self._followed: dict[int, Instrument] = {}  # by place in the feed
        self._seated(segment.words, states, counts, rooms, instruments, facts)
        self._epoch = epoch
        row_at = segment.at("roles", FEED_ROLE + feed)
        self._counters_at = row_at + cell(ROLE, "counters")
        self._connected_at = row_at + cell(ROLE, "connected")
        self._told_connected = 0
        for shard in states:
            for state in shard:
                self._head(segment, feed, state)
        for i in range(COUNTERS_MAX):
            self.state[levels.COUNTS_AT + i] = word_load(self.words, self._counters_at + i)
        self._slots_at = segment.at("spot" if is_spot else "quotes")
        for local, each in self._followed.items():
            self._resume(local, each.index, each.generation)
        for local, slot in enumerate(products):
            self._resume(local, slot, 0)
        ring_adopt(self.words, segment.at(f"changes_{feed}"), segment.entries(f"changes_{feed}"))
        for row in self.seats:
            for seat in row:
                seat.mark(now_ns=now_ns)
        word_store(self.words, self._connected_at, 0)

    def _seated(
        self,
        words: Words,
        states: Sequence[list[Words]],
        counts: Sequence[int],
        rooms: Sequence[int],
        instruments: Sequence[Instrument],
        facts: Facts | None,
    ) -> None:
        """A row of seats for each shard, and its instruments at the first of its places."""
        notices = Notices()
        first = taken = 0
        for shard, count, room in zip(states, counts, rooms, strict=True):
            named = [replace(one, local=i) for i, one in
                     enumerate(instruments[taken : taken + count])]  # fmt: skip
            for one in named:
                self._local_of[one.index] = first + one.local
                self._followed[first + one.local] = replace(one, local=first + one.local)
            row: list[Seat] = []
            for state in shard:
                seat = Seat() if self.seats or row else self
                seat._take(
                    words, state, instruments=named, count=count, room=room,
                    first=first, facts=facts, notices=notices, rivals=shard,
                )  # fmt: skip
                row.append(seat)
            self.seats.append(row)
            first, taken = first + room, taken + count

    def _head(self, segment: Segment, feed: int, state: Words) -> None:
        if self._is_spot:
            state[levels.KIND] = self._kind
        state[levels.SLOTS_AT] = segment.at("spot" if self._is_spot else "quotes")
        state[levels.RING_AT] = segment.at(f"changes_{feed}")
        state[levels.RING_ENTRIES] = segment.entries(f"changes_{feed}")
        state[levels.BELL_AT] = segment.at("bells", DETECTOR)
        names = HISTOGRAMS["feed"]
        for place, name in (
            (levels.LATENCY_AT, "recv_to_publish"),
            (levels.AGE_AT, "message_age"),
            (levels.TURN_AT, "turn"),
        ):
            at = (FEED_ROLE + feed) * HISTOGRAMS_MAX + names.index(name)
            state[place] = segment.at("histograms", at)

    # ---- which instruments

    @property
    def all_instruments(self) -> tuple[Instrument, ...]:
        """Those that are followed; `local` is the place in the feed."""
        return tuple(self._followed.values())

    def follows(self, instrument: Instrument) -> bool:
        """Whether its place is still this one's: what was asked for it may be late."""
        return self._followed.get(instrument.local) == instrument

    def learn(self, told: Instrument, is_live: bool, now_ns: int) -> bool:
        """The supervisor says that an instrument is to be followed, or no more. True if that is
        news. Its slot keeps the place it once had, so no quote ever goes to another's slot."""
        local = self._local_of.get(told.index, -1)
        known = self._followed.get(local)
        if known is not None and told.generation < known.generation:
            return False
        if not is_live:
            return known is not None and self._forget(local, now_ns)
        if known is not None and known.generation == told.generation:
            return False
        if local < 0:
            row = max(self.seats, key=lambda row: row[0].room - row[0].count_max)
            place = row[0].count_max
            if place == row[0].room:
                self.notices.alert(f"no place is left for {told.ticker}", is_grave=True)
                return False
            local = self._local_of[told.index] = row[0].first + place
        self._followed[local] = replace(told, local=local)
        self._vacate(local, now_ns)
        self._resume(local, told.index, told.generation)
        for seat in self._follow(local):
            seat.mark(local - seat.first, raised=TICK_EPOCH, now_ns=now_ns)
        return True

    def _forget(self, local: int, now_ns: int) -> bool:
        del self._followed[local]
        self.facts.end(local, now_ns)
        for seat in self._follow(local):
            seat.mark(local - seat.first, raised=NO_SNAPSHOT, now_ns=now_ns, clear=True)
        return True

    def _row(self, local: int) -> list[Seat]:
        return next(row for row in self.seats if local < row[0].first + row[0].room)

    def _follow(self, local: int) -> list[Seat]:
        """The seats of that place, told what they follow now."""
        row = self._row(local)
        first, end = row[0].first, row[0].first + row[0].room
        followed = sorted(at for at in self._followed if first <= at < end)
        named = [replace(self._followed[at], local=at - first) for at in followed]
        for seat in row:
            seat.follow(named, max(seat.count_max, local - first + 1))
        return row

    def _vacate(self, local: int, now_ns: int) -> None:
        """Nothing of who had the place before is left but the slot's numbers."""
        place, states = self._places[local]
        for seat, state in enumerate(states):
            at, is_dirty = self._book(place), state[self._book(place) + levels.IS_DIRTY]
            kept = state[at + levels.TRUST] & POLLED | NO_SNAPSHOT
            levels.empty(state, at)
            state[at : at + BODY_AT + BODY] = 0
            state[at + levels.TRUST], state[at + levels.IS_DIRTY] = kept, is_dirty
            state[at + levels.BEST_ASK] = levels.PRICES
            state[at + levels.CLAIM_BID] = state[at + levels.CLAIM_ASK] = levels.NO_CLAIM
            line = int(state[levels.BOARD] + place * state[levels.STRIDE])
            record = line + levels.LINE_CELLS + seat * levels.RECORD_CELLS
            state[record : record + levels.RECORD_CELLS] = 0
            state[record + levels.TRUST] = kept
        self._line(local)[:] = 0

    def _resume(self, local: int, index: int, generation: int) -> None:
        """Start from what a predecessor left in the slot: its number and its facts, no levels.

        Of another generation (another market) only the number and the tick epoch go on.
        """
        body, record = np.zeros(BODY, np.int64), SPOT if self._is_spot else QUOTE
        is_left = slot_load(self.words, self._slots_at + index * ENTRY, body, BODY) > 0
        number = int(body[cell(record, "number")])
        if not self._is_spot:
            tick, kept = cell(QUOTE, "tick_epoch"), cell(QUOTE, "generation")
            if not is_left or body[kept] != generation:
                ticks = body[tick]
                body[:] = 0
                body[tick] = ticks
                for name in ("close_epoch_ns", "strike_e8", "settlement_e6"):
                    body[cell(QUOTE, name)] = NONE_NS
            grid = cell(QUOTE, "grid")
            self.facts.resume(local, [int(value) for value in body[grid : grid + 6]])
            body[cell(QUOTE, "status")] = ST_UNKNOWN
            body[cell(QUOTE, "event_epoch_ns")] = 0
            for name, price in (("bids", NO_BID_E6), ("asks", NO_ASK_E6)):
                side = cell(QUOTE, name)
                body[side : side + 10] = [price, 0] * 5
        body[0], body[1] = index, generation
        body[cell(record, "epoch")] = self._epoch
        place, states = self._places[local]
        at = self._book(place) + BODY_AT
        for state in states:
            state[at : at + BODY] = body
        self._line(local)[levels.NUMBER] = number

    def _line(self, local: int) -> Words:
        """The instrument's line on the board."""
        place, states = self._places[local]
        at = int(states[0][levels.BOARD] + place * states[0][levels.STRIDE])
        return states[0][at : at + levels.LINE_CELLS]

    # ---- what is published, by place in the feed

    def leader(self, local: int) -> tuple[Seat, int]:
        """The seat whose book is published, and the instrument's place there."""
        place, lead = self._places[local][0], int(self._line(local)[levels.LEAD])
        return self._row(local)[lead], place

    def counted(self, name: str) -> int:
        """A counter as it stands here."""
        return sum(int(seat.state[COUNTER[name]]) for row in self.seats for seat in row)

    def shown(self, local: int) -> tuple[int, Levels, Levels]:
        """What was published last: quote number, bids, asks."""
        seat, place = self.leader(local)
        body = seat._book(place) + BODY_AT
        sides: list[Levels] = []
        for name in ("bids", "asks"):
            at = body + cell(QUOTE, name)
            cells = [int(value) for value in seat.state[at : at + 2 * LEVELS]]
            pairs = zip(cells[::2], cells[1::2], strict=True)
            sides.append(tuple(pair for pair in pairs if pair[1]))
        return int(self._line(local)[levels.NUMBER]), sides[0], sides[1]

    def set_facts(
        self, local: int, facts: MarketFacts, now_ns: int, *, is_fresh: bool = True
    ) -> None:
        """Facts read from the venue's REST (feeds/facts.py)."""
        self.facts.set_facts(local, facts, now_ns, is_fresh=is_fresh)

    # ---- every step

    def close_due(self, run_epoch_ns: int, now_ns: int) -> bool:
        """Markets whose close has come. True: facts must be read at once."""
        return not self._is_spot and self.facts.close_due(run_epoch_ns, now_ns)

    def is_open_due(self, run_epoch_ns: int) -> bool:
        """True if a market's opening time has come but not its status."""
        return not self._is_spot and self.facts.is_open_due(run_epoch_ns)

    def account(self, elapsed_ns: int) -> int:
        """Trusted time and counters into shared memory; how many open markets of the first seat
        lack a snapshot."""
        book.account(self.words, self.state, self._counters_at, elapsed_ns)
        return self.waiting()

    def connected(self, is_connected: bool, heard_ns: int = 1) -> None:
        """The role's `connected` word: 0 unless subscribed and every open market has its book, else
        when anything was last heard over the link (of several shards: of the quietest)."""
        told = max(heard_ns, 1) if is_connected else 0
        if told != self._told_connected:
            self._told_connected = told
            word_store(self.words, self._connected_at, told)
