"""The official `kalshi-python-sync` at a Kalshi that is told to it: every call a trader makes.

Runs under the client's own Python (3.13). `retries=0`: a refusal is an answer, not to be tried
again.
"""

from __future__ import annotations

from typing import Any

from kalshi_python_sync import Configuration, KalshiClient
from kalshi_python_sync.exceptions import OpenApiException
from witness import Witness, told


def caught_up(witness: Witness, client: KalshiClient, label: str, written: Any) -> None:
    """Wait until the venue says that its reads have seen this write: they lag behind."""
    if written is None:
        return
    witness.until(
        label,
        lambda told: told.as_of_time.timestamp() * 1000 >= written.ts_ms,
        client.get_user_data_timestamp,
    )


class Trader:
    """Orders by one client on one market."""

    def __init__(self, witness: Witness, client: KalshiClient, ticker: str, prefix: str) -> None:
        self.witness = witness
        self.client = client
        self.ticker = ticker
        self._prefix = prefix
        self._count = 0

    def fields(self, side: str, price: str, count: str, **more: Any) -> dict[str, Any]:
        """A create, good till canceled unless `more` says otherwise."""
        self._count += 1
        return {
            "ticker": self.ticker,
            "client_order_id": f"{self._prefix}-{self._count}",
            "side": side,
            "price": price,
            "count": count,
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            **more,
        }

    def create(self, label: str, side: str, price: str, count: str, **more: Any) -> Any:
        fields = self.fields(side, price, count, **more)
        return self.witness.call(label, self.client.create_order_v2, **fields)


def reads(witness: Witness, client: KalshiClient, given: dict[str, Any]) -> None:
    call, ticker = witness.call, given["ticker"]
    call("get_exchange_status", client.get_exchange_status)
    call("get_exchange_schedule", client.get_exchange_schedule)
    call("get_user_data_timestamp", client.get_user_data_timestamp)
    call("get_account_api_limits", client.get_account_api_limits)
    call("get_account_endpoint_costs", client.get_account_endpoint_costs)
    call("get_markets", client.get_markets, status="open", limit=10)
    market = call("get_market", client.get_market, ticker)
    call("get_event", client.get_event, market.market.event_ticker)
    call("get_market_orderbook", client.get_market_orderbook, ticker)
    call("get_market_orderbook depth 1", client.get_market_orderbook, ticker, depth=1)
    both = [ticker, given["shard2"]]
    call("get_market_orderbooks", client.get_market_orderbooks, both)
    call("get_trades", client.get_trades, ticker=ticker, limit=10)
    call("get_series", client.get_series, given["series"])
    call("get_series_list", client.get_series_list)
    call("get_events", client.get_events, limit=10)
    call("get_series_fee_changes", client.get_series_fee_changes)
    day_s, now_s = 86_400, given["begin_s"]
    candles = client.get_market_candlesticks
    call("get_market_candlesticks", candles, given["series"], ticker, now_s - day_s, now_s + day_s,
         60)  # fmt: skip
    call("get_market unknown", client.get_market, "KXNOSUCH-1")


def orders(witness: Witness, client: KalshiClient, given: dict[str, Any]) -> None:
    call, ticker = witness.call, given["ticker"]
    trader = Trader(witness, client, ticker, "judge")
    resting = trader.create("create resting", "bid", "0.4000", "10.00")
    order_id = resting.order_id
    caught_up(witness, client, "reads have seen the create", resting)
    call("get_order", client.get_order, order_id)
    again = {"ticker": ticker, "side": "bid"}
    call("amend_order_v2", client.amend_order_v2, order_id, **again, price="0.4100", count="8.00")
    call("decrease_order_v2 by", client.decrease_order_v2, order_id, reduce_by="2.00")
    less = call("decrease_order_v2 to", client.decrease_order_v2, order_id, reduce_to="3.00",
                market_ticker=ticker)  # fmt: skip
    caught_up(witness, client, "reads have seen the decrease", less)
    call("get_order_queue_position", client.get_order_queue_position, order_id)
    call("get_order_queue_positions", client.get_order_queue_positions, market_tickers=ticker)
    call("get_portfolio_resting_order_total_value",
         client.get_portfolio_resting_order_total_value)  # fmt: skip
    call("get_orders resting", client.get_orders, ticker=ticker, status="resting")
    call("cancel_order_v2", client.cancel_order_v2, order_id, market_ticker=ticker)
    call("cancel_order_v2 again", client.cancel_order_v2, order_id, market_ticker=ticker)
    now = {"time_in_force": "immediate_or_cancel"}
    trader.create("create IOC filled", "bid", "0.5500", "25.00", **now)
    trader.create("create IOC ask", "ask", "0.4700", "5.50", **now)
    trader.create("create IOC unfilled", "bid", "0.0100", "1.00", **now)
    trader.create("create FOK", "bid", "0.6000", "3000.00", time_in_force="fill_or_kill")
    trader.create("create off the grid", "bid", "0.4050", "1.00")
    trader.create("create again", "bid", "0.4000", "1.00", client_order_id="judge-1")
    trader.create("create too dear", "bid", "0.4000", "90000.00")
    trader.create("create post-only", "bid", "0.6000", "1.00", post_only=True)
    rows = [trader.fields("bid", price, "1.00") for price in ("0.3000", "0.3100", "0.3050")]
    batch = call("batch_create_orders_v2", client.batch_create_orders_v2, orders=rows)
    made = [row.order_id for row in batch.orders if row.order_id] if batch else []
    named = [{"order_id": one, "market_ticker": ticker} for one in made]
    call("batch_cancel_orders_v2", client.batch_cancel_orders_v2, orders=named)
    other = Trader(witness, client, given["shard2"], "shard")
    crypto = other.create("create on shard 2", "ask", "0.9000", "5.00", exchange_index=2)
    call("cancel on shard 0", client.cancel_order_v2, crypto.order_id)
    call("cancel on shard 2", client.cancel_order_v2, crypto.order_id, exchange_index=2)


def groups(witness: Witness, client: KalshiClient, given: dict[str, Any]) -> None:
    call = witness.call
    made = call("create_order_group", client.create_order_group, contracts_limit=10)
    group = made.order_group_id if made else "none"
    trader = Trader(witness, client, given["ticker"], "group")
    trader.create("create in group", "bid", "0.2000", "5.00", order_group_id=group)
    call("get_order_groups", client.get_order_groups)
    call("get_order_group", client.get_order_group, group)
    limit = client.update_order_group_limit
    call("update_order_group_limit", limit, group, contracts_limit=20)
    call("trigger_order_group", client.trigger_order_group, group)
    trader.create("create in a triggered group", "bid", "0.2000", "5.00", order_group_id=group)
    call("reset_order_group", client.reset_order_group, group)
    trader.create("create after the reset", "bid", "0.2000", "5.00", order_group_id=group)
    call("delete_order_group", client.delete_order_group, group)
    last = trader.create("create the last", "bid", "0.0100", "1.00",
                         time_in_force="immediate_or_cancel")  # fmt: skip
    caught_up(witness, client, "reads have seen all", last)


def ends(witness: Witness, client: KalshiClient, given: dict[str, Any]) -> None:
    call, ticker = witness.call, given["ticker"]
    call("get_fills", client.get_fills, ticker=ticker)
    call("get_positions", client.get_positions, ticker=ticker)
    call("get_settlements", client.get_settlements)
    call("get_trades after", client.get_trades, ticker=ticker, limit=10)
    call("get_orders", client.get_orders, ticker=ticker)
    call("get_balance after", client.get_balance)
    call("cancel_all_orders", client.cancel_all_orders)
    move = client.intra_exchange_instance_transfer
    call("intra_exchange_instance_transfer", move, source="event_contract",
         destination="event_contract", amount=50_000, source_exchange_shard=0,
         destination_exchange_shard=2)  # fmt: skip
    call("get_intra_exchange_instance_transfers", client.get_intra_exchange_instance_transfers)


def main() -> None:
    given = told()
    witness = Witness(OpenApiException)
    where = f"https://127.0.0.1:{given['rest']}/trade-api/v2"
    config = Configuration(host=where, ssl_ca_cert=given["ca"], retries=0)
    config.api_key_id = given["key_id"]
    config.private_key_pem = given["pem"]
    client = KalshiClient(config)
    witness.call("get_balance", client.get_balance)
    if given["short"]:
        trader = Trader(witness, client, given["ticker"], "short")
        made = trader.create("create resting", "bid", "0.4000", "10.00")
        if made:
            cancel = client.cancel_order_v2
            witness.call("cancel_order_v2", cancel, made.order_id, exchange_index=0)
    else:
        reads(witness, client, given)
        orders(witness, client, given)
        groups(witness, client, given)
        ends(witness, client, given)
    witness.tell()


main()
