# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator,call-arg"
"""An index: its newest tick and mean into its slot (one of the block `spot`) and the feed's ring.

Every tick is a ring entry with its content: who sums a settlement reads the entries, never the
slot. `told` is the record from `value_e8` on. An entry whose stamp is not newer than the one before
of its series repeats it, because trust changed.

Ticks stand by themselves, so those of racing connections are joined, not chosen between: whoever
brings a series' next stamp first publishes it, and seconds that nobody brought are counted once.
"""

from __future__ import annotations

from numba import njit

from feeds.levels import (
    AT_TRUST,
    BELL_AT,
    BODY_AT,
    BOOKS_AT,
    COUNTER,
    LEAD,
    LEAD_BEFORE,
    LINE_CELLS,
    N_CHANGES,
    N_LAGGARDS,
    SEAT,
    SEATS,
    SERIES,
    SERIES_MAX,
    SHOWN,
    SHOWN_TRUST,
    SPOT_CELLS,
    SPOT_EVENT,
    SPOT_PUBLISH,
    SPOT_RECV,
    TRUST,
    TURN_AT,
)
from feeds.publish import send
from feeds.race import HANDED, HEALTHY, HELD, LAGS, line_of, rank_of, record_of, turn
from feeds.skew import stamp
from shm_layout import INDEX, NO_SNAPSHOT, SPOT, bell_ring, cell, histogram_add

AT_VALUE = BODY_AT + cell(INDEX, "value_e8")
AT_RELAY = cell(INDEX, "relay_epoch_ns") - cell(INDEX, "value_e8")
CELLS = cell(INDEX, "source") - cell(INDEX, "value_e8") + 1
_HEAD = ("number", "epoch", "trust", "event_epoch_ns", "recv_ns", "publish_ns")
assert all(cell(INDEX, name) == cell(SPOT, name) for name in _HEAD)
assert SERIES + SERIES_MAX <= LINE_CELLS
N_TICKS, N_MISSING = COUNTER["index_ticks"], COUNTER["index_missing"]


@njit(cache=True)
def _is_next(state, line, series, series_ns, every_ns):
    """Take a series' stamp, and count the steps of `every_ns` (0: none) that were left out."""
    before = state[line + SERIES + series]
    if series_ns <= before:
        return False
    state[line + SERIES + series] = series_ns
    state[N_TICKS] += 1
    if before > 0 and every_ns > 0:
        state[N_MISSING] += max((series_ns - before + every_ns // 2) // every_ns - 1, 0)
    return True


@njit(cache=True)
def index_tick(words, state, local, told, event_epoch_ns, series, series_ns, every_ns, recv_ns):
    """One tick or mean of a series. It ends NO_SNAPSHOT. The relay's own stamp is held against its
    clock: what comes on a connection that is off is left to the others while there are any."""
    book = BOOKS_AT + local * SPOT_CELLS
    line = line_of(state, local)
    state[N_CHANGES] += 1
    stamp(words, state, book, told[AT_RELAY], recv_ns, False)
    state[book + TRUST] &= ~NO_SNAPSHOT
    for i in range(CELLS):
        state[book + AT_VALUE + i] = told[i]
    state[book + SPOT_EVENT], state[book + SPOT_RECV] = event_epoch_ns, recv_ns
    trust = state[book + TRUST]
    state[book + AT_TRUST] = trust
    state[book + SHOWN] = 1
    whose = turn(state, local, book, SPOT_EVENT, SPOT_RECV) if state[SEATS] > 1 else 0
    is_mine = whose not in (HANDED, HELD, LAGS)
    is_new = is_mine or rank_of(trust) == HEALTHY
    is_new = is_new and _is_next(state, line, series, series_ns, every_ns)
    if whose == HANDED:
        book = record_of(state, local, state[line + LEAD])
    elif not is_mine and is_new:
        state[line + LEAD_BEFORE], state[line + LEAD] = state[line + LEAD], state[SEAT]
    elif not is_new and (not is_mine or trust == state[line + SHOWN_TRUST]):
        state[N_LAGGARDS] += 1
        return
    published_ns = send(words, state, local, book, SPOT_RECV, SPOT_PUBLISH)
    histogram_add(words, state[TURN_AT], max(published_ns - recv_ns, 0))
    bell_ring(words, state[BELL_AT], -1)
