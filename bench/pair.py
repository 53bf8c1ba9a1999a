# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Pair: a pair is decided in at most 1.5 × the time of the same logic in C (gcc -O2), and in at
most 300 ns with depth, however many pairs there are.

Topology: one process, one core. A loop in the kernel keeps a whole new quote and looks at both
directions of its pair (touch, depth walk, legal sizes, fees, edge), pairs in a random order; ours
and C (bench/csource/pair.c) in turn over copies of the same cells. The segment holds 1,024 pairs;
this needs no table and goes to 4,000.
Cores: 1.
What would make it lie: a batch is a mean; with thousands of pairs the quotes no longer fit the
caches, which a real run shares with much else; C that does less (the sums of all figures of every
answer are compared, and all quotes after it); prices that stand still (they move each time).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit

import shm_layout as shm
from bench import harness
from bench.reference import Reference
from engine import cells
from engine.edge import cross_venue, side_of_b, touch_gross

COUNTS = (10, 100, 1_000, 4_000)
LIMIT = 1.5
EDGE_MIN_E6, OFF_E6, CAP_E6 = 5_000, 1_000, 1_000 * shm.E6


@njit(cache=True, _nrt=False)
def _look(rows, a, b, direction, edge_min, off, cap):
    """As engine.decide.look; the sum of what it finds."""
    side = shm.BUY if direction == 0 else shm.SELL
    gross = touch_gross(rows, a, side, b, side_of_b(direction, 1))
    if gross <= 0 or gross < edge_min + off:
        return 0
    found = cross_venue(rows, a, b, 1, direction, edge_min, off, cap, 0)
    return found[0] + found[3] + found[4] + found[5] + found[6]


@njit(cache=True, _nrt=False)
def decide_many(rows, news, order, edge_min, off, cap, count):
    """`count` updates, as the function of that name in pair.c."""
    total = 0
    for i in range(count):
        a = 2 * shm.BODY * order[i]
        b, fresh = a + shm.BODY, shm.BODY * (i & 1)
        for k in range(shm.BODY):
            rows[a + k] = news[fresh + k]
        total += _look(rows, a, b, 0, edge_min, off, cap)
        total += 3 * _look(rows, a, b, 1, edge_min, off, cap)
    return total


@dataclass(frozen=True)
class _Books:
    """What comes on leg a (Kalshi), around these prices in turn, beside a book around 0.50."""

    name: str
    middles: tuple[int, int]
    lots: int  # of 0.01 contracts at each of five levels of a; b shows 1,000 contracts a level
    is_polymarket: bool


BOOKS = (
    _Books("no_edge", (490_000, 500_000), 2_000, True),
    _Books("touch", (430_000, 440_000), 200_000, True),
    _Books("depth", (420_000, 430_000), 2_000, True),
    _Books("deep_both", (420_000, 430_000), 33_000, False),
)


def _body(fields: dict[str, int]) -> shm.Words:
    body = np.zeros(shm.BODY, np.int64)
    for name, value in fields.items():
        body[shm.cell(shm.QUOTE, name)] = value
    return body


def quote_of(middle: int, size_e6: int, *, is_polymarket: bool, **fields: int) -> shm.Words:
    """A QUOTE body with five levels a side around `middle`, facts of either venue."""
    fields |= {
        "generation": 1, "epoch": 1, "status": shm.ST_ACTIVE, "fee_kind": shm.FEE_QUADRATIC,
        "fee_rate_e6": 50_000 if is_polymarket else 70_000, "fee_exponent": 1,
        "fee_unit_e6": 10 if is_polymarket else 100, "fee_mode": int(is_polymarket),
        "size_min_e6": 10_000, "size_step_e6": 10_000,
        "notional_min_e6": is_polymarket * 10**6, "notional_step_e6": is_polymarket * 10_000,
    }  # fmt: skip
    body = _body(fields)
    body[cells.Q_GRID : cells.Q_GRID + 2] = shm.E6, 10_000
    put_levels(body, middle, [size_e6] * shm.LEVELS)
    return body


def put_levels(body: shm.Words, middle: int, sizes_e6: list[int]) -> None:
    """Levels a cent apart on both sides of `middle`."""
    for i, size_e6 in enumerate(sizes_e6):
        bid, ask = cells.Q_BIDS + 2 * i, cells.Q_ASKS + 2 * i
        body[bid], body[bid + 1] = middle - 10_000 * (i + 1), size_e6
        body[ask], body[ask + 1] = middle + 10_000 * (i + 1), size_e6


def _decision(books: _Books, pairs: int, updates: int, c: Reference | None) -> dict[str, object]:
    """ns a decision, ours and C's, and their ratio."""
    news = np.concatenate([
        quote_of(middle, books.lots * 10_000, is_polymarket=False) for middle in books.middles
    ])  # fmt: skip
    other = quote_of(500_000, 10**9, is_polymarket=books.is_polymarket)
    rows = np.tile(np.concatenate([news[: shm.BODY], other]), pairs)
    batch = updates
    order = np.random.default_rng(pairs).integers(0, pairs, batch)
    numbers = EDGE_MIN_E6, OFF_E6, CAP_E6
    theirs_rows, sums = rows.copy(), [0, 0]

    def ours(count: int) -> None:
        sums[0] = int(decide_many(rows, news, order, *numbers, count))

    def theirs(count: int) -> None:
        assert c is not None
        sums[1] = c.call("decide_many", theirs_rows, news, order, *numbers, count)

    took, took_c = harness.side_by_side(ours, theirs if c else ours, batch, 40)
    assert (sums[0] > 0) is (books.name != "no_edge"), (books, sums)
    figures: dict[str, object] = {"ours_ns": round(float(np.median(took)), 1)}
    if c is not None:
        assert sums[0] == sums[1] and (rows == theirs_rows).all(), (books, sums)
        figures["c_ns"] = round(float(np.median(took_c)), 1)
        figures["c_ratio"] = harness.ratio(took, took_c)
    return figures


def run(quick: bool) -> dict[str, object]:
    """Every kind of book for every number of pairs."""
    updates = 1_000 if quick else 4_000
    defines = {name: getattr(cells, name) for name in dir(cells) if name.startswith("Q_")}
    figures: dict[str, object] = {}
    ratios: dict[str, float] = {}
    with harness.build_folder() as folder:
        library = harness.compile_c("pair.c", Path(folder), defines | {"BODY": shm.BODY})
        c = Reference(library, np.zeros(1, np.int64)) if library is not None else None
        for pairs in COUNTS:
            for books in BOOKS:
                found = _decision(books, pairs, updates, c)
                figures[f"{books.name}_pairs_{pairs}"] = found
                if c is not None:
                    ratios[f"{books.name}_{pairs}"] = float(str(found["c_ratio"]))
    figures["verdict"] = harness.verdict(ratios, LIMIT, 1) if ratios else "no verdict: no gcc"
    return figures
