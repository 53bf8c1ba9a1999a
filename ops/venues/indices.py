"""Averages of an index as each venue takes them, and the lag of who relays it. Exact: whole
numbers in 1e-8, no float.

Kalshi settles on the mean of the 60 ticks stamped close - 60 s … close - 1 s: the tick stamped
`close` is out (spot.md 0 and 6.2, 9,124 of 9,124 markets of September 2026). Polymarket settles on
Chainlink's 60 s TWAP; its weights are not published, the trailing mean of 60 one-second values
fits it within 0.35 bp (spot.md 5.3), so here it is that, the tick of its own stamp included.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from ops.venues.numerals import SECOND_NS

WINDOW_S = 60
_KEPT_S = 180


class Seconds:
    """The values of one index stamped with whole seconds, the newest three minutes of them."""

    def __init__(self) -> None:
        self._values: dict[int, int] = {}

    def add(self, at_epoch_ns: int, value_e8: int) -> None:
        """A tick; one inside a second counts for no average."""
        second, rest = divmod(at_epoch_ns, SECOND_NS)
        if rest:
            return
        self._values[second] = value_e8
        while len(self._values) > _KEPT_S:
            del self._values[next(iter(self._values))]

    def between(self, start_s: int, end_s: int) -> list[int]:
        """Those there are in [start_s, end_s), in order."""
        found = (self._values.get(second) for second in range(start_s, end_s))
        return [value for value in found if value is not None]

    def before(self, at_s: int) -> list[int]:
        """The minute [at_s - 60, at_s): Kalshi's window."""
        return self.between(at_s - WINDOW_S, at_s)

    def upto(self, at_s: int) -> list[int]:
        """The minute (at_s - 60, at_s]: what the TWAP stamped `at_s` averages."""
        return self.between(at_s - WINDOW_S + 1, at_s + 1)


def mean_e8(values: Sequence[int], digits: int = 8) -> int:
    """The mean rounded to `digits` decimals, in 1e-8; an exact half goes up (no venue says)."""
    unit: int = 10 ** (8 - digits)
    count = len(values)
    return (2 * sum(values) + count * unit) // (2 * count * unit) * unit


class Lagged:
    """What a relay shows later than it is stamped: each leaves with the first tick after it is due.

    Run time, and no timer: a session's frames are the same at every speed.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    def add(self, due_epoch_ns: int, show: Callable[[], None]) -> None:
        """Due times ascend."""
        self._waiting.append((due_epoch_ns, show))

    def release(self, at_epoch_ns: int) -> None:
        """Show what is due now."""
        while self._waiting and self._waiting[0][0] <= at_epoch_ns:
            self._waiting.popleft()[1]()
