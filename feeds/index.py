# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator,call-arg"
"""An index: its newest tick and mean into its slot (one of the block `spot`) and the feed's ring.

Every tick is a ring entry with its content: who sums a settlement reads the entries, never the
slot. `told` is the record from `value_e8` on.
"""

from __future__ import annotations

from numba import njit

from feeds.book import send
from feeds.levels import (
    AT_TRUST,
    BELL_AT,
    BODY_AT,
    BOOKS_AT,
    LEAD,
    N_CHANGES,
    N_LAGGARDS,
    SEATS,
    SHOWN,
    SPOT_CELLS,
    SPOT_EVENT,
    SPOT_PUBLISH,
    SPOT_RECV,
    TRUST,
    TURN_AT,
)
from feeds.race import HANDED, HELD, LAGS, line_of, record_of, turn
from feeds.skew import stamp
from shm_layout import INDEX, NO_SNAPSHOT, SPOT, bell_ring, cell, histogram_add

AT_VALUE = BODY_AT + cell(INDEX, "value_e8")
AT_RELAY = cell(INDEX, "relay_epoch_ns") - cell(INDEX, "value_e8")
CELLS = cell(INDEX, "source") - cell(INDEX, "value_e8") + 1
_HEAD = ("number", "epoch", "trust", "event_epoch_ns", "recv_ns", "publish_ns")
assert all(cell(INDEX, name) == cell(SPOT, name) for name in _HEAD)


@njit(cache=True)
def index_tick(words, state, local, told, event_epoch_ns, recv_ns):
    """One tick or mean. It ends NO_SNAPSHOT. The relay's own stamp is held against its clock."""
    book = BOOKS_AT + local * SPOT_CELLS
    state[N_CHANGES] += 1
    stamp(words, state, book, told[AT_RELAY], recv_ns)
    state[book + TRUST] &= ~NO_SNAPSHOT
    for i in range(CELLS):
        state[book + AT_VALUE + i] = told[i]
    state[book + SPOT_EVENT], state[book + SPOT_RECV] = event_epoch_ns, recv_ns
    state[book + AT_TRUST] = state[book + TRUST]
    state[book + SHOWN] = 1
    if state[SEATS] > 1:
        whose = turn(state, local, book, SPOT_EVENT, SPOT_RECV)
        if whose == HANDED:
            book = record_of(state, local, state[line_of(state, local) + LEAD])
        elif whose in (HELD, LAGS):
            state[N_LAGGARDS] += whose == LAGS
            return
    published_ns = send(words, state, local, book, SPOT_RECV, SPOT_PUBLISH)
    histogram_add(words, state[TURN_AT], max(published_ns - recv_ns, 0))
    bell_ring(words, state[BELL_AT], -1)
