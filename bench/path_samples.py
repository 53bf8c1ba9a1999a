"""What became of each round, read from reports and from the venues' own log; and whether it may be
counted. A round that is not whole refuses the bench: there is no speed of half an arbitrage.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field

import numpy as np

from bench.floor import Shot
from bench.path_venues import LogRow
from gateway.reports import KEY_BYTES
from shm_layout import (
    BODY,
    ENTRY,
    FLAG_TIMER,
    FLAG_UNWIND,
    K_LEG,
    K_TERMINAL,
    LINE,
    READ,
    REASONS,
    REPORT,
    Segment,
    cells_to_text,
    ring_read,
)

STAMPS = ("event_epoch_ns", "recv_ns", "publish_ns", "decide_ns", "taken_ns")
FILLED = {"filled", "matched"}  # the word of a venue's log for an order that took all it wanted
MISSED_MAX = 0.5  # share of rounds that may be refused, late or by timer: busy cores


class BenchError(Exception):
    """The bench measured something else than it claims to: says what was found."""


@dataclass(slots=True)
class Flight:
    """One intent as its reports show it. Stamps are machine ns; legs by number."""

    event_epoch_ns: int
    recv_ns: int
    publish_ns: int
    decide_ns: int
    taken_ns: int
    _: KW_ONLY
    flags: int = 0
    keys: dict[int, str] = field(default_factory=dict)
    send_ns: dict[int, int] = field(default_factory=dict)
    filled_e6: dict[int, int] = field(default_factory=dict)
    reason: str = ""

    @property
    def is_sent(self) -> bool:
        """Some leg left."""
        return any(self.send_ns.values())

    @property
    def took_ns(self) -> int:
        """Tick-to-order."""
        return max(self.send_ns.values()) - self.recv_ns


class Flights:
    """Follows the reports ring of a segment; `poll` often enough not to be lapped."""

    def __init__(self, segment: Segment) -> None:
        self._words = segment.words
        self._ring, self._entries = segment.at("reports"), segment.entries("reports")
        self._out = np.zeros(ENTRY, np.int64)
        self._cursor = 0
        self.by_intent: dict[int, Flight] = {}

    def poll(self) -> None:
        """Take what is there. Raises BenchError if some of it is gone already."""
        while True:
            got = ring_read(self._words, self._ring, self._entries, self._cursor, self._out, BODY)
            if got < 0:
                raise BenchError("reports: lapped, the bench does not know what was sent")
            if got != READ:
                return
            self._cursor += 1
            if self._out[0] in (K_LEG, K_TERMINAL):
                self._take(int(self._out[0]), self._out[LINE:].view(REPORT)[0])

    def _take(self, kind: int, row: np.void) -> None:
        flight = self.by_intent.get(int(row["intent"]))
        if flight is None:
            flight = self.by_intent[int(row["intent"])] = Flight(
                *(int(row[name]) for name in STAMPS), flags=int(row["flags"])
            )
        if kind == K_TERMINAL:
            flight.reason = REASONS[int(row["reason"])]
            return
        leg = int(row["leg"])
        flight.keys[leg] = cells_to_text(row["order_key"])
        flight.send_ns[leg] = int(row["send_ns"])
        flight.filled_e6[leg] = int(row["filled_e6"])


def outcomes(rows: Iterable[LogRow]) -> dict[str, tuple[int, str]]:
    """When each order was read at its venue, and what became of it, by key as reports carry it."""
    return {key[:KEY_BYTES]: (read_ns, outcome) for _, key, read_ns, _, outcome in rows}


def whole_flights(
    flights: Iterable[Flight], expected_epoch_ns: Sequence[int], size_e6: int,
    log: Mapping[str, tuple[int, str]],
) -> tuple[list[Flight], int]:  # fmt: skip
    """The flights that answer the rounds opened at `expected_epoch_ns`, each with both legs sent
    and read by its venue; and how many rounds were missed: refused, released by a timer, or not
    filled whole because the gap was over (their times count). Raises BenchError otherwise."""
    expected, found, late = set(expected_epoch_ns), [], 0
    opened = [flight for flight in flights if not flight.flags & FLAG_UNWIND]
    for flight in (flight for flight in opened if flight.is_sent):
        if sorted(flight.send_ns) != [0, 1] or not all(flight.send_ns.values()):
            raise BenchError(f"one leg alone was sent: {flight}")
        is_whole = flight.reason == "done" and set(flight.filled_e6.values()) == {size_e6}
        _logged(flight.keys.values(), log, FILLED if is_whole else None)
        late += not is_whole
        if flight.flags & FLAG_TIMER:
            continue
        if flight.event_epoch_ns not in expected:
            raise BenchError(f"an order without a gap of the script: {flight}")
        expected.remove(flight.event_epoch_ns)
        found.append(flight)
    missed = late + len(expected)
    if missed > MISSED_MAX * len(expected_epoch_ns):
        why = Counter(f.reason + " by timer" * bool(f.flags & FLAG_TIMER) for f in opened)
        raise BenchError(f"{missed} of {len(expected_epoch_ns)} gaps not taken whole: {dict(why)}")
    return found, missed


def whole_shots(
    shots: Iterable[Shot], expected: int, log: Mapping[str, tuple[int, str]]
) -> tuple[list[Shot], int]:
    """The floor's shots, each of which the venues must have read; and how many of the `expected`
    rounds had none, or one too late for the gap. Raises BenchError."""
    found, late = list(shots), 0
    for shot in found:
        _logged(shot.keys, log, None)
        late += any(log[key][1] not in FILLED for key in shot.keys)
    missed = late + expected - len(found)
    if missed > MISSED_MAX * expected:
        raise BenchError(f"{missed} of {expected} gaps not taken whole by the floor")
    return found, missed


def _logged(
    keys: Iterable[str], log: Mapping[str, tuple[int, str]], wanted: Collection[str] | None
) -> None:
    """Each was read by its venue, with an outcome that is `wanted` (None: any)."""
    for key in keys:
        outcome = log.get(key, (0, "never read"))[1]
        if outcome == "never read" or (wanted is not None and outcome not in wanted):
            raise BenchError(f"order {key}: {outcome} at its venue, wanted {wanted or 'it read'}")
