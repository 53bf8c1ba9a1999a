"""What the model reads off the rings: prices whole, of quotes only what a settlement needs.

Thousands of quotes a second pass here; their strikes, closes and taker delays are kept in one row a
market without a word to Python. Which of it is whose is decided in engine/model.py.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import numpy as np
from numba import njit

from engine import cells as c
from shm_layout import (
    BODY,
    FEEDS_MAX,
    INSTRUMENTS_MAX,
    K_INDEX,
    K_INSTRUMENT,
    K_PAIR,
    K_PARAMETERS,
    K_QUOTE,
    K_SPOT,
    LAPPED,
    LAYOUT_HASH,
    LINE,
    MAIN,
    READ,
    Words,
    ring_read,
    ring_tail,
)

NAMES = (*(f"changes_{i}" for i in range(FEEDS_MAX)), "control_ring")
RINGS = np.array([MAIN.at[name] for name in NAMES], np.int64)
ENTRIES = np.array([MAIN.blocks[name].count for name in NAMES], np.int64)
CONTROL = FEEDS_MAX
FACT_CELLS = 4
F_GENERATION, F_STRIKE, F_CLOSE, F_DELAY = range(FACT_CELLS)
ROW = 2 + BODY  # kind, ring, body
READ_MAX = 65_536  # entries of a call: some milliseconds
LAPS = 1  # cell of `counts`: entries lost to a lap


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def keep_fact(facts: Words, body: Words) -> None:
    """What a quote says of its market, unless it is of one that was here before."""
    instrument = body[c.Q_INSTRUMENT]
    if instrument < 0 or instrument >= INSTRUMENTS_MAX:
        return
    at = instrument * FACT_CELLS
    if body[c.Q_GENERATION] < facts[at + F_GENERATION]:
        return
    facts[at + F_GENERATION], facts[at + F_STRIKE] = body[c.Q_GENERATION], body[c.Q_STRIKE]
    facts[at + F_CLOSE], facts[at + F_DELAY] = body[c.Q_CLOSE], body[c.Q_DELAY]


@njit(cache=True)
def gather(
    words: Words, cursors: Words, entry: Words, facts: Words, found: Words, counts: Words
) -> int:
    """Read every ring to its end, or until `found` (rows of ROW cells) is full. Returns rows; what
    was lost to laps is added to `counts`."""
    rows, most, body = 0, len(found) // ROW, entry[LINE:]
    for i in range(len(RINGS)):
        ring = (i + CONTROL) % len(RINGS)  # identities first
        for _ in range(READ_MAX):
            if rows == most:
                return rows
            how = ring_read(words, RINGS[ring], ENTRIES[ring], cursors[ring], entry, BODY)
            if how == LAPPED:
                tail = ring_tail(words, RINGS[ring])
                counts[LAPS] += tail - cursors[ring]
                cursors[ring] = tail
                continue
            if how != READ:
                break
            cursors[ring] += 1
            kind = entry[0]
            if kind == K_QUOTE:
                keep_fact(facts, body)
            elif kind in (K_SPOT, K_INDEX, K_INSTRUMENT, K_PAIR, K_PARAMETERS):
                at = rows * ROW
                found[at], found[at + 1] = kind, ring
                for cell in range(BODY):
                    found[at + 2 + cell] = body[cell]
                rows += 1
    return rows
