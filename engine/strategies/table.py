"""Every strategy's number, switch and parameters, and the names of the gates that block them.

Figures are those of reference strategies (2026-02 documents of two bots; fee-blind, never shown to
pay); those marked "ours" stand in none of them. They are what a profile starts from, not defaults:
`row_of` takes every value from its caller. Units: `_e9` fractions of the strike, `_e12` such
fractions per second, `_e6` probabilities, money and shares of the bankroll.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numba import njit

from shm_layout import LAYOUT_HASH, Words

FAIR_OURS, FAIR_THEIRS = 0, 1  # the model of this market's settlement, or the strategy's own figure
COMMON = (
    "on",
    "edge_min_e6",  # dollars a contract after fees and taker delay
    "confidence_min_e6",
    "fair",  # FAIR_OURS or FAIR_THEIRS
    "cap_e6",  # of the bankroll, one order
    "total_e6",  # of the bankroll, all markets
    "cooldown_ns",  # between two orders in one market
    "orders_max",  # orders in one market
)
S_ON, S_EDGE_MIN, S_CONFIDENCE_MIN, S_FAIR, S_CAP, S_TOTAL, S_COOLDOWN, S_ORDERS = range(8)
ROW_CELLS = 16  # parameters of one strategy: the common ones, then its own

GATES = (
    "fires", "off", "trigger", "unknown", "time", "distance", "trades", "velocity", "net_volume",
    "reversal", "z", "regime", "misalignment", "outlier", "table", "no_quote", "price", "lag",
    "delay", "edge", "confidence", "house_view", "cooldown", "orders", "limit", "size",
)  # fmt: skip
(
    G_FIRES, G_OFF, G_TRIGGER, G_UNKNOWN, G_TIME, G_DISTANCE, G_TRADES, G_VELOCITY, G_NET,
    G_REVERSAL, G_Z, G_REGIME, G_MISALIGNMENT, G_OUTLIER, G_TABLE, G_NO_QUOTE, G_PRICE, G_LAG,
    G_DELAY, G_EDGE, G_CONFIDENCE, G_HOUSE_VIEW, G_COOLDOWN, G_ORDERS, G_LIMIT, G_SIZE,
) = range(len(GATES))  # fmt: skip

GATE_BITS = 5  # of a gate's number, where those of all strategies stand in one cell

_MS = 1_000_000


def _strategy(
    edge: int, cap: int, total: int, cooldown_ms: int, orders: int, *, on: int = 1, fair: int = 0,
    confidence: int = 0, **own: int,
) -> dict[str, int]:  # fmt: skip
    values = on, edge, confidence, fair, cap, total, cooldown_ms * _MS, orders
    return dict(zip(COMMON, values, strict=True)) | own


REFERENCE: dict[str, dict[str, int]] = {  # total of the first three and of model_edge: ours
    "distance_fade": _strategy(
        80_000, 80_000, 200_000, 5_000, 10,
        distance_min_e9=441_000, scale_e9=1_176_000, confident_e9=1_471_000,
    ),
    "momentum": _strategy(
        50_000, 50_000, 200_000, 5_000, 10,
        fraction_min_e6=150_000, distance_min_e9=294_000, trades_min=50,
        velocity_min_e12=7_350_000, price_max_e6=600_000, theirs_e6=650_000,
    ),
    "settlement_sniper": _strategy(
        50_000, 100_000, 200_000, 5_000, 10,
        left_min_ns=5_000 * _MS, left_max_ns=90_000 * _MS, distance_min_e9=588_000,
        reversal_max_e12=29_400_000, confidence_e6=950_000,
    ),
    "latency": _strategy(
        30_000, 20_000, 80_000, 200, 50,
        confidence_e6=600_000, moved_min_e6=20_000,  # both ours
    ),
    "certainty": _strategy(
        20_000, 50_000, 100_000, 1_000, 15,
        z_low_e6=1_500_000, z_middle_e6=2_500_000, z_high_e6=3_000_000,
        cap_low_e6=10_000, cap_middle_e6=30_000, confidence_e6=800_000,  # confidence ours
    ),
    "convexity_fade": _strategy(
        20_000, 5_000, 30_000, 2_000, 20, on=0,
        distance_max_e9=3_000_000, left_min_ns=30_000 * _MS, trend_e6=750_000,
        confidence_e6=400_000,
    ),
    "misalignment": _strategy(
        20_000, 20_000, 40_000, 500, 5, fair=FAIR_THEIRS,  # edge and confidence ours
        elapsed_max_ns=15_000 * _MS, shift_min_e6=20_000, confidence_e6=500_000,
    ),
    "extreme_buyer": _strategy(
        20_000, 20_000, 50_000, 2_000, 10, on=0,
        z_min_e6=1_500_000, left_min_ns=60_000 * _MS, price_max_e6=250_000, trend_e6=750_000,
        confidence_e6=400_000,  # ours
    ),
    "cross_timeframe": _strategy(
        20_000, 20_000, 50_000, 5_000, 5, on=0, fair=FAIR_THEIRS,  # all figures ours
        outlier_min_e6=100_000, confidence_e6=500_000,
    ),
    "model_edge": _strategy(
        30_000, 50_000, 200_000, 5_000, 10, confidence=600_000,
        sigma_error_e6=250_000, fair_error_e6=20_000,  # ours: how wrong σ and fair value may be
    ),
}  # fmt: skip
STRATEGIES = tuple(REFERENCE)
(
    DISTANCE_FADE, MOMENTUM, SETTLEMENT_SNIPER, LATENCY, CERTAINTY, CONVEXITY_FADE, MISALIGNMENT,
    EXTREME_BUYER, CROSS_TIMEFRAME, MODEL_EDGE,
) = range(len(STRATEGIES))  # fmt: skip
COUNT = len(STRATEGIES)
assert all(tuple(row)[: len(COMMON)] == COMMON for row in REFERENCE.values())
assert all(len(row) <= ROW_CELLS for row in REFERENCE.values())
assert len(GATES) <= 1 << GATE_BITS and COUNT * GATE_BITS < 63


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


def own_places(name: str) -> range:
    """Places of a strategy's own parameters in its row, in the order of the table."""
    return range(len(COMMON), len(REFERENCE[name]))


def row_of(name: str, values: Mapping[str, int]) -> Words:
    """A strategy's parameters as cells. Raises ValueError for a parameter missing or unknown."""
    wanted, found = set(REFERENCE[name]), set(values)
    if wanted != found:
        raise ValueError(
            f"strategy {name}: missing {sorted(wanted - found)}, unknown {sorted(found - wanted)}"
        )
    row = np.zeros(ROW_CELLS, np.int64)
    for place, parameter in enumerate(REFERENCE[name]):
        row[place] = values[parameter]
    return row


def rows_of(values: Mapping[str, Mapping[str, int]]) -> Words:
    """The parameters of all strategies, one row after another in the order of STRATEGIES."""
    return np.concatenate([row_of(name, values[name]) for name in STRATEGIES])
