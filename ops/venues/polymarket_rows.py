"""Rows of a match as the simulated Polymarket shows them: who took part, and the trade itself.

REST rows and the user channel differ in details seen in captures of 2026: the channel's maker rows
carry `outcome_index` and a fee rate of "0", REST's neither; no hash is "" here and null there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ops.venues.book import Take, unit_cost_e6
from ops.venues.numerals import MS_NS, ONE_E6, SECOND_NS, plain
from ops.venues.polymarket_order import Posted


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterparty:
    """One end of a match: an order of ours, or someone else's."""

    order_id: str
    owner: str
    address: str
    is_buy: bool
    outcome: int
    outcome_name: str
    token: str
    price_e6: int
    size_e6: int

    def maker_row(self) -> dict[str, Any]:
        """An entry of a REST trade's `maker_orders`."""
        return {
            "order_id": self.order_id,
            "owner": self.owner,
            "maker_address": self.address,
            "matched_amount": plain(self.size_e6),
            "price": plain(self.price_e6),
            "fee_rate_bps": "",
            "asset_id": self.token,
            "outcome": self.outcome_name,
            "side": "BUY" if self.is_buy else "SELL",
        }


def other_party(posted: Posted, take: Take, name: str, *, is_complement: bool) -> Counterparty:
    """Someone else in a match with us. On our token they are on the other side; on the opposite
    token on the same side, at one minus the price. `name` is a UUID.
    """
    digits = name.replace("-", "")
    outcome = 1 - posted.outcome if is_complement else posted.outcome
    price_e6 = unit_cost_e6(take.price_e6, posted.is_no)
    return Counterparty(
        order_id="0x" + digits * 2,
        owner=name,
        address="0x" + digits + "00000000",
        is_buy=posted.is_buy == is_complement,
        outcome=outcome,
        outcome_name=posted.market.outcomes[outcome],
        token=posted.market.tokens[outcome],
        price_e6=ONE_E6 - price_e6 if is_complement else price_e6,
        size_e6=take.size_e6,
    )


def trade_row(
    *,
    trade_id: str,
    taker: Counterparty,
    makers: list[Counterparty],
    market: str,
    trader_side: str,
    run_ns: int,
) -> dict[str, Any]:
    """A row of GET /data/trades. The top level is the taker, whoever we are."""
    seconds = str(run_ns // SECOND_NS)
    return {
        "id": trade_id,
        "taker_order_id": taker.order_id,
        "market": market,
        "asset_id": taker.token,
        "side": "BUY" if taker.is_buy else "SELL",
        "size": plain(taker.size_e6),
        "fee_rate_bps": "0",
        "price": plain(taker.price_e6),
        "status": "MATCHED",
        "match_time": seconds,
        "last_update": seconds,
        "outcome": taker.outcome_name,
        "bucket_index": 0,
        "owner": taker.owner,
        "maker_address": taker.address,
        "maker_orders": [maker.maker_row() for maker in makers],
        "transaction_hash": "",
        "trader_side": trader_side,
        "error_msg": None,
    }


def trade_event(row: dict[str, Any], owner: str, tokens: tuple[str, str], run_ns: int) -> Any:
    """The `trade` event of the user channel for a row."""
    event = {
        "event_type": "trade",
        "type": "TRADE",
        **row,
        "maker_orders": [
            {**maker, "fee_rate_bps": "0", "outcome_index": tokens.index(maker["asset_id"])}
            for maker in row["maker_orders"]
        ],
        "trade_owner": owner,
        "transaction_hash": row["transaction_hash"] or None,
        "timestamp": str(run_ns // MS_NS),
    }
    del event["error_msg"]
    return event
