"""What settled markets pay is booked from the value their feed tells, and journalled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.accounts import Accounts
from gateway.holding import Position
from gateway.intake import Intake
from gateway.reports import Reports


def settle(
    accounts: Accounts,
    intake: Intake,
    reports: Reports,
    note: Callable[[dict[str, Any]], None],
    now_ns: int,
) -> None:
    """Every market that is held and has settled; an order in flight comes first. `note` journals a
    record.
    """
    for instrument in list(accounts.positions):
        generation = accounts.markets[instrument].generation
        value_e6 = intake.settlement_e6(instrument, generation)
        if value_e6 is None or accounts.open_e6(instrument):
            continue
        position = accounts.position(instrument)
        accounts.settle(instrument, value_e6)
        if not (position.yes_e6 or position.no_e6):
            continue
        accounts.cash[accounts.markets[instrument].account].paid_ns = now_ns
        note(record(accounts, instrument, position, value_e6, now_ns))
        reports.account(instrument, accounts, now_ns)  # also of what paid nothing: it is gone


def record(
    accounts: Accounts, instrument: int, position: Position, value_e6: int, now_ns: int
) -> dict[str, Any]:
    """The journal's, once it is booked: what paid, and how its event stands."""
    market = accounts.markets[instrument]
    return {
        "k": "settle", "instrument": instrument, "generation": market.generation,
        "value": value_e6, "yes": position.yes_e6, "no": position.no_e6,
        "paid": position.paid_e6(value_e6), "ns": now_ns,
        "event": market.event, "event_e6": accounts.settled_e6(market.event),
    }  # fmt: skip
