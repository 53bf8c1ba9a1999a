"""Markets of the plain twin as the kernels see them."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import numpy as np

from engine import basket
from engine import cells as c
from engine.strategies import select, table
from engine.strategies import view as v
from shm_layout import E6, NO_ASK_E6, NO_BID_E6
from tests.engine.test_edge import random_book, rows_of
from tests.twins import choice
from tests.twins import strategies as twin
from tests.twins.basket import NOTHING
from tests.twins.edge import Book

CELLS = {
    "distance": v.V_DISTANCE, "z": v.V_Z, "seconds": v.V_SECONDS, "left": v.V_LEFT,
    "elapsed": v.V_ELAPSED, "fraction": v.V_FRACTION, "sigma": v.V_SIGMA, "fair": v.V_FAIR,
    "velocity": v.V_VELOCITY, "net": v.V_NET, "trades": v.V_TRADES, "rate": v.V_RATE,
    "dominant": v.V_DOMINANT, "mean_distance": v.V_MEAN_DISTANCE, "trigger": v.V_TRIGGER,
    "sigma_implied": v.V_SIGMA_IMPLIED, "sigma_fitted": v.V_SIGMA_FITTED, "moved": v.V_MOVED,
    "share": v.V_SHARE, "error": v.V_ERROR,
}  # fmt: skip
ALL_ON = {name: row | {"on": 1} for name, row in table.REFERENCE.items()}


def view_of(market: twin.Market) -> v.Floats:
    """The row of cells; what is None is NaN."""
    view = np.full(v.VIEW_CELLS, math.nan)
    for name, cell in CELLS.items():
        if (value := getattr(market, name)) is not None:
            view[cell] = value
    (bid, _), *_ = *market.book.bids, (NO_BID_E6, 0)
    (ask, _), *_ = *market.book.asks, (NO_ASK_E6, 0)
    view[v.V_MIDDLE] = v.middle_of(bid, ask)
    return view


def ask(name: str, market: twin.Market, params: twin.Params) -> twin.Answer:
    """The compiled strategy's answer."""
    row = table.row_of(name, params)
    which = table.STRATEGIES.index(name)
    found = select.ask(which, view_of(market), rows_of(market.book), 0, market.off, row, 0)
    side, fair, edge, sure, gate = (int(x) for x in found)
    return side, fair, edge, sure, table.GATES[gate]


def choose(
    market: twin.Market, params: dict[str, twin.Params], case: choice.Case, seen: choice.Seen,
    spent: dict[str, int],
) -> tuple[str | None, object, dict[str, twin.Answer]]:  # fmt: skip
    """The compiled choice in the twin's words."""
    cells, before = np.zeros(select.CASE_CELLS, np.int64), np.zeros(select.SEEN_CELLS, np.int64)
    cells[: select.C_STAKED + 1] = (
        market.off, case.run_ns, case.held, case.bankroll, case.room, case.cap, case.walk_budget,
        case.staked,
    )  # fmt: skip
    for name, (last, orders) in seen.items():
        place = 2 * table.STRATEGIES.index(name)
        before[place], before[place + 1] = last, orders
    used = np.array([spent.get(name, 0) for name in table.STRATEGIES], np.int64)
    rows = rows_of(market.book)
    rows[c.Q_DELAY] = market.delay_ns
    out, legs = np.zeros(select.OUT_CELLS, np.int64), basket.fresh()
    which = int(select.choose(
        view_of(market), rows, 0, cells, table.rows_of(params), before, used, out,
        legs,
    ))  # fmt: skip
    answers = {}
    for i, name in enumerate(table.STRATEGIES):
        side, fair, edge, sure, gate = out[int(select.answer_of(i)) :][:5].tolist()
        answers[name] = side, fair, edge, sure, table.GATES[gate]
    if which < 0:
        return None, NOTHING, answers
    x = out.tolist()
    found = (
        x[select.X_SIZE], x[select.X_EDGE], x[select.X_PROFIT],
        (x[select.X_LIMIT],), (x[select.X_FEE],),
    )  # fmt: skip
    return table.STRATEGIES[which], found, answers


def random_market(rng: random.Random) -> twin.Market:
    """An update, often on a border, often with something unknown."""

    def maybe(*values: float) -> float | None:
        return None if rng.random() < 0.03 else rng.choice(values) * rng.choice([1.0, -1.0])

    def plain(*values: float) -> float | None:
        found = maybe(*values)
        return None if found is None else abs(found)

    distance = maybe(0.0, 0.0001, 0.000294, 0.0003, 0.000441, 0.0006, 0.0008, 0.0016, 0.003, 0.01)
    z = (
        maybe(0.0, 0.3, 1.0, 1.5, 1.6, 2.6, 3.1, 8.0)
        if rng.random() < 0.2
        else (None if distance is None else distance * rng.choice([500.0, 1500.0, 5000.0]))
    )
    fair = None if z is None else min(max(twin.phi(z * rng.choice([0.5, 1.0])), 0.01), 0.99)
    left = plain(0.0, 5.0, 5.1, 29.0, 30.0, 45.0, 60.0, 89.0, 90.0, 250.0)
    trades = rng.choice([0, 49, 50, 400])
    book = random_book(rng)
    if rng.random() < 0.7:  # a quote near fair value
        near = round((0.5 if fair is None else fair) * 100) + rng.choice([-15, -8, -3, 0, 3, 8, 15])
        cent = min(max(near, 1), 97) * 10_000
        sizes = [rng.choice([5, 40, 300, 12_345]) * E6 for _ in range(4)]
        book = Book(((cent, sizes[0]), (max(cent - 10_000, 1), sizes[1])),
                    ((cent + 10_000, sizes[2]), (cent + 20_000, sizes[3])), book.kind, book.rate,
                    book.exponent, book.unit, book.mode, book.size_min, book.size_step,
                    book.notional_min, book.notional_step)  # fmt: skip
    market = twin.Market(
        book, distance, z, plain(0.01, 20.0, 260.0), left, plain(0.0, 14.0, 15.0, 16.0),
        plain(0.1, 0.15, 0.2, 0.9), plain(0.0, 8.9e-5, 2e-4), fair,
        maybe(0.0, 7e-6, 8e-6, 2.9e-5, 3e-5), maybe(0.0, 1.5, 40.0), trades, trades / 30,
        plain(0.0, 0.5, 0.74, 0.75, 0.9), maybe(0.0, 0.0002, 0.001), rng.choice([1, 2, 3, 4, 7]),
        plain(0.0, 8.9e-5, 1.5e-4), plain(0.0, 8.9e-5, 1e-4), rng.choice([0, 0, 0, 5_000, -1]),
        rng.choice([0, 0, 150_000_000, 10**9]), maybe(0.0, 0.019, 0.02, 0.3),
        rng.choice([0.0, 0.0, 0.5, 1.0]),
    )  # fmt: skip
    if distance is None or rng.random() < 0.5:
        return market
    up = 1 if distance > 0 else -1  # the flow goes with the distance, the window is young
    return replace(market, velocity=up * 2e-5, net=up * 3.0, trades=100, rate=3.3, fraction=0.6)


def some_params(rng: random.Random) -> dict[str, twin.Params]:
    """The reference's figures with other switches."""
    return {
        name: row | {
            "on": rng.choice([0, 1, 1, 1]), "fair": rng.choice([0, 0, 1]),
            "edge_min_e6": rng.choice([0, 1, row["edge_min_e6"]]),
            "confidence_min_e6": rng.choice([0, row["confidence_min_e6"], 600_000]),
        }
        for name, row in table.REFERENCE.items()
    }  # fmt: skip


def seen_before(rng: random.Random) -> choice.Seen:
    """Orders of some strategies."""
    return {
        name: (rng.choice([0, 10**9]), rng.choice([0, 1, 9, 10, 50]))
        for name in table.STRATEGIES
        if rng.random() < 0.3
    }
