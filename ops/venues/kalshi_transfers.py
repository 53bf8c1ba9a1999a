"""Cash from one Kalshi shard to another: accepted at once, carried out a little later.

POST /portfolio/intra_exchange_instance_transfer takes CENTI-cents and is asynchronous (SDK 3.34.0;
public note on sharding of 2026-08-13). How long it takes is not told: here half a second.
"""

from __future__ import annotations

from typing import Any

from ops.venues.kalshi_account import KalshiAccount
from ops.venues.kalshi_order_body import flat
from ops.venues.kalshi_reads import KalshiReads
from ops.venues.kalshi_reply import Reply, refuse
from ops.venues.numerals import SECOND_NS, dollars4
from ops.venues.session import Ids, RunClock

DELAY_NS = 500_000_000
CENTI_CENT_E6 = 100
EVENT_CONTRACT = "event_contract"


class KalshiTransfers:
    """Transfers of one account."""

    def __init__(
        self, *, account: KalshiAccount, reads: KalshiReads, ids: Ids, clock: RunClock
    ) -> None:
        self._account = account
        self._reads = reads
        self._ids = ids
        self._clock = clock
        self._due: list[tuple[int, int, int, int, dict[str, Any]]] = []

    def ask(self, body: Any) -> Reply:
        """200 with the id; the money moves later, or stays pending if it was spent meanwhile."""
        if not isinstance(body, dict):
            return Reply(400, flat("invalid character looking for beginning of value"), "bad")
        amount, source, destination = (
            body.get(name, default)
            for name, default in (
                ("amount", -1),
                ("source_exchange_shard", 0),
                ("destination_exchange_shard", 0),
            )
        )
        is_whole = all(type(number) is int for number in (amount, source, destination))
        kinds = {body.get("source"), body.get("destination")}
        if not is_whole or amount <= 0 or kinds != {EVENT_CONTRACT}:
            return Reply(400, flat("source, destination and amount are needed"), "bad")
        amount_e6 = amount * CENTI_CENT_E6
        if amount_e6 > self._account.free_e6(source):
            return refuse(400, "insufficient_balance")
        row = {
            "transfer_id": self._ids.new("transfer"),
            "source_exchange_shard": source,
            "destination_exchange_shard": destination,
            "source": EVENT_CONTRACT,
            "destination": EVENT_CONTRACT,
            "amount": dollars4(amount_e6),
            "status": "pending",
            "created_ts": self._clock.run_ns() // SECOND_NS,
        }
        self._reads.transfer(row)
        due_ns = self._clock.mono_ns() + DELAY_NS
        self._due.append((due_ns, source, destination, amount_e6, row))
        return Reply(200, {"transfer_id": row["transfer_id"]}, "accepted")

    def pass_time(self) -> None:
        """Carry out what is due."""
        if not self._due:
            return
        now_ns = self._clock.mono_ns()
        for _, source, destination, amount_e6, row in [t for t in self._due if t[0] <= now_ns]:
            if self._account.transfer(source, destination, amount_e6):
                self._reads.transfer({**row, "status": "complete"})
                self._reads.balance()
        self._due = [transfer for transfer in self._due if transfer[0] > now_ns]
