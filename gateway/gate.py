"""The gateway's own word on trading: lowered by itself, lifted only by an operator.

A HALT outlives the process that raised it: a successor finds the state and the reason in the
segment and keeps both, whatever its own reconciliation says, until an operator resumes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from gateway.order import Order
from gateway.reports import Reports
from shm_layout import ACTIVE, BUY, HALTED, REASONS, VENUES, reason

STARTING, UNKNOWN = reason("halted"), reason("unknown_outcome")
log = logging.getLogger("gateway")


class Gate:
    """`held`: the reason of a HALT that only an operator lifts; 0: none."""

    def __init__(self, reports: Reports, clock: Callable[[], int]) -> None:
        self._reports, self._clock = reports, clock
        why = reports.gate_now()  # nothing holds a gate that is open, or was never shut
        self.held = why if why != STARTING else 0
        reports.gate(HALTED, self.held or STARTING, clock())

    def halt(self, why: int, text: str) -> None:
        """No new intent until an operator resumes."""
        log.error("alert: gateway: HALT: %s", text)  # the mark: shown as an event
        self._reports.count("halts")
        self.held = why
        self._reports.gate(HALTED, why, self._clock())

    def gone(self, order: Order, more_e6: int) -> None:
        """A trade of a market that was paid out and forgotten failed, or came only now; or its
        partner is alone for that."""
        side = "bought" if order.side == BUY else "sold"
        self.halt(
            UNKNOWN,
            f"{VENUES[order.venue]} order {order.key}: {more_e6}e-6 contracts {side} in a market"
            " that is over, or beside one: what is held there is not in our books",
        )

    def open(self, now_ns: int) -> None:
        """Reconciled: trade, unless something holds the gate down."""
        if self.held:
            log.error("HALT: stays, %s, until an operator resumes", REASONS[self.held])
            return
        self._reports.gate(ACTIVE, 0, now_ns)

    def resume(self, now_ns: int) -> None:
        """An operator has looked."""
        self.held = 0
        self._reports.gate(ACTIVE, 0, now_ns)
