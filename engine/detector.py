"""The detector: one step drains every ring to its end, decides each touched pair once and writes
the intents.
"""

from __future__ import annotations

import numpy as np

from engine import cells as c
from engine import kernels
from engine import memory as m
from shm_layout import (
    BODY,
    CASH,
    ENTRY,
    K_ACCOUNT,
    K_HAD,
    K_INSTRUMENT,
    K_INTENT,
    K_MARKET,
    K_PAIR,
    K_PARAMETERS,
    K_STRATEGY,
    K_TERMINAL,
    K_TERMS,
    LINE,
    POSITION,
    READ,
    Segment,
    Words,
    cell,
    ring_adopt,
    ring_read,
    ring_tail,
    slot_load,
)

TIMER_BLOCK_NS = 1_000_000  # longest sleep while a pair waits for its timer


class Detector:
    """Decides on ring entries only; `step` is the same code live, in paper and (through `replay`)
    on a tape.

    `epoch` is the one granted at spawn; `gateway_eventfd` < 0: the gateway waits on its bell's
    futex.
    Debounce, cooldown and rate windows that pass while no quote comes are released by a timer; such
    intents carry FLAG_TIMER, as do those released by a report, a parameter or the trading state.
    """

    def __init__(self, segment: Segment, epoch: int, *, gateway_eventfd: int) -> None:
        self._words = segment.words
        self._segment = segment
        self._eventfd = gateway_eventfd
        self._mem = m.fresh()
        self._entry = np.zeros(ENTRY, np.int64)
        self._row = self._entry[LINE:]
        self._cursors = self._mem[m.CURSORS_AT : m.CURSORS_AT + kernels.RINGS_COUNT]
        self._mem[m.META + m.M_EPOCH] = epoch
        for ring in ("steps", "intents"):
            ring_adopt(self._words, segment.at(ring), segment.entries(ring))
        self._start()

    def step(self, now_ns: int) -> int:
        """Everything there is to do at `now_ns` (monotonic). Returns entries read plus intents
        written, 0 for none.
        """
        done = kernels.live_step(
            self._words, self._mem, self._entry, self._row, now_ns, self._eventfd
        )
        if done < 0:
            self._take_after_lap(-1 - done)
            return 1
        return int(done)

    def wait(self, spin_ns: int, block_ns: int) -> bool:
        """Wait for an entry: spin, then block on the bell (`block_ns` 0: never). True if one came.

        It is then decided on at once, at the machine's own time, without a way through Python.
        """
        if self._mem[m.META + m.M_TIMERS] > 0:
            block_ns = min(block_ns, TIMER_BLOCK_NS)
        done = kernels.wait_step(
            self._words,
            self._mem,
            self._entry,
            self._row,
            self._cursors,
            spin_ns,
            block_ns,
            self._eventfd,
        )
        if done < 0:
            self._take_after_lap(-1 - done)
        return bool(done)

    def close(self) -> None:
        """Let go of the segment."""
        self._words = np.zeros(0, np.int64)

    def counter(self, name: str) -> int:
        """A counter of this detector by its name in COUNTERS, for tests and the role's last
        words."""
        return int(self._mem[m.COUNTS + m.COUNTER_NAMES.index(name)])

    def _start(self) -> None:
        for index, name in enumerate(kernels.RING_NAMES):
            tail = ring_tail(self._words, self._segment.at(name))
            whole = index == kernels.CONTROL and tail <= self._segment.entries(name)
            self._cursors[index] = 0 if whole else tail
        lapped = self._cursors[kernels.CONTROL] > 0
        if kernels.catch_up(self._words, self._mem, self._entry, self._row) < 0 or lapped:
            self._take_identities()
        kernels.take_quotes(self._words, self._mem, self._row, -1)
        self._take_slots("had", K_HAD)
        self._take_terms()
        self._take_holdings()
        self._take_flights()

    def _take_after_lap(self, ring: int) -> None:
        if ring < kernels.CONTROL:
            kernels.take_quotes(self._words, self._mem, self._row, ring)
        elif ring == kernels.CONTROL:
            self._take_identities()
        elif ring == kernels.TERMS_RING:
            self._take_terms()
        elif ring == kernels.HAD_RING:
            self._take_slots("had", K_HAD)
        else:
            self._take_holdings()

    def _take_identities(self) -> None:
        self._take_slots("instruments", K_INSTRUMENT)
        self._take_slots("pairs", K_PAIR)
        self._take_slots("parameters", K_PARAMETERS)
        self._take_slots("strategies", K_STRATEGY)

    def _take_terms(self) -> None:
        self._take_slots("terms", K_TERMS)
        self._take_slots("market_terms", K_MARKET)

    def _take_slots(self, block: str, kind: int) -> None:
        for row in self._written(block):
            kernels.write_taken(self._words, self._mem, kind, row)

    def _written(self, block: str) -> list[Words]:
        """Bodies of a block's slots that were ever written and are not torn."""
        found = []
        for index in range(self._segment.layout.blocks[block].count):
            row = np.zeros(BODY, np.int64)
            if slot_load(self._words, self._segment.at(block, index), row, BODY) > 0:
                found.append(row)
        return found

    def _take_holdings(self) -> None:
        """Positions and free cash from the gateway's slots, as K_ACCOUNT reports."""
        for row in self._written("positions"):
            report = np.zeros(BODY, np.int64)
            report[c.R_INSTRUMENT] = row[cell(POSITION, "instrument")]
            report[c.R_GENERATION] = row[cell(POSITION, "generation")]
            report[c.R_POSITION] = row[cell(POSITION, "position_e6")]
            fee_e6 = row[cell(POSITION, "open_fee_e6")]
            report[c.R_COST] = row[cell(POSITION, "cost_e6")] + fee_e6
            report[c.R_ACCOUNT] = -1
            kernels.write_taken(self._words, self._mem, K_ACCOUNT, report)
        for row in self._written("cash"):
            report = np.zeros(BODY, np.int64)
            report[c.R_INSTRUMENT] = -1
            report[c.R_ACCOUNT] = row[cell(CASH, "account")]
            report[c.R_CASH_FREE] = row[cell(CASH, "cash_e6")] - row[cell(CASH, "reserved_e6")]
            kernels.write_taken(self._words, self._mem, K_ACCOUNT, report)

    def _take_flights(self) -> None:
        """Intents of a dead predecessor that no terminal report has ended keep their
        reservation."""
        reports = self._ring_rows("reports")
        ended = {int(row[LINE + c.R_INTENT]) for row in reports if row[0] == K_TERMINAL}
        known_from = int(reports[0][LINE + c.R_STAMP]) if self._was_lapped("reports") else 0
        for row in self._ring_rows("intents")[-m.FLIGHTS_MAX :]:
            if row[LINE + c.N_ID] not in ended and row[LINE + c.N_DECIDE] >= known_from:
                kernels.write_taken(self._words, self._mem, K_INTENT, row[LINE:].copy())

    def _was_lapped(self, ring: str) -> bool:
        return bool(ring_tail(self._words, self._segment.at(ring)) > self._segment.entries(ring))

    def _ring_rows(self, ring: str) -> list[Words]:
        """Entries still in a ring, oldest first, kind in cell 0 and body from LINE."""
        at, entries = self._segment.at(ring), self._segment.entries(ring)
        tail, rows = ring_tail(self._words, at), []
        for position in range(max(tail - entries, 0), tail):
            row = np.zeros(ENTRY, np.int64)
            if ring_read(self._words, at, entries, position, row, BODY) == READ:
                rows.append(row)
        return rows
