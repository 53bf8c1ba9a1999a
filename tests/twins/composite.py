"""The composite in plain Python."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

AGE_MAX_NS = 2_000_000_000


def composite_e8(quotes: Iterable[tuple[int, int, int]], now_ns: int) -> int:
    """From (bid, ask, stamp) of each exchange; −1: none."""
    mids = [
        (bid + ask) // 2
        for bid, ask, stamp in quotes
        if 0 < bid <= ask < 10**15 and 0 <= now_ns - stamp <= AGE_MAX_NS
    ]
    if len(mids) < 3:
        return -1
    middle = int(median(mids) // 1)
    near = [mid for mid in mids if 20 * abs(mid - middle) <= middle]
    return int(median(near) // 1) if len(near) >= 3 else -1
