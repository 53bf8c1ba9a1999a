"""The gateway's last look, put together: its own reading and rules, with the engine's exact fees
and legal sizes. The one kernel that knows both rooms, which never import each other.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from numba import njit

from engine.fees import charged_as, fee_e6
from engine.sizes import token_size_e6
from gateway import memory as m
from gateway.guard import judge
from gateway.look import BROKEN, INTENT, look, next_entry
from shm_layout import BUY, LAYOUT_HASH, Segment, Words


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def last_look(words: Words, mem: Words, now: int) -> int:
    """Judge the intent in the entry cells: 0 or an index of REASONS; BROKEN: it has no legs."""
    if not look(words, mem, now):
        return BROKEN
    for leg in range(mem[m.INTENT_AT + m.N_LEGS]):
        at = m.LOOKS_AT + leg * m.LOOK_CELLS
        if mem[at + m.K_PRICED]:
            row = m.INTENT_AT + m.N_LEG + leg * m.LEG_CELLS
            rate, exponent, unit, mode = charged_as(
                mem[at + m.Q_FEE_KIND],
                mem[at + m.Q_FEE_RATE],
                mem[at + m.Q_FEE_EXPONENT],
                mem[at + m.Q_FEE_UNIT],
                mem[at + m.Q_FEE_MODE],
            )
            size = mem[row + m.L_SIZE]
            mem[at + m.K_FEE] = fee_e6(mem[row + m.L_LIMIT], size, rate, exponent, unit, mode)
            mem[at + m.K_LEGAL] = token_size_e6(
                size,
                mem[at + m.K_PRICE],
                mem[at + m.K_SIDE] == BUY,
                mem[at + m.Q_SIZE_STEP],
                mem[at + m.Q_NOTIONAL_STEP],
                mem[at + m.Q_SIZE_MIN],
                mem[at + m.Q_NOTIONAL_MIN],
            )
    return judge(mem, now)


@njit(cache=True)
def take(words: Words, mem: Words, now: int) -> int:
    """Take the next entry for the gateway, and judge it if it is an intent: 0 or an index of
    REASONS, else what was found (gateway/look.py)."""
    found = next_entry(words, mem)
    return last_look(words, mem, now) if found == INTENT else found


def warm(segment: Segment) -> None:
    """Compile or load both."""
    mem = m.Memory().words
    assert layout_hash() == LAYOUT_HASH
    last_look(segment.words, mem, 0)
    take(segment.words, mem, 0)
