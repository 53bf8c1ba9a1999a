"""The Data API in both versions, the relayer, and matches that settled on chain."""

from __future__ import annotations

from typing import Any

import pytest

from ops.venues.script import StatusChange
from ops.venues.signatures import POLY_1271
from tests.ops.venues.differences import fixture_rows
from tests.ops.venues.polymarket_office import SECOND, Office
from tests.ops.venues.rig import (
    ASKS,
    BIDS,
    POLY_ADDRESS,
    TOKEN_NO,
    TOKEN_YES,
    e6,
    levels,
)


def _traded() -> Office:
    office = Office()
    office.book(BIDS, ASKS)
    assert office.post(buy=True, maker="5.20", taker="10")[0] == 200
    office.advance(60 * SECOND)
    return office


def test_the_data_api_shows_what_an_account_holds_and_did_in_both_versions() -> None:
    office = _traded()
    (held,) = office.gamma("/positions", user=POLY_ADDRESS)
    assert (held["asset"], held["size"], held["avgPrice"]) == (TOKEN_YES, 10, 0.52)
    assert (held["oppositeAsset"], held["redeemable"]) == (TOKEN_NO, False)
    page = office.gamma("/v2/positions", user=POLY_ADDRESS)
    assert page["pagination"] == {"next_cursor": None, "has_more": False}
    assert (page["data"][0]["token_id"], page["data"][0]["current_size"]) == (TOKEN_YES, 10)
    assert page["data"][0]["status"] == "OPEN"
    (trade,) = office.gamma("/trades", user=POLY_ADDRESS)
    assert (trade["side"], trade["size"], trade["price"]) == ("BUY", 10, 0.52)
    assert trade["transactionHash"].startswith("0x")
    assert office.gamma("/v2/trades", user=POLY_ADDRESS)["data"][0]["token_id"] == TOKEN_YES
    assert office.gamma("/value", user=POLY_ADDRESS)[0]["value"] > 0
    office.apply(StatusChange(office.now_ns, 0, "finalized", e6("1")))
    kinds = [row["type"] for row in office.gamma("/activity", user=POLY_ADDRESS)]
    assert kinds == ["REDEEM", "TRADE"]
    assert office.gamma("/positions", user=POLY_ADDRESS) == []


def test_the_data_api_leaves_makers_out_unless_asked_and_strangers_empty() -> None:
    office = Office()
    office.quote("0.40", "0.60")
    office.post(buy=True, maker="5", taker="10", order_type="GTC")
    office.book(levels(("0.40", "10")), levels(("0.50", "10")))
    assert office.gamma("/trades", user=POLY_ADDRESS) == []
    (row,) = office.gamma("/trades", user=POLY_ADDRESS, takerOnly="false")
    assert (row["side"], row["size"]) == ("BUY", 10)
    assert office.gamma("/trades", user="0x" + "12" * 20) == []


def test_the_relayer_knows_the_wallets_of_known_owners() -> None:
    office = Office()
    wallets = office.venue.trader(POLY_ADDRESS.lower()).signer.wallets
    for address in (POLY_ADDRESS, *wallets[POLY_1271]):
        query = {"address": address, "type": "WALLET"}
        assert office.call("GET", "/deployed", query=query, headers={}) == (200, {"deployed": True})
    query = {"address": "0x" + "12" * 20}
    assert office.call("GET", "/deployed", query=query, headers={}) == (200, {"deployed": False})


# ---- settled on chain


CHAIN: Any = fixture_rows("onchain_fills.json") or {"match_orders": [], "order_filled": []}


@pytest.mark.skipif(not CHAIN["match_orders"], reason="the reference is not on this machine")
def test_matches_settled_on_chain_come_out_to_the_last_digit() -> None:
    for match in CHAIN["match_orders"]:
        taker = match["taker"]
        shares_e6 = sum(one["fill"] for one in match["makers"]) + taker["fill"]
        cents = taker["fill"] * 100 // shares_e6
        office = Office(cash_polymarket_e6=e6("10000"))
        office.quote("0.01", f"0.{cents:02d}", str(shares_e6 // 1_000_000))
        wanted = _money(taker["makerAmount"]), _money(taker["takerAmount"])
        order = {"maker": wanted[0], "taker": wanted[1], "order_type": "GTC"}
        _, answer = office.post(buy=True, **order)
        assert e6(answer["makingAmount"]) == taker["fill"]
        assert office.account.fees_e6 == taker["fee"], match["note"]
    for filled in CHAIN["order_filled"]:
        fill = filled["taker_fill"]
        office = Office(cash_polymarket_e6=e6("10000"))
        office.quote("0.01", "0.36", "108")
        _, answer = office.post(buy=True, maker="44.478", taker="123.55", order_type="GTC")
        found = e6(answer["makingAmount"]), e6(answer["takingAmount"])
        assert found == (fill["makerAmt"], fill["takerAmt"])
        assert office.account.fees_e6 == fill["fee"]


def _money(amount_e6: int) -> str:
    return f"{amount_e6 // 1_000_000}.{amount_e6 % 1_000_000:06d}"
