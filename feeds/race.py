# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""Which of the connections of a feed is published: racing, per instrument.

Each connection fills books of its own, in a seat of its own: increments of two are never merged.
What a seat would publish lies as its record on the board, which all seats reach. The seat with the
newest engine time among the healthy ones leads. One that comes second with the same engine time
stays silent: several frames may carry one engine time, and who began the event finishes it. A sick
seat never takes the quote from a healthy one, and one that falls sick hands the quote over in the
same call. Books polled over REST rank below every healthy stream. A seat whose book lacks what was
published before counts as sick until it has caught up or got a whole book since: the engine time of
a trusted quote goes back by LAG_NS at most.
"""

from __future__ import annotations

from numba import njit

from feeds.levels import (
    AT_ASKS,
    AT_BIDS,
    AT_TRUST,
    BOARD,
    BODY_AT,
    CAUGHT_UP,
    KNOWN,
    LEAD,
    LEAD_BEFORE,
    LINE_CELLS,
    RECORD_CELLS,
    SEAT,
    SEATS,
    STRIDE,
    TRUST,
)
from shm_layout import BODY, LEVELS, NO_SNAPSHOT, POLLED, TICK_EPOCH

EMPTY, SICK, ONLY_POLLED, HEALTHY = range(4)  # ranks
OURS, TAKEN, HANDED, HELD, LAGS = range(5)  # what `turn` answers; publish after the first two
LAG_NS = 100_000_000  # of engine time: a rival is so late now and then, on its way or in our socket


@njit(cache=True)
def line_of(state, local):
    """The instrument's line on the board."""
    return state[BOARD] + local * state[STRIDE]


@njit(cache=True)
def record_of(state, local, seat):
    """What a seat would publish of an instrument; places as in its book."""
    return state[BOARD] + local * state[STRIDE] + LINE_CELLS + seat * RECORD_CELLS


@njit(cache=True)
def rank_of(trust):
    """How good a book is by its remembered trust bits. The tick grid is everybody's."""
    trust &= ~TICK_EPOCH
    if trust == 0:
        return HEALTHY
    if trust == POLLED:
        return ONLY_POLLED
    return EMPTY if trust & NO_SNAPSHOT else SICK


@njit(cache=True)
def _reach(state, cells, at_event):
    """The engine time up to which a book (or record) is whole."""
    return max(state[cells + at_event], state[cells + CAUGHT_UP])


@njit(cache=True)
def is_behind(state, local, cells, at_event):
    """A healthy book (or record) that lacks what was published before."""
    known = state[line_of(state, local) + KNOWN]
    is_late = known - LAG_NS > _reach(state, cells, at_event)
    return is_late and rank_of(state[cells + TRUST]) == HEALTHY


@njit(cache=True)
def _standing(state, local, cells, at_event):
    """The rank of a book (or record) beside its rivals."""
    return SICK if is_behind(state, local, cells, at_event) else rank_of(state[cells + TRUST])


@njit(cache=True)
def _heir(state, local, seat, at_event):
    """The best other seat if it is better than this one, else this one."""
    mine = record_of(state, local, seat)
    found, best, newest = seat, _standing(state, local, mine, at_event), 0
    for other in range(state[SEATS]):
        record = record_of(state, local, other)
        rank, event = _standing(state, local, record, at_event), _reach(state, record, at_event)
        if rank > best or (found != seat and rank == best and event > newest):
            found, best, newest = other, rank, event
    return found


@njit(cache=True)
def turn(state, local, book, at_event, at_recv):
    """A book's body is ready: into its record, and whose turn is it? OURS, TAKEN (another led until
    now): publish it. HANDED: publish the new leader's record instead. HELD: nothing to do. LAGS:
    healthy, but not newer than what is published."""
    line, seat = line_of(state, local), state[SEAT]
    record = line + LINE_CELLS + seat * RECORD_CELLS
    state[record + TRUST] = state[book + TRUST]
    state[record + CAUGHT_UP] = state[book + CAUGHT_UP]
    for i in range(BODY_AT, BODY_AT + BODY):
        state[record + i] = state[book + i]
    lead = state[line + LEAD]
    mine = _standing(state, local, book, at_event)
    if lead == seat:
        if mine == HEALTHY:
            return OURS
        heir = _heir(state, local, seat, at_event)
        if heir == seat:
            return OURS
        state[line + LEAD_BEFORE], state[line + LEAD] = seat, heir
        state[record_of(state, local, heir) + at_recv] = state[book + at_recv]
        return HANDED
    other = record_of(state, local, lead)
    theirs = _standing(state, local, other, at_event)
    is_newer = mine == HEALTHY and state[book + at_event] > _reach(state, other, at_event)
    if mine < theirs or (mine == theirs and not is_newer):
        return LAGS if rank_of(state[book + TRUST]) == HEALTHY else HELD
    state[line + LEAD_BEFORE], state[line + LEAD] = lead, seat
    return TAKEN


@njit(cache=True)
def is_news(state, local, book):
    """After TAKEN: whether this shows anything else than what was published."""
    before = record_of(state, local, state[line_of(state, local) + LEAD_BEFORE])
    if state[before + AT_TRUST] != state[book + AT_TRUST]:
        return True
    for i in range(2 * LEVELS):
        if state[before + AT_BIDS + i] != state[book + AT_BIDS + i]:
            return True
        if state[before + AT_ASKS + i] != state[book + AT_ASKS + i]:
            return True
    return False
