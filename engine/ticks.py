"""The ticks of one index as its relay told them: what is known of an average, and nothing made up.

A settlement takes ticks by the second they are stamped with (engine/fair_rules.py). Of a second
that did not come nothing is known: it counts among those still to come. Memory is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SECOND_NS = 10**9
KEPT_S = 400  # more than any average takes, and than a relay is late
STRIKE_LATE_NS = 5 * SECOND_NS  # the mean of a window's start: that stamp, or the first soon after
# INDEX.source as feeds/indices.py numbers it: one value a second, and means over MEAN_S
SECONDS = frozenset({1, 3, 6})
MEANS = frozenset({5, 7})
MEAN_S = 60


@dataclass(slots=True)
class Ticks:
    """Values in 1e-8, stamps in epoch ns. `value_e8` is the newest of any source."""

    value_e8: int = 0
    at_ns: int = 0
    heard_ns: int = 0  # machine time; 0: nothing, or lost since
    since_ns: int = 0  # earliest mean that came since the relay was lost; 0: none
    missing: int = 0  # seconds left out between two that came
    _by_second: dict[int, int] = field(default_factory=dict)
    _means: dict[int, int] = field(default_factory=dict)  # by the stamp of their end
    _last_s: int = 0

    def take(self, source: int, value_e8: int, at_ns: int, heard_ns: int) -> None:
        """One value. Of a stamp that was here already nothing changes."""
        if value_e8 <= 0 or at_ns <= 0:
            return
        if at_ns > self.at_ns:
            self.value_e8, self.at_ns, self.heard_ns = value_e8, at_ns, heard_ns
        second, rest = divmod(at_ns, SECOND_NS)
        if source not in SECONDS or rest or second in self._by_second:
            return
        if second > self._last_s:
            if self._last_s:
                self.missing += second - self._last_s - 1
            self._last_s = second
        self._by_second[second] = value_e8
        while len(self._by_second) > KEPT_S:
            del self._by_second[next(iter(self._by_second))]

    def take_mean(self, mean_e8: int, end_ns: int) -> None:
        """A mean that the publisher itself tells (Polymarket's TWAP)."""
        if mean_e8 <= 0 or end_ns <= 0 or end_ns in self._means:
            return  # a mean that is told again does not say that the relay is heard
        self._means[end_ns] = mean_e8
        self.since_ns = min(self.since_ns or end_ns, end_ns)
        while len(self._means) > KEPT_S:
            del self._means[next(iter(self._means))]

    def lost(self) -> None:
        """The relay is not trusted now: what it told stays, what it tells next follows nothing."""
        self.heard_ns = self.since_ns = 0

    def known(self, stamps: range) -> tuple[int, int, int]:
        """(sum, count, second up to which none is missing) of the seconds of an average; where
        nothing is known that is the second before the first."""
        total, count, whole_s = 0, 0, stamps.start - 1
        for second in stamps:
            value = self._by_second.get(second)
            if value is None:
                continue
            total, count = total + value, count + 1
            if second == whole_s + 1:
                whole_s = second
        return total, count, whole_s

    def mean_at(self, at_ns: int) -> int | None:
        """The published mean stamped `at_ns`, else the first soon after it if the relay was heard
        from shortly before until then. None: not heard."""
        if at_ns in self._means:
            return self._means[at_ns]
        found = [end for end in self._means if at_ns < end <= at_ns + STRIKE_LATE_NS]
        begin_ns = max(self.since_ns, at_ns - STRIKE_LATE_NS)
        before = self.since_ns > 0 and any(begin_ns <= end < at_ns for end in self._means)
        return self._means[min(found)] if found and before else None
