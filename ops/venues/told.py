"""What the venues themselves say of a run, once it is over: every order request they read, what
each order filled, cash, holdings, and the faults they did.

A file of JSON that whoever checks a run afterwards can hold against the engine's own books. Money,
prices and contracts in 1e-6; stamps are the machine's monotonic ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import orjson

from ops.venues.kalshi_account import KalshiAccount
from ops.venues.numerals import parse_e6
from ops.venues.polymarket_account import PolymarketAccount
from ops.venues.session import VenueLog


@runtime_checkable
class HasAccount(Protocol):
    """A venue that trades with us."""

    def account(self) -> dict[str, Any]:
        """What it says we did and have."""
        ...


def kalshi(account: KalshiAccount) -> dict[str, Any]:
    """`orders` by client id, prices of YES; `start_e6`, `cash_e6` by shard; `held_e6` by ticker:
    signed, + YES; `settled_e6` by ticker: what YES paid.
    """
    return {
        "orders": {
            order.client_order_id: {
                "filled_e6": order.filled_e6, "open_e6": order.leaves_e6,
                "notional_e6": order.value_e6, "fee_e6": sum(order.fees_e6.values()),
            }
            for order in account.orders.values()
        },
        "start_e6": {str(shard): cash_e6 for shard, cash_e6 in account.start_e6.items()},
        "cash_e6": {str(shard): cash_e6 for shard, cash_e6 in account.cash_e6.items()},
        "held_e6": {
            ticker: position.net_e6
            for ticker, position in account.positions.items()
            if position.net_e6
        },
        "settled_e6": account.settled_e6,
    }  # fmt: skip


def polymarket(account: PolymarketAccount) -> dict[str, Any]:
    """`orders` by hash, of all that were accepted, prices of their token; `held_e6` and
    `settled_e6` by token.
    """
    orders = {}
    for key in account.seen:
        notional_e6, fee_e6 = account.amounts_e6.get(key, (0, 0))
        orders[key] = {
            "filled_e6": 0, "open_e6": 0, "notional_e6": notional_e6, "fee_e6": fee_e6
        }  # fmt: skip
    for key, order in account.open.items():
        orders[key]["open_e6"] = order.leaves_e6
    for row in account.trades.values():
        if row["status"] == "FAILED":
            continue
        size_e6 = parse_e6(row["size"])
        assert size_e6 is not None, row
        if row["taker_order_id"] in orders:
            orders[row["taker_order_id"]]["filled_e6"] += size_e6
        for maker in row["maker_orders"]:
            if maker["order_id"] in orders:
                matched_e6 = parse_e6(maker["matched_amount"])
                assert matched_e6 is not None, maker
                orders[maker["order_id"]]["filled_e6"] += matched_e6
    return {
        "orders": orders,
        "start_e6": {"0": account.start_e6},
        "cash_e6": {"0": account.cash_e6},
        "held_e6": {token: held_e6 for token, held_e6 in account.tokens_e6.items() if held_e6},
        "settled_e6": account.settled_e6,
    }


def write(path: Path, log: VenueLog, accounts: Mapping[str, dict[str, Any]]) -> None:
    """All of it into one file, replaced as a whole. Raises OSError."""
    found = {
        "reads": log.rows,
        "faults": [fault._asdict() for fault in log.faults],
        "accounts": dict(accounts),
    }
    half = path.with_suffix(".half")
    half.write_bytes(orjson.dumps(found))
    half.replace(path)
