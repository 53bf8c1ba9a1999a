"""Our digests and signatures against both official clients' and hashes seen on the chain."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.eip712 import EXCHANGE, EXCHANGE_V3, NEG_RISK_EXCHANGE, Order, OrderSigner
from gateway.order_body import post_body
from gateway.pool import PoolParams
from gateway.signing import OrderFields
from tests.gateway.signing_kit import rows_of, vectors

FOUND = vectors("polymarket/signing_vectors.json")
OWNER = "9180014b-33c8-9240-a14b-bdca11c0a465"
CONTRACTS = (EXCHANGE, NEG_RISK_EXCHANGE, EXCHANGE_V3)
ANY_KEY = bytes.fromhex("22" * 32)


def signer_of(row: dict[str, Any]) -> OrderSigner:
    order = row["order"]
    funder = None if order["signatureType"] == 0 else order["maker"]
    return OrderSigner(
        bytes.fromhex(row["private_key"][2:]), chain_id=row["chain_id"], funder=funder,
        signature_type=order["signatureType"], builder=bytes.fromhex(order["builder"][2:]),
    )  # fmt: skip


def order_of(row: dict[str, Any]) -> Order:
    order = row["order"]
    names = ("salt", "tokenId", "makerAmount", "takerAmount", "side", "timestamp")
    return Order(*(int(order[name]) for name in names))


def exchange_of(row: dict[str, Any]) -> int:
    return CONTRACTS.index(row["domain"]["verifyingContract"])


@pytest.mark.parametrize("row", rows_of(FOUND, "orders"))
def test_an_order_is_signed_bit_for_bit_as_both_official_clients_do(row: dict[str, Any]) -> None:
    signer = signer_of(row)
    digest, signature = signer.sign(order_of(row), exchange=exchange_of(row))
    assert signer.address == row["signer_address"]
    assert "0x" + digest.hex() == row["order_hash"] == row["expected_order_id"]
    assert "0x" + signature.hex() == row["signature"]
    assert len(signature) == (317 if row["order"]["signatureType"] == 3 else 65)
    assert signer.digest(order_of(row), exchange=exchange_of(row)) == digest


@pytest.mark.parametrize("client", ["post_body", "post_body_polymarket_client"])
@pytest.mark.parametrize("row", rows_of(FOUND, "orders"))
def test_the_body_is_what_the_official_clients_post(row: dict[str, Any], client: str) -> None:
    wanted = json.loads(row[client])
    signer, order = signer_of(row), order_of(row)
    _, signature = signer.sign(order, exchange=exchange_of(row))
    params = PoolParams(
        maker=signer.maker, signer=signer.signer, owner=OWNER, signature_type=signer.signature_type
    )
    fields = OrderFields(
        instrument=0, generation=0, side=order.side, price_e6=0, size_e6=0, token=0, tick_epoch=0,
        maker_e6=order.maker_e6, taker_e6=order.taker_e6, salt=order.salt, stamp_ms=order.stamp_ms,
    )  # fmt: skip
    body = post_body(
        fields, order.token_id, signature, params, order_type=wanted["orderType"],
        expiration_s=int(row["expiration_not_signed"]), post_only=wanted.get("postOnly", False),
        builder=row["order"]["builder"],
    )  # fmt: skip
    if client == "post_body":
        assert body.decode() == row[client]
    else:  # the same order with other key order, and postOnly only where true
        assert json.loads(body) | wanted == json.loads(body)


@pytest.mark.parametrize("row", rows_of(FOUND, "onchain_order_hashes"))
def test_orders_settled_on_the_chain_have_our_digest(row: dict[str, Any]) -> None:
    signer = OrderSigner(ANY_KEY, signature_type=3, funder=row["order"]["maker"])
    digest = signer.digest(order_of(row), exchange=exchange_of(row))
    assert "0x" + digest.hex() == row["order_hash"]


@pytest.mark.parametrize("name", Order._fields)
def test_every_field_enters_the_digest(name: str) -> None:
    signer = OrderSigner(ANY_KEY)
    order = Order(1, 2, 3, 4, 0, 6)
    changed = order._replace(**{name: 1 - getattr(order, name) if name == "side" else 9})
    assert signer.digest(order, exchange=0) != signer.digest(changed, exchange=0)


def test_account_and_exchange_enter_the_digest() -> None:
    order, other = Order(1, 2, 3, 4, 0, 6), "0x" + "ab" * 20
    signers = [
        OrderSigner(ANY_KEY), OrderSigner(ANY_KEY[:-1] + b"\1"), OrderSigner(ANY_KEY, chain_id=1),
        OrderSigner(ANY_KEY, signature_type=1, funder=other),
        OrderSigner(ANY_KEY, signature_type=2, funder=other),
        OrderSigner(ANY_KEY, signature_type=3, funder=other),
        OrderSigner(ANY_KEY, builder=b"\1" * 32), OrderSigner(ANY_KEY, metadata=b"\1" * 32),
    ]  # fmt: skip
    digests = {signer.digest(order, exchange=0) for signer in signers}
    digests |= {signers[0].digest(order, exchange=exchange) for exchange in (1, 2)}
    assert len(digests) == len(signers) + 2


@pytest.mark.parametrize("row", rows_of(FOUND, "l1_clob_auth"))
def test_the_l1_message_is_signed_as_the_official_clients_do(row: dict[str, Any]) -> None:
    signer = OrderSigner(bytes.fromhex(row["private_key"][2:]), chain_id=row["chain_id"])
    digest, signature = signer.clob_auth(timestamp_s=row["timestamp"], nonce=row["nonce"])
    assert "0x" + digest.hex() == row["digest"]
    assert "0x" + signature.hex() == row["headers"]["POLY_SIGNATURE"]


@pytest.mark.parametrize(
    ("kind", "funder"), [(0, "0x" + "ab" * 20), (1, None), (2, None), (3, None), (4, None)]
)
def test_an_account_that_cannot_be_is_refused(kind: int, funder: str | None) -> None:
    with pytest.raises(ValueError, match="signature type"):
        OrderSigner(ANY_KEY, signature_type=kind, funder=funder)


def test_a_signer_does_not_print_its_key() -> None:
    assert ANY_KEY.hex() not in repr(OrderSigner(ANY_KEY)) + repr(vars(OrderSigner(ANY_KEY)))
