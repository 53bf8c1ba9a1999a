"""Which Polymarket markets there are, and which of them were written since the pool last looked.

One kernel call finds the next slot that changed among all that matter, so that a quiet turn costs
two calls however many markets there are, and a touch that moves is seen in the next turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gateway.intake import legs_of
from gateway.look import next_written
from gateway.pool_plan import PlannedMarket
from shm_layout import (
    BODY,
    E6,
    ENTRY,
    INSTRUMENT,
    PAIR,
    POSITION,
    QUOTE,
    VENUES,
    Segment,
    Words,
    cell,
    slot_load,
)

LOOKS = 2048  # slots looked at in a call
ROWS = 8  # of the tables, read in a turn
POLYMARKET = VENUES.index("polymarket")

_I = {name: cell(INSTRUMENT, name) for name in INSTRUMENT.names or ()}
_P = {name: cell(PAIR, name) for name in PAIR.names or ()}
_Q = {name: cell(QUOTE, name) for name in QUOTE.names or ()}
_H = {name: cell(POSITION, name) for name in POSITION.names or ()}


class Watch:
    """Slots, by the cell of their guard word, and what of them was seen."""

    def __init__(self, words: Words, slots: Sequence[int]) -> None:
        self._words, self._at = words, 0
        self._slots, self._seen = np.array(slots, np.int64), np.zeros(len(slots), np.int64)

    def put(self, slots: Sequence[int]) -> None:
        """These from now on; what was seen of those that stay remains so."""
        known = dict(zip(self._slots.tolist(), self._seen.tolist(), strict=True))
        self._slots = np.array(slots, np.int64)
        self._seen = np.array([known.get(slot, 0) for slot in slots], np.int64)

    def next(self) -> int:
        """Place of one that was written; -1: none."""
        count = len(self._slots)
        place: int = next_written(self._words, self._slots, self._seen, self._at, LOOKS)
        self._at = (self._at + LOOKS if place < 0 else place + 1) % count if count else 0
        return place


class Markets:
    """`known`: by instrument. `on_gone` is told of a market that is no longer the same."""

    def __init__(self, main: Segment, on_gone: Callable[[PlannedMarket], None]) -> None:
        self._words, self._on_gone = main.words, on_gone
        self._rows_at, self._pairs_at = main.at("instruments"), main.at("pairs")
        self._quotes_at, self._held_at = main.at("quotes"), main.at("positions")
        self._count, pairs = (main.layout.blocks[n].count for n in ("instruments", "pairs"))
        rows = [self._rows_at + place * ENTRY for place in range(self._count)]
        rows += [self._pairs_at + place * ENTRY for place in range(pairs)]
        self._tables, self._books = Watch(self._words, rows), Watch(self._words, ())
        self._row = np.zeros(BODY, np.int64)
        # row → its instruments (one: to be bet on), same
        self._pairs: dict[int, tuple[tuple[int, ...], bool]] = {}
        self._order: list[PlannedMarket] = []  # as in `_books`: quote, position
        self._again: dict[int, PlannedMarket] = {}
        self.known: dict[int, PlannedMarket] = {}

    def find(self, instrument: int) -> PlannedMarket | None:
        """None: no live market of Polymarket."""
        return self.known.get(instrument) or self._look(instrument)

    def scan(self) -> None:
        """Read some rows that are new or were written again."""
        for _ in range(ROWS):
            place = self._tables.next()
            if place < 0:
                return
            if place < self._count:
                self._look(place)
            else:
                self._pair(place - self._count)

    def written(self) -> PlannedMarket | None:
        """One whose quote or position was written, or that is to be looked at again."""
        if self._again:
            return self._again.pop(next(iter(self._again)))
        place = self._books.next()
        return self._order[place // 2] if place >= 0 else None

    def again(self, market: PlannedMarket) -> None:
        """Have it looked at although nothing was written."""
        market.seen = []
        if self.known.get(market.instrument) is market:
            self._again[market.instrument] = market

    def quote(self, market: PlannedMarket) -> list[int] | None:
        """Its quote; None: there is none of this market."""
        row = self._read(self._quotes_at, market.instrument)
        return row if row is not None and row[_Q["generation"]] == market.generation else None

    def held(self, market: PlannedMarket) -> tuple[int, int]:
        """What the desk last said that we hold of both tokens."""
        row = self._read(self._held_at, market.instrument)
        if row is None or row[_H["generation"]] != market.generation:
            return 0, 0
        return row[_H["yes_e6"]], row[_H["no_e6"]]

    def gap_e6(self, market: PlannedMarket) -> int:
        """What a contract leaves before fees at the touches of the market and of those that it is
        paired with; a dollar less than nothing where there is no such quote.
        """
        best_e6 = -E6
        for legs, same in self._pairs.values():
            if market.instrument in legs and len(legs) > 1:
                rows = [self._read(self._quotes_at, x) for x in legs if x != market.instrument]
                if None not in rows:
                    bids = [row[_Q["bids"]] for row in rows if row is not None]
                    asks = [row[_Q["asks"]] for row in rows if row is not None]
                    if same:
                        bids, asks = [E6 - asks[0]], [E6 - bids[0]]
                    all_yes_e6 = E6 - market.ask_e6 - sum(asks)
                    best_e6 = max(best_e6, all_yes_e6, market.bid_e6 + sum(bids) - E6)
        return best_e6

    def _read(self, at: int, place: int) -> list[int] | None:
        if slot_load(self._words, at + place * ENTRY, self._row, BODY) <= 0:
            return None
        return list(self._row.tolist())

    def _look(self, instrument: int) -> PlannedMarket | None:
        """Read an instrument's row; a market that is no longer the same is gone."""
        row = self._read(self._rows_at, instrument) if 0 <= instrument < self._count else None
        if row is None:
            return None
        is_ours = row[_I["venue"]] == POLYMARKET and row[_I["live"]] == 1
        is_ours = is_ours and row[_I["index"]] == instrument
        found = self.known.get(instrument)
        if found is not None:
            if is_ours and found.generation == row[_I["generation"]]:
                return found
            self._on_gone(found)
            del self.known[instrument]
            self._order.remove(found)
            self._again.pop(instrument, None)
        if is_ours:
            made = self.known[instrument] = PlannedMarket(row)
            self._mark(made)
            self._order.append(made)
            self.again(made)
        if is_ours or found is not None:
            places = [market.instrument * ENTRY for market in self._order]
            self._books.put([at + p for p in places for at in (self._quotes_at, self._held_at)])
        return self.known.get(instrument)

    def _mark(self, market: PlannedMarket) -> None:
        """Which approved pairs it is in."""
        rows = [legs for legs, _ in self._pairs.values() if market.instrument in legs]
        market.is_paired = bool(rows)
        market.is_in_set = any(sum(map(self._is_ours, legs)) > 1 for legs in rows)

    def _is_ours(self, instrument: int) -> bool:
        row = self._read(self._rows_at, instrument)
        return row is not None and row[_I["venue"]] == POLYMARKET

    def _pair(self, place: int) -> None:
        """Read a pair's row: markets are planned farther while they are in an approved one."""
        row = self._read(self._pairs_at, place)
        touched = set(self._pairs.pop(place, ((), False))[0])
        if row is not None and row[_P["approved"]] == 1:
            legs = tuple(instrument for instrument, _ in legs_of(row))
            self._pairs[place] = legs, row[_P["same"]] != 0
            touched.update(legs)
        for instrument in touched:
            market = self.known.get(instrument)
            if market is not None:
                self._mark(market)
                self.again(market)
