"""Polymarket's CLOB and Gamma over real sockets with TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from ops.venues.tls import TlsPaths
from tests.conftest import reference
from tests.ops.venues import rig
from tests.ops.venues.polymarket_client import (
    call,
    hear,
    run,
    user_channel,
)
from tests.ops.venues.rig import (
    API_KEY,
    CONDITION,
    DELAYED_YES,
    MS,
    POLY_ADDRESS,
    POLY_KEY,
    POLY_SECRET,
    TOKEN_NO,
    TOKEN_YES,
    poly_headers,
    poly_order,
    shape,
)


def test_a_killed_order_answers_400_with_its_id(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        fok = poly_order(buy=True, maker="104", taker="200", order_type="FOK")
        status, answer = await call(session, "POST", "/order", fok)
        rows = json.loads(reference("fixtures/polymarket/rest_clob.json").read_text())
        wanted = next(row for row in rows if row["name"] == "err_fok")
        assert (status, shape(answer)) == (wanted["status"], shape(wanted["body"]))
        assert answer["error"] == wanted["body"]["error"]
        status, again = await call(session, "POST", "/order", fok)
        assert (status, again) == (
            400,
            {"error": f"order {answer['orderID']} is invalid. Duplicated."},
        )
        assert (await call(session, "GET", f"/data/order/{answer['orderID']}"))[0] == 404

    run(tls, rig.script_of(), body)


def test_a_batch_refuses_a_leg_with_200_and_an_empty_id(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        good = poly_order(buy=True, maker="5.20", taker="10")
        bad = poly_order(buy=True, maker="5.205", taker="10")
        status, rows = await call(session, "POST", "/orders", [good, bad])
        assert status == 200
        assert [row["success"] for row in rows] == [True, True]
        assert rows[0]["status"] == "matched"
        known = json.loads(reference("fixtures/polymarket/rest_clob.json").read_text())
        wanted = next(row for row in known if row["name"] == "post_orders_leg_rejected")["body"]
        assert rows[1] == wanted
        status, answer = await call(session, "POST", "/orders", [good] * 16)
        assert answer == {"error": "Too many orders in payload: 16, max allowed: 15"}

    run(tls, rig.script_of(), body)


@pytest.mark.parametrize(
    "spoil",
    [
        {"POLY_SIGNATURE": "AAAA"},
        {"POLY_API_KEY": "other"},
        {"POLY_PASSPHRASE": "other"},
        {"POLY_TIMESTAMP": "1000000000"},
        {"POLY_ADDRESS": "0x" + "12" * 20},
    ],
)
def test_a_wrong_l2_header_is_unauthorized(tls: TlsPaths, spoil: dict[str, str]) -> None:
    async def body(session: rig.Session) -> None:
        order = poly_order(buy=True, maker="5.20", taker="10")
        text = json.dumps(order, separators=(",", ":"))
        headers = {**poly_headers("POST", "/order", text), **spoil}
        status, answer = await call(session, "POST", "/order", order, headers=headers)
        assert (status, answer) == (401, {"error": "Unauthorized/Invalid api key"})
        headers = poly_headers("POST", "/order", text + " ")
        assert (await call(session, "POST", "/order", order, headers=headers))[0] == 401
        assert (await call(session, "POST", "/order", order))[0] == 200

    run(tls, rig.script_of(), body)


def test_resting_orders_are_listed_and_cancelled_every_way(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        async def rest() -> str:
            order = poly_order(buy=True, maker="4", taker="10", order_type="GTC")
            answer = (await call(session, "POST", "/order", order))[1]
            assert answer["status"] == "live"
            return str(answer["orderID"])

        first = await rest()
        _, found = await call(session, "GET", "/data/orders")
        assert [row["id"] for row in found["data"]] == [first]
        _, row = await call(session, "GET", f"/data/order/{first}")
        assert (row["original_size"], row["status"]) == ("10", "LIVE")
        _, found = await call(session, "DELETE", "/order", {"orderID": first})
        assert found == {"canceled": [first], "not_canceled": {}}
        ways: list[tuple[str, Callable[[str], Any]]] = [
            ("/orders", lambda one: [one]),
            ("/cancel-all", lambda one: None),
            ("/cancel-market-orders", lambda one: {"market": CONDITION, "asset_id": ""}),
        ]
        for path, make in ways:
            order_id = await rest()
            _, found = await call(session, "DELETE", path, make(order_id))
            assert found["canceled"] == [order_id], path

    run(tls, rig.script_of(), body)


def test_a_held_back_order_is_delayed_and_then_matched(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        user = await user_channel(session, whole=True)
        order = poly_order(buy=True, maker="5.20", taker="10", token=DELAYED_YES)
        _, answer = await call(session, "POST", "/order", order)
        assert answer["status"] == "delayed"
        assert (await hear(user))["status"] == "DELAYED"
        _, found = await call(session, "DELETE", "/order", {"orderID": answer["orderID"]})
        assert found["canceled"] == []
        trade = await hear(user)
        assert (trade["event_type"], trade["status"]) == ("trade", "MATCHED")
        await user.close()

    run(tls, rig.script_of(), body)


def test_l1_gives_the_account_its_key_and_a_stranger_none(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        def headers(key: str) -> dict[str, str]:
            names = ("address", "timestamp", "nonce", "message")
            kinds = ("address", "string", "uint256", "string")
            types = {
                "ClobAuth": [
                    {"name": name, "type": kind} for name, kind in zip(names, kinds, strict=True)
                ]
            }
            text = "This message attests that I control the given wallet"
            message = {"address": POLY_ADDRESS, "timestamp": "1", "nonce": 0, "message": text}
            domain = {"name": "ClobAuthDomain", "version": "1", "chainId": 137}
            signed = Account.sign_message(encode_typed_data(domain, types, message), key)
            return {
                "POLY_ADDRESS": POLY_ADDRESS,
                "POLY_SIGNATURE": "0x" + signed.signature.hex().removeprefix("0x"),
                "POLY_TIMESTAMP": "1",
                "POLY_NONCE": "0",
            }

        for method, path in (("POST", "/auth/api-key"), ("GET", "/auth/derive-api-key")):
            status, answer = await call(session, method, path, headers=headers(POLY_KEY))
            assert status == 200
            assert answer == {"apiKey": API_KEY, "secret": POLY_SECRET, "passphrase": "phrase"}
        status, answer = await call(
            session, "POST", "/auth/api-key", headers=headers("0x" + "11" * 32)
        )
        assert (status, answer) == (401, {"error": "Invalid L1 Request headers"})

    run(tls, rig.script_of(), body)


def test_public_reads_have_the_recorded_shapes(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        rows = json.loads(reference("fixtures/polymarket/rest_clob.json").read_text())
        known = {row["name"]: row["body"] for row in rows}
        token = f"?token_id={TOKEN_YES}"
        for path, query, name in (
            ("/book", token, "book"),
            ("/price", token + "&side=BUY", "price_buy"),
            ("/midpoint", token, "midpoint"),
            ("/spread", token, "spread"),
            ("/tick-size", token, "tick_size"),
            ("/neg-risk", token, "neg_risk"),
            ("/fee-rate", token, "fee_rate"),
            ("/version", "", "version"),
        ):
            status, answer = await call(session, "GET", path, query=query, headers={})
            assert (status, shape(answer)) == (200, shape(known[name])), path
        _, answer = await call(session, "GET", "/price", query=token + "&side=BUY", headers={})
        assert answer == {"price": "0.47"}, "BUY answers the best bid"
        status, answer = await call(session, "GET", "/book", query="?token_id=5", headers={})
        assert (status, answer) == (404, {"error": "the orderbook 5 does not exist"})
        _, answer = await call(session, "POST", "/books", [{"token_id": TOKEN_NO}], headers={})
        assert answer[0]["asset_id"] == TOKEN_NO
        _, answer = await call(session, "GET", f"/clob-markets/{CONDITION}", headers={})
        assert answer["fd"] == {"r": 0.07, "e": 1, "to": True}
        _, answer = await call(session, "GET", f"/clob-markets/{rig.DELAYED_CONDITION}", headers={})
        assert answer["itode"] is True
        _, answer = await call(session, "GET", f"/markets-by-token/{TOKEN_NO}", headers={})
        assert answer["condition_id"] == CONDITION

    run(tls, rig.script_of(), body)


def test_gamma_puts_json_in_strings(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        query = f"?condition_ids={CONDITION}"
        _, (market,) = await call(session, "GET", "/markets", query=query, headers={})
        assert json.loads(market["clobTokenIds"]) == [TOKEN_YES, TOKEN_NO]
        assert json.loads(market["outcomes"]) == ["Yes", "No"]
        _, same = await call(session, "GET", "/markets/slug/test-market", headers={})
        assert same == market
        _, event = await call(session, "GET", "/events/slug/test-market", headers={})
        assert [row["slug"] for row in event["markets"]] == ["test-market"]
        known = json.loads(reference("fixtures/polymarket/gamma.json").read_text())[2]["body"]
        cosmetic = {
            "events",
            "cryptoMarketConfig",
            "cryptoMarketConfigId",
            "makerRebatesFeeShareBps",
        }
        assert set(known) - cosmetic <= set(market)
        for name in set(known) & set(market) - {"feeSchedule"}:
            assert type(market[name]) is type(known[name]), name

    run(tls, rig.script_of(), body)


def test_a_silent_heartbeat_cancels_everything(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        user = await user_channel(session)
        order = poly_order(buy=True, maker="4", taker="10", order_type="GTC")
        _, answer = await call(session, "POST", "/order", order)
        assert (await hear(user))["type"] == "PLACEMENT"
        _, first = await call(session, "POST", "/v1/heartbeats", {"heartbeat_id": ""})
        status, stale = await call(session, "POST", "/v1/heartbeats", {"heartbeat_id": "x"})
        assert (status, stale["error_msg"]) == (400, "Invalid Heartbeat ID")
        assert stale["heartbeat_id"] == first["heartbeat_id"]
        event = await hear(user)
        assert (event["type"], event["id"]) == ("CANCELLATION", answer["orderID"])
        await user.close()

    counts = run(tls, rig.script_of(), body, polymarket_heartbeat_ns=4_000 * MS)
    assert counts["heartbeat_cancels"] == 1


def test_too_many_orders_are_slowed_down(tls: TlsPaths) -> None:
    async def body(session: rig.Session) -> None:
        bodies = [poly_order(buy=True, maker="1.02", taker="2") for _ in range(8)]
        answers = await asyncio.gather(*(call(session, "POST", "/order", one) for one in bodies))
        assert {status for status, _ in answers} == {400, 429}

    counts = run(tls, rig.script_of(), body, polymarket_orders_per_s=1)
    assert counts["refused_rate"] >= 1
