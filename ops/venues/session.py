"""What all venues of one session share: the two clocks, the log of orders, counters, token
buckets, ids.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

from ops.venues.numerals import SECOND_NS
from ops.venues.script import Timeline

LOG_ROWS_MAX = 1_000_000
FAULT_ROWS_MAX = 100_000
_NAMESPACE = uuid.UUID("6b1f3c52-0d0a-4e0e-9d55-2f6d3ad4b7a1")

LogRow = tuple[str, str, int, int, str]
RequestRow = tuple[str, str, str, int]
Clock = Callable[[], int]
Later = Callable[[int, Callable[[], None]], None]  # after so many machine ns, do this


class FaultRow(NamedTuple):
    """One fault done: when (machine ns), on which socket (0: none), and the beginning of what it
    hit; for a request also the order's key, if it carried one, and the status of a fault that is
    an answer (0: none).
    """

    venue: str
    kind: str
    mono_ns: int
    connection: int
    what: str
    key: str = ""
    status: int = 0


class RunClock:
    """Machine time and run time. Until `start` run time stands at the script's first instant.

    `mono_ns` is for delays, buckets and stamps of the log; `wall_ns` for the skew of signatures;
    `run_ns` is what frames and orders carry.
    """

    def __init__(self, timeline: Timeline, *, mono: Clock, wall: Clock) -> None:
        self.mono_ns = mono
        self.wall_ns = wall
        self._timeline = timeline
        self._start_ns: int | None = None

    def start(self, mono_ns: int) -> None:
        """Run time begins to pass at this machine stamp."""
        self._start_ns = mono_ns

    @property
    def is_running(self) -> bool:
        return self._start_ns is not None

    @property
    def begin_epoch_ns(self) -> int:
        """The script's first instant."""
        return self._timeline.begin_epoch_ns

    def due_ns(self, epoch_ns: int) -> int:
        """The machine stamp at which run time reaches `epoch_ns`."""
        assert self._start_ns is not None
        return self._start_ns + self._timeline.offset_ns(epoch_ns)

    def run_ns(self) -> int:
        """The run time now, in epoch nanoseconds."""
        return self.run_ns_at(self.mono_ns())

    def run_ns_at(self, mono_ns: int) -> int:
        """The run time at a machine stamp."""
        if self._start_ns is None:
            return self._timeline.begin_epoch_ns
        return self._timeline.epoch_ns(max(0, mono_ns - self._start_ns))


class VenueLog:
    """One row per order request read, and counters by name; on demand, a row of every request as
    well: (venue, method, target, status). What comes over a socket has the method WS (the
    handshake) or SEND (a text, status 0). Rows beyond the limit are counted, not kept.
    """

    def __init__(self, *, keeps_requests: bool = False) -> None:
        self.rows: list[LogRow] = []
        self.requests: list[RequestRow] = []
        self.keeps_requests = keeps_requests
        self.faults: list[FaultRow] = []
        self.counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def open(self, venue: str) -> None:
        """Show this venue's counters even if nothing happens there."""
        self.counts[venue].update()

    def count(self, venue: str, name: str, by: int = 1) -> None:
        self.counts[venue][name] += by

    def order(self, venue: str, key: str, read_ns: int, answered_ns: int, outcome: str) -> None:
        self.count(venue, "orders")
        self.count(venue, f"order_{outcome}")
        if len(self.rows) < LOG_ROWS_MAX:
            self.rows.append((venue, key, read_ns, answered_ns, outcome))
        else:
            self.count(venue, "log_rows_dropped")

    def request(self, venue: str, method: str, target: str, status: int) -> None:
        """A request was answered, if anyone wants to know."""
        if not self.keeps_requests:
            return
        if len(self.requests) < LOG_ROWS_MAX:
            self.requests.append((venue, method, target, status))
        else:
            self.count(venue, "log_rows_dropped")

    def fault(self, row: FaultRow) -> None:
        """A fault was done: counted, and kept as long as there is room."""
        self.count(row.venue, f"fault_{row.kind}")
        if len(self.faults) < FAULT_ROWS_MAX:
            self.faults.append(row)


class Bucket:
    """A token bucket with continuous refill, in machine time. Integer: a token is 1e9 units."""

    def __init__(self, *, tokens_per_s: int, burst: int, now_ns: int) -> None:
        self.burst = burst
        self.tokens_per_s = tokens_per_s
        self._units = burst * SECOND_NS
        self._at_ns = now_ns

    def left(self, now_ns: int) -> int:
        """Whole tokens now."""
        gained = (now_ns - self._at_ns) * self.tokens_per_s
        self._units = min(self.burst * SECOND_NS, self._units + gained)
        self._at_ns = now_ns
        return self._units // SECOND_NS

    def pay(self, tokens: int, now_ns: int) -> bool:
        """Take `tokens`, or nothing and False."""
        if self.left(now_ns) < tokens:
            return False
        self._units -= tokens * SECOND_NS
        return True


class Ids:
    """Ids that look like the venues' and are the same in every run of one sequence of orders."""

    def __init__(self, venue: str) -> None:
        self._venue = venue
        self._next = 0

    def new(self, kind: str) -> str:
        self._next += 1
        return self.named(f"{kind}-{self._next}")

    def named(self, name: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self._venue}/{name}"))
