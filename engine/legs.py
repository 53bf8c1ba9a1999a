"""The markets that a PAIR row names: one (a bet), two, or the three or four of a set."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine import cells as c
from engine import memory as m
from shm_layout import BODY, LAYOUT_HASH, NO_INSTRUMENT, Words


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True, _nrt=False)
def count_of(mem: Words, pair: int) -> int:
    """Legs of a row."""
    row = m.PAIR_AT + pair * BODY
    return 1 if mem[row + c.P_B] == NO_INSTRUMENT else 2 + mem[row + c.P_MORE]


@njit(cache=True, _nrt=False)
def market_of(mem: Words, pair: int, leg: int) -> int:
    """The instrument of a leg."""
    row = m.PAIR_AT + pair * BODY
    return mem[row + c.P_A + leg] if leg < 2 else mem[row + c.P_C + leg - 2]


@njit(cache=True, _nrt=False)
def generation_of(mem: Words, pair: int, leg: int) -> int:
    """The generation its instrument had when the row was made."""
    row = m.PAIR_AT + pair * BODY
    return mem[row + c.P_A_GENERATION + leg] if leg < 2 else mem[row + c.P_C_GENERATION + leg - 2]


@njit(cache=True, _nrt=False)
def is_set(mem: Words, pair: int) -> bool:
    """A row of two or more legs whose markets are all of one venue."""
    row = m.PAIR_AT + pair * BODY
    if mem[row + c.P_MORE] > 0:
        return True
    one, other = mem[row + c.P_A] * BODY, mem[row + c.P_B] * BODY
    venue = m.INSTRUMENT_AT + c.I_VENUE
    return mem[venue + one] == mem[venue + other]
