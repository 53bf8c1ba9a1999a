"""What settled markets pay is booked from the value their feed tells, and journalled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.accounts import Accounts
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
        paid_e6 = accounts.settle(instrument, value_e6)
        if not (position.yes_e6 or position.no_e6):
            continue
        event = accounts.markets[instrument].event
        accounts.cash[accounts.markets[instrument].account].paid_ns = now_ns
        note({
            "k": "settle", "instrument": instrument, "generation": generation, "value": value_e6,
            "yes": position.yes_e6, "no": position.no_e6, "paid": paid_e6, "ns": now_ns,
            "event": event, "event_e6": accounts.settled_e6(event),
        })  # fmt: skip
        reports.account(instrument, accounts, now_ns)  # also of what paid nothing: it is gone
