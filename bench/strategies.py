# mypy: disable-error-code="no-untyped-def, no-untyped-call"
"""Strategies: all of them on one update of one market, with the choice and its size, within 2 µs.

Topology: one process, one core, one kernel that loops: `choose` asks every strategy (all switched
on) on a view that is ready; `update` also takes in a spot trade, lets old ones leave, and fills the
view; `house` is the detector's own way: a spot entry and a quote into its memory, the market's fair
value by its settlement rule, the view, every strategy, the choice. Each update differs: spot walks
across the strike, quotes lag it by a while, the window runs from its beginning to its end over and
over, so that most gates are passed and blocked in turn.
Cores: 1.
What would make it lie: a batch is a mean, warm in the cache, of one market; a view on which all
strategies stop at their first gate would cost next to nothing (how many answers fired, and how many
orders were chosen, stands beside the time, and both are checked); fair value is Φ(z) but for
`house`, where the rule is the price at the close.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

import shm_layout as shm
from bench import harness
from engine import basket, fair_rules, flow, house, memory
from engine import cells as c
from engine import memory as m
from engine.fair import normal_cdf
from engine.market import apply_quote, apply_spot
from engine.strategies import select, table
from engine.strategies import view as v

GOAL_NS = 2_000
STRIKE_E8 = 68_000 * 10**8
WINDOW_S = 300.0
SIGMA = 8.9e-5
STEP_NS = 50_000_000


@njit(cache=True)
def show(view, rows, i, trigger):
    """The view of update `i`: spot a slow wave about the strike, quotes where it was before."""
    left = WINDOW_S - (i * 7 % 6000) * 0.05
    off, late = 0.002 * math.sin(i * 0.01), 0.002 * math.sin(i * 0.01 - 0.15)
    strike = STRIKE_E8 / 1e8
    settles = strike * (1.0 + off)
    deviation = SIGMA * math.sqrt(max(left, 1.0))
    fair = min(max(normal_cdf(off / deviation), 0.01), 0.99)
    v.show_market(
        view, settles, strike, settles, max(left, 1.0), left, WINDOW_S, SIGMA, 0.0, fair, trigger
    )
    cent = min(max(int(normal_cdf(late / deviation) * 100.0), 1), 97)
    rows[c.Q_BIDS], rows[c.Q_ASKS] = cent * 10_000, (cent + 1) * 10_000
    rows[c.Q_BIDS + 2], rows[c.Q_ASKS + 2] = max(cent - 1, 1) * 10_000, (cent + 2) * 10_000
    return int(settles * 1e8)


@njit(cache=True)
def updates(view, words, rows, case, params, seen, spent, out, legs, first, count, what):
    """`count` updates from `first`; `what` 0: only what an update costs to make up, 1: and the
    choice, 2: and the trade and its sums. (answers that fired, orders chosen)."""
    fired, chosen = 0, 0
    for i in range(first, first + count):
        spot_e8 = show(view, rows, i, 1 + i % 7)
        if what == 0:
            fired += spot_e8 & 1
            continue
        if what == 2:
            now = (i + 1) * STEP_NS
            flow.add_trade(words, 0, i + 1, now, spot_e8, 10**7, i & 1, now)
            v.show_flow(view, words, 0, now, STRIKE_E8, STRIKE_E8)
        else:
            view[v.V_VELOCITY], view[v.V_NET] = view[v.V_DISTANCE] * 0.02, view[v.V_DISTANCE] * 1e4
            view[v.V_TRADES], view[v.V_RATE], view[v.V_DOMINANT] = 100, 3.3, 0.6
            view[v.V_MEAN_DISTANCE] = -0.5 * view[v.V_DISTANCE]
        case[select.C_RUN] = (i + 1) * STEP_NS
        chosen += select.choose(view, rows, 0, case, params, seen, spent, out, legs) >= 0
        for which in range(table.COUNT):
            fired += out[select.answer_of(which) + select.D_SIDE] >= 0
    return fired, chosen


@njit(cache=True)
def house_updates(mem, spot, quote, out, first, count, what):
    """The same through the detector's memory; `what` 0: only what entries cost to make up."""
    fired, chosen = 0, 0
    for i in range(first, first + count):
        now = (i + 1) * STEP_NS
        off, late = 0.002 * math.sin(i * 0.01), 0.002 * math.sin(i * 0.01 - 0.15)
        left = WINDOW_S - (i * 7 % 6000) * 0.05
        deviation = SIGMA * math.sqrt(max(left, 1.0))
        cent = min(max(int(normal_cdf(late / deviation) * 100.0), 1), 97)
        quote[c.Q_BIDS], quote[c.Q_ASKS] = cent * 10_000, (cent + 1) * 10_000
        quote[c.Q_BIDS + 2], quote[c.Q_ASKS + 2] = max(cent - 1, 1) * 10_000, (cent + 2) * 10_000
        spot[c.X_LAST] = int(STRIKE_E8 * (1.0 + off))
        spot[c.X_TAKER] = i & 1
        for place in (c.X_NUMBER, c.X_TRADE):
            spot[place] = i + 1
        for place in (c.X_EVENT, c.X_RECV):
            spot[place] = now
        quote[c.Q_NUMBER] = i + 1
        mem[m.META + m.M_NOW] = mem[m.META + m.M_RUN] = now
        mem[m.MARKET_AT + c.MT_CLOSE] = now + int(left * 1e9)
        mem[m.INSTRUMENT_AT + c.I_OPEN] = mem[m.MARKET_AT + c.MT_CLOSE] - int(WINDOW_S * 1e9)
        if what == 0:
            continue
        apply_spot(mem, spot, 0, shm.K_SPOT)
        apply_quote(mem, quote, 0)
        for pair in range(mem[m.META + m.M_TOUCHED]):
            mem[m.PAIR_STATE + mem[m.TOUCHED + pair] * m.PAIR_STATE_CELLS + m.PS_TOUCHED] = 0
        mem[m.META + m.M_TOUCHED] = 0
        chosen += house.choose_bet(mem, 0, 0, 0, 10**12, out) >= 0
        for which in range(table.COUNT):
            fired += out[select.answer_of(which) + select.D_SIDE] >= 0
    return fired, chosen


class _House:
    """A memory of one window, as identities, terms and parameters leave it."""

    def __init__(self) -> None:
        self.mem, self.at = memory.fresh(), 0
        self.spot, self.quote = np.zeros(shm.BODY, np.int64), _Rig().rows
        rule = fair_rules.Rule(kind=fair_rules.POINT, compare=fair_rules.AT_LEAST)
        told = {
            m.INSTRUMENT_AT: {c.I_GENERATION: 1, c.I_LIVE: 1, c.I_RULE: rule.cell},
            m.MARKET_AT: {c.MT_GENERATION: 1, c.MT_NUMBER: 1, c.MT_VALID: 1 << 62,
                          c.MT_STRIKE: STRIKE_E8, c.MT_SIGMA: int(SIGMA * 1e12)},
            m.PAIR_AT: {c.P_B: -1},
            m.CASH_AT: {m.CA_FREE: 10_000 * shm.E6},
            0: {m.META + m.M_ALIVE: 1, m.META + m.M_DIRTY: 1, c.A_MARKET: 100 * shm.E6,
                c.A_ORDER: 100 * shm.E6, m.FEED_EPOCH: 1, m.PAIR_STATE + m.PS_KNOWN: 1},
        }  # fmt: skip
        for at, cells in told.items():
            for place, value in cells.items():
                self.mem[at + place] = value
        on = {name: row | {"on": 1} for name, row in table.REFERENCE.items()}
        params = table.rows_of(on)
        self.mem[m.STRATEGIES_AT : m.STRATEGIES_AT + len(params)] = params
        self.spot[c.X_EPOCH] = self.quote[c.Q_EPOCH] = self.quote[c.Q_GENERATION] = 1
        self.spot[c.X_SIZE] = 10**7
        self.out = np.zeros(select.OUT_CELLS, np.int64)

    def go(self, count: int, what: int) -> tuple[float, int, int]:
        """As that of the other rig; `what` 3: all of it."""
        start = harness.now()
        fired, chosen = house_updates(
            self.mem, self.spot, self.quote, self.out, self.at, count, what
        )
        took = (harness.now() - start) / count
        self.at += count
        return took, int(fired), int(chosen)


class _Rig:
    def __init__(self) -> None:
        on = {name: row | {"on": 1} for name, row in table.REFERENCE.items()}
        self.rows = np.zeros(shm.BODY, np.int64)
        facts = {c.Q_FEE_KIND: shm.FEE_QUADRATIC, c.Q_FEE_RATE: 70_000, c.Q_FEE_EXPONENT: 1,
                 c.Q_FEE_UNIT: 100, c.Q_SIZE_MIN: 10_000, c.Q_SIZE_STEP: 10_000,
                 c.Q_GRID: shm.E6, c.Q_GRID + 1: 10_000}  # fmt: skip
        for place, value in facts.items():
            self.rows[place] = value
        for side in (c.Q_BIDS, c.Q_ASKS):
            self.rows[side + 1 : side + 4 : 2] = 50 * shm.E6
            self.rows[side + 4] = shm.NO_BID_E6 if side == c.Q_BIDS else shm.NO_ASK_E6
        case = np.zeros(select.CASE_CELLS, np.int64)
        case[select.C_HELD], case[select.C_BANKROLL] = -1, 10_000 * shm.E6
        case[select.C_ROOM], case[select.C_CAP] = 100 * shm.E6, 10**12
        self.args = (
            np.zeros(v.VIEW_CELLS), np.zeros(flow.FLOW_CELLS, np.int64), self.rows, case,
            table.rows_of(on), np.zeros(select.SEEN_CELLS, np.int64),
            np.zeros(table.COUNT, np.int64), np.zeros(select.OUT_CELLS, np.int64), basket.fresh(),
        )  # fmt: skip
        self.at = 0

    def go(self, count: int, what: int) -> tuple[float, int, int]:
        """(ns an update, answers fired, orders chosen) of the next `count` updates."""
        start = harness.now()
        fired, chosen = updates(*self.args, self.at, count, what)
        took = (harness.now() - start) / count
        self.at += count
        return took, int(fired), int(chosen)


def run(quick: bool) -> dict[str, object]:
    """ns of an update, its making-up taken off, in batches."""
    batch, batches = 100, 400 if quick else 4_000
    figures: dict[str, object] = {}
    for name, what in (("choose_ns", 1), ("update_ns", 2), ("house_ns", 3)):
        rig: _Rig | _House = _House() if what == 3 else _Rig()
        took, fired, chosen = list[float](), 0, 0
        for _ in range(batches + 10):
            bare, _, _ = rig.go(batch, 0)
            rig.at -= batch
            full, more, orders = rig.go(batch, what)
            took.append(full - bare)
            fired, chosen = fired + more, chosen + orders
        assert 0.02 < chosen / (batch * len(took)) < 0.9, (chosen, len(took))
        spread = harness.spread(took[10:])
        figures[name] = spread | {"fired": fired, "chosen": chosen, "updates": batch * len(took)}
        figures[name.replace("_ns", "_goal")] = "met" if spread["p50"] <= GOAL_NS else "missed"
    figures["strategies"] = table.COUNT
    return figures
