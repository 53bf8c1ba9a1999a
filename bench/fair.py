# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Fair value: one chance of YES in at most 100 ns, and at most 1.5 × the same steps in C (gcc -O2).

Topology: one process, one core; both sides in turn in one loop over the same 4,096 made-up moments
(spot, volatility, seconds left, strike, ticks known), with the widening looked up each time.
Cores: 1.
What would make it lie: inputs in a fixed order are guessed by the branch predictor (these are drawn
by chance); a loop that the compiler may turn inside out (each chance is added up, and both sums
must agree); nearly all of it is the library's erfc and log, which both call.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from bench import harness
from engine.fair import fair_yes, widening
from engine.fair_rules import AT_LEAST, MEAN, POINT, TWAP

LIMIT, LIMIT_NS = 1.5, 100
_ROWS, _COLUMNS = 4_096, 6
_FIRST_S = {MEAN: 61, TWAP: 60}  # to the close, when the first tick of the average is known


@njit(cache=True)
def fair_many(kind, rows, times):
    """The sum of `times` fair values over the rows, again and again."""
    total = 0.0
    for i in range(times):
        row = rows[i % len(rows)]
        total += fair_yes(
            kind, AT_LEAST, 0.005, 60, row[0], row[1], row[2], row[3], 0.0, row[4], int(row[5]),
            0.0, 0, 1e-4, widening(row[2]), 0.01,
        )  # fmt: skip
    return total


def moments(kind: int) -> np.ndarray:
    """Spot, sigma, seconds, strike, sum and count of the known ticks: what fits together."""
    draw = np.random.default_rng(20_261_121)
    spot = draw.uniform(60_000, 90_000, _ROWS)
    sigma = draw.uniform(5e-5, 2e-4, _ROWS)
    seconds = draw.integers(1, 300, _ROWS).astype(np.float64)
    strike = spot * (1 + sigma * np.sqrt(seconds) * draw.normal(0, 1, _ROWS))
    known = np.maximum(_FIRST_S.get(kind, 0) - seconds, 0)
    return np.ascontiguousarray(np.stack([spot, sigma, seconds, strike, known * spot, known], 1))


def _beside_c(kind: int, theirs, batch: int, batches: int) -> dict[str, Any]:
    rows = moments(kind)
    at = rows.ctypes.data
    found, wanted = fair_many(kind, rows, 10 * _ROWS), theirs(kind, at, _ROWS, 10 * _ROWS)
    assert abs(found / wanted - 1) < 1e-12, (found, wanted)
    ours_ns, theirs_ns = harness.side_by_side(
        lambda times: fair_many(kind, rows, times),
        lambda times: theirs(kind, at, _ROWS, times),
        batch,
        batches,
    )
    return {
        "fair_ns": harness.spread(ours_ns),
        "c_ns": harness.spread(theirs_ns),
        "fair_ratio": harness.ratio(ours_ns, theirs_ns),
    }


def run(quick: bool) -> dict[str, object]:
    """ns of a fair value by the point rule, the mean of sixty ticks and the TWAP, beside C."""
    batch, batches = 1_000, 200 if quick else 2_000  # short: rarely interrupted
    with harness.build_folder() as folder:
        library = harness.compile_c("fair.c", Path(folder))
        if library is None:
            return {"verdict": "no verdict: there is no gcc"}
        theirs = library.fair_many
        theirs.restype = ctypes.c_double
        theirs.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        found = {name: _beside_c(kind, theirs, batch, batches)
                 for name, kind in (("point", POINT), ("mean", MEAN), ("twap", TWAP))}  # fmt: skip
    ratios = {f"{name}_ratio": row["fair_ratio"] for name, row in found.items()}
    slow = [name for name, row in found.items() if row["fair_ns"]["p50"] > LIMIT_NS]
    verdict = harness.verdict(ratios, LIMIT, 1)
    return {**found, "verdict": f"fail: {slow} above {LIMIT_NS} ns" if slow else verdict}
