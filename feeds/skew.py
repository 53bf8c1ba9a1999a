# mypy: disable-error-code="no-untyped-call,no-untyped-def,untyped-decorator"
"""One frame's stamp against what is known of the venue's clock: TIME_SKEW, and the age of messages.

The venue's clock and ours differ by an amount nobody knows, so a raw difference is no latency. What
`feeds/offset.py` estimates is the floor of `received - stamped`; here each frame's difference is
held against it. A stamp too far below the floor is from the future, one too far above it is of a
frame that was on its way for long, of a frozen clock, or of a clock that was set. Bands and floor
are run time, because stamps are; they lie in the state's head (levels.py).
"""

from __future__ import annotations

from numba import njit

from feeds.levels import (
    AGE_AT,
    BAD_AT_NS,
    BAD_LOW,
    BADS,
    EARLY,
    FLOOR,
    GOOD_LOW,
    GOODS,
    JUDGED,
    LATE,
    N_SKEWED,
    NO_SAMPLE,
    OFFSET_MAX,
    SPEED_E6,
    TRUST,
)
from shm_layout import TIME_SKEW, histogram_add, run_epoch_ns


@njit(cache=True)
def judge(state, book, difference, recv_ns):
    """Take one `received - stamped`. False: it does not fit, and its book is TIME_SKEW from now on;
    True ends that. Neither says anything about a book whose link or venue is off as a whole."""
    floor = state[FLOOR]
    fits = abs(difference) <= state[OFFSET_MAX]
    if fits and floor != NO_SAMPLE:
        fits = floor - state[EARLY] <= difference <= floor + state[LATE]
    if fits:
        state[GOODS] += 1
        state[GOOD_LOW] = min(state[GOOD_LOW], difference)
        state[book + TRUST] &= ~TIME_SKEW
        return True
    state[BADS] += 1
    state[BAD_LOW] = min(state[BAD_LOW], difference)
    state[BAD_AT_NS] = recv_ns
    state[N_SKEWED] += 1
    state[book + TRUST] |= TIME_SKEW
    return False


@njit(cache=True)
def age_ns(state, difference):
    """How much longer than the fastest lately a message took, in machine ns."""
    floor = state[FLOOR]
    excess = difference - (0 if floor == NO_SAMPLE else floor)
    if state[SPEED_E6] > 0:
        excess = excess * 1_000_000 // state[SPEED_E6]
    return max(excess, 0)


@njit(cache=True)
def _is_whole_sound(state, book, difference, recv_ns):
    """A whole book may be stamped with its last change, long ago: that says nothing of a clock. One
    from the future is as wrong as any, and a fresh one ends TIME_SKEW."""
    floor = state[FLOOR]
    early = -state[OFFSET_MAX]
    late = state[OFFSET_MAX]
    if floor != NO_SAMPLE:
        early, late = max(early, floor - state[EARLY]), floor + state[LATE]
    if difference < early:
        return judge(state, book, difference, recv_ns)
    if difference <= late:
        state[book + TRUST] &= ~TIME_SKEW
    return True


@njit(cache=True)
def stamp(words, state, book, event_epoch_ns, recv_ns, is_whole):
    """Judge a frame (or a whole book) by its stamp (0: it has none), and add a frame's age to the
    feed's histogram. False: the stamp is not to be believed."""
    if event_epoch_ns <= 0:
        return True
    run_ns = run_epoch_ns(words, recv_ns)
    if run_ns <= 0:
        return True
    difference = run_ns - event_epoch_ns
    if is_whole:
        return state[JUDGED] == 0 or _is_whole_sound(state, book, difference, recv_ns)
    fits = state[JUDGED] == 0 or judge(state, book, difference, recv_ns)
    if fits:
        histogram_add(words, state[AGE_AT], age_ns(state, difference))
    return fits
