"""What stands beside the quotes of one feed: status, tick grid, close, fees. Read per market, never
assumed; the same whichever connection is published, so it goes into every seat's body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from feeds import book
from feeds.levels import BODY_AT, BOOK_CELLS, BOOKS_AT, TRUST
from feeds.update import SECOND_NS, MarketFacts, grid_cells
from shm_layout import (
    NONE_NS,
    QUOTE,
    ST_ACTIVE,
    ST_CLOSED,
    ST_INACTIVE,
    ST_INITIALIZED,
    TICK_EPOCH,
    Words,
    cell,
)

_NEVER_EPOCH_NS = 1 << 62
STATUS_HOLD_NS = 20 * SECOND_NS  # a status heard on the wire outranks REST, which is cached 15 s
_PLAIN = (  # facts that are one cell of the quote each
    "close_epoch_ns", "strike_e8", "settlement_e6", "taker_delay_ns", "size_min_e6",
    "size_step_e6", "notional_min_e6", "notional_step_e6", "fee_kind", "fee_rate_e6",
    "fee_exponent", "fee_unit_e6", "fee_mode",
)  # fmt: skip
_CELL = {name: BODY_AT + cell(QUOTE, name) for name in (*_PLAIN, "status", "tick_epoch", "grid")}


class Facts:
    """The facts of a feed's instruments, by their place in the feed. `places`: for each instrument
    its place in its shard's books and the states of that shard's seats."""

    def __init__(
        self,
        words: Words,
        places: Sequence[tuple[int, Sequence[Words]]],
        count: Callable[[str], None],
    ) -> None:
        size = len(places)
        self._words = words
        self._places = places
        self._count = count
        self._grid: list[list[int]] = [[] for _ in range(size)]
        self._closes: list[int] = [NONE_NS] * size
        self._soonest_ns = _NEVER_EPOCH_NS  # no close comes before it
        self.opens: list[int] = [NONE_NS] * size
        self._unopened: set[int] = set()
        self._closed_at: list[int] = [NONE_NS] * size  # by the clock, not by a word
        self._open_ended: set[int] = set()  # whose end is no close: the venue is asked then
        self._held_until_ns: list[int] = [0] * size
        self._stops: dict[int, int] = {}  # deactivations told, the most by any connection
        self._told: dict[tuple[int, int], int] = {}  # the same by seat and market

    def resume(self, local: int, grid: list[int]) -> None:
        """Nothing is known but the grid that the predecessor left in the slot."""
        self._grid[local] = grid
        self._closes[local] = self.opens[local] = self._closed_at[local] = NONE_NS
        self._held_until_ns[local] = 0
        self._unopened.discard(local)
        self._open_ended.discard(local)
        self._stops.pop(local, None)
        for told in [told for told in self._told if told[1] == local]:
            del self._told[told]

    def end(self, local: int, now_ns: int) -> None:
        """The market is followed no more: whatever it was, it is not open."""
        self._closes[local] = self.opens[local] = NONE_NS
        self._unopened.discard(local)
        if self.status(local) < ST_CLOSED and self._set_status(local, ST_CLOSED):
            self._republish(local, now_ns)

    def _at(self, local: int) -> tuple[Words, int]:
        """A state that has them, and where the instrument's book begins there."""
        place, states = self._places[local]
        return states[0], BOOKS_AT + place * BOOK_CELLS

    def _republish(self, local: int, now_ns: int) -> None:
        place, states = self._places[local]
        for state in states:
            book.republish(self._words, state, place, now_ns)

    def status(self, local: int) -> int:
        """The market's status as published."""
        state, at = self._at(local)
        return int(state[at + _CELL["status"]])

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
        changed = self._set_grid(local, facts.grid)
        for name in _PLAIN:
            if name == "settlement_e6" and facts.settlement_e6 == NONE_NS:
                continue
            changed |= self._set(local, name, getattr(facts, name))
        (self._open_ended.discard if facts.is_end_close else self._open_ended.add)(local)
        self._closes_at(local, facts.close_epoch_ns)
        self.opens[local] = facts.open_epoch_ns
        if self._may_become(local, facts, now_ns):
            changed |= self._set_status(local, facts.status)
        cleared = False
        if is_fresh:
            place, states = self._places[local]
            at = BOOKS_AT + place * BOOK_CELLS + TRUST
            for state in states:
                cleared |= bool(state[at] & TICK_EPOCH)
                state[at] &= ~TICK_EPOCH
        if changed or cleared:
            self._republish(local, now_ns)

    def _may_become(self, local: int, facts: MarketFacts, now_ns: int) -> bool:
        was = self.status(local)
        if facts.status > max(was, ST_ACTIVE):
            return True
        if was == ST_CLOSED and self._closed_at[local] != NONE_NS:  # unless its close was moved
            return facts.close_epoch_ns > self._closed_at[local]
        return was < ST_CLOSED and now_ns >= self._held_until_ns[local]

    def listens(self, seat: int, first: int, count: int) -> None:
        """A seat has a new connection for these markets: as new as what any was told."""
        for local, stops in self._stops.items():
            if first <= local < first + count:
                self._told[seat, local] = stops

    def set_status(
        self, local: int, status: int, now_ns: int, settlement_e6: int, seat: int = 0
    ) -> bool:
        """A status heard on the wire by a seat, with the settlement value if it came with one.
        False: it is not believed, facts must be read.

        Connections lag behind one another, and the messages have no time (kalshi.md 13): what is
        over is not undone, and trading goes on only by the word of one that was told every stop.
        """
        was = self.status(local)
        if status < was and was >= ST_CLOSED:
            return False
        if status == ST_INACTIVE:
            told = self._told[seat, local] = self._told.get((seat, local), 0) + 1
            self._stops[local] = max(self._stops.get(local, 0), told)
        elif status == ST_ACTIVE and self._told.get((seat, local), 0) < self._stops.get(local, 0):
            return False
        changed = self._set_status(local, status)
        self._held_until_ns[local] = now_ns + STATUS_HOLD_NS
        if settlement_e6 != NONE_NS:
            changed |= self._set(local, "settlement_e6", settlement_e6)
        if changed:
            self._republish(local, now_ns)
        return True

    def set_cell(self, local: int, name: str, value: int, now_ns: int) -> None:
        """One fact that the wire told: strike_e8, close_epoch_ns, fee_rate_e6."""
        if name == "close_epoch_ns":
            self._closes_at(local, value)
        if self._set(local, name, value):
            self._republish(local, now_ns)

    def set_grid(self, local: int, grid: tuple[tuple[int, int], ...], now_ns: int) -> None:
        """A new tick grid: what was signed for the old one is void (`tick_epoch` grows)."""
        if self._set_grid(local, grid):
            self._republish(local, now_ns)

    def _set(self, local: int, name: str, value: int) -> bool:
        state, at = self._at(local)
        if state[at + _CELL[name]] == value:
            return False
        for each in self._places[local][1]:
            each[at + _CELL[name]] = value
        return True

    def _set_status(self, local: int, status: int) -> bool:
        changed = self._set(local, "status", status)
        if changed:
            self._count("status_changes")
            self._closes_at(local, self._closes[local])
            (self._unopened.add if status == ST_INITIALIZED else self._unopened.discard)(local)
        return changed

    def _set_grid(self, local: int, grid: tuple[tuple[int, int], ...]) -> bool:
        if not grid:
            return False
        cells = grid_cells(grid)
        if cells == self._grid[local]:
            return False
        state, at = self._at(local)
        if any(self._grid[local]):
            self._count("tick_changes")
        self._set(local, "tick_epoch", int(state[at + _CELL["tick_epoch"]]) + 1)
        for each in self._places[local][1]:
            each[at + _CELL["grid"] : at + _CELL["grid"] + 6] = cells
        self._grid[local] = cells
        return True

    def _closes_at(self, local: int, close_epoch_ns: int) -> None:
        if local in self._open_ended and close_epoch_ns == self._closed_at[local]:
            close_epoch_ns = NONE_NS  # the venue was asked already
        self._closes[local] = close_epoch_ns
        if close_epoch_ns != NONE_NS:
            self._soonest_ns = min(self._soonest_ns, close_epoch_ns)

    def close_due(self, run_epoch_ns: int, now_ns: int) -> bool:
        """Markets whose close has come: Kalshi sends no event for it (kalshi.md 12). True: some
        have come to an end that may be none, and are untrusted until facts have been read."""
        if run_epoch_ns < self._soonest_ns:
            return False
        must_ask = False
        for local, close_ns in enumerate(self._closes):
            if NONE_NS < close_ns <= run_epoch_ns and self.status(local) < ST_CLOSED:
                self._closes[local], self._closed_at[local] = NONE_NS, close_ns
                if local in self._open_ended:
                    must_ask = True
                    place, states = self._places[local]
                    for state in states:
                        state[BOOKS_AT + place * BOOK_CELLS + TRUST] |= TICK_EPOCH
                else:
                    self._set_status(local, ST_CLOSED)
                self._republish(local, now_ns)
        later = (close_ns for close_ns in self._closes if close_ns > run_epoch_ns)
        self._soonest_ns = min(later, default=_NEVER_EPOCH_NS)
        return must_ask

    def is_open_due(self, run_epoch_ns: int) -> bool:
        """True if a market's opening time has come but not its status (no event for it either)."""
        return any(NONE_NS < self.opens[local] <= run_epoch_ns for local in self._unopened)
