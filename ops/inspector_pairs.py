"""What a pair earns each way now, computed again for display with the detector's own functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import shm_layout as shm
from engine.edge import cross_venue, fee_terms, side_of_b, touch_gross
from engine.fees import FEE_REFUSED_E6, fee_e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of a pair at its touches. Prices, sizes and edges in 1e-6.

    `edge_e6` is what one contract leaves after both fees, rounded against us; None: a side is
    absent. `size_e6` is shown at both touches; `pays_e6` the contracts the detector's rule would
    take now (edge and hurdle met, sizes legal), whatever state or trust say.
    """

    text: str
    edge_e6: int | None
    size_e6: int
    pays_e6: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two instruments that settle against each other."""

    index: int
    venue_a: str
    ticker_a: str
    venue_b: str
    ticker_b: str
    is_same: bool  # YES of one is YES of the other, else its NO
    is_approved: bool
    ways: tuple[Way, Way]  # buys YES of a; sells it

    @property
    def best_e6(self) -> int | None:
        """The better edge of the two ways."""
        return max((way.edge_e6 for way in self.ways if way.edge_e6 is not None), default=None)


def pair_of(
    row: np.void,
    *,
    labels: tuple[tuple[str, str], tuple[str, str]],
    quotes: tuple[np.void | None, np.void | None],
    parameters: np.void | None,
    terms: np.void | None,
) -> Pair:
    """A pair's row with the edge each way; without a quote on both sides there is none."""
    (venue_a, ticker_a), (venue_b, ticker_b) = labels
    both = _both(*quotes)
    ways = [_way(row, both, direction, parameters, terms) for direction in (0, 1)]
    return Pair(
        index=int(row["index"]),
        venue_a=venue_a,
        ticker_a=ticker_a,
        venue_b=venue_b,
        ticker_b=ticker_b,
        is_same=bool(row["same"]),
        is_approved=bool(row["approved"]),
        ways=(ways[0], ways[1]),
    )


def _both(a: np.void | None, b: np.void | None) -> shm.Words | None:
    """Two quote bodies in one array, as the detector's functions want them."""
    if a is None or b is None:
        return None
    rows = np.zeros(2 * shm.BODY, np.int64)
    rows[: shm.BODY].view(shm.QUOTE)[0] = a
    rows[shm.BODY :].view(shm.QUOTE)[0] = b
    return rows


def _side(side: int) -> str:
    return "buy" if side == shm.BUY else "sell"


def _way(
    row: np.void,
    rows: shm.Words | None,
    direction: int,
    parameters: np.void | None,
    terms: np.void | None,
) -> Way:
    same = int(row["same"])
    sides = (shm.BUY if direction == 0 else shm.SELL, int(side_of_b(direction, same)))
    text = f"{_side(sides[0])} a, {_side(sides[1])} b"
    if rows is None:
        return Way(text=text, edge_e6=None, size_e6=0, pays_e6=0)
    edge, size = _at_the_touch(rows, sides)
    pays = _pays(rows, row, direction, parameters, terms) if edge is not None else 0
    return Way(text=text, edge_e6=edge, size_e6=size, pays_e6=pays)


def _at_the_touch(rows: shm.Words, sides: tuple[int, int]) -> tuple[int | None, int]:
    """(edge of one contract when the touch size is taken, that size)."""
    places = [
        leg * shm.BODY + shm.cell(shm.QUOTE, "asks" if side == shm.BUY else "bids")
        for leg, side in enumerate(sides)
    ]
    prices = [int(rows[at]) for at in places]
    size = min(int(rows[at + 1]) for at in places)
    if any(price in (shm.NO_BID_E6, shm.NO_ASK_E6) for price in prices) or size <= 0:
        return None, 0
    gross = int(touch_gross(rows, 0, sides[0], shm.BODY, sides[1]))
    fees = 0
    for leg, price in enumerate(prices):
        rate, exponent, unit, mode = fee_terms(rows, leg * shm.BODY)
        fee = int(fee_e6(price, size, rate, exponent, unit, mode))
        if fee >= FEE_REFUSED_E6:
            return None, size
        fees += fee
    return gross - -(-fees * shm.E6 // size), size


def _pays(
    rows: shm.Words,
    row: np.void,
    direction: int,
    parameters: np.void | None,
    terms: np.void | None,
) -> int:
    """Contracts by the detector's rule: its minimum, its hurdle, the slow terms."""
    if parameters is None:
        return 0
    edge_min = max(int(parameters["edge_min_e6"]), int(row["edge_min_e6"]))
    off = int(row["hurdle_e6"] if row["hurdle_e6"] >= 0 else parameters["hurdle_e6"])
    delay_at = shm.cell(shm.QUOTE, "taker_delay_ns")
    delay = max(int(rows[delay_at]), int(rows[shm.BODY + delay_at]))
    if delay > min(int(parameters["delay_max_ns"]), int(row["delay_max_ns"])):
        return 0
    if terms is not None and terms["number"] > 0:
        off += int(terms["dead_zone_e6"][direction])
        off += int(terms["delay_cost_e6"]) if delay > 0 else 0
    cap, walk_budget = int(parameters["size_max_e6"]), int(parameters["switches"]) & 1
    args = (int(row["same"]), direction, edge_min, off, cap, walk_budget)
    return int(cross_venue(rows, 0, shm.BODY, *args)[0])
