"""Records as dictionaries, quotes as books, what a row's direction pays, and the most a leg can be
charged: what the plain detector is written with."""

from __future__ import annotations

import numpy as np

from shm_layout import Words, cell
from tests.twins import basket, fees
from tests.twins.detector_money import Row, legs_of
from tests.twins.edge import BUY, E6, SELL, Book, cross_venue


def row_of(record: np.dtype[np.void], body: Words) -> Row:
    """A body as a dictionary; fields of several cells by name and number."""
    row: Row = {}
    for name in record.names or ():
        at, count = (
            cell(record, name),
            int(np.prod(record[name].shape)) if record[name].shape else 1,
        )
        if count == 1:
            row[name] = int(body[at])
        else:
            row |= {f"{name}{i}": int(body[at + i]) for i in range(count)}
    return row


def book_of(quote: Row) -> Book:
    """A quote as levels and facts."""

    def side(name: str) -> tuple[tuple[int, int], ...]:
        levels = [(quote[f"{name}{2 * i}"], quote[f"{name}{2 * i + 1}"]) for i in range(5)]
        return tuple(level for level in levels if abs(level[0]) < 10**15)

    return Book(
        side("bids"), side("asks"), quote["fee_kind"], quote["fee_rate_e6"], quote["fee_exponent"],
        quote["fee_unit_e6"], quote["fee_mode"], quote["size_min_e6"], quote["size_step_e6"],
        quote["notional_min_e6"], quote["notional_step_e6"],
        tuple(quote[f"grid{i}"] for i in range(6)),
    )  # fmt: skip


def worst_fee(book: Book, price: int, size: int, cost: int) -> int:
    """At the limit's price, or of all contracts that the budget could buy at any price."""
    charged = fees.fee(price, size, *book.fee_terms)
    if not book.notional_step:
        return charged
    bought = cost if book.fee_terms[1] else cost * 10_000  # of a price of almost 0
    return max(charged, -(-book.fee_terms[0] * bought // E6))


def sides_of(pair: Row, direction: int) -> tuple[int, ...]:
    """One side for every leg, or of two that say the same one each."""
    side = BUY if direction == 0 else SELL
    return (side, 1 - side) if pair["same"] else (side,) * len(legs_of(pair))


def is_in_order(pair: Row, quotes: dict[int, Row]) -> bool:
    """The strikes that are told do not say that the first of two that say the same is the higher
    one."""
    strikes = [quotes[pair[leg]]["strike_e8"] for leg in legs_of(pair)]
    return not (pair["same"] and 0 < strikes[1] < strikes[0])


def best_of(
    pair: Row, direction: int, books: list[Book], is_set: bool, args: tuple[int, int, int, bool]
) -> basket.Answer:
    """What one direction pays now. `args`: least edge, what comes off it, most contracts, whether
    budgets are walked."""
    if is_set:
        pays = E6 if pair["same"] or direction == 0 else (len(books) - 1) * E6
        legs = list(zip(books, sides_of(pair, direction), strict=True))
        return basket.basket(legs, pays, *args)
    size, *rest = cross_venue(*books, pair["same"], direction, *args)
    return size, rest[4], rest[5], tuple(rest[:2]), tuple(rest[2:4])
