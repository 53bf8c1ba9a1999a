"""How much a venue lets us send, and how often we let ourselves: token buckets and sliding counts.
Pure.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field


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

    def empty(self, now_ns: int) -> None:
        """The venue said "too many": start again from nothing."""
        self._refill(now_ns)
        self.level_n = 0


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


class OrderRate:
    """Orders a second, a minute and a day."""

    def __init__(self, per_second: int, per_minute: int, per_day: int) -> None:
        self._windows = (
            Window(span_ns=SECOND_NS, count_max=per_second),
            Window(span_ns=MINUTE_NS, count_max=per_minute),
            Window(span_ns=DAY_NS, count_max=per_day),
        )

    def has(self, count: int, now_ns: int) -> bool:
        """Whether `count` more orders are allowed in all three."""
        return all(window.has(count, now_ns) for window in self._windows)

    def add(self, count: int, now_ns: int) -> None:
        """Count orders sent."""
        for window in self._windows:
            window.add(count, now_ns)
