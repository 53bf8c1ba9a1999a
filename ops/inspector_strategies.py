"""What each strategy does and where it stops, from the detector's tallies; for `arb-top` and
`status`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import shm_layout as shm
from engine.strategies.table import COUNT, GATE_BITS, GATES, S_ON, STRATEGIES

FRESH_NS = 5_000_000_000  # a market that was not looked at for longer says nothing of now
_GATES_AT = shm.cell(shm.TALLY, "gates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One strategy over all markets. Money in 1e-6 dollars. `is_on` None: nobody has said."""

    name: str
    is_on: bool | None
    looks: int  # decisions, each market by itself
    fires: int  # of them, with a side to take
    orders: int
    spent_e6: int  # at stake now
    expected_e6: int  # profit of its orders at fair value
    gates: dict[str, int]  # looks by the gate that stopped them
    now: dict[str, int]  # markets by the gate that stops it there now


def strategies_of(segment: shm.Segment, now_ns: int) -> tuple[Strategy, ...]:
    """All of them, in the order of the table."""
    tallies, now = segment.table("tallies"), _gates_now(segment, now_ns)
    found = []
    for which, name in enumerate(STRATEGIES):
        row, told = tallies[which], segment.read("strategies", which)
        counts = dict(zip(GATES, row["gates"].tolist(), strict=False))
        looks, fires = sum(counts.values()), counts.pop(GATES[0])
        found.append(
            Strategy(
                name=name,
                is_on=None if told is None else bool(told["values"][S_ON]),
                looks=looks,
                fires=fires,
                orders=int(row["orders"]),
                spent_e6=int(row["spent_e6"]),
                expected_e6=int(row["expected_e6"]),
                gates={gate: count for gate, count in counts.items() if count},
                now=dict(now[which]),
            )
        )
    return tuple(found)


def _gates_now(segment: shm.Segment, now_ns: int) -> Sequence[Counter[str]]:
    """Of each strategy, in how many markets it stands at which gate."""
    rows = segment.table("refusals")
    found = [Counter[str]() for _ in range(COUNT)]
    ages = now_ns - rows["at_ns"]
    for place in np.flatnonzero((rows["at_ns"] > 0) & (ages <= FRESH_NS)):
        packed = int(rows["gates"][place])
        for which in range(COUNT):
            gate = packed >> which * GATE_BITS & (1 << GATE_BITS) - 1
            found[which][GATES[gate]] += 1
    return found


def most(counts: dict[str, int], names: int = 2) -> str:
    """The most frequent, as text: "edge 93 %, time 4 %"."""
    total = sum(counts.values())
    ranked = sorted(counts.items(), key=lambda each: -each[1])[:names]
    return ", ".join(f"{name} {100 * count // total} %" for name, count in ranked)
