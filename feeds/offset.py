"""How far a venue's clock is from ours: the lower envelope of `received - stamped`, with drift.

A difference of two clocks is never a latency: recorder clocks in our data are off by up to 1.3 s
and drift. But no message arrives before it was made, so the smallest difference of a while is the
offset plus the fastest way lately, and what is above it was on its way that much longer. The window
forgets, and what lies in it is lifted with its age, so that a drifting clock is followed both ways.
Differences that do not fit are looked at apart: if they are too small and agree among themselves
for a while the clock was set and its new offset is taken, unless it is beyond what any clock of a
venue may be. Too large ones are taken only back to where the clock was known to be before: a way
that is longer for good, by a proxy or a queue of the venue's, looks no other, also on a new
connection, and its books are old.

Pure: times and samples come in as ints, run time in ns (`now_ns` of a window is machine time).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum

SECOND_NS = 1_000_000_000
MS_NS = 1_000_000
BUCKETS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockBand:
    """What a venue's clock may do. Durations in machine ns, but `offset_max_ns` in run time.

    `early_ns`, `late_ns`: how far below or above the floor a stamp may lie. Measured on recorded
    Kalshi sessions of May 2026: the slowest frame lay 1.2 s above the floor, the floor moved by
    8 ms in 15 minutes. `offset_max_ns`: Kalshi takes signatures up to 5 s off, so neither clock is
    further off than that. `settle_ns`: differences that agree so long, within `spread_ns`, are the
    new offset. `drift_ppm`: how fast the floor may rise.
    """

    early_ns: int = SECOND_NS
    late_ns: int = 2 * SECOND_NS
    offset_max_ns: int = 5 * SECOND_NS
    window_ns: int = 60 * SECOND_NS
    settle_ns: int = 3 * SECOND_NS // 2
    spread_ns: int = 250 * MS_NS
    proven_ns: int = 2 * SECOND_NS
    drift_ppm: int = 200


class Found(Enum):
    """What a look at the samples found."""

    NOTHING = "nothing"
    STEPPED = "the venue's clock was set"
    BEHIND = "the venue's messages come late"
    WILD = "the venue's stamps are beyond any clock"


class ClockOffset:
    """The floor of one venue's clock, as seen over one connection after another."""

    def __init__(self, band: ClockBand) -> None:
        self._band = band
        self._buckets: deque[tuple[int, int]] = deque()  # (begun, least difference)
        self._begun_ns: int | None = None  # when the floor was first known
        self._other: int | None = None  # a difference that does not fit, and since when it stands
        self._other_ns = self._off_ns = 0
        self._is_off = False
        self.spread_ns = band.spread_ns  # in run time: whoever knows its speed sets it
        self.floor_ns: int | None = None
        self.before_ns: int | None = None  # the floor before the clock was set ahead

    def start(self, now_ns: int, floor_ns: int, before_ns: int | None = None) -> None:
        """What another connection to the same venue has found."""
        self.before_ns = before_ns
        self._buckets.append((now_ns, floor_ns))
        self._begun_ns, self.floor_ns = now_ns - self._band.proven_ns, floor_ns

    def opened(self) -> None:
        """A new connection. The clock is the same."""
        self._other, self._is_off = None, False

    def is_proven(self, now_ns: int) -> bool:
        """True once the floor has been watched long enough for a lower one to be odd."""
        begun_ns = self._begun_ns
        return begun_ns is not None and now_ns - begun_ns >= self._band.proven_ns

    def fits(self, now_ns: int, low_ns: int) -> None:
        """Samples within the bands; `low_ns`: the least of them."""
        width_ns = self._band.window_ns // BUCKETS
        if self._begun_ns is None:
            self._begun_ns = now_ns
        if self._buckets and now_ns - self._buckets[-1][0] < width_ns:
            begun_ns, least_ns = self._buckets[-1]
            self._buckets[-1] = begun_ns, min(least_ns, low_ns)
        else:
            self._buckets.append((now_ns, low_ns))
        while now_ns - self._buckets[0][0] > self._band.window_ns:
            self._buckets.popleft()
        ppm = self._band.drift_ppm
        self.floor_ns = min(
            least_ns + (now_ns - begun_ns) * ppm // 1_000_000
            for begun_ns, least_ns in self._buckets
        )
        self._other, self._is_off = None, False

    def misfits(self, now_ns: int, low_ns: int) -> Found:
        """Samples of which none fits; `low_ns`: the least of them."""
        band = self._band
        if not self._is_off:
            self._is_off, self._off_ns = True, now_ns
        if self._other is None or abs(low_ns - self._other) > self.spread_ns:
            self._other, self._other_ns = low_ns, now_ns
        if now_ns - self._off_ns < band.settle_ns:
            return Found.NOTHING
        if abs(self._other) > band.offset_max_ns or self.floor_ns is None:
            return Found.WILD
        is_late = self._other > self.floor_ns
        before_ns = self.before_ns
        if is_late and (before_ns is None or self._other > before_ns + self.spread_ns):
            return Found.BEHIND
        if now_ns - self._other_ns < band.settle_ns:
            return Found.BEHIND if is_late else Found.NOTHING
        self.before_ns = None if is_late else max(self.floor_ns, before_ns or self.floor_ns)
        self._buckets.clear()
        self._begun_ns = None
        self.fits(now_ns, min(self._other, low_ns))
        return Found.STEPPED
