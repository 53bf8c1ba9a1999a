"""What a pair or a set earns each way now, computed again for display with the detector's own
functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import shm_layout as shm
from engine.basket import B_INSTRUMENT, B_QUOTE, B_SIDE, BASKET_CELLS, LEG_CELLS, basket
from engine.complement import lay
from engine.edge import fee_terms
from engine.fees import FEE_REFUSED_E6, fee_e6
from engine.sizes import token_price
from ops.inspector_why import ABSENT, NOT_APPROVED, left_out, touch_out

YEAR_S = 31_536_000
WAITS = "waits for terms"  # the model has said nothing of a pair that needs it, or too long ago
HELD_BACK = "taker delay too long"
UNPRICED = "taker delay without terms"  # nobody says what it costs
NO_CLOSE = "close not known"
NOT_SURE = "not sure"  # this direction of a set may lose


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
    fees, `off` what comes off besides; `sure_e6` what a contract of each leg pays together, at
    least; `seconds` until both markets have closed, None: not known. `wanted_e6` must be left at
    least; `why`: what keeps it from being opened (ops/inspector_why.py), empty: nothing that is
    seen here.
    """

    text: str
    edge_e6: int | None
    size_e6: int
    pays_e6: int
    gross_e6: int | None = None
    off: Off = Off()
    seconds: int | None = None
    sure_e6: int = shm.E6
    wanted_e6: int | None = None
    why: str = ""

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
        locked_e6 = self.sure_e6 - self.edge_e6
        return earned_e6 * shm.E6 * YEAR_S // (max(locked_e6, 1) * max(self.seconds, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two instruments that settle against each other, or a set of up to four at one venue."""

    index: int
    venue_a: str
    ticker_a: str
    venue_b: str
    ticker_b: str  # of a set all the others
    is_same: bool  # YES of one is YES of the other, else its NO
    is_approved: bool
    ways: tuple[Way, Way]  # buys YES of a; sells it
    legs: int = 2
    paying: int = 0  # a bit for each way that the detector found to pay when it last decided

    @property
    def is_set(self) -> bool:
        """All its markets are of one venue."""
        return self.venue_a == self.venue_b

    @property
    def relation(self) -> str:
        """Which outcome of b is YES of a, or what the markets of one venue are to each other; and
        whether people approved it."""
        told = "YES=YES" if self.is_same else "YES=NO"
        if self.is_set:
            told = "implies a" if self.is_same else f"set of {self.legs}"
        return told + ("" if self.is_approved else " not approved")

    @property
    def word(self) -> str:
        """The detector's own word on both ways."""
        return ("", "buy", "sell", "both")[self.paying & 3]

    @property
    def best_e6(self) -> int | None:
        """The better edge of the two ways."""
        return max((way.edge_e6 for way in self.ways if way.edge_e6 is not None), default=None)


def pair_of(
    row: np.void,
    *,
    labels: Sequence[tuple[str, str]],
    quotes: Sequence[np.void | None],
    parameters: np.void | None,
    terms: np.void | None,
    now_ns: int,
    run_epoch_ns: int,
    paying: int = 0,
    unfit: str = "",
) -> Pair:
    """A pair's row with the edge each way; without a quote of every leg there is none. `now_ns` is
    machine time, for the validity of the terms; `unfit`: why a leg may not be opened in."""
    (venue_a, ticker_a), (venue_b, _) = labels[:2]
    books = _all(quotes)
    if terms is not None and terms["generation"] != row["generation"]:
        terms = None
    offs = [_off(row, books, way, parameters, terms, now_ns, run_epoch_ns) for way in (0, 1)]
    closes = _closes(books) if books is not None else None
    seconds = None if closes is None else max(-(-(max(closes) - run_epoch_ns) // 10**9), 0)
    keeps = unfit or ("" if row["approved"] else NOT_APPROVED)
    ways = [
        _way(row, books, len(labels), way, parameters, offs[way], seconds, keeps) for way in (0, 1)
    ]
    return Pair(
        index=int(row["index"]),
        venue_a=venue_a,
        ticker_a=ticker_a,
        venue_b=venue_b,
        ticker_b=" + ".join(ticker for _, ticker in labels[1:]),
        is_same=bool(row["same"]),
        is_approved=bool(row["approved"]),
        ways=(ways[0], ways[1]),
        legs=len(labels),
        paying=paying,
    )


def _all(quotes: Sequence[np.void | None]) -> shm.Words | None:
    """Quote bodies in one array, as the detector's functions want them."""
    rows = np.zeros(len(quotes) * shm.BODY, np.int64)
    for leg, quote in enumerate(quotes):
        if quote is None:
            return None
        rows[leg * shm.BODY : (leg + 1) * shm.BODY].view(shm.QUOTE)[0] = quote
    return rows


def _each(rows: shm.Words, name: str) -> list[int]:
    """A field of every quote."""
    return [int(value) for value in rows[shm.cell(shm.QUOTE, name) :: shm.BODY]]


def _closes(rows: shm.Words) -> list[int] | None:
    """When the markets close; None: of one of them nobody has said."""
    closes = _each(rows, "close_epoch_ns")
    return closes if min(closes) > 0 else None


def _legs(row: np.void, count: int, direction: int) -> tuple[shm.Words, int]:
    """Legs with their sides, and what a contract of each pays."""
    legs = np.zeros(BASKET_CELLS, np.int64)
    for leg in range(count):
        legs[leg * LEG_CELLS + B_QUOTE] = leg * shm.BODY
        legs[leg * LEG_CELLS + B_INSTRUMENT] = leg
    return legs, int(lay(legs, count, int(row["same"]), direction))


def _text(sides: list[int], is_set: bool) -> str:
    """As people read a direction: "buy a, sell b", "sell all 3"."""
    words = ["buy" if side == shm.BUY else "sell" for side in sides]
    if is_set and len(set(words)) == 1:
        return f"{words[0]} all {len(words)}"
    return f"{words[0]} a, {words[1]} b"


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
    delay = max(_each(rows, "taker_delay_ns"))
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
    elif delay > 0:
        why = UNPRICED
    if rate_e6 and closes is None:
        why = NO_CLOSE
    if delay > min(int(parameters["delay_max_ns"]), int(row["delay_max_ns"])):
        why = HELD_BACK
    if int(row["barred"]) >> direction & 1:
        why = NOT_SURE
    locks = 1 + direction * int(row["more"])  # dollars
    return Off(
        hurdle_e6=hurdle * locks, capital_e6=capital * locks, dead_zone_e6=zone, delay_e6=cost,
        why=why,
    )  # fmt: skip


def _way(
    row: np.void,
    rows: shm.Words | None,
    count: int,
    direction: int,
    parameters: np.void | None,
    off: Off,
    seconds: int | None,
    keeps: str,
) -> Way:
    legs, pays_e6 = _legs(row, count, direction)
    sides = [int(legs[leg * LEG_CELLS + B_SIDE]) for leg in range(count)]
    text = _text(sides, count > 2)
    if rows is None or parameters is None:
        return Way(text=text, edge_e6=None, size_e6=0, pays_e6=0, why=keeps or off.why or ABSENT)
    gross, edge, size = _at_the_touch(rows, sides, pays_e6)
    pays, edge_min = 0, max(int(parameters["edge_min_e6"]), int(row["edge_min_e6"]))
    if edge is not None and not off.why:
        cap, walks = int(parameters["size_max_e6"]), int(parameters["switches"]) & 1
        pays = int(basket(rows, legs, count, pays_e6, edge_min, off.sum_e6, cap, walks)[0])
    left_e6 = None if edge is None else edge - off.sum_e6
    why = keeps or off.why or left_out(edge_min, left_e6, pays)
    if not why:
        quotes = rows.reshape(-1, shm.BODY).view(shm.QUOTE)[:, 0]
        why = touch_out(list(quotes), sides, parameters)
    return Way(
        text=text, edge_e6=edge, size_e6=size, pays_e6=pays, gross_e6=gross, off=off,
        seconds=seconds, sure_e6=pays_e6, wanted_e6=edge_min, why=why,
    )  # fmt: skip


def _at_the_touch(
    rows: shm.Words, sides: list[int], pays_e6: int
) -> tuple[int | None, int | None, int]:
    """(what a contract leaves before fees, after them when the touch size is taken, that size)."""
    places = [
        leg * shm.BODY + shm.cell(shm.QUOTE, "asks" if side == shm.BUY else "bids")
        for leg, side in enumerate(sides)
    ]
    prices = [int(rows[at]) for at in places]
    size = min(int(rows[at + 1]) for at in places)
    if any(price in (shm.NO_BID_E6, shm.NO_ASK_E6) for price in prices) or size <= 0:
        return None, None, 0
    gross, fees = pays_e6, 0
    for leg, price in enumerate(prices):
        rate, exponent, unit, mode = fee_terms(rows, leg * shm.BODY)
        token = int(token_price(price, sides[leg]))
        fee = int(fee_e6(token, size, rate, exponent, unit, mode))
        if fee >= FEE_REFUSED_E6:
            return None, None, size
        gross, fees = gross - token, fees + fee
    return gross, gross - -(-fees * shm.E6 // size), size
