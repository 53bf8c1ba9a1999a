"""Rings plus `steps` replay to the same intents, byte for byte: no clock, no live words, the same
kernels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine import cells as c
from engine import kernels
from engine import memory as m
from engine.decide import decide_touched
from engine.intent import INTENTS_ENTRIES, INTENTS_RING
from shm_layout import (
    BODY,
    CURSORS,
    ENTRY,
    K_STEP,
    LINE,
    MAIN,
    Segment,
    Words,
    ring_read,
    ring_tail,
)


class ReplayError(Exception):
    """The tape lacks an entry, or it leads elsewhere than the run it was recorded from."""


@dataclass(slots=True)
class Tape:
    """Entries of the rings a detector drains, by ring and position, and its `steps` in order.

    An entry is one line of guard cells with its kind in cell 0, then the body (as `ring_read`
    gives it).
    """

    rings: dict[str, dict[int, Words]] = field(default_factory=dict)
    steps: list[Words] = field(default_factory=list)

    def add(self, ring: str, position: int, entry: Words) -> None:
        """Keep a copy of an entry."""
        if ring == "steps":
            self.steps.append(entry.copy())
        else:
            self.rings.setdefault(ring, {})[position] = entry.copy()


class _Player:
    """One run of the kernels over a tape. Intents go to a ring of its own, where they are read
    back.
    """

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._mem = m.fresh()
        self._row = np.zeros(BODY, np.int64)
        self._words = Segment.private(MAIN).words
        self.intents: list[bytes] = []

    def play(self, entry: Words) -> None:
        """Take one entry of `steps`."""
        row = entry[LINE:]
        if entry[0] != K_STEP:
            kernels.apply_entry(self._mem, -1, int(entry[0]), row)
            return
        kind = row[c.S_KIND]
        if kind == kernels.STEP_START:
            self._mem = m.fresh()
            self._mem[m.META + m.M_EPOCH] = row[c.S_EPOCH]
            self._mem[m.CURSORS_AT : m.CURSORS_AT + CURSORS] = row[
                c.S_CURSORS : c.S_CURSORS + CURSORS
            ]
            return
        self._drain_until(row)
        for meta, cell in (
            (m.M_NOW, c.S_NOW),
            (m.M_RUN, c.S_RUN),
            (m.M_STATE, c.S_STATE),
            (m.M_ALIVE, c.S_ALIVE),
        ):
            self._mem[m.META + meta] = row[cell]
        if kind == kernels.STEP_LAP:
            kernels.after_lap(self._mem, int(row[c.S_LAP_RING]), int(row[c.S_LAP_TO]))
        if kind == kernels.STEP_DECIDE:
            self._decide(row)

    def _drain_until(self, row: Words) -> None:
        for index in kernels.ORDER:
            name = kernels.RING_NAMES[index]
            entries = self._tape.rings.get(name, {})
            first = int(self._mem[m.CURSORS_AT + index])
            for position in range(first, int(row[c.S_CURSORS + index])):
                entry = entries.get(position)
                if entry is None:
                    raise ReplayError(f"{name}: entry {position} is not on the tape")
                kernels.apply_entry(self._mem, int(index), int(entry[0]), entry[LINE:])
                self._mem[m.CURSORS_AT + index] = position + 1

    def _decide(self, row: Words) -> None:
        before = int(self._mem[m.META + m.M_COUNTER])
        if before != row[c.S_COUNTER]:
            raise ReplayError(
                f"step {row[c.S_NUMBER]}: found {before} intents before it,"
                f" wanted {row[c.S_COUNTER]}"
            )
        if kernels.wake(self._mem) != row[c.S_TIMER]:
            raise ReplayError(f"step {row[c.S_NUMBER]}: another timer than recorded")
        start = ring_tail(self._words, INTENTS_RING)
        decide_touched(self._words, self._mem, self._row)
        out = np.zeros(ENTRY, np.int64)
        for position in range(start, ring_tail(self._words, INTENTS_RING)):
            ring_read(self._words, INTENTS_RING, INTENTS_ENTRIES, position, out, BODY)
            assert out[LINE + c.N_ID] != 0
            self.intents.append(out[LINE:].tobytes())


def replay(tape: Tape) -> list[bytes]:
    """The intents (their bodies) that the tape's entries and steps lead to. Raises ReplayError."""
    player = _Player(tape)
    for entry in tape.steps:
        player.play(entry)
    return player.intents
