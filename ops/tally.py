"""What a run did, read from its rings with cursors of its own: intents, outcomes, latencies, what
is held and what it is worth.

Polled by the supervisor a few times a second; loses entries only if a ring laps it between polls,
and counts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ops.by_strategy import Bet, bet_of, by_strategy, settle
from shm_layout import (
    BODY,
    E6,
    ENTRY,
    FLAG_TIMER,
    INTENT,
    K_INTENT,
    K_LEG,
    K_TERMINAL,
    KIND_MODEL,
    LAPPED,
    LEGS_MAX,
    LINE,
    ORIGIN_DETECTOR,
    READ,
    REASONS,
    REPORT,
    Segment,
    cells_to_text,
    intent_parts,
    ring_read,
    ring_tail,
)

INTENTS_MAX = 1_000_000
KEY_BYTES = 64  # of an order's key in a report: what is longer is cut
SENT = frozenset(("done", "partial", "nothing_filled", "one_legged", "unknown_outcome"))


class RingReader:
    """A reader's own place in one ring."""

    def __init__(self, segment: Segment, ring: str) -> None:
        self._words = segment.words
        self._at = segment.at(ring)
        self._entries = segment.entries(ring)
        self._out = np.zeros(ENTRY, np.int64)
        self.position = 0
        self.lost = 0

    def drain(self) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
        """(kind, body) of every entry there is; a body is a copy."""
        while True:
            found = ring_read(self._words, self._at, self._entries, self.position, self._out, BODY)
            if found == READ:
                self.position += 1
                yield int(self._out[0]), self._out[LINE:].copy()
            elif found == LAPPED:
                resume = max(int(ring_tail(self._words, self._at)) - self._entries // 2, 0)
                self.lost += resume - self.position
                self.position = resume
            else:
                return


@dataclass(slots=True)
class Leg:
    """The newest word on one leg."""

    filled_e6: int = 0
    fee_e6: int = 0
    send_ns: int = 0
    key: str = ""
    venue: int = -1


@dataclass(slots=True)
class Life:
    """One intent from its writing to its terminal report."""

    pair: int
    direction: int
    decide_ns: int
    recv_ns: int
    event_epoch_ns: int
    is_timer: bool
    is_bet: bool = False  # of the model against one market: one leg
    leg_count: int = 2
    bet: Bet | None = None  # what it was decided on; None: it was told of by its reports alone
    legs: dict[int, Leg] = field(default_factory=dict)
    reason: str = ""


@dataclass(slots=True)
class Tally:
    """The running account of a session. `lives`: the detector's intents by id, oldest first."""

    segment: Segment
    intents: RingReader
    reports: RingReader
    waiting: list[Bet] = field(default_factory=list)  # bets on markets that have not settled
    lives: dict[int, Life] = field(default_factory=dict)
    desk: dict[int, Life] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    # of an instrument: generation, contracts traded, fees
    charged: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    fees_e6: int = 0
    orders: int = 0
    fills: int = 0
    filled_e6: int = 0
    first_send_ns: int = 0

    @classmethod
    def of(cls, segment: Segment) -> Tally:
        """A tally that reads from the segment's first entry."""
        return cls(segment, RingReader(segment, "intents"), RingReader(segment, "reports"))

    @property
    def lost(self) -> int:
        """Entries that lapped it."""
        return self.intents.lost + self.reports.lost

    def poll(self) -> None:
        """Take in everything new."""
        for kind, body in self.intents.drain():
            if kind == K_INTENT and len(self.lives) < INTENTS_MAX:
                self._intent(body)
        for kind, body in self.reports.drain():
            if kind in (K_LEG, K_TERMINAL):
                self._report(kind, body)
        self.waiting = settle(self.segment, self.waiting)

    def _intent(self, body: npt.NDArray[np.int64]) -> None:
        row = body.view(INTENT)[0]
        number = int(row["id"])
        life = Life(
            pair=int(row["pair"]),
            direction=int(row["direction"]),
            decide_ns=int(row["decide_ns"]),
            recv_ns=int(row["recv_ns"]),
            event_epoch_ns=int(row["event_epoch_ns"]),
            is_timer=bool(row["flags"] & FLAG_TIMER),
            leg_count=int(row["leg_count"]),
        )
        if row["kind"] == KIND_MODEL:
            life.is_bet, life.bet = True, bet_of(body)
            self.waiting.append(life.bet)
        told = self.lives.get(number)  # written and answered between the two drains of a poll
        if told is not None:
            life.legs, life.reason = told.legs, told.reason
            _follow(life)
        self.lives[number] = life

    def _report(self, kind: int, body: npt.NDArray[np.int64]) -> None:
        row = body.view(REPORT)[0]
        intent = int(row["intent"])
        is_detectors = intent_parts(intent)[0] == ORIGIN_DETECTOR
        known = self.lives if is_detectors else self.desk
        life = known.get(intent)
        if life is None:
            life = known[intent] = Life(
                int(row["pair"]), int(row["direction"]), int(row["decide_ns"]), int(row["recv_ns"]),
                int(row["event_epoch_ns"]), bool(row["flags"] & FLAG_TIMER),
                row["intent_kind"] == KIND_MODEL,
            )  # fmt: skip
        if kind == K_LEG:
            self._leg(life, row)
            _follow(life)
        elif not life.reason:
            life.reason = REASONS[int(row["reason"])]
            if (
                is_detectors
                and life.reason not in SENT
                and not any(x.send_ns for x in life.legs.values())
            ):
                self.refusals[life.reason] += 1
            _follow(life)

    def _leg(self, life: Life, row: np.void) -> None:
        """Reports of a leg are cumulative."""
        leg = life.legs.setdefault(min(int(row["leg"]), LEGS_MAX - 1), Leg())
        send_ns, filled_e6 = int(row["send_ns"]), int(row["filled_e6"])
        if send_ns and not leg.send_ns:
            self.orders += 1
            if not self.first_send_ns or send_ns < self.first_send_ns:
                self.first_send_ns = send_ns
        if filled_e6 > 0 and leg.filled_e6 == 0:
            self.fills += 1
        self._charge(row, filled_e6 - leg.filled_e6, int(row["fee_e6"]) - leg.fee_e6)
        leg.filled_e6, leg.fee_e6 = filled_e6, int(row["fee_e6"])
        leg.send_ns = send_ns or leg.send_ns
        leg.key = leg.key or cells_to_text(row["order_key"])
        leg.venue = int(row["venue"])

    def _charge(self, row: np.void, filled_e6: int, fee_e6: int) -> None:
        """What a report adds."""
        self.filled_e6 += filled_e6
        self.fees_e6 += fee_e6
        instrument, generation = int(row["instrument"]), int(row["generation"])
        known, traded_e6, paid_e6 = self.charged.get(instrument, (generation, 0, 0))
        if known != generation:
            traded_e6 = paid_e6 = 0  # of the market that had the number before
        self.charged[instrument] = generation, traded_e6 + filled_e6, paid_e6 + fee_e6

    def fees_of(self, instrument: int, generation: int, size_e6: int) -> int:
        """What so many contracts of a market cost in fees: their share of all that were paid there,
        rounded up; of trades before this tally nothing is known."""
        known, traded_e6, paid_e6 = self.charged.get(instrument, (generation, 0, 0))
        if known != generation or traded_e6 <= 0:
            return 0
        return -(-paid_e6 * min(size_e6, traded_e6) // traded_e6)

    @property
    def one_legged(self) -> int:
        """Intents of several legs that ended with unequal ones."""
        return sum(
            1
            for life in self.lives.values()
            if life.reason and not life.is_bet and len({leg.filled_e6 for leg in _all(life)}) > 1
        )

    def tick_to_order_ns(self, *, of_bets: bool = False) -> list[int]:
        """Last leg's send − receipt of the frame, for every intent sent whole; timers apart (left
        out). Of intents of several legs, or of bets.
        """
        return [
            max(leg.send_ns for leg in life.legs.values()) - life.recv_ns
            for life in self.lives.values()
            if life.recv_ns and not life.is_timer and life.is_bet == of_bets and _is_sent(life)
        ]

    def bets(self) -> dict[str, Any]:
        """Of the model's own: how many were written, sent and filled, contracts, and what those
        were worth at fair value when they were decided on: that is no profit before it settles.
        """
        lives = [life for life in self.lives.values() if life.is_bet]
        legs = [(life, leg) for life in lives for leg in life.legs.values()]
        return {
            "intents": len(lives),
            "orders": sum(leg.send_ns > 0 for _, leg in legs),
            "fills": sum(leg.filled_e6 > 0 for _, leg in legs),
            "filled_e6": sum(leg.filled_e6 for _, leg in legs),
            "fair_e6": sum(bet.filled_e6 * bet.worth_e6 // E6 for bet in self._bets()),
            "strategies": by_strategy(self._bets()),
            "tick_to_order_ns": percentiles(self.tick_to_order_ns(of_bets=True)),
        }

    def _bets(self) -> list[Bet]:
        return [life.bet for life in self.lives.values() if life.bet is not None]

    def tick_to_order(self) -> dict[str, int | None]:
        """Percentiles of `tick_to_order_ns`."""
        return percentiles(self.tick_to_order_ns())

    def open_intents(self) -> int:
        """Intents without a terminal report."""
        return sum(1 for life in self.lives.values() if not life.reason)


def _follow(life: Life) -> None:
    """What became of a bet."""
    if life.bet is not None:
        life.bet.is_over = bool(life.reason)
        life.bet.is_sent = any(leg.send_ns for leg in life.legs.values())
        life.bet.filled_e6 = sum(leg.filled_e6 for leg in life.legs.values())


def _is_sent(life: Life) -> bool:
    wanted = 1 if life.is_bet else life.leg_count
    return len(life.legs) >= wanted and all(leg.send_ns for leg in life.legs.values())


def _all(life: Life) -> list[Leg]:
    """Of an intent of which anything was told: those that were not told of have nothing."""
    legs = list(life.legs.values())
    return legs + [Leg()] * (life.leg_count - len(legs)) if legs else []


def wire_to_order_ns(
    tally: Tally, read_ns: Mapping[str, int], due_ns: Callable[[int], int]
) -> list[int]:
    """Both requests read at the venue − the scheduled send of the frame (`due_ns`: run time to
    machine time).
    """
    found = []
    for life in tally.lives.values():
        keys = [leg.key for leg in life.legs.values()]
        if life.is_timer or life.is_bet or not life.event_epoch_ns or not _is_sent(life):
            continue
        if all(key in read_ns for key in keys):
            found.append(max(read_ns[key] for key in keys) - due_ns(life.event_epoch_ns))
    return found


def percentiles(values: list[int]) -> dict[str, int | None]:
    """Exact percentiles (nearest rank, upwards); None where there is nothing."""
    if not values:
        return {"count": 0, "p50": None, "p99": None, "p999": None, "max": None}
    ordered = sorted(values)

    def at(per_mille: int) -> int:
        return ordered[max(-(-len(ordered) * per_mille // 1000), 1) - 1]

    return {
        "count": len(ordered),
        "p50": at(500),
        "p99": at(990),
        "p999": at(999),
        "max": ordered[-1],
    }


class Hedge(NamedTuple):
    """A row of the pairs: its markets (two, or the outcomes of a set), whether both ask the same,
    and a bit for each direction that is not sure: what is held that way pays nothing for sure.
    `is_apart`: its markets settle on an index each, so that near the strike both may lose.
    """

    legs: tuple[int, ...]
    same: bool
    barred: int = 0
    is_apart: bool = False


def matched_e6(hedges: Sequence[Hedge], held_e6: Mapping[int, int]) -> int:
    """What is held, at its worst: `unmatched` says how that is counted."""
    return unmatched(hedges, held_e6)[0]


def unmatched(
    hedges: Sequence[Hedge], held_e6: Mapping[int, int]
) -> tuple[int, dict[int, int]]:  # fmt: skip
    """What is held at its worst, and what of it is in no pair or set: one that is matched pays 1
    whatever happens (n outcomes sold n-1), lone contracts pay 0.

    `held_e6`: signed YES terms by instrument. Each contract is used once.
    """
    left = dict(held_e6)
    worth_e6 = 0
    for legs, same, barred, _ in hedges:
        turns = [-1 if same and place else 1 for place in range(len(legs))]
        held = [left.get(leg, 0) * turn for leg, turn in zip(legs, turns, strict=True)]
        sign = 1 if held[0] > 0 else -1
        size_e6 = max(min(size * sign for size in held), 0)
        if not size_e6 or barred >> (sign < 0) & 1:
            continue
        worth_e6 += size_e6 if sign > 0 or same else size_e6 * (len(legs) - 1)
        for leg, turn in zip(legs, turns, strict=True):
            left[leg] -= size_e6 * sign * turn
    return worth_e6, left
