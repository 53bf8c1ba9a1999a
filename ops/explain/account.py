"""Whether what is explained is what happened: order by order, cash by account, contracts by name,
against what the venues say of the run; while it goes on, against the gateway's own books.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ops.explain.money import Held, Marks, collateral_e6, flow_e6, held_of
from ops.explain.past import Run
from shm_layout import E6

VENUES_SAY, GATEWAY_SAYS = "the venues", "the gateway's books"


@dataclass(frozen=True, slots=True)
class Books:
    """What somebody says of cash by (venue, shard), holdings by (venue, name), and orders by key.
    `orders` None: nothing. A signed holding where the venue nets.
    """

    source: str
    cash_e6: Mapping[tuple[str, int], int]
    held_e6: Mapping[tuple[str, str], int]
    start_e6: Mapping[tuple[str, int], int] | None = None
    orders: Mapping[str, Mapping[str, int]] | None = None


def books_of(told: Mapping[str, Any]) -> Books:
    """What the venues told at the end of a run (ops/venues/told.py)."""

    def by_shard(what: str) -> dict[tuple[str, int], int]:
        return {
            (venue, int(shard)): cash_e6
            for venue, account in told.items()
            for shard, cash_e6 in account[what].items()
        }

    return Books(
        VENUES_SAY,
        cash_e6=by_shard("cash_e6"),
        held_e6={
            (venue, name): held_e6
            for venue, account in told.items()
            for name, held_e6 in account["held_e6"].items()
        },
        start_e6=by_shard("start_e6"),
        orders={
            key: order for account in told.values() for key, order in account["orders"].items()
        },
    )


@dataclass(frozen=True, slots=True)
class Balance:
    """What the orders explain of cash and holdings, named as the venues name them."""

    start_e6: Mapping[tuple[str, int], int]
    cash_e6: Mapping[tuple[str, int], int]
    held_e6: Mapping[tuple[str, str], int]


def balance_of(run: Run, marks: Marks) -> Balance:
    """Cash and holdings as they must be if every order is explained."""
    start_held, held = held_of(run)
    start_e6 = {
        (venue, shard): cash_e6
        for _, venue, shard, cash_e6 in (run.opened[0]["cash"] if run.opened else ())
    }
    cash_e6 = dict(start_e6)

    def move(instrument: int, amount_e6: int) -> None:
        account = run.markets[instrument].account
        cash_e6[account] = cash_e6.get(account, 0) + amount_e6

    for _, order in run.orders():
        booked = order.booked()
        move(order.instrument, flow_e6(order, booked.notional_e6, booked.fee_e6))
    named: dict[tuple[str, str], int] = {}
    for instrument in {instrument for instrument, _ in held}:
        market = run.markets[instrument]
        if market.nets:
            move(instrument, collateral_e6(market, start_held.get((instrument, 0), 0)))
        if instrument in marks.settled:
            move(instrument, _paid_e6(instrument, held, marks, nets=market.nets))
            continue
        move(instrument, -collateral_e6(market, held.get((instrument, 0), 0)))
        for token in (0, 1):
            if size_e6 := held.get((instrument, token), 0):
                named[market.holding(token)] = size_e6
    return Balance(start_e6, cash_e6, named)


def _paid_e6(instrument: int, held: Held, marks: Marks, *, nets: bool) -> int:
    """What settling pays beyond the collateral of what was sold short; one payment a market, as the
    venues and the desk round it.
    """
    yes_e6, no_e6 = held.get((instrument, 0), 0), held.get((instrument, 1), 0)
    back_e6 = 0
    if nets and yes_e6 < 0:
        yes_e6, no_e6, back_e6 = 0, -yes_e6, yes_e6
    value_e6 = marks.yes_e6[instrument]
    return (yes_e6 * value_e6 + no_e6 * (E6 - value_e6)) // E6 + back_e6


def worth_e6(run: Run, marks: Marks, held_e6: Mapping[tuple[str, str], int]) -> int:
    """What named holdings are worth, with what is kept for contracts sold short."""
    places = {
        run.markets[instrument].holding(token): (instrument, token)
        for instrument in run.markets
        for token in (0, 1)
    }
    total_e6 = 0
    for name, size_e6 in held_e6.items():
        if name in places:  # what is not is told by name
            instrument, token = places[name]
            total_e6 += marks.worth_e6(instrument, 0 if run.markets[instrument].nets else token,
                                       size_e6)  # fmt: skip
            total_e6 += collateral_e6(run.markets[instrument], size_e6)
    return total_e6


def start_worth_e6(run: Run, marks: Marks) -> int:
    """What was held at the start, by the same marks."""
    return sum(
        marks.worth_e6(instrument, token, size_e6) + collateral_e6(run.markets[instrument], size_e6)
        for (instrument, token), size_e6 in held_of(run)[0].items()
    )


def differences(run: Run, balance: Balance, books: Books) -> Iterator[str]:
    """Everything in which the two do not agree, by name."""
    if books.start_e6 is not None:
        yield from _apart("cash at the start", balance.start_e6, books.start_e6, books.source)
    yield from _apart("cash", balance.cash_e6, books.cash_e6, books.source)
    yield from _apart("held", balance.held_e6, books.held_e6, books.source)
    if books.orders is None:
        return
    keys = set()
    for work, order in run.orders():
        keys.add(order.key)
        booked, told = order.booked(), books.orders.get(order.key, {})
        for name in ("filled_e6", "notional_e6", "fee_e6"):
            ours_e6, theirs_e6 = getattr(booked, name), told.get(name, 0)
            if ours_e6 != theirs_e6:
                yield (
                    f"order {order.key} of intent {work.intent.id}: {name} explained"
                    f" {ours_e6}, {books.source} say {theirs_e6}"
                )
    for key in books.orders.keys() - keys:
        yield f"order {key}: known to {books.source}, not journalled"


def _apart(
    what: str, ours: Mapping[Any, int], theirs: Mapping[Any, int], source: str
) -> Iterator[str]:
    for name in sorted({*ours, *theirs}, key=str):
        here_e6, there_e6 = ours.get(name, 0), theirs.get(name, 0)
        if here_e6 != there_e6:
            yield (
                f"{what} {name[0]} {name[1]}: explained {here_e6}e-6, {source} say {there_e6}e-6"
            )
