"""What the model takes in one market now: the seam between a choice and an order of one leg.

`choose_bet` says which strategy trades and leaves side, fair value, limit, size, edge and profit in
the X_ cells of engine/strategies/select.py; `note_bet` is told when an order of it has gone out.
The caller has checked trust, epoch, heartbeat, approval and the market's terms, and holds the
choice against every limit.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import numpy as np
from numba import njit

from engine import cells as c
from engine import memory as m
from engine.basket import B_FEE, B_LIMIT, BASKET_CELLS
from engine.intent import SWITCH_WALK_BUDGET
from engine.pricing import (
    O_FAIR,
    O_LEFT,
    O_LENGTH,
    O_MEAN,
    O_SIGMA,
    O_SPOT,
    O_STRIKE,
    O_VARIANCE,
    OUT_CELLS,
    price_market,
)
from engine.strategies.judge import taker_delay_e6
from engine.strategies.model_edge import model_edge
from engine.strategies.select import (
    C_CAP,
    C_WALK_BUDGET,
    CASE_CELLS,
    X_CONFIDENCE,
    X_DELAY,
    X_EDGE,
    X_FAIR,
    X_FEE,
    X_LIMIT,
    X_OFF,
    X_PROFIT,
    X_SIDE,
    X_SIZE,
    X_STRATEGY,
    size_order,
)
from engine.strategies.table import G_FIRES, MODEL_EDGE, REFERENCE, S_EDGE_MIN, row_of
from engine.strategies.view import VIEW_CELLS, show_market
from shm_layout import BODY, LAYOUT_HASH, Words

ROW = row_of("model_edge", REFERENCE["model_edge"])


@njit(cache=True)
def layout_hash() -> int:
    """The layout this module's kernels were compiled for."""
    return LAYOUT_HASH


@njit(cache=True)
def choose_bet(mem: Words, pair: int, off_e6: int, cap_e6: int, out: Words) -> int:
    """The number of the strategy that trades in the one market of this row now, -1: none. `off_e6`
    comes off each contract beside fees and taker delay; `cap_e6`: contracts at most.
    """
    instrument = mem[m.PAIR_AT + pair * BODY + c.P_A]
    out[X_STRATEGY] = -1
    seen = np.empty(OUT_CELLS)
    if not price_market(mem, instrument, seen):
        return -1
    mem[m.COUNTS + m.C_FAIRS] += 1
    view, quote = np.empty(VIEW_CELLS), m.QUOTE_AT + instrument * BODY
    show_market(
        view, seen[O_SPOT], seen[O_STRIKE], seen[O_MEAN], seen[O_VARIANCE], seen[O_LEFT],
        seen[O_LENGTH], seen[O_SIGMA], seen[O_FAIR], 0,
    )  # fmt: skip
    out[X_DELAY] = taker_delay_e6(view, mem[quote + c.Q_DELAY])
    out[X_OFF] = off_e6 + out[X_DELAY] if out[X_DELAY] >= 0 else -1
    side, fair, _, sure, gate = model_edge(view, mem, quote, out[X_OFF], ROW, 0)
    if gate != G_FIRES:
        return -1
    case, legs = np.zeros(CASE_CELLS, np.int64), np.zeros(BASKET_CELLS, np.int64)
    case[C_CAP], case[C_WALK_BUDGET] = cap_e6, mem[c.A_SWITCHES] & SWITCH_WALK_BUDGET
    size, edge, profit = size_order(
        mem, quote, side, fair, ROW[S_EDGE_MIN], out[X_OFF], case, mem[c.A_ORDER], legs
    )
    if size == 0:
        return -1
    out[X_STRATEGY], out[X_SIDE], out[X_FAIR], out[X_SIZE] = MODEL_EDGE, side, fair, size
    out[X_LIMIT], out[X_FEE], out[X_EDGE] = legs[B_LIMIT], legs[B_FEE], edge
    out[X_PROFIT], out[X_CONFIDENCE] = profit, sure
    return MODEL_EDGE


@njit(cache=True)
def note_bet(
    words: Words, mem: Words, instrument: int, strategy: int, cash_e6: int, profit_e6: int
) -> None:
    """An order of this strategy goes out in this market: `cash_e6` at worst, `profit_e6` at fair
    value."""
