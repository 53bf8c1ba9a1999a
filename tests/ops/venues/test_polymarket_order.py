"""What a posted order must look like: signature, owner, precision."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from ops.venues import signatures
from ops.venues.polymarket_order import (
    OrderError,
    Posted,
    Signer,
    check_amounts,
    check_price,
    read_fields,
    read_order,
)
from tests.conftest import reference
from tests.ops.venues.rig import (
    MARKETS,
    TOKEN_YES,
    P,
    e6,
    poly_order,
)
from tests.ops.venues.test_polymarket_desk import Desk


def test_recorded_orders_of_every_wallet_type_are_read_and_v1_is_refused() -> None:
    path = reference("fixtures/polymarket/signing_vectors.json")
    found = json.loads(path.read_text())
    read = set()
    for row in found["orders"]:
        if row["domain"]["version"] != "2" or row["chain_id"] != 137:
            continue
        order = row["order"]
        spec = replace(
            MARKETS[P],
            token_yes=order["tokenId"],
            neg_risk=row["domain"]["verifyingContract"] == signatures.NEG_RISK_EXCHANGE,
            price_ranges=((0, 1_000_000, e6(row["inputs"]["tick"])),),
        )
        desk = Desk()
        market = type(desk.venue.by_token[TOKEN_YES])(spec, 0)
        signer = Signer(address=row["signer_address"].lower(), funder=row["funder"].lower())
        for body in (row["post_body"], row["post_body_polymarket_client"]):
            parsed = json.loads(body)
            parsed["orderType"] = "GTC" if parsed["orderType"] in ("FAK", "FOK") else "GTD"
            posted = read_order(
                parsed, {order["tokenId"]: market}, api_key=parsed["owner"], signer=signer
            )
            assert posted.order_id == row["expected_order_id"]
        read.add(order["signatureType"])
    assert read == {0, 1, 2, 3}
    with pytest.raises(OrderError, match="order_version_mismatch"):
        read_fields({"order": found["legacy_v1"][0]["order"]})


def test_recorded_amounts_pass_the_precision_rules_exactly_where_the_venue_lets_them() -> None:
    path = reference("fixtures/polymarket/amounts_fees_books.json")
    desk = Desk()
    checked = 0
    for row in json.loads(path.read_text())["amounts"]:
        spec = replace(MARKETS[P], price_ranges=((0, 1_000_000, e6(row["tick"])),), size_min_e6=0)
        market = type(desk.venue.by_token[TOKEN_YES])(spec, 0)
        posted = Posted(
            order_id="0x",
            market=market,
            token=TOKEN_YES,
            outcome=0,
            is_buy=row["side"] == "BUY",
            maker="",
            maker_amount_e6=int(row["makerAmount"]),
            taker_amount_e6=int(row["takerAmount"]),
            order_type="GTC",
            post_only=False,
            expiration_s=0,
        )
        rules = {"FAK": row.get("venue_precision_ok_if_fak_or_fok", row.get("venue_precision_ok"))}
        rules["GTC"] = row.get("venue_precision_ok_gtc_gtd")
        for order_type, is_fine in rules.items():
            if not isinstance(is_fine, bool):
                continue
            checked += 1
            try:
                check_amounts(replace(posted, order_type=order_type))
                check_price(replace(posted, order_type=order_type))
                passed = True
            except OrderError:
                passed = False
            assert passed == is_fine, (order_type, row)
    assert checked > 40


def test_a_foreign_key_owner_or_wallet_is_refused() -> None:
    desk = Desk()
    other = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
    assert desk.refusal(buy=True, maker="5.2", taker="10", key=other) == "invalid signature"
    body = poly_order(buy=True, maker="5.2", taker="10")
    with pytest.raises(OrderError, match="owner of the API KEY"):
        desk.read({**body, "owner": "someone"})
    body["order"]["maker"] = "0x" + "12" * 20
    with pytest.raises(OrderError, match="deposit wallet flow"):
        desk.read(body)
