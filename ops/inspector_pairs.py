"""What a pair earns each way now, computed again for display with the detector's own functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import shm_layout as shm
from engine.edge import cross_venue, fee_terms, side_of_b, touch_gross
from engine.fees import FEE_REFUSED_E6, fee_e6
from engine.sizes import token_price

YEAR_S = 31_536_000
WAITS = "waits for terms"  # the model has said nothing of a pair that needs it, or too long ago
HELD_BACK = "taker delay too long"
NO_CLOSE = "close not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Off:
    """What comes off a contract beside fees, in 1e-6 dollars, as the detector takes it off. `why`:
    what keeps the pair from being traded at all; empty: nothing."""

    hurdle_e6: int = 0
    capital_e6: int = 0  # locked until settlement, at the rate a year
    dead_zone_e6: int = 0
    delay_e6: int = 0
    why: str = ""

    @property
    def sum_e6(self) -> int:
        """All of it."""
        return self.hurdle_e6 + self.capital_e6 + self.dead_zone_e6 + self.delay_e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One direction of a pair at its touches. Prices, sizes and edges in 1e-6.

    `edge_e6` is what one contract leaves after both fees, rounded against us; None: a side is
    absent. `size_e6` is shown at both touches; `pays_e6` the contracts the detector's rule would
    take now (edge and hurdle met, sizes legal), whatever state or trust say. `gross_e6` is before
    fees, `off` what comes off besides; `seconds` until both markets have closed, None: not known.
    """

    text: str
    edge_e6: int | None
    size_e6: int
    pays_e6: int
    gross_e6: int | None = None
    off: Off = Off()
    seconds: int | None = None

    @property
    def fees_e6(self) -> int | None:
        """Both fees of a contract, rounded up."""
        return None if self.edge_e6 is None else (self.gross_e6 or 0) - self.edge_e6

    @property
    def left_e6(self) -> int | None:
        """What a contract leaves after everything."""
        return None if self.edge_e6 is None else self.edge_e6 - self.off.sum_e6

    @property
    def year_e6(self) -> int | None:
        """The edge after dead zone and delay as a return a year on what a contract locks until
        settlement; 1e6 is 100 %, rounded down. None: not known."""
        if self.edge_e6 is None or self.gross_e6 is None or self.seconds is None:
            return None
        earned_e6 = self.edge_e6 - self.off.dead_zone_e6 - self.off.delay_e6
        locked_e6 = shm.E6 - self.edge_e6
        return earned_e6 * shm.E6 * YEAR_S // (max(locked_e6, 1) * max(self.seconds, 1))


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
    now_ns: int,
    run_epoch_ns: int,
) -> Pair:
    """A pair's row with the edge each way; without a quote on both sides there is none. `now_ns` is
    machine time, for the validity of the terms."""
    (venue_a, ticker_a), (venue_b, ticker_b) = labels
    both = _both(*quotes)
    if terms is not None and terms["generation"] != row["generation"]:
        terms = None
    offs = [_off(row, both, way, parameters, terms, now_ns, run_epoch_ns) for way in (0, 1)]
    closes = _closes(both) if both is not None else None
    seconds = None if closes is None else max(-(-(max(closes) - run_epoch_ns) // 10**9), 0)
    ways = [_way(row, both, way, parameters, offs[way], seconds) for way in (0, 1)]
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


def _closes(rows: shm.Words) -> tuple[int, int] | None:
    """When both markets close; None: of one of them nobody has said."""
    at = shm.cell(shm.QUOTE, "close_epoch_ns")
    closes = int(rows[at]), int(rows[shm.BODY + at])
    return closes if min(closes) > 0 else None


def _off(
    row: np.void,
    rows: shm.Words | None,
    direction: int,
    parameters: np.void | None,
    terms: np.void | None,
    now_ns: int,
    run_epoch_ns: int,
) -> Off:
    """As `take_off` of engine/decide.py says it."""
    if parameters is None or rows is None:
        return Off()
    delay_at = shm.cell(shm.QUOTE, "taker_delay_ns")
    delay = max(int(rows[delay_at]), int(rows[shm.BODY + delay_at]))
    closes, rate_e6 = _closes(rows), int(parameters["hurdle_year_e6"])
    hurdle = int(row["hurdle_e6"] if row["hurdle_e6"] >= 0 else parameters["hurdle_e6"])
    capital, zone, cost, why = 0, 0, 0, ""
    if rate_e6 and closes is not None:
        seconds = max(-(-(max(closes) - run_epoch_ns) // 10**9), 0)
        capital = -(-rate_e6 * seconds // YEAR_S)
    has_terms = terms is not None and terms["number"] > 0
    if terms is not None and has_terms:
        zone = int(terms["dead_zone_e6"][direction])
        cost = int(terms["delay_cost_e6"]) if delay > 0 else 0
        why = WAITS if terms["valid_until_ns"] < now_ns else ""
    elif row["needs_terms"]:
        why = WAITS
    if rate_e6 and closes is None:
        why = NO_CLOSE
    if delay > min(int(parameters["delay_max_ns"]), int(row["delay_max_ns"])):
        why = HELD_BACK
    return Off(
        hurdle_e6=hurdle, capital_e6=capital, dead_zone_e6=zone, delay_e6=cost, why=why
    )  # fmt: skip


def _way(
    row: np.void,
    rows: shm.Words | None,
    direction: int,
    parameters: np.void | None,
    off: Off,
    seconds: int | None,
) -> Way:
    same = int(row["same"])
    sides = (shm.BUY if direction == 0 else shm.SELL, int(side_of_b(direction, same)))
    text = f"{_side(sides[0])} a, {_side(sides[1])} b"
    if rows is None:
        return Way(text=text, edge_e6=None, size_e6=0, pays_e6=0)
    edge, size = _at_the_touch(rows, sides)
    pays = _pays(rows, row, direction, parameters, off) if edge is not None else 0
    gross = int(touch_gross(rows, 0, sides[0], shm.BODY, sides[1])) if edge is not None else None
    return Way(
        text=text, edge_e6=edge, size_e6=size, pays_e6=pays, gross_e6=gross, off=off,
        seconds=seconds,
    )  # fmt: skip


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
        token = int(token_price(price, sides[leg]))
        fee = int(fee_e6(token, size, rate, exponent, unit, mode))
        if fee >= FEE_REFUSED_E6:
            return None, size
        fees += fee
    return gross - -(-fees * shm.E6 // size), size


def _pays(
    rows: shm.Words, row: np.void, direction: int, parameters: np.void | None, off: Off
) -> int:
    """Contracts by the detector's rule: its minimum, and what comes off."""
    if parameters is None or off.why:
        return 0
    edge_min = max(int(parameters["edge_min_e6"]), int(row["edge_min_e6"]))
    cap, walk_budget = int(parameters["size_max_e6"]), int(parameters["switches"]) & 1
    args = (int(row["same"]), direction, edge_min, off.sum_e6, cap, walk_budget)
    return int(cross_venue(rows, 0, shm.BODY, *args)[0])
