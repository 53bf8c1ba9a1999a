"""The journal's frames, written into the mapped file by compiled calls: an intent's orders in one,
without a byte of text.

A frame: length and check (32 bits each), sequence, chain (two cells), payload, zeros to a whole
cell. The check finds what is torn or changed by accident, not what is forged. The plain twin is
tests/twins/frame.py.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit, typeof

from gateway import memory as m
from gateway import order_record as o
from shm_layout import LAYOUT_HASH, MAIN, REASONS, Words, load_acquire

KILL_AT = MAIN.at["kill"]
R_KILLED, R_JOURNAL = REASONS.index("killed"), REASONS.index("journal")
# state of a journal: bytes used and there, next sequence, link before the next frame (two cells)
J_END, J_SIZE, J_SEQUENCE, J_LINK = 0, 1, 2, 3
JOURNAL_CELLS = 8
FRAME_CELLS = 4
SEED, MULTIPLIER, TOP = 0x41524A524E4C32, 0x2545F4914F6CDD1D, (1 << 35) - 1


def direct(kernel: Any, *like: object) -> Callable[..., int]:
    """A kernel's entry for arguments of exactly these types: what each is, is not looked up anew
    with every call (300 to 400 ns warm, more on cold caches). The caller gives it nothing else.
    """
    entry: Callable[..., int] = kernel.compile(tuple(typeof(each) for each in like))
    return entry


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def mixed(check: int, cell: int) -> int:
    """A check moved on by one cell: no two cells lead from one check to the same, nor two checks to
    the same over one cell, so any change within a cell shows. No table: it would be cold."""
    check = (check ^ cell) * MULTIPLIER
    return check ^ (check >> 29 & TOP)


@njit(cache=True)
def check_of(file: Words, at: int, length: int) -> int:
    """The 32 bits that stand in the head of the frame at cell `at`: over its payload's length,
    sequence, chain and payload, the last cell of which ends in zeros."""
    check = mixed(SEED, length)
    for i in range(1, FRAME_CELLS + (length + 7) // 8):
        check = mixed(check, file[at + i])
    return (check ^ check >> 32) & 0xFFFFFFFF


@njit(cache=True)
def seal(file: Words, journal: Words, length: int) -> None:
    """Make a frame of the payload that stands at its place behind the last one. Its first cell is
    stored last: until then there is no frame."""
    at = journal[J_END] // 8
    for i in range(3):
        file[at + 1 + i] = journal[J_SEQUENCE + i]
    file[at] = length | check_of(file, at, length) << 32
    journal[J_END] += 8 * FRAME_CELLS + (length + 7) // 8 * 8
    journal[J_SEQUENCE] += 1


@njit(cache=True)
def put_order(words: Words, mem: Words, file: Words, journal: Words, taken: int) -> int:
    """Write the frame of the intent judged last into the journal's file. 0: it is there and the
    kill word is not set, bytes may leave; R_JOURNAL: no room, nothing written; R_KILLED: it is
    there, and nothing may leave."""
    legs = mem[m.INTENT_AT + m.N_LEGS]
    cells, end = o.O_LEG + legs * o.LEG_ROW, journal[J_END]
    if end + 8 * (FRAME_CELLS + cells) > journal[J_SIZE]:
        return R_JOURNAL
    at = end // 8 + FRAME_CELLS
    file[at + o.O_KIND], file[at + o.O_RUN] = o.ORDER_RECORD, mem[m.M_RUN]
    file[at + o.O_TAKEN], file[at + o.O_LEGS] = taken, legs
    for i in range(len(o.INTENT_HEAD_AT)):
        file[at + o.O_INTENT + i] = mem[m.INTENT_AT + o.INTENT_HEAD_AT[i]]
    for leg in range(legs):
        to, seen = at + o.O_LEG + leg * o.LEG_ROW, m.LOOKS_AT + leg * m.LOOK_CELLS
        for i in range(m.LEG_CELLS):
            file[to + i] = mem[m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS + i]
        file[to + o.OL_TOKEN], file[to + o.OL_SIDE] = mem[seen + m.K_TOKEN], mem[seen + m.K_SIDE]
        file[to + o.OL_PRICE], file[to + o.OL_COST] = mem[seen + m.K_PRICE], mem[seen + m.K_COST]
        for i in range(o.HASH_CELLS):
            file[to + o.OL_HASH + i] = mem[seen + m.K_HASH + i]
    seal(file, journal, 8 * cells)
    return R_KILLED if load_acquire(words, KILL_AT) != 0 else 0
