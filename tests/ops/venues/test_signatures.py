"""Right signatures pass, wrong ones do not: against vectors made by the official clients."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from eth_account.messages import encode_typed_data

from ops.venues import signatures
from tests.conftest import reference
from tests.ops.venues.rig import KalshiKey

Vector = dict[str, Any]


def vectors(name: str) -> list[Vector]:
    found: list[Vector] = json.loads(
        reference("fixtures/polymarket/signing_vectors.json").read_text()
    )[name]
    return found


def orders() -> list[Vector]:
    """All orders of the present struct: of domain version 2, and 3 for position ids."""
    return vectors("orders")


def fields(order: Vector) -> dict[str, Any]:
    words = {"metadata", "builder"}
    return {
        name: bytes.fromhex(value[2:])
        if name in words
        else (int(value) if str(value).isdigit() else value)
        for name, value in order.items()
    }


def recovered(row: Vector, order: dict[str, Any], signature: bytes) -> str | None:
    neg_risk = row["domain"]["verifyingContract"] == signatures.NEG_RISK_EXCHANGE
    chain_id = row["domain"]["chainId"]
    hashes = signatures.order_hashes(order, neg_risk=neg_risk, chain_id=chain_id)
    return signatures.order_signer(
        order, signature, neg_risk=neg_risk, hashes=hashes, chain_id=chain_id
    )


def test_every_recorded_order_is_accepted_under_its_own_id() -> None:
    rows = orders()
    assert {row["order"]["signatureType"] for row in rows} == {0, 1, 2, 3}
    for row in rows:
        order, signature = fields(row["order"]), bytes.fromhex(row["signature"][2:])
        neg_risk = row["domain"]["verifyingContract"] == signatures.NEG_RISK_EXCHANGE
        struct, order_id = signatures.order_hashes(
            order, neg_risk=neg_risk, chain_id=row["domain"]["chainId"]
        )
        assert "0x" + struct.hex() == row["order_struct_hash"]
        assert "0x" + order_id.hex() == row["expected_order_id"], row["id"]
        assert recovered(row, order, signature) == row["signer_address"].lower(), row["id"]


def test_the_hash_is_the_one_seen_on_chain() -> None:
    for row in vectors("onchain_order_hashes"):
        _, order_id = signatures.order_hashes(fields(row["order"]), neg_risk=False)
        assert "0x" + order_id.hex() == row["order_hash"]


def test_our_struct_hash_is_that_of_eth_account() -> None:
    row = orders()[0]
    parts = (part.split() for part in signatures.ORDER_TYPE[6:-1].split(","))
    types = {"Order": [{"name": name, "type": kind} for kind, name in parts]}
    message = encode_typed_data(row["domain"], types, fields(row["order"]))
    struct, _ = signatures.order_hashes(fields(row["order"]), neg_risk=False)
    assert message.body == struct


@pytest.mark.parametrize("name", ["makerAmount", "takerAmount", "tokenId", "salt", "timestamp"])
def test_a_changed_field_breaks_the_signature(name: str) -> None:
    for row in orders():
        order = fields(row["order"])
        order[name] += 1
        signature = bytes.fromhex(row["signature"][2:])
        assert recovered(row, order, signature) != row["signer_address"].lower(), row["id"]


@pytest.mark.parametrize("at", [0, 40, 64])
def test_a_changed_signature_is_refused(at: int) -> None:
    for row in orders():
        broken = bytearray.fromhex(row["signature"][2:])
        broken[at] ^= 1
        found = recovered(row, fields(row["order"]), bytes(broken))
        assert found != row["signer_address"].lower(), row["id"]


def test_a_deposit_wallet_tail_must_be_exact() -> None:
    row = next(row for row in orders() if row["order"]["signatureType"] == 3)
    order, signature = fields(row["order"]), bytes.fromhex(row["signature"][2:])
    assert recovered(row, order, signature[:65]) is None
    assert recovered(row, order, signature[:-1] + b"\0") is None


def test_the_wrong_exchange_breaks_the_signature() -> None:
    row = orders()[0]
    order, signature = fields(row["order"]), bytes.fromhex(row["signature"][2:])
    hashes = signatures.order_hashes(order, neg_risk=True)
    found = signatures.order_signer(order, signature, neg_risk=True, hashes=hashes)
    assert found != row["signer_address"].lower()


def test_l1_headers_name_their_signer() -> None:
    for row in vectors("l1_clob_auth"):
        headers = row["headers"]
        arguments = headers["POLY_ADDRESS"], headers["POLY_TIMESTAMP"], int(headers["POLY_NONCE"])
        found = signatures.clob_auth_signer(
            *arguments, headers["POLY_SIGNATURE"], chain_id=row["chain_id"]
        )
        assert found == headers["POLY_ADDRESS"].lower()
        other = signatures.clob_auth_signer(
            arguments[0], "1", arguments[2], headers["POLY_SIGNATURE"], chain_id=row["chain_id"]
        )
        assert other != headers["POLY_ADDRESS"].lower()


def test_l2_signatures_are_those_of_the_official_client() -> None:
    for row in vectors("l2_hmac"):
        body = (row["body"] or "").encode()
        given = row["secret"], str(row["timestamp"]), row["method"], row["request_path"]
        assert signatures.is_l2_valid(*given, body, row["signature"])
        assert not signatures.is_l2_valid(*given, body + b" ", row["signature"])


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_kalshi_signatures_of_both_key_types_pass_and_broken_ones_do_not(kind: str) -> None:
    key = KalshiKey(generate_private_key(65537, 2048) if kind == "rsa" else None)
    verifier = signatures.KalshiVerifier(key.public_pem())
    good = key.sign("1703123456789GET/trade-api/v2/portfolio/balance")
    path = "/trade-api/v2/portfolio/balance"
    assert verifier.is_valid(good, "1703123456789", "get", path)
    assert not verifier.is_valid(good, "1703123456788", "GET", path)
    assert not verifier.is_valid(good, "1703123456789", "POST", path)
    assert not verifier.is_valid(good, "1703123456789", "GET", path + "?limit=1")
    assert not verifier.is_valid("not base64!", "1703123456789", "GET", path)
    assert not verifier.is_valid(KalshiKey().sign("x"), "1703123456789", "GET", path)
