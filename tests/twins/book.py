"""The compiled book (feeds/levels.py, book.py) once more, in plain Python: dicts and sorted lists.

Slow and obvious. What it publishes must equal what the kernels publish, cell by cell, stamps of the
moment of publishing apart.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from shm_layout import (
    ASK,
    BID,
    CROSSED,
    GAP,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    NOT_OPEN,
    REST_MISMATCH,
    ST_ACTIVE,
)

SIZE_MAX_E6 = 10**15
NO_CLAIM = -1


class Published(NamedTuple):
    """One ring entry, as far as the book decides it."""

    instrument: int
    number: int
    trust: int
    seq: int
    event_epoch_ns: int
    recv_ns: int
    bids: tuple[int, ...]
    asks: tuple[int, ...]


@dataclass
class TwinBook:
    """One instrument."""

    status: int = 0
    remembered: int = NO_SNAPSHOT
    sides: tuple[dict[int, int], dict[int, int]] = field(default_factory=lambda: ({}, {}))
    claim_bid_e6: int = NO_CLAIM
    claim_ask_e6: int = NO_CLAIM
    doubt_ns: int = 0
    number: int = 0
    seq: int = 0
    event_epoch_ns: int = 0
    recv_ns: int = 0
    shown: tuple[int, tuple[int, ...], tuple[int, ...]] | None = None

    def best_bid_e6(self) -> int:
        return max(self.sides[BID], default=0)

    def best_ask_e6(self) -> int:
        return min(self.sides[ASK], default=1_000_000)

    def disagrees(self) -> bool:
        return (
            self.claim_bid_e6 not in (NO_CLAIM, self.best_bid_e6())
            or self.claim_ask_e6 not in (NO_CLAIM, self.best_ask_e6())
        )

    def word(self) -> int:
        word = self.remembered
        if self.best_bid_e6() >= self.best_ask_e6():
            word |= CROSSED
        if self.status != ST_ACTIVE:
            word |= NOT_OPEN
        if self.disagrees():
            word |= REST_MISMATCH
        return word

    def top(self, side: int) -> tuple[int, ...]:
        absent = NO_BID_E6 if side == BID else NO_ASK_E6
        levels = sorted(self.sides[side].items(), reverse=side == BID)[:5]
        levels += [(absent, 0)] * (5 - len(levels))
        return tuple(cell for level in levels for cell in level)


class TwinBooks:
    """All instruments of a feed."""

    def __init__(self, count: int) -> None:
        self.books = [TwinBook() for _ in range(count)]
        self.dirty: list[int] = []
        self.published: list[Published] = []
        self.counts: Counter[str] = Counter()

    def _publish(self, local: int, *, forced: bool = False) -> None:
        book = self.books[local]
        shown = (book.word(), book.top(BID), book.top(ASK))
        was = book.shown
        if shown[0] & CROSSED and (was is None or was[0] != shown[0]):
            self.counts["crossed"] += 1
        if shown == was and not forced:
            return
        book.shown = shown
        book.number += 1
        self.counts["published"] += 1
        stamps = (book.seq, book.event_epoch_ns, book.recv_ns)
        self.published.append(Published(local, book.number, shown[0], *stamps, *shown[1:]))

    def flush(self) -> None:
        for local in self.dirty:
            self._publish(local)
        self.dirty = []

    def _touch(self, local: int, seq: int, event_epoch_ns: int, recv_ns: int) -> None:
        book = self.books[local]
        book.seq, book.recv_ns = seq, recv_ns
        book.event_epoch_ns = max(book.event_epoch_ns, event_epoch_ns)
        if local not in self.dirty:
            self.dirty.append(local)

    def _apply(self, local: int, side: int, price_e6: int, size_e6: int, is_delta: bool) -> None:
        book = self.books[local]
        self.counts["changes"] += 1
        if price_e6 % 100 or not 0 < price_e6 < 1_000_000 or abs(size_e6) > SIZE_MAX_E6:
            self.counts["bad_frames"] += 1
            book.remembered |= GAP
            return
        levels = book.sides[side]
        total = size_e6 + (levels.get(price_e6, 0) if is_delta else 0)
        if total < 0:
            self.counts["negative"] += 1
            book.remembered |= GAP
            total = 0
        elif total > SIZE_MAX_E6:
            self.counts["bad_frames"] += 1
            book.remembered |= GAP
            total = SIZE_MAX_E6
        levels.pop(price_e6, None)
        if total:
            levels[price_e6] = total

    def change(
        self, local: int, side: int, price_e6: int, size_e6: int, is_delta: bool, seq: int,
        event_epoch_ns: int, recv_ns: int, last: bool,
    ) -> None:  # fmt: skip
        self._apply(local, side, price_e6, size_e6, is_delta)
        self._touch(local, seq, event_epoch_ns, recv_ns)
        if last:
            self.flush()

    def replace(
        self, local: int, levels: list[int], clear: bool, bid_e6: int, ask_e6: int, seq: int,
        event_epoch_ns: int, recv_ns: int, last: bool,
    ) -> None:  # fmt: skip
        book = self.books[local]
        is_stale = 0 < event_epoch_ns < book.event_epoch_ns
        if is_stale and not (clear and book.remembered & (NO_SNAPSHOT | GAP)):
            if levels or clear:
                book.remembered |= GAP
                self._touch(local, seq, event_epoch_ns, recv_ns)
            if last:
                self.flush()
            return
        if clear:
            self._empty(book)
            is_asked = is_stale and book.remembered & GAP
            book.remembered &= ~NO_SNAPSHOT if is_asked else ~(NO_SNAPSHOT | GAP)
            book.event_epoch_ns = 0 if is_stale else book.event_epoch_ns
        elif not levels:
            event_epoch_ns = 0
        for i in range(0, len(levels), 3):
            self._apply(local, levels[i], levels[i + 1], levels[i + 2], False)
        was = book.disagrees()
        book.claim_bid_e6 = bid_e6 if bid_e6 != NO_CLAIM else book.claim_bid_e6
        book.claim_ask_e6 = ask_e6 if ask_e6 != NO_CLAIM else book.claim_ask_e6
        self.counts["mismatch"] += book.disagrees() and not was
        if levels and not clear:
            if 0 < book.doubt_ns < event_epoch_ns:
                book.remembered |= GAP
            else:
                book.doubt_ns = event_epoch_ns if book.disagrees() else 0
        self._touch(local, seq, event_epoch_ns, recv_ns)
        if last:
            self.flush()

    def mark(self, local: int, raised: int, lowered: int, clear: bool, recv_ns: int) -> None:
        for each in range(len(self.books)) if local < 0 else [local]:
            book = self.books[each]
            book.remembered = (book.remembered | raised) & ~lowered
            if clear:
                self._empty(book)
                book.seq = book.event_epoch_ns = 0
            book.recv_ns = recv_ns
            self._publish(each)

    @staticmethod
    def _empty(book: TwinBook) -> None:
        book.sides[BID].clear()
        book.sides[ASK].clear()
        book.claim_bid_e6 = book.claim_ask_e6 = NO_CLAIM
        book.doubt_ns = 0
