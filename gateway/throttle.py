"""How much a venue lets us send, and how often we let ourselves: token buckets and sliding counts.
Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple


class Budget(NamedTuple):
    """A venue's own word on one account's token buckets: a second's refill, and the most."""

    read_rate: int
    read_burst: int
    write_rate: int
    write_burst: int


@dataclass(slots=True, kw_only=True)
class Bucket:
    """A venue's token bucket as we keep it: `rate` tokens a second, at most `burst`, `reserve` of
    them for unwinds.

    Kept on the safe side of the venue's own: it starts full and refills no faster.
    """

    rate: int
    burst: int
    reserve: int
    level_n: int = -1  # tokens × 1e9
    at_ns: int = 0

    def __post_init__(self) -> None:
        if self.rate <= 0 or self.burst <= 0 or not 0 <= self.reserve < self.burst:
            raise ValueError(
                f"bucket: found rate {self.rate}, burst {self.burst}, reserve {self.reserve}, "
                "wanted rate and burst above 0 and a reserve below the burst"
            )
        if self.level_n < 0:
            self.level_n = self.burst * 10**9

    def _refill(self, now_ns: int) -> None:
        if now_ns > self.at_ns:
            gone_ns = now_ns - self.at_ns if self.at_ns else 0
            self.level_n = min(self.level_n + gone_ns * self.rate, self.burst * 10**9)
            self.at_ns = now_ns

    def has(self, cost: int, now_ns: int, *, urgent: bool = False) -> bool:
        """Whether `cost` tokens could be taken now; only an urgent request may use the reserve."""
        self._refill(now_ns)
        floor = 0 if urgent else self.reserve
        return self.level_n >= (cost + floor) * 10**9

    def take(self, cost: int, now_ns: int) -> None:
        """Take tokens; the caller has asked `has`."""
        self._refill(now_ns)
        self.level_n -= cost * 10**9

    def empty(self, now_ns: int, hold_ns: int = 0) -> None:
        """The venue said "too many": start again from nothing, and not before `hold_ns`."""
        self._refill(now_ns)
        self.level_n = 0
        self.at_ns = max(self.at_ns, now_ns + hold_ns)

    def told(self, left: int, now_ns: int) -> None:
        """The venue says how much is left: never more than we think, for it may not know yet what
        is on its way."""
        self._refill(now_ns)
        self.level_n = min(self.level_n, left * 10**9)

    def replaced(self, rate: int, burst: int) -> Bucket:
        """A bucket of the size the venue reports, no fuller than this one; the reserve stays, but
        leaves room for others."""
        reserve = min(self.reserve, burst // 2)
        level_n = min(self.level_n + (burst - self.burst) * 10**9, burst * 10**9)
        return Bucket(rate=rate, burst=burst, reserve=reserve, level_n=max(level_n, 0),
                      at_ns=self.at_ns)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Window:
    """At most `count_max` events in any `span_ns`."""

    span_ns: int
    count_max: int
    stamps: deque[int] = field(default_factory=deque)

    def has(self, count: int, now_ns: int) -> bool:
        """Whether `count` more events are allowed now."""
        stamps = self.stamps
        while stamps and stamps[0] <= now_ns - self.span_ns:
            stamps.popleft()
        return len(stamps) + count <= self.count_max

    def add(self, count: int, now_ns: int) -> None:
        """Count events; the deque never holds more than `count_max` plus one intent's legs."""
        self.stamps.extend([now_ns] * count)


SECOND_NS, MINUTE_NS, DAY_NS = 10**9, 60 * 10**9, 86_400 * 10**9
SPANS_NS = (SECOND_NS, MINUTE_NS, DAY_NS)
STAMPS_MAX = 1 << 20  # a power of two: the newest stamps kept, and so the highest count of a span
# cells of a rate: orders ever counted, most in each span, then the circle of stamps
R_TOTAL, R_MOST, R_STAMPS = 0, 1, 8
RATE_CELLS = R_STAMPS + STAMPS_MAX


class OrderRate:
    """Orders a second, a minute and a day, in cells that the last look reads too (`rate_has` of
    gateway/kernels.py is the same rule compiled). Stamps must not go back.
    """

    def __init__(
        self, per_second: int, per_minute: int, per_day: int, *, cells: memoryview | None = None
    ) -> None:
        """`cells`: RATE_CELLS int64, zeros; None: its own. Raises ValueError on a count it cannot
        keep."""
        own = memoryview(bytearray(8 * RATE_CELLS)).cast("q") if cells is None else cells
        self._cells = own
        self.limit(per_second, per_minute, per_day)

    def limit(self, per_second: int, per_minute: int, per_day: int) -> None:
        """Other counts from now on. Raises ValueError on one it cannot keep."""
        most = (per_second, per_minute, per_day)
        for count in most:
            if not 0 < count <= STAMPS_MAX:
                raise ValueError(f"order rate: found {count}, wanted 1 to {STAMPS_MAX}")
        for place, count in enumerate(most):
            self._cells[R_MOST + place] = count

    def has(self, count: int, now_ns: int) -> bool:
        """Whether `count` more orders are allowed in all three spans: in each the order that would
        be one too many is over."""
        cells = self._cells
        total = cells[R_TOTAL]
        for place, span_ns in enumerate(SPANS_NS):
            back = cells[R_MOST + place] - count
            if back < 0:
                return False
            oldest = total - 1 - back
            if oldest >= 0 and cells[R_STAMPS + oldest % STAMPS_MAX] > now_ns - span_ns:
                return False
        return True

    def add(self, count: int, now_ns: int) -> None:
        """Count orders sent."""
        cells = self._cells
        total = cells[R_TOTAL]
        for place in range(total, total + count):
            cells[R_STAMPS + place % STAMPS_MAX] = now_ns
        cells[R_TOTAL] = total + count
