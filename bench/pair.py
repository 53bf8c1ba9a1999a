# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Pair: one direction of a two-venue pair costs at most 1.5 × the same logic in C (gcc -O2).

Topology: one process, one core; both sides in turn over the same 256 pairs of random books of both
venues, both directions each, nothing found (`quiet`: prices a cent apart), or mostly an edge that
is walked, sized and priced twice (`edge`).
Cores: 1.
What would make it lie: a batch is a mean in warm cache; C that does less (the sums of all seven
figures of every answer are compared, and a few hundred answers one by one); a compiler that drops
the work (the sums are used).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import njit

import shm_layout as shm
from bench import harness
from bench.reference import Reference
from engine import cells as c
from engine.edge import cross_venue

LIMIT = 1.5
PAIRS = 256
EDGE_MIN_E6, CAP_E6 = 10_000, 10**9
SEED = 5
_PLACES = (
    c.Q_SIZE_MIN, c.Q_SIZE_STEP, c.Q_NOTIONAL_MIN, c.Q_NOTIONAL_STEP, c.Q_FEE_KIND, c.Q_FEE_RATE,
    c.Q_FEE_EXPONENT, c.Q_FEE_UNIT, c.Q_FEE_MODE, c.Q_GRID, c.Q_BIDS, c.Q_ASKS,
)  # fmt: skip


@njit(cache=True)
def all_pairs(rows, pairs, cells, edge_min, cap, times):
    """As the C function of this name."""
    total = 0
    for _ in range(times):
        for pair in range(pairs):
            for direction in range(2):
                found = cross_venue(
                    rows, 2 * pair * cells, (2 * pair + 1) * cells, 1, direction, edge_min, 0, cap,
                    0,
                )  # fmt: skip
                for figure in found:
                    total += figure
    return total


def _books(gap_cents: int) -> shm.Words:
    """A Kalshi and a Polymarket book for each pair; the second lies `gap_cents` above the first."""
    rng = np.random.default_rng(SEED)
    rows = np.zeros(2 * PAIRS * shm.BODY, np.int64)
    for i in range(2 * PAIRS):
        row, poly = rows[i * shm.BODY : (i + 1) * shm.BODY], i % 2
        middle = 300_000 + 10_000 * (i // 2 * 7 % 40) + poly * gap_cents * 10_000
        facts = (10_000, 10_000, poly * 10**6, poly * 10_000, shm.FEE_QUADRATIC,
                 50_000 if poly else 70_000, 1, 10 if poly else 100, poly)  # fmt: skip
        for place, value in zip(_PLACES, facts, strict=False):
            row[place] = value
        row[c.Q_GRID], row[c.Q_GRID + 1] = shm.E6, 10_000
        for k in range(shm.LEVELS):
            bid, ask = c.Q_BIDS + 2 * k, c.Q_ASKS + 2 * k
            row[bid], row[ask] = middle - 10_000 * (k + 1), middle + 10_000 * (k + 1)
            row[bid + 1], row[ask + 1] = rng.integers(1, 80, 2) * 10**6
    return rows


def _compare(rows: shm.Words, reference: Reference) -> int:
    """Every answer of both sides is the same; how many have an edge."""
    found = 0
    places, out = np.zeros(len(_PLACES), np.int64), np.zeros(7, np.int64)
    reference.call("places", places)
    assert tuple(places.tolist()) == _PLACES, "bench/csource/pair.c is for another layout"
    for pair in range(PAIRS):
        a, b = 2 * pair * shm.BODY, (2 * pair + 1) * shm.BODY
        for direction in range(2):
            for cap in (CAP_E6, 7_654_321):
                wanted = cross_venue(rows, a, b, 1, direction, EDGE_MIN_E6, 1_000, cap, 1)
                told = rows, a, b, 1, direction, EDGE_MIN_E6, 1_000, cap, 1, out
                reference.call("cross_venue", *told)
                assert tuple(out.tolist()) == tuple(wanted), (pair, direction, cap)
                found += wanted[0] > 0
    return found


def _measure(
    rows: shm.Words, reference: Reference, times: int, batches: int
) -> tuple[list[float], list[float]]:
    """ns a direction of each batch, ours and theirs, whose sums are the same."""
    told, sums = (PAIRS, shm.BODY, EDGE_MIN_E6, CAP_E6), [0, 0]

    def ours(count: int) -> None:
        sums[0] += int(all_pairs(rows, *told, count))

    def theirs(count: int) -> None:
        sums[1] += reference.call("all_pairs", rows, *told, count)

    took = harness.side_by_side(ours, theirs, times, batches)
    assert sums[0] == sums[1]
    return [each / (2 * PAIRS) for each in took[0]], [each / (2 * PAIRS) for each in took[1]]


def run(quick: bool) -> dict[str, object]:
    """ns a direction, ours beside C, on quiet books and on books with an edge."""
    batches, times = (100, 2) if quick else (600, 4)
    figures: dict[str, object] = {}
    ratios: dict[str, float] = {}
    with harness.build_folder() as folder:
        library = harness.compile_c("pair.c", Path(folder))
        if library is None:
            return {"verdict": "no verdict: there is no gcc"}
        for name, gap in (("quiet", 1), ("edge", 9)):
            rows = _books(gap)
            reference = Reference(library, rows)
            found = _compare(rows, reference)
            assert (found > PAIRS // 2) if name == "edge" else found == 0, found
            ours, theirs = _measure(rows, reference, times, batches)
            figures[f"{name}_ns"] = harness.spread(ours)
            figures[f"{name}_c_ns"] = harness.spread(theirs)
            ratios[name] = harness.ratio(ours, theirs)
            figures[f"{name}_ratio"] = ratios[name]
    return figures | {"verdict": harness.verdict(ratios, LIMIT, 1)}
