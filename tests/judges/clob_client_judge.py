"""The official `py-clob-client-v2` at a Polymarket that is told to it: keys, orders, reads.

Runs under the client's own Python. Its HTTP client is made at the import and takes the authority to
trust from SSL_CERT_FILE, which the test sets.
"""

from __future__ import annotations

import time
from typing import Any

from py_clob_client_v2.client import ClobClient
from py_clob_client_v2.clob_types import (
    BalanceAllowanceParams,
    BookParams,
    MarketOrderArgs,
    OpenOrderParams,
    OrderArgs,
    OrderMarketCancelParams,
    OrderPayload,
    OrderType,
    PartialCreateOrderOptions,
    PostOrdersV2Args,
    TradeParams,
)
from py_clob_client_v2.exceptions import PolyException
from witness import Witness, told


def reads(witness: Witness, client: ClobClient, given: dict[str, Any]) -> None:
    yes, no = given["tokens"]
    call = witness.call
    call("get_ok", client.get_ok)
    call("get_server_time", client.get_server_time)
    call("get_version", client.get_version)
    book = call("get_order_book yes", client.get_order_book, yes)
    call("book hash", client.get_order_book_hash, book)
    call("get_order_book no", client.get_order_book, no)
    call("get_order_books", client.get_order_books, [BookParams(yes), BookParams(no)])
    call("get_tick_size", client.get_tick_size, yes)
    call("get_neg_risk", client.get_neg_risk, yes)
    call("get_neg_risk of a neg-risk market", client.get_neg_risk, given["neg_tokens"][0])
    call("get_midpoint", client.get_midpoint, yes)
    call("get_spread", client.get_spread, yes)
    call("get_price", client.get_price, yes, "BUY")
    call("get_last_trade_price", client.get_last_trade_price, yes)
    call("get_market", client.get_market, given["condition"])
    call("get_clob_market_info", client.get_clob_market_info, given["condition"])
    call("get_api_keys", client.get_api_keys)
    call("get_closed_only_mode", client.get_closed_only_mode)


def balances(witness: Witness, client: ClobClient, given: dict[str, Any], when: str) -> None:
    shares = BalanceAllowanceParams(asset_type="CONDITIONAL", token_id=given["tokens"][0])
    money = BalanceAllowanceParams(asset_type="COLLATERAL")
    witness.call(f"collateral {when}", client.get_balance_allowance, money)
    witness.call(f"shares {when}", client.get_balance_allowance, shares)


class Trader:
    """Orders by one client on one token."""

    def __init__(self, witness: Witness, client: ClobClient, token: str) -> None:
        self.witness = witness
        self.client = client
        self.token = token

    def limit(
        self, label: str, price: float, size: float, side: str = "BUY", *, kind: str = "GTC",
        expiration: int = 0, post_only: bool = False, token: str = "",
    ) -> Any:  # fmt: skip
        args = OrderArgs(
            token_id=token or self.token, price=price, size=size, side=side, expiration=expiration
        )
        place = self.client.create_and_post_order
        return self.witness.call(label, place, args, order_type=kind, post_only=post_only)

    def market(
        self, label: str, amount: float, side: str = "BUY", *, kind: str = "FAK", price: float = 0
    ) -> Any:
        args = MarketOrderArgs(
            token_id=self.token, amount=amount, side=side, price=price, order_type=kind
        )
        place = self.client.create_and_post_market_order
        return self.witness.call(label, place, args, order_type=kind)


def orders(witness: Witness, client: ClobClient, given: dict[str, Any]) -> None:
    call, token = witness.call, given["tokens"][0]
    trader = Trader(witness, client, token)
    resting = trader.limit("GTC buy", 0.40, 10)
    order_id = resting["orderID"]
    call("get_order", client.get_order, order_id)
    call("open orders", client.get_open_orders, OpenOrderParams(asset_id=token))
    call("cancel_order", client.cancel_order, OrderPayload(orderID=order_id))
    call("get_order after", client.get_order, order_id)
    trader.market("FAK buy", 10.4)
    trader.market("FOK refused", 100, kind=OrderType.FOK, price=0.53)
    trader.market("FOK buy", 10.6, kind=OrderType.FOK, price=0.53)
    trader.market("FAK sell", 5, "SELL")
    trader.limit("GTC sell that takes", 0.46, 10, "SELL")
    trader.limit("post-only that crosses", 0.60, 10, post_only=True)
    trader.limit("too small", 0.40, 1)
    trader.limit("GTD buy", 0.41, 10, kind=OrderType.GTD, expiration=int(time.time()) + 600)
    trader.limit("neg-risk buy", 0.41, 10, token=given["neg_tokens"][0])
    wrong = PartialCreateOrderOptions(tick_size="0.01", neg_risk=True)
    args = OrderArgs(token_id=token, price=0.40, size=10, side="BUY")
    call("signed for the other exchange", client.create_and_post_order, args, wrong)
    signed = [
        client.create_order(OrderArgs(token_id=token, price=price, size=10, side="BUY"))
        for price in (0.42, 0.43)
    ]
    batch = [PostOrdersV2Args(order=order, orderType=OrderType.GTC) for order in signed]
    posted = call("post_orders", client.post_orders, batch)
    call("the same again", client.post_order, signed[0])
    call("four open", client.get_open_orders)
    market = OrderMarketCancelParams(market=given["neg_condition"])
    call("cancel_market_orders", client.cancel_market_orders, market)
    call("cancel_orders", client.cancel_orders, [posted[0]["orderID"]])
    call("cancel_all", client.cancel_all)
    call("none open", client.get_open_orders)
    call("trades", client.get_trades, TradeParams(asset_id=token))


def second_protocol(witness: Witness, client: ClobClient, asset: str) -> None:
    """A position id: signed for Exchange V3."""
    args = MarketOrderArgs(position_id=asset, amount=5.2, side="BUY", order_type=OrderType.FAK)
    place = client.create_and_post_market_order
    witness.call("second-protocol buy", place, args, order_type=OrderType.FAK)


def keys(witness: Witness, client: ClobClient) -> None:
    made = witness.call("create_api_key", client.create_api_key)
    witness.call("derive_api_key", client.derive_api_key)
    client.set_api_creds(made)


def heartbeats(witness: Witness, client: ClobClient) -> None:
    first = witness.call("heartbeat", client.post_heartbeat)
    beat = first["heartbeat_id"] if first else ""
    witness.call("next heartbeat", client.post_heartbeat, beat)
    witness.call("stale heartbeat", client.post_heartbeat, beat)


def main() -> None:
    given = told()
    witness = Witness(PolyException)
    client = ClobClient(
        f"https://127.0.0.1:{given['rest']}",
        137,
        key=given["key"],
        signature_type=given["type"],
        funder=given["wallet"],
    )
    keys(witness, client)
    if given["short"]:
        trader = Trader(witness, client, given["tokens"][0])
        trader.limit("GTC buy", 0.40, 10)
        trader.market("FAK buy", 5)
        witness.call("cancel_all", client.cancel_all)
        balances(witness, client, given, "after")
    else:
        reads(witness, client, given)
        balances(witness, client, given, "before")
        orders(witness, client, given)
        balances(witness, client, given, "after")
        second_protocol(witness, client, given["positions"][0])
        heartbeats(witness, client)
    witness.tell()


main()
