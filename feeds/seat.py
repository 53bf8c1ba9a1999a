"""One connection's place among the writers of a feed: its books, and what its handler may do.

A handler counts its instruments from 0; which seat it has and whether its books are the published
ones it never learns (feeds/race.py). On the hot path it calls the kernels with `words` and `state`
directly.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feeds import book, spot
from feeds.facts import Facts
from feeds.levels import (
    AT_EVENT,
    AT_STATUS,
    AT_TRUST,
    BEST_ASK,
    BEST_BID,
    BOARD,
    BOOK_CELLS,
    BOOKS_AT,
    CAUGHT_UP,
    COUNT,
    COUNTER,
    DIRTY,
    IS_DIRTY,
    KNOWN,
    LEAD,
    PRICE_STEP_E6,
    SEAT,
    SEATS,
    SPOT_CELLS,
    STRIDE,
    TRUST,
)
from feeds.notices import Notices
from feeds.update import Instrument
from shm_layout import (
    CROSSED,
    DRIFT,
    GAP,
    LINK_SILENT,
    NO_SNAPSHOT,
    NONE_NS,
    REST_MISMATCH,
    ST_ACTIVE,
    TICK_EPOCH,
    TIME_SKEW,
    Words,
)


class Seat:
    """Books of one connection. `first`: the place of its first instrument among the feed's."""

    words: Words
    state: Words
    instruments: tuple[Instrument, ...]  # that are followed; `changes` counts how often they became
    count_max: int  # places in use, also of those followed no more; `room`: that there are
    room: int
    changes: int

    def _take(
        self,
        words: Words,
        state: Words,
        *,
        instruments: Sequence[Instrument],
        count: int,
        room: int,
        first: int,
        facts: Facts | None,
        notices: Notices,
        rivals: Sequence[Words],
    ) -> None:
        self.words, self.state = words, state
        self.instruments, self.count_max, self.room = tuple(instruments), count, room
        self.first, self.changes = first, 0
        self._facts = facts
        self.notices = notices
        self._is_spot = facts is None
        self._cells = SPOT_CELLS if self._is_spot else BOOK_CELLS
        self._rivals = rivals
        self._look()

    def _look(self) -> None:
        """Views of one cell of all places in use."""
        state, count = self.state, self.count_max
        end = BOOKS_AT + count * self._cells
        self._remembered = state[BOOKS_AT + TRUST : end : self._cells]  # of all: one call
        self._published = state[BOOKS_AT + AT_TRUST : end : self._cells]
        self._status = state[BOOKS_AT + AT_STATUS : end : self._cells]  # of books
        self._events = state[BOOKS_AT + AT_EVENT : end : self._cells]
        self._caught_up = state[BOOKS_AT + CAUGHT_UP : end : self._cells]
        board, stride = int(state[BOARD]), int(state[STRIDE])
        end = board + count * stride
        self._leads, self._known = (state[board + at : end : stride] for at in (LEAD, KNOWN))

    def follow(self, instruments: Sequence[Instrument], count: int) -> None:
        """Other instruments from now on, in the first `count` places."""
        self.instruments, self.count_max = tuple(instruments), count
        self.state[COUNT] = count
        self.changes += 1
        self._look()

    def _book(self, local: int) -> int:
        return BOOKS_AT + local * self._cells

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the feed's counters; `account` carries them to shared memory."""
        self.state[COUNTER[name]] += by

    def trust(self, local: int) -> int:
        """The remembered trust bits (those that events raise), not what the book itself shows."""
        return int(self.state[self._book(local) + TRUST])

    def having(self, bits: int) -> list[int]:
        """Instruments with any of these remembered trust bits."""
        return np.flatnonzero(self._remembered & bits).tolist()

    def open_having(self, bits: int) -> list[int]:
        """The same among the markets that are open: those that are over need nothing more."""
        return np.flatnonzero((self._remembered & bits != 0) & (self._status == ST_ACTIVE)).tolist()

    def have_all(self, bits: int) -> bool:
        """True if every instrument has all of these remembered trust bits."""
        return bool((self._remembered & bits == bits).all())

    @property
    def is_bare(self) -> bool:
        """True if no book or quote has come at all, though one is due."""
        return self.have_all(NO_SNAPSHOT) and self.waiting() > 0

    def mark(
        self,
        local: int = -1,
        *,
        raised: int = 0,
        lowered: int = 0,
        now_ns: int,
        clear: bool = False,
    ) -> None:
        """Raise and lower remembered trust bits (of all: -1) and publish what that changes.

        TICK_EPOCH is about the market, not about a connection: it goes to every seat that has it.
        Bits that all have already cost nothing: a venue may name a reason with every frame.
        """
        if raised & TICK_EPOCH:
            for state in self._rivals:
                book.mark(self.words, state, local, TICK_EPOCH, 0, False, now_ns)
            raised &= ~TICK_EPOCH
        if raised and local < 0 and not (lowered or clear) and self.have_all(raised):
            return
        if self._is_spot:
            spot.spot_mark(self.words, self.state, local, raised, lowered, now_ns)
        else:
            book.mark(self.words, self.state, local, raised, lowered, clear, now_ns)

    def trade(
        self,
        local: int,
        *,
        price_e8: int,
        size_e8: int,
        side: int,
        trade_id: int,
        event_epoch_ns: int,
        recv_ns: int,
    ) -> None:
        """A spot trade; `side` is the taker's."""
        spot.spot_trade(
            self.words, self.state, local, price_e8, size_e8, side, trade_id, event_epoch_ns,
            recv_ns,
        )  # fmt: skip

    def quote(
        self,
        local: int,
        *,
        bid: tuple[int, int],
        ask: tuple[int, int],
        event_epoch_ns: int,
        recv_ns: int,
    ) -> None:
        """Best bid and offer of a spot product: (price, size) in 1e-8 each."""
        spot.spot_quote(self.words, self.state, local, *bid, *ask, event_epoch_ns, recv_ns)

    def lose(self, now_ns: int) -> None:
        """The connection is gone: its books empty, nothing of it may be traded on."""
        lowered = GAP | LINK_SILENT | DRIFT | REST_MISMATCH | TIME_SKEW
        self.state[DIRTY] = 0
        self.state[BOOKS_AT + IS_DIRTY : BOOKS_AT + self.count_max * self._cells : self._cells] = 0
        self.mark(raised=NO_SNAPSHOT, lowered=lowered, clear=True, now_ns=now_ns)

    def silence(self, is_silent: bool, now_ns: int) -> None:
        """The link has fallen silent, or speaks again."""
        raised, lowered = (LINK_SILENT, 0) if is_silent else (0, LINK_SILENT)
        self.mark(raised=raised, lowered=lowered, now_ns=now_ns)

    def touch(self, local: int) -> tuple[int, int]:
        """(best bid, best ask) in 1e-6 of the book now; 0 and 1e6 for an empty side."""
        at = self._book(local)
        return (
            int(self.state[at + BEST_BID]) * PRICE_STEP_E6,
            int(self.state[at + BEST_ASK]) * PRICE_STEP_E6,
        )

    def doubtful(self) -> list[int]:
        """Markets whose book is crossed, has another touch than the venue's, or is published
        without what another connection, now gone, had told."""
        found = self._published & (CROSSED | REST_MISMATCH) != 0
        if self.state[SEATS] > 1:
            is_late = self._known > np.maximum(self._events, self._caught_up)
            is_whole = self._remembered & NO_SNAPSHOT == 0
            found |= is_late & is_whole & (self._leads == self.state[SEAT])
        return np.flatnonzero(found).tolist()

    def waiting(self) -> int:
        """How many of its instruments are open and lack a snapshot here."""
        return int(book.waiting(self.state))

    def flush(self) -> None:
        """The received buffer ended with something that was of no book."""
        if not self._is_spot:
            book.flush(self.words, self.state)

    # ---- facts of the market, whichever connection told them

    @property
    def facts(self) -> Facts:
        """Beside the quotes of a market; a spot exchange has none."""
        assert self._facts is not None
        return self._facts

    def status(self, local: int) -> int:
        """The market's status as published."""
        return self.facts.status(self.first + local)

    def grid(self, local: int) -> tuple[tuple[int, int], ...]:
        """(end, step) ranges as published."""
        return self.facts.grid(self.first + local)

    def listens(self) -> None:
        """A new connection: what it will be told of statuses begins now."""
        self.facts.listens(int(self.state[SEAT]), self.first, self.count_max)

    def set_status(
        self, local: int, status: int, now_ns: int, *, settlement_e6: int = NONE_NS
    ) -> bool:
        """A status heard on the wire, with the settlement value if it came with one. False: the
        wire alone is not believed here, facts must be read."""
        place, seat = self.first + local, int(self.state[SEAT])
        return self.facts.set_status(place, status, now_ns, settlement_e6, seat)

    def set_cell(self, local: int, name: str, value: int, now_ns: int) -> None:
        """One fact that the wire told: strike_e8, close_epoch_ns, fee_rate_e6."""
        self.facts.set_cell(self.first + local, name, value, now_ns)

    def set_grid(self, local: int, grid: tuple[tuple[int, int], ...], now_ns: int) -> None:
        """A new tick grid: what was signed for the old one is void (`tick_epoch` grows)."""
        self.facts.set_grid(self.first + local, grid, now_ns)
