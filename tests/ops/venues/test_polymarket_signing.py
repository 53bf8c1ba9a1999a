"""Every order of the signing vectors is taken under its own id; each way to spoil one is refused in
the venue's words. Wallets are those the factories would make.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ops.venues import signatures
from ops.venues.polymarket_wallets import deposit_wallets, proxy_wallet, safe_wallet
from tests.conftest import REFERENCE
from tests.ops.venues.polymarket_office import Office
from tests.ops.venues.rig import MARKETS, P, e6

Body = dict[str, Any]
_PATH = REFERENCE / "fixtures" / "polymarket" / "signing_vectors.json"
VECTORS: dict[str, Any] = json.loads(_PATH.read_text()) if _PATH.exists() else {}
ORDERS: list[dict[str, Any]] = VECTORS.get("orders", [])
MAINNET = [row for row in ORDERS if row["chain_id"] == signatures.CHAIN_ID]
needs_reference = pytest.mark.skipif(
    not ORDERS, reason="the reference is not here (set ARB_TEST_REFERENCE)"
)
OTHER = "0x" + "12" * 20


def office_for(row: dict[str, Any], *, neg_risk: bool | None = None) -> Office:
    """A venue whose account is the vector's signer, rich, with the vector's token listed."""
    token, contract = row["order"]["tokenId"], row["domain"]["verifyingContract"]
    own = contract == signatures.NEG_RISK_EXCHANGE
    spec = replace(
        MARKETS[P],
        token_yes=token,
        neg_risk=own if neg_risk is None else neg_risk,
        price_ranges=((0, 1_000_000, e6(row["inputs"]["tick"])),),
    )
    office = Office(spec, polymarket_address=row["signer_address"], cash_polymarket_e6=e6("10000"))
    office.account.tokens_e6[token] = e6("10000")
    return office


def resting(row: dict[str, Any], key: str = "post_body") -> Body:
    """The vector's body as an order that rests: the type is not signed."""
    body: Body = json.loads(row[key])
    if body["orderType"] in ("FAK", "FOK"):
        body["orderType"] = "GTC"
    return body


def posted(office: Office, row: dict[str, Any], body: Body) -> tuple[int, Any]:
    raw = json.dumps(body, separators=(",", ":")).encode()
    headers = office.signed("POST", "/order", raw, address=row["signer_address"])
    return office.call("POST", "/order", body, headers=headers)


@needs_reference
@pytest.mark.parametrize("row", MAINNET, ids=[row["id"] for row in MAINNET])
@pytest.mark.parametrize("key", ["post_body", "post_body_polymarket_client"])
def test_a_good_vector_is_taken_under_its_hash(row: dict[str, Any], key: str) -> None:
    status, answer = posted(office_for(row), row, resting(row, key))
    assert (status, answer.get("status")) == (200, "live"), answer
    assert answer["orderID"] == row["expected_order_id"]


@needs_reference
def test_the_vectors_cover_every_wallet_and_exchange() -> None:
    assert {row["order"]["signatureType"] for row in MAINNET} == {0, 1, 2, 3}
    assert {row["domain"]["version"] for row in MAINNET} == {"2", "3"}
    assert {row["domain"]["verifyingContract"] for row in MAINNET} == {
        signatures.EXCHANGE,
        signatures.NEG_RISK_EXCHANGE,
        signatures.EXCHANGES_V3[signatures.CHAIN_ID],
    }


def _amount(body: Body) -> None:
    body["order"]["makerAmount"] = str(int(body["order"]["makerAmount"]) + 10_000)


def _salt(body: Body) -> None:
    body["order"]["salt"] += 1


def _owner(body: Body) -> None:
    body["owner"] = "00000000-0000-0000-0000-000000000001"


def _signer(body: Body) -> None:
    body["order"]["signer"] = OTHER


def _wallet(body: Body) -> None:
    order = body["order"]
    order["maker"] = OTHER
    if order["signatureType"] == 3:
        order["signer"] = OTHER


def _cut(body: Body) -> None:
    body["order"]["signature"] = body["order"]["signature"][:-2]


def _flipped(body: Body) -> None:
    text = body["order"]["signature"]
    body["order"]["signature"] = text[:10] + ("0" if text[10] != "0" else "1") + text[11:]


def _no_hex(body: Body) -> None:
    body["order"]["signature"] = "0xzz"


def _type(body: Body) -> None:
    body["order"]["signatureType"] = 4


def _v1(body: Body) -> None:
    del body["order"]["timestamp"]
    body["order"].update(nonce="0", feeRateBps="0", taker="0x" + "00" * 20)


SPOILT: dict[Callable[[Body], None], str] = {
    _amount: "invalid signature",
    _salt: "invalid signature",
    _cut: "invalid signature",
    _flipped: "invalid signature",
    _owner: "the order owner has to be the owner of the API KEY",
    _signer: "the order signer address has to be the address of the API KEY",
    _wallet: "maker address not allowed, please use the deposit wallet flow",
    _no_hex: "Invalid order payload",
    _type: "Invalid order payload",
    _v1: "order_version_mismatch",
}


@needs_reference
@pytest.mark.parametrize("row", MAINNET, ids=[row["id"] for row in MAINNET])
def test_a_spoilt_vector_is_refused_in_the_venues_words(row: dict[str, Any]) -> None:
    office = office_for(row)
    for spoil, text in SPOILT.items():
        body = copy.deepcopy(resting(row))
        spoil(body)
        assert posted(office, row, body) == (400, {"error": text}), spoil.__name__
    assert posted(office, row, resting(row))[0] == 200, "and none of them spent its hash"


@needs_reference
def test_another_exchange_chain_or_order_version_is_refused() -> None:
    wrong = {"error": "invalid signature"}
    for row in MAINNET:
        if row["domain"]["version"] == "2":
            own = row["domain"]["verifyingContract"] == signatures.NEG_RISK_EXCHANGE
            office = office_for(row, neg_risk=not own)
            assert posted(office, row, resting(row)) == (400, wrong), row["id"]
    for row in ORDERS:
        if row not in MAINNET:
            assert posted(office_for(row), row, resting(row)) == (400, wrong), row["id"]
    for old in VECTORS["legacy_v1"]:
        body = {"order": old["order"], "owner": "x", "orderType": "GTC"}
        assert Office().call("POST", "/order", body) == (400, {"error": "order_version_mismatch"})


@needs_reference
def test_gtc_and_gtd_of_one_order_have_one_hash_and_so_only_one_is_taken() -> None:
    gtc, gtd = (row for row in ORDERS if row["id"][:3] in ("s01", "s09"))
    office = office_for(gtc)
    assert posted(office, gtc, resting(gtc))[0] == 200
    text = f"order {gtc['expected_order_id']} is invalid. Duplicated."
    assert posted(office, gtd, resting(gtd)) == (400, {"error": text})


@needs_reference
def test_wallets_are_those_of_the_factories() -> None:
    for row in VECTORS["wallets"]["list"]:
        eoa = row["eoa"]
        assert proxy_wallet(eoa) == row["proxy"].lower()
        assert safe_wallet(eoa) == row["safe"].lower()
        assert deposit_wallets(eoa) == (
            row["deposit_beacon"].lower(),
            row["deposit_uups"].lower(),
        )


@needs_reference
def test_position_ids_are_known_by_their_bits() -> None:
    path = REFERENCE / "fixtures" / "polymarket" / "amounts_fees_books.json"
    for case in json.loads(path.read_text())["position_ids"]["cases"]:
        assert signatures.is_position_id(int(case["id"])) == case["is_v2"]
