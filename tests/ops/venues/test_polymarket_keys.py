"""API keys of any wallet: created, derived, listed, deleted; each signs for its own account."""

from __future__ import annotations

import json
from typing import Any

from tests.ops.venues.polymarket_office import (
    OTHER_ADDRESS,
    OTHER_KEY,
    SECOND,
    Office,
    l1_headers,
)
from tests.ops.venues.rig import API_KEY, POLY_ADDRESS, POLY_SECRET, poly_order

OTHER = l1_headers(OTHER_KEY, OTHER_ADDRESS)
BAD_L1 = (401, {"error": "Invalid L1 Request headers"})


def test_the_sessions_key_is_that_of_nonce_nought() -> None:
    office = Office()
    wanted = {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase"}
    assert office.call("POST", "/auth/api-key", headers=l1_headers()) == (200, wanted)
    assert office.call("GET", "/auth/derive-api-key", headers=l1_headers()) == (200, wanted)
    _, other = office.call("POST", "/auth/api-key", headers=l1_headers(nonce=1))
    assert other["apiKey"] != API_KEY
    _, found = office.call("GET", "/auth/api-keys")
    assert found == {"apiKeys": [API_KEY, other["apiKey"]]}


def test_only_a_key_that_was_created_can_be_derived() -> None:
    office = Office()
    status, body = office.call("GET", "/auth/derive-api-key", headers=OTHER)
    assert (status, list(body)) == (400, ["error"])
    _, made = office.call("POST", "/auth/api-key", headers=OTHER)
    assert office.call("GET", "/auth/derive-api-key", headers=OTHER) == (200, made)
    assert set(made) == {"apiKey", "secret", "passphrase"}


def test_a_wrong_l1_proof_gets_no_key() -> None:
    office = Office()
    spoilt: list[dict[str, str]] = [
        {"POLY_ADDRESS": POLY_ADDRESS},
        {"POLY_ADDRESS": "0x12"},
        {"POLY_ADDRESS": "zz"},
        {"POLY_NONCE": "1"},
        {"POLY_NONCE": "-1"},
        {"POLY_TIMESTAMP": "2"},
        {"POLY_SIGNATURE": "0x12"},
        {"POLY_SIGNATURE": "zz"},
    ]
    for change in spoilt:
        headers = {**OTHER, **change}
        assert office.call("POST", "/auth/api-key", headers=headers) == BAD_L1, change
    assert office.call("POST", "/auth/api-key", headers={}) == BAD_L1


def test_a_deleted_key_is_good_for_nothing_until_it_is_made_again() -> None:
    office = Office()
    assert office.call("DELETE", "/auth/api-key") == (200, "OK")
    refused = (401, {"error": "Unauthorized/Invalid api key"})
    assert office.call("GET", "/data/orders") == refused
    assert office.call("POST", "/auth/api-key", headers=l1_headers())[0] == 200
    assert office.call("GET", "/data/orders")[0] == 200


def _as_other(office: Office, creds: dict[str, str], method: str, path: str, body: Any) -> Any:
    raw = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    headers = office.signed(method, path, raw, address=OTHER_ADDRESS, creds=creds)
    return office.call(method, path, body, headers=headers)


def test_each_key_sees_and_touches_its_own_account_alone() -> None:
    office = Office()
    order: dict[str, Any] = {"buy": True, "maker": "4", "taker": "10", "order_type": "GTC"}
    order_id = office.post(**order)[1]["orderID"]
    _, creds = office.call("POST", "/auth/api-key", headers=OTHER)
    assert _as_other(office, creds, "GET", "/data/orders", None)[1]["data"] == []
    _, found = _as_other(office, creds, "DELETE", "/order", {"orderID": order_id})
    assert found == {
        "canceled": [],
        "not_canceled": {order_id: "already canceled or matched"},
    }
    status, body = _as_other(office, creds, "POST", "/order", poly_order(**order))
    text = "the order owner has to be the owner of the API KEY"
    assert (status, body) == (400, {"error": text})
    assert office.call("GET", "/data/orders")[1]["data"][0]["id"] == order_id


def test_a_heart_that_stops_cancels_the_orders_of_its_own_key() -> None:
    office = Office()
    _, second = office.call("POST", "/auth/api-key", headers=l1_headers(nonce=1))
    kept = office.post(buy=True, maker="4", taker="10", order_type="GTC")[1]["orderID"]
    body = poly_order(buy=True, maker="4", taker="10", order_type="GTC", owner=second["apiKey"])
    raw = json.dumps(body, separators=(",", ":")).encode()
    headers = office.signed("POST", "/order", raw, creds=second)
    gone = office.call("POST", "/order", body, headers=headers)[1]["orderID"]
    beat = {"heartbeat_id": ""}
    raw = json.dumps(beat, separators=(",", ":")).encode()
    headers = office.signed("POST", "/v1/heartbeats", raw, creds=second)
    _, first = office.call("POST", "/v1/heartbeats", beat, headers=headers)
    office.advance(9 * SECOND)
    raw = json.dumps(first, separators=(",", ":")).encode()
    headers = office.signed("POST", "/v1/heartbeats", raw, creds=second)
    status, later = office.call("POST", "/v1/heartbeats", first, headers=headers)
    assert (status, later != first) == (200, True)
    office.advance(9 * SECOND)
    assert set(office.account.open) == {kept, gone}
    office.advance(SECOND)
    assert set(office.account.open) == {kept}
    assert office.log.counts["polymarket"]["heartbeat_cancels"] == 1
    office.advance(60 * SECOND)
    assert office.log.counts["polymarket"]["heartbeat_cancels"] == 1, "firing disarms it"
