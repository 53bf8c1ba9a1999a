"""The one writer of a feed's blocks: its quotes or spot slots, its ring, its line among the roles.

Owns the private state the kernels work on. The venue files call the kernels with `words` and
`state` directly on the hot path and go through the methods here for everything cold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feeds import book, levels, spot
from feeds.levels import BODY_AT, BOOK_CELLS, BOOKS_AT, COUNTER, SPOT_CELLS
from feeds.notices import Notices
from feeds.update import SECOND_NS, Instrument, MarketFacts, grid_cells
from shm_layout import (
    BODY,
    COUNTERS_MAX,
    CROSSED,
    DETECTOR,
    DRIFT,
    ENTRY,
    FEED_ROLE,
    GAP,
    HISTOGRAMS,
    HISTOGRAMS_MAX,
    INSTRUMENTS_MAX,
    LEVELS,
    LINK_SILENT,
    NO_ASK_E6,
    NO_BID_E6,
    NO_SNAPSHOT,
    NONE_NS,
    QUOTE,
    REST_MISMATCH,
    ROLE,
    SPOT,
    ST_ACTIVE,
    ST_CLOSED,
    ST_UNKNOWN,
    TICK_EPOCH,
    TIME_SKEW,
    Segment,
    Words,
    cell,
    cells_to_text,
    cells_to_uint256,
    ring_adopt,
    slot_load,
    word_load,
    word_store,
)

Levels = tuple[tuple[int, int], ...]  # (price_e6, size_e6), best first
STATUS_HOLD_NS = 20 * SECOND_NS  # a status heard on the wire outranks REST, which is cached 15 s
_PLAIN = (  # facts that are one cell of the quote each
    "close_epoch_ns", "strike_e8", "settlement_e6", "taker_delay_ns", "size_min_e6",
    "size_step_e6", "notional_min_e6", "notional_step_e6", "fee_kind", "fee_rate_e6",
    "fee_exponent", "fee_unit_e6", "fee_mode",
)  # fmt: skip
_CELL = {name: BODY_AT + cell(QUOTE, name) for name in (*_PLAIN, "status", "tick_epoch", "grid")}


def instruments_of(segment: Segment, feed: int) -> list[Instrument]:
    """The live instruments whose quotes this feed writes, in the order of their numbers."""
    found: list[Instrument] = []
    for index in range(INSTRUMENTS_MAX):
        row = segment.read("instruments", index)
        if row is None or not row["live"] or row["feed"] != feed:
            continue
        found.append(
            Instrument(
                local=len(found),
                index=index,
                generation=int(row["generation"]),
                ticker=cells_to_text(row["ticker"]),
                condition=cells_to_uint256(row["condition"]),
                token_yes=cells_to_uint256(row["token_yes"]),
                token_no=cells_to_uint256(row["token_no"]),
            )
        )
    return found


class Publisher:
    """Books of one feed and what publishes them. Everything else only reads what it writes.

    `instruments` for a venue of markets, `products` (slot number of each) for a spot exchange. A
    restarted feed goes on from the quote numbers, tick epochs and counters it finds, and
    republishes everything as untrusted under its own epoch at once.
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
    ) -> None:
        assert not (instruments and products)
        self.words: Words = segment.words
        self.instruments = tuple(instruments)
        self.count_max = len(instruments) or len(products)
        self._is_spot = bool(products)
        self._cells = SPOT_CELLS if products else BOOK_CELLS
        self.state: Words = levels.new_state(self.count_max, is_spot=self._is_spot)
        role = FEED_ROLE + feed
        row = segment.at("roles", role)
        self._counters_at = row + cell(ROLE, "counters")
        self._connected_at = row + cell(ROLE, "connected")
        self._is_connected = False
        self.notices = Notices()
        self._grid: list[list[int]] = [[] for _ in range(self.count_max)]
        self._closes: list[int] = [NONE_NS] * self.count_max
        self.opens: list[int] = [NONE_NS] * self.count_max
        self._closed_at: list[int] = [NONE_NS] * self.count_max  # by the clock, not by a word
        self._held_until_ns: list[int] = [0] * self.count_max
        self._head(segment, feed, role)
        slots = segment.at("spot" if products else "quotes")
        named = [(each.index, each.generation) for each in instruments]
        for local, (index, generation) in enumerate(named or [(slot, 0) for slot in products]):
            self._resume(local, index, generation, epoch, slots)
        ring_adopt(self.words, segment.at(f"changes_{feed}"), segment.entries(f"changes_{feed}"))
        self.mark(now_ns=now_ns)
        word_store(self.words, self._connected_at, 0)

    def _head(self, segment: Segment, feed: int, role: int) -> None:
        state = self.state
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
            at = role * HISTOGRAMS_MAX + names.index(name)
            state[place] = segment.at("histograms", at)
        for i in range(COUNTERS_MAX):
            state[levels.COUNTS_AT + i] = word_load(self.words, self._counters_at + i)

    def _resume(self, local: int, index: int, generation: int, epoch: int, slots: int) -> None:
        """Start from what a predecessor left in the slot: its number and its facts, no levels.

        Of another generation (another market) only the number and the tick epoch go on.
        """
        at = self._book(local) + BODY_AT
        body, record = np.zeros(BODY, np.int64), SPOT if self._is_spot else QUOTE
        is_left = slot_load(self.words, slots + index * ENTRY, body, BODY) > 0
        if not self._is_spot:
            tick, kept = cell(QUOTE, "tick_epoch"), cell(QUOTE, "generation")
            if not is_left or body[kept] != generation:
                number, ticks = body[cell(QUOTE, "number")], body[tick]
                body[:] = 0
                body[cell(QUOTE, "number")], body[tick] = number, ticks
                for name in ("close_epoch_ns", "strike_e8", "settlement_e6"):
                    body[cell(QUOTE, name)] = NONE_NS
            grid = cell(QUOTE, "grid")
            self._grid[local] = [int(value) for value in body[grid : grid + 6]]
            body[cell(QUOTE, "status")] = ST_UNKNOWN
            body[cell(QUOTE, "event_epoch_ns")] = 0
            for name, price in (("bids", NO_BID_E6), ("asks", NO_ASK_E6)):
                side = cell(QUOTE, name)
                body[side : side + 10] = [price, 0] * 5
        body[0], body[1] = index, generation
        body[cell(record, "epoch")] = epoch
        self.state[at : at + BODY] = body

    def _book(self, local: int) -> int:
        return BOOKS_AT + local * self._cells

    # ---- counters and trust

    def count(self, name: str, by: int = 1) -> None:
        """Add to one of the feed's counters; `step` carries them to shared memory."""
        self.state[COUNTER[name]] += by

    def counted(self, name: str) -> int:
        """A counter as it stands here."""
        return int(self.state[COUNTER[name]])

    def trust(self, local: int) -> int:
        """The remembered trust bits (those that events raise), not what the book itself shows."""
        return int(self.state[self._book(local) + levels.TRUST])

    def mark(
        self,
        local: int = -1,
        *,
        raised: int = 0,
        lowered: int = 0,
        now_ns: int,
        clear: bool = False,
    ) -> None:
        """Raise and lower remembered trust bits (of all: -1) and publish what that changes."""
        if self._is_spot:
            spot.spot_mark(self.words, self.state, raised, lowered, now_ns)
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
        """The connection is gone: books empty, nothing of it may be traded on."""
        lowered = GAP | LINK_SILENT | DRIFT | REST_MISMATCH | TIME_SKEW
        self.state[levels.DIRTY] = 0
        for local in range(self.count_max):
            self.state[self._book(local) + levels.IS_DIRTY] = 0
        self.mark(raised=NO_SNAPSHOT, lowered=lowered, clear=True, now_ns=now_ns)

    def silence(self, is_silent: bool, now_ns: int) -> None:
        """The link has fallen silent, or speaks again."""
        raised, lowered = (LINK_SILENT, 0) if is_silent else (0, LINK_SILENT)
        self.mark(raised=raised, lowered=lowered, now_ns=now_ns)

    def touch(self, local: int) -> tuple[int, int]:
        """(best bid, best ask) in 1e-6 of the book now; 0 and 1e6 for an empty side."""
        at = self._book(local)
        return (
            int(self.state[at + levels.BEST_BID]) * levels.PRICE_STEP_E6,
            int(self.state[at + levels.BEST_ASK]) * levels.PRICE_STEP_E6,
        )

    def shown(self, local: int) -> tuple[int, Levels, Levels]:
        """What was published last: quote number, bids, asks."""
        body = self._book(local) + BODY_AT
        sides: list[Levels] = []
        for name in ("bids", "asks"):
            at = body + cell(QUOTE, name)
            cells = [int(value) for value in self.state[at : at + 2 * LEVELS]]
            pairs = zip(cells[::2], cells[1::2], strict=True)
            sides.append(tuple(pair for pair in pairs if pair[1]))
        return int(self.state[body + cell(QUOTE, "number")]), sides[0], sides[1]

    def doubtful(self) -> list[int]:
        """Markets whose quote shows a crossed book or another touch than the venue's."""
        bits, count = CROSSED | REST_MISMATCH, range(self.count_max)
        return [i for i in count if self.state[self._book(i) + levels.AT_TRUST] & bits]

    # ---- facts

    def status(self, local: int) -> int:
        """The market's status as published."""
        return int(self.state[self._book(local) + _CELL["status"]])

    def grid(self, local: int) -> tuple[tuple[int, int], ...]:
        """(end, step) ranges as published."""
        cells = self._grid[local]
        return tuple((cells[i], cells[i + 1]) for i in range(0, len(cells), 2) if cells[i])

    def set_facts(
        self, local: int, facts: MarketFacts, now_ns: int, *, is_fresh: bool = True
    ) -> None:
        """Facts read from the venue's REST. A status that the wire told lately, or that ends the
        market, is not undone by them. `is_fresh`: nothing that may have changed them came since
        they were asked for; only such facts end TICK_EPOCH. Raises FeedError on a grid that does
        not fit the quote."""
        at, changed = self._book(local), self._set_grid(local, facts.grid)
        for name in _PLAIN:
            if name == "settlement_e6" and facts.settlement_e6 == NONE_NS:
                continue
            changed |= self._set(at + _CELL[name], getattr(facts, name))
        self._closes[local], self.opens[local] = facts.close_epoch_ns, facts.open_epoch_ns
        if self._may_become(local, facts, now_ns):
            changed |= self._set_status(local, facts.status)
        cleared = is_fresh and self.state[at + levels.TRUST] & TICK_EPOCH
        if cleared:
            self.state[at + levels.TRUST] &= ~TICK_EPOCH
        if changed or cleared:
            book.republish(self.words, self.state, local, now_ns)

    def _may_become(self, local: int, facts: MarketFacts, now_ns: int) -> bool:
        was = self.status(local)
        if facts.status > max(was, ST_ACTIVE):
            return True
        if was == ST_CLOSED and self._closed_at[local] != NONE_NS:  # unless its close was moved
            return facts.close_epoch_ns > self._closed_at[local]
        return was < ST_CLOSED and now_ns >= self._held_until_ns[local]

    def set_status(
        self, local: int, status: int, now_ns: int, *, settlement_e6: int = NONE_NS
    ) -> None:
        """A status heard on the wire, with the settlement value if it came with one."""
        changed = self._set_status(local, status)
        self._held_until_ns[local] = now_ns + STATUS_HOLD_NS
        if settlement_e6 != NONE_NS:
            changed |= self._set(self._book(local) + _CELL["settlement_e6"], settlement_e6)
        if changed:
            book.republish(self.words, self.state, local, now_ns)

    def set_cell(self, local: int, name: str, value: int, now_ns: int) -> None:
        """One fact that the wire told: strike_e8, close_epoch_ns, fee_rate_e6."""
        if name == "close_epoch_ns":
            self._closes[local] = value
        if self._set(self._book(local) + _CELL[name], value):
            book.republish(self.words, self.state, local, now_ns)

    def set_grid(self, local: int, grid: tuple[tuple[int, int], ...], now_ns: int) -> None:
        """A new tick grid: what was signed for the old one is void (`tick_epoch` grows)."""
        if self._set_grid(local, grid):
            book.republish(self.words, self.state, local, now_ns)

    def _set(self, at: int, value: int) -> bool:
        if self.state[at] == value:
            return False
        self.state[at] = value
        return True

    def _set_status(self, local: int, status: int) -> bool:
        changed = self._set(self._book(local) + _CELL["status"], status)
        if changed:
            self.count("status_changes")
        return changed

    def _set_grid(self, local: int, grid: tuple[tuple[int, int], ...]) -> bool:
        if not grid:
            return False
        cells = grid_cells(grid)
        if cells == self._grid[local]:
            return False
        at = self._book(local)
        if any(self._grid[local]):
            self.count("tick_changes")
        self.state[at + _CELL["tick_epoch"]] += 1
        self.state[at + _CELL["grid"] : at + _CELL["grid"] + 6] = cells
        self._grid[local] = cells
        return True

    # ---- every step

    def close_due(self, run_epoch_ns: int, now_ns: int) -> None:
        """Markets whose close has come: Kalshi sends no event for it (kalshi.md 12)."""
        for local, close_ns in enumerate(self._closes):
            if NONE_NS < close_ns <= run_epoch_ns and self.status(local) < ST_CLOSED:
                self._closes[local], self._closed_at[local] = NONE_NS, close_ns
                self._set_status(local, ST_CLOSED)
                book.republish(self.words, self.state, local, now_ns)

    def is_open_due(self, run_epoch_ns: int, before: int) -> bool:
        """True if a market's opening time has come but not its status (no event for it either)."""
        return any(
            NONE_NS < open_ns <= run_epoch_ns and self.status(local) == before
            for local, open_ns in enumerate(self.opens)
        )

    def flush(self) -> None:
        """The received buffer ended with something that was of no book."""
        if not self._is_spot:
            book.flush(self.words, self.state)

    def account(self, elapsed_ns: int) -> int:
        """Trusted time and counters into shared memory; how many open markets lack a snapshot."""
        args = (self.words, self.state, self._cells, self._counters_at, elapsed_ns)
        return int(book.account(*args))

    def connected(self, is_connected: bool) -> None:
        """The role's `connected` word: 1 when subscribed and every open market has its book."""
        if is_connected is not self._is_connected:
            self._is_connected = is_connected
            word_store(self.words, self._connected_at, int(is_connected))
