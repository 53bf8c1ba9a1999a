"""The official `polymarket-client` at a Polymarket that is told to it: keys, orders, reads.

Runs under the client's own Python. All of its addresses point at the venue of the test.
"""

from __future__ import annotations

import time
from decimal import Decimal
from itertools import islice
from typing import Any

from polymarket import SecureClient
from polymarket.errors import PolymarketError
from simulated import environment
from witness import Witness, told


def rows(paginator: Any) -> list[Any]:
    """All rows of the first pages."""
    return [row for page in islice(paginator, 5) for row in page.items]


def reads(witness: Witness, client: SecureClient, given: dict[str, Any]) -> None:
    yes, no = given["tokens"]
    call = witness.call
    call("get_market", client.get_market, slug=given["slug"])
    call("list_markets", lambda: rows(client.list_markets(closed=False)))
    call("list_events", lambda: rows(client.list_events(closed=False)))
    call("get_order_book yes", client.get_order_book, token_id=yes)
    call("get_order_book no", client.get_order_book, token_id=no)
    call("get_midpoint", client.get_midpoint, token_id=yes)
    call("get_spread", client.get_spread, token_id=yes)
    call("get_price BUY", client.get_price, token_id=yes, side="BUY")
    call("get_closed_only_mode", client.get_closed_only_mode)
    call("fetch_api_keys", client.fetch_api_keys)


def balances(witness: Witness, client: SecureClient, given: dict[str, Any], when: str) -> None:
    ask = client.get_balance_allowance
    witness.call(f"collateral {when}", ask, asset_type="COLLATERAL")
    witness.call(f"shares {when}", ask, asset_type="CONDITIONAL", token_id=given["tokens"][0])


def orders(witness: Witness, client: SecureClient, given: dict[str, Any]) -> None:
    token, call = given["tokens"][0], witness.call
    limit, market = client.place_limit_order, client.place_market_order
    resting = call("GTC buy", limit, token_id=token, price="0.40", size="10", side="BUY")
    call("get_order", client.get_order, order_id=resting.order_id)
    call("open orders", lambda: rows(client.list_open_orders(token_id=token)))
    call("cancel_order", client.cancel_order, order_id=resting.order_id)
    call("cancel_order again", client.cancel_order, order_id=resting.order_id)
    taken = call("FAK buy", market, token_id=token, side="BUY", amount="10.40")
    call("settlement", client.wait_for_order_fill_settlement, taken, timeout_s=20)
    call("FOK refused", market, token_id=token, side="BUY", amount="100", max_price="0.53",
         order_type="FOK")  # fmt: skip
    call("FAK sell", market, token_id=token, side="SELL", shares="5")
    call("post-only that crosses", limit, token_id=token, price="0.60", size="10", side="BUY",
         post_only=True)  # fmt: skip
    call("off the tick", limit, token_id=token, price="0.405", size="10", side="BUY")
    life_s = int(time.time()) + 600
    call("GTD buy", limit, token_id=token, price="0.41", size="10", side="BUY", expiration=life_s)
    signed = [
        client.create_limit_order(token_id=token, price=Decimal(price), size=10, side="BUY")
        for price in ("0.42", "0.43")
    ]
    call("post_orders", client.post_orders, signed)
    call("the same again", client.post_order, signed[0])
    call("three open", lambda: rows(client.list_open_orders()))
    call("neg-risk buy", limit, token_id=given["neg_tokens"][0], price="0.40", size=10, side="BUY")
    call("cancel_market_orders", client.cancel_market_orders, market=given["neg_condition"])
    call("cancel_all", client.cancel_all)
    call("none open", lambda: rows(client.list_open_orders()))
    call("account trades", lambda: rows(client.list_account_trades(token_id=token)))


def second_protocol(witness: Witness, client: SecureClient, asset: str) -> None:
    """Position ids: the client signs for Exchange V3 by itself."""
    call, place = witness.call, client.place_market_order
    call("second-protocol buy", place, asset_id=asset, side="BUY", amount="5.20")
    ask = client.get_balance_allowance
    call("second-protocol shares", ask, asset_type="CONDITIONAL-V2", asset_id=asset)


def holdings(witness: Witness, client: SecureClient) -> None:
    """What the Data API knows of the wallet."""
    call = witness.call
    call("positions", lambda: rows(client.list_positions()))
    call("portfolio value", client.get_portfolio_value)
    call("activity", lambda: rows(client.list_activity()))
    call("public trades", lambda: rows(client.list_trades()))


def heartbeats(witness: Witness, client: SecureClient) -> None:
    first = witness.call("heartbeat", client.send_order_heartbeat)
    beat = first.heartbeat_id if first else ""
    witness.call("next heartbeat", client.send_order_heartbeat, heartbeat_id=beat)
    witness.call("stale heartbeat", client.send_order_heartbeat, heartbeat_id=beat)


def main() -> None:
    given = told()
    witness = Witness(PolymarketError)
    client = SecureClient.create(
        private_key=given["key"], wallet=given["wallet"], environment=environment(given)
    )
    witness.note("create", {"credentials": client.credentials, "type": client.wallet_type})
    if given["short"]:
        token = given["tokens"][0]
        place = client.place_limit_order
        witness.call("GTC buy", place, token_id=token, price="0.40", size="10", side="BUY")
        witness.call("FAK buy", client.place_market_order, token_id=token, side="BUY", amount=5)
        witness.call("cancel_all", client.cancel_all)
        balances(witness, client, given, "after")
    else:
        reads(witness, client, given)
        balances(witness, client, given, "before")
        orders(witness, client, given)
        balances(witness, client, given, "after")
        holdings(witness, client)
        second_protocol(witness, client, given["positions"][0])
        heartbeats(witness, client)
    client.close()
    witness.tell()


main()
