"""An index from the exchanges it is made of, for when its relay is down (reference spot 6.3).

The median of their mids: of those quoted within the last 2 s, none further than 5 % from the
median, at least three. It is off the index by about a basis point, which the fair value adds
(`error`). USDT is not dollars: a mid in it counts only with a basis, known and taken off by the
caller.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import numpy as np
from numba import njit

from shm_layout import LAYOUT_HASH, NONE_NS, Words

AGE_MAX_NS = 2_000_000_000
GATE_ONE_IN = 20  # of the median: 5 %
LEAST = 3  # exchanges
ERROR = 1e-4  # as a share of the index: the upper end of what was seen (0.5 to 1 bp)


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def _median(values: Words, count: int) -> int:
    """Of the first `count`, which are put in order; of two middle ones the mean, rounded down."""
    for i in range(1, count):
        value, at = values[i], i
        while at > 0 and values[at - 1] > value:
            values[at] = values[at - 1]
            at -= 1
        values[at] = value
    return (values[(count - 1) // 2] + values[count // 2]) // 2


@njit(cache=True)
def composite_e8(bids_e8: Words, asks_e8: Words, stamps_ns: Words, now_ns: int) -> int:
    """The composite in 1e-8 dollars, or NONE_NS where there is none to be had.

    One cell an exchange; one without both sides, crossed, or older than AGE_MAX_NS does not count.
    """
    mids = np.empty(len(bids_e8), np.int64)
    count = 0
    for i in range(len(bids_e8)):
        is_whole = 0 < bids_e8[i] <= asks_e8[i] < 10**15
        if is_whole and 0 <= now_ns - stamps_ns[i] <= AGE_MAX_NS:
            mids[count] = (bids_e8[i] + asks_e8[i]) // 2
            count += 1
    if count < LEAST:
        return NONE_NS
    middle, kept = _median(mids, count), 0
    for i in range(count):
        if abs(mids[i] - middle) * GATE_ONE_IN <= middle:
            mids[kept] = mids[i]
            kept += 1
    return _median(mids, kept) if kept >= LEAST else NONE_NS
