"""What the journal says we should hold after a restart, to be compared with what the venues say.

Each reconciliation leaves a record of the venues' figures (`start`); what orders have done since,
and what settled markets have paid, comes on top. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.accounts import Cash
from gateway.holding import Position, fill, held_apart, netted
from gateway.ledger import Work
from gateway.order import Amounts
from gateway.ports import Market
from shm_layout import BUY, KIND_MODEL

NOTHING = Amounts(0, 0, 0)
Place = tuple[int, int]  # instrument, generation: a number is another market's after its window


@dataclass(slots=True)
class Start:
    """The venues' figures at a reconciliation, and what has happened since. `held`: YES and NO of
    each place (instrument, generation); `folded`: of each order, what they had in them already;
    `paid`: of a place, what YES paid.
    """

    cash_e6: dict[int, int]
    held: dict[Place, tuple[int, int]]
    folded: dict[str, Amounts] = field(default_factory=dict)
    paid: list[tuple[Place, int]] = field(default_factory=list)


@dataclass(slots=True)
class Books:
    """What we should have, as `differences` reads it."""

    markets: Mapping[int, Market]
    positions: dict[int, Position]
    cash: dict[int, Cash]


def staked_of(
    works: Iterable[Work], markets: Mapping[int, Market], nets: Mapping[str, bool]
) -> dict[int, Position]:
    """What the bets among these intents opened in each market that is still there, by what was
    found of their orders, as if nothing else had been traded in it.
    """
    found: dict[int, Position] = {}
    for work in works:
        order, market = work.orders[0], markets.get(work.orders[0].instrument)
        is_its = market is not None and market.generation == order.generation
        if market is None or not is_its or work.intent.kind != KIND_MODEL:
            continue
        position = found.setdefault(order.instrument, Position())
        buys, token = order.placing.side == BUY, order.placing.token
        fill(position, nets[market.venue], token, buys, order.booked(), is_bet=True)
    return found


def books_of(
    start: Start, works: Iterable[Work], markets: Mapping[int, Market], nets: Mapping[str, bool]
) -> Books:
    """`works`: every intent of the journal, with what was found of its orders by now."""
    books, held = Books(markets, {}, {}), dict[Place, Position]()
    for market in markets.values():
        row = Cash(market.account, market.venue, market.exchange_index)
        row.cash_e6 = start.cash_e6.get(market.account, 0)
        books.cash.setdefault(market.account, row)
    for place, (yes_e6, no_e6) in start.held.items():
        held[place] = Position(yes_e6, no_e6)
    for work in works:
        for order in work.orders:
            was, now = start.folded.get(order.key, NOTHING), order.booked()
            size_e6, notional_e6 = now.filled_e6 - was.filled_e6, now.notional_e6 - was.notional_e6
            if now == was or order.instrument not in markets:
                continue
            market = markets[order.instrument]
            position = held.setdefault((order.instrument, order.generation), Position())
            buys = order.placing.side == BUY
            if nets[market.venue]:
                moved_e6, *_ = netted(position, buys, size_e6, notional_e6)
            else:
                moved_e6, *_ = held_apart(
                    position, order.placing.token, buys, size_e6, notional_e6
                )
            books.cash[market.account].cash_e6 += moved_e6 - (now.fee_e6 - was.fee_e6)
    for place, value_e6 in start.paid:
        gone = held.pop(place, Position())
        if place[0] in markets:  # a number stays with its venue and its account
            books.cash[markets[place[0]].account].cash_e6 += gone.paid_e6(value_e6)
    books.positions |= {place[0]: position for place, position in held.items()}
    return books
