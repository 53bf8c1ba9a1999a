"""Liquidity that paper orders have had: a quote counts for what is left of it.

A venue knows nothing of paper orders and goes on showing what they took. Whoever matches them
(ops/venues/paper_book.py) writes what they hold of each level to the block `had` and its ring,
row by row whole, before their answers leave: a decision that has seen a report has seen that row.
In the other modes nobody writes there.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from shm_layout import (
    BODY,
    INSTRUMENTS_MAX,
    LAYOUT_HASH,
    LEVELS,
    NO_ASK_E6,
    NO_BID_E6,
    Words,
)

SIDE = 2 * LEVELS  # cells of a side in a quote
S_IS_KEPT = 2 * SIDE  # behind the levels as the venue shows them: the quote held is less than they
assert S_IS_KEPT < m.SHOWN_CELLS


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def apply_had(mem: Words, row: Words) -> bool:
    """A row of HAD: the quote of its instrument is worth more or less now. False: of none."""
    instrument = row[c.D_INSTRUMENT]
    if instrument < 0 or instrument >= INSTRUMENTS_MAX:
        return False
    mem[m.META + m.M_HAD] = 1
    had = m.HAD_AT + instrument * BODY
    for i in range(BODY):
        mem[had + i] = row[i]
    if mem[m.SHOWN_AT + instrument * m.SHOWN_CELLS + S_IS_KEPT] == 0:
        keep_shown(mem, instrument)
    take_off_had(mem, instrument)
    return True


@njit(cache=True, _nrt=False)
def quote_less_had(mem: Words, instrument: int) -> None:
    """A quote has just come: what paper orders hold of its levels comes off."""
    if mem[m.META + m.M_HAD] == 0:
        return
    mem[m.SHOWN_AT + instrument * m.SHOWN_CELLS + S_IS_KEPT] = 0
    if mem[m.HAD_AT + instrument * BODY + c.D_GENERATION] != 0:
        keep_shown(mem, instrument)
        take_off_had(mem, instrument)


@njit(cache=True, _nrt=False)
def keep_shown(mem: Words, instrument: int) -> None:
    """Put the levels of the quote held aside, as its venue shows them."""
    shown, quote = m.SHOWN_AT + instrument * m.SHOWN_CELLS, m.QUOTE_AT + instrument * BODY
    for i in range(SIDE):
        mem[shown + i] = mem[quote + c.Q_BIDS + i]
        mem[shown + SIDE + i] = mem[quote + c.Q_ASKS + i]
    mem[shown + S_IS_KEPT] = 1


@njit(cache=True, _nrt=False)
def take_off_had(mem: Words, instrument: int) -> None:
    """The quote held shows what is left of each level; one of which nothing is left is gone. Of a
    market that had the number before nothing comes off.
    """
    shown, quote = m.SHOWN_AT + instrument * m.SHOWN_CELLS, m.QUOTE_AT + instrument * BODY
    had = m.HAD_AT + instrument * BODY
    is_same = mem[had + c.D_GENERATION] == mem[quote + c.Q_GENERATION]
    for side in range(2):
        to = quote + (c.Q_ASKS if side else c.Q_BIDS)
        first = had + (c.D_ASKS if side else c.D_BIDS)
        end = to + SIDE
        for level in range(LEVELS):
            at = shown + side * SIDE + 2 * level
            left = mem[at + 1]
            if is_same:
                left -= had_of(mem, first, mem[at])
            if left > 0:
                mem[to], mem[to + 1] = mem[at], left
                to += 2
        while to < end:
            mem[to], mem[to + 1] = NO_ASK_E6 if side else NO_BID_E6, 0
            to += 2


@njit(cache=True, _nrt=False)
def had_of(mem: Words, first: int, price: int) -> int:
    """What paper orders hold of a level, of a side's levels from `first` on."""
    for at in range(first, first + c.D_SIDE, 2):
        if mem[at + 1] > 0 and mem[at] == price:
            return mem[at + 1]
    return 0
