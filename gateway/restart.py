"""What the journal says we should hold after a restart, to be compared with what the venues say.

Each reconciliation leaves a record of the venues' figures (`start`); what orders have done since,
and what settled markets have paid, comes on top. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.accounts import Cash, Position, held_apart, netted
from gateway.ledger import Work
from gateway.order import Amounts
from gateway.ports import Market
from shm_layout import BUY, E6

NOTHING = Amounts(0, 0, 0)


@dataclass(slots=True)
class Start:
    """The venues' figures at a reconciliation, and what has happened since. `folded`: of each
    order, what they had in them already; `paid`: instrument and what YES paid.
    """

    cash_e6: dict[int, int]
    held: dict[int, tuple[int, int]]
    folded: dict[str, Amounts] = field(default_factory=dict)
    paid: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Books:
    """What we should have, as `differences` reads it."""

    markets: Mapping[int, Market]
    positions: dict[int, Position]
    cash: dict[int, Cash]


def books_of(
    start: Start, works: Iterable[Work], markets: Mapping[int, Market], nets: Mapping[str, bool]
) -> Books:
    """`works`: every intent of the journal, with what was found of its orders by now."""
    books = Books(markets, {}, {})
    for market in markets.values():
        row = Cash(market.account, market.venue, market.exchange_index)
        row.cash_e6 = start.cash_e6.get(market.account, 0)
        books.cash.setdefault(market.account, row)
    for instrument, (yes_e6, no_e6) in start.held.items():
        books.positions[instrument] = Position(yes_e6, no_e6)
    for work in works:
        for order in work.orders:
            was, now = start.folded.get(order.key, NOTHING), order.booked()
            size_e6, notional_e6 = now.filled_e6 - was.filled_e6, now.notional_e6 - was.notional_e6
            if now == was or order.instrument not in markets:
                continue
            market = markets[order.instrument]
            position = books.positions.setdefault(order.instrument, Position())
            buys = order.placing.side == BUY
            if nets[market.venue]:
                moved_e6, *_ = netted(position, buys, size_e6, notional_e6)
            else:
                moved_e6, *_ = held_apart(
                    position, order.placing.token, buys, size_e6, notional_e6
                )
            books.cash[market.account].cash_e6 += moved_e6 - (now.fee_e6 - was.fee_e6)
    for instrument, value_e6 in start.paid:
        gone = books.positions.pop(instrument, Position())
        paid_e6 = (gone.yes_e6 * value_e6 + gone.no_e6 * (E6 - value_e6)) // E6
        if instrument in markets:
            books.cash[markets[instrument].account].cash_e6 += paid_e6
    return books
