"""Signed Kalshi header sets kept ready: each used once, at most 2 s after its stamp.

Kalshi signs time, method and path but not the body, so a set is cash until it is stale. The venue
takes stamps within ±5 s (demo, 2026-06-11). Values only: `gateway/signing.py` orders the sets.
"""

from __future__ import annotations

from collections import deque

HEADER_LIFE_NS = 2_000_000_000  # for an opening order, after the stamp
RENEW_NS = 1_000_000_000  # an older set no longer counts as stock: its successor is ordered
RESERVE_LIFE_NS = 4_500_000_000  # for unwinds and cancels, when the signer is gone
RETRY_NS = 100_000_000  # after a refusal or a lost request
AHEAD_MAX_MS = 500  # stamps run ahead of the clock by at most this, to be distinct
IDLE_NS = 5_000_000_000  # a stock made by asking is kept up so long after it was last asked for
MS_NS = 1_000_000


def header_bytes(key_id: str, signature: bytes, stamp_ms: int) -> bytes:
    """Kalshi's three header lines, each ended, ready to stand in a request."""
    return (
        b"KALSHI-ACCESS-KEY: %b\r\nKALSHI-ACCESS-SIGNATURE: %b\r\nKALSHI-ACCESS-TIMESTAMP: %d\r\n"
        % (key_id.encode(), signature, stamp_ms)
    )


def header_dict(lines: bytes) -> dict[str, str]:
    """The same lines as a dict, for cold requests."""
    return dict(line.split(": ", 1) for line in lines.decode().splitlines())


class HeaderStock:
    """Sets of one (method, path), oldest first, as (stamp on the monotonic clock, lines).

    `until_ns` None: kept up for ever; else only until then (a cold path that was asked for).
    `is_vital`: no new intent without one.
    """

    def __init__(
        self, method: str, path: str, want: int, *, is_vital: bool, until_ns: int | None = None
    ) -> None:
        assert want > 0, want
        self.method, self.path, self.want = method, path, want
        self.is_vital, self.until_ns = is_vital, until_ns
        self.in_flight = 0
        self._sets: deque[tuple[int, bytes]] = deque()
        self._reserve: deque[tuple[int, bytes]] = deque()
        self._last_stamp_ms = 0
        self._not_before_ns = 0

    def add(self, stamp_ns: int, lines: bytes) -> None:
        """A signed set has come."""
        self._sets.append((stamp_ns, lines))

    def hold_off(self, now_ns: int) -> None:
        """It was refused or lost: do not ask again at once."""
        self._not_before_ns = now_ns + RETRY_NS

    def take(self, now_ns: int, *, for_unwind: bool = False) -> bytes | None:
        """The oldest set that may be used, never given again. None: there is none.

        `for_unwind` takes also from the reserve: sets up to 4.5 s old, the newest first.
        """
        while self._sets:
            stamp_ns, lines = self._sets.popleft()
            if now_ns - stamp_ns <= HEADER_LIFE_NS:
                return lines
            self._reserve.append((stamp_ns, lines))
        while for_unwind and self._reserve:
            stamp_ns, lines = self._reserve.pop()
            if now_ns - stamp_ns <= RESERVE_LIFE_NS:
                return lines
        return None

    def is_fresh(self, now_ns: int) -> bool:
        """True if a set may be used now."""
        return bool(self._sets) and now_ns - self._sets[-1][0] <= HEADER_LIFE_NS

    def count(self, now_ns: int) -> int:
        """How many sets may be used now."""
        return sum(1 for stamp_ns, _ in self._sets if now_ns - stamp_ns <= HEADER_LIFE_NS)

    def age(self, now_ns: int) -> None:
        """Old sets go to the reserve, and from there where the venue would refuse them: away."""
        while self._sets and now_ns - self._sets[0][0] > HEADER_LIFE_NS:
            self._reserve.append(self._sets.popleft())
        while self._reserve and now_ns - self._reserve[0][0] > RESERVE_LIFE_NS:
            self._reserve.popleft()

    def is_idle(self, now_ns: int) -> bool:
        """True if nobody has asked for so long that it can be forgotten."""
        return self.until_ns is not None and now_ns > self.until_ns and not self.in_flight

    def missing(self, now_ns: int) -> int:
        """How many sets to order now."""
        if now_ns < self._not_before_ns or (self.until_ns is not None and now_ns > self.until_ns):
            return 0
        young = sum(1 for stamp_ns, _ in self._sets if now_ns - stamp_ns < RENEW_NS)
        return self.want - young - self.in_flight

    def next_stamp_ms(self, wall_ms: int) -> int | None:
        """A stamp no other set of this stock has. None: the clock must move on first."""
        if self._last_stamp_ms > wall_ms + 2 * AHEAD_MAX_MS:
            self._last_stamp_ms = 0  # the wall clock was set back
        stamp_ms = max(wall_ms, self._last_stamp_ms + 1)
        if stamp_ms > wall_ms + AHEAD_MAX_MS:
            return None
        self._last_stamp_ms = stamp_ms
        return stamp_ms
